"""What a method is told before training, and what it sees of all rows at once."""

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
    """Rows whose labels are trusted, beside the training set."""

    labels: Tensor  # (rows, classes) one-hot or soft, as trusted
    given: Tensor  # (rows, classes) the untrusted labels of the same rows; zero rows where there is none
    survey: Callable[[], Tensor]  # -> (networks, rows, classes) log-probabilities, seen without dropout


@dataclass(frozen=True)
class Context:
    """What a method is told once, before the first step (and before its state is loaded from a checkpoint)."""

    rows: int  # training examples
    classes: int
    networks: int
    labels: Tensor  # (rows,) int64 with -100 for abstained; or (rows, classes) float32 with zero rows for abstained
    votes: Tensor | None  # (rows, sources) int16, -1 abstains
    criterion: Criterion
    epochs: float  # of the whole training
    seed: int
    device: torch.device
    clean: CleanRows | None = None  # where the trainer was given a `clean_dataset`
    channels: list[Channel] = field(default_factory=list)  # one a network, or none
    trusted: Tensor | None = None  # (rows,) True for clean rows that are trained on; None where there are none
    model: Any = None  # what is trained, without what an accelerator wraps around it
    dataset: Any = None  # the training rows as they are trained on, tokenized, in row order
    eval_dataset: Any = None  # the trainer's, with checked labels; or a dictionary of such
    tokenizer: Any = None  # the trainer's `processing_class`
    encode: Callable[[], Tensor] | None = None  # -> (rows, width) mean hidden states of the encoder as it is by then

    def __getstate__(self) -> dict[str, Any]:
        """A copy of a method takes neither model nor data along."""
        return self.__dict__ | dict.fromkeys(
            ("clean", "channels", "model", "dataset", "eval_dataset", "tokenizer", "encode")
        )


@dataclass(frozen=True)
class Survey:
    """All training examples at once, in row order, seen without dropout."""

    log_probs: Tensor  # (networks, rows, classes)
    given: Tensor  # (rows, classes), zero rows where abstained

    @property
    def probs(self) -> Tensor:
        """(rows, classes) mean over networks."""
        return self.log_probs.exp().mean(0)
