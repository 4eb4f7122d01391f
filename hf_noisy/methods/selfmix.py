"""SelfMix (Qiao et al., COLING 2022)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hf_noisy.common.checks import check_not_negative
from hf_noisy.methods.parts.loss_split import LossSplit, sharpen
from hf_noisy.methods.parts.mixing import draw_mix
from hf_noisy.methods.parts.selection import symmetric_kl
from hf_noisy.models.batch import Batch
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision


class SelfMix(LossSplit):
    """Removes labels with large losses, trains on the model's predictions instead, and mixes sentence vectors in pairs.

    One network. An example that keeps its label is trained on it. The others are trained on the network's own sharpened
    prediction, the mean of two dropout views. The input of the last layer is mixed with that of a random partner, and
    so is the target. Two terms are added on the unlabeled examples: minus the log-probability of the likeliest class
    (lambda_p), and half the symmetric KL divergence of the two dropout views (lambda_r).

    Source: Qiao et al., "SelfMix: Robust Learning Against Textual Label Noise with Self-Mixup Training", COLING 2022.

    Args:
        warmup_epochs: whole epochs on all labels before the first split; 2 in the paper's text experiments of 6.
        clean_threshold: an example keeps its label if its clean probability is above this.
        temperature: T of sharpening.
        alpha: of Beta(alpha, alpha), from which the mixing ratio l is drawn; max(l, 1 - l) is used.
        lambda_p: weight of the first term, at least 0.
        lambda_r: weight of the second term, at least 0.

    Costs two dropout views of one network, and a pass over the training set before each epoch after the warm-up. Does
    not combine with another method that splits; works with any criterion.

    >>> SelfMix().alpha
    0.75
    """

    def __init__(
        self,
        warmup_epochs: int = 2,
        clean_threshold: float = 0.5,
        temperature: float = 0.5,
        alpha: float = 0.75,
        lambda_p: float = 0.2,
        lambda_r: float = 0.3,
    ) -> None:
        super().__init__(warmup_epochs, clean_threshold, temperature, alpha)
        self.lambda_p = check_not_negative("lambda_p", lambda_p)
        self.lambda_r = check_not_negative("lambda_r", lambda_r)

    def views(self, inputs: dict[str, Any], batch: Batch) -> list[dict[str, Any]]:
        return [inputs, inputs] if self.active(batch) else [inputs]

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if not self.active(batch):
            return supervision
        labeled = self.labeled(batch)
        guessed = sharpen(predictions.clean_log_probs.exp().mean(1), self.temperature)
        return replace(
            supervision,
            targets=torch.where(labeled.unsqueeze(-1), supervision.targets, guessed),
            weights=torch.where(labeled, supervision.weights, 1.0),
            mix=draw_mix(batch.key, labeled.shape[-1], self.alpha, "vectors", batch.index.device),
        )

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor | None:
        if predictions.unmixed is None:
            return None
        log_probs = predictions.unmixed.clean_log_probs  # (networks, 2 views, batch, classes)
        apart = symmetric_kl(*log_probs.unbind(1))  # (networks, batch)
        doubt = -log_probs.amax(-1).mean(1)
        unlabeled = ~self.labeled(batch)
        share = unlabeled.shape[-1] / unlabeled.sum(-1, keepdim=True).clamp_min(1)  # mean over the unlabeled
        return ((self.lambda_p * doubt + self.lambda_r * apart / 2) * unlabeled * share).sum(0)

    def labeled(self, batch: Batch) -> Tensor:
        """(networks, batch) whether an example keeps its label."""
        return self.keeps_label.read(batch.index).T & batch.covered
