"""Counts, with gold labels, how many training rows were taught their true class at the last visit."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hf_noisy.data.label_encoding import has_label, one_hot
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision


class TaughtLabels(NoiseCallback):
    """Records for each example how much of the class that it was last taught is the gold one; changes nothing.

    The taught class is the largest of the target. If n classes are equally large and the gold one is among them, the
    example counts 1/n. An example of weight 0 counts by its given label. Pass it as the last callback. For measuring
    only.

    Args:
        gold: (rows,) true classes in row order, -1 where unknown. Further rows of the training set (trusted ones) have none.
    """

    def __init__(self, gold: np.ndarray) -> None:
        self.gold = gold

    def setup(self, context: Context) -> None:
        gold = torch.full((context.rows,), -1)
        gold[: len(self.gold)] = torch.from_numpy(self.gold)
        self.known = gold.clamp_min(0).to(context.device)  # class 0 where unknown: not counted
        self.counted = has_label(context.labels).to(context.device) & (gold >= 0).to(context.device)
        given = one_hot(context.labels.to(context.device), context.classes)
        start = share_of_gold(given, self.known).unsqueeze(-1).expand(-1, context.networks)
        self.right = Memory(context.rows, (context.networks,), device=context.device)
        self.right.values.copy_(start)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        targets = supervision.targets
        taught = (supervision.weights > 0) & (targets.sum(-1) > 0)  # (networks, batch)
        labels = torch.where(taught.unsqueeze(-1), targets, batch.given.to(targets.dtype))
        self.right.write(batch, share_of_gold(labels, self.known[batch.index].expand(len(labels), -1)).T)
        return supervision

    def correct(self) -> float | None:
        """The share of the labelled rows with a known true class that were taught it, mean over networks; None without any."""
        found = self.right.values[self.counted]
        return float(found.double().mean()) if len(found) else None

    def state_dict(self) -> dict[str, Tensor]:
        return {"right": self.right.state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.right.load(state["right"])


def share_of_gold(labels: Tensor, gold: Tensor) -> Tensor:
    """(..., classes) labels and (...) true classes -> (...): 1 / n if the true class is one of the n largest, else 0.

    >>> share_of_gold(torch.tensor([[0.7, 0.3, 0.0], [0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]), torch.tensor([0, 1, 2]))
    tensor([1.0000, 0.5000, 0.0000])
    """
    largest = labels == labels.max(-1, keepdim=True).values
    return largest.gather(-1, gold.unsqueeze(-1)).squeeze(-1) / largest.sum(-1)
