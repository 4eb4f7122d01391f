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
    linear layer; else the classes that the labels name.

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
    setattr(model, _OWN, PretrainedConfig.from_dict({"num_labels": classes}))


def _names_classes(config: Any) -> bool:
    return isinstance(config, PretrainedConfig)


def _stated(model: Any) -> int | None:
    config = getattr(model, "config", None)
    places = [model, config]
    found = [getattr(place, name, None) for place in places for name in _COUNTS]
    if isinstance(config, dict):
        found += [config.get(name) for name in _COUNTS]
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
