"""DivideMix (Li et al., ICLR 2020), for text."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from hf_noisy.common.checks import check_fraction, check_not_negative
from hf_noisy.methods.parts.loss_split import LossSplit, sharpen
from hf_noisy.methods.parts.mixing import draw_mix, hide_tokens
from hf_noisy.methods.parts.selection import ramp
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

_RAMP = 16 / 300  # share of the epochs; Li et al. 2020: 16 of 300
_GUESS_VIEWS = 2


class DivideMix(LossSplit):
    """Treats examples whose labels seem wrong as unlabeled, and trains on mixtures of pairs of examples.

    Two networks. Each is trained on the split that the other makes, so that the mistakes of a split are not reinforced.
    A labeled example's target is w y + (1 - w) p, with w its clean probability and p the network's own prediction. An
    unlabeled example's target is the mean prediction of both networks. Both are sharpened. The predictions for targets
    come from two views of the text with some tokens hidden, without dropout. Then the word embeddings and the target of
    every example are mixed with those of a random partner. The loss is the criterion on labeled examples and the
    squared error of the probabilities on unlabeled ones. A penalty keeps the mean prediction close to the prior.

    Source: Li et al., "DivideMix: Learning with Noisy Labels as Semi-supervised Learning", ICLR 2020. There: images, a
    warm-up of 10 of 300 epochs, and lambda_u by data set and noise rate; here lambda_u has one default.

    Args:
        warmup_epochs: whole epochs on all labels before the first split.
        clean_threshold: an example keeps its label if its clean probability is above this; p in the paper.
        temperature: T of sharpening.
        alpha: of Beta(alpha, alpha), from which the mixing ratio l is drawn; max(l, 1 - l) is used.
        lambda_u: weight of the unlabeled examples, at least 0; it rises over the first 16/300 of the training after the
            warm-up.
        hidden_share: share of the tokens that are hidden in each view for targets, in [0, 1).
        trained_views: 1, or 2 as in the paper, where each example is trained on in two views with hidden tokens.

    Costs two networks, a pass of both over the training set before each epoch after the warm-up, and four forwards
    without gradient per step. The prior is uniform, as in the paper: with very imbalanced classes it pulls the
    predictions towards balanced ones. It defines the split and the mixing of a step, so it does not combine with
    another method that splits. Works with any criterion.

    >>> DivideMix().lambda_u
    25.0
    """

    num_networks = 2
    needs_embeddings = True

    def __init__(
        self,
        warmup_epochs: int = 1,
        clean_threshold: float = 0.5,
        temperature: float = 0.5,
        alpha: float = 4.0,
        lambda_u: float = 25.0,
        hidden_share: float = 0.1,
        trained_views: int = 1,
    ) -> None:
        super().__init__(warmup_epochs, clean_threshold, temperature, alpha)
        if trained_views not in (1, 2):
            raise ValueError(f"trained_views={trained_views!r}: expected 1 or 2.")
        self.lambda_u, self.trained_views = check_not_negative("lambda_u", lambda_u), trained_views
        self.hidden_share = check_fraction("hidden_share", hidden_share, "[0, 1)")

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.ramp_length = _RAMP * context.epochs

    def peek(self, batch: Batch) -> bool:
        return self.active(batch)

    def views(self, inputs: dict[str, Any], batch: Batch) -> list[dict[str, Any]]:
        if not self.active(batch):
            return [inputs]
        if not batch.peeking and self.trained_views == 1:
            return [inputs]
        purpose = "guess" if batch.peeking else "train"
        return [
            hide_tokens(inputs, self.hidden_share, batch.generator(f"{purpose} view {view}"))
            for view in range(_GUESS_VIEWS if batch.peeking else self.trained_views)
        ]

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if not self.active(batch):
            return supervision
        labeled, clean = self.of_peers(batch)
        probs = predictions.clean_log_probs.exp().mean(1)  # (networks, batch, classes), over views
        w = clean.unsqueeze(-1)
        refined = w * supervision.targets + (1 - w) * probs
        guessed = probs.mean(0, keepdim=True).expand_as(probs)
        targets = sharpen(torch.where(labeled.unsqueeze(-1), refined, guessed), self.temperature)
        share = labeled.shape[-1] / labeled.sum(-1, keepdim=True).clamp_min(1)
        return replace(
            supervision,
            targets=targets,
            weights=supervision.weights * labeled * share,  # mean over the labeled
            mix=draw_mix(batch.key, labeled.shape[-1], self.alpha, "embeddings", batch.index.device),
        )

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor | None:
        if not self.active(batch):
            return None
        labeled, _ = self.of_peers(batch)
        probs = predictions.clean_log_probs.exp()  # (networks, views, batch, classes)
        errors = (probs - supervision.targets.unsqueeze(1)).square().mean(-1).mean(1)  # (networks, batch)
        share = labeled.shape[-1] / (~labeled).sum(-1, keepdim=True).clamp_min(1)
        rate = self.lambda_u * ramp(batch.epoch - self.warmup_epochs, self.ramp_length)
        unlabeled = (rate * errors * ~labeled * share).sum(0)
        mean = probs.mean((1, 2)).clamp_min(1e-8)  # (networks, classes)
        prior = 1 / mean.shape[-1]
        return unlabeled + (prior * (prior / mean).log()).sum()  # KL(prior || mean), summed over networks

    def of_peers(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """(networks, batch) each: whether an example keeps its label, and its clean probability, by the other one."""
        keeps, clean = self.keeps_label.read(batch.index), self.clean_probability.read(batch.index)
        return keeps.flip(-1).T & batch.covered, clean.flip(-1).T * batch.covered
