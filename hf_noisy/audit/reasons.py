"""Reasons why a label looks wrong: short phrases by which the report's table can be filtered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hf_noisy.audit.scorers import Evidence, contradiction
from hf_noisy.data.pairs import Text

_UNLIKELY = 0.2  # a given label with a lower probability gets a reason


def label_reasons(
    found: Evidence, class_names: Sequence[str], repeated: Mapping[int, tuple[int, int]] | None = None
) -> list[list[str]]:
    """Returns the reasons of each row, phrases "what: detail". A row without evidence against its label has none.

    Args:
        found: the evidence.
        class_names: ordered by class id.
        repeated: as from `repeated_texts`.
    """
    labels, near = found.labels, found.near.rows
    other = (labels[near] != labels[:, None]).sum(1)
    against = None if found.votes is None else contradiction(found.votes, labels)
    reasons: list[list[str]] = []
    for row, label in enumerate(labels):
        phrases = _reasons_of_dynamics(found.dynamics, row)
        if repeated and row in repeated:
            against_text, times = repeated[row]
            phrases.append(f"same text, other label: {against_text} of {times} rows")
        if 2 * other[row] > near.shape[1]:
            phrases.append(f"neighbours say otherwise: {other[row]} of {near.shape[1]}")
        for what, shares in (
            ("unlikely where it was not seen", found.probabilities),
            ("inferred otherwise", found.truth),
        ):
            if shares[row, label] < _UNLIKELY:
                best = class_names[int(shares[row].argmax())]
                phrases.append(f"{what}: {shares[row, label]:.2f}, {best} is likelier")
        if against is not None and against[row] > 0:
            assert found.votes is not None
            cast = int((found.votes[row] >= 0).sum())
            phrases.append(f"sources conflict: {round(against[row] * cast)} of {cast} against")
        reasons.append(phrases)
    return reasons


def repeated_texts(texts: Sequence[Text], labels: np.ndarray) -> dict[int, tuple[int, int]]:
    """Returns the rows whose text has another label elsewhere: row -> rows with another label, rows with this text.

    >>> repeated_texts(["a", "b", "a", "a"], np.array([0, 1, 1, 0]))
    {0: (1, 3), 2: (2, 3), 3: (1, 3)}
    """
    places: dict[Text, list[int]] = {}
    for row, text in enumerate(texts):
        places.setdefault(text, []).append(row)
    found = {}
    for rows in places.values():
        if len(rows) > 1 and len(set(labels[rows].tolist())) > 1:
            for row in rows:
                found[row] = (int((labels[rows] != labels[row]).sum()), len(rows))
    return dict(sorted(found.items()))


def _reasons_of_dynamics(dynamics: Mapping[str, np.ndarray], row: int) -> list[str]:
    if "disagreements" not in dynamics or not dynamics["seen"][row]:
        return []
    wrong, seen = int(dynamics["disagreements"][row]), int(dynamics["seen"][row])
    if wrong == seen:
        return [f"never learned: in {seen} epochs"]
    return [f"disagreed in {wrong} of {seen} epochs"] if 2 * wrong > seen else []
