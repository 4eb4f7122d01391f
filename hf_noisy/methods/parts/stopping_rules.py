"""Which of several evaluations to keep where no label can be trusted, as pure functions of what each of them showed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

from hf_noisy.common.checks import check_choice

RULES = ("accuracy", "label_wave", "both")
_LOST = -1.0  # the score of an evaluation that cannot be chosen any more


def chosen_epoch(by: str, accuracies: Sequence[float], changes: Sequence[float], window: int = 1) -> int:
    """Which evaluation a rule keeps, counted from 0: what `NoisyStopping(by, window=window)` chooses of the same.

    Args:
        by: "accuracy", "label_wave" or "both".
        accuracies: of each evaluation, on given labels; "label_wave" does not read them.
        changes: of each evaluation, the share of training rows whose predicted class changed; NaN before there is one.
            "accuracy" does not read them.
        window: points over which the curve of changes is averaged.

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
    """One an evaluation, from what was known by then; the first largest is the choice."""
    if by == "accuracy":
        return list(accuracies)
    curve = _curve(changes, window)
    if by == "both":
        return [_LOST if rose else accuracy for accuracy, (_, rose) in zip(accuracies, curve, strict=True)]
    return [
        _LOST if rose else -1 / number if math.isnan(point) else 1 - point
        for number, (point, rose) in enumerate(curve, start=1)
    ]


def has_risen(changes: Sequence[float]) -> bool:
    """Whether the curve of prediction changes has passed its first minimum: "label_wave" has chosen.

    >>> has_risen([float("nan"), 0.3, 0.2]), has_risen([0.3, 0.2, 0.25, 0.1])
    (False, True)
    """
    return bool(changes) and _curve(changes, 1)[-1][1]


def _curve(changes: Sequence[float], window: int) -> list[tuple[float, bool]]:
    """Each evaluation's point of the averaged curve, and whether the curve has risen by then."""
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
    return max(range(len(scores)), key=lambda number: scores[number])
