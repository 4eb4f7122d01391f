"""A table with one row per training example, equal on all processes."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_noisy.models.batch import Batch


class Memory:
    """Stores a number or a vector for each training example, by its row number.

    The table has one row more than there are examples. Rows that a distributed sampler repeats are written to this
    extra row. So nothing has to be filtered, which would wait for the device.

    Args:
        rows: number of training examples.
        shape: of the entry of one example; `()` for a number.
        dtype: of the table.
        fill: initial value.
        device: where the table is stored. Writes stay on this device.

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
        """(rows, *shape) the stored values in row order. This is a view: assigning into it changes the table."""
        return self._table[:-1]

    def read(self, index: Tensor) -> Tensor:
        """(batch,) row numbers -> (batch, *shape) stored values."""
        return self._table[index]

    def write(self, batch: Batch, values: Tensor) -> None:
        """Stores (batch, *shape) `values` for the rows of `batch`. Each process also stores those of the others."""
        self._table[batch.gathered_index] = batch.gather(values).to(self._table.dtype)

    def state(self) -> Tensor:
        """(rows, *shape) copy of the values for a checkpoint."""
        return self.values.clone()

    def load(self, values: Tensor) -> None:
        """Restores what `state` returned. Raises ValueError for another shape."""
        if values.shape != self.values.shape:
            raise ValueError(
                f"checkpoint holds a memory of shape {tuple(values.shape)}, this run needs {tuple(self.values.shape)}. "
                "Resume with the training set and the model that wrote the checkpoint."
            )
        self.values.copy_(values)
