"""Share of examples whose predicted class changed since their previous visit (Label Wave, Yuan et al., 2024)."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_noisy.methods.parts.memory import Memory
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions

_CLASS, _CHANGED = range(2)  # columns of the table; -1 where not known yet


class PredictionChanges:
    """Stores each example's predicted class in training, and whether the last visit changed it. Uses 8 bytes a row."""

    def __init__(self, context: Context) -> None:
        self.table = Memory(context.rows, (2,), fill=-1, device=context.device)

    def note(self, predictions: Predictions, batch: Batch) -> None:
        """Records a visit of the batch's examples. The predictions of several networks are averaged."""
        found = predictions.probs.argmax(-1).float()
        before = self.table.read(batch.index)[:, _CLASS]
        changed = torch.where(before < 0, -1.0, (found != before).float())
        self.table.write(batch, torch.stack([found, changed], -1))

    def share(self) -> float:
        """Share of the examples visited at least twice whose class changed at the last visit. NaN if there are none."""
        changed = self.table.values[:, _CHANGED]
        known = changed >= 0
        return float(changed[known].mean())

    def state(self) -> Tensor:
        """(rows, 2) copy of the table for a checkpoint."""
        return self.table.state()

    def load(self, values: Tensor) -> None:
        """Restores what `state` returned. Raises ValueError for another shape."""
        self.table.load(values)
