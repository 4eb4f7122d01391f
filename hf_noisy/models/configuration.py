"""A model's configuration, or one that is made for an `nn.Module` that has none."""

from __future__ import annotations

import inspect
from typing import Any

import datasets
import numpy as np
from torch import nn
from transformers import PretrainedConfig

from hf_noisy.data.columns import LABEL_COLUMNS, columns_of
from hf_noisy.data.label_reading import form_of, read_column

_OWN = "_hf_noisy_config"  # attribute of a module; it is copied with the module
_COUNTS = ("num_labels", "num_classes", "n_classes")


def config_of(model: Any) -> Any:
    """The configuration of a Transformers model; of another module the one that `give_config` made."""
    config = getattr(model, "config", None)
    return config if _names_classes(config) else getattr(model, _OWN, config)


def is_plain_module(model: Any) -> bool:
    """Whether `model` has no configuration that names its classes: an `nn.Module` of one's own."""
    return not _names_classes(getattr(model, "config", None))


def main_input(model: Any) -> str:
    """The name of the first input of a model's forward, such as `input_ids`."""
    named = getattr(model, "main_input_name", None)
    return named if isinstance(named, str) else next(iter(inspect.signature(model.forward).parameters))


def give_config(model: Any, rows: Any, known: Any = None) -> None:
    """Give a module without a configuration one that says how many classes it has. Its own attributes stay as they are.

    The number is `num_labels`, `num_classes` or `n_classes` of the module or of its `config`; else the outputs of its last
    linear layer; else the classes that the labels name. Names of classes are `id2label`, `label2id` or `class_names` of the module or of
    its `config`, if they are as many.

    Args:
        model: a module. A Transformers model is left alone.
        rows: the training set; None if there is none.
        known: the configuration of an earlier model of the same trainer.

    Raises:
        TypeError: nothing tells the number of classes.
    """
    if not is_plain_module(model) or hasattr(model, _OWN):
        return
    classes = known.num_labels if known is not None else _stated(model) or _last_width(model) or _labelled(rows)
    if classes is None:
        raise TypeError(
            f"model is a {type(model).__name__} without a config, and nothing tells how many classes it has: expected an "
            "attribute num_labels. Set model.num_labels = K."
        )
    config = PretrainedConfig.from_dict({"num_labels": classes})
    if known is None:
        _name(config, model, classes)
    else:
        config.id2label, config.label2id = dict(known.id2label or {}), dict(known.label2id or {})
    setattr(model, _OWN, config)


def _name(config: PretrainedConfig, model: Any, classes: int) -> None:
    """Take over the names of the classes, where there is one for each."""
    listed = _found(model, "class_names")
    tables = {"id2label": _found(model, "id2label"), "label2id": _found(model, "label2id")}
    if isinstance(listed, list | tuple) and len(listed) == classes:
        tables = {"id2label": dict(enumerate(listed)), "label2id": None}
    for name, table in tables.items():
        if isinstance(table, dict) and len(table) == classes:
            setattr(config, name, dict(table))  # `complete_names` makes the other one


def _found(model: Any, name: str) -> Any:
    """An attribute of the module or of its `config`, which may be a dictionary; None without it."""
    config = getattr(model, "config", None)
    found = config.get(name) if isinstance(config, dict) else getattr(config, name, None)
    return getattr(model, name, None) if found is None else found


def _names_classes(config: Any) -> bool:
    return isinstance(config, PretrainedConfig)


def _stated(model: Any) -> int | None:
    found = [getattr(model, name, None) for name in _COUNTS] + [_found(model, name) for name in _COUNTS]
    return next((count for count in found if isinstance(count, int)), None)


def _last_width(model: nn.Module) -> int | None:
    widths = [module.out_features for module in model.modules() if isinstance(module, nn.Linear)]
    return widths[-1] if widths and widths[-1] > 1 else None


def _labelled(rows: Any) -> int | None:
    """The number of classes in the labels, at least 2; None without labels that count classes."""
    if rows is None or not hasattr(rows, "__len__") or not len(rows):
        return None
    column = next((name for name in LABEL_COLUMNS if name in columns_of(rows)), None)
    if column is None:
        return None
    feature = rows.features[column] if isinstance(rows, datasets.Dataset) else None
    if isinstance(feature, datasets.ClassLabel):
        return len(feature.names)
    first = next((rows[row][column] for row in range(len(rows)) if rows[row][column] is not None), None)
    if first is not None and form_of(first) == "row":
        return len(first)
    labels = read_column(rows, column, 0, "train_dataset")
    if labels.dtype.kind in "OU":
        return max(len({str(label) for label in labels} - {"", "None"}), 2)
    return max(int(np.nanmax(labels)) + 1, 2)
