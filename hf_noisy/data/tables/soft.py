"""Label columns whose cells are probabilities of classes: soft labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hf_noisy.data.reading.options import listed
from hf_noisy.data.tables.values import Cells


def soft_classes(found: Sequence[Cells], declared: tuple[str, ...]) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Return the classes of columns of which some hold distributions."""
    rows = [(one, value) for one in found for value, cell in enumerate(one.meanings) if cell.kind == "soft"]
    named = sorted({name for one in found for cell in one.meanings if cell.kind == "named" for name, _ in cell.value})
    if rows and named:
        one, value = rows[0]
        raise ValueError(
            f"{one.first_row(value)}: is a list, where others name their classes, as {named[0]!r}. Write all in one way."
        )
    hard = sorted({cell.value for one in found for cell in one.meanings if cell.kind == "word"})
    if named:
        names = declared or tuple(sorted({*named, *hard}))
        return names, {name: k for k, name in enumerate(names)}
    width = len(rows[0][0].meanings[rows[0][1]].value)
    wrong = next(((one, value) for one, value in rows if len(one.meanings[value].value) != width), None)
    if wrong is not None:
        raise ValueError(
            f"{wrong[0].first_row(wrong[1])}: expected {width} probabilities, as in {rows[0][0].first_row(rows[0][1])}."
        )
    if declared and len(declared) != width:
        one, value = rows[0]
        raise ValueError(f"{one.first_row(value)}: expected a probability for each of the {len(declared)} classes.")
    if hard and not declared and len(hard) != width:
        one, value = rows[0]
        raise ValueError(
            f"{one.first_row(value)}: has {width} probabilities, where other labels name {len(hard)} classes ({listed(hard)}): "
            "expected as many. Write probabilities with their names, as {name: probability}."
        )
    names = declared or tuple(hard) or tuple(str(k) for k in range(width))
    return names, {name: k for k, name in enumerate(names)} | {k: k for k in range(width)}


def distributions(one: Cells, names: Sequence[str], keys: Mapping[Any, int]) -> np.ndarray:
    """Return (rows, classes) float32 probabilities. A row without a label is zero."""
    table = np.zeros((len(one.values), len(names)), dtype=np.float32)
    for value, cell in enumerate(one.meanings):
        if cell.kind == "soft":
            table[value] = cell.value
        elif cell.kind == "named":
            for name, share in cell.value:
                table[value, keys[name]] = share
        elif cell.kind not in ("missing", "abstain"):
            number = keys.get(cell.value)
            if number is None:
                raise ValueError(
                    f"{one.first_row(value)}: expected {len(names)} probabilities, or a class from 0 to {len(names) - 1}."
                )
            table[value, number] = 1
        total = float(table[value].sum())
        if not np.isfinite(table[value]).all() or (table[value] < 0).any() or (total and abs(total - 1) > 1e-3):
            hint = " Several classes a row are not supported." if set(np.unique(table[value])) <= {0.0, 1.0} else ""
            raise ValueError(
                f"{one.first_row(value)}: expected probabilities that sum to 1, or to 0 where there is no label.{hint}"
            )
    return table[one.codes]
