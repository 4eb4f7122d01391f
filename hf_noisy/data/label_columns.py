"""The classes of label columns by what their cells mean, whatever their types, and each row's class."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_noisy.common.checks import nearest
from hf_noisy.data.label_cells import Cell, folded, is_odd, meaning_of
from hf_noisy.data.reading.options import listed
from hf_noisy.data.reading.table import Table, cells

Key = int | float | bool | str
_FEW = 20  # up to so many distinct values are classes even where each occurs about once
_DISTINCT = 0.9  # more values than this share of the labelled rows are ids or texts
_FRACTIONS = 0.25  # more fractions than this share of the labelled rows are scores
_RARE = 0.1  # of the commonest spelling
_MOST_COMPARED = 200  # classes among which near misses are looked for


@dataclass(frozen=True)
class LabelOptions:
    """How cells of labels are understood.

    Args:
        exact: whether spellings of a class that differ in case, outer spaces, quotes or final marks are kept apart.
        na_is_class: whether NA, null, None and the other words that pandas takes for missing are names of classes.
        minus_one_is_class: whether -1 and -100 are classes. Without it no label.
    """

    exact: bool = False
    na_is_class: bool = False
    minus_one_is_class: bool = False


@dataclass
class Cells:
    """A label column with its distinct values, so that each is looked at once."""

    table: Table
    column: str
    codes: np.ndarray  # (rows,) int64, the number of the distinct value
    values: list[Any]
    meanings: list[Cell]
    counts: np.ndarray  # (values,) rows of each value

    def first_row(self, value: int) -> str:
        """Return the first row with a value, for errors, and what it holds."""
        row = int(np.flatnonzero(self.codes == value)[0])
        return f"{self.table.row(row)}: {self.column} is {self.values[value]!r}"


@dataclass(frozen=True)
class Labels:
    """The classes, and the labels of every column."""

    names: tuple[str, ...]
    ids: Mapping[tuple[int, str], np.ndarray]  # (number of the table, column) -> (rows,) int64, -1 where there is none
    soft: Mapping[tuple[int, str], np.ndarray]  # the same for columns of distributions: (rows, classes) float32
    notes: tuple[str, ...] = ()
    spellings: Mapping[str, str] = field(default_factory=dict)  # a merged spelling -> its class


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
        _cells(table, column, options) for table in tables for column in columns if column in table.columns
    ]
    declared = _declared_names(found)
    notes: list[str] = []
    if any(cell.kind in ("soft", "named") for one in found for cell in one.meanings):
        names, keys = _soft_classes(found, declared, options)
        spellings: dict[str, str] = {}
    elif declared:
        names, keys, spellings = declared, {name: k for k, name in enumerate(declared)}, {}
    else:
        _refuse_what_is_no_class(found, options)
        names, keys, spellings = _found_classes(tables, columns, found, options, notes)
    notes += _notes_on_missing(found, options)
    number_of = {id(table): number for number, table in enumerate(tables)}
    ids: dict[tuple[int, str], np.ndarray] = {}
    soft: dict[tuple[int, str], np.ndarray] = {}
    for one in found:
        place = number_of[id(one.table)], one.column
        if any(cell.kind in ("soft", "named") for cell in one.meanings):
            soft[place] = _distributions(one, names, keys)
            ids[place] = np.full(one.table.rows, -1)
        else:
            ids[place] = _encode(one, names, keys, bool(declared), options)
    return Labels(names, ids, soft, tuple(notes), spellings)


def _cells(table: Table, column: str, options: LabelOptions) -> Cells:
    """Look at the distinct values of a column."""
    codes, values = _distinct(table.column(column))
    names = table.class_names.get(column)
    if names is not None:
        meanings = [_declared_cell(value, names) for value in values]
    else:
        meanings = [_understood(meaning_of(value), options) for value in values]
    return Cells(table, column, codes, values, meanings, np.bincount(codes, minlength=len(values)))


def _distinct(column: Any) -> tuple[np.ndarray, list[Any]]:
    if not isinstance(column, list) and not pa.types.is_nested(column.type):
        if isinstance(column, pa.Array):
            column = pa.chunked_array([column])
        encoded = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if pa.types.is_null(encoded.type):
            return np.zeros(len(encoded), dtype=np.int64), [None]
        found = pc.dictionary_encode(encoded, null_encoding="encode")
        return np.asarray(found.indices).astype(np.int64), found.dictionary.to_pylist()
    numbers: dict[Any, int] = {}
    values: list[Any] = []
    codes = np.empty(len(column), dtype=np.int64)
    for row, cell in enumerate(cells(column)):
        key = (type(cell).__name__, repr(cell) if isinstance(cell, list | dict | np.ndarray) or cell != cell else cell)
        if key not in numbers:
            numbers[key] = len(values)
            values.append(cell)
        codes[row] = numbers[key]
    return codes, values


def _declared_cell(value: Any, names: Sequence[str]) -> Cell:
    if value is None or value in (-1, -100):
        return Cell("missing")
    return Cell("word", names[value]) if 0 <= value < len(names) else Cell("other", value)


def _understood(cell: Cell, options: LabelOptions) -> Cell:
    if cell.kind == "abstain" and options.minus_one_is_class:
        return Cell("number", cell.value)
    if cell.kind == "missing" and cell.value and options.na_is_class:
        return Cell("word", cell.value)
    return cell


def _declared_names(found: Sequence[Cells]) -> tuple[str, ...]:
    """Return the names of the ClassLabels and categoricals: those of the first, then what others add."""
    sets = [one.table.class_names[one.column] for one in found if one.column in one.table.class_names]
    names = tuple(dict.fromkeys(name for names in sets for name in names))
    if sets and any(not set(other) & set(sets[0]) for other in sets):
        raise ValueError(f"the label columns name different classes: {sorted(set(sets))}. Cast them to one ClassLabel.")
    return names


def _refuse_what_is_no_class(found: Sequence[Cells], options: LabelOptions) -> None:
    """Raise if cells are scores, ids, texts, or of a type that is no label."""
    for one in found:
        for value, cell in enumerate(one.meanings):
            if cell.kind == "other":
                raise ValueError(
                    f"{one.first_row(value)}: expected a class: a word, a whole number >= 0 or a truth value; -1, None or an "
                    "empty cell abstains. Several classes a row are not supported."
                )
            if cell.kind == "number" and cell.value < 0 and not options.minus_one_is_class:
                raise ValueError(
                    f"{one.first_row(value)}: expected a word or a whole number >= 0; -1, None or an empty cell abstains. If "
                    "negative numbers are classes, set minus_one_is_class."
                )
        classes = [(cell, int(count)) for cell, count in zip(one.meanings, one.counts, strict=True) if _is_class(cell)]
        rows, distinct = sum(count for _, count in classes), len({cell.value for cell, _ in classes})
        fractions = [cell.value for cell, _ in classes if cell.kind == "fraction"]
        if fractions and (len(fractions) > _FEW or distinct > _FRACTIONS * rows):
            raise ValueError(
                f"{one.table.where}: {one.column} looks like a score and not like classes: {distinct:,} distinct values in {rows:,} "
                f"labelled rows, such as {fractions[0]}. Make classes of it with a threshold, or name another label_column."
            )
        if distinct > _FEW and distinct > _DISTINCT * rows:
            raise ValueError(
                f"{one.table.where}: {one.column} looks like ids or texts and not like classes: {distinct:,} distinct values in "
                f"{rows:,} labelled rows, such as {str(classes[0][0].value)[:40]!r}. Name another label_column."
            )


def _is_class(cell: Cell) -> bool:
    return cell.kind in ("number", "fraction", "truth", "word")


def _key(cell: Cell) -> Key:
    value: Key = cell.value
    return str(value) if cell.kind == "truth" else value


def _found_classes(
    tables: Sequence[Table], columns: Sequence[str], found: Sequence[Cells], options: LabelOptions, notes: list[str]
) -> tuple[tuple[str, ...], dict[Any, int], dict[str, str]]:
    counts: Counter[Key] = Counter()
    for one in found:
        for cell, count in zip(one.meanings, one.counts, strict=True):
            if _is_class(cell):
                counts[_key(cell)] += int(count)
    _refuse_mixed(found)
    truths = {value for value in counts if isinstance(value, str) and value.lower() in ("true", "false")}
    numbers = {value for value in counts if not isinstance(value, str)}
    aliases: dict[Key, str] = {}  # what is written -> the name of its class
    if truths and numbers <= {0, 1} and len(truths) + len(numbers) == len(counts):
        aliases = {value: str(bool(value)) for value in numbers} | {value: value.capitalize() for value in truths if isinstance(value, str)}
        if numbers:
            notes.append("0 and 1 are False and True, as in the other labels")
    groups = _spellings(counts, aliases, options)
    merged = {name: spellings for name, spellings in groups.items() if len(spellings) > 1 and name not in aliases.values()}
    if merged:
        shown = "; ".join(
            f"{name} ({', '.join(f'{spelling!r} {counts[spelling]:,}' for spelling in spellings[:6])})" for name, spellings in list(merged.items())[:10]
        )
        notes.append(f"spellings of one class are merged: {shown} (exact_labels keeps them apart)")
    order = _sorted_names(groups)
    if len(order) < 2:
        where = f"{tables[0].where}, {', '.join(columns)}"
        labels = f"all labels are {order[0]!r}" if order else "no row has a label"
        raise ValueError(f"{where}: {labels}: expected two classes or more. Check that label_column names the labels.")
    sizes = {name: sum(counts[spelling] for spelling in groups[name]) for name in order}
    odd = [f"{name!r} ({sizes[name]:,})" for name in order if is_odd(name)]
    if odd:
        notes.append(f"{listed(odd)}: may mean that there is no label. It is a class here; empty the cells if it is none")
    notes += _near_misses(sizes)
    keys = {spelling: k for k, name in enumerate(order) for spelling in groups[name]}
    spelled = {str(spelling): name for name, spellings in groups.items() for spelling in spellings if str(spelling) != name}
    return tuple(order), keys, spelled


def _refuse_mixed(found: Sequence[Cells]) -> None:
    """Raise if one column has only numbers and another only words, so that each would have classes of its own.

    Truth values are compatible with 0 and 1, and one column may hold both numbers and words.
    """
    only: dict[str, tuple[Cells, int]] = {}
    for one in found:
        held = [(number, cell) for number, cell in enumerate(one.meanings) if _is_class(cell) and one.counts[number]]
        kinds = {_kind(cell) for _, cell in held}
        if len(kinds) == 1:
            only.setdefault(kinds.pop(), (one, held[0][0]))
    if {"number", "word"} <= only.keys():
        shown = "; ".join(only[kind][0].first_row(only[kind][1]) for kind in ("number", "word"))
        raise ValueError(f"words and numbers are mixed: {shown}. Write all labels in one way.")


def _kind(cell: Cell) -> str:
    if cell.kind in ("number", "fraction"):
        return "number"
    return "truth" if cell.kind == "truth" or cell.value.lower() in ("true", "false") else "word"


def _spellings(counts: Counter[Key], aliases: Mapping[Key, str], options: LabelOptions) -> dict[str, list[Key]]:
    """Group what is written by class: the name of a class -> its spellings, the most frequent first."""
    groups: dict[Any, list[Key]] = {}
    for value in sorted(counts, key=lambda value: (-counts[value], str(value))):
        word = aliases.get(value) or (value if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value))
        same = value in aliases or not isinstance(value, str) or options.exact
        groups.setdefault(word if same else ("", folded(word)), []).append(value)
    return {key if isinstance(key, str) else _best_name(key[1], spellings, counts): spellings for key, spellings in groups.items()}


def _best_name(fold: str, spellings: Sequence[Key], counts: Counter[Key]) -> str:
    """Return the name of a class that is spelled in several ways: the plain one, unless it is rare or does not occur."""
    words = [str(spelling) for spelling in spellings]
    plain = [word for word in words if word == fold and counts[word] >= _RARE * counts[words[0]]]
    whole = [word for word in words if word.casefold() == fold]
    return (plain or whole or [words[0] if len(words) == 1 else fold])[0]


def _sorted_names(groups: Mapping[str, Sequence[Key]]) -> list[str]:
    """Sort classes: numbers by size, also if they are codes such as 007, before words by spelling."""

    def order(name: str) -> tuple[Any, ...]:
        first = groups[name][0]
        if not isinstance(first, str):
            return 0, first, name
        return (0, int(name), name) if name.isascii() and name.isdecimal() else (1, 0, name)

    return sorted(groups, key=order)


def _near_misses(sizes: Mapping[str, int]) -> list[str]:
    """Point at rare classes whose names nearly equal that of a common one."""
    words = [name for name in sizes if len(name) >= 4 and not any(mark.isdigit() for mark in name)]
    if len(words) > _MOST_COMPARED:
        return []
    found = []
    for name in words:
        close = [
            other
            for other in words
            if sizes[name] * 5 <= sizes[other] and difflib.SequenceMatcher(None, folded(name), folded(other)).ratio() >= 0.8
        ]
        if close:
            found.append(f"{name!r} ({sizes[name]:,}) and {close[0]!r} ({sizes[close[0]]:,})")
    return [f"nearly the same name: {listed(found, 5)}. They are classes of their own; correct the file if one is a misspelling"] if found else []


def _notes_on_missing(found: Sequence[Cells], options: LabelOptions) -> list[str]:
    words: Counter[str] = Counter()
    abstained: Counter[int] = Counter()
    missing = rows = 0
    for one in found:
        rows += one.table.rows
        for cell, count in zip(one.meanings, one.counts, strict=True):
            if cell.kind == "abstain":
                abstained[cell.value] += int(count)
            elif cell.kind == "missing" and one.column not in one.table.class_names:
                missing += int(count)
                if cell.value:
                    words[cell.value] += int(count)
    notes = []
    if missing:
        spelled = f", of these {', '.join(f'{word} {count:,}' for word, count in words.most_common())}" if words else ""
        hint = " (na_is_class keeps such words as a class)" if words else ""
        notes.append(f"no label in {missing:,} of {rows:,} label cells{spelled}{hint}")
    if abstained:
        shown = ", ".join(f"{value} in {count:,}" for value, count in sorted(abstained.items(), reverse=True))
        notes.append(
            f"no label where the cell is -1 or -100: {shown} of {rows:,} label cells, {sum(abstained.values()) / rows:.0%} "
            "(minus_one_is_class makes it a class)"
        )
    return notes


def _encode(one: Cells, names: Sequence[str], keys: Mapping[Any, int], declared: bool, options: LabelOptions) -> np.ndarray:
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


def _number_of(cell: Cell, names: Sequence[str], keys: Mapping[Any, int], declared: bool, options: LabelOptions) -> int | None:
    if not _is_class(cell):
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


def _soft_classes(
    found: Sequence[Cells], declared: tuple[str, ...], options: LabelOptions
) -> tuple[tuple[str, ...], dict[Any, int]]:
    """Return the classes of columns of which some hold distributions."""
    rows = [(one, value) for one in found for value, cell in enumerate(one.meanings) if cell.kind == "soft"]
    named = sorted({name for one in found for cell in one.meanings if cell.kind == "named" for name, _ in cell.value})
    if rows and named:
        one, value = rows[0]
        raise ValueError(f"{one.first_row(value)}: is a list, where others name their classes, as {named[0]!r}. Write all in one way.")
    hard = sorted({cell.value for one in found for cell in one.meanings if cell.kind == "word"})
    if named:
        names = declared or tuple(sorted({*named, *hard}))
        return names, {name: k for k, name in enumerate(names)}
    width = len(rows[0][0].meanings[rows[0][1]].value)
    wrong = next(((one, value) for one, value in rows if len(one.meanings[value].value) != width), None)
    if wrong is not None:
        raise ValueError(f"{wrong[0].first_row(wrong[1])}: expected {width} probabilities, as in {rows[0][0].first_row(rows[0][1])}.")
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


def _distributions(one: Cells, names: Sequence[str], keys: Mapping[Any, int]) -> np.ndarray:
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
                raise ValueError(f"{one.first_row(value)}: expected {len(names)} probabilities, or a class from 0 to {len(names) - 1}.")
            table[value, number] = 1
        total = float(table[value].sum())
        if not np.isfinite(table[value]).all() or (table[value] < 0).any() or (total and abs(total - 1) > 1e-3):
            hint = " Several classes a row are not supported." if set(np.unique(table[value])) <= {0.0, 1.0} else ""
            raise ValueError(f"{one.first_row(value)}: expected probabilities that sum to 1, or to 0 where there is no label.{hint}")
    return table[one.codes]
