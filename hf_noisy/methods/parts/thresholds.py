"""Selects pseudo-labels: thresholds, class balance, and detection of collapse."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_MAX_ODDS = 2  # factor by which pseudo-labels may raise a class's odds among the training rows
_COLLAPSE_ODDS_RATIO = 9  # a larger factor is a collapse: 90 % of the pseudo-labels for a class with half of the labels
_MIN_PSEUDO_LABELS = 20  # with fewer pseudo-labels, no collapse is reported
_MIN_EXPECTED = 10  # pseudo-labels expected of a class by its share of the labelled rows; none is then a collapse


def annealed_threshold(threshold: float, look: int, looks: int) -> float:
    """Lowers a threshold from 1 in equal steps: by one step at look 0, to `threshold` at the last of `looks`.

    >>> [round(annealed_threshold(0.7, look, 3), 2) for look in range(3)]
    [0.9, 0.8, 0.7]
    """
    return 1 - (1 - threshold) * min((look + 1) / max(looks, 1), 1)


def class_thresholds(probs: Tensor, threshold: float) -> Tensor:
    """(rows, classes) predictions of unlabeled rows -> (classes,) thresholds, lower for rarely confident classes.

    Let b be the number of predictions of a class at `threshold` or above, divided by that of the class with the most.
    The threshold of the class is `threshold` b / (2 - b), but at least 1/K. If no prediction reaches `threshold`, all
    classes keep it.

    Source: Zhang et al., "FlexMatch", NeurIPS 2021, with its convex mapping and without its warm-up.

    >>> class_thresholds(torch.tensor([[0.95, 0.05], [0.92, 0.08], [0.08, 0.92]]), 0.9)
    tensor([0.9000, 0.5000])
    """
    classes = probs.shape[-1]
    if not len(probs):
        return probs.new_full((classes,), threshold)
    confidence, guess = probs.max(-1)
    learned = torch.bincount(guess[confidence >= threshold], minlength=classes)
    if not learned.any():
        return probs.new_full((classes,), threshold)
    share = learned / learned.max()
    return (threshold * share / (2 - share)).clamp_min(1 / classes)


def balanced_counts(passing: np.ndarray, labelled: np.ndarray) -> np.ndarray:
    """(classes,) number of pseudo-labels that each class may have, so that no class dominates the training rows.

    Among the training rows, labelled or pseudo-labelled, the odds of a class are at most twice its odds among the
    labelled rows. A class without labelled rows gets no pseudo-labels.

    Args:
        passing: (classes,) number of available pseudo-labels.
        labelled: (classes,) number of rows that keep their label. Soft labels count by their shares.

    >>> balanced_counts(np.array([90, 4]), np.array([20.0, 20.0]))  # 20 + 28 of class 0, 20 + 4 of class 1
    array([28,  4])
    """
    others = labelled.sum() - labelled
    odds = np.divide(labelled, others, out=np.full(len(labelled), np.inf), where=others > 0)
    kept = passing.astype(np.int64)
    while True:
        rest = kept.sum() - kept
        # (labelled + kept) / (others + rest) <= _MAX_ODDS x odds, solved for kept; 1e-6 against rounding errors
        most = np.where(others > 0, _MAX_ODDS * np.where(others > 0, odds, 0) * (others + rest) - labelled, np.inf)
        fewer = np.minimum(kept, np.floor(np.clip(most + 1e-6, 0, len(kept) + passing.sum())).astype(np.int64))
        if (fewer == kept).all():
            return kept
        kept = fewer  # cutting one class raises the odds of the others


def most_confident(candidates: Tensor, guess: Tensor, confidence: Tensor, counts: np.ndarray) -> Tensor:
    """(rows,) bool. True for the `counts[k]` most confident candidates of each class k. Ties go to the earlier row.

    >>> every, confidence = torch.ones(3, dtype=torch.bool), torch.tensor([0.8, 0.9, 0.7])
    >>> most_confident(every, torch.tensor([0, 0, 1]), confidence, np.array([1, 1]))
    tensor([False,  True,  True])
    """
    kept = torch.zeros_like(candidates)
    for k, count in enumerate(counts.tolist()):
        mine = torch.nonzero(candidates & (guess == k)).squeeze(-1)
        kept[mine[confidence[mine].argsort(descending=True, stable=True)[:count]]] = True
    return kept


def collapse(pseudo: np.ndarray, labelled: np.ndarray) -> str | None:
    """Describes a collapse of the pseudo-labels in numbers. None if there is none, or fewer than 20 pseudo-labels.

    There are two kinds. One class takes over: its odds among the pseudo-labels are more than nine times its odds among
    the labelled rows. Or a class gets none, although its share of the labelled rows would give it ten or more.

    Args:
        pseudo: (classes,) number of pseudo-labels.
        labelled: (classes,) number of rows that keep their label.

    >>> collapse(np.array([95, 5]), np.array([50, 50]))
    'class 0 takes 95.0 % of 100 pseudo-labels and has 50.0 % of the labelled rows'
    >>> collapse(np.array([60, 40]), np.array([50, 50])) is None
    True
    """
    total, rows = int(pseudo.sum()), labelled.sum()
    if total < _MIN_PSEUDO_LABELS or rows <= 0:
        return None
    most = int(pseudo.argmax())
    mine, given = pseudo[most] / total, labelled[most] / rows
    if mine * (1 - given) > _COLLAPSE_ODDS_RATIO * given * (1 - mine):
        return (
            f"class {most} takes {mine:.1%} of {total} pseudo-labels and has {given:.1%} of the labelled rows"
        ).replace("%", " %")
    missing = np.flatnonzero((pseudo == 0) & (labelled / rows * total >= _MIN_EXPECTED))
    if len(missing):
        share = f"{labelled[missing[0]] / rows:.1%}".replace("%", " %")
        return f"class {missing[0]} gets none of {total} pseudo-labels and has {share} of the labelled rows"
    return None
