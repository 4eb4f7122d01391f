"""Selects pseudo-labels: thresholds, class balance, and detection of collapse."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

_ODDS = 2  # by how much pseudo-labels may raise the odds of a class among the rows that are taught
_COLLAPSED_ODDS = 9  # by how much among the pseudo-labels alone: 90 % of one class, where it has half of the labels
_FEW = 20  # pseudo-labels that say nothing of their classes yet
_EXPECTED = 10  # pseudo-labels of a class, at its share of the labelled rows, of which none is no accident


def annealed_threshold(threshold: float, look: int, looks: int) -> float:
    """Falls from 1 in equal steps: one step down at look 0, `threshold` at the last of `looks`.

    >>> [round(annealed_threshold(0.7, look, 3), 2) for look in range(3)]
    [0.9, 0.8, 0.7]
    """
    return 1 - (1 - threshold) * min((look + 1) / max(looks, 1), 1)


def class_thresholds(probs: Tensor, threshold: float) -> Tensor:
    """(rows, classes) predictions of unlabeled rows -> (classes,) the lower, the less of a class is predicted surely.

    With b the number of predictions of a class at `threshold` or above, over that of the class with most, it is
    `threshold` b / (2 - b), but not below 1/K. If no prediction is that sure, all stay at `threshold`.

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
    """(classes,) how many pseudo-labels each class may have, so that none takes over what is taught.

    Among the rows taught, labelled or pseudo-labelled, the odds of a class are at most twice those among the labelled
    ones. A class that no labelled row has gets none.

    Args:
        passing: (classes,) pseudo-labels at hand.
        labelled: (classes,) rows that keep their label; shares of soft labels add up.

    >>> balanced_counts(np.array([90, 4]), np.array([20.0, 20.0]))  # 20 + 28 of class 0, 20 + 4 of class 1
    array([28,  4])
    """
    others = labelled.sum() - labelled
    odds = np.divide(labelled, others, out=np.full(len(labelled), np.inf), where=others > 0)
    kept = passing.astype(np.int64)
    while True:
        rest = kept.sum() - kept
        # (labelled + kept) / (others + rest) <= _ODDS x odds, solved for kept; 1e-6: whatever the precision
        most = np.where(others > 0, _ODDS * np.where(others > 0, odds, 0) * (others + rest) - labelled, np.inf)
        fewer = np.minimum(kept, np.floor(np.clip(most + 1e-6, 0, len(kept) + passing.sum())).astype(np.int64))
        if (fewer == kept).all():
            return kept
        kept = fewer  # where one class is cut, the odds of the others rise


def most_confident(candidates: Tensor, guess: Tensor, confidence: Tensor, counts: np.ndarray) -> Tensor:
    """(rows,) the candidates of each class that are most confident, `counts[k]` of class k; of equals the earlier row.

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
    """Says in numbers which class swallows the pseudo-labels, or gets none of them; None where all is well.

    A class swallows them if its odds among at least 20 are more than nine times those among the labelled rows. A class
    gets none if at its share of the labelled rows it would have ten or more.

    Args:
        pseudo: (classes,) pseudo-labels.
        labelled: (classes,) rows that keep their label.

    >>> collapse(np.array([95, 5]), np.array([50, 50]))
    'class 0 takes 95.0 % of 100 pseudo-labels and has 50.0 % of the labelled rows'
    >>> collapse(np.array([60, 40]), np.array([50, 50])) is None
    True
    """
    total, rows = int(pseudo.sum()), labelled.sum()
    if total < _FEW or rows <= 0:
        return None
    most = int(pseudo.argmax())
    mine, given = pseudo[most] / total, labelled[most] / rows
    if mine * (1 - given) > _COLLAPSED_ODDS * given * (1 - mine):
        return (
            f"class {most} takes {mine:.1%} of {total} pseudo-labels and has {given:.1%} of the labelled rows"
        ).replace("%", " %")
    missing = np.flatnonzero((pseudo == 0) & (labelled / rows * total >= _EXPECTED))
    if len(missing):
        share = f"{labelled[missing[0]] / rows:.1%}".replace("%", " %")
        return f"class {missing[0]} gets none of {total} pseudo-labels and has {share} of the labelled rows"
    return None
