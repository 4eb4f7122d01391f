"""JoCoR: joint training with co-regularisation (Wei et al., CVPR 2020)."""

from __future__ import annotations

from torch import Tensor

from hf_noisy.common.checks import check_fraction
from hf_noisy.methods.parts.selection import symmetric_kl
from hf_noisy.methods.parts.small_loss import ForgetRate, SmallLoss
from hf_noisy.models.batch import Batch
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision


class JoCoR(SmallLoss):
    """Trains two networks on the same examples: those on which both fit the label and agree with each other.

    The joint loss of an example is (1 - l) (CE1 + CE2) + l (KL(p1 || p2) + KL(p2 || p1)). The examples of a batch with
    the smallest joint losses are trained on, with the joint loss.

    Source: Wei et al., "Combating Noisy Labels by Agreement: A Joint Training Method with Co-Regularization", CVPR
    2020.

    Args:
        forget_rate: as in `SmallLoss`.
        ramp_epochs: as in `SmallLoss`.
        co_lambda: l, the weight of the agreement term, in [0, 1); 0.9 in the paper's experiments with 10 classes.

    Costs two networks. Ranks within a batch, as `CoTeaching` does.

    >>> JoCoR().co_lambda
    0.9
    """

    def __init__(
        self, forget_rate: ForgetRate = "auto", ramp_epochs: float | None = None, co_lambda: float = 0.9
    ) -> None:
        super().__init__(forget_rate, ramp_epochs)
        self.co_lambda = check_fraction("co_lambda", co_lambda, "[0, 1)")

    def select(self, losses: Tensor, candidates: Tensor, predictions: Predictions, batch: Batch) -> Tensor:
        joint = (1 - self.co_lambda) * losses.sum(0) + self.co_lambda * disagreement(predictions)
        return self.small(joint, candidates, batch).expand(len(losses), -1)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        return super().supervise(supervision, predictions, batch).weighted(1 - self.co_lambda)

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor:
        scale = self.co_lambda / (1 - self.co_lambda)  # `supervise` multiplied the weights by 1 - l
        return scale * supervision.weights[0] * disagreement(predictions)


def disagreement(predictions: Predictions) -> Tensor:
    """(batch,) symmetric KL divergence between the two networks, mean over views."""
    first, second = predictions.clean_log_probs  # (views, batch, classes)
    return symmetric_kl(first, second).mean(0)
