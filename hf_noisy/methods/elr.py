"""Early-learning regularisation (Liu et al., NeurIPS 2020)."""

from __future__ import annotations

import torch
from torch import Tensor

from hf_noisy.common.checks import check_fraction, check_not_negative
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

_CLAMP = 1e-4  # of probabilities, as in the paper


class EarlyLearningRegularization(NoiseCallback):
    """Keeps each prediction close to the average of the example's predictions in earlier epochs.

    A model fits correct labels first and memorises wrong ones later. A target t follows the predictions, t <- b t + (1
    - b) p, and lambda log(1 - <t, p>) is added to the loss. This draws p towards t, and so cancels the gradient of
    labels that contradict what was learned early.

    Source: Liu et al., "Early-Learning Regularization Prevents Memorization of Noisy Labels", NeurIPS 2020.

    Args:
        beta: b, momentum of the target, in [0, 1).
        lam: lambda, weight of the term, at least 0.

    Raises:
        ValueError, TypeError: a parameter outside its domain.

    One network, no further pass; 4 x classes bytes per row. The target is stored per example, so a resumed run is
    exact. The paper's values are for 120 epochs and more; in 3 epochs the target averages few predictions. Examples
    without a label are unchanged. Works with several networks, each with its own target.

    >>> EarlyLearningRegularization().beta
    0.7
    """

    def __init__(self, beta: float = 0.7, lam: float = 3.0) -> None:
        self.beta = check_fraction("beta", beta, "[0, 1)")
        self.lam = check_not_negative("lam", lam)

    def setup(self, context: Context) -> None:
        self.targets = Memory(context.rows, (context.networks, context.classes), device=context.device)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        probs = clamped(predictions).mean(1).transpose(0, 1)  # (batch, networks, classes)
        probs = probs / probs.sum(-1, keepdim=True)
        self.targets.write(batch, self.beta * self.targets.read(batch.index) + (1 - self.beta) * probs)
        return supervision

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor:
        targets = self.targets.read(batch.index).transpose(0, 1).unsqueeze(1)  # (networks, 1, batch, classes)
        agreement = (targets * clamped(predictions)).sum(-1)
        return self.lam * torch.log(1 - agreement).mean(1).sum(0) * batch.covered

    def state_dict(self) -> dict[str, Tensor]:
        return {"targets": self.targets.state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.targets.load(state["targets"])


def clamped(predictions: Predictions) -> Tensor:
    """(networks, views, batch, classes) probabilities, none of them 0 or 1."""
    return predictions.clean_log_probs.exp().clamp(_CLAMP, 1 - _CLAMP)
