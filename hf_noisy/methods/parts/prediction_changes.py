"""How many examples a model sees otherwise than at their previous visit, the curve of Label Wave (Yuan et al., 2024)."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_noisy.methods.parts.memory import Memory
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions

_CLASS, _CHANGED = range(2)  # columns of the table; -1 where not known yet


class PredictionChanges:
    """Each example's predicted class by the training forward, and whether its last visit changed it; 8 bytes a row."""

    def __init__(self, context: Context) -> None:
        self.table = Memory(context.rows, (2,), fill=-1, device=context.device)

    def note(self, predictions: Predictions, batch: Batch) -> None:
        """A visit; the predictions of several networks are their mean."""
        found = predictions.probs.argmax(-1).float()
        before = self.table.read(batch.index)[:, _CLASS]
        changed = torch.where(before < 0, -1.0, (found != before).float())
        self.table.write(batch, torch.stack([found, changed], -1))

    def share(self) -> float:
        """Of the examples that were visited twice, those whose last visit changed the class; NaN of none."""
        changed = self.table.values[:, _CHANGED]
        known = changed >= 0
        return float(changed[known].mean())

    def state(self) -> Tensor:
        """(rows, 2) a copy for a checkpoint."""
        return self.table.state()

    def load(self, values: Tensor) -> None:
        """Take back what `state` gave; another shape raises."""
        self.table.load(values)
