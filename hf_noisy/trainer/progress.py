"""Where a training stands: which epoch, which of its batches, and which of their rows are repetitions."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

REAL = "real"  # key of a batch, (batch,) False where a distributed sampler repeats a row to fill its last batch


class Progress:
    """Counts epochs and batches as the Trainer runs them, resumed or not."""

    def __init__(self) -> None:
        self.epoch: int | None = None  # None before the first one of this training
        self.updates_per_epoch = 1
        self.micro_step = 0  # accumulated batches of this step so far, the present one among them
        self._rows_per_epoch = 0
        self._batches_done = 0  # in this epoch, those of this step among them

    def begin_training(self, *, updates_per_epoch: int, rows: int, drawn: int, batch: int) -> None:
        """Before the first step, of a resumed training too.

        Args:
            updates_per_epoch: optimizer steps of an epoch.
            rows: of the training set.
            drawn: rows of an epoch as the dataloader gives them, over all processes.
            batch: rows of one batch over all processes.
        """
        self.epoch, self.updates_per_epoch = None, updates_per_epoch
        own_sampler = not 0 <= drawn - rows < batch  # then no row is a filler
        self._rows_per_epoch = sys.maxsize if own_sampler else rows

    def begin_epoch(self, global_step: int, accumulated: int) -> int:
        """The epoch that begins. The first one may be resumed in its middle.

        Args:
            global_step: optimizer steps done.
            accumulated: batches that make one step; 0 where a resumed epoch does not pass over those that were seen.
        """
        if self.epoch is not None:
            self.epoch, self._batches_done = self.epoch + 1, 0
        else:
            self.epoch, updates = divmod(global_step, self.updates_per_epoch)
            self._batches_done = updates * accumulated
        return self.epoch

    def begin_step(self, batches: int) -> int:
        """Count the batches of a step; returns the position in the epoch of its first batch."""
        first, self.micro_step = self._batches_done, 0
        self._batches_done += batches
        return first

    def epochs_done(self, accumulated: int) -> float:
        """Epochs before this step, a fraction within one; `accumulated` batches make one step."""
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
        """Give each batch of a step the key `REAL`; returns the number of distinct rows over all processes.

        Args:
            samples: the batches of the step on this process.
            first: position in the epoch of the first of them.
            rank, processes: of this process, and how many there are.
            batch_size: rows of a full batch on one process.
            gather: (n,) of this process -> (n of all processes,).
            device: where counts are kept.
        """
        rows = torch.zeros((), dtype=torch.int64, device=device)
        for position, inputs in enumerate(samples, start=first):
            begin = (position * processes + rank) * batch_size
            numbers = torch.arange(begin, begin + len(inputs["labels"]), device=device)
            inputs[REAL] = numbers < self._rows_per_epoch
            rows += inputs[REAL].sum()
        return gather(rows.reshape(1)).sum()


def count_rows(samples: list[dict[str, Any]], device: torch.device) -> Tensor:
    """Rows of the batches of a step, not labels: the stock Trainer counts a soft label once for each class.

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
    return torch.full((), rows, device=device)  # filled there: a copy would wait for the device
