"""Records how the methods used each example: its weight, its target, and whether they were right."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
import torch
from torch import Tensor

from hf_noisy.data.label_encoding import has_label
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision


class SupervisionRecord(NoiseCallback):
    """Records the last target and weight of each example, and changes nothing. It runs last, if there is a method.

    Logged over the examples seen so far:

    - `kept_share`: share of the labelled examples with a weight above 0.
    - `weight_class_K`: mean weight of the examples labelled K.
    - `relabeled_share`: share of all examples whose target is another class than the given one, or is a class where
      none was given.
    - `peer_agreement`: with several networks, share of the labelled examples that all of them classify alike.
    - `relabeled_accuracy`, with gold labels: share of the relabeled examples whose target is the true class.
    - `selection_precision`, with gold labels: share of correct labels among the given labels that were trained on. Each
      label counts by its weight times the target's share of the given class.
    - `selection_recall`, with gold labels: share of the correct labels that were trained on at all.

    `report` returns `weight`, `picked_epoch` (the last epoch with a weight above 0, -1 for never) and `taught` (the
    most likely class of the last target, -1 where none was taught). Each is (rows,) for one network and
    (rows, networks) for several.

    Args:
        gold: (rows,) true classes, -1 where unknown. Used for metrics only; no method reads them.
    """

    logged = MappingProxyType(
        {
            "kept_share": "share of the labelled examples with a weight above 0 at their last visit",
            "weight_class_K": "mean weight of the examples that are labelled K",
            "relabeled_share": "share of all examples whose target is another class than the label, or a class where there is no label",
            "peer_agreement": "share of the labelled examples that all networks classify alike",
            "selection_precision": "share of the given labels trained on that are correct, weighted by their weight (`gold_column`)",
            "selection_recall": "share of the correct labels that are trained on (`gold_column`)",
            "relabeled_accuracy": "share of the relabelled examples whose target is the true class (`gold_column`)",
        }
    )

    def __init__(self, gold: np.ndarray | None = None) -> None:
        self.gold = gold

    def setup(self, context: Context) -> None:
        self.networks = context.networks
        labels = context.labels.to(context.device)
        self.covered, self.classes = has_label(labels), context.classes
        self.labels = labels if labels.ndim == 1 else labels.argmax(-1)  # only read where covered
        # weight, last epoch picked, predicted class, weight of the given label, class taught
        self.facts = Memory(context.rows, (5, self.networks), fill=-1, device=context.device)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        weights = supervision.weights.T.float()  # (batch, networks)
        picked = torch.where(weights > 0, float(int(batch.epoch)), self.facts.read(batch.index)[:, 1])
        classes = predictions.clean_log_probs[:, 0].argmax(-1).T.float()
        taught = weights * (supervision.targets * batch.given).sum(-1).T
        taught_class = torch.where(weights > 0, supervision.targets.argmax(-1).T.float(), -1.0)
        self.facts.write(batch, torch.stack([weights, picked, classes, taught, taught_class], 1))
        return supervision

    def metrics(self) -> dict[str, Tensor | float]:
        weights, _, classes, taught, taught_class = self.facts.values.unbind(1)  # (rows, networks)
        visited = classes[:, 0] >= 0
        seen = visited & self.covered
        given = torch.where(self.covered, self.labels, -1).unsqueeze(-1)
        relabeled = (taught_class >= 0) & (taught_class != given)
        kept = (weights > 0) & seen.unsqueeze(-1)
        logs: dict[str, Tensor | float] = {"kept_share": kept.sum() / seen.sum().clamp_min(1) / self.networks}
        logs |= {f"weight_class_{k}": mean for k, mean in enumerate(self._means_by_class(weights.mean(-1), seen))}
        logs["relabeled_share"] = relabeled.sum() / visited.sum().clamp_min(1) / self.networks
        if self.networks > 1:
            logs["peer_agreement"] = (classes == classes[:, :1]).all(-1)[seen].float().mean()
        if self.gold is not None:
            gold = torch.from_numpy(self.gold).to(seen.device)
            logs |= self._gold_metrics(taught * seen.unsqueeze(-1), seen, gold)
            known = relabeled & (gold >= 0).unsqueeze(-1)
            if known.any():
                right = known & (taught_class == gold.unsqueeze(-1))
                logs["relabeled_accuracy"] = right.sum() / known.sum()
        return logs

    def _means_by_class(self, weights: Tensor, seen: Tensor) -> Tensor:
        """(classes,) mean weight of the `seen` rows by label, in one pass. On the CPU, for a fixed order of sums."""
        labels, weights = self.labels[seen].cpu(), weights[seen].cpu().double()
        sums = torch.zeros(self.classes, dtype=weights.dtype).index_add_(0, labels, weights)
        return sums / labels.bincount(minlength=self.classes).clamp_min(1)

    def _gold_metrics(self, taught: Tensor, seen: Tensor, gold: Tensor) -> dict[str, Tensor]:
        right = ((self.labels == gold) & seen).unsqueeze(-1)
        known = (gold >= 0).unsqueeze(-1)
        return {
            "selection_precision": (taught * right).sum() / (taught * known).sum().clamp_min(1e-12),
            "selection_recall": ((taught > 0) & right).sum() / right.sum().clamp_min(1) / self.networks,
        }

    def report(self) -> dict[str, np.ndarray]:
        weights, picked, classes, _, taught_class = self.facts.values.cpu().unbind(1)
        weights = weights.masked_fill(classes < 0, torch.nan)  # never seen
        found = {"weight": weights.numpy(), "picked_epoch": picked.int().numpy(), "taught": taught_class.int().numpy()}
        return {name: values[:, 0] if self.networks == 1 else values for name, values in found.items()}

    def state_dict(self) -> dict[str, Tensor]:
        return {"facts": self.facts.state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.facts.load(state["facts"])
