"""Applies a reviewer's decisions to the audited rows: a dataset, or a table in a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np

from hf_noisy.audit.corrected_files import apply_to_files
from hf_noisy.audit.decision_files import read_decisions
from hf_noisy.audit.decision_plan import plan_of
from hf_noisy.common.checks import nearest
from hf_noisy.data.columns import LABEL_COLUMNS


def apply_decisions(
    dataset: Any,
    file: str | Path,
    *,
    output: str | Path | None = None,
    label_column: str | None = None,
    id_column: str | None = "id",
    original_column: str = "original_label",
    class_names: Sequence[str] | None = None,
    text_column: str = "text",
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    sheet: str | None = None,
) -> Any:
    """Gives changed rows their new label, removes dropped rows, and keeps all other rows as they are.

    All decisions are applied, or none. Each decision must match a row of the dataset, and the row must still have the
    label that it had when it was reviewed.

    A table in a file is written to `output` in the same format. Rows that no decision names are written as they were
    read, in their order, and so are the columns, the separator, quotes, encoding and compression, other sheets of a
    workbook and other splits of a folder. A new label is written as the table writes that class already.

    Args:
        dataset: what was audited. A dataset, one split; its labels are not changed, and the result shares its other
            columns. A data frame of pandas. Or files: a path, a pattern, a list of paths, a folder with splits, or what
            `save_to_disk` wrote; decisions are on the training rows.
        file: the decisions, see `read_decisions`.
        output: of files, the new file, or a folder if there are several.
        label_column: column with class ids, class names, truth values or a `ClassLabel`; by default the first of labels,
            label, label_ids.
        id_column: column with the ids of the report. With None, or without a column "id", ids are row numbers from 0.
        original_column: name of a new column for the original labels, with the same feature; "" adds none.
        class_names: ordered by class id. Needed for classes that no row of the label column has. A `ClassLabel` column
            does not need them.
        text_column: of files, as in `load_corpus`.
        separator: as above.
        encoding: as above.
        header: as above.
        sheet: as above.

    Returns:
        The rows that were not dropped, as a dataset or data frame. Rows and columns keep their order; `original_column`
        comes last. Of files, an `Applied`: what was done.

    Raises:
        TypeError: `dataset` is none of these, or the label column holds no classes.
        FileNotFoundError: the file does not exist.
        ValueError: a file of another schema, two different decisions with the same id, an id that the dataset lacks or
            has more than once, an unknown class, a row whose label has changed since the review, a missing column, or
            an `original_column` that exists already. Of files also a format that can be read and not written, no output,
            or an output that is the source.

    >>> import pathlib, tempfile
    >>> train = datasets.Dataset.from_dict({"id": ["a", "b", "c"], "label": ["ham", "ham", "spam"]})
    >>> decided = '''{"id": "a", "label": 0, "label_name": "ham", "decision": "change", "new_label": 1, "new_label_name": "spam"}
    ... {"id": "b", "label": 0, "label_name": "ham", "decision": "drop", "new_label": null, "new_label_name": null}'''
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "decisions.jsonl"
    ...     _ = path.write_text(decided)
    ...     apply_decisions(train, path)[:]
    {'id': ['a', 'c'], 'label': ['spam', 'spam'], 'original_label': ['ham', 'spam']}
    """
    if isinstance(dataset, str | Path | list | tuple):
        if output is None:
            raise ValueError(
                "output is missing: expected a file for the corrected table, since the table is in a file."
            )
        return apply_to_files(
            dataset,
            file,
            output,
            text_column=text_column,
            label_column=label_column,
            id_column=id_column or "",
            original_column=original_column,
            class_names=class_names,
            separator=separator,
            encoding=encoding,
            header=header,
            sheet=sheet,
        )
    if hasattr(dataset, "iloc"):
        return _corrected_frame(dataset, file, label_column, id_column, original_column, class_names)
    if not isinstance(dataset, datasets.Dataset):
        fix = "Pass one split of it." if isinstance(dataset, dict) else "Load it with datasets, and streaming=False."
        raise TypeError(f"dataset is a {type(dataset).__name__}: expected a datasets.Dataset. {fix}")
    column = _check_columns(dataset.column_names, label_column, id_column, original_column)
    counted = id_column is None or id_column not in dataset.column_names
    plain = dataset.with_format(None)
    ids = [str(row_id) for row_id in (range(len(dataset)) if counted else plain[id_column][:])]
    labels, feature = plain[column][:], dataset.features[column]
    plan = plan_of(
        read_decisions(file),
        ids,
        labels,
        column=column,
        how="row numbers" if counted else f"column {id_column!r}",
        names=feature.names if isinstance(feature, datasets.ClassLabel) else None,
        class_names=class_names,
    )
    corrected = [plan.changed.get(row, label) for row, label in enumerate(labels)]
    return _with_labels(dataset, column, corrected, labels, original_column).select(np.flatnonzero(plan.kept))


def _check_columns(
    columns: Sequence[str], label_column: str | None, id_column: str | None, original_column: str
) -> str:
    """Return the name of the label column.

    Raises:
        ValueError: a column is missing, or the new one exists.
    """
    if label_column is not None and label_column not in columns:
        raise ValueError(f"label_column={label_column!r}: no such column. {nearest(label_column, columns)}")
    found = label_column or next((name for name in LABEL_COLUMNS if name in columns), None)
    if found is None:
        raise ValueError(
            f"the dataset has no label column: expected one of {', '.join(LABEL_COLUMNS)}, found "
            f"{', '.join(columns)}. Name it with label_column=."
        )
    if original_column in columns:
        raise ValueError(
            f"original_column={original_column!r}: the dataset has such a column. Name another, or remove it first."
        )
    if id_column is not None and id_column not in columns and id_column != "id":
        raise ValueError(f"id_column={id_column!r}: no such column. {nearest(id_column, columns)}")
    return found


def _corrected_frame(
    frame: Any,
    file: str | Path,
    label_column: str | None,
    id_column: str | None,
    original_column: str,
    class_names: Sequence[str] | None,
) -> Any:
    columns = list(map(str, frame.columns))
    column = _check_columns(columns, label_column, id_column, original_column)
    counted = id_column is None or id_column not in columns
    ids = [str(row_id) for row_id in (range(len(frame)) if counted else frame[id_column])]
    plan = plan_of(
        read_decisions(file),
        ids,
        frame[column].tolist(),
        column=column,
        how="row numbers" if counted else f"column {id_column!r}",
        class_names=class_names,
    )
    corrected = frame.copy()
    if original_column:
        corrected[original_column] = frame[column]
    place = columns.index(column)
    for row, label in plan.changed.items():
        corrected.iloc[row, place] = label
    return corrected[plan.kept]


def _with_labels(
    dataset: datasets.Dataset, column: str, corrected: list[Any], labels: list[Any], original_column: str
) -> datasets.Dataset:
    feature, order, form = dataset.features[column], dataset.column_names, dataset.format
    changed = dataset.with_format(None).remove_columns(column).add_column(column, corrected, feature=feature)
    added = [original_column] if original_column else []
    for name in added:
        changed = changed.add_column(name, labels, feature=feature)
    changed = changed.select_columns([*order, *added])
    if form["type"] is None:
        return changed
    columns = [*form["columns"], *added] if len(form["columns"]) == len(order) else form["columns"]
    return changed.with_format(form["type"], columns=columns, **form["format_kwargs"])
