"""The criteria: per-example losses as functions of log-probabilities and targets (`hf_noisy.models.criterion` gives shapes).

Below, p is the model's probability of a class, y the label and K, at least 2, the number of classes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, cast

import torch
from torch import Tensor

from hf_noisy.common.checks import check_fraction
from hf_noisy.models.criterion import Criterion

_LOG_ZERO = -4.0  # A, "the log of a zero label", of Wang et al. (ICCV 2019)


@dataclass(frozen=True)
class CrossEntropy(Criterion):
    """Believes the label of an example, however unlikely: -log p_y.

    The baseline. Stopped early it is hard to beat, so try it first; trained on, it learns the wrong labels by heart.

    >>> CrossEntropy()(torch.tensor([[0.5, 0.5]]).log(), torch.tensor([0]))
    tensor([0.6931])
    """

    def per_class(self, log_probs: Tensor) -> Tensor:
        return -log_probs


@dataclass(frozen=True)
class MeanAbsoluteError(Criterion):
    """Costs an example at most 2, so that no wrong label weighs much: sum |y - p| = 2 (1 - p_y).

    Source: Ghosh et al., "Robust Loss Functions under Label Noise for Deep Neural Networks", AAAI 2017. The losses of
    all classes sum to a constant, so labels flipped evenly do not move the optimum.

    It underfits with many classes: a label that the model finds unlikely has next to no gradient, and at the start
    every label is unlikely. Prefer it with two or three classes, `GeneralizedCrossEntropy` with more.

    >>> MeanAbsoluteError()(torch.tensor([[0.75, 0.25]]).log(), torch.tensor([0]))
    tensor([0.5000])
    """

    def per_class(self, log_probs: Tensor) -> Tensor:
        return 2 * _other_probability(log_probs)


@dataclass(frozen=True)
class GeneralizedCrossEntropy(Criterion):
    """Lets an example pull the less, the less the model believes its label: (1 - p_y^q) / q.

    Source: Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    NeurIPS 2018. Its gradient is that of cross-entropy times p_y^q.

    Args:
        q: in (0, 1]; towards 0 it is cross-entropy, at 1 half of `MeanAbsoluteError`.

    Raises:
        ValueError, TypeError: q outside its domain, or no number.

    Prefer it as the first robust loss to try, with a smaller q if it underfits. `TruncatedGCE` leaves out unlikely
    labels altogether.

    >>> GeneralizedCrossEntropy(q=0.5)(torch.tensor([[0.25, 0.75]]).log(), torch.tensor([0]))
    tensor([1.])
    """

    q: float = 0.7

    def __post_init__(self) -> None:
        self._check_number("q", "in (0, 1]", lambda q: 0 < q <= 1)

    def per_class(self, log_probs: Tensor) -> Tensor:
        q = max(self.q, 1e-20)  # already cross-entropy to the last digit; float32 would round a smaller one to 0 / 0
        return -torch.expm1(q * log_probs) / q


@dataclass(frozen=True)
class SymmetricCrossEntropy(Criterion):
    """Adds to the cross-entropy of an example a bounded term that resists a wrong label: alpha CE + beta RCE.

    The reverse cross-entropy swaps label and prediction, -sum p log y. The log of a zero label is set to A, which makes
    it -A (1 - p_y).

    Source: Wang et al., "Symmetric Cross Entropy for Robust Learning with Noisy Labels", ICCV 2019. The paper's weights
    differ by data set (0.1 and 1 on CIFAR-10); the defaults here, 0.4 and 1, are a setting seen on text. A = -4 is the
    paper's; its code clips the label at 1e-4, which is A = -9.2.

    Args:
        alpha: weight of the cross-entropy, at least 0.
        beta: weight of the reverse cross-entropy, at least 0.
        log_zero: A, below 0.

    Raises:
        ValueError, TypeError: a parameter outside its domain, or no number.

    Prefer it to `GeneralizedCrossEntropy` where some classes are learned late: every label keeps the gradient of alpha
    times cross-entropy. For the same reason it learns wrong labels in the end, if training is long.

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
    """Gives every class a small share of an example's label: cross-entropy with (1 - e) y + e / K.

    Source: Szegedy et al., "Rethinking the Inception Architecture for Computer Vision", CVPR 2016.

    Args:
        epsilon: e, the share of the label that is spread, a fraction in [0, 1); 0 is cross-entropy.

    Raises:
        ValueError, TypeError: epsilon outside its domain, or no number.

    Prefer it where calibration matters or few labels are wrong. A wrong label costs without bound, as in cross-entropy;
    where it should not, see `UniformNoise`.

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
    """Costs an example its label's share of the cross-entropies of all classes, and the probability put elsewhere.

    The loss is alpha NCE + beta passive. NCE, log p_y / sum_k log p_k, is active: it raises the label's probability.
    The passive term lowers the others: MAE = 2 (1 - p_y), or RCE = -A (1 - p_y) with A = -4. Each is bounded and sums
    to a constant over the classes, so labels flipped evenly do not move the optimum.

    Source: Ma et al., "Normalized Loss Functions for Deep Learning with Noisy Labels", ICML 2020, where (alpha, beta)
    is (1, 1) on CIFAR-10 and (10, 0.1) on CIFAR-100. In the authors' code A is -9.2 and MAE has no factor 2: for its
    losses multiply beta by 2.3 (rce) or 0.5 (mae).

    Args:
        passive: "rce" or "mae".
        alpha: weight of NCE, at least 0; raise it with the number of classes.
        beta: weight of the passive term, at least 0.

    Raises:
        ValueError, TypeError: a parameter outside its domain.

    Prefer it where many labels are wrong and training is long. NCE alone (beta=0) underfits.

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
    """Teaches an example its label and, in part, what the model says of it: cross-entropy with beta y + (1 - beta) z.

    Soft: z is the prediction p, and the gradient goes through it too, which lowers its entropy (detached, z would add
    nothing but a factor beta). Hard: z is the predicted class.

    Source: Reed et al., "Training Deep Neural Networks on Noisy Labels with Bootstrapping", ICLR 2015 workshop.

    Args:
        kind: "soft" or "hard".
        beta: share of the label, a fraction in [0, 1]. None is the paper's: 0.95 if soft, 0.8 if hard.

    Raises:
        ValueError, TypeError: a parameter outside its domain.

    Prefer it where predictions soon mean something, as with a pretrained model; hard departs further from the labels.

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
        beta = cast(float, self.beta)  # never None from here on
        return -beta * log_probs - (1 - beta) * self._own_log_prob(log_probs)

    def _own_log_prob(self, log_probs: Tensor) -> Tensor:
        """(..., 1) sum_k z_k log p_k."""
        if self.kind == "soft":
            return (log_probs.exp() * log_probs).sum(-1, keepdim=True)
        return log_probs.amax(-1, keepdim=True)


def _other_probability(log_probs: Tensor) -> Tensor:
    """(..., classes) 1 - p, exact also where p is nearly 1."""
    return -torch.expm1(log_probs)
