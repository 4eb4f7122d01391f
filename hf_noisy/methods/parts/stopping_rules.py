"""Pure functions that choose one of several evaluations when no label can be trusted."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

from hf_noisy.common.checks import check_choice

_EXCLUDED = -1.0  # score of an evaluation that can no longer be chosen


def chosen_epoch(by: str, accuracies: Sequence[float], changes: Sequence[float], window: int = 1) -> int:
    """The number of the evaluation that a rule chooses, counted from 0, as `NoisyStopping(by, window=window)` does.

    Args:
        by: "accuracy", "label_wave" or "both".
        accuracies: accuracy of each evaluation on given labels. "label_wave" does not use them.
        changes: for each evaluation, the share of training rows whose predicted class changed; NaN while it is not
            known. "accuracy" does not use them.
        window: number of points over which the curve of changes is averaged.

    Raises:
        ValueError: an unknown rule, no evaluation, or for "both" lists of different lengths.

    >>> chosen_epoch("label_wave", [], [float("nan"), 0.3, 0.2, 0.25, 0.1])
    2
    >>> chosen_epoch("both", [0.6, 0.7, 0.7, 0.8, 0.8], [float("nan"), 0.3, 0.2, 0.25, 0.1])
    1
    """
    check_choice("by", by, RULES)
    scores = scores_by(by, accuracies, changes, window)
    if not scores:
        raise ValueError(f"by={by!r}: expected at least one evaluation.")
    return first_best(scores)


def scores_by(by: str, accuracies: Sequence[float], changes: Sequence[float], window: int) -> list[float]:
    """One score for each evaluation, from that evaluation and those before. The first largest score is the choice."""
    return STOPPING_RULES[by].scores(accuracies, changes, window)


def has_risen(changes: Sequence[float]) -> bool:
    """Whether the curve of prediction changes has passed its first minimum, so that "label_wave" has chosen.

    >>> has_risen([float("nan"), 0.3, 0.2]), has_risen([0.3, 0.2, 0.25, 0.1])
    (False, True)
    """
    return bool(changes) and _curve(changes, 1)[-1][1]


def _curve(changes: Sequence[float], window: int) -> list[tuple[float, bool]]:
    """For each evaluation, the point of the averaged curve, and whether the curve has risen so far."""
    points: list[float] = []
    curve: list[tuple[float, bool]] = []
    rose, last = False, math.inf
    for change in changes:
        if math.isnan(change):
            curve.append((change, rose))
            continue
        points.append(change)
        point = fmean(points[-window:])
        rose, last = rose or point > last, point
        curve.append((point, rose))
    return curve


def first_best(scores: Sequence[float]) -> int:
    """The position of the first largest score."""
    return max(range(len(scores)), key=lambda number: scores[number])


# ---- the rules -------------------------------------------------------------------------------------------------------


def _by_accuracy(accuracies: Sequence[float], changes: Sequence[float], window: int) -> list[float]:
    return list(accuracies)


def _by_label_wave(accuracies: Sequence[float], changes: Sequence[float], window: int) -> list[float]:
    return [
        _EXCLUDED if rose else -1 / number if math.isnan(point) else 1 - point
        for number, (point, rose) in enumerate(_curve(changes, window), start=1)
    ]


def _by_both(accuracies: Sequence[float], changes: Sequence[float], window: int) -> list[float]:
    curve = _curve(changes, window)
    return [_EXCLUDED if rose else accuracy for accuracy, (_, rose) in zip(accuracies, curve, strict=True)]


@dataclass(frozen=True)
class StoppingRule:
    """A way to choose an evaluation, and what `NoisyStopping` must know of it."""

    scores: Callable[[Sequence[float], Sequence[float], int], list[float]]  # (accuracies, changes, window) -> scores
    reads_accuracy: bool = True  # on given labels, so that it needs an evaluation set with labels
    waits_for: tuple[str, ...] = ()  # the rules that must all have waited before training ends; by default itself


STOPPING_RULES = {
    "accuracy": StoppingRule(_by_accuracy),
    "label_wave": StoppingRule(_by_label_wave, reads_accuracy=False),
    "both": StoppingRule(_by_both, waits_for=("accuracy", "label_wave")),
}
RULES = tuple(STOPPING_RULES)
