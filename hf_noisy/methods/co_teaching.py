"""Co-teaching (Han et al., NeurIPS 2018)."""

from __future__ import annotations

from torch import Tensor

from hf_noisy.methods.parts.small_loss import SmallLoss
from hf_noisy.models.batch import Batch
from hf_noisy.models.predictions import Predictions


class CoTeaching(SmallLoss):
    """Teaches each of two networks the examples of a batch that the other finds easy; the rest teach it nothing.

    Each network trusts its peer's choice, so its own mistakes do not confirm themselves.

    Source: Han et al., "Co-teaching: Robust Training of Deep Neural Networks with Extremely Noisy Labels", NeurIPS
    2018. There `forget_rate` is the true noise rate and rises over 10 of 200 epochs.

    Args:
        forget_rate, ramp_epochs: as in `SmallLoss`.

    Costs two networks. It ranks inside the batch of a process, so accumulated batches and several processes choose
    otherwise than one large batch would. Combines with any criterion, by which it ranks and learns. Prefer it where
    labels are wrong at random; labels wrong by a rule have small losses too.

    >>> CoTeaching(forget_rate=40)
    Traceback (most recent call last):
    ValueError: forget_rate=40: expected a number in [0, 1). Did you mean 0.4?
    """

    def select(self, losses: Tensor, candidates: Tensor, predictions: Predictions, batch: Batch) -> Tensor:
        return self.exchange(losses, candidates, batch)
