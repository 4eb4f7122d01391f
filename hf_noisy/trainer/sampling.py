"""The sampling order of training rows where it differs from the stock one: clean rows first, or length groups."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler
from transformers.trainer_pt_utils import LengthGroupedSampler

from hf_noisy.common.randomness import keyed_generator


class Sampling:
    """Holds the sampler of a training, and gives it the number of each epoch."""

    def __init__(self) -> None:
        self._by_length: LengthGroupedSampler | None = None
        self._clean_first: CleanFirst | None = None

    def clean_first(self, trusted: np.ndarray | None, epochs: int | None, seed: int) -> CleanFirst | None:
        """The sampler that begins with `epochs` epochs of trusted rows; None if no method requests it."""
        self._by_length = None
        self._clean_first = CleanFirst(trusted, epochs, seed) if trusted is not None and epochs else None
        return self._clean_first

    def stock(self, sampler: Any) -> Any:
        """The sampler of the stock Trainer, unchanged."""
        self._by_length = sampler if isinstance(sampler, LengthGroupedSampler) else None
        return sampler

    def begin_epoch(self, epoch: int, data_seed: int) -> None:
        """Make the order of clean-first and length-grouped samplers depend on seed and epoch alone."""
        if self._by_length is not None:  # the global generator would give another order in a resumed run
            self._by_length.generator = keyed_generator(data_seed, epoch, "lengths")
        if self._clean_first is not None:
            self._clean_first.set_epoch(epoch)  # accelerate does not always do this in a resumed run


class CleanFirst(Sampler[int]):
    """Draws only trusted rows, repeatedly, in the first epochs, then all rows. Every epoch has the same length.

    Args:
        trusted: (rows,) bool.
        epochs: number of epochs with trusted rows only.
        seed: of the order.

    >>> order = CleanFirst(np.array([False, False, False, True]), epochs=1, seed=0)
    >>> list(order)
    [3, 3, 3, 3]
    >>> order.set_epoch(1)
    >>> sorted(order)
    [0, 1, 2, 3]
    """

    def __init__(self, trusted: np.ndarray, epochs: int, seed: int) -> None:
        self.trusted, self.epochs, self.seed, self.epoch = trusted, epochs, seed, 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.trusted)

    def __iter__(self) -> Iterator[int]:
        generator = keyed_generator(self.seed, self.epoch, "clean first")
        rows = np.flatnonzero(self.trusted) if self.epoch < self.epochs else np.arange(len(self.trusted))
        passes = -(-len(self.trusted) // len(rows))
        order = torch.cat([torch.randperm(len(rows), generator=generator) for _ in range(passes)])
        return iter(rows[order[: len(self.trusted)].numpy()].tolist())
