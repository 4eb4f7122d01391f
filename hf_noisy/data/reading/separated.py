"""Reads tables of separated values (CSV, TSV) and the lines of fastText."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_noisy.data.reading.dialects import Dialect, find_dialect, has_header, large_cells, roles_of
from hf_noisy.data.reading.options import ReadingOptions
from hf_noisy.data.reading.table import Table
from hf_noisy.data.reading.text_files import SAMPLE, Content, decoded, encoding_of

_FASTTEXT = "__label__"
SEPARATOR_LINE = re.compile(r"sep=(.)\r?\n")  # the first line of a file for some spreadsheets


def read_separated(content: Content, options: ReadingOptions, *, whole: bool = False) -> Table:
    """Read a table of separated values, all cells as text.

    The encoding, the separator, the quotes and whether there is a header are found, unless `options` names them. Lines
    that repeat the header are left out. A row with fewer cells than the header is filled with empty cells.

    Args:
        content: the file.
        options: how to read it.
        whole: whether the encoding is found from the whole file, and not only from its beginning.

    Raises:
        ValueError: no text, an encoding or separator that is not sure, a row with more cells than the header has
            names, or a file that ends inside of quotes.
    """
    encoding, note = encoding_of(content, options, whole=whole)
    notes = [note] if note else []
    sample = _sample(content, encoding)
    skipped = 0
    if named := SEPARATOR_LINE.match(sample):
        options = options if options.separator else replace(options, separator=named[1])
        sample, skipped = sample[named.end() :], len(named[0])
    dialect, first = find_dialect(content.where, sample, options)
    if not first:
        raise ValueError(f"{content.where}: the file is empty: expected a header and a line for each row.")
    if dialect.note:
        notes.append(dialect.note)
    header = has_header(first, options)
    names = _names(first[0]) if header else roles_of(first)
    if not header:
        notes.append(
            f"no header: the columns are taken as {', '.join(names)} (header=True reads the first row as names)"
        )
    try:
        found = _fast(content, encoding, dialect, len(names), skipped)
    except UnicodeDecodeError:
        if options.encoding is not None or whole:
            raise
        return read_separated(content, options, whole=True)
    except ValueError:
        found, short = _slow(content, encoding, dialect, len(names), skipped)
        if short:
            notes.append(f"{short:,} rows have fewer cells than the header, which are missing")
    found = found.rename_columns([f"{k}" for k in range(found.num_columns)])
    title = [found.column(k)[0].as_py() for k in range(found.num_columns)] if header and len(found) else None
    found = found.slice(1) if header else found
    found, places, repeats = _without_headers(found, title)
    if repeats:
        notes.append(f"{repeats:,} lines repeat the header and are left out")
    columns = {name: found.column(k) for k, name in enumerate(names)}
    index = names[0] if header and first[0][0].strip() == "" and len(names) > 1 and _counts(columns[names[0]]) else None
    if index is not None:
        notes.append("the first column has no name and counts the rows: it is no data")
        del columns[index]
    return Table(content.where, len(found), columns, notes=tuple(notes), places=places)


def first_text(content: Content, options: ReadingOptions) -> str:
    """Return the beginning of a text file, of whole lines."""
    return _sample(content, encoding_of(content, options, whole=False)[0])


def is_fasttext(content: Content, options: ReadingOptions) -> bool:
    """Whether the lines of a text begin with a label of fastText."""
    lines = [line for line in first_text(content, options).splitlines() if line.strip()]
    return bool(lines) and sum(line.lstrip().startswith(_FASTTEXT) for line in lines) >= 0.5 * len(lines)


def read_lines(content: Content, options: ReadingOptions) -> Table:
    """Read a text in which each line is a row: `__label__x text` as in fastText, or a text alone.

    Raises:
        ValueError: a line with several labels, or with none among others with one.
    """
    encoding, note = encoding_of(content, options)
    lines = decoded(content, encoding).removeprefix("\ufeff").split("\n")
    lines = [line.rstrip("\r") for line in (lines[:-1] if lines and not lines[-1] else lines)]
    notes = (note,) if note else ()
    if not is_fasttext(content, options):
        return Table(content.where, len(lines), {"text": pa.chunked_array([pa.array(lines)])}, notes=notes)
    texts, labels = [], []
    for number, line in enumerate(lines, start=1):
        words = line.split(maxsplit=1)
        label, text = [*words, "", ""][:2]
        if line.strip() and not label.startswith(_FASTTEXT):
            raise ValueError(
                f"{content.where}, line {number}: begins with {label!r}: expected {_FASTTEXT}NAME, as in the lines before."
            )
        if text.startswith(_FASTTEXT):
            raise ValueError(
                f"{content.where}, line {number}: has several labels: expected one a row. Several labels a text are not supported."
            )
        labels.append(label.removeprefix(_FASTTEXT))
        texts.append(text)
    columns = {"text": pa.chunked_array([pa.array(texts)]), "label": pa.chunked_array([pa.array(labels)])}
    return Table(content.where, len(lines), columns, notes=(*notes, "lines of fastText"))


def _sample(content: Content, encoding: str) -> str:
    """Return the first lines as text, without one that the sample cuts off."""
    head = content.head()
    text = head.decode(encoding, errors="ignore").removeprefix("\ufeff")
    return text if len(head) < SAMPLE else _whole_lines(text)


def sample_of(text: str) -> str:
    """Return the first lines of a text, none of them cut off."""
    return text if len(text) <= SAMPLE else _whole_lines(text[:SAMPLE])


def _whole_lines(text: str) -> str:
    return text[: text.rfind("\n") + 1] or text


def _names(cells: Sequence[str]) -> list[str]:
    """Return the names of a header, stripped; a repeated one gets a number, and one without a name its place."""
    names: list[str] = []
    for number, cell in enumerate(cells):
        name = cell.strip().removeprefix("\ufeff") or f"column_{number + 1}"
        tries = (
            candidate for k in range(len(cells) + 1) if (candidate := name if not k else f"{name}.{k}") not in names
        )
        names.append(next(tries))
    return names


def _fast(content: Content, encoding: str, dialect: Dialect, width: int, skipped: int) -> pa.Table:
    """Read with the parser of pandas, into columns of Arrow.

    Raises:
        ValueError: a row that is too long, an open quote, or bytes of another encoding (subclasses of it).
    """
    import pandas

    data: Any = pa.BufferReader(content.data) if content.path is None else content.path
    if skipped:
        data = io.StringIO(decoded(content, encoding).removeprefix("\ufeff")[skipped:], newline="")
    found = pandas.read_csv(
        data,
        sep=dialect.separator,
        quotechar=dialect.quote,
        escapechar=dialect.escape,
        doublequote=dialect.escape is None,
        header=None,
        names=list(range(width)),
        index_col=False,
        dtype=pandas.ArrowDtype(pa.string()),
        na_filter=False,
        encoding=encoding,
        on_bad_lines="error",
    )
    return pa.table([_chunks(found[k].array) for k in range(width)], names=[str(k) for k in range(width)])


def _chunks(array: Any) -> pa.ChunkedArray:
    found = array.__arrow_array__()
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def _slow(content: Content, encoding: str, dialect: Dialect, width: int, skipped: int) -> tuple[pa.Table, int]:
    """Read row by row, which tells the line of an error. Return the table, and the number of rows that were too short."""
    text = decoded(content, encoding).removeprefix("\ufeff")[skipped:]
    reader = dialect.reader(text, strict=True)
    rows: list[list[str | None]] = []
    short = 0
    start = 1
    with large_cells():
        try:
            for cells in reader:
                start = reader.line_num
                if not cells:
                    continue
                extra = [cell for cell in cells[width:] if cell.strip()]
                if extra:
                    raise ValueError(
                        f"{content.where}, line {reader.line_num}: has {len(cells)} cells, where the header has {width} names: "
                        f"{str(cells)[:120]}. Put texts that hold the separator in quotes, or name the right separator with "
                        "separator=."
                    )
                short += len(cells) < width
                rows.append([*cells[:width], *[None] * (width - len(cells))])
        except csv.Error as error:
            where = f"{content.where}, line {start + 1}"
            if "unexpected end" in str(error):
                raise ValueError(
                    f"{where}: a quote opens and never closes. Is the file cut off? Copy it again, or mend that line."
                ) from error
            raise ValueError(f"{where}: not a table of separated values: {error}. Mend that line.") from error
    columns = [pa.array([row[k] for row in rows], pa.large_string()) for k in range(width)]
    return pa.table(columns, names=[str(k) for k in range(width)]), short


def _without_headers(found: pa.Table, title: Sequence[str] | None) -> tuple[pa.Table, np.ndarray | None, int]:
    """Leave out the rows that repeat the header. Return also the places of the other rows, and how many were left out."""
    if title is None or not len(found) or not any(title):
        return found, None, 0
    same = np.ones(len(found), dtype=bool)
    for k, cell in enumerate(title):
        same &= np.asarray(pc.fill_null(pc.equal(found.column(k), cell), False))
        if not same.any():
            return found, None, 0
    kept = np.flatnonzero(~same)
    return found.take(pa.array(kept)), kept, int(same.sum())


def _counts(column: pa.ChunkedArray) -> bool:
    """Whether the cells are whole numbers that rise by one, as an index that pandas wrote."""
    try:
        numbers = np.asarray(column.cast(pa.int64()))
    except pa.ArrowInvalid:
        return False
    return len(numbers) > 1 and numbers[0] in (0, 1) and bool((np.diff(numbers) > 0).all())


def write_separated(rows: Sequence[Sequence[str]], dialect: Dialect, line_end: str) -> str:
    """Write rows in a dialect, each cell as it is."""
    text = io.StringIO(newline="")
    writer = csv.writer(
        text,
        delimiter=dialect.separator,
        quotechar=dialect.quote,
        escapechar=dialect.escape,
        doublequote=dialect.escape is None,
        lineterminator=line_end,
    )
    writer.writerows(rows)
    return text.getvalue()
