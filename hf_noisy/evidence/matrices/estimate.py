"""The result of an estimator, and its bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hf_noisy.common.progress import progress_bar
from hf_noisy.evidence.matrices.matrices import clean_posterior, noise_rate

RESAMPLES = 200  # bootstrap resamples of the rows; enough for two digits of a 95 % interval
Solution = tuple[np.ndarray, np.ndarray]  # matrix (classes, classes), prior of the true class (classes,)


@dataclass(frozen=True, eq=False)  # comparing arrays gives no single truth value
class NoiseEstimate:
    """One estimator's transition matrix (how often each true class is given each label), prior and noise rate."""

    matrix: np.ndarray  # (classes, classes) float64; row i is P(given label = j | true class = i)
    prior: np.ndarray  # (classes,) float64, of the true class
    rate: float  # share of wrong labels: sum over i of prior_i (1 - matrix_ii)
    low: float  # 95 % interval of the rate, by bootstrap over rows with the probabilities fixed
    high: float

    def posterior(self) -> np.ndarray:
        """Computes P(true class = i | given label = j) by Bayes' rule: (classes given, classes true)."""
        return clean_posterior(self.matrix, self.prior)


@dataclass(frozen=True, eq=False)
class LikelihoodEstimate(NoiseEstimate):
    """An estimate found by expectation-maximisation."""

    log_likelihoods: np.ndarray  # (steps,) objective in nats, including the penalty; never decreases


@dataclass(frozen=True, eq=False)
class VotesEstimate(LikelihoodEstimate):
    """An estimate from the votes of several sources."""

    sources: np.ndarray  # (sources, classes, classes); [s, i, j] is P(source s votes j | true class = i, it votes)
    posteriors: np.ndarray  # (rows, classes) of the true class; all zero where no source voted


def interval(rates: np.ndarray, rate: float) -> tuple[float, float]:
    """Returns the 2.5 and 97.5 percentiles, widened to include the estimate if the resamples are biased.

    >>> interval(np.array([0.0, 0.5, 1.0]), 0.01)
    (0.01, 0.975)
    """
    low, high = np.percentile(rates, [2.5, 97.5])
    return min(float(low), rate), max(float(high), rate)


def resampled(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """Yields for each resample how often each row is drawn, (rows,), in `rows` draws with replacement.

    Raises:
        ValueError: fewer than two resamples.
    """
    if resamples < 2:
        raise ValueError(f"resamples={resamples}: expected at least 2, better 100 or more, for an interval.")
    generator = np.random.default_rng((seed, 0x626F6F74))
    for _ in range(resamples):
        yield np.bincount(generator.integers(0, rows, rows), minlength=rows).astype(float)


def with_interval(
    solve: Callable[[np.ndarray], Solution],
    rows: int,
    resamples: int,
    seed: int,
    again: Callable[[np.ndarray], Solution] | None = None,
) -> NoiseEstimate:
    """Computes the estimate from all rows, and its bootstrap interval.

    Args:
        solve: function from the weights of the rows (rows,) to the matrix and the prior.
        rows: number of rows.
        resamples: number of resamples of the rows.
        seed: seed of the resamples.
        again: cheaper `solve` for the resamples, which may start from the solution; None for `solve` itself.
    """
    draws = list(resampled(rows, resamples, seed))
    matrix, prior = solve(np.ones(rows))
    rate = noise_rate(matrix, prior)
    bar = progress_bar("Resampling rows", draws, unit="resample")
    low, high = interval(np.array([noise_rate(*(again or solve)(weights)) for weights in bar]), rate)
    return NoiseEstimate(matrix, prior, rate, low, high)
