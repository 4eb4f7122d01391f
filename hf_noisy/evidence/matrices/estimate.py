"""What an estimator returns, and the interval that each of them has."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from hf_noisy.evidence.matrices.matrices import clean_posterior, noise_rate

RESAMPLES = 200  # of the rows, for an interval; enough for two digits of a 95 % interval
Solution = tuple[np.ndarray, np.ndarray]  # matrix (classes, classes), prior of the true class (classes,)


@dataclass(frozen=True, eq=False)  # whether arrays are equal has no one answer
class NoiseEstimate:
    """How often each true class was given each label, as one estimator sees it."""

    matrix: np.ndarray  # (classes, classes) float64; row i is P(given label = j | true class = i)
    prior: np.ndarray  # (classes,) float64, of the true class
    rate: float  # share of labels that are wrong: sum over i of prior_i (1 - matrix_ii)
    low: float  # 95 % interval of the rate, by bootstrap over rows with the probabilities fixed
    high: float

    def posterior(self) -> np.ndarray:
        """P(true class = i | given label = j), (classes given, classes true), by Bayes' rule."""
        return clean_posterior(self.matrix, self.prior)


@dataclass(frozen=True, eq=False)
class LikelihoodEstimate(NoiseEstimate):
    """One that was found by steps of expectation-maximisation."""

    log_likelihoods: np.ndarray  # (steps,) of the objective, penalty included, in nats; it never falls


@dataclass(frozen=True, eq=False)
class VotesEstimate(LikelihoodEstimate):
    """One that was found from the votes of several sources."""

    sources: np.ndarray  # (sources, classes, classes); [s, i, j] is P(source s votes j | true class = i, it votes)
    posteriors: np.ndarray  # (rows, classes) of the true class; all zero where no source voted


def interval(rates: np.ndarray, rate: float) -> tuple[float, float]:
    """The 2.5 and 97.5 percentiles, widened to hold the estimate itself where the resamples are biased.

    >>> interval(np.array([0.0, 0.5, 1.0]), 0.01)
    (0.01, 0.975)
    """
    low, high = np.percentile(rates, [2.5, 97.5])
    return min(float(low), rate), max(float(high), rate)


def resampled(rows: int, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """(rows,) how often each row is drawn, for each resample of `rows` draws with replacement.

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
    """The estimate of all rows, and its interval.

    Args:
        solve: weight of each row (rows,) -> matrix and prior.
        rows: how many there are.
        resamples: of the rows.
        seed: of the resamples.
        again: a cheaper `solve` for the resamples, which may start from the solution; None for the same.
    """
    draws = list(resampled(rows, resamples, seed))
    matrix, prior = solve(np.ones(rows))
    rate = noise_rate(matrix, prior)
    low, high = interval(np.array([noise_rate(*(again or solve)(weights)) for weights in draws]), rate)
    return NoiseEstimate(matrix, prior, rate, low, high)
