"""One row of memory per training example, equal on all processes."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_noisy.models.batch import Batch


class Memory:
    """Remembers a number or a vector for each training example, by its row number.

    The table has one row more than there are examples: rows that a distributed sampler repeats are written there, so
    that nothing has to be filtered (filtering waits for the device).

    Args:
        rows: training examples.
        shape: of what is remembered of one example; `()` for a number.
        dtype: of the table.
        fill: its first value.
        device: where the table lives; writes never leave it.

    >>> loss = Memory(rows=3)
    >>> loss.values[torch.tensor([2])] = 0.5
    >>> loss.values
    tensor([0.0000, 0.0000, 0.5000])
    """

    def __init__(
        self,
        rows: int,
        shape: tuple[int, ...] = (),
        *,
        dtype: torch.dtype = torch.float32,
        fill: float = 0,
        device: torch.device | str = "cpu",
    ) -> None:
        self._table = torch.full((rows + 1, *shape), fill, dtype=dtype, device=device)

    @property
    def values(self) -> Tensor:
        """(rows, *shape) what is remembered, in row order; a view, so assigning into it writes."""
        return self._table[:-1]

    def read(self, index: Tensor) -> Tensor:
        """(batch,) row numbers -> (batch, *shape)."""
        return self._table[index]

    def write(self, batch: Batch, values: Tensor) -> None:
        """Remember (batch, *shape) `values` for the rows of `batch`; each process also learns what the others saw."""
        self._table[batch.everywhere] = batch.gather(values).to(self._table.dtype)

    def state(self) -> Tensor:
        """(rows, *shape) a copy for a checkpoint."""
        return self.values.clone()

    def load(self, values: Tensor) -> None:
        """Take back what `state` gave; another shape raises."""
        if values.shape != self.values.shape:
            raise ValueError(
                f"checkpoint holds a memory of shape {tuple(values.shape)}, this run needs {tuple(self.values.shape)}. "
                "Resume with the training set and the model that wrote the checkpoint."
            )
        self.values.copy_(values)
