"""The rows of a table: their texts, their ids, and which of them are blank."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_noisy.common.checks import check_encodable
from hf_noisy.data.reading.table import Table, cells


@dataclass(frozen=True)
class Rows:
    """The rows with a text."""

    ids: pa.ChunkedArray | pa.Array  # (kept rows,) strings
    texts: pa.ChunkedArray  # (kept rows,) strings
    kept: np.ndarray | None  # (kept rows,) their numbers in the table; None: all rows are kept
    blank: tuple[str, ...]  # the ids of the rows that are left out
    pairs: pa.ChunkedArray | None = None  # (kept rows,) the second texts, if there are two a row


def rows_of(table: Table, text_column: str, id_column: str, pair_column: str | None = None) -> Rows:
    """Return the texts and ids of a table. A row whose text is missing or white space is left out, and its id listed.

    So is a row whose second text is missing.

    Raises:
        ValueError: no rows, no text at all, a text that is no text, or an id that is missing or occurs twice.
    """
    if table.rows == 0:
        raise ValueError(f"{table.where}: has 0 rows: expected at least one.")
    texts, blank = _texts(table, text_column)
    pairs = None
    if pair_column is not None:
        pairs, second = _texts(table, pair_column)
        blank |= second
    if blank.all():
        first = cells(table.column(text_column), [0])[0]
        if pair_column is not None:
            raise ValueError(
                f"{table.row(0, id_column)}: {text_column} is {first!r}, and no row has both texts: expected two texts. Name another "
                "text_pair_column."
            )
        raise ValueError(
            f"{table.row(0, id_column)}: {text_column} is {first!r}, and no row has a text: expected a text. Name another text_column."
        )
    ids = ids_of(table, id_column)
    if not blank.any():
        return Rows(ids, texts, None, (), pairs)
    kept = np.flatnonzero(~blank)
    taken = pa.array(kept)
    left_out = tuple(ids.take(pa.array(np.flatnonzero(blank))).to_pylist())
    return Rows(ids.take(taken), texts.take(taken), kept, left_out, None if pairs is None else pairs.take(taken))


def _texts(table: Table, column: str) -> tuple[pa.ChunkedArray, np.ndarray]:
    """Return the texts, and (rows,) bool that is True where there is none."""
    found = table.column(column)
    if not isinstance(found, list) and (pa.types.is_string(found.type) or pa.types.is_large_string(found.type)):
        texts = found if pa.types.is_string(found.type) else _short(found)
    else:
        texts = pa.chunked_array([pa.array(_words(table, column, cells(found)), pa.string())])
    blank = [_blank(chunk) for chunk in texts.chunks]
    return texts, np.concatenate(blank) if blank else np.zeros(0, dtype=bool)


def _blank(texts: pa.StringArray) -> np.ndarray:
    """Return (rows,) bool, True where a text is missing or white space. Only texts that begin with one are looked at."""
    if not len(texts):
        return np.zeros(0, dtype=bool)
    _, places, data = texts.buffers()
    starts = np.frombuffer(places, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    found = np.diff(starts) == 0
    bytes_ = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, dtype=np.uint8)
    first = bytes_[np.minimum(starts[:-1], len(bytes_) - 1)]
    suspects = np.flatnonzero(~found & ((first <= 32) | (first >= 128)))  # ASCII white space, or other characters
    if len(suspects):
        trimmed = pc.utf8_trim_whitespace(texts.take(pa.array(suspects)))
        found[suspects] = np.asarray(pc.fill_null(pc.equal(pc.binary_length(trimmed), 0), True))
    if texts.null_count:
        found |= np.asarray(texts.is_null())
    return found


def _short(found: pa.ChunkedArray) -> pa.ChunkedArray:
    """Convert long strings to strings, in chunks of less than two gigabytes."""
    try:
        return found.cast(pa.string())
    except pa.ArrowInvalid:
        pieces = [
            found.slice(start, 100_000).combine_chunks().cast(pa.string()) for start in range(0, len(found), 100_000)
        ]
        return pa.chunked_array(pieces, pa.string())


def _words(table: Table, column: str, found: list[Any]) -> list[str | None]:
    """Return texts of cells of several types: a number among texts, as in a spreadsheet, is written out."""
    present = [cell for cell in found if not _is_missing(cell)]
    mostly = sum(isinstance(cell, str) for cell in present) * 2 >= len(present)
    words: list[str | None] = []
    for number, cell in enumerate(found):
        if _is_missing(cell):
            words.append(None)
        elif isinstance(cell, str):
            words.append(check_encodable(f"{table.row(number)}: {column}", cell))
        elif mostly and isinstance(cell, int | float):
            words.append(str(cell))
        else:
            raise ValueError(
                f"{table.row(number)}: {column} is {cell!r}: expected a text. Name another text_column, or mend the row."
            )
    return words


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)


def _rises(ids: Any) -> bool:
    """Whether ids are numbers of which each is larger than the one before, so that none is repeated."""
    try:
        numbers = np.asarray(ids.cast(pa.int64()))
    except pa.ArrowInvalid:
        return False
    return bool((np.diff(numbers) > 0).all())


def ids_of(table: Table, column: str) -> pa.ChunkedArray | pa.Array:
    """Return the ids as strings: those of a column, as they are written, or the numbers of the rows in the file."""
    if not column or column not in table.columns:
        places = np.arange(table.rows) if table.places is None else table.places
        return pa.array(places).cast(pa.string())
    found = table.columns[column]
    if isinstance(found, list):
        found = pa.array([None if _is_missing(cell) else str(cell) for cell in found], pa.string())
    elif pa.types.is_floating(found.type):  # whole numbers beside a missing cell
        found = pa.array(
            [None if _is_missing(cell) else f"{cell:.0f}" if cell.is_integer() else str(cell) for cell in cells(found)],
            pa.string(),
        )
    else:
        found = found.cast(pa.string())
    text = pc.fill_null(pc.equal(pc.binary_length(found), 0), True)
    if pc.any(text).as_py():
        place = int(np.flatnonzero(np.asarray(text))[0])
        raise ValueError(
            f"{table.where}, row {table.place(place)}: has no {column}: expected an id in every row. Fill it in, or number the rows "
            "with id_column=''."
        )
    if not _rises(found) and pc.count_distinct(found).as_py() < len(found):
        codes = np.asarray(
            pc.dictionary_encode(found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found).indices
        )
        _, first, counts = np.unique(codes, return_index=True, return_counts=True)
        twice = int(first[counts > 1].min())
        shown = [table.place(int(place)) for place in np.flatnonzero(codes == codes[twice])[:5]]
        raise ValueError(
            f"{table.where}: {column} {found[twice].as_py()!r} is repeated, in rows {', '.join(map(str, shown))} (counted from 0), and "
            f"{int((counts > 1).sum())} ids occur more than once: expected an id for each row. Give each its own, or number the rows with "
            "id_column=''."
        )
    return found
