"""Criteria: per-example losses as functions of log-probabilities and targets. `hf_noisy.models.criterion` gives shapes.

Below, p is the predicted probability of a class, y the label and K, at least 2, the number of classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from hf_noisy.common.checks import check_fraction
from hf_noisy.models.criterion import Criterion

_LOG_ZERO = -4.0  # A of Wang et al. (ICCV 2019), which replaces the log of a zero label


@dataclass(frozen=True)
class CrossEntropy(Criterion):
    """Takes every label as correct, however unlikely: -log p_y.

    This is the standard loss and the baseline. With early stopping it is hard to beat, so try it first. With longer
    training it memorises the wrong labels.

    >>> CrossEntropy()(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0]))
    tensor([0.6931])
    """

    def per_class(self, log_probs: Tensor) -> Tensor:
        return -log_probs


@dataclass(frozen=True)
class MeanAbsoluteError(Criterion):
    """Limits the loss of an example to 2, so that a wrong label has limited influence: sum |y - p| = 2 (1 - p_y).

    Source: Ghosh et al., "Robust Loss Functions under Label Noise for Deep Neural Networks", AAAI 2017. The losses of
    all classes sum to a constant, so symmetric label noise does not move the optimum.

    It underfits with many classes: a label with a low predicted probability has almost no gradient, and at the start
    of training every label has a low probability. Prefer it with two or three classes, `GeneralizedCrossEntropy` with
    more.

    >>> MeanAbsoluteError()(torch.tensor([[0.75, 0.25]]).log(), torch.tensor([0]))
    tensor([0.5000])
    """

    def per_class(self, log_probs: Tensor) -> Tensor:
        return 2 * _other_probability(log_probs)


@dataclass(frozen=True)
class GeneralizedCrossEntropy(Criterion):
    """Reduces the influence of an example whose label has a low predicted probability: (1 - p_y^q) / q.

    Source: Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    NeurIPS 2018. Its gradient is that of cross-entropy times p_y^q.

    Args:
        q: in (0, 1]. Towards 0 the loss approaches cross-entropy. At 1 it is half of `MeanAbsoluteError`.

    Raises:
        ValueError, TypeError: q is outside its domain or not a number.

    Try it first among the robust losses, with a smaller q if it underfits. `TruncatedGCE` leaves out unlikely labels
    completely.

    >>> GeneralizedCrossEntropy(q=0.5)(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([0]))
    tensor([1.])
    """

    q: float = 0.7

    def __post_init__(self) -> None:
        self._check_number("q", "in (0, 1]", lambda q: 0 < q <= 1)

    def per_class(self, log_probs: Tensor) -> Tensor:
        q = max(self.q, 1e-20)  # equals cross-entropy to the last digit; a smaller q would give 0 / 0 in float32
        return -torch.expm1(q * log_probs) / q


@dataclass(frozen=True)
class SymmetricCrossEntropy(Criterion):
    """Adds a bounded term that is robust to wrong labels to the cross-entropy of an example: alpha CE + beta RCE.

    The reverse cross-entropy (RCE) swaps label and prediction: -sum p log y. The log of a zero label is set to A, so
    RCE equals -A (1 - p_y).

    Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019. The paper uses
    different weights for each data set (0.1 and 1 on CIFAR-10). The defaults here, 0.4 and 1, are a setting that has
    been used on text. A = -4 is the paper's value. The paper's code clips the label at 1e-4, which gives A = -9.2.

    Args:
        alpha: weight of the cross-entropy, at least 0.
        beta: weight of the reverse cross-entropy, at least 0.
        log_zero: A, below 0.

    Raises:
        ValueError, TypeError: a parameter is outside its domain or not a number.

    Prefer it to `GeneralizedCrossEntropy` if some classes are learned late: every label keeps the gradient of alpha
    times cross-entropy. For the same reason, long training fits the wrong labels in the end.

    >>> SymmetricCrossEntropy(alpha=1.0)(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0]))
    tensor([2.6931])
    """

    alpha: float = 0.4
    beta: float = 1.0
    log_zero: float = _LOG_ZERO

    def __post_init__(self) -> None:
        self._check_number("alpha", "of at least 0", lambda alpha: alpha >= 0)
        self._check_number("beta", "of at least 0", lambda beta: beta >= 0)
        self._check_number("log_zero", "below 0", lambda log_zero: log_zero < 0)

    def per_class(self, log_probs: Tensor) -> Tensor:
        return -self.alpha * log_probs - self.beta * self.log_zero * _other_probability(log_probs)


@dataclass(frozen=True)
class LabelSmoothing(Criterion):
    """Spreads a small share of the label evenly over all classes: cross-entropy with (1 - e) y + e / K.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.

    Args:
        epsilon: e, the share of the label that is spread, in [0, 1). 0 gives cross-entropy.

    Raises:
        ValueError, TypeError: epsilon is outside its domain or not a number.

    Prefer it if calibration matters or few labels are wrong. The loss of a wrong label is unbounded, as in
    cross-entropy. For a bounded loss, see `UniformNoise`.

    >>> LabelSmoothing(epsilon=0.5)(torch.tensor([[0.75, 0.25]]).log(), torch.tensor([0]))
    tensor([0.5623])
    """

    epsilon: float = 0.1

    def __post_init__(self) -> None:
        check_fraction("epsilon", self.epsilon, "[0, 1)")

    def per_class(self, log_probs: Tensor) -> Tensor:
        return -(1 - self.epsilon) * log_probs - self.epsilon * log_probs.mean(-1, keepdim=True)


@dataclass(frozen=True)
class ActivePassive(Criterion):
    """Combines normalised cross-entropy (NCE) with a penalty on the other classes: alpha NCE + beta passive.

    NCE, log p_y / sum_k log p_k, is active: it raises the label's probability. The passive term lowers the
    probabilities of the other classes: MAE = 2 (1 - p_y), or RCE = -A (1 - p_y) with A = -4. Each term is bounded and
    sums to a constant over the classes, so symmetric label noise does not move the optimum.

    Source: Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels", ICML 2020. There, (alpha, beta)
    is (1, 1) on CIFAR-10 and (10, 0.1) on CIFAR-100. In the authors' code, A is -9.2 and MAE has no factor 2. For its
    losses, multiply beta by 2.3 (rce) or 0.5 (mae).

    Args:
        passive: "rce" or "mae".
        alpha: weight of NCE, at least 0. Use a larger value with more classes.
        beta: weight of the passive term, at least 0.

    Raises:
        ValueError, TypeError: a parameter is outside its domain.

    Prefer it if many labels are wrong and training is long. NCE alone (beta=0) underfits.

    >>> ActivePassive(passive="mae")(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0]))
    tensor([1.5000])
    """

    passive: Literal["rce", "mae"] = "rce"
    alpha: float = 1.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        self._check_choice("passive", "rce", "mae")
        self._check_number("alpha", "of at least 0", lambda alpha: alpha >= 0)
        self._check_number("beta", "of at least 0", lambda beta: beta >= 0)

    def per_class(self, log_probs: Tensor) -> Tensor:
        active = log_probs / log_probs.sum(-1, keepdim=True)
        scale = -_LOG_ZERO if self.passive == "rce" else 2.0
        return self.alpha * active + self.beta * scale * _other_probability(log_probs)


@dataclass(frozen=True)
class Bootstrapping(Criterion):
    """Mixes the label with the model's own prediction z: cross-entropy with the target beta y + (1 - beta) z.

    Soft: z is the prediction p. The gradient also flows through z, which lowers the entropy of the prediction. With z
    detached, the gradient would be that of cross-entropy times beta. Hard: z is the predicted class.

    Source: Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping", ICLR 2015 workshop.

    Args:
        kind: "soft" or "hard".
        beta: share of the label, in [0, 1]. None uses the paper's value: 0.95 if soft, 0.8 if hard.

    Raises:
        ValueError, TypeError: a parameter is outside its domain.

    Prefer it if predictions are useful early in training, as with a pretrained model. The hard version departs further
    from the labels.

    >>> Bootstrapping(kind="hard")
    Bootstrapping(kind='hard', beta=0.8)
    >>> Bootstrapping(kind="hard")(torch.tensor([[0.75, 0.25]]).log(), torch.tensor([1]))
    tensor([1.1666])
    """

    kind: Literal["soft", "hard"] = "soft"
    beta: float | None = None

    def __post_init__(self) -> None:
        self._check_choice("kind", "soft", "hard")
        if self.beta is None:
            object.__setattr__(self, "beta", {"soft": 0.95, "hard": 0.8}[self.kind])
        check_fraction("beta", cast(float, self.beta), "[0, 1]")

    def per_class(self, log_probs: Tensor) -> Tensor:
        beta = cast(float, self.beta)  # __post_init__ has replaced None
        return -beta * log_probs - (1 - beta) * self._own_log_prob(log_probs)

    def _own_log_prob(self, log_probs: Tensor) -> Tensor:
        """(..., 1) sum_k z_k log p_k."""
        if self.kind == "soft":
            return (log_probs.exp() * log_probs).sum(-1, keepdim=True)
        return log_probs.amax(-1, keepdim=True)


def _other_probability(log_probs: Tensor) -> Tensor:
    """(..., classes) 1 - p, accurate even where p is close to 1."""
    return -torch.expm1(log_probs)
