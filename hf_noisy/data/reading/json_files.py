"""Reads JSON of every shape that tables are written in: records, lines, columns, and those of pandas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_noisy.data.reading.options import ReadingOptions, listed
from hf_noisy.data.reading.table import Table, column_of
from hf_noisy.data.reading.text_files import Content, content_of, decoded, encoding_of

_SHAPES = (
    "expected a list of objects, one object a line, or an object of columns, such as "
    '[{"text": "...", "label": "..."}] or {"text": ["..."], "label": ["..."]}.'
)


def read_json(path: Path) -> Any:
    """Read a JSON file. An error gives the line and column.

    Raises:
        ValueError: not JSON, or not in UTF-8.
    """
    content = content_of(path)
    try:
        return json.loads(decoded(content, "utf-8-sig"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not JSON: {error}") from error


def read_json_table(content: Content, options: ReadingOptions) -> Table:
    """Read rows from JSON, whichever shape they have.

    The shapes are: a list of objects; one object a line; an object of columns, each a list or an object of row and
    cell; an object of rows; and `orient="split"` and `"table"` of pandas. An object with one list of objects is that
    list.

    Raises:
        ValueError: no JSON (the message names the line), or of another shape.
    """
    encoding, note = encoding_of(content, options)
    text = decoded(content, encoding).removeprefix("\ufeff")
    try:
        found = json.loads(text)
    except json.JSONDecodeError as error:
        if error.msg != "Extra data" and not _has_lines(text):
            raise ValueError(f"{content.where}: not JSON: {error}") from error
        found = _lines(content.where, text)
    table = _table_of(content.where, found)
    return table.with_notes(note) if note else table


def table_of_rows(where: str, rows: Sequence[Mapping[str, Any]]) -> Table:
    """Convert a list of rows, each a mapping of column and cell. A key that a row lacks is a missing cell."""
    names = dict.fromkeys(key for row in rows for key in row)
    return Table(where, len(rows), {str(name): column_of([row.get(name) for row in rows]) for name in names})


def table_of_columns(where: str, columns: Mapping[str, Sequence[Any]]) -> Table:
    """Convert a mapping of column and cells.

    Raises:
        ValueError: columns of different lengths.
    """
    lengths = {str(name): len(cells) for name, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"{where}: its columns have {lengths} cells: expected as many in each.")
    rows = next(iter(lengths.values()), 0)
    return Table(where, rows, {str(name): column_of(list(cells)) for name, cells in columns.items()})


def _has_lines(text: str) -> bool:
    """Whether the first line is an object by itself, so that an error is one of a line further down."""
    first = next((line for line in text.split("\n") if line.strip()), "")
    try:
        return isinstance(json.loads(first), dict)
    except json.JSONDecodeError:
        return False


def _lines(where: str, text: str) -> list[Any]:
    rows = []
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError as error:
            raise ValueError(f"{where}, line {number}: not JSON: {error}") from error
    return rows


def _table_of(where: str, found: Any) -> Table:
    if isinstance(found, list):
        return _of_list(where, found)
    if not isinstance(found, dict) or not found:
        raise ValueError(f"{where}: holds {type(found).__name__} {str(found)[:60]!r}: {_SHAPES}")
    if {"columns", "data"} <= found.keys() and isinstance(found["data"], list):  # orient="split"
        return _of_split(where, found)
    if {"schema", "data"} <= found.keys() and isinstance(found["data"], list):  # orient="table"
        key = found["schema"].get("primaryKey") if isinstance(found["schema"], dict) else None
        return _of_list(where, [{k: v for k, v in row.items() if [k] != key} for row in found["data"]])
    values = list(found.values())
    if all(isinstance(value, list) for value in values) and (len(values) > 1 or not _are_objects(values[0])):
        return table_of_columns(where, found)
    lists = [(key, value) for key, value in found.items() if isinstance(value, list) and value and _are_objects(value)]
    if len(lists) == 1:
        key, rows = lists[0]
        return _of_list(where, rows).with_notes(f"the rows are those of {key!r}")
    if all(isinstance(value, dict) for value in values):
        return _of_objects(where, found)
    if not any(isinstance(value, list | dict) for value in values):
        return _of_list(where, [found])  # one row
    raise ValueError(f"{where}: holds an object with {listed(found)}: {_SHAPES}")


def _are_objects(rows: Sequence[Any]) -> bool:
    return all(isinstance(row, dict) for row in rows)


def _of_list(where: str, rows: Sequence[Any]) -> Table:
    wrong = next((number for number, row in enumerate(rows) if not isinstance(row, dict)), None)
    if wrong is not None:
        raise ValueError(f"{where}: row {wrong} is {str(rows[wrong])[:60]!r}: {_SHAPES}")
    return table_of_rows(where, rows)


def _of_split(where: str, found: Mapping[str, Any]) -> Table:
    names, rows = found["columns"], found["data"]
    wrong = next((k for k, row in enumerate(rows) if not isinstance(row, list) or len(row) != len(names)), None)
    if wrong is not None:
        raise ValueError(f"{where}: row {wrong} of 'data' is {str(rows[wrong])[:60]!r}: expected {len(names)} cells.")
    return table_of_columns(where, {name: [row[k] for row in rows] for k, name in enumerate(names)})


def _of_objects(where: str, found: Mapping[str, Mapping[str, Any]]) -> Table:
    """Convert an object of objects: columns of row and cell (as pandas writes), or rows of column and cell."""
    keys = [set(value) for value in found.values()]
    counted = all(key.isdecimal() for key in keys[0])
    if counted and all(key == keys[0] for key in keys):
        order = sorted(keys[0], key=int)
        return table_of_columns(where, {name: [column[key] for key in order] for name, column in found.items()})
    table = table_of_rows(where, list(found.values()))
    if "id" in table.columns:
        return table
    return Table(where, table.rows, {"id": column_of(list(found)), **table.columns})
