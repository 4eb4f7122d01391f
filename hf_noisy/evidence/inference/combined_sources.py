"""Inference of the true class from several sources that vote, as the mean of models that trust them differently.

Each model is that of Raykar et al., "Learning From Crowds", JMLR 2010: a linear classifier of the text gives the prior
of the true class, each source has a confusion matrix, and expectation-maximisation fits both. The models differ in what
a source is compared with (the posterior, or the mean of posterior and classifier), in how far its matrix is shrunk
towards one with a single accuracy (the "one-coin" model), and in the class balance. No single model is best: which one
is depends on whether sources are annotators, language models or rules. Their mean is nearly as good as the best of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hf_noisy.common.progress import progress_bar
from hf_noisy.evidence.features.neighbours import NearestRows
from hf_noisy.evidence.inference.heads import fit_head, principal

LEAST_VOTES = 5  # a source with fewer votes is pooled with others of this kind
NEIGHBOURS = 10  # of each text, whose predictions have a share in its prior
CONFIDENT = 0.7  # a label moves to another class only with at least this probability
CONFIDENT_RULES = 0.5  # the same for rules, of which few vote on a text
_NEAR = 0.3  # this share
_ROUNDS = 8
_STEPS = 30
_ONE_CLASS = 0.5  # share of the votes by sources that vote for one class only, above which sources are rules
_POOLED_ROWS = 10.0  # pseudo-votes of a pooled source
_MOST_ROWS = 20_000  # the classifier is fitted to at most this many rows
APART = (0.25, 0.45)  # shares of labels on which two models differ, between which the second one loses its weight
_TINY = 1e-9


@dataclass(frozen=True)
class Trust:
    """How one model reads sources and texts."""

    posterior: float  # share of the posterior, against that of the classifier, by which matrices are counted
    shrink: float  # pseudo-votes of a matrix with one accuracy and the source's own frequency of votes
    penalty: float  # of half the squared weights of the classifier, against its mean loss
    power: float = 1.0  # of the classifier's probabilities
    balance: float = 0.0  # power of (class balance / mean predicted share), 0 leaves the predicted balance


ANSWERS = Trust(posterior=1.0, shrink=200.0, penalty=0.1)
MIXED = Trust(posterior=0.5, shrink=20.0, penalty=0.02)
BALANCED = Trust(posterior=0.5, shrink=0.0, penalty=0.1, power=1.5, balance=0.75)


@dataclass(frozen=True)
class _Votes:
    rows: np.ndarray  # (votes,) row numbers; repeated if sources are pooled
    votes: np.ndarray  # (votes, classes) one-hot
    pooled: bool


def are_rules(votes: np.ndarray) -> bool:
    """Whether the sources are rules: most votes are by sources that vote for one class only.

    How often a rule fires says nothing of how common its class is. How often an annotator or a language model answers
    with a class does.

    Args:
        votes: (rows, sources) class ids, -1 abstains.

    >>> are_rules(np.array([[0, -1], [-1, 1], [0, 1]])), are_rules(np.array([[0, 1], [1, 1]]))
    (True, False)
    """
    total = one_class = 0
    for column in votes.T:
        voted = column[column >= 0]
        total += len(voted)
        one_class += len(voted) if len(np.unique(voted)) == 1 else 0
    return one_class > _ONE_CLASS * total


def combine_sources(
    view: np.ndarray,
    near: NearestRows,
    given: np.ndarray,
    votes: np.ndarray,
    *,
    class_prior: np.ndarray | None = None,
) -> np.ndarray:
    """Infers the probability of each class from the votes of several sources and from similar texts: (rows, classes).

    The mean of two models: for annotators and language models, one that counts a source's mistakes by the posterior and
    one that counts them half by the classifier; for rules (`are_rules`), the latter and one that assumes that classes
    are balanced. If balance changes a quarter of the labels or more, it is not likely, and the weight of this model
    falls, to zero at 45 %. With `class_prior` all models take the balance from it.

    Args:
        view: (rows, width) text features.
        near: nearest neighbours among all rows.
        given: (rows, classes) majority vote, ties shared; a zero row has no vote.
        votes: (rows, sources) class ids, -1 abstains.
        class_prior: (classes,) shares of the classes, if they are known.
    """
    first, second = source_models(view, near, given, votes, class_prior=class_prior)
    if are_rules(votes) and class_prior is None:
        return mean_unless_apart(first, second, given)
    return (first + second) / 2


def source_models(
    view: np.ndarray,
    near: NearestRows,
    given: np.ndarray,
    votes: np.ndarray,
    *,
    class_prior: np.ndarray | None = None,
    counted: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """The two models of `combine_sources`, (rows, classes) each.

    Args:
        view, near, given, votes, class_prior: as there.
        counted: (rows, classes) true classes, if they are known, by which the matrices of the sources are counted: what
            the models could do at best.
    """
    classes = given.shape[1]
    sources = _sources(votes, classes)
    inputs = principal(np.asarray(view, dtype=np.float64))
    prior = np.full(classes, 1 / classes) if class_prior is None else class_prior
    models = (MIXED, BALANCED) if are_rules(votes) else (MIXED, ANSWERS)
    first, second = (
        _infer(inputs, near, given, sources, trust, prior, class_prior is not None, counted)
        for trust in progress_bar("Combining sources", models, unit="model")
    )
    return first, second


def mean_unless_apart(
    first: np.ndarray, second: np.ndarray, given: np.ndarray, apart: tuple[float, float] = APART
) -> np.ndarray:
    """The mean of two models, of which the second one loses its weight where they differ on many labels.

    Args:
        first, second: (rows, classes) probabilities.
        given: (rows, classes) labels; a zero row has no label.
        apart: share of the labels on which they differ from which the weight falls, and from which it is zero.

    >>> one, other = np.eye(2)[[0, 0, 1, 1]], np.eye(2)[[0, 1, 0, 1]]
    >>> mean_unless_apart(one, other, one, (0.0, 1.0)).round(2)[1]
    array([0.75, 0.25])
    """
    differ = float((first.argmax(1) != second.argmax(1))[given.sum(1) > 0].mean())
    weight = 0.5 * float(np.clip((apart[1] - differ) / (apart[1] - apart[0]), 0, 1))
    return (1 - weight) * first + weight * second


def hold_unsure(truth: np.ndarray, given: np.ndarray, confident: float = CONFIDENT) -> np.ndarray:
    """Keeps a label from moving to a class that is not probable enough: (rows, classes) targets.

    Such a row's target is the mean of its label and the inferred probabilities, or its label alone if another class is
    still the largest of this mean.

    Args:
        truth: (rows, classes) inferred probabilities.
        given: (rows, classes) labels, one-hot or shares; a zero row has no label and is not changed.
        confident: least probability of a class to move to.

    >>> hold_unsure(np.array([[0.1, 0.9], [0.4, 0.6]]), np.array([[1.0, 0.0], [1.0, 0.0]])).round(2)
    array([[0.1, 0.9],
           [0.7, 0.3]])
    """
    rows, targets = np.arange(len(truth)), truth.copy()
    largest = truth.argmax(1)
    unsure = (given.sum(1) > 0) & (given[rows, largest] <= 0) & (truth.max(1) < confident)
    targets[unsure] = (truth[unsure] + given[unsure]) / 2
    moved = unsure & (given[rows, targets.argmax(1)] <= 0)
    targets[moved] = given[moved]
    return targets


def _sources(votes: np.ndarray, classes: int) -> list[_Votes]:
    found: list[tuple[np.ndarray, np.ndarray]] = []
    small: list[tuple[np.ndarray, np.ndarray]] = []
    for column in votes.T:
        rows = np.flatnonzero(column >= 0)
        if len(rows):
            (found if len(rows) >= LEAST_VOTES else small).append((rows, np.eye(classes)[column[rows]]))
    sources = [_Votes(rows, one_hot, pooled=False) for rows, one_hot in found]
    if small:
        rows, one_hot = (np.concatenate(parts) for parts in zip(*small, strict=True))
        sources.append(_Votes(rows, one_hot, pooled=True))
    return sources


def _infer(
    inputs: torch.Tensor,
    near: NearestRows,
    given: np.ndarray,
    sources: Sequence[_Votes],
    trust: Trust,
    class_prior: np.ndarray,
    known: bool,
    counted: np.ndarray | None = None,
) -> np.ndarray:
    rows = np.flatnonzero(given.sum(1) > 0)
    truth = given
    for _ in range(_ROUNDS):
        prior = _predicted(inputs, truth, rows, trust.penalty)
        prior = (1 - _NEAR) * prior + _NEAR * prior[near.rows].mean(1)
        power = 1.0 if known else trust.balance
        prior = prior**trust.power * (class_prior / np.maximum(prior.mean(0), _TINY)) ** power
        prior /= prior.sum(1, keepdims=True)
        voted = truth.sum(1, keepdims=True) > 0
        compared = (1 - trust.posterior) * prior + trust.posterior * np.where(voted, truth, prior)
        compared = compared if counted is None else counted
        log_truth = np.log(np.maximum(prior, _TINY))
        for source in sources:
            np.add.at(log_truth, source.rows, _log_likelihood(source, compared, trust.shrink))
        log_truth -= log_truth.max(1, keepdims=True)
        truth = np.exp(log_truth)
        truth /= truth.sum(1, keepdims=True)
        rows = np.arange(len(truth))
    return truth


def _predicted(inputs: torch.Tensor, truth: np.ndarray, rows: np.ndarray, penalty: float) -> np.ndarray:
    if len(rows) > _MOST_ROWS:
        rows = np.random.default_rng(0).choice(rows, _MOST_ROWS, replace=False)
    head = fit_head(inputs[rows], torch.from_numpy(truth[rows]), penalty * len(rows), _STEPS)
    with torch.no_grad():
        return head.log_probs(inputs).exp().numpy()


def _log_likelihood(source: _Votes, compared: np.ndarray, shrink: float) -> np.ndarray:
    """log P(the source votes, and with this vote | true class): (votes, classes)."""
    classes = compared.shape[1]
    true_class, votes = compared[source.rows], source.votes
    counts = true_class.T @ votes  # row: true class, column: vote
    pseudo = max(shrink, _POOLED_ROWS) if source.pooled else shrink
    right = (np.trace(counts) + 1) / (len(votes) + 2)
    frequency = votes.mean(0) + 0.5 / len(votes)
    one_accuracy = right * np.eye(classes) + (1 - right) * frequency / frequency.sum()
    matrix = counts + 1 / classes + pseudo * one_accuracy
    matrix /= matrix.sum(1, keepdims=True)
    log_vote = votes @ np.log(matrix).T
    if source.pooled:  # whether one of many sources votes says nothing of the class
        return log_vote
    share = len(votes) / len(compared)
    return log_vote + np.log((true_class.sum(0) + share) / (compared.sum(0) + 1))
