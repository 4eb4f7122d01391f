"""Progress of a training: the epoch, the batch within it, and which rows of a batch are repetitions."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

REAL = (
    "hf_noisy_real"  # key of a batch, (batch,) False where a distributed sampler repeats a row to fill its last batch
)


class Progress:
    """Counts the epochs and batches that the Trainer runs, in new and in resumed trainings."""

    def __init__(self) -> None:
        self.epoch: int | None = None  # None before the first one of this training
        self.updates_per_epoch = 1
        self.micro_step = 0  # batches of this step so far, including the current one
        self._rows_per_epoch = 0
        self._batches_done = 0  # in this epoch, including those of this step

    def begin_training(self, *, updates_per_epoch: int, rows: int, drawn: int, batch: int) -> None:
        """Reset the counters before the first step of a new or resumed training.

        Args:
            updates_per_epoch: optimizer steps of an epoch.
            rows: of the training set.
            drawn: rows per epoch that the dataloader yields, over all processes.
            batch: rows of one batch over all processes.
        """
        self.epoch, self.updates_per_epoch = None, updates_per_epoch
        own_sampler = not 0 <= drawn - rows < batch  # then no row is padding
        self._rows_per_epoch = sys.maxsize if own_sampler else rows

    def begin_epoch(self, global_step: int, accumulated: int) -> int:
        """Count an epoch and return its number. The first epoch may be resumed in the middle.

        Args:
            global_step: optimizer steps done.
            accumulated: batches per optimizer step; 0 if a resumed epoch does not skip the batches already used.
        """
        if self.epoch is not None:
            self.epoch, self._batches_done = self.epoch + 1, 0
        else:
            self.epoch, updates = divmod(global_step, self.updates_per_epoch)
            self._batches_done = updates * accumulated
        return self.epoch

    def begin_step(self, batches: int) -> int:
        """Count the batches of a step. Returns the position of its first batch in the epoch."""
        first, self.micro_step = self._batches_done, 0
        self._batches_done += batches
        return first

    def epochs_done(self, accumulated: int) -> float:
        """Epochs done before this step, as a fraction. `accumulated` is the number of batches per step."""
        updates = math.ceil(self._batches_done / accumulated) - 1  # before this one
        return (self.epoch or 0) + updates / self.updates_per_epoch

    def mark_repetitions(
        self,
        samples: list[dict[str, Any]],
        first: int,
        *,
        rank: int,
        processes: int,
        batch_size: int,
        gather: Callable[[Tensor], Tensor],
        device: torch.device,
    ) -> Tensor:
        """Add the key `REAL` to each batch of a step. Returns the number of distinct rows over all processes.

        Args:
            samples: the batches of the step on this process.
            first: position in the epoch of the first batch.
            rank, processes: rank of this process, and number of processes.
            batch_size: rows of a full batch on one process.
            gather: (n,) of this process -> (n of all processes,).
            device: the device of the counts.
        """
        rows = torch.zeros((), dtype=torch.int64, device=device)
        for position, inputs in enumerate(samples, start=first):
            begin = (position * processes + rank) * batch_size
            numbers = torch.arange(begin, begin + len(inputs["labels"]), device=device)
            inputs[REAL] = numbers < self._rows_per_epoch
            rows += inputs[REAL].sum()
        return gather(rows.reshape(1)).sum()


def count_rows(samples: list[dict[str, Any]], device: torch.device) -> Tensor:
    """() number of rows in the batches of a step. The stock Trainer counts a soft label once per class instead.

    Raises:
        ValueError: a batch has no labels.
    """
    for inputs in samples:
        if "labels" not in inputs:
            raise ValueError(
                f"the batch has no 'labels' ({', '.join(inputs)}): the data collator dropped them. Expected one to "
                "pass on every key that it does not know."
            )
    rows = sum(len(inputs["labels"]) for inputs in samples)
    return torch.full((), rows, device=device)  # filled on the device: a copy would synchronize
