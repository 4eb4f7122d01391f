"""Signs that labels are wrong by a rule, which every estimator of the noise rate takes for right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.evidence.matrices.inputs import standardized

DISAGREEMENT = 0.1  # of rates
EXCESS = 0.1  # of shares of votes
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
MIN_VOTE_AUROC = (
    0.7  # AUROC from which on the text tells whether a source votes: where Hosmer and Lemeshow call it acceptable
)
FOLLOWED = 0.98  # of the labels that are among a row's votes, from which on labels are what sources say
_PAIRS = 50  # of votes on one row; from fewer nothing is concluded
_FEWEST = 20  # votes of a source, and abstentions, to tell them apart


@dataclass(frozen=True)
class Consistency:
    """How well votes are predicted from the text, against how well they agree with each other."""

    agreement: float  # share of pairs of votes on one row that are equal
    implied_accuracy: float  # of a vote, if sources err independently and evenly
    predicted: float  # share of votes that the out-of-fold prediction of the given label equals
    error: float  # standard error of predicted - implied_accuracy

    @property
    def excess(self) -> float:
        """By how much votes are better predicted than they can be right."""
        return self.predicted - self.implied_accuracy


def family_rates(rates: Mapping[str, float], by_votes: Sequence[str] = ()) -> dict[str, float]:
    """The median rate of each family of estimators that rest on one assumption: a classifier, neighbours, votes.

    Within a family rates differ for reasons of their own, such as anchors of badly calibrated probabilities; between
    families they agree if labels are wrong at random given the class and texts are easy to tell: in 72 draws of
    `tests/measure/known_matrices.py` no two were more than 0.1 apart. Where a rule makes them, a classifier that can see the rule
    finds few, and other sources, which see it less, find more.

    Args:
        rates: by name of the estimator.
        by_votes: names of more estimators that rest on votes.

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
    """Compares two upper bounds of a vote's accuracy; no gold label is read.

    Let a be the accuracy of a vote. If sources err independently and evenly over the wrong classes, two votes on one row
    agree with probability a^2 + (1 - a)^2 / (K - 1), which gives a. If wrong votes follow no pattern in the text, the
    best prediction of a vote from the text is the true class, and is right with probability a, not more. So votes that
    are predicted better than a are wrong in a way that the text gives away: by a rule.

    Errors that fall on the same rows, or into the same class, raise the agreement and hide what is looked for; the sign
    is therefore one of structure where it shows, and of nothing where it does not.

    Args:
        votes: (rows, sources), -1 abstains.
        predicted: (rows,) the class that an out-of-fold model of the given labels finds most probable; -1 where none.
        classes: K.

    Returns:
        None where fewer than 50 pairs of votes share a row.
    """
    voted, counts = votes >= 0, (votes >= 0).sum(1)
    per_class = np.stack([(votes == k).sum(1) for k in range(classes)], 1)
    pairs = counts * (counts - 1) / 2
    equal = (per_class * (per_class - 1) / 2).sum(1)
    if pairs.sum() < _PAIRS:
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


def share_followed(labels: np.ndarray, votes: np.ndarray) -> float:
    """Of the labels on rows with a vote, the share that a source of the row gives too; 0 where there is no such row.

    >>> share_followed(np.array([0, 1, 1, -1]), np.array([[0, 1], [0, -1], [-1, -1], [0, 0]]))
    0.5
    """
    asked = (labels >= 0) & (votes >= 0).any(1)
    given = (votes == labels[:, None]).any(1)
    return float(given[asked].mean()) if asked.any() else 0.0


def vote_auroc(features: np.ndarray, votes: np.ndarray, seed: int = 0) -> float | None:
    """How well the text tells whether a source votes: the median AUROC over sources, out of five folds.

    A rule votes where the text has what it looks for: on `youtube` and `trec` 0.94 and 0.96 by a pretrained encoder. People who
    are handed texts at random vote wherever these are: 0.5; not so those who are handed texts by topic, or skip what is hard.

    Args:
        features: (rows, width) of the texts.
        votes: (rows, sources), -1 abstains.
        seed: of the folds.

    Returns:
        None where no source has 20 votes and 20 abstentions.
    """
    from sklearn.linear_model import Ridge
    from sklearn.metrics import roc_auc_score
    from sklearn.model_selection import KFold, cross_val_predict

    voted = votes >= 0
    voted = voted[:, np.minimum(voted.sum(0), (~voted).sum(0)) >= _FEWEST]
    if not voted.shape[1]:
        return None
    table = standardized(features)
    told = cross_val_predict(
        Ridge(alpha=table.shape[1]), table, voted.astype(float), cv=KFold(5, shuffle=True, random_state=seed)
    ).reshape(voted.shape)
    return float(np.median([roc_auc_score(*column) for column in zip(voted.T, told.T, strict=True)]))


def implied_accuracy(agreement: float, classes: int) -> float:
    """The accuracy of sources that agree so often and err independently and evenly; not below chance.

    >>> round(implied_accuracy(0.68, 2), 3), implied_accuracy(0.3, 2)
    (0.8, 0.5)
    """
    # a^2 + (1 - a)^2 / (K - 1) = agreement, the larger root
    inside = max(agreement * classes - 1, 0.0) * (classes - 1)
    return float(min((1 + np.sqrt(inside)) / classes, 1.0))
