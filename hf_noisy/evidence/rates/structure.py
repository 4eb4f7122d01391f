"""Signs that labels are wrong by a rule: most estimators of the noise rate take such labels for correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.evidence.inputs import standardized

MIN_DISAGREEMENT = 0.1  # minimum difference between the median rates of two families
MIN_EXCESS = 0.1  # minimum difference between the shares of predicted and of correct votes
FAMILIES = {
    "classifiers": (
        "anchor_points",
        "confident_joint",
        "dual_t",
        "volminnet",
        "t_revision",
        "expectation_maximization",
    ),
    "neighbours": ("neighbours",),
    "votes": ("dawid_skene", "label_model"),
}
MIN_VOTE_AUROC = 0.7  # from here on the text predicts whether a source votes; "acceptable" by Hosmer and Lemeshow
MIN_SHARE_FROM_SOURCES = 0.98  # share of labels among their row's votes from which labels are those of the sources
_MIN_PAIRS = 50  # minimum number of pairs of votes on one row
_MIN_VOTES = 20  # minimum number of votes, and of abstentions, of a source


@dataclass(frozen=True)
class Consistency:
    """How well votes are predicted from the text, compared with how well they agree with each other."""

    agreement: float  # share of pairs of votes on one row that are equal
    implied_accuracy: float  # accuracy of a vote, if sources err independently and evenly
    predicted: float  # share of votes that the out-of-fold prediction of the given label equals
    error: float  # standard error of predicted - implied_accuracy

    @property
    def excess(self) -> float:
        """By how much votes are better predicted than they can be correct."""
        return self.predicted - self.implied_accuracy


def family_rates(rates: Mapping[str, float], by_votes: Sequence[str] = ()) -> dict[str, float]:
    """Computes the median rate of each family of estimators with a common assumption: a classifier, neighbours, votes.

    Rates within a family differ for other reasons, such as anchors of badly calibrated probabilities. Families agree if
    labels are wrong at random given the class and texts are easy to classify: in 72 draws of
    `tests/measure/known_matrices.py` no two differed by more than 0.1. If labels are wrong by a rule, a classifier that
    can learn the rule finds few of them. Other sources, which follow the rule less, find more.

    Args:
        rates: rates by name of the estimator.
        by_votes: names of further vote-based estimators.

    >>> family_rates({"anchor_points": 0.1, "dual_t": 0.3, "confident_joint": 0.12, "neighbours": 0.4})
    {'classifiers': 0.12, 'neighbours': 0.4}
    """
    more = {"votes": tuple(by_votes)}
    members = {
        family: [rates[name] for name in (*names, *more.get(family, ())) if name in rates]
        for family, names in FAMILIES.items()
    }
    return {family: float(np.median(found)) for family, found in members.items() if found}


def vote_consistency(votes: np.ndarray, predicted: np.ndarray, classes: int) -> Consistency | None:
    """Compares two upper bounds of a vote's accuracy; no gold label is used.

    Let a be the accuracy of a vote. If sources err independently and evenly over the wrong classes, two votes on one
    row agree with probability a^2 + (1 - a)^2 / (K - 1), which gives a. If wrong votes follow no pattern in the text,
    the best prediction of a vote from the text is the true class, and it is correct with probability a at most. So if
    votes are predicted better than a, the text reveals how they are wrong: they follow a rule.

    Errors on the same rows or into the same class raise the agreement and hide this. So a positive result is a sign of
    structure, but a negative result shows nothing.

    Args:
        votes: (rows, sources), -1 abstains.
        predicted: (rows,) the most probable class of an out-of-fold model of the given labels; -1 where there is none.
        classes: K.

    Returns:
        The comparison; None if fewer than 50 pairs of votes share a row.
    """
    voted, counts = votes >= 0, (votes >= 0).sum(1)
    per_class = np.stack([(votes == k).sum(1) for k in range(classes)], 1)
    pairs = counts * (counts - 1) / 2
    equal = (per_class * (per_class - 1) / 2).sum(1)
    if pairs.sum() < _MIN_PAIRS:
        return None
    known = predicted >= 0
    hits = ((votes == predicted[:, None]) & voted).sum(1) * known
    asked = counts * known
    if asked.sum() == 0:
        return None
    both = pairs > 0
    rows_agree, rows_hit = equal[both] / pairs[both], hits[asked > 0] / asked[asked > 0]
    agreement, prediction = float(rows_agree.mean()), float(rows_hit.mean())
    implied = implied_accuracy(agreement, classes)
    apart = np.sqrt(agreement * (1 - agreement) / both.sum())
    slope = (implied_accuracy(min(agreement + apart, 1.0), classes) - implied_accuracy(agreement - apart, classes)) / 2
    return Consistency(agreement, implied, prediction, float(np.hypot(slope, rows_hit.std() / np.sqrt(len(rows_hit)))))


def share_from_sources(labels: np.ndarray, votes: np.ndarray) -> float:
    """Computes the share of labels that equal a vote on their row, among rows with a vote; 0 if there are none.

    >>> share_from_sources(np.array([0, 1, 1, -1]), np.array([[0, 1], [0, -1], [-1, -1], [0, 0]]))
    0.5
    """
    asked = (labels >= 0) & (votes >= 0).any(1)
    given = (votes == labels[:, None]).any(1)
    return float(given[asked].mean()) if asked.any() else 0.0


def vote_auroc(features: np.ndarray, votes: np.ndarray, seed: int = 0) -> float | None:
    """Measures how well the text predicts whether a source votes: the median AUROC over sources, out of five folds.

    A rule votes if the text contains what it looks for: with a pretrained encoder the AUROC is 0.94 on `youtube` and
    0.96 on `trec`. Annotators who are given random texts vote on all of them: 0.5. It is higher for annotators who are
    given texts by topic, or skip hard texts.

    Args:
        features: (rows, width) of the texts.
        votes: (rows, sources), -1 abstains.
        seed: seed of the folds.

    Returns:
        The AUROC; None if no source has 20 votes and 20 abstentions.
    """
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import KFold, cross_val_predict

    voted = votes >= 0
    voted = voted[:, np.minimum(voted.sum(0), (~voted).sum(0)) >= _MIN_VOTES]
    if not voted.shape[1]:
        return None
    table = standardized(features)
    predictions = cross_val_predict(
        Ridge(alpha=table.shape[1]), table, voted.astype(float), cv=KFold(5, shuffle=True, random_state=seed)
    ).reshape(voted.shape)
    return float(np.median([roc_auc_score(*column) for column in zip(voted.T, predictions.T, strict=True)]))


def implied_accuracy(agreement: float, classes: int) -> float:
    """Computes the accuracy of sources that agree this often and err independently and evenly; at least chance level.

    >>> round(implied_accuracy(0.68, 2), 3), implied_accuracy(0.3, 2)
    (0.8, 0.5)
    """
    # a^2 + (1 - a)^2 / (K - 1) = agreement, the larger root
    inside = max(agreement * classes - 1, 0.0) * (classes - 1)
    return float(min((1 + np.sqrt(inside)) / classes, 1.0))
