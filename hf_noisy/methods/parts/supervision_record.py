"""What the methods made of each example: who picked it, how hard it was taught, and whether that was right."""

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
    """Writes down what each example was taught last, and changes nothing; last in the fold, where there is a method.

    Logged over the examples seen so far: `kept_share` (weight above 0), `weight_class_K` (mean weight of the examples
    labelled K), `relabeled_share` (of all examples, those taught another class than the given one, or one where none was
    given), with two networks `peer_agreement` (share of examples that they classify alike). With gold labels:
    `relabeled_accuracy` (share of the relabeled that were taught the true class),
    `selection_precision`, the share of right ones among the given labels that were taught, each counted by how hard it
    was (weight times the target's share of the given class), and `selection_recall`, the share of right labels that
    were taught at all.

    `report` gives `weight`, `picked_epoch` (the last epoch with a weight above 0, -1 for never) and `taught` (the
    likeliest class of the last target, -1 where none was taught), (rows,) of one network, (rows, networks) of several.

    Args:
        gold: (rows,) true classes, -1 where unknown; for measuring only. No method sees them.
    """

    logged = MappingProxyType(
        {
            "kept_share": "of the labelled examples, those with a weight above 0 at their last visit",
            "weight_class_K": "mean weight of the examples that are labelled K",
            "relabeled_share": "of all examples, those taught another class than the given one, or one where none was given",
            "peer_agreement": "of the labelled examples, those that all networks classify alike",
            "selection_precision": "of the given labels that were taught, the right ones, each counted by how hard it was (`gold_column`)",
            "selection_recall": "of the right labels, those that were taught at all (`gold_column`)",
            "relabeled_accuracy": "of the relabelled examples, those that were taught the true class (`gold_column`)",
        }
    )

    def __init__(self, gold: np.ndarray | None = None) -> None:
        self.gold = gold

    def setup(self, context: Context) -> None:
        self.networks = context.networks
        labels = context.labels.to(context.device)
        self.covered, self.classes = has_label(labels), context.classes
        self.labels = labels if labels.ndim == 1 else labels.argmax(-1)  # read where covered
        # weight, last epoch picked, predicted class, how hard the given label was taught, class taught
        self.facts = Memory(context.rows, (5, self.networks), fill=-1, device=context.device)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        weights = supervision.weights.T.float()  # (batch, networks)
        picked = torch.where(weights > 0, float(int(batch.epoch)), self.facts.read(batch.index)[:, 1])
        classes = predictions.clean_log_probs[:, 0].argmax(-1).T.float()
        taught = weights * (supervision.targets * batch.given).sum(-1).T
        lesson = torch.where(weights > 0, supervision.targets.argmax(-1).T.float(), -1.0)
        self.facts.write(batch, torch.stack([weights, picked, classes, taught, lesson], 1))
        return supervision

    def metrics(self) -> dict[str, Tensor | float]:
        weights, _, classes, taught, lesson = self.facts.values.unbind(1)  # (rows, networks)
        met = classes[:, 0] >= 0
        seen = met & self.covered
        given = torch.where(self.covered, self.labels, -1).unsqueeze(-1)
        relabeled = (lesson >= 0) & (lesson != given)
        kept = (weights > 0) & seen.unsqueeze(-1)
        logs: dict[str, Tensor | float] = {"kept_share": kept.sum() / seen.sum().clamp_min(1) / self.networks}
        logs |= {f"weight_class_{k}": mean for k, mean in enumerate(self._means_by_class(weights.mean(-1), seen))}
        logs["relabeled_share"] = relabeled.sum() / met.sum().clamp_min(1) / self.networks
        if self.networks > 1:
            logs["peer_agreement"] = (classes == classes[:, :1]).all(-1)[seen].float().mean()
        if self.gold is not None:
            gold = torch.from_numpy(self.gold).to(seen.device)
            logs |= self._against_gold(taught * seen.unsqueeze(-1), seen, gold)
            known = relabeled & (gold >= 0).unsqueeze(-1)
            logs["relabeled_accuracy"] = (known & (lesson == gold.unsqueeze(-1))).sum() / known.sum().clamp_min(1)
        return logs

    def _means_by_class(self, weights: Tensor, seen: Tensor) -> Tensor:
        """(classes,) of the rows that were `seen`, by their label, in one pass; on the CPU, where the order of sums is fixed."""
        labels, weights = self.labels[seen].cpu(), weights[seen].cpu().double()
        sums = torch.zeros(self.classes, dtype=weights.dtype).index_add_(0, labels, weights)
        return sums / labels.bincount(minlength=self.classes).clamp_min(1)

    def _against_gold(self, taught: Tensor, seen: Tensor, gold: Tensor) -> dict[str, Tensor]:
        right = ((self.labels == gold) & seen).unsqueeze(-1)
        known = (gold >= 0).unsqueeze(-1)
        return {
            "selection_precision": (taught * right).sum() / (taught * known).sum().clamp_min(1e-12),
            "selection_recall": ((taught > 0) & right).sum() / right.sum().clamp_min(1) / self.networks,
        }

    def report(self) -> dict[str, np.ndarray]:
        weights, picked, classes, _, lesson = self.facts.values.cpu().unbind(1)
        weights = weights.masked_fill(classes < 0, torch.nan)  # never seen
        found = {"weight": weights.numpy(), "picked_epoch": picked.int().numpy(), "taught": lesson.int().numpy()}
        return {name: values[:, 0] if self.networks == 1 else values for name, values in found.items()}

    def state_dict(self) -> dict[str, Tensor]:
        return {"facts": self.facts.state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.facts.load(state["facts"])
