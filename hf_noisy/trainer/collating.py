"""A data collator of the user, with the rows that it would get from the stock Trainer."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

import torch

from hf_noisy.data.columns import ROW
from hf_noisy.data.labels import label_column_of

_OWN = "transformers."  # collators of Transformers pass on every column


class RowCollator:
    """Calls a collator with rows that have no row number and the label under its own name, and adds row numbers to the batch.

    Args:
        collator: of the user.
        label_column: the name of the label column in the user's training set.

    >>> texts = RowCollator(lambda rows: {"words": [row["text"] for row in rows]}, "label")
    >>> texts([{"text": "a", "labels": 1, "hf_noisy_row": 7}])
    {'words': ['a'], 'hf_noisy_row': tensor([7])}
    """

    def __init__(self, collator: Callable[[list[Any]], Any], label_column: str) -> None:
        self.collator, self.label_column = collator, label_column

    def __call__(self, rows: Sequence[Any]) -> Any:
        """The collator's batch. Raises ValueError if it has not one row for each of `rows`."""
        batch = self.collator([self._as_passed(row) for row in rows])
        if isinstance(batch, MutableMapping) and "labels" not in batch and self.label_column in batch:
            batch["labels"] = batch.pop(self.label_column)
        numbered = all(isinstance(row, Mapping) and ROW in row for row in rows)
        if numbered and isinstance(batch, MutableMapping):
            self._check(batch, len(rows))
            batch[ROW] = torch.tensor([int(row[ROW]) for row in rows])
        return batch

    def _as_passed(self, row: Any) -> Any:
        if not isinstance(row, Mapping):
            return row
        found = {name: value for name, value in row.items() if name != ROW}
        if "labels" in found and self.label_column != "labels":
            found[self.label_column] = found.pop("labels")
        return found

    def _check(self, batch: Mapping[str, Any], rows: int) -> None:
        for name, values in batch.items():
            if isinstance(values, torch.Tensor) and values.ndim and len(values) != rows:
                raise ValueError(
                    f"data_collator: {name!r} has {len(values)} rows in a batch of {rows}: expected one for each row, so that "
                    "its label is known. Add rows to the dataset, or views of a row with a method (`NoiseCallback.views`)."
                )


@contextlib.contextmanager
def collating(trainer: Any, dataset: Any) -> Iterator[None]:
    """Inside, a collator of the user is a `RowCollator` for `dataset`. A dataloader that is made there keeps it."""
    passed = trainer.data_collator
    if not type(passed).__module__.startswith(_OWN) and not getattr(passed, "__module__", "").startswith(_OWN):
        trainer.data_collator = RowCollator(passed, label_column_of(dataset))
    try:
        yield
    finally:
        trainer.data_collator = passed
