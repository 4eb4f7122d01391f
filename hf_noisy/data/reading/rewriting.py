"""Writes a table back in the format that it was read from, with some cells of one column changed and some rows dropped."""

from __future__ import annotations

import io
import json
import os
import shutil
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from hf_noisy.data.reading.dialects import find_dialect, has_header, large_cells, roles_of, tidy
from hf_noisy.data.reading.files import holds_lines
from hf_noisy.data.reading.options import ReadingOptions, split_of
from hf_noisy.data.reading.separated import SEPARATOR_LINE, sample_of, write_separated
from hf_noisy.data.reading.text_files import COMPRESSIONS, Content, content_of, decoded, encoding_of


@dataclass(frozen=True)
class Edit:
    """What is done to the rows of one file."""

    column: str  # the label column, as it was asked for
    kept: np.ndarray  # (rows of the file,) bool
    changed: Mapping[int, Any]  # row -> new cell
    original: str  # the name of a new column for the former cells; "" adds none


def rewrite(path: Path, output: Path, edit: Edit, options: ReadingOptions) -> None:
    """Write the table of one file with an edit, in the same format, encoding and compression.

    Rows that the edit does not name stay as they are, and columns keep their order; the new column comes last. The file
    appears under its name when it is whole.

    Args:
        path: the file that was read.
        output: where to write.
        edit: what to change.
        options: how the file was read.

    Raises:
        ValueError: a format that cannot be written, the new column exists, or `output` ends otherwise than `path`.
    """
    if output.suffix.lower() != path.suffix.lower():
        raise ValueError(
            f"output={str(output)!r}: expected an ending as of {path.name}, since the table is written in the same format."
        )
    if output.exists() and output.resolve() == path.resolve():
        raise ValueError(
            f"output={str(output)!r}: is the table that is read. Name another file, so that nothing is lost."
        )
    partly = output.with_name(f".{output.name}.part")
    output.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix.lower() == ".zip":
        with zipfile.ZipFile(path) as archive, zipfile.ZipFile(partly, "w", zipfile.ZIP_DEFLATED) as written:
            for info in archive.infolist():
                content = Content(f"{path}, {info.filename}", Path(info.filename).name, archive.read(info))
                written.writestr(info.filename, _written(content, edit, options))
    else:
        data = _written(content_of(path), edit, options)
        compression = COMPRESSIONS.get(path.suffix.lower())
        if compression is None:
            partly.write_bytes(data)
        else:
            with pa.output_stream(str(partly), compression=compression) as file:
                file.write(data)
    os.replace(partly, output)


def copy_beside(paths: Sequence[Path], folder: Path) -> None:
    """Copy the files and folders that an edit does not touch."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in paths:
        if path.is_dir():
            shutil.copytree(path, folder / path.name, dirs_exist_ok=True)
        else:
            shutil.copyfile(path, folder / path.name)


def _written(content: Content, edit: Edit, options: ReadingOptions) -> bytes:
    ending = content.ending
    if ending in (".json", ".jsonl", ".ndjson"):
        return _json(content, edit, options)
    if ending == ".xlsx":
        return _workbook(content, edit, options)
    if ending in (".parquet", ".arrow", ".feather", ".ipc"):
        return _columnar(content, edit)
    if ending in (".csv", ".tsv", ".tab", ".psv", ".txt"):
        if holds_lines(content, options):
            return _fasttext(content, edit, options)
        return _separated(content, edit, options)
    raise ValueError(
        f"{content.where}: a table of this format is read and not written. Save it as .xlsx or .csv, and apply the decisions to that."
    )


def _place(names: Sequence[str], edit: Edit, where: str) -> int:
    """Return the place of the label column, and check that the new column is new."""
    if edit.original and edit.original in names:
        raise ValueError(
            f"{where}: has a column {edit.original!r}: expected a new one for the former labels. Name another original_column."
        )
    if edit.column in names:
        return list(names).index(edit.column)
    return next(k for k, name in enumerate(names) if tidy(name) == tidy(edit.column))


def _separated(content: Content, edit: Edit, options: ReadingOptions) -> bytes:
    encoding, _ = encoding_of(content, options)
    text = decoded(content, encoding).removeprefix("\ufeff")
    first = SEPARATOR_LINE.match(text)
    if first:
        options, text = (
            ReadingOptions(options.separator or first[1], header=options.header, needed=options.needed),
            text[first.end() :],
        )
    dialect, shown = find_dialect(content.where, sample_of(text), options)
    with large_cells():
        records = [record for record in dialect.reader(text) if record]
    header = has_header(shown, options)
    names = [name.strip() for name in records[0]] if header else roles_of(shown)
    place = _place(names, edit, content.where)
    title = records[0] if header else None
    rows, number = [], 0
    for record in records[1:] if header else records:
        if title is not None and record == title:
            continue  # a line that repeats the header, which is no row
        if edit.kept[number]:
            row = [*record, *[""] * (len(names) - len(record))]
            former = row[place]
            if number in edit.changed:
                row[place] = str(edit.changed[number])
            rows.append([*row, former] if edit.original else row)
        number += 1
    end = "\r\n" if "\r\n" in text[:100_000] else "\n"
    if title is not None:
        rows.insert(0, [*title, edit.original] if edit.original else title)
    mark = "\ufeff" if encoding in ("utf-16-le", "utf-16-be") and content.head(2) in (b"\xff\xfe", b"\xfe\xff") else ""
    return (mark + (first[0] if first else "") + write_separated(rows, dialect, end)).encode(encoding)


def _fasttext(content: Content, edit: Edit, options: ReadingOptions) -> bytes:
    if edit.original:
        raise ValueError(
            f"{content.where}: lines of fastText have no column for the former labels. Set original_column=''."
        )
    encoding, _ = encoding_of(content, options)
    lines = decoded(content, encoding).split("\n")
    found = []
    for number, line in enumerate(lines if lines[-1] else lines[:-1]):
        if edit.kept[number]:
            _, _, text = line.partition(" ")
            found.append(f"__label__{edit.changed[number]} {text}" if number in edit.changed else line)
    return ("\n".join(found) + "\n").encode(encoding)


def _json(content: Content, edit: Edit, options: ReadingOptions) -> bytes:
    encoding, _ = encoding_of(content, options)
    text = decoded(content, encoding).removeprefix("\ufeff")
    try:
        found = json.loads(text)
        lines = (
            isinstance(found, dict)
            and len(edit.kept) == 1
            and not any(isinstance(value, list | dict) for value in found.values())
        )
        found = [found] if lines else found
    except json.JSONDecodeError:
        found, lines = [json.loads(line) for line in text.split("\n") if line.strip()], True
    if isinstance(found, dict):
        return _json_columns(content.where, found, edit).encode(encoding)
    names = list(dict.fromkeys(key for row in found for key in row))
    column = names[_place(names, edit, content.where)]
    rows = []
    for number, row in enumerate(found):
        if not edit.kept[number]:
            continue
        new = dict(row)
        if number in edit.changed:
            new[column] = edit.changed[number]
        rows.append({**new, edit.original: row.get(column)} if edit.original else new)
    if lines:
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode(encoding)
    return json.dumps(rows, ensure_ascii=False, indent=_indent(text)).encode(encoding)


def _indent(text: str) -> int | None:
    second = text.split("\n", 2)[1] if "\n" in text.strip() else ""
    return len(second) - len(second.lstrip(" ")) or None


def _json_columns(where: str, found: dict[str, Any], edit: Edit) -> str:
    """Write an object of columns, each a list, or an object of row and cell as pandas writes it."""
    if not all(isinstance(value, list) for value in found.values()) and not all(
        isinstance(value, dict) for value in found.values()
    ):
        raise ValueError(
            f"{where}: this shape of JSON is read and not written. Save it as a list of objects, and apply the decisions to that."
        )
    column = list(found)[_place(list(found), edit, where)]
    keys = {
        name: (list(range(len(value))) if isinstance(value, list) else list(value)) for name, value in found.items()
    }
    if edit.original:
        found[edit.original] = type(found[column])(found[column])
        keys[edit.original] = keys[column]
    for number, key in enumerate(keys[column]):
        if number in edit.changed:
            found[column][key] = edit.changed[number]
    kept = np.flatnonzero(edit.kept).tolist()
    for name, value in found.items():
        found[name] = (
            [value[k] for k in kept] if isinstance(value, list) else {keys[name][k]: value[keys[name][k]] for k in kept}
        )
    return json.dumps(found, ensure_ascii=False)


def _columnar(content: Content, edit: Edit) -> bytes:
    import pyarrow.parquet

    buffer = pa.py_buffer(content.data) if isinstance(content.data, bytes) else content.data
    parquet, stream = content.ending == ".parquet", False
    if parquet:
        table = pyarrow.parquet.read_table(pa.BufferReader(buffer))
    else:
        try:
            table = pa.ipc.open_file(buffer).read_all()
        except pa.ArrowInvalid:
            table, stream = pa.ipc.open_stream(buffer).read_all(), True
    table = edited_arrow(table, edit, content.where)
    sink = io.BytesIO()
    if parquet:
        pyarrow.parquet.write_table(table, sink)
    else:
        make: Callable[..., Any] = pa.ipc.new_stream if stream else pa.ipc.new_file
        with make(sink, table.schema) as writer:
            writer.write_table(table)
    return sink.getvalue()


def edited_arrow(table: pa.Table, edit: Edit, where: str) -> pa.Table:
    """Return a table with an edit. The types of columns and their metadata are kept."""
    names = list(table.column_names)
    place = _place(names, edit, where)
    field, former = table.schema.field(place), table.column(place)
    cells = former.to_pylist()
    for number, cell in edit.changed.items():
        cells[number] = former.chunk(0).dictionary[int(cell)].as_py() if pa.types.is_dictionary(field.type) else cell
    table = table.set_column(place, field, pa.array(cells, field.type))
    if edit.original:
        table = table.append_column(field.with_name(edit.original), former)
    return table.filter(pa.array(edit.kept))


def _workbook(content: Content, edit: Edit, options: ReadingOptions) -> bytes:
    import openpyxl  # type: ignore[import-untyped]

    book = openpyxl.load_workbook(io.BytesIO(bytes(content.data)))
    sheet = _sheet(book, options)
    rows = [row for row in sheet.iter_rows() if any(cell.value not in (None, "") for cell in row)]
    first = [cell.value for cell in rows[0]]
    header = has_header([[cell.value for cell in row] for row in rows[:200]], options)
    shown = [["" if cell.value is None else cell.value for cell in row] for row in rows[:200]]
    names = ["" if name is None else str(name).strip() for name in first] if header else roles_of(shown)
    place = _place(names, edit, content.where)
    start, last = rows[0][0].row + header, rows[-1][0].row
    width = rows[0][-1].column
    if edit.original and header:
        sheet.cell(rows[0][0].row, width + 1, edit.original)
    dropped = []
    for number, row in enumerate(range(start, last + 1)):
        cell = sheet.cell(row, rows[0][0].column + place)
        if edit.original and cell.value is not None:
            sheet.cell(row, width + 1, cell.value)
        if number in edit.changed:
            cell.value = edit.changed[number]
        if not edit.kept[number]:
            dropped.append(row)
    for row in reversed(dropped):
        sheet.delete_rows(row)
    sink = io.BytesIO()
    book.save(sink)
    return sink.getvalue()


def _sheet(book: Any, options: ReadingOptions) -> Any:
    if options.sheet is not None:
        return book[options.sheet]
    filled = [
        sheet
        for sheet in book.worksheets
        if any(cell.value not in (None, "") for row in sheet.iter_rows() for cell in row)
    ]
    return next((sheet for sheet in filled if split_of(sheet.title) == "train"), filled[0])
