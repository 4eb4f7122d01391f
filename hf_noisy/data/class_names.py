"""The number and the names of a model's classes."""

from __future__ import annotations

import numpy as np
from transformers import PretrainedConfig
from transformers.utils import logging

logger = logging.get_logger(__name__)


def class_count(config: PretrainedConfig) -> int:
    """Return the number of classes of the model."""
    return int(config.num_labels or 0)


def has_default_names(config: PretrainedConfig) -> bool:
    """Whether the model's classes have the default names LABEL_0, LABEL_1, ..."""
    return config.id2label == {k: f"LABEL_{k}" for k in range(class_count(config))}


def complete_names(config: PretrainedConfig) -> None:
    """Put the names of the classes in `config` right, where people set only one of its two tables, or ids as text.

    JSON has no whole numbers as keys, so an `id2label` that was read from a file has the keys "0", "1", ...; the stock
    Trainer never looks at it. Keys become numbers. A table that is missing, or has default names beside a table with
    names of its own, is made from the other one. Tables that contradict each other are left: `ids_of_names` refuses
    them.
    """
    classes = class_count(config)
    try:
        by_key: list[tuple[int, str]] = [(int(k), name) for k, name in (config.id2label or {}).items()]
        ids = {name: int(k) for name, k in (config.label2id or {}).items()}
    except (TypeError, ValueError):
        return  # refused where the names are read
    names, default = dict(sorted(by_key)), {k: f"LABEL_{k}" for k in range(classes)}
    by_id = {k: name for name, k in ids.items()}
    if names in ({}, default) and by_id != default and by_id.keys() == default.keys():
        names = {k: by_id[k] for k in range(classes)}
    if by_id in ({}, default) and len(set(names.values())) == len(names):
        ids = {name: k for k, name in names.items()}
    config.id2label, config.label2id = names, ids


def ids_by_name(
    labels: np.ndarray, names: list[str], config: PretrainedConfig, where: str
) -> tuple[np.ndarray, list[str] | None]:
    """Map the ids of a `ClassLabel` to the ids of the model's classes with the same names.

    Returns the ids, and the names if the model has only default names. If the two sets of names differ, the ids are
    kept and a warning is logged.
    """
    if len(names) != config.num_labels:
        raise ValueError(
            f"{where}: {len(names)} classes ({', '.join(names[:10])}), but the model has num_labels={config.num_labels}. "
            f"Load the model with num_labels={len(names)}."
        )
    if has_default_names(config):
        return labels, names
    known = ids_of_names(config)
    if set(names) != set(known):
        logger.warning(f"{where}: classes {names} are taken for the model's {list(known)} in that order.")
        return labels, None
    ids = np.array([known[name] for name in names])
    return np.where(labels < 0, labels, ids[labels.clip(0)]), None


def ids_of_names(config: PretrainedConfig) -> dict[str, int]:
    """Return the model's `label2id`. Raise if a name or an id is ambiguous, or an id is outside the classes."""
    known: dict[str, int] = {name: int(k) for name, k in (config.label2id or {}).items()}
    names, ids = list((config.id2label or {}).values()), list(known.values())
    twice = len(set(names)) < len(names) or (len(ids) <= class_count(config) and len(set(ids)) < len(ids))
    if twice or not set(ids) <= set(range(class_count(config))):
        raise ValueError(
            f"label2id={known}, id2label={config.id2label}: expected one name for each of the ids 0 to "
            f"{class_count(config) - 1}. Load the model with label2id={{name: id}} and id2label={{id: name}}."
        )
    return known
