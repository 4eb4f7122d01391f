"""Evaluation: plain cross-entropy and accuracy over all rows with a label, for every method."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.trainer_utils import EvalLoopOutput, default_compute_objective

from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods.parts.losses import CrossEntropy
from hf_noisy.models.networks import Networks
from hf_noisy.models.outputs import NETWORK_LOGITS

_ACCURACY = "label_accuracy"


class Evaluation:
    """Sums losses and correct predictions over the batches of one evaluation loop. Changes no training state."""

    def __init__(self) -> None:
        self._sums: Tensor | None = None  # loss; rows: labelled, correct by the ensemble, by each network

    def begin(self, device: torch.device) -> None:
        """Reset the sums before the batches of an evaluation."""
        self._sums = torch.zeros((), device=device)

    def count(self, logits: Tensor, of_networks: Tensor, labels: Tensor, gather: Callable[[Tensor], Tensor]) -> Tensor:
        """Count a batch. Returns the () mean cross-entropy of its rows that have a label.

        Args:
            logits: (batch, classes).
            of_networks: (networks, batch, classes) of each network.
            labels: (batch,) ids, negative for none; or (batch, classes).
            gather: (batch, columns) of this process -> of all processes, without repeated rows.
        """
        targets = one_hot(labels, logits.shape[-1])
        losses = CrossEntropy()(logits.float().log_softmax(-1), targets)
        covered = (targets.sum(-1) > 0).to(losses.dtype)
        every = torch.cat([logits.unsqueeze(0), of_networks])  # the ensemble's, then each network's
        right = (every.argmax(-1) == targets.argmax(-1)) * covered  # (1 + networks, batch)
        facts = torch.stack([losses, covered, *right], -1)  # (batch, 3 + networks)
        if self._sums is not None:
            self._sums = self._sums + gather(facts).sum(0)
        total, rows = facts[:, :2].sum(0)
        return total / rows.clamp_min(1)

    def end(self, output: EvalLoopOutput, prefix: str, *, keeps_loss: bool = False) -> list[float]:
        """Write the loss and the accuracy over all rows with a label into the metrics of `output`.

        Args:
            output: of the stock loop.
            prefix: of the metrics.
            keeps_loss: keep the loss of the stock loop, which is that of a subclass.

        Returns:
            the number of correct rows of each network; empty if there were no labels.
        """
        assert self._sums is not None
        sums, self._sums = self._sums, None
        loss, rows, right, *of_each = sums.tolist() if sums.ndim else (0.0, 0.0, 0.0)  # without labels: nothing added
        if output.metrics is not None and f"{prefix}_loss" in output.metrics and not (keeps_loss and not rows):
            if not keeps_loss:
                output.metrics[f"{prefix}_loss"] = loss / rows if rows else float("nan")
            output.metrics[f"{prefix}_{_ACCURACY}"] = right / rows if rows else float("nan")
        return of_each


def choose_deployed(model: nn.Module, right: list[float], prefix: str, evaluation: Any) -> None:
    """Deploy the network with the most correct rows on the evaluation set. With several sets, the first one decides.

    Args:
        model: the trained model. A single network is unchanged.
        right: the number of correct rows of each network; empty if there were no labels.
        prefix: of the evaluation's metrics.
        evaluation: the trainer's evaluation set, or a dictionary of sets.
    """
    names = list(evaluation) if isinstance(evaluation, dict) else []
    meant = f"eval_{names[0]}" if names else "eval"
    if isinstance(model, Networks) and right and prefix == meant:
        model.deployed = right.index(max(right))


def ignored_outputs(model: Any, ignore_keys: list[str] | None) -> list[str] | None:
    """The keys of the outputs that are no predictions. None: those that the model's configuration names."""
    if not isinstance(model, Networks):
        return ignore_keys
    named = getattr(model.config, "keys_to_ignore_at_inference", []) if ignore_keys is None else ignore_keys
    return [*named, NETWORK_LOGITS]


def objective(metrics: dict[str, float]) -> float:
    """The default objective of Transformers without `eval_label_accuracy`, which it would take for a metric of the user."""
    return float(default_compute_objective({k: v for k, v in metrics.items() if not k.endswith(f"_{_ACCURACY}")}))
