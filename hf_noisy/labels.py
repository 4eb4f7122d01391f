"""Labels as they come (integers, names, soft rows, abstentions) -> one checked array; and rows that know their number."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor, nn
from transformers import DataCollatorWithPadding, PretrainedConfig, default_data_collator
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES
from transformers.utils import logging

from hf_noisy.domains import LABEL_COLUMNS, check_encodable, nearest

logger = logging.get_logger(__name__)
INDEX = "index"
VOTES = "weak_labels"
IGNORED = -100  # how an abstained hard label is written from here on
_ABSTAINED = (-1, IGNORED)
_MOST_CLASSES = np.iinfo(np.int16).max  # as of votes; beyond it a label is taken for something else
_TOKENIZE = "Tokenize first: dataset.map(lambda row: tokenizer(row['text'], truncation=True), batched=True)."
_LOAD = "Load it with AutoModelForSequenceClassification.from_pretrained(..., num_labels=K)."


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


def check_model(model: Any) -> None:
    """Refuse what cannot be a classifier, before a Trainer is made of it.

    Raises:
        TypeError: a name, a class, a module without a `config`, or an encoder without a head.
    """
    if isinstance(model, str | Path | type):
        raise TypeError(f"model={model!r}: expected a model that is loaded. {_LOAD}")
    if not hasattr(model, "config"):
        raise TypeError(
            f"model is a {type(model).__name__} without a config: expected a Transformers classifier. {_LOAD}"
        )
    encoders = {
        name for names in MODEL_MAPPING_NAMES.values() for name in ([names] if isinstance(names, str) else names)
    }
    if type(model).__name__ in encoders and type(model).__module__.startswith("transformers."):
        raise TypeError(f"model is a {type(model).__name__}, which has no classification head: expected one. {_LOAD}")


def check_head(model: Any) -> None:
    """Refuse a model that does not choose one of several classes.

    Raises:
        ValueError: a regression or multi-label head, one class, or a head of another size than its `config` says.
    """
    config = model.config
    if config.problem_type in ("multi_label_classification", "regression") or class_count(config) < 2:
        raise ValueError(
            f"problem_type={config.problem_type!r}, num_labels={config.num_labels}: expected a single-label classifier "
            'with at least 2 classes. Load the model with num_labels=K and problem_type="single_label_classification" '
            "(or None)."
        )
    made_for = getattr(model, "num_labels", config.num_labels)
    if made_for != config.num_labels:
        raise ValueError(
            f"num_labels={config.num_labels} in the model's config, but its head was made for {made_for}: expected the same. "
            f"Load the model with num_labels={config.num_labels}; changing the config does not change the head."
        )


def check_rows(dataset: Any, *, where: str) -> None:
    """Refuse what is no table of rows with a length.

    Raises:
        TypeError: a stream, a name, several splits, a dictionary of columns, a data frame, a generator.
    """
    if isinstance(dataset, datasets.IterableDataset | torch.utils.data.IterableDataset):
        raise TypeError(
            f"{where} is a stream: its rows have no number, so nothing can be remembered of them. "
            "Load it with streaming=False."
        )
    kind, fix = type(dataset).__name__, "Pass a datasets.Dataset, or a list of dictionaries."
    if isinstance(dataset, str | Path):
        kind, fix = repr(str(dataset)), "Load it with datasets.load_dataset or hf_noisy.load_corpus."
    elif isinstance(dataset, datasets.DatasetDict):
        kind, fix = f"a DatasetDict of {', '.join(dataset)}", "Pass one split: datasets['train']."
    elif isinstance(dataset, Mapping):
        kind, fix = f"a dictionary of {', '.join(map(str, dataset))}", "Pass datasets.Dataset.from_dict(...) of it."
    elif hasattr(dataset, "iloc"):
        kind, fix = f"a {kind}", "Pass datasets.Dataset.from_pandas(...) of it."
    elif hasattr(dataset, "__len__") and hasattr(dataset, "__getitem__"):
        return
    raise TypeError(f"{where} is {kind}: expected rows that have a number and a length. {fix}")


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
    check_rows(dataset, where=where)
    if len(dataset) == 0:
        raise ValueError(f"{where} is empty: expected at least one row. Check the split's name and your filters.")
    columns = columns_of(dataset)
    column = next((name for name in LABEL_COLUMNS if name in columns), None)
    if column is None:
        raise ValueError(
            f"{where} has no label column: expected one of {', '.join(LABEL_COLUMNS)}, found {', '.join(columns)}. Rename "
            f"yours with dataset.rename_column(..., 'labels'); from votes, make them with hf_noisy.labels_from_votes."
        )
    values = _read(dataset, column, class_count(config), where)
    labels, names = encode_labels(
        values, config, where=where, number_names=with_index if number_names is None else number_names
    )
    if isinstance(dataset, datasets.Dataset) and isinstance(dataset.features[column], datasets.ClassLabel):
        labels, names = _by_name(labels, dataset.features[column].names, config, where)
    if with_index:
        _say_what_is_odd(labels, column, columns, class_count(config), where)
    return Labelled(_with_labels(dataset, labels, with_index), labels, names)


def _say_what_is_odd(labels: np.ndarray, column: str, columns: Sequence[str], classes: int, where: str) -> None:
    """Of labels that can be trained on, but are seldom meant so."""
    others = [name for name in LABEL_COLUMNS if name in columns and name != column]
    if others:
        logger.warning(f"{where} has columns {column!r} and {others[0]!r}: the labels are those of {column!r}.")
    shares = np.bincount(labels[labels >= 0], minlength=classes) if labels.ndim == 1 else labels.sum(0)
    absent = np.flatnonzero(shares == 0).tolist()
    if classes - len(absent) == 1:
        logger.warning(f"{where}: all labels are of one class. -1 abstains here: if it is a class of yours, recode it.")
    elif absent and classes > len(absent):
        logger.warning(
            f"{where}: no row is of class {', '.join(map(str, absent[:10]))}{', ...' * (len(absent) > 10)}, which the model "
            f"has ({classes} classes). Check num_labels, or how classes are numbered."
        )


def label_evaluation(dataset: Any, config: PretrainedConfig, *, where: str) -> Any:
    """An evaluation set with its labels checked and encoded; one without labels as it is. For streams: `hf_noisy.streaming`."""
    check_rows(dataset, where=where)
    if isinstance(dataset, datasets.Dataset) and INDEX in dataset.column_names:
        dataset = dataset.remove_columns(INDEX)  # the user's own; kept, it would be taken for a row number
    if len(dataset) and not set(LABEL_COLUMNS) & set(columns_of(dataset)):
        return dataset
    return label_dataset(dataset, config, where=where, with_index=False).dataset


def check_tokens(dataset: Any, model: Any, collator: Any, *, where: str) -> None:
    """Refuse text that is not tokenized, or not as `model` reads it, before a batch of it fails with another message.

    Only a `datasets.Dataset` without a transform is looked at, and lengths only where a stock collator makes the batches.

    Raises:
        ValueError: no tokens, a row without any, a token outside the vocabulary, a mask of another length, a text longer
            than the model's positions, texts of different lengths that nothing pads.
    """
    if not isinstance(dataset, datasets.Dataset):
        return
    name, known = model.main_input_name, dataset.column_names
    if not {name, "inputs_embeds"} & set(known):
        raise ValueError(f"{where} has columns {', '.join(known)}: expected tokenized text in '{name}'. {_TOKENIZE}")
    if name != "input_ids" or name not in known or dataset.format["type"] == "custom" or not len(dataset):
        return
    stored = dataset.data.column(name)  # with the rows that a filter left out: reading the others alone is far slower
    rows = np.arange(len(stored)) if dataset._indices is None else np.asarray(dataset._indices.column(0))
    if not _is_list(stored.type) or not (
        pa.types.is_integer(stored.type.value_type) or pa.types.is_null(stored.type.value_type)
    ):
        raise ValueError(
            f"{where}, row 0: {name} is {stored[int(rows[0])].as_py()!r}: expected a list of token ids. {_TOKENIZE}"
        )
    stock = collator is default_data_collator or type(collator) is DataCollatorWithPadding  # else it may cut, or pad
    positions = (_positions(model) if stock else None) or np.inf
    lengths = _lengths(stored)[rows]
    wrong = {
        f"1 or more. Drop rows without text. {_TOKENIZE}": lengths == 0,
        f"{positions} or fewer, as many as the model has positions. {_TOKENIZE}": lengths > positions,
        f"{lengths[0]} as in row 0, since nothing pads. Pass the tokenizer: processing_class=tokenizer.": (
            (lengths != lengths[0]) & (collator is default_data_collator)
        ),
    }
    if "attention_mask" in known:
        masks = _lengths(dataset.data.column("attention_mask"))[rows]
        wrong[f"an attention_mask of that length. {_TOKENIZE}"] = lengths != masks
    for expected, bad in wrong.items():
        for row in np.flatnonzero(bad)[:1]:
            raise ValueError(f"{where}, row {row}: has {lengths[row]} tokens: expected {expected}")
    _check_vocabulary(stored, rows, model.config, where)


def _check_vocabulary(stored: pa.ChunkedArray, rows: np.ndarray, config: PretrainedConfig, where: str) -> None:
    size, begun = getattr(config, "vocab_size", None) or np.iinfo(np.int64).max, 0
    for part in stored.chunks:
        tokens, ends = part.flatten(), _lengths(part).cumsum()
        extremes = pc.min_max(tokens).as_py()
        if extremes["min"] is not None and not 0 <= extremes["min"] <= extremes["max"] < size:
            at = np.flatnonzero((np.asarray(tokens) < 0) | (np.asarray(tokens) >= size))
            holders = begun + np.searchsorted(ends, at, side="right")
            for row in np.flatnonzero(np.isin(rows, holders))[:1]:
                token = tokens[int(at[holders == rows[row]][0])]
                raise ValueError(
                    f"{where}, row {row}: holds the token {token}: expected 0 to {size - 1}, the model's vocabulary. Tokenize "
                    "with the model's own tokenizer; for tokens that were added, call model.resize_token_embeddings."
                )
        begun += len(part)


def _lengths(lists: pa.Array | pa.ChunkedArray) -> np.ndarray:
    return np.asarray(pc.list_value_length(lists).fill_null(0))


def _positions(model: nn.Module) -> int | None:
    """How many tokens a model has learned positions for; None where they are relative, or not known."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and name.rpartition(".")[2] in ("position_embeddings", "wpe"):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return None


def read_votes(dataset: Any, classes: int, *, where: str) -> Tensor | None:
    """(rows, sources) int16 votes of the column `weak_labels`, checked; None where there is none."""
    if VOTES not in columns_of(dataset):
        return None
    stored = _stored(dataset, VOTES) if isinstance(dataset, datasets.Dataset) else None
    votes = None if stored is None or not len(stored) else _rectangle(stored, len(stored[0].as_py() or ""))
    if votes is None or votes.dtype.kind not in "iu":
        votes = _vote_rows(_cells(dataset, VOTES, where) if stored is None else stored.to_pylist(), where)
    return torch.from_numpy(check_votes(votes, classes, where=where))


def read_gold(dataset: Any, column: str, config: PretrainedConfig, *, where: str = "train_dataset") -> np.ndarray:
    """(rows,) int64 classes of `column`, negative where unknown, as `encode_labels` reads them.

    Raises:
        ValueError: no such column, or what `encode_labels` raises.
    """
    columns = columns_of(dataset)
    if column not in columns:
        raise ValueError(f"gold_column={column!r}: {where} has no such column. {nearest(column, columns)}")
    where = f"{where}, column {column!r}"
    values = _read(dataset, column, class_count(config), where)
    if values.ndim != 1:
        raise ValueError(
            f"{where}, row 0: holds {values[0].tolist()}: expected one class a row. Write -1 where it is unknown."
        )
    return encode_labels(values, config, where=where, number_names=False)[0]


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
        raise ValueError(
            f"{where}: {VOTES} has shape {votes.shape} and type {votes.dtype}: expected (rows, sources) integers, -1 to "
            "abstain. Write them with hf_noisy.apply_labeling_functions."
        )
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


def _cells(dataset: Any, column: str, where: str) -> list[Any]:
    """A column of a list-like dataset."""
    cells = []
    for row in range(len(dataset)):
        item = dataset[row]
        if column not in item:
            raise ValueError(
                f"{where}, row {row}: has {', '.join(map(str, item))} and no {column!r}: expected the same keys in every "
                "row. Write None where there is no label, -1 where a source abstains."
            )
        cells.append(item[column])
    return cells


def _stored(dataset: datasets.Dataset, column: str) -> pa.Array:
    """A column as it is stored, whatever its format or transform shows."""
    return dataset.with_format("arrow").select_columns([column])[:][column].combine_chunks()  # the others may be large


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _rectangle(stored: pa.Array, width: int) -> np.ndarray | None:
    """(rows, width) of a column of lists, without a Python object a row; None where its rows are not all such."""
    if not _is_list(stored.type) or stored.flatten().null_count:
        return None
    lengths = np.asarray(pc.list_value_length(stored).fill_null(-1))
    return None if (lengths != width).any() else np.asarray(stored.flatten()).reshape(len(stored), width)


def _read(dataset: Any, column: str, classes: int, where: str) -> np.ndarray:
    """A column of labels, (rows,) or (rows, classes); None where one is missing becomes -100."""
    if not isinstance(dataset, datasets.Dataset):
        return _stack(_cells(dataset, column, where), classes, where)
    stored = _stored(dataset, column)
    if _is_list(stored.type):
        rows = _rectangle(stored, classes)
        return rows if rows is not None and rows.dtype.kind == "f" else _stack(stored.to_pylist(), classes, where)
    whole = pa.types.is_integer(stored.type)
    if stored.null_count and (whole or pa.types.is_floating(stored.type)):
        stored = stored.cast(pa.int64() if whole else pa.float64()).fill_null(IGNORED)
    if whole or pa.types.is_floating(stored.type):
        return np.asarray(stored)
    return np.asarray(dataset.with_format("numpy")[column][:])


def _stack(values: Sequence[Any], classes: int, where: str) -> np.ndarray:
    """Labels of a list-like dataset; where some are rows, ids become rows and a missing label a row of zeros."""
    forms = [_form(value) for value in values]
    first = next((form for form in forms if form), "id")
    fitting = {"name": ("name",), "id": ("id", "row"), "row": ("id", "row")}
    for row, form in enumerate(forms):
        if form == "other" or (form and form not in fitting[first]):
            fix = "Unwrap the list." if np.shape(values[row]) == (1,) else "Give every row a label of one form."
            _no_label(where, row, values[row], classes, fix)
    if first == "name":
        return np.array(["" if value is None else str(value) for value in values], dtype=object)
    if "row" not in forms:
        return np.array([IGNORED if value is None else value for value in values])
    ids = np.array([value if form == "id" else IGNORED for value, form in zip(values, forms, strict=True)])
    rows = np.asarray(one_hot(torch.from_numpy(_check_hard(ids, classes, where)), classes), dtype=np.float64)
    vectors = {row: np.asarray(values[row]) for row, form in enumerate(forms) if form == "row"}
    widths = {len(vector) for vector in vectors.values()}
    if len(vectors) == len(rows) and len(widths) == 1:
        return np.stack(list(vectors.values()))
    for row, vector in vectors.items():
        if len(vector) != classes:
            _no_label(where, row, values[row], classes, "Give every row a label of one form.")
        rows[row] = vector
    return rows


def _form(value: Any) -> str:
    """What a label is: "id", "name", "row" of probabilities, "other", or "" where it is missing."""
    if value is None or isinstance(value, str):
        return "" if value is None else "name"
    try:
        array = np.asarray(value)
    except ValueError:  # lists of different lengths
        return "other"
    if array.dtype.kind == "U" and array.ndim == 0:
        return "name"
    numeric = array.dtype.kind in "iufb" and array.shape not in ((0,), (1,))
    return {0: "id", 1: "row"}.get(array.ndim, "other") if numeric else "other"


def _no_label(where: str, row: int, value: Any, classes: int, fix: str) -> None:
    raise ValueError(
        f"{where}, row {row}: label {value!r}: expected a class id, a class name or {classes} probabilities. {fix}"
    )


def _vote_rows(rows: Sequence[Any], where: str) -> np.ndarray:
    """(rows, sources) of lists of votes, or an error that names the first row that is none, or of another length."""
    table: list[np.ndarray] = []
    for row, votes in enumerate(rows):
        array = np.asarray(votes if _form(votes) == "row" or np.shape(votes) == (1,) else None)
        if array.ndim != 1 or array.dtype.kind not in "iu":
            raise ValueError(
                f"{where}, row {row}: {VOTES} is {votes!r}: expected a list of integers, one vote a source. "
                "Write -1 where a source abstains."
            )
        if table and len(array) != len(table[0]):
            raise ValueError(
                f"{where}, row {row}: {VOTES} is {votes!r}: expected {len(table[0])} votes as in the rows before, one a "
                "source. Write -1 where a source abstains."
            )
        table.append(array)
    return np.stack(table)


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
    known = _ids_of_names(config)
    if set(names) != set(known):
        logger.warning(f"{where}: classes {names} are taken for the model's {list(known)} in that order.")
        return labels, None
    ids = np.array([known[name] for name in names])
    return np.where(labels < 0, labels, ids[labels.clip(0)]), None


def _ids_of_names(config: PretrainedConfig) -> dict[str, int]:
    """The model's `label2id`, if it leads to each class at most once."""
    known: dict[str, int] = {name: int(k) for name, k in (config.label2id or {}).items()}
    names, ids = list((config.id2label or {}).values()), list(known.values())
    twice = len(set(names)) < len(names) or (len(ids) <= class_count(config) and len(set(ids)) < len(ids))
    if twice or not set(ids) <= set(range(class_count(config))):
        raise ValueError(
            f"label2id={known}, id2label={config.id2label}: expected one name for each of the ids 0 to "
            f"{class_count(config) - 1}. Load the model with label2id={{name: id}} and id2label={{id: name}}."
        )
    return known


def _encode_strings(
    values: np.ndarray, config: PretrainedConfig, where: str, number_names: bool
) -> tuple[np.ndarray, list[str] | None]:
    missing = np.array([value is None or value == "" for value in values])
    texts = np.array(["" if gone else value for value, gone in zip(values, missing, strict=True)], dtype=object)
    for row in np.flatnonzero([not isinstance(text, str) for text in texts]):
        _no_label(where, int(row), texts[row], class_count(config), "Recode the column.")
    found = sorted({str(text) for text in texts[~missing]})
    known = _ids_of_names(config)
    if set(found) <= set(known):
        names = None
    elif number_names and len(found) == config.num_labels and _unnamed(config):
        names = [check_encodable(f"{where}: the class name {name!r}", name) for name in found]
        known = {name: k for k, name in enumerate(found)}
    else:
        unknown = next(name for name in found if name not in known)
        at = int(np.flatnonzero(texts == unknown)[0])
        many = f"num_labels={len(found)} and " if len(found) != config.num_labels else ""
        raise ValueError(
            f"{where}, row {at}: label {str(unknown)!r}: expected a class of the model. {nearest(unknown, known)} The labels "
            f"have {len(found)} names, the model num_labels={config.num_labels}: load it with {many}label2id={{name: id}}."
        )
    return np.array([IGNORED if gone else known[text] for text, gone in zip(texts, missing, strict=True)]), names


def _check_hard(values: np.ndarray, classes: int, where: str) -> np.ndarray:
    if values.ndim != 1 or values.dtype.kind not in "iufb":
        raise ValueError(
            f"{where}: labels of shape {values.shape} and type {values.dtype}: expected class ids (rows,), class names, "
            f"or soft labels (rows, {classes}). Recode the column."
        )
    if values.dtype.kind == "f":
        _refuse(np.isnan(values), values, where, "a class id, or -1 or None where there is no label")
        _refuse(values != np.floor(values), values, where, "a class id; the value looks like a regression target")
    fix, largest = "recode the column as 0, 1, ...", values.max()
    if largest == classes and not (values == 0).any():
        fix = "your labels start at 1: subtract 1"
    elif np.isin(values[values < 0], _ABSTAINED).all() and largest < _MOST_CLASSES:
        fix = f"load the model with num_labels={int(largest) + 1}"
    bad = (values >= classes) | ((values < 0) & ~np.isin(values, _ABSTAINED))
    _refuse(bad, values, where, f"a class in [0, {classes}), or -1 or -100 to abstain ({fix})")
    return np.where(values < 0, IGNORED, values).astype(np.int64)


def _check_soft(values: np.ndarray, classes: int, where: str) -> np.ndarray:
    if values.shape[1] != classes:
        raise ValueError(
            f"{where}, row 0: label {values[0].tolist()}: soft labels have {values.shape[1]} classes, the model {classes}: "
            f"expected the same. Load the model with num_labels={values.shape[1]}."
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


class _LabelledRows(torch.utils.data.Dataset[Any]):
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
