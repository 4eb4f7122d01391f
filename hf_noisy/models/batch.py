"""The rows of one forward pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from hf_noisy.common.randomness import keyed_generator


@dataclass(frozen=True)
class Batch:
    """The rows of one forward and where the training stands."""

    index: Tensor  # (batch,) row numbers in the training set
    given: Tensor  # (batch, classes) labels as they came: one-hot, soft, or all zero where abstained
    votes: Tensor | None  # (batch, sources), -1 abstains
    epoch: float  # epochs done before this step; 1.5 is the middle of the second epoch
    progress: float  # share of the training done before this step, in [0, 1)
    key: tuple[int, int, int]  # (seed, global step, micro-step): what random draws of this step may depend on
    trusted: Tensor | None = field(default=None, kw_only=True)  # (batch,) clean rows; None where none are trained on
    real: Tensor | None = field(default=None, kw_only=True)  # (batch,) False where a sampler repeats a row
    peeking: bool = field(default=False, kw_only=True)  # before the forward that is learned from (`NoiseCallback.peek`)
    everywhere: Tensor  # (batch of all processes,) row numbers; a row that a sampler repeats points past the end
    gather: Callable[[Tensor], Tensor]  # (batch, ...) -> (batch of all processes, ...), in the order of `everywhere`

    @property
    def covered(self) -> Tensor:
        """(batch,) True where the row has a label."""
        return self.given.sum(-1) > 0

    def generator(self, purpose: str) -> torch.Generator:
        """A generator of this step and purpose on the batch's device: equal in a resumed run, other in the next step."""
        return keyed_generator(*self.key, purpose, device=self.index.device)


def concatenate_views(views: list[dict[str, Any]]) -> dict[str, Any]:
    """One batch of all views, view by view."""
    return {
        name: torch.cat([view[name] for view in views]) if torch.is_tensor(value) else value
        for name, value in views[0].items()
    }
