"""What the methods made of each example: who picked it, how hard it was taught, and whether that was right."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hf_noisy.callbacks.base import NoiseCallback
from hf_noisy.labels import one_hot
from hf_noisy.memory import Memory
from hf_noisy.supervision import Batch, Context, Predictions, Supervision


class SupervisionRecord(NoiseCallback):
    """Writes down what each example was taught last, and changes nothing; last in the fold, where there is a method.

    Logged over the examples seen so far: `kept_share` (weight above 0), `weight_class_K` (mean weight of the examples
    labelled K), with two networks `peer_agreement` (share of examples that they classify alike), with gold labels
    `selection_precision` (share of kept labels that are right) and `selection_recall` (share of right labels kept).

    `report` gives `weight` and `picked_epoch` (the last epoch with a weight above 0, -1 for never), (rows,) of one
    network, (rows, networks) of several.

    Args:
        gold: (rows,) true classes, -1 where unknown; for measuring only. No method sees them.
    """

    def __init__(self, gold: np.ndarray | None = None) -> None:
        self.gold = gold

    def setup(self, context: Context) -> None:
        self.networks = context.networks
        given = one_hot(context.labels, context.classes).to(context.device)  # (rows, classes)
        self.covered, self.labels, self.classes = given.sum(-1) > 0, given.argmax(-1), context.classes
        self.facts = Memory(context.rows, (3, self.networks), fill=-1, device=context.device)  # weight, picked, class

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        weights = supervision.weights.T.float()  # (batch, networks)
        picked = torch.where(weights > 0, float(int(batch.epoch)), self.facts.read(batch.index)[:, 1])
        classes = predictions.clean_log_probs[:, 0].argmax(-1).T.float()
        self.facts.write(batch, torch.stack([weights, picked, classes], 1))
        return supervision

    def metrics(self) -> dict[str, Tensor | float]:
        weights, _, classes = self.facts.values.unbind(1)  # (rows, networks)
        seen = (classes[:, 0] >= 0) & self.covered
        kept = (weights > 0) & seen.unsqueeze(-1)
        logs: dict[str, Tensor | float] = {"kept_share": kept.sum() / seen.sum().clamp_min(1) / self.networks}
        for k in range(self.classes):
            mine = seen & (self.labels == k)
            logs[f"weight_class_{k}"] = weights[mine].sum() / mine.sum().clamp_min(1) / self.networks
        if self.networks > 1:
            logs["peer_agreement"] = (classes == classes[:, :1]).all(-1)[seen].float().mean()
        if self.gold is not None:
            logs |= self._against_gold(kept, seen, torch.from_numpy(self.gold).to(kept.device))
        return logs

    def _against_gold(self, kept: Tensor, seen: Tensor, gold: Tensor) -> dict[str, Tensor]:
        right = ((self.labels == gold) & seen).unsqueeze(-1)
        known = (gold >= 0).unsqueeze(-1)
        both = (kept & right).sum()
        return {
            "selection_precision": both / (kept & known).sum().clamp_min(1),
            "selection_recall": both / right.sum().clamp_min(1) / self.networks,
        }

    def report(self) -> dict[str, np.ndarray]:
        weights, picked, classes = self.facts.values.cpu().unbind(1)
        weights = weights.masked_fill(classes < 0, torch.nan)  # never seen
        found = {"weight": weights.numpy(), "picked_epoch": picked.int().numpy()}
        return {name: values[:, 0] if self.networks == 1 else values for name, values in found.items()}

    def state_dict(self) -> dict[str, Tensor]:
        return {"facts": self.facts.state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.facts.load(state["facts"])
