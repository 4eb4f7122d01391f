"""What labels, votes and texts say of the labels before any training: the true classes, and how many labels are wrong."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from hf_noisy.evidence.features.neighbours import nearest_rows
from hf_noisy.evidence.inference.combined_sources import (
    CONFIDENT,
    CONFIDENT_RULES,
    NEIGHBOURS,
    are_rules,
    combine_sources,
    hold_unsure,
)
from hf_noisy.evidence.inference.label_noise import fit_label_noise, mean_truth, model_weights
from hf_noisy.evidence.inference.noise_fits import FOLDS
from hf_noisy.evidence.inference.noise_model import LabelNoise
from hf_noisy.weak.votes import count_voting_sources

NEAR_LABELS = 20  # neighbours whose labels a model of the noise compares


@dataclass(frozen=True)
class LabelEvidence:
    """The outcome of `weigh_labels`."""

    truth: np.ndarray  # (rows, classes) targets; a zero row is not taught
    by: str  # "sources", "label_noise" or "nothing"
    rate: float  # expected share of wrong labels by the models; NaN if they cannot be fitted
    moved: float  # share of the labels whose target is another class; NaN if they cannot be fitted
    reason: str = ""  # why the models cannot be fitted
    rates: dict[str, float] = field(default_factory=dict)  # model of the noise -> expected share of wrong labels
    profile: tuple[float, ...] = ()  # labels alone: log-likelihood with each share of wrong labels in `RATES`
    gains: dict[str, float] = field(default_factory=dict)  # model of the noise -> nats by which it predicts better
    weights: dict[str, float] = field(default_factory=dict)  # model of the noise -> probability

    def table(self) -> str:
        """The models that were compared, as a Markdown table."""
        if self.by == "nothing":
            return self.reason
        if self.by == "sources":
            return (
                "| model | expected wrong | labels that change |\n|---|---|---|\n"
                f"| mean of two models of texts and sources | {self.rate:.1%} | {self.moved:.1%} |"
            )
        lines = [
            f"| {kind} | {self.rates[kind]:.1%} | {gain:+.1f} | {self.weights[kind]:.0%} |"
            for kind, gain in self.gains.items()
        ]
        head = (
            "| model of the noise | expected wrong | held-out log-likelihood, nats | probability |\n|---|---|---|---|"
        )
        return "\n".join([head, *lines])


def weigh_labels(
    view: np.ndarray,
    given: np.ndarray,
    votes: np.ndarray | None,
    *,
    class_prior: np.ndarray | None = None,
    seed: int = 0,
) -> LabelEvidence:
    """Infers the true classes, from the votes if several sources vote, else from the labels.

    Several sources: `combine_sources`, then `hold_unsure`. Labels alone: the models of `fit_label_noise`, averaged.

    Args:
        view: (rows, width) text features.
        given: (rows, classes) labels, one-hot or shares; a zero row has no label.
        votes: (rows, sources) class ids, -1 abstains; None with labels alone.
        class_prior: (classes,) shares of the classes, if they are known.
        seed: seed of folds and samples.
    """
    if votes is not None and count_voting_sources(votes) > 1:
        near = nearest_rows(view, min(NEIGHBOURS, len(view) - 1))
        inferred = combine_sources(view, near, given, votes, class_prior=class_prior)
        truth = hold_unsure(inferred, given, CONFIDENT_RULES if are_rules(votes) else CONFIDENT)
        return LabelEvidence(truth, "sources", *_changed(inferred, truth, given))
    labels = _hard_labels(given)
    labelled = np.flatnonzero(labels >= 0)
    classes = len(np.unique(labels[labelled]))
    if len(labelled) < 2 * FOLDS or classes < 2:
        reason = f"{len(labelled)} labels of {classes} {'class' if classes == 1 else 'classes'} are too few to compare"
        return LabelEvidence(given, "nothing", math.nan, math.nan, reason)
    near = nearest_rows(view[labelled], min(NEAR_LABELS, len(labelled) - 1))
    fits = fit_label_noise(view, near, labels, given.shape[1], seed=seed)
    weights = model_weights(fits)
    posterior, truth = mean_truth(fits, weights)
    truth[labelled] = posterior
    soft = np.flatnonzero((given.sum(1) > 0) & (given.max(1) < given.sum(1)))
    if len(soft):
        truth[soft] = sum(weights[kind] * _of_shares(fit, given, soft) for kind, fit in fits.items())
    if class_prior is not None:
        truth = with_class_prior(truth, class_prior)
    gains = {kind: fit.log_likelihood - fits["none"].log_likelihood for kind, fit in fits.items()}
    return LabelEvidence(
        truth,
        "label_noise",
        *_changed(truth, truth, given),
        rates={kind: fit.rate for kind, fit in fits.items()},
        profile=fits["random"].profile,
        gains=gains,
        weights=weights,
    )


def _hard_labels(given: np.ndarray) -> np.ndarray:
    """(rows,) the class with the largest share, -1 for a zero row and for a tie."""
    largest = _largest(given)
    return np.where(largest.max(1) == 1, largest.argmax(1), -1)


def _largest(given: np.ndarray) -> np.ndarray:
    """(rows, classes) 1 for the class with the largest share, ties shared; zero rows stay."""
    largest = (given == given.max(1, keepdims=True)) & (given > 0)
    return largest / np.maximum(largest.sum(1, keepdims=True), 1)


def _of_shares(fit: LabelNoise, given: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """p(true class | text, label) of `rows` with soft labels: the mean over labels, by their shares."""
    clean, shares = fit.clean[rows], given[rows] / given[rows].sum(1, keepdims=True)
    truth = np.zeros_like(clean)
    for label in np.flatnonzero(shares.sum(0) > 0):
        each = np.maximum(clean, 1e-12) * fit.matrix[:, label]
        truth += shares[:, [label]] * each / each.sum(1, keepdims=True)
    return truth


def with_class_prior(truth: np.ndarray, class_prior: np.ndarray) -> np.ndarray:
    """Scales the probabilities of each class until their means are the known shares: (rows, classes).

    The rows still sum to 1 (iterative proportional fitting, Deming and Stephan, 1940).

    >>> with_class_prior(np.array([[0.9, 0.1], [0.7, 0.3]]), np.array([0.5, 0.5])).mean(0).round(3)
    array([0.5, 0.5])
    """
    scaled = np.maximum(truth, 1e-9)
    for _ in range(100):
        scaled = scaled * (class_prior / scaled.mean(0))
        scaled /= scaled.sum(1, keepdims=True)
    return scaled


def share_moved(truth: np.ndarray, given: np.ndarray) -> float:
    """Share of the labels whose target is another class; a row with tied labels counts in part. NaN without labels.

    Args:
        truth: (rows, classes) targets.
        given: (rows, classes) labels, one-hot or shares; a zero row has no label.

    >>> share_moved(np.array([[0.9, 0.1], [0.2, 0.8], [0.0, 1.0]]), np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 0.0]]))
    0.5
    """
    labelled = np.flatnonzero(given.sum(1) > 0)
    if not len(labelled):
        return math.nan
    return float(1 - _largest(given)[labelled, truth[labelled].argmax(1)].mean())


def _changed(inferred: np.ndarray, truth: np.ndarray, given: np.ndarray) -> tuple[float, float]:
    """Expected share of wrong labels (of soft labels, the probability that moves), and share of labels that move."""
    labelled = np.flatnonzero(given.sum(1) > 0)
    shares = given[labelled] / given[labelled].sum(1, keepdims=True)
    wrong = np.maximum(shares - inferred[labelled], 0).sum(1).mean()
    return float(np.clip(wrong, 0, 1)), share_moved(truth, given)
