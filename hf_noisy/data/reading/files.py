"""One file of whatever kind as a table, or as one table for each split that it holds."""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from hf_noisy.common.checks import nearest
from hf_noisy.data.reading.dialects import names_columns
from hf_noisy.data.reading.json_files import read_json_table
from hf_noisy.data.reading.memory import table_of_dataset
from hf_noisy.data.reading.options import ReadingOptions, listed
from hf_noisy.data.reading.separated import first_text, is_fasttext, read_lines, read_separated
from hf_noisy.data.reading.table import Table, table_of_arrow
from hf_noisy.data.reading.text_files import COMPRESSIONS, Content, content_of
from hf_noisy.data.reading.workbooks import WORKBOOKS, read_workbook

Tables = dict[str | None, Table]  # split -> table; None: no split is named
_SEPARATED, _JSON, _ARROW = (
    (".csv", ".tsv", ".tab", ".psv"),
    (".json", ".jsonl", ".ndjson"),
    (".arrow", ".feather", ".ipc"),
)
ENDINGS = (*_SEPARATED, ".txt", *_JSON, ".parquet", *_ARROW, *WORKBOOKS)


def can_be_read(path: Path) -> bool:
    """Whether the name of a file ends like one that can be read."""
    return path.suffix.lower() in (*ENDINGS, ".zip") or (
        Path(path.stem).suffix.lower() in ENDINGS and path.suffix.lower() in COMPRESSIONS
    )


def read_file(path: Path, options: ReadingOptions, several: Callable[[Path], Tables]) -> Tables:
    """Read one file.

    Args:
        path: a file that exists.
        options: how to read it.
        several: reads the folder that a .zip of several files was unpacked to.

    Raises:
        ValueError: another ending, or a content that cannot be read; the message says why.
    """
    if path.suffix.lower() == ".zip":
        return _read_zip(path, options, several)
    return read_content(content_of(path), options)


def read_content(content: Content, options: ReadingOptions) -> Tables:
    """Read the bytes of one file. The ending of its name says what it is; without one, its first bytes do.

    Raises:
        ValueError: see `read_file`.
    """
    ending, head = content.ending, content.head(4)
    if ending and ending not in ENDINGS and content.name != "-":
        fix = nearest(ending, ENDINGS)
        if ending == ".xls":
            fix = "Save the workbook as .xlsx or .csv."
        raise ValueError(f"{content.where}: cannot read {ending!r}. {fix} Or pass it as a Dataset or data frame.")
    if ending == ".parquet" or head == b"PAR1":
        return {None: _read_parquet(content)}
    if ending in _ARROW or head == b"ARRO":
        return {None: _read_arrow(content)}
    if ending in WORKBOOKS:
        return dict(read_workbook(content, options))
    if head[:2] == b"PK":
        raise ValueError(
            f"{content.where}: is a .zip or a workbook, and its ending is {ending!r}: expected .zip, .xlsx or .ods. Rename it."
        )
    if ending in _JSON or (ending not in _SEPARATED and _begins_as_json(content)):
        return {None: read_json_table(content, options)}
    if holds_lines(content, options):
        return {None: read_lines(content, options)}
    if ending in (".tsv", ".tab") and options.separator is None and b"\t" in content.head().split(b"\n")[0]:
        options = replace(options, separator="\t")
    return {None: read_separated(content, options)}


def holds_lines(content: Content, options: ReadingOptions) -> bool:
    """Whether a text is no table: lines of fastText, or in a .txt file a text a line."""
    if content.ending != ".txt" and content.name != "-":
        return False
    return is_fasttext(content, options) or (content.ending == ".txt" and not _is_table(content, options))


def _begins_as_json(content: Content) -> bool:
    head = content.head(200).lstrip(b"\xef\xbb\xbf \t\r\n")
    return head[:1] in (b"{", b"[") and b'"' in head


def _is_table(content: Content, options: ReadingOptions) -> bool:
    """Whether a .txt file is a table with tabs or another separator, and not a text a line."""
    if options.separator is not None or options.header is not None:
        return True
    lines = [line for line in first_text(content, options).split("\n") if line.strip()][:50]
    if lines and names_columns(lines[0].strip('"').replace('"', ""), options):
        return True
    for mark in ("\t", ";", "|", ","):
        counts = {line.count(mark) for line in lines}
        if len(counts) == 1 and counts != {0}:
            return True
    return False


def _read_parquet(content: Content) -> Table:
    import pyarrow.parquet
    from datasets import Dataset

    try:
        table = pyarrow.parquet.read_table(pa.BufferReader(content.data))
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{content.where}: not a parquet file: {error}") from error
    return _with_features(content.where, table, Dataset)


def _read_arrow(content: Content) -> Table:
    from datasets import Dataset

    data = pa.py_buffer(content.data) if isinstance(content.data, bytes) else content.data
    try:
        try:
            table = pa.ipc.open_file(data).read_all()
        except pa.ArrowInvalid:
            table = pa.ipc.open_stream(data).read_all()
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{content.where}: not an Arrow file: {error}") from error
    return _with_features(content.where, table, Dataset)


def _with_features(where: str, table: pa.Table, dataset: type) -> Table:
    """Read the ClassLabels that `datasets` writes into a file; pandas writes categoricals, which are dictionaries."""
    if b"huggingface" in (table.schema.metadata or {}):
        return table_of_dataset(where, dataset(table))
    return table_of_arrow(where, table)


def _read_zip(path: Path, options: ReadingOptions, several: Callable[[Path], Tables]) -> Tables:
    try:
        with zipfile.ZipFile(path) as archive:
            names = _members(archive)
            if not names:
                raise ValueError(f"{path}: holds no table: expected files that end in {listed(ENDINGS, 20)}.")
            if len(names) == 1:
                data = archive.read(names[0])
                return read_content(Content(f"{path}, {names[0]}", Path(names[0]).name, data), options)
            with tempfile.TemporaryDirectory() as folder:
                for name in names:
                    Path(folder, Path(name).name).write_bytes(archive.read(name))
                return several(Path(folder))
    except (zipfile.BadZipFile, EOFError) as error:
        raise ValueError(f"{path}: not a whole .zip: {error}. Copy it again.") from error


def _members(archive: zipfile.ZipFile) -> Sequence[str]:
    return [
        info.filename
        for info in archive.infolist()
        if not info.is_dir() and not info.filename.startswith("__MACOSX") and can_be_read(Path(info.filename))
    ]
