"""Why a label looks wrong, in short phrases that a table can be filtered by."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from hf_noisy.audit.scorers import Evidence, contradiction

_UNLIKELY = 0.2  # probability of the given label from which on down a row says so


def reasons_against(found: Evidence, class_names: Sequence[str]) -> list[list[str]]:
    """Of each row the phrases "what: detail", none where nothing speaks against its label."""
    labels, near = found.labels, found.near.rows
    other = (labels[near] != labels[:, None]).sum(1)
    against = None if found.votes is None else contradiction(found.votes, labels)
    reasons: list[list[str]] = []
    for row, label in enumerate(labels):
        said = _of_dynamics(found.dynamics, row)
        if 2 * other[row] > near.shape[1]:
            said.append(f"neighbours say otherwise: {other[row]} of {near.shape[1]}")
        for what, shares in (
            ("unlikely where it was not seen", found.probabilities),
            ("inferred otherwise", found.truth),
        ):
            if shares[row, label] < _UNLIKELY:
                best = class_names[int(shares[row].argmax())]
                said.append(f"{what}: {shares[row, label]:.2f}, {best} is likelier")
        if against is not None and against[row] > 0:
            assert found.votes is not None
            cast = int((found.votes[row] >= 0).sum())
            said.append(f"sources conflict: {round(against[row] * cast)} of {cast} against")
        reasons.append(said)
    return reasons


def _of_dynamics(dynamics: Mapping[str, np.ndarray], row: int) -> list[str]:
    if "disagreements" not in dynamics or not dynamics["seen"][row]:
        return []
    wrong, seen = int(dynamics["disagreements"][row]), int(dynamics["seen"][row])
    if wrong == seen:
        return [f"never learned: in {seen} epochs"]
    return [f"disagreed in {wrong} of {seen} epochs"] if 2 * wrong > seen else []
