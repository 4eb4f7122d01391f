"""Applies a reviewer's decisions to the audited dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa

from hf_noisy.audit.decision_files import Decision, read_decisions
from hf_noisy.common.checks import nearest
from hf_noisy.data.columns import LABEL_COLUMNS

Write = Callable[[tuple[int, str]], Any]  # (class id, class name) -> value of the label column


def apply_decisions(
    dataset: datasets.Dataset,
    file: str | Path,
    *,
    label_column: str | None = None,
    id_column: str | None = "id",
    original_column: str = "original_label",
    class_names: Sequence[str] | None = None,
) -> datasets.Dataset:
    """Gives changed rows their new label, removes dropped rows, and keeps all other rows as they are.

    All decisions are applied, or none. Each decision must match a row of the dataset, and the row must still have the
    label that it had when it was reviewed.

    Args:
        dataset: the audited dataset, one split. Its labels are not changed; the result shares its other columns.
        file: CSV or JSONL file that the report exported.
        label_column: column with class ids, class names or a `ClassLabel`; by default the first of labels, label,
            label_ids.
        id_column: column with the ids of the report. With None, or without a column "id", ids are row numbers from 0.
        original_column: name of a new column for the original labels, with the same feature.
        class_names: ordered by class id. Needed for classes that no row of the label column has. A `ClassLabel` column
            does not need them.

    Returns:
        The rows that were not dropped. Rows and columns keep their order; `original_column` comes last.

    Raises:
        TypeError: `dataset` is not a `datasets.Dataset`, or the label column holds neither ids nor names.
        FileNotFoundError: the file does not exist.
        ValueError: a file of another schema, two different decisions with the same id, an id that the dataset lacks or
            has more than once, an unknown class, a row whose label has changed since the review, a missing column, or
            an `original_column` that exists already.

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
    if not isinstance(dataset, datasets.Dataset):
        fix = "Pass one split of it." if isinstance(dataset, dict) else "Load it with datasets, and streaming=False."
        raise TypeError(f"dataset is a {type(dataset).__name__}: expected a datasets.Dataset. {fix}")
    column = _label_column(dataset, label_column)
    if original_column in dataset.column_names:
        raise ValueError(
            f"original_column={original_column!r}: the dataset has such a column. Name another, or remove it first."
        )
    decisions = read_decisions(file)
    places = _places(dataset, decisions, id_column)
    labels = dataset.with_format(None)[column][:]
    write = _writer(dataset.features[column], column, labels, places, decisions, class_names)
    corrected, kept = list(labels), np.ones(len(dataset), dtype=bool)
    for place, decision in zip(places, decisions, strict=True):
        kept[place] = decision.decision != "drop"
        if decision.new_label is not None:
            corrected[place] = write(decision.new_label)
    return _with_labels(dataset, column, corrected, labels, original_column).select(np.flatnonzero(kept))


def _label_column(dataset: datasets.Dataset, requested: str | None) -> str:
    if requested is not None and requested in dataset.column_names:
        return requested
    if requested is not None:
        raise ValueError(f"label_column={requested!r}: no such column. {nearest(requested, dataset.column_names)}")
    found = next((name for name in LABEL_COLUMNS if name in dataset.column_names), None)
    if found is None:
        raise ValueError(
            f"the dataset has no label column: expected one of {', '.join(LABEL_COLUMNS)}, found "
            f"{', '.join(dataset.column_names)}. Name it with label_column=."
        )
    return found


def _places(dataset: datasets.Dataset, decisions: Sequence[Decision], id_column: str | None) -> list[int]:
    """Returns the row number of each decision."""
    if id_column is not None and id_column not in dataset.column_names and id_column != "id":
        raise ValueError(f"id_column={id_column!r}: no such column. {nearest(id_column, dataset.column_names)}")
    counted = id_column is None or id_column not in dataset.column_names
    ids = map(str, range(len(dataset)) if counted else dataset.with_format(None)[id_column][:])
    rows: dict[str, int] = {}
    wanted, twice = {decision.id for decision in decisions}, set()
    for row, row_id in enumerate(ids):
        if rows.setdefault(row_id, row) != row and row_id in wanted:
            twice.add(row_id)
    unknown = [decision for decision in decisions if decision.id not in rows]
    how = "row numbers" if counted else f"column {id_column!r}"
    if unknown:
        raise ValueError(
            f"{unknown[0].where}: id={unknown[0].id!r} is unknown ({len(unknown)} of {len(decisions)} decisions): expected ids "
            f"of the dataset ({how}). Apply the file to the dataset that was audited, or name its id_column."
        )
    if twice:
        raise ValueError(
            f"id={min(twice)!r}: several rows of the dataset have it ({how}): expected ids that are unique."
        )
    return [rows[decision.id] for decision in decisions]


def _writer(
    feature: Any,
    column: str,
    labels: Sequence[Any],
    places: Sequence[int],
    decisions: Sequence[Decision],
    class_names: Sequence[str] | None,
) -> Write:
    """Returns the function that writes a class for the column. Checks that no label changed since the review."""
    write, known = _coding(feature, column, labels, decisions, places, class_names)
    for place, decision in zip(places, decisions, strict=True):
        for field, pair in (("label", decision.label), ("new_label", decision.new_label)):
            if pair is not None and write(pair) not in known:
                raise ValueError(
                    f"{decision.where}: {field}_name={pair[1]!r} ({field}={pair[0]}) is a class that column {column!r} does "
                    f"not know. {nearest(pair[1], list(known.values())[:20])} Name all classes with class_names=, in the order of their ids."
                )
        if labels[place] != write(decision.label):
            raise ValueError(
                f"{decision.where}: id={decision.id!r} now has {column}={_shown(labels[place], known)!r}, where the decision "
                f"saw {decision.label[1]!r} ({decision.label[0]}). Apply it to the dataset that was audited, or decide anew."
            )
    return write


def _coding(
    feature: Any,
    column: str,
    labels: Sequence[Any],
    decisions: Sequence[Decision],
    places: Sequence[int],
    class_names: Sequence[str] | None,
) -> tuple[Write, dict[Any, str]]:
    """Returns the function that writes a class for the column, and a dict of column values and their class names."""
    if isinstance(feature, datasets.ClassLabel):
        numbers = {name: number for number, name in enumerate(feature.names)}
        return (lambda pair: numbers.get(pair[1])), {number: name for name, number in numbers.items()}
    kind = feature.pa_type if isinstance(feature, datasets.Value) else None
    if kind is not None and (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
        known = class_names if class_names is not None else {name for name in labels if name}
        return (lambda pair: pair[1]), {name: name for name in sorted(known)}
    if kind is None or not pa.types.is_integer(kind):
        raise TypeError(f"column {column!r} is {feature}: expected class ids, class names or a ClassLabel, one a row.")
    if _holds_names(labels, decisions, places):  # e.g. ratings 1 to 5: the values are class names, the ids are 0 to 4
        return (lambda pair: int(pair[1]) if pair[1].isdecimal() else None), _numbers(labels)
    if class_names is None:
        return (lambda pair: pair[0]), _numbers(labels)
    return (lambda pair: pair[0]), dict(enumerate(class_names))


def _holds_names(labels: Sequence[Any], decisions: Sequence[Decision], places: Sequence[int]) -> bool:
    """Returns whether the integers in the column are class names and not class ids."""
    held = [(decision.label, labels[place]) for decision, place in zip(decisions, places, strict=True)]
    by_id = all(number == label for (number, _), label in held)
    return not by_id and all(name == str(label) for (_, name), label in held)


def _numbers(labels: Sequence[Any]) -> dict[Any, str]:
    return {label: str(label) for label in sorted({label for label in labels if label is not None and label >= 0})}


def _shown(label: Any, known: dict[Any, str]) -> Any:
    return known.get(label, label)


def _with_labels(
    dataset: datasets.Dataset, column: str, corrected: list[Any], labels: list[Any], original_column: str
) -> datasets.Dataset:
    feature, order, form = dataset.features[column], dataset.column_names, dataset.format
    changed = dataset.with_format(None).remove_columns(column).add_column(column, corrected, feature=feature)
    changed = changed.add_column(original_column, labels, feature=feature).select_columns([*order, original_column])
    if form["type"] is None:
        return changed
    columns = [*form["columns"], original_column] if len(form["columns"]) == len(order) else form["columns"]
    return changed.with_format(form["type"], columns=columns, **form["format_kwargs"])
