"""Pure functions that select the examples to train on: small losses, two-component mixtures, ramps."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor


def whole_epochs(epochs: float) -> int:
    """Rounds up to whole epochs, ignoring floating-point errors.

    >>> whole_epochs(0.7 * 10), whole_epochs(1 / 3 * 3), whole_epochs(2.1)
    (7, 1, 3)
    """
    return math.ceil(epochs - 1e-9)


def small_loss(losses: Tensor, candidates: Tensor, forget_rate: float | Tensor) -> Tensor:
    """Keeps the examples with the smallest losses among the candidates of a batch.

    Args:
        losses: (batch,)
        candidates: (batch,) bool. Other examples are never kept.
        forget_rate: share to drop, in [0, 1]. The number kept is rounded down, as in the paper's algorithm, but is at
            least one.

    Returns:
        (batch,) bool.

    Source: Han et al., "Co-teaching", NeurIPS 2018, Algorithm 1.

    >>> small_loss(torch.tensor([0.9, 0.1, 0.5, 0.2]), torch.tensor([True, True, True, False]), 0.3)
    tensor([False,  True,  True, False])
    """
    rank = _rank(losses.masked_fill(~candidates, torch.inf))
    count = candidates.sum()
    kept = ((1 - forget_rate) * count + 1e-4).floor().clamp(min=1)  # 1e-4: 0.7 * 10 gives 7 despite rounding
    return (rank < kept) & candidates


def small_loss_by_class(losses: Tensor, candidates: Tensor, forget_rates: Tensor, labels: Tensor) -> Tensor:
    """Keeps, for each class, the examples with the smallest losses among the class's candidates of a batch.

    Args:
        losses: (batch,)
        candidates: (batch,) bool.
        forget_rates: (classes,) share to drop in each class. The number kept is rounded up. Otherwise a class with two
            examples in a batch would lose one at any rate above 0.
        labels: (batch,) class of each example.

    Returns:
        (batch,) bool.

    >>> losses, every = torch.tensor([0.9, 0.1, 0.5, 0.2]), torch.ones(4, dtype=torch.bool)
    >>> small_loss_by_class(losses, every, torch.tensor([0.5, 0.0]), torch.tensor([0, 0, 1, 1]))
    tensor([False,  True,  True,  True])
    """
    same = (labels.unsqueeze(0) == labels.unsqueeze(1)) & candidates.unsqueeze(0)  # (batch, batch)
    rank = (same & (losses.unsqueeze(0) < losses.unsqueeze(1))).sum(1)
    kept = ((1 - forget_rates[labels]) * same.sum(1) - 1e-4).ceil()
    return (rank < kept) & candidates


def symmetric_kl(first: Tensor, second: Tensor) -> Tensor:
    """Symmetric KL divergence, KL(p || q) + KL(q || p), of log-probabilities (..., classes) -> (...).

    >>> symmetric_kl(torch.tensor([0.5, 0.5]).log(), torch.tensor([0.5, 0.5]).log())
    tensor(0.)
    """
    return ((first.exp() - second.exp()) * (first - second)).sum(-1)


def ramp(epoch: float, length: float) -> float:
    """Rises linearly from 0 at the start to 1 after `length` epochs, and stays at 1.

    >>> ramp(0.0, 2.0), ramp(1.0, 2.0), ramp(3.0, 2.0), ramp(0.0, 0.0)
    (0.0, 0.5, 1.0, 1.0)
    """
    return 1.0 if length <= 0 else min(epoch / length, 1.0)


@dataclass(frozen=True)
class LossMixture:
    """A mixture of two Gaussians fitted to losses: one for clean labels, one for wrong labels."""

    clean_probability: np.ndarray  # (rows,) posterior of the component with the smaller mean
    means: tuple[float, float]  # of the clean and the noisy component, with losses scaled to [0, 1]
    noise_rate: float  # mixture weight of the noisy component
    converged: bool


def fit_loss_mixture(losses: np.ndarray, seed: int = 0) -> LossMixture | None:
    """Separates small losses from large ones by a mixture of two Gaussians on losses scaled to [0, 1].

    Args:
        losses: (rows,) finite losses.
        seed: of the initialisation.

    Returns:
        The mixture, or None if the losses cannot be separated: fewer than two rows, or equal losses.

    Source: Arazo et al., ICML 2019, with the settings of Li et al., "DivideMix", ICLR 2020 (at most 10 iterations,
    tolerance 1e-2, regularisation 5e-4).

    >>> mixture = fit_loss_mixture(np.array([0.1, 0.12, 0.11, 0.1, 2.0, 2.1]))
    >>> mixture.clean_probability.round().astype(int), round(mixture.noise_rate, 2)
    (array([1, 1, 1, 1, 0, 0]), 0.33)
    """
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    spread = np.ptp(losses) if len(losses) else 0.0
    if len(losses) < 2 or spread < 1e-12:
        return None
    scaled = ((losses - losses.min()) / spread).reshape(-1, 1)
    mixture = GaussianMixture(2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # the result has `converged`
        mixture.fit(scaled)
    clean, noisy = np.argsort(mixture.means_[:, 0])
    return LossMixture(
        mixture.predict_proba(scaled)[:, clean],
        (float(mixture.means_[clean, 0]), float(mixture.means_[noisy, 0])),
        float(mixture.weights_[noisy]),
        bool(mixture.converged_),
    )


def _rank(values: Tensor) -> Tensor:
    """(batch,) rank of each value, 0 for the smallest. Ties are ranked by position."""
    order = values.argsort(stable=True)
    return torch.empty_like(order).scatter_(0, order, torch.arange(len(values), device=values.device))
