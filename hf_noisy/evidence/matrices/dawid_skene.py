"""Several sources without a text: Dawid-Skene, and what a label model's posteriors say of the given labels."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.data.distributions import check_table
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate, Solution, VotesEstimate, with_interval
from hf_noisy.evidence.matrices.inputs import check_classes, check_labels
from hf_noisy.evidence.matrices.matrices import row_shares
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import check_votes

_GAIN = 1e-6  # of log posterior a row, below which the steps end


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
    """Learns each source's confusions and each row's true class from how sources agree, then compares the given labels.

    Sources are taken to err independently, given the true class. Where one votes for a single class, as labeling
    functions do, its vote tells nothing but that it voted: then abstaining counts as one more answer of that source.
    Of the others an abstention says nothing.

    Source: Dawid & Skene, "Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm", Applied
    Statistics 1979.

    Args:
        votes: (rows, sources) class ids, -1 abstains; at least three sources, since two explain each other.
        labels: (rows,) given, whose confusions with the posterior are the estimate; negative where a row has none. By
            default the majority vote, ties at random by `seed`.
        classes: how many there are; by default one more than the largest vote.
        smoothing: of one vote of each row's distribution, spread over the answers; keeps probabilities off 0.
        steps: at most so many; it ends before where a row gains less than 1e-6 nats.
        resamples: of the rows, for the interval; posteriors stay.
        seed: of the resamples and of ties.

    Returns:
        with `sources`, `posteriors` and `log_likelihoods` (steps + 1,), the smoothing's prior included.

    Raises:
        ValueError, TypeError: votes outside the classes, fewer than three sources, bad labels.

    Sources that make the same mistakes, as rules that look for the same words do, count as right: the rate is then far
    too low, however narrow its interval.
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
    spoken = (table >= 0).any(1)
    answers = _answers(table[spoken], size)
    posteriors = np.zeros((len(table), size))
    posteriors[spoken], confusions, log_likelihoods = _fit(answers, table[spoken], size, smoothing, steps)
    estimate = label_model_confusion(posteriors, np.where(spoken, found, -1), resamples=resamples, seed=seed)
    sources = np.stack([row_shares(confusion[:, :size]) for confusion in confusions])
    return VotesEstimate(
        **vars(estimate), log_likelihoods=np.array(log_likelihoods), sources=sources, posteriors=posteriors
    )


def label_model_confusion(
    posteriors: ArrayLike, labels: ArrayLike, *, resamples: int = RESAMPLES, seed: int = 0
) -> NoiseEstimate:
    """Counts each given label against the true classes that a label model believes in.

    Args:
        posteriors: (rows, classes) of the true class, such as `label_model_probabilities` gives; a row of zeros
            abstains, and is left out.
        labels: (rows,) class ids; negative where a row has none, and is left out.
        resamples: of the rows, for the interval.
        seed: of the resamples.

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
    believed, given = table[used], found[used]
    if table.shape[1] < 2 or (believed < 0).any() or (np.abs(believed.sum(1) - 1) > 1e-3).any():
        raise ValueError(
            f"posteriors of shape {table.shape}: expected (rows, classes), each row of numbers >= 0 that sum to 1, or of "
            "zeros. Divide each row by its sum."
        )
    check_classes(given, table.shape[1])
    believed = believed / believed.sum(1, keepdims=True)
    onehot = np.eye(table.shape[1])[given]

    def solve(weights: np.ndarray) -> Solution:
        joint = (believed * weights[:, None]).T @ onehot
        return row_shares(joint), joint.sum(1) / joint.sum()

    return with_interval(solve, len(given), resamples, seed)


def _answers(votes: np.ndarray, classes: int) -> list[np.ndarray]:
    """For each source (rows, classes + 1): 1 at its answer, the last of which is abstaining, where that says something."""
    onehots = np.eye(classes + 1)
    answers = []
    for source in votes.T:
        onehot = onehots[source]  # -1 is the last
        if len(np.unique(source[source >= 0])) > 1:
            onehot = onehot * (source >= 0)[:, None]
        answers.append(onehot)
    return answers


def _fit(
    answers: list[np.ndarray], votes: np.ndarray, classes: int, smoothing: float, steps: int
) -> tuple[np.ndarray, list[np.ndarray], list[float]]:
    """Posteriors (rows, classes), per source confusions (classes, answers), and the log posteriors of the parameters."""
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
            np.log(prior).sum() + sum(_mean(answer, log) for answer, log in zip(answers, logs, strict=True))
        )
        log_likelihoods.append(float(evidence.sum() + penalty))
        posteriors = np.exp(joint - evidence[:, None])
        gained = len(log_likelihoods) < 2 or log_likelihoods[-1] - log_likelihoods[-2] >= _GAIN * len(votes)
        if len(log_likelihoods) > steps or not gained:
            return posteriors, confusions, log_likelihoods


def _confusion(posteriors: np.ndarray, answer: np.ndarray, smoothing: float) -> np.ndarray:
    """(classes, answers) shares of a source's answers, `smoothing` more of its overall ones."""
    counts = posteriors.T @ answer + smoothing * _overall(answer)
    return counts / counts.sum(1, keepdims=True)


def _overall(answer: np.ndarray) -> np.ndarray:
    """(answers,) shares of a source's answers over all rows, each at least a little."""
    totals = answer.sum(0) + 1e-3
    return totals / totals.sum()


def _mean(answer: np.ndarray, log: np.ndarray) -> float:
    """The logarithm of the smoothing's Dirichlet density, up to a constant."""
    return float((log @ _overall(answer)).sum())
