"""Finds the separator, the quotes and the header of a table of separated values."""

from __future__ import annotations

import csv
import io
import itertools
import re
import sys
from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from hf_noisy.data.reading.options import ReadingOptions

SEPARATORS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
KNOWN_NAMES = frozenset(
    [
        "text",
        "texts",
        "sentence",
        "sentence1",
        "sentence2",
        "premise",
        "hypothesis",
        "question",
        "question1",
        "question2",
        "answer",
        "query",
        "passage",
        "document",
        "content",
        "review",
        "comment",
        "tweet",
        "message",
        "body",
        "title",
        "utterance",
        "label",
        "labels",
        "label_ids",
        "class",
        "category",
        "target",
        "sentiment",
        "intent",
        "topic",
        "gold",
        "id",
        "idx",
        "index",
        "split",
        "annotator",
    ]
)
_SAMPLE_ROWS = 200
_CONSISTENT = 0.9  # of the rows have as many cells as the first one


@dataclass(frozen=True)
class Dialect:
    """How cells are separated and quoted."""

    separator: str
    quote: str = '"'
    escape: str | None = None  # a quote inside a cell is preceded by this character; None: it is doubled

    def reader(self, text: str, *, strict: bool = False) -> Any:
        """Return a `csv.reader` over a text."""
        return csv.reader(
            io.StringIO(text, newline=""),
            delimiter=self.separator,
            quotechar=self.quote,
            escapechar=self.escape,
            doublequote=self.escape is None,
            strict=strict,
        )

    @property
    def note(self) -> str:
        """What is unusual about the dialect, or an empty text."""
        found = [] if self.separator == "," else [f"separator {SEPARATORS.get(self.separator, repr(self.separator))}"]
        found += [] if self.quote == '"' else [f"quotes {self.quote}"]
        found += [] if self.escape is None else [f"quotes escaped by {self.escape}"]
        return ", ".join(found)


@contextmanager
def large_cells() -> Any:
    """Let `csv` read cells of any size."""
    before = csv.field_size_limit(sys.maxsize)
    try:
        yield
    finally:
        csv.field_size_limit(before)


def find_dialect(where: str, sample: str, options: ReadingOptions) -> tuple[Dialect, list[list[str]]]:
    """Return the dialect of a table, and its first rows.

    Args:
        where: the name of the table for errors.
        sample: the beginning of the text, of whole lines.
        options: a separator that is named is taken.

    Raises:
        ValueError: two separators fit equally well. The message shows the first rows with both.
    """
    separators = [options.separator] if options.separator else list(SEPARATORS)
    found = []
    with large_cells():
        for separator, (quote, escape) in itertools.product(separators, (("'", None), ('"', None), ('"', "\\"))):
            if (quote == "'" and "'" not in sample) or (escape and escape + '"' not in sample):
                continue
            dialect = Dialect(separator, quote, escape)
            rows = _first_rows(dialect, sample)
            if rows and _plausible(dialect, rows, sample):
                found.append((dialect, rows, _consistency(rows)))
        wide = [one for one in found if len(one[1][0]) > 1]
        fitting = [one for one in wide if one[2] >= _CONSISTENT]
        if not fitting and options.separator is None:
            plain = Dialect(",")
            narrow = _first_rows(plain, sample)
            if not wide or all(len(row) == 1 for row in narrow):
                return plain, narrow
        if not (fitting or wide):
            return (found[0][0], found[0][1]) if found else (Dialect(separators[0]), [])
        pool = fitting or wide
        best = max(score for _, _, score in pool)
        pool = [one for one in pool if one[2] >= best - 0.02]
        by_separator = {one[0].separator: one for one in reversed(pool)}  # the first dialect of each separator is kept
        if len(by_separator) > 1:
            named = {key: one for key, one in by_separator.items() if _knows_names(one[1][0], options)}
            by_separator = named or by_separator
        if len(by_separator) > 1:
            shown = "".join(
                f"\n  {SEPARATORS.get(key, key)}: {' / '.join(str(row) for row in one[1][:3])}"
                for key, one in by_separator.items()
            )
            raise ValueError(
                f"{where}: several separators fit. Its first rows would be:{shown}\nName the right one with separator=, as "
                f"separator={next(iter(by_separator))!r}."
            )
    dialect, rows, _ = next(iter(by_separator.values()))
    return dialect, rows


def _first_rows(dialect: Dialect, sample: str) -> list[list[str]]:
    try:
        rows = (row for row in dialect.reader(sample) if row)
        return list(itertools.islice(rows, _SAMPLE_ROWS))
    except csv.Error:
        return []


def _consistency(rows: Sequence[Sequence[str]]) -> float:
    width = len(rows[0])
    return sum(len(row) == width for row in rows) / len(rows)


def _plausible(dialect: Dialect, rows: Sequence[Sequence[str]], sample: str) -> bool:
    """Whether the quotes of a dialect are really quotes of this table.

    An apostrophe is one only where it encloses whole cells that needed it, and where no cell has one for itself.
    """
    if dialect.quote == "'":
        plain = _first_rows(Dialect(dialect.separator), sample)
        held = [cell for row in plain for cell in row if "'" in cell]
        enclosed = [cell for cell in held if re.fullmatch(r"'(?:[^']|'')*'", cell)]
        header = bool(plain) and all(re.fullmatch(r"'[^']*'", cell) for cell in plain[0] if cell)
        better = _consistency(plain or [[]]) < _consistency(rows)
        needed = better or any("''" in cell[1:-1] for cell in enclosed)
        return header or (needed and (better or len(enclosed) == len(held)))
    if dialect.escape:
        return _consistency(_first_rows(Dialect(dialect.separator), sample) or [[]]) < _consistency(rows)
    return True


def names_columns(line: str, options: ReadingOptions) -> bool:
    """Whether a line is the header of a table: it has a separator, and between two of them a known name."""
    return any(separator in line and _knows_names(line.split(separator), options) for separator in SEPARATORS)


def _knows_names(row: Sequence[str], options: ReadingOptions) -> bool:
    return any(tidy(cell) in KNOWN_NAMES or cell in options.needed for cell in row)


def tidy(name: str) -> str:
    """Return the name of a column without outer spaces and capitals.

    >>> tidy(" Label Ids ")
    'label_ids'
    """
    return re.sub(r"\s+", "_", str(name).strip().lower())


def has_header(rows: Sequence[Sequence[Any]], options: ReadingOptions) -> bool:
    """Whether the first row holds the names of columns.

    It does if a name is known or asked for. It does not if a cell is a number or long, if two cells are equal, or if a
    cell occurs again further down in its column, as a class does.

    Args:
        rows: the first rows.
        options: `header` decides if it is given.
    """
    if options.header is not None:
        return options.header
    first = ["" if cell is None else str(cell).strip() for cell in rows[0]]
    if _knows_names(first, options) or len(rows) < 2:
        return True
    if any(re.fullmatch(r"[+-]?\d+(\.\d+)?", cell) for cell in first) or any(len(cell) > 60 for cell in first):
        return False
    for number, cell in enumerate(first):
        below = [str(row[number]).strip() for row in rows[1:] if len(row) > number and list(row) != list(rows[0])]
        if cell and cell in below and len(set(below)) <= max(len(below) // 2, 2):
            return False
    return True


def roles_of(rows: Sequence[Sequence[Any]]) -> list[str]:
    """Return names for the columns of a table without a header: `text` for the longest cells, `label` for the class.

    The label is the column of fewest distinct values. Other columns are `column_1` and so on.
    """
    width = max(map(len, rows))
    columns = [[str(row[k]) for row in rows if len(row) > k] for k in range(width)]
    names = [f"column_{k + 1}" for k in range(width)]
    text = max(range(width), key=lambda k: sum(map(len, columns[k])) / max(len(columns[k]), 1))
    names[text] = "text"
    others = [k for k in range(width) if k != text and len(set(columns[k])) > 1]
    if others:
        label = min(others, key=lambda k: len(set(columns[k])))
        if len(set(columns[label])) <= max(len(columns[label]) // 2, 2):
            names[label] = "label"
    return names
