"""Labels as they come (integers, names, soft rows, abstentions) -> one checked array; and rows that know their number."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from transformers import PretrainedConfig
from transformers.utils import logging

from hf_noisy.domains import nearest

logger = logging.get_logger(__name__)
LABEL_COLUMNS = ("labels", "label", "label_ids")
INDEX = "index"
VOTES = "weak_labels"
IGNORED = -100  # how an abstained hard label is written from here on
_ABSTAINED = (-1, IGNORED)


@dataclass(frozen=True)
class Labelled:
    """A dataset whose `labels` are checked, and those labels in one array."""

    dataset: Any  # yields dictionaries with `labels` (and `index`)
    labels: np.ndarray  # (rows,) int64, -100 abstains; or (rows, classes) float32, zero rows abstain
    class_names: list[str] | None  # where the labels brought names and the model has none of its own

    @property
    def covered(self) -> np.ndarray:
        """(rows,) True where the row has a label."""
        return has_label(self.labels)

    def check_covered(self, where: str) -> None:
        """Refuse to train where no row has a label."""
        if not self.covered.any():
            raise ValueError(
                f"{where}: all {len(self.labels)} rows abstain: expected at least one label. Check the labeling functions "
                "or the label column."
            )


def has_label(labels: Any) -> Any:
    """(rows,) ids or (rows, classes) soft labels, array or tensor -> (rows,) True where the row has a label."""
    return labels >= 0 if labels.ndim == 1 else labels.sum(-1) > 0


def class_count(config: PretrainedConfig) -> int:
    """How many classes the model tells apart."""
    return int(config.num_labels or 0)


def _unnamed(config: PretrainedConfig) -> bool:
    """Whether the model's classes are still called LABEL_0, LABEL_1, ..."""
    return config.id2label == {k: f"LABEL_{k}" for k in range(class_count(config))}


def check_head(config: PretrainedConfig) -> None:
    """Refuse a model that does not choose one of several classes."""
    if config.problem_type in ("multi_label_classification", "regression") or class_count(config) < 2:
        raise ValueError(
            f"problem_type={config.problem_type!r}, num_labels={config.num_labels}: expected a single-label classifier "
            'with at least 2 classes. Load the model with num_labels=K and problem_type="single_label_classification" '
            "(or None)."
        )


def label_dataset(
    dataset: Any, config: PretrainedConfig, *, where: str, with_index: bool, number_names: bool | None = None
) -> Labelled:
    """Check and encode the labels of `dataset`; with `with_index` each row also carries its row number.

    The dataset itself is not changed: a `datasets.Dataset` gets new columns in a copy that shares its data, any other
    is wrapped.

    Args:
        dataset: a `datasets.Dataset`, or anything with a length whose items are dictionaries.
        config: of the model; gives the number and the names of classes.
        where: what the dataset is called in errors.
        with_index: add the column `index`; a column of that name which is there already is replaced in the copy.
        number_names: whether class names that the model does not know are numbered in order; None is `with_index`.

    Raises:
        ValueError, TypeError: streaming, empty, no label column, or a label that `encode_labels` refuses.
    """
    if isinstance(dataset, datasets.IterableDataset | torch.utils.data.IterableDataset):
        raise TypeError(
            f"{where} is a stream: its rows have no number, so nothing can be remembered of them. "
            "Load it with streaming=False."
        )
    if len(dataset) == 0:
        raise ValueError(f"{where} is empty: expected at least one row. Check the split's name and your filters.")
    columns = columns_of(dataset)
    column = next((name for name in LABEL_COLUMNS if name in columns), None)
    if column is None:
        raise ValueError(
            f"{where} has no label column: expected one of {', '.join(LABEL_COLUMNS)}, found {', '.join(columns)}. Rename "
            f"yours with dataset.rename_column(..., 'labels'); from votes, make them with hf_noisy.labels_from_votes."
        )
    if isinstance(dataset, datasets.Dataset):
        values = _read(dataset, column, class_count(config), where)
    else:
        values = _stack([dataset[row][column] for row in range(len(dataset))], class_count(config), where)
    labels, names = encode_labels(
        values, config, where=where, number_names=with_index if number_names is None else number_names
    )
    if isinstance(dataset, datasets.Dataset) and isinstance(dataset.features[column], datasets.ClassLabel):
        labels, names = _by_name(labels, dataset.features[column].names, config, where)
    if with_index and len(np.unique(labels[labels >= 0] if labels.ndim == 1 else labels.argmax(-1))) == 1:
        logger.warning(f"{where}: all labels are of one class. -1 abstains here: if it is a class of yours, recode it.")
    return Labelled(_with_labels(dataset, labels, with_index), labels, names)


def label_evaluation(dataset: Any, config: PretrainedConfig, *, where: str) -> Any:
    """An evaluation set with its labels checked and encoded; one without labels, or a stream, as it is."""
    if isinstance(dataset, datasets.IterableDataset | torch.utils.data.IterableDataset):
        return dataset
    if isinstance(dataset, datasets.Dataset) and INDEX in dataset.column_names:
        dataset = dataset.remove_columns(INDEX)  # the user's own; kept, it would be taken for a row number
    if len(dataset) and not set(LABEL_COLUMNS) & set(columns_of(dataset)):
        return dataset
    return label_dataset(dataset, config, where=where, with_index=False).dataset


def check_tokenized(dataset: Any, main_input_name: str, *, where: str = "train_dataset") -> None:
    """Refuse raw text, which would fail at the first batch with another message."""
    if isinstance(dataset, datasets.Dataset) and not {main_input_name, "inputs_embeds"} & set(dataset.column_names):
        raise ValueError(
            f"{where} has columns {', '.join(dataset.column_names)}: expected tokenized text in "
            f"'{main_input_name}'. Tokenize first: "
            "dataset.map(lambda row: tokenizer(row['text'], truncation=True), batched=True)."
        )


def read_votes(dataset: Any, classes: int, *, where: str) -> Tensor | None:
    """(rows, sources) int16 votes of the column `weak_labels`, checked; None where there is none."""
    if VOTES not in columns_of(dataset):
        return None
    if isinstance(dataset, datasets.Dataset):
        votes = dataset.with_format("numpy")[VOTES][:]
    else:
        votes = np.array([dataset[row][VOTES] for row in range(len(dataset))])
    return torch.from_numpy(check_votes(votes, classes, where=where))


def read_gold(dataset: Any, column: str, config: PretrainedConfig, *, where: str = "train_dataset") -> np.ndarray:
    """(rows,) int64 classes of `column`, negative where unknown, as `encode_labels` reads them.

    Raises:
        ValueError: no such column, or what `encode_labels` raises.
    """
    columns = columns_of(dataset)
    if column not in columns:
        raise ValueError(f"gold_column={column!r}: {where} has no such column. {nearest(column, columns)}")
    values = np.array(
        [row[column] for row in dataset] if not isinstance(dataset, datasets.Dataset) else dataset[column][:]
    )
    gold, _ = encode_labels(values, config, where=f"{where}, column {column!r}", number_names=False)
    if gold.ndim != 1:
        raise ValueError(f"{where}, column {column!r}: holds vectors: expected one class a row, -1 where unknown.")
    return gold


def encode_labels(
    values: np.ndarray, config: PretrainedConfig, *, where: str, number_names: bool = True
) -> tuple[np.ndarray, list[str] | None]:
    """Class ids, names, or soft rows -> (rows,) int64 with -100 for abstained, or (rows, classes) float32.

    Args:
        values: (rows,) integers (-1 and -100 abstain), strings (looked up in `config.label2id`, else numbered in sorted
            order; an empty one abstains), or (rows, classes) probabilities (an all-zero row abstains).
        config: of the model.
        where: what the dataset is called in errors.
        number_names: whether names that the model does not know may be numbered; not in an evaluation set, whose
            numbers would be a guess.

    Returns:
        The labels, and the class names where strings were numbered here.

    Raises:
        ValueError: a class outside the model's, a soft row that is no distribution; the message names the first such row.
    """
    classes, names = class_count(config), None
    values = np.asarray(values)
    if values.dtype.kind in "UO" and values.ndim == 1:
        values, names = _encode_strings(values, config, where, number_names)
    check = _check_soft if values.ndim == 2 else _check_hard
    return check(values, classes, where), names


def check_votes(votes: np.ndarray, classes: int, *, where: str) -> np.ndarray:
    """(rows, sources) votes as int16, or an error that names the first vote outside the classes."""
    votes = np.asarray(votes)
    if votes.ndim != 2 or votes.dtype.kind not in "iu":
        raise ValueError(f"{where}: {VOTES} has shape {votes.shape}: expected (rows, sources) integers, -1 to abstain.")
    wrong = np.argwhere((votes < -1) | (votes >= classes))
    if len(wrong):
        row, source = wrong[0]
        raise ValueError(
            f"{where}, row {row}: source {source} votes {votes[row, source]}: expected -1 (abstain) or a class in "
            f"[0, {classes}). Mend that labeling function, or load the model with more classes."
        )
    return votes.astype(np.int16)


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """(rows,) ids, negative for abstained, or (rows, classes) soft labels -> (rows, classes) float32."""
    if labels.ndim == 2:
        return labels.float()
    targets = torch.zeros(*labels.shape, classes, device=labels.device)
    return targets.scatter_(-1, labels.clamp_min(0).unsqueeze(-1), (labels >= 0).float().unsqueeze(-1))


def columns_of(dataset: Any) -> list[str]:
    """The columns of a `datasets.Dataset`, or the keys of the first row of anything else."""
    if isinstance(dataset, datasets.Dataset):
        return list(dataset.column_names)
    first = dataset[0]
    if not isinstance(first, Mapping):
        raise TypeError(
            f"the dataset yields {type(first).__name__}: expected dictionaries such as a tokenizer's output."
        )
    return list(first)


def _read(dataset: datasets.Dataset, column: str, classes: int, where: str) -> np.ndarray:
    """A column as it is stored, whatever its format or transform shows."""
    dataset = dataset.with_format("arrow").select_columns([column])  # the others may be large
    stored = dataset[:][column].combine_chunks()
    kind = stored.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return np.asarray(dataset.with_format("numpy")[column][:])
    lengths = np.asarray(pc.list_value_length(stored).fill_null(-1))
    if (lengths != classes).any() or not pa.types.is_floating(kind.value_type) or stored.flatten().null_count:
        return _stack(stored.to_pylist(), classes, where)
    return np.asarray(stored.flatten()).reshape(len(stored), -1)


def _stack(values: list[Any], classes: int, where: str) -> np.ndarray:
    """Labels of a list-like dataset; where some are rows, ids become rows and a missing label a row of zeros."""
    arrays = [np.asarray(-1 if value is None else value) for value in values]
    if any(array.ndim == 1 for array in arrays):
        arrays = [np.asarray(one_hot(torch.tensor(int(a)), classes)) if a.ndim == 0 else a for a in arrays]
    elif any(array.dtype.kind == "U" for array in arrays):
        arrays = [np.asarray("" if value is None else value) for value in values]
    for row, array in enumerate(arrays):
        if array.shape != arrays[0].shape or array.shape == (1,) or array.ndim > 1:
            fix = "Unwrap the list." if array.shape == (1,) else "Give every row a label of one form."
            raise ValueError(
                f"{where}, row {row}: label {values[row]}: expected a class id or {classes} probabilities. {fix}"
            )
    return np.stack(arrays)


def _by_name(
    labels: np.ndarray, names: list[str], config: PretrainedConfig, where: str
) -> tuple[np.ndarray, list[str] | None]:
    """Ids of a `ClassLabel` -> ids of the model's classes of those names; and the names, where the model has none."""
    if len(names) != config.num_labels:
        raise ValueError(
            f"{where}: {len(names)} classes ({', '.join(names[:10])}), but the model has num_labels={config.num_labels}. "
            f"Load the model with num_labels={len(names)}."
        )
    if _unnamed(config):
        return labels, names
    known = config.label2id or {}
    if set(names) != set(known):
        logger.warning(f"{where}: classes {names} are taken for the model's {list(known)} in that order.")
        return labels, None
    ids = np.array([int(known[name]) for name in names])
    return np.where(labels < 0, labels, ids[labels.clip(0)]), None


def _encode_strings(
    values: np.ndarray, config: PretrainedConfig, where: str, number_names: bool
) -> tuple[np.ndarray, list[str] | None]:
    missing = np.array([value is None or value == "" for value in values])
    texts = np.array(["" if gone else value for value, gone in zip(values, missing, strict=True)], dtype=object)
    for row in np.flatnonzero([not isinstance(text, str) for text in texts]):
        raise ValueError(
            f"{where}, row {row}: label {texts[row]!r}: expected a class id, a class name or a row of {config.num_labels}."
        )
    found = sorted({str(text) for text in texts[~missing]})
    known: dict[str, int] = {name: int(k) for name, k in (config.label2id or {}).items()}
    if set(found) <= set(known):
        names = None
    elif number_names and len(found) == config.num_labels and _unnamed(config):
        names, known = found, {name: k for k, name in enumerate(found)}
    else:
        unknown = next(name for name in found if name not in known)
        at = int(np.flatnonzero(texts == unknown)[0])
        raise ValueError(
            f"{where}, row {at}: label {str(unknown)!r}: expected a class of the model. {nearest(unknown, known)} The labels "
            f"have {len(found)} names, the model num_labels={config.num_labels}: load it with num_labels={len(found)} and "
            "label2id={name: id}."
        )
    return np.array([IGNORED if gone else known[text] for text, gone in zip(texts, missing, strict=True)]), names


def _check_hard(values: np.ndarray, classes: int, where: str) -> np.ndarray:
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise ValueError(
            f"{where}: labels of shape {values.shape} and type {values.dtype}: expected class ids (rows,), class names, "
            f"or soft labels (rows, {classes})."
        )
    if values.dtype.kind == "f":  # a column with missing values is read as floats
        values = np.where(np.isnan(values), IGNORED, values)
        _refuse(values != np.floor(values), values, where, "a class id; the value looks like a regression target")
    labels = values.astype(np.int64)
    fix = f"load the model with num_labels={labels.max() + 1}" if labels.min() >= -1 else "recode the column"
    if labels.max() == classes and not (labels == 0).any():
        fix = "your labels start at 1: subtract 1"
    bad = (labels >= classes) | ((labels < 0) & ~np.isin(labels, _ABSTAINED))
    _refuse(bad, labels, where, f"a class in [0, {classes}), or -1 or -100 to abstain ({fix})")
    return np.where(labels < 0, IGNORED, labels)


def _check_soft(values: np.ndarray, classes: int, where: str) -> np.ndarray:
    if values.shape[1] != classes:
        raise ValueError(
            f"{where}: soft labels have {values.shape[1]} classes, the model {classes}. "
            f"Load the model with num_labels={values.shape[1]}."
        )
    labels = values.astype(np.float32)
    total = labels.sum(-1)
    _refuse(~np.isfinite(labels).all(axis=1), values, where, "finite probabilities; an all-zero row abstains")
    _refuse((labels < 0).any(axis=1), values, where, "probabilities of at least 0")
    _refuse(
        (total != 0) & (abs(total - 1) > 1e-3),
        values,
        where,
        "probabilities that sum to 1, or to 0 to abstain (several classes at once, multi-label, are not supported)",
    )
    return labels


def _refuse(bad: Any, values: np.ndarray, where: str, expected: str) -> None:
    """Raise for the first row that is `bad`."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{where}, row {row}: label {values[row].tolist()}: expected {expected}.")


def _with_labels(dataset: Any, labels: np.ndarray, with_index: bool) -> Any:
    if not isinstance(dataset, datasets.Dataset) or dataset.format["type"] == "custom":
        return _LabelledRows(dataset, labels, with_index)
    shown = dataset.format["columns"]  # what the user's format shows; the rest stays hidden
    dataset = dataset.with_format(dataset.format["type"], **dataset.format["format_kwargs"]).select_columns(shown)
    columns: dict[str, np.ndarray] = {"labels": labels}
    if with_index:
        columns[INDEX] = np.arange(len(labels))
    dataset = dataset.remove_columns(sorted({*LABEL_COLUMNS, *columns} & set(dataset.column_names)))
    for name, column in columns.items():
        dataset = dataset.add_column(name, column if column.ndim == 1 else _soft_column(column))
    return dataset


def _soft_column(labels: np.ndarray) -> pa.Array:
    """(rows, classes) as a column of lists, without a Python object a row."""
    offsets = np.arange(0, labels.size + 1, labels.shape[1], dtype=np.int32)
    return pa.ListArray.from_arrays(offsets, labels.ravel())


class _LabelledRows(torch.utils.data.Dataset):
    """Any list-like dataset with checked labels and row numbers in its items."""

    def __init__(self, rows: Any, labels: np.ndarray, with_index: bool) -> None:
        self.rows, self.labels, self.with_index = rows, labels, with_index

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, row: int) -> dict[str, Any]:
        item = {name: value for name, value in self.rows[row].items() if name not in LABEL_COLUMNS}
        item["labels"] = self.labels[row].tolist()
        if self.with_index:
            item[INDEX] = row
        return item
