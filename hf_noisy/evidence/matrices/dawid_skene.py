"""Estimators from several sources without text: Dawid-Skene, and confusion with the posteriors of a label model."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.data.distributions import check_table
from hf_noisy.evidence.inputs import check_classes, check_labels
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate, Solution, VotesEstimate, with_interval
from hf_noisy.evidence.matrices.matrices import row_shares
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import check_votes

_GAIN = 1e-6  # gain in log posterior per row below which EM stops


def dawid_skene(
    votes: ArrayLike,
    labels: ArrayLike | None = None,
    *,
    classes: int | None = None,
    smoothing: float = 1.0,
    steps: int = 200,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> VotesEstimate:
    """Estimates each source's confusion matrix and each row's true class from the votes, and compares the given labels.

    Sources are assumed to err independently, given the true class. If a source votes for a single class only, as
    labeling functions do, its vote carries no information except that it voted. Abstaining then counts as one more
    answer of that source. Abstentions of other sources are ignored.

    Source: Dawid & Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied
    Statistics 1979.

    Args:
        votes: (rows, sources) class ids, -1 abstains; at least three sources, since two do not identify the matrices.
        labels: (rows,) given labels, negative where a row has none. Their confusion with the posteriors is the
            estimate. By default the majority vote, with ties broken at random by `seed`.
        classes: number of classes; by default one more than the largest vote.
        smoothing: pseudo-count per class in the prior and per row of each confusion matrix, where it is spread over the
            answers. It keeps probabilities above 0.
        steps: maximum number of steps. They stop earlier if the gain per row is less than 1e-6 nats.
        resamples: number of bootstrap resamples of the rows, for the interval; the posteriors stay fixed.
        seed: seed of the resamples and of tie-breaking.

    Returns:
        The estimate with `sources`, `posteriors` and `log_likelihoods` (at most steps + 1,). The latter include the
        prior of the smoothing.

    Raises:
        ValueError, TypeError: votes outside the classes, fewer than three sources, bad labels.

    If sources make the same mistakes, as rules that look for the same words do, their votes count as correct. The rate
    is then far too low, however narrow its interval.
    """
    table = check_votes(np.asarray(votes), classes)
    size = max(int(table.max(initial=-1)) + 1, 2) if classes is None else classes
    if table.shape[1] < 3:
        raise ValueError(
            f"votes of {table.shape[1]} sources: expected 3 or more, since fewer cannot tell who is wrong. For one label "
            "a row use expectation_maximization."
        )
    if not smoothing > 0 or steps < 1:
        raise ValueError(f"smoothing={smoothing}, steps={steps}: expected smoothing above 0 and at least 1 step.")
    given = hard_labels(majority_vote(table, size), seed=seed) if labels is None else labels
    found = check_labels(given, len(table), "votes")
    check_classes(found[found >= 0], size)
    has_vote = (table >= 0).any(1)
    answers = _answers(table[has_vote], size)
    posteriors = np.zeros((len(table), size))
    posteriors[has_vote], confusions, log_likelihoods = _fit(answers, table[has_vote], size, smoothing, steps)
    estimate = label_model_confusion(posteriors, np.where(has_vote, found, -1), resamples=resamples, seed=seed)
    sources = np.stack([row_shares(confusion[:, :size]) for confusion in confusions])
    return VotesEstimate(
        **vars(estimate), log_likelihoods=np.array(log_likelihoods), sources=sources, posteriors=posteriors
    )


def label_model_confusion(
    posteriors: ArrayLike, labels: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> NoiseEstimate:
    """Counts the given labels against the posteriors of the true class from a label model.

    Args:
        posteriors: (rows, classes) of the true class, for example from `label_model_probabilities`; a zero row abstains
            and is left out.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.
        resamples: number of bootstrap resamples of the rows, for the interval.
        seed: seed of the resamples.

    Raises:
        ValueError, TypeError: bad posteriors or labels.

    >>> estimate = label_model_confusion([[0.8, 0.2], [1.0, 0.0], [0.2, 0.8]], [0, 0, 1], resamples=10)
    >>> estimate.matrix.round(3), round(estimate.rate, 3)
    (array([[0.9, 0.1],
           [0.2, 0.8]]), 0.133)
    """
    table = check_table("posteriors", posteriors)
    found = check_labels(labels, len(table), "posteriors")
    used = (found >= 0) & table.any(1)
    posterior, given = table[used], found[used]
    if table.shape[1] < 2 or (posterior < 0).any() or (np.abs(posterior.sum(1) - 1) > 1e-3).any():
        raise ValueError(
            f"posteriors of shape {table.shape}: expected (rows, classes), each row of numbers >= 0 that sum to 1, or of "
            "zeros. Divide each row by its sum."
        )
    check_classes(given, table.shape[1])
    posterior = posterior / posterior.sum(1, keepdims=True)
    onehot = np.eye(table.shape[1])[given]

    def solve(weights: np.ndarray) -> Solution:
        joint = (posterior * weights[:, None]).T @ onehot
        return row_shares(joint), joint.sum(1) / joint.sum()

    return with_interval(solve, len(given), resamples, seed)


def _answers(votes: np.ndarray, classes: int) -> list[np.ndarray]:
    """Returns the one-hot answers of each source, (rows, classes + 1).

    The last column is abstaining. It is used only for sources that vote for a single class.
    """
    onehots = np.eye(classes + 1)
    answers = []
    for source in votes.T:
        onehot = onehots[source]  # -1 selects the last row, which is abstaining
        if len(np.unique(source[source >= 0])) > 1:
            onehot = onehot * (source >= 0)[:, None]
        answers.append(onehot)
    return answers


def _fit(
    answers: list[np.ndarray], votes: np.ndarray, classes: int, smoothing: float, steps: int
) -> tuple[np.ndarray, list[np.ndarray], list[float]]:
    """Runs EM on the votes.

    Returns:
        Posteriors (rows, classes), confusions (classes, answers) per source, and the log posterior of the parameters
        per step.
    """
    posteriors = majority_vote(votes, classes).astype(float)
    log_likelihoods: list[float] = []
    while True:
        confusions = [_confusion(posteriors, answer, smoothing) for answer in answers]
        prior = posteriors.sum(0) + smoothing
        prior /= prior.sum()
        logs = [np.log(confusion) for confusion in confusions]
        joint = np.log(prior) + np.sum([answer @ log.T for answer, log in zip(answers, logs, strict=True)], axis=0)
        top = joint.max(1, keepdims=True)
        evidence = top[:, 0] + np.log(np.exp(joint - top).sum(1))
        penalty = smoothing * (
            np.log(prior).sum()
            + sum(_log_prior_density(answer, log) for answer, log in zip(answers, logs, strict=True))
        )
        log_likelihoods.append(float(evidence.sum() + penalty))
        posteriors = np.exp(joint - evidence[:, None])
        gained = len(log_likelihoods) < 2 or log_likelihoods[-1] - log_likelihoods[-2] >= _GAIN * len(votes)
        if len(log_likelihoods) > steps or not gained:
            return posteriors, confusions, log_likelihoods


def _confusion(posteriors: np.ndarray, answer: np.ndarray, smoothing: float) -> np.ndarray:
    """Estimates a source's confusion matrix (classes, answers), smoothed towards its overall answer shares."""
    counts = posteriors.T @ answer + smoothing * _overall(answer)
    return counts / counts.sum(1, keepdims=True)


def _overall(answer: np.ndarray) -> np.ndarray:
    """Returns the shares of a source's answers over all rows, (answers,), each above 0."""
    totals = answer.sum(0) + 1e-3
    return totals / totals.sum()


def _log_prior_density(answer: np.ndarray, log: np.ndarray) -> float:
    """Returns the log density of the Dirichlet prior of the smoothing, up to a constant."""
    return float((log @ _overall(answer)).sum())
