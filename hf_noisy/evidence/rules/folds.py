"""Folds by rule: each example is predicted by a head that was trained without the rules that voted on it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike

from hf_noisy.common.progress import progress_bar
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.evidence.features.frozen import INVERSE_PENALTIES, logistic_probabilities
from hf_noisy.evidence.inputs import check_features, standardized
from hf_noisy.weak.votes import check_votes

_HEADS = 32  # maximum number of heads; more sets of rules share heads
_FEWEST = 5  # minimum number of rows to learn a class
_MOST = 5000  # maximum number of rows to train a head


def rule_held_out_probabilities(
    vectors: ArrayLike, labels: ArrayLike, votes: np.ndarray, classes: int, seed: int = 0
) -> np.ndarray:
    """Predicts P(class | text) of each row by a logistic regression trained on rows that share no rule with it.

    Rows on which the same rules voted share a head. It is trained on the labelled rows on which none of these rules
    voted. Each class has the weight there that it has in all labels, since the rows of a rule often contain most of a
    class. If there are more than 32 such sets of rules, the rarer ones join the head with which most rows can be
    judged. The penalty maximises the likelihood of a random fifth of the given labels under a fit to the rest. The
    labels that a head judges do not choose the penalty, since they are the suspects.

    Args:
        vectors: (rows, width) of a frozen encoder; standardised here.
        labels: (rows,) class ids, negative for no label; or (rows, classes) soft labels, a zero row for no label.
        votes: (rows, sources), -1 abstains.
        classes: number of classes.
        seed: seed of that fifth, and of the sample if a head has more than 5,000 rows to train on.

    Returns:
        (rows, classes) float64. A row is NaN if it is not judged. It then has no label or no vote; or without its
        rules, its class (the most probable of a soft label) or all classes but one have fewer than five labelled rows.
        Other classes with fewer than five rows are not learned, and have probability 1e-6.

    Raises:
        ValueError, TypeError: vectors or votes with another number of rows than the labels.

    >>> far = np.array([[-1.0], [-2.0], [1.0], [2.0]]).repeat(5, 0)  # class 0 on the left, class 1 on the right
    >>> labels, votes = np.repeat([0, 0, 1, 1], 5), np.full((20, 4), -1)
    >>> votes[np.arange(20), np.repeat([0, 1, 2, 3], 5)] = labels
    >>> labels[0] = 1  # the first row of rule 0 is labelled wrongly
    >>> rule_held_out_probabilities(far, labels, votes, classes=2)[0].argmax()
    np.int64(0)
    """
    votes = check_votes(votes, classes)
    given = one_hot(torch.as_tensor(labels), classes).double().numpy()
    table = check_features(vectors, len(given))
    if len(votes) != len(given):
        raise ValueError(f"votes has {len(votes)} rows: expected {len(given)}, one for each label.")
    table = standardized(table)
    heads = _heads(given, votes >= 0, seed)
    judged = np.full((len(given), classes), np.nan)
    inverse = _best_penalty(table, given, seed)
    for head in progress_bar("Judging labels without their rules", heads, unit="head"):
        judged[head.asked] = head.predicted(table, given, inverse)
    return judged


@dataclass(frozen=True)
class _Head:
    """The rows that a logistic regression is trained on, and the rows that it judges."""

    learned: np.ndarray  # row numbers
    known: np.ndarray  # (classes,) bool: classes with enough rows to learn
    asked: np.ndarray  # row numbers

    def predicted(self, table: np.ndarray, given: np.ndarray, inverse: float) -> np.ndarray:
        """Predicts (asked, classes); the weight of each known class in training is its weight in all of `given`."""
        own = given[self.learned] * self.known
        rows, labels = np.nonzero(own)  # a soft label becomes several weighted rows
        weights = own[rows, labels] * (given.sum(0)[labels] / own.sum(0)[labels])
        weights = weights * len(rows) / weights.sum()
        vectors = table[self.learned[rows]]
        return logistic_probabilities(vectors, labels, table[self.asked], given.shape[1], inverse, weights)


def _heads(given: np.ndarray, voted: np.ndarray, seed: int) -> list[_Head]:
    """Returns the heads with at least two classes to learn and a row to judge, the most frequent rules first."""
    labelled, label = given.sum(1) > 0, given.argmax(1)
    sets, kinds = np.unique(voted, axis=0, return_inverse=True)  # (sets, sources), (rows,)
    kinds = kinds.reshape(-1)  # NumPy 2.0.0 gives (rows, 1)
    counts = np.zeros((len(sets), given.shape[1]))
    np.add.at(counts, kinds, given)
    heads = []
    for members, rules in _grouped(sets, counts, _HEADS):
        learned = np.flatnonzero(labelled & ~(voted & rules).any(1))
        if len(learned) > _MOST:
            learned = np.sort(np.random.default_rng(seed).choice(learned, _MOST, replace=False))
        known = given[learned].sum(0) >= _FEWEST
        asked = np.flatnonzero(labelled & np.isin(kinds, members) & known[label])
        if known.sum() > 1 and len(asked):
            heads.append(_Head(learned, known, asked))
    return heads


def _grouped(sets: np.ndarray, counts: np.ndarray, most: int) -> list[tuple[list[int], np.ndarray]]:
    """Groups sets of rules into heads: the sets of each head and the union of their rules (sources,), by frequency.

    A set joins the head with which most labelled rows of both can be judged; ties go to the one with most training
    rows.

    Args:
        sets: (sets, sources) bool.
        counts: (sets, classes) number of labelled rows.
        most: maximum number of heads.
    """

    def learnable(unions: np.ndarray) -> np.ndarray:
        """Counts the labelled rows without the rules of each union, (unions, classes)."""
        return ((sets.astype(np.int64) @ unions.astype(np.int64).T) == 0).T @ counts

    wanted = sets.any(1) & (_judgeable(learnable(sets), counts) > 0)
    groups: list[tuple[list[int], np.ndarray]] = []
    for kind in np.argsort(-counts.sum(1), kind="stable"):
        if not wanted[kind]:
            continue
        if len(groups) < most:
            groups.append(([int(kind)], sets[kind]))
            continue
        unions = np.stack([rules for _, rules in groups])
        members = np.stack([counts[mine].sum(0) for mine, _ in groups])
        rows = learnable(unions | sets[kind])
        gain = _judgeable(rows, members + counts[kind]) - _judgeable(learnable(unions), members)
        place = np.lexsort((-rows.sum(1), -gain))[0]
        if gain[place] > 0:
            groups[place] = ([*groups[place][0], int(kind)], unions[place] | sets[kind])
    return groups


def _judgeable(learnable: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Counts the rows that each head can judge, (heads,), from its training rows and its own rows, (heads, classes)."""
    known = learnable >= _FEWEST
    return (asked * known).sum(1) * (known.sum(1) > 1)


def _best_penalty(table: np.ndarray, given: np.ndarray, seed: int) -> float:
    """Returns the inverse penalty with the largest likelihood of a random fifth of the labels, trained on the rest."""
    rows = np.random.default_rng(seed).permutation(np.flatnonzero(given.sum(1) > 0))[: 5 * _MOST // 4]
    asked, learned = np.split(rows, [len(rows) // 5])
    trial = _Head(learned, given[learned].sum(0) > 0, asked)
    if trial.known.sum() < 2 or not len(asked):
        return INVERSE_PENALTIES[0]

    def likelihood(inverse: float) -> float:
        return float((given[asked] * np.log(trial.predicted(table, given, inverse))).sum())

    return max(INVERSE_PENALTIES, key=likelihood)
