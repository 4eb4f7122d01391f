"""Reads the sheets of a workbook (.xlsx, .ods)."""

from __future__ import annotations

import datetime
import io
from collections.abc import Sequence
from typing import Any

from hf_noisy.data.reading.dialects import has_header, roles_of
from hf_noisy.data.reading.options import ReadingOptions, listed, split_of
from hf_noisy.data.reading.table import Table, column_of
from hf_noisy.data.reading.text_files import Content

WORKBOOKS = (".xlsx", ".xlsm", ".ods")


def read_workbook(content: Content, options: ReadingOptions) -> dict[str | None, Table]:
    """Read a workbook: one table, or one for each split if its sheets are named train, valid and test.

    Numbers and dates in cells become what a reader of the sheet sees. A formula is read as its last computed value.

    Returns:
        The table under None, or tables under their splits.

    Raises:
        ImportError: the package that reads this kind of file is not installed.
        ValueError: no workbook, no sheet of that name, or no row.
    """
    sheets = _sheets(content)
    filled = {name: rows for name, rows in sheets.items() if rows}
    if options.sheet is not None and options.sheet not in sheets:
        raise ValueError(f"{content.where}: sheet={options.sheet!r}: no such sheet. It has {listed(sheets)}.")
    if not filled:
        raise ValueError(f"{content.where}: the workbook is empty: expected a header and a row for each text.")
    splits = {split: name for name in filled if (split := split_of(name)) is not None}
    if options.sheet is None and "train" in splits:
        return {
            split: _table(f"{content.where}, sheet {name}", filled[name], options) for split, name in splits.items()
        }
    name = options.sheet if options.sheet is not None else next(iter(filled))
    others = [other for other in filled if other != name]
    table = _table(content.where, sheets[name], options)
    if others and options.sheet is None:
        table = table.with_notes(f"sheet {name!r} is read, and not {listed(others)} (sheet= names another)")
    return {None: table}


def _sheets(content: Content) -> dict[str, list[list[Any]]]:
    import pandas

    data = bytes(content.data)
    engine, package = ("openpyxl", "openpyxl") if b"xl/workbook.xml" in data else ("odf", "odfpy")
    try:
        found = pandas.read_excel(
            io.BytesIO(data),
            sheet_name=None,
            header=None,
            dtype=object,
            engine=engine,
            keep_default_na=False,
            na_values=[],
        )
    except ImportError as error:
        raise ImportError(
            f"{content.where}: reading {content.ending} needs a package that is not here: pip install 'hf_noisy[spreadsheets]' (it needs {package}). Or save it as CSV."
        ) from error
    except Exception as error:  # each engine has errors of its own
        raise ValueError(
            f"{content.where}: not a whole workbook: {type(error).__name__}: {error}. Save it again."
        ) from error
    return {str(name): _filled(frame.to_numpy(dtype=object).tolist()) for name, frame in found.items()}


def _filled(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """Return the cells without empty rows at both ends and columns that are empty throughout."""
    table = [[_cell(cell) for cell in row] for row in rows]
    used = [k for k in range(len(table[0]) if table else 0) if any(row[k] is not None for row in table)]
    full = [number for number, row in enumerate(table) if any(cell is not None for cell in row)]
    return [[row[k] for k in used] for row in table[full[0] : full[-1] + 1]] if full else []


def _cell(cell: Any) -> Any:
    if cell is None or cell != cell or cell == "":
        return None
    if isinstance(cell, float) and cell.is_integer():
        return int(cell)  # a spreadsheet has no whole numbers
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    return cell if isinstance(cell, str | int | float | bool) else str(cell)


def _table(where: str, rows: list[list[Any]], options: ReadingOptions) -> Table:
    if not rows:
        return Table(where, 0, {})
    header = has_header(rows[:200], options)
    names = [str(cell).strip() if cell is not None else f"column_{k + 1}" for k, cell in enumerate(rows[0])]
    if not header:
        names = roles_of([["" if cell is None else cell for cell in row] for row in rows[:200]])
    body = rows[1:] if header else rows
    repeated = next((name for name in names if names.count(name) > 1), None)
    if repeated is not None:
        names = [name if name not in names[:k] else f"{name}.{names[:k].count(name)}" for k, name in enumerate(names)]
    table = Table(where, len(body), {name: column_of([row[k] for row in body]) for k, name in enumerate(names)})
    if not header:
        table = table.with_notes(
            f"no header: the columns are taken as {', '.join(names)} (header=True reads the first row as names)"
        )
    return table
