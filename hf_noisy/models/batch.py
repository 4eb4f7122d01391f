"""The rows of one forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hf_noisy.common.randomness import keyed_generator
from hf_noisy.data.label_encoding import one_hot


@dataclass(frozen=True)
class Batch:
    """The rows of one forward pass, and the progress of the training."""

    index: Tensor  # (batch,) row numbers in the training set
    given: Tensor  # (batch, classes) given labels: one-hot, soft, or all zero where abstained
    votes: Tensor | None  # (batch, sources), -1 abstains
    epoch: float  # epochs done before this step; 1.5 is the middle of the second epoch
    progress: float  # share of the training done before this step, in [0, 1)
    key: tuple[int, int, int]  # (seed, global step, micro-step): seeds the random draws of this step
    trusted: Tensor | None = field(default=None, kw_only=True)  # (batch,) True for clean rows; None if there are none
    real: Tensor | None = field(default=None, kw_only=True)  # (batch,) bool. False where a sampler repeats a row
    peeking: bool = field(default=False, kw_only=True)  # True in the forward of `NoiseCallback.peek`
    gathered_index: Tensor  # (batch of all processes,) row numbers; a repeated row has a number past the end
    gather: Callable[
        [Tensor], Tensor
    ]  # (batch, ...) -> (batch of all processes, ...), in the order of `gathered_index`

    @classmethod
    def from_labels(cls, labels: Tensor, classes: int, **fields: Any) -> Batch:
        """A batch on one process at the start of a training, for tests and for trying a method by hand.

        Args:
            labels: (batch,) class ids, negative for none; or (batch, classes) soft labels.
            classes: number of classes.
            fields: any field of a batch; by default rows are numbered from 0.

        >>> Batch.from_labels(torch.tensor([1, -1]), classes=2).covered
        tensor([ True, False])
        """
        index = fields.pop("index", torch.arange(len(labels)))
        start = {
            "votes": None,
            "epoch": 0.0,
            "progress": 0.0,
            "key": (0, 0, 1),
            "gathered_index": index,
            "gather": of_one_process,
        }
        return cls(index=index, given=one_hot(labels, classes), **{**start, **fields})

    @property
    def covered(self) -> Tensor:
        """(batch,) bool. True where the row has a label."""
        return self.given.sum(-1) > 0

    def generator(self, purpose: str) -> torch.Generator:
        """A random generator for this step and purpose, on the batch's device.

        It is the same in a resumed run, and another one in the next step.
        """
        return keyed_generator(*self.key, purpose, device=self.index.device)


def of_one_process(values: Tensor) -> Tensor:
    """`values` unchanged: on one process there is nothing to gather."""
    return values


def concatenate_views(views: list[dict[str, Any]]) -> dict[str, Any]:
    """One batch with all views, one after the other."""
    return {
        name: torch.cat([view[name] for view in views]) if torch.is_tensor(value) else value
        for name, value in views[0].items()
    }
