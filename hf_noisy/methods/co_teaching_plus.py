"""Co-teaching+ (Yu et al., ICML 2019)."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_noisy.common.checks import check_fraction
from hf_noisy.methods.parts.small_loss import ForgetRate, SmallLoss
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions


class CoTeachingPlus(SmallLoss):
    """Trains each of two networks on the small-loss examples of the other, among those on which the two disagree.

    Two networks that train each other become alike, and then select alike. Examples on which they disagree keep them
    different. During the warm-up, and in a batch without any disagreement, it is `CoTeaching`.

    Source: Yu et al., "How does Disagreement Help Generalization against Label Corruption?", ICML 2019. There, the
    warm-up is 20 of 200 epochs.

    Args:
        forget_rate: as in `SmallLoss`; the rate applies to the examples with disagreement.
        ramp_epochs: as in `SmallLoss`.
        warmup: share of the epochs in which disagreement is ignored, in [0, 1].

    Costs two networks. Uses few examples per step once the networks agree: with few steps, prefer `CoTeaching`. Ranks
    within a batch, as `CoTeaching` does.

    >>> CoTeachingPlus().warmup
    0.1
    """

    def __init__(self, forget_rate: ForgetRate = "auto", ramp_epochs: float | None = None, warmup: float = 0.1) -> None:
        super().__init__(forget_rate, ramp_epochs)
        self.warmup = check_fraction("warmup", warmup, "[0, 1]")

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.warmup_epochs = self.warmup * context.epochs

    def select(self, losses: Tensor, candidates: Tensor, predictions: Predictions, batch: Batch) -> Tensor:
        if batch.epoch < self.warmup_epochs:
            return self.exchange(losses, candidates, batch)
        first, second = predictions.clean_log_probs[:, 0].argmax(-1)
        differ = candidates & (first != second)
        return self.exchange(losses, torch.where(differ.any(), differ, candidates), batch)
