"""Loss correction by a known or estimated transition matrix (Patrini et al., CVPR 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging

from hf_noisy.common.checks import check_flag, check_fraction, nearest
from hf_noisy.evidence.matrices.in_training import IN_TRAINING, estimated_matrix
from hf_noisy.evidence.matrices.matrices import check_invertible
from hf_noisy.methods.parts.label_channel import LabelChannel, Matrix, known_matrix
from hf_noisy.models.batch import Batch
from hf_noisy.models.channels import Channel
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.criterion import Criterion
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)


class LossCorrection(LabelChannel):
    """Base of `Forward-` and `BackwardCorrection`: a matrix that is given, or estimated after the warm-up.

    Args:
        matrix: (classes, classes), rows sum to 1; or the estimator "anchor_points" (Patrini et al. 2017: row i is the
            prediction for the example at the 97th percentile of the probability of class i) or "dual_t" (Yao et al.,
            NeurIPS 2020). The estimate uses the classifier's own predictions for its training set, as in the papers.
            One from out-of-fold probabilities (`hf_noisy.evidence`) is better, and can be given.
        warmup_epochs: whole epochs on the given labels; None is a third of the training, 0 with a given matrix.
    """

    def __init__(self, matrix: Matrix | str = "anchor_points", warmup_epochs: int | None = None) -> None:
        if isinstance(matrix, str) and matrix not in IN_TRAINING:
            raise ValueError(f"matrix={matrix!r}: expected a matrix or an estimator. {nearest(matrix, IN_TRAINING)}")
        self.source = matrix
        self.known = not isinstance(matrix, str)
        super().__init__(warmup_epochs)

    def setup(self, context: Context) -> None:
        super().setup(context)
        absent = np.flatnonzero(self.shares == 0).tolist()
        if not isinstance(self.source, str):
            self.check(known_matrix(self.source, context.classes))
        elif absent:
            raise ValueError(
                f"matrix={self.source!r}: class {absent[0]} is absent from the training labels, so how it is labelled "
                "cannot be estimated. Give the matrix, or load the model without the class."
            )

    def matrices(self, survey: Callable[[], Survey]) -> Tensor:
        if not isinstance(self.source, str):
            return known_matrix(self.source, self.classes).expand(self.networks, -1, -1)
        seen = survey()
        estimates = [estimated_matrix(self.source, log_probs.exp(), seen.given) for log_probs in seen.log_probs]
        return torch.stack([self.adjusted_matrix(torch.from_numpy(matrix).float()) for matrix in estimates])

    def check(self, matrix: Tensor) -> None:
        """Raises if the correction cannot use a given matrix."""

    def adjusted_matrix(self, matrix: Tensor) -> Tensor:
        """Returns the matrix that the correction uses in place of an estimated one."""
        return matrix


class ForwardCorrection(LossCorrection):
    """Compares the given label with the prediction of the true class multiplied by the noise matrix: -log (p T)_y.

    Source: Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach", CVPR 2017.
    The paper trains a second network from scratch with the estimated matrix; here one training continues.

    Args:
        matrix: as in `LossCorrection`.
        warmup_epochs: as in `LossCorrection`.

    Raises:
        ValueError: an unknown estimator; before the first step, no transition matrix of the model's classes.

    Works with any criterion. Costs next to nothing.

    >>> ForwardCorrection(matrix=[[0.9, 0.1], [0.3, 0.7]]).known
    True
    """


class BackwardCorrection(LossCorrection):
    """Trains each example on targets whose expected loss over the noise is the loss of the true label.

    The target of label y is row y of T^-1, so the loss is sum_j (T^-1)_yj loss(j). Its expectation over y, given the
    true class k, is loss(k). T^-1 has negative entries, so a single loss can be negative. If a loss is unbounded above,
    like cross-entropy, its correction is then unbounded below, and a large network minimises it further and further
    instead of learning. A true risk cannot be negative. So the part of a batch's loss that belongs to a true class is
    left out while it is negative (the correction of Ishida et al., "Complementary-Label Learning for Arbitrary Losses
    and Models", ICML 2019).

    Source: Patrini et al., "Making Deep Neural Networks Robust to Label Noise: a Loss Correction Approach", CVPR 2017.

    Args:
        matrix: as in `LossCorrection`.
        warmup_epochs: as in `LossCorrection`.
        max_condition: the largest condition number of T that is inverted, at least 1; it bounds how much errors of T
            grow. An estimate above it is mixed with the identity until it is not, with a warning.
        nonnegative: whether to leave out negative parts; False is the paper's version.

    Raises:
        ValueError: as for `ForwardCorrection`; a given matrix whose condition number is above `max_condition`.

    Prefer `ForwardCorrection`, which has a lower variance. The parts that are left out depend on the rows of one
    forward, over all processes, so gradient accumulation can leave out other parts than one large batch would.

    >>> BackwardCorrection(matrix=[[0.9, 0.1], [0.3, 0.7]]).max_condition
    100.0
    """

    def __init__(
        self,
        matrix: Matrix | str = "anchor_points",
        warmup_epochs: int | None = None,
        max_condition: float = 100.0,
        nonnegative: bool = True,
    ) -> None:
        super().__init__(matrix, warmup_epochs)
        if not isinstance(max_condition, int | float) or not max_condition >= 1:
            raise ValueError(f"max_condition={max_condition!r}: expected a number, 1 or more.")
        check_flag("nonnegative", nonnegative)
        self.max_condition, self.nonnegative = max_condition, nonnegative

    def make_channel(self, model: PreTrainedModel) -> Channel | None:
        return None

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.criterion_used: Criterion = context.criterion
        self.rows = context.rows
        shape = (context.networks, context.classes, context.classes)
        self.transitions = torch.eye(context.classes, device=context.device).expand(shape).clone()
        self.inverses = self.transitions.clone()

    def use(self, matrices: Tensor) -> None:
        self.transitions.copy_(matrices)
        self.inverses.copy_(torch.linalg.inv(matrices.double()))

    def found(self) -> Tensor:
        return self.transitions

    def check(self, matrix: Tensor) -> None:
        check_invertible(matrix.numpy(), self.max_condition)

    def adjusted_matrix(self, matrix: Tensor) -> Tensor:
        identity = torch.eye(len(matrix))
        for share in torch.linspace(0, 1, 101):
            mixed = torch.lerp(matrix, identity, share)
            if torch.linalg.cond(mixed.double()) <= self.max_condition:
                break
        if share > 0:
            logger.warning(
                f"BackwardCorrection: the estimated matrix has condition number {torch.linalg.cond(matrix.double()):.3g}, above "
                f"max_condition={self.max_condition:g}; it is mixed with {share:.0%} of the identity."
            )
        return mixed

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if not self.started:
            return supervision
        targets, trusted = supervision.targets @ self.inverses, supervision.trusted
        if self.nonnegative:
            losses = self.criterion_used.per_class(predictions.clean_log_probs).mean(1)  # (networks, batch, classes)
            counted = supervision.weights if trusted is None else supervision.weights * ~trusted
            parts = targets * losses * counted.unsqueeze(-1)
            everywhere = batch.gather(parts.transpose(0, 1).contiguous())  # (batch of all processes, ...)
            real = (batch.gathered_index < self.rows).view(-1, 1, 1)
            negative = (everywhere * real).sum(0).unsqueeze(1) < 0  # (networks, 1, classes)
            targets = targets.masked_fill(negative, 0)
        if trusted is not None:
            targets = torch.where(trusted.unsqueeze(-1), supervision.targets, targets)
        return replace(supervision, targets=targets)

    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), "transitions": self.transitions}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        super().load_state_dict(state)
        self.use(state["transitions"].to(self.device))


class UniformNoise(LabelChannel):
    """Assumes that a fixed share of labels was drawn uniformly, so that the loss of an example is at most log(K / e).

    The given label has the probability e / K + (1 - e) p: the channel replaces a label, with probability e, by any
    class. If p is much smaller than e / K, the gradient is close to zero.

    Source: the forward correction of Patrini et al., "Making Deep Neural Networks Robust to Label Noise", CVPR 2017,
    with a uniform transition matrix.

    Args:
        noise_rate: e, the share of labels drawn at random, a fraction in [0, 1); 0 is cross-entropy. A draw may give
            the right class: e (K - 1) / K of the labels are wrong.

    Raises:
        ValueError, TypeError: noise_rate outside its domain, or not a number.

    Prefer it if the noise rate is roughly known and wrong labels are spread over the classes.

    >>> UniformNoise(noise_rate=0.5).noise_rate
    0.5
    """

    known = True

    def __init__(self, noise_rate: float = 0.2) -> None:
        super().__init__()
        self.noise_rate = check_fraction("noise_rate", noise_rate, "[0, 1)")

    def matrices(self, survey: Callable[[], Survey]) -> Tensor:
        matrix = torch.eye(self.classes) * (1 - self.noise_rate) + self.noise_rate / self.classes
        return matrix.expand(self.networks, -1, -1)
