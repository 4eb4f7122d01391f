"""Data that a method receives: the facts of a training before it starts, and predictions on all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hf_noisy.models.channels import Channel
from hf_noisy.models.criterion import Criterion


@dataclass(frozen=True)
class CleanRows:
    """Rows with trusted labels, in addition to the training set."""

    labels: Tensor  # (rows, classes) trusted labels, one-hot or soft
    given: Tensor  # (rows, classes) untrusted labels of the same rows; zero rows where there is none
    survey: Callable[[], Tensor]  # -> (networks, rows, classes) log-probabilities, without dropout


@dataclass(frozen=True)
class Context:
    """Facts that a method receives once, before the first step and before its state is loaded from a checkpoint."""

    rows: int  # number of training examples
    classes: int
    networks: int
    labels: Tensor  # (rows,) int64 with -100 for abstained; or (rows, classes) float32 with zero rows for abstained
    votes: Tensor | None  # (rows, sources) int16, -1 abstains
    criterion: Criterion
    epochs: float  # of the whole training
    seed: int
    device: torch.device
    clean: CleanRows | None = None  # None if the trainer has no `clean_dataset`
    channels: list[Channel] = field(default_factory=list)  # one per network, or none
    trusted: Tensor | None = None  # (rows,) bool. True for clean rows that are trained on; None if there are none
    model: Any = None  # the trained model, without wrappers of accelerate
    dataset: Any = None  # the tokenized training rows, in row order
    eval_dataset: Any = None  # the trainer's, with checked labels, or a dictionary of such data sets
    tokenizer: Any = None  # the trainer's `processing_class`
    encode: Callable[[], Tensor] | None = None  # -> (rows, width) mean hidden states of the encoder at that time

    def __getstate__(self) -> dict[str, Any]:
        """Leaves out model and data, so that copies of a method do not contain them."""
        return self.__dict__ | dict.fromkeys(
            ("clean", "channels", "model", "dataset", "eval_dataset", "tokenizer", "encode")
        )


@dataclass(frozen=True)
class Survey:
    """Predictions on all training examples, in row order and without dropout."""

    log_probs: Tensor  # (networks, rows, classes)
    given: Tensor  # (rows, classes) given labels, zero rows where abstained

    @property
    def probs(self) -> Tensor:
        """(rows, classes) probabilities, mean over networks."""
        return self.log_probs.exp().mean(0)
