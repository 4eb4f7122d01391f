"""The classes of label columns by what their cells mean, whatever their types, and each row's class."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_noisy.common.checks import nearest
from hf_noisy.data.reading.options import listed
from hf_noisy.data.reading.table import Table
from hf_noisy.data.tables.cells import Cell, folded, is_odd, sorted_names
from hf_noisy.data.tables.notes import near_misses, notes_on_missing
from hf_noisy.data.tables.refusals import refuse_mixed, refuse_what_is_no_class
from hf_noisy.data.tables.soft import distributions, soft_classes
from hf_noisy.data.tables.values import Cells, LabelOptions, cells_of_column, is_class

Key = int | float | bool | str
_RARE = 0.1  # of the commonest spelling


@dataclass(frozen=True)
class Labels:
    """The classes, and the labels of every column."""

    names: tuple[str, ...]
    ids: Mapping[tuple[int, str], np.ndarray]  # (number of the table, column) -> (rows,) int64, -1 where there is none
    soft: Mapping[tuple[int, str], np.ndarray]  # the same for columns of distributions: (rows, classes) float32
    notes: tuple[str, ...] = ()


def read_labels(tables: Sequence[Table], columns: Sequence[str], options: LabelOptions) -> Labels:
    """Find the classes of all label columns of all tables, and each row's class.

    A class is the same in every column and table, whatever its type there: 1, 1.0 and "1", True and "true".

    Args:
        tables: the splits.
        columns: the names of the label columns. A table may lack some.
        options: how cells are understood.

    Raises:
        ValueError: fewer than two classes; cells that are scores, ids or several classes; numbers in one column and
            words in another; a value that a ClassLabel lacks.
    """
    found = [
        cells_of_column(table, column, options) for table in tables for column in columns if column in table.columns
    ]
    declared = _declared_names(found)
    notes: list[str] = []
    if any(cell.kind in ("soft", "named") for one in found for cell in one.meanings):
        names, keys = soft_classes(found, declared)
    elif declared:
        names, keys = declared, {name: k for k, name in enumerate(declared)}
    else:
        refuse_what_is_no_class(found, options)
        names, keys = _found_classes(tables, columns, found, options, notes)
    notes += notes_on_missing(found)
    number_of = {id(table): number for number, table in enumerate(tables)}
    ids: dict[tuple[int, str], np.ndarray] = {}
    soft: dict[tuple[int, str], np.ndarray] = {}
    for one in found:
        place = number_of[id(one.table)], one.column
        if any(cell.kind in ("soft", "named") for cell in one.meanings):
            soft[place] = distributions(one, names, keys)
            ids[place] = np.full(one.table.rows, -1)
        else:
            ids[place] = _encode(one, names, keys, bool(declared), options)
    return Labels(names, ids, soft, tuple(notes))


def _declared_names(found: Sequence[Cells]) -> tuple[str, ...]:
    """Return the names of the ClassLabels and categoricals: those of the first, then what others add."""
    sets = [one.table.class_names[one.column] for one in found if one.column in one.table.class_names]
    names = tuple(dict.fromkeys(name for names in sets for name in names))
    if sets and any(not set(other) & set(sets[0]) for other in sets):
        raise ValueError(f"the label columns name different classes: {sorted(set(sets))}. Cast them to one ClassLabel.")
    return names


def _key(cell: Cell) -> Key:
    value: Key = cell.value
    return str(value) if cell.kind == "truth" else value


def _found_classes(
    tables: Sequence[Table], columns: Sequence[str], found: Sequence[Cells], options: LabelOptions, notes: list[str]
) -> tuple[tuple[str, ...], dict[Any, int]]:
    counts: Counter[Key] = Counter()
    for one in found:
        for cell, count in zip(one.meanings, one.counts, strict=True):
            if is_class(cell):
                counts[_key(cell)] += int(count)
    refuse_mixed(found)
    truths = {value for value in counts if isinstance(value, str) and value.lower() in ("true", "false")}
    numbers = {value for value in counts if not isinstance(value, str)}
    aliases: dict[Key, str] = {}  # what is written -> the name of its class
    if truths and numbers <= {0, 1} and len(truths) + len(numbers) == len(counts):
        aliases = {value: str(bool(value)) for value in numbers} | {
            value: value.capitalize() for value in truths if isinstance(value, str)
        }
        if numbers:
            notes.append("0 and 1 are False and True, as in the other labels")
    groups = _spellings(counts, aliases, options)
    merged = {
        name: spellings for name, spellings in groups.items() if len(spellings) > 1 and name not in aliases.values()
    }
    if merged:
        shown = "; ".join(
            f"{name} ({', '.join(f'{spelling!r} {counts[spelling]:,}' for spelling in spellings[:6])})"
            for name, spellings in list(merged.items())[:10]
        )
        notes.append(f"spellings of one class are merged: {shown} (exact_labels keeps them apart)")
    order = sorted_names(groups)
    if len(order) < 2:
        where = f"{tables[0].where}, {', '.join(columns)}"
        labels = f"all labels are {order[0]!r}" if order else "no row has a label"
        raise ValueError(f"{where}: {labels}: expected two classes or more. Check that label_column names the labels.")
    sizes = {name: sum(counts[spelling] for spelling in groups[name]) for name in order}
    odd = [f"{name!r} ({sizes[name]:,})" for name in order if is_odd(name)]
    if odd:
        notes.append(
            f"{listed(odd)}: may mean that there is no label. It is a class here; empty the cells if it is none"
        )
    notes += near_misses(sizes)
    keys = {spelling: k for k, name in enumerate(order) for spelling in groups[name]}
    return tuple(order), keys


def _spellings(counts: Counter[Key], aliases: Mapping[Key, str], options: LabelOptions) -> dict[str, list[Key]]:
    """Group what is written by class: the name of a class -> its spellings, the most frequent first."""
    groups: dict[Any, list[Key]] = {}
    for value in sorted(counts, key=lambda value: (-counts[value], str(value))):
        word = aliases.get(value) or (f"{value:g}" if isinstance(value, float) else str(value))
        same = value in aliases or not isinstance(value, str) or options.exact
        groups.setdefault(word if same else ("", folded(word)), []).append(value)
    return {
        key if isinstance(key, str) else _best_name(key[1], spellings, counts): spellings
        for key, spellings in groups.items()
    }


def _best_name(fold: str, spellings: Sequence[Key], counts: Counter[Key]) -> str:
    """Return the name of a class that is spelled in several ways: the plain one, unless it is rare or does not occur."""
    words = [str(spelling) for spelling in spellings]
    plain = [word for word in words if word == fold and counts[word] >= _RARE * counts[words[0]]]
    whole = [word for word in words if word.casefold() == fold]
    return (plain or whole or [words[0] if len(words) == 1 else fold])[0]


def _encode(
    one: Cells, names: Sequence[str], keys: Mapping[Any, int], declared: bool, options: LabelOptions
) -> np.ndarray:
    numbers = np.full(len(one.values), -1)
    for value, cell in enumerate(one.meanings):
        if cell.kind in ("missing", "abstain") or not one.counts[value]:
            continue
        number = _number_of(cell, names, keys, declared, options)
        if number is None:
            raise ValueError(
                f"{one.first_row(value)}: expected a class from 0 to {len(names) - 1} or its name, or -1 to abstain. "
                f"{nearest(str(one.values[value]), names)}"
            )
        numbers[value] = number
    return numbers[one.codes] if len(one.values) else np.full(one.table.rows, -1)


def _number_of(
    cell: Cell, names: Sequence[str], keys: Mapping[Any, int], declared: bool, options: LabelOptions
) -> int | None:
    if not is_class(cell):
        return None
    key = _key(cell)
    if key in keys:
        return keys[key]
    if str(key) in keys:
        return keys[str(key)]
    if not declared:
        return None
    if cell.kind == "number" and 0 <= key < len(names):  # type: ignore[operator]
        return int(key)
    if cell.kind == "truth" and len(names) == 2:
        return int(cell.value)
    close = [k for k, name in enumerate(names) if isinstance(key, str) and folded(name) == folded(key)]
    return close[0] if len(close) == 1 and not options.exact else None
