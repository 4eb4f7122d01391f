"""Applies a reviewer's decisions to a table in a file, and writes it in the same format."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_noisy.audit.decision_files import read_decisions
from hf_noisy.audit.decision_plan import Plan, plan_of
from hf_noisy.common.progress import dataset_bars
from hf_noisy.data.reading.files import Tables, read_file
from hf_noisy.data.reading.options import ReadingOptions, listed
from hf_noisy.data.reading.rewriting import Edit, copy_beside, edited_arrow, rewrite
from hf_noisy.data.reading.sources import read_source, training_files
from hf_noisy.data.reading.table import Table, cells, joined
from hf_noisy.data.tables.columns import CLASS_COLUMNS, Columns
from hf_noisy.data.tables.rows import ids_of


@dataclass(frozen=True)
class Applied:
    """What was done to a table."""

    output: Path
    rows: int  # of the new table
    changed: int
    kept: int  # decisions to keep a label
    dropped: int


def apply_to_files(
    source: str | Path | Sequence[str | Path],
    file: str | Path,
    output: str | Path,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    id_column: str = "id",
    original_column: str = "original_label",
    class_names: Sequence[str] | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    sheet: str | None = None,
) -> Applied:
    """Gives changed rows of a table their new label and removes dropped rows, and writes the table in the same format.

    All decisions are applied, or none. Rows that no decision names are written as they were read, in their order, and so
    are the columns, the separator, quotes, encoding and compression, other sheets of a workbook and other splits of a
    folder. A new label is written as the table writes that class already.

    Args:
        source: what was audited: a file, a pattern, a list of files, a folder with splits, or what `save_to_disk` wrote.
            Decisions are on the training rows.
        file: the decisions, see `read_decisions`.
        output: the new file, or a folder if the source has several files.
        text_column, label_column, id_column, separator, encoding, header, sheet: as in `load_corpus`.
        original_column: name of a new column for the former labels; "" adds none.
        class_names: ordered by class id. Needed for classes that no row has.

    Returns:
        What was done.

    Raises:
        FileNotFoundError: a file does not exist.
        TypeError: the source is no file, or the label column holds no classes.
        ValueError: as in `apply_decisions`; also a format that can be read and not written, or an output that is the
            source.
    """
    columns = Columns(text_column, label_column, id=id_column)
    options = ReadingOptions(separator, encoding, header, sheet, columns.named)
    paths, others = training_files(source)
    tables = [_training_table(path, options) for path in paths]
    whole = joined(listed(map(str, paths), 3), tables)
    named, sources = columns.find({"train": whole})
    if sources == [CLASS_COLUMNS]:
        raise ValueError(
            f"{whole.where}: has one column a class: expected one label column, in which a decision can be written."
        )
    table, column = named["train"], sources[0]
    decisions = read_decisions(file)
    ids = [str(row_id) for row_id in ids_of(table, id_column).to_pylist()]
    plan = plan_of(
        decisions,
        ids,
        cells(table.column(column)),
        column=column,
        how=f"column {id_column!r}" if id_column in table.columns else "row numbers",
        names=table.class_names.get(column),
        class_names=class_names,
    )
    output = Path(output)
    start = 0
    for path, part in zip(paths, tables, strict=True):
        target = output / path.name if len(paths) + len(others) > 1 else output
        _write(path, target, _part(plan, start, part.rows, column, original_column), options)
        start += part.rows
    if others:
        marker = [paths[0].parent / "dataset_dict.json"] if paths[0].is_dir() else []
        copy_beside([*others, *marker], output)
    return Applied(
        output,
        int(plan.kept.sum()),
        len(plan.changed),
        sum(decision.decision == "keep" for decision in decisions),
        int((~plan.kept).sum()),
    )


def _training_table(path: Path, options: ReadingOptions) -> Table:
    if path.is_dir():
        found = read_source(path, options)
        return found[1]["train"] if found is not None else Table(str(path), 0, {})
    tables = read_file(path, options, _refuse_several)
    return tables["train"] if "train" in tables else next(iter(tables.values()))


def _refuse_several(folder: Path) -> Tables:
    raise ValueError(
        "a .zip of several files is read and not written. Unpack it, and apply the decisions to the folder."
    )


def _part(plan: Plan, start: int, rows: int, column: str, original: str) -> Edit:
    """Return what a plan does to the rows of one file."""
    changed = {row - start: cell for row, cell in plan.changed.items() if start <= row < start + rows}
    return Edit(column, plan.kept[start : start + rows], changed, original)


def _write(path: Path, output: Path, edit: Edit, options: ReadingOptions) -> None:
    if not path.is_dir():
        rewrite(path, output, edit, options)
        return
    import datasets

    if output.exists() and output.resolve() == path.resolve():
        raise ValueError(
            f"output={str(output)!r}: is the dataset that is read. Name another folder, so that nothing is lost."
        )
    found: Any = datasets.load_from_disk(str(path))
    with dataset_bars():
        found = found.flatten_indices()
        table = edited_arrow(found.data.table, edit, str(path))
        features = found.features.copy()
        if edit.original:
            features[edit.original] = features[edit.column]
        datasets.Dataset(table.replace_schema_metadata(None).cast(features.arrow_schema)).save_to_disk(str(output))
