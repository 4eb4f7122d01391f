"""Co-teaching (Han et al., NeurIPS 2018)."""

from __future__ import annotations

from torch import Tensor

from hf_noisy.methods.parts.small_loss import SmallLoss
from hf_noisy.models.batch import Batch
from hf_noisy.models.predictions import Predictions


class CoTeaching(SmallLoss):
    """Trains each of two networks on the examples of a batch with small losses under the other, and drops the rest.

    Each network uses the selection of the other, so that it does not reinforce its own mistakes.

    Source: Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels", NeurIPS
    2018. There, `forget_rate` is the true noise rate and rises over 10 of 200 epochs.

    Args:
        forget_rate: as in `SmallLoss`.
        ramp_epochs: as in `SmallLoss`.

    Costs two networks. Examples are ranked within the batch of a process, so gradient accumulation and several
    processes select other examples than one large batch would. Combines with any criterion, which is used for ranking
    and training. Prefer it if labels are wrong at random; labels that are wrong by a rule have small losses too.

    >>> CoTeaching(forget_rate=40)
    Traceback (most recent call last):
    ValueError: forget_rate=40: expected a number in [0, 1). Did you mean 0.4?
    """

    def select(self, losses: Tensor, candidates: Tensor, predictions: Predictions, batch: Batch) -> Tensor:
        return self.exchange(losses, candidates, batch)
