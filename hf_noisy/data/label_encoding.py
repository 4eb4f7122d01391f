"""Encodes class ids, class names or soft labels as one checked array."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import PretrainedConfig

from hf_noisy.common.checks import check_encodable, nearest
from hf_noisy.data.class_names import class_count, has_default_names, ids_of_names

IGNORED = -100  # the value of a missing hard label after encoding
_ABSTAINED = (-1, IGNORED)
_MOST_CLASSES = np.iinfo(np.int16).max  # the limit of votes too; a larger number is not taken for a class id


def has_label(labels: Any) -> Any:
    """Return (rows,) bool, True where the row has a label, for (rows,) ids or (rows, classes) soft labels.

    `labels` is an array or a tensor.
    """
    return labels >= 0 if labels.ndim == 1 else labels.sum(-1) > 0


def encode_labels(
    values: np.ndarray, config: PretrainedConfig, *, where: str, number_names: bool = True
) -> tuple[np.ndarray, list[str] | None]:
    """Encode class ids or names as (rows,) int64 with -100 for missing, and soft labels as (rows, classes) float32.

    Args:
        values: (rows,) integers (-1 and -100 abstain), strings (looked up in `config.label2id`, else numbered in sorted
            order; an empty string abstains), or (rows, classes) probabilities (an all-zero row abstains).
        config: the configuration of the model.
        where: the name of the dataset in errors.
        number_names: whether names unknown to the model may be numbered. False for an evaluation set, where the
            numbers would be a guess.

    Returns:
        The labels, and the class names if strings were numbered here.

    Raises:
        ValueError: a class that the model does not have, or a soft label that is not a distribution. The message names
            the first such row.
    """
    classes, names = class_count(config), None
    values = np.asarray(values)
    if values.dtype.kind in "UO" and values.ndim == 1:
        values, names = _encode_strings(values, config, where, number_names)
    check = _check_soft if values.ndim == 2 else check_hard
    return check(values, classes, where), names


def one_hot(labels: Tensor, classes: int) -> Tensor:
    """Convert (rows,) ids, negative for missing, or (rows, classes) soft labels to (rows, classes) float32."""
    if labels.ndim == 2:
        return labels.float()
    targets = torch.zeros(*labels.shape, classes, device=labels.device)
    return targets.scatter_(-1, labels.clamp_min(0).unsqueeze(-1), (labels >= 0).float().unsqueeze(-1))


def refuse_label(where: str, row: int, value: Any, classes: int, fix: str) -> None:
    raise ValueError(
        f"{where}, row {row}: label {value!r}: expected a class id, a class name or {classes} probabilities. {fix}"
    )


def _encode_strings(
    values: np.ndarray, config: PretrainedConfig, where: str, number_names: bool
) -> tuple[np.ndarray, list[str] | None]:
    missing = np.array([value is None or value == "" for value in values])
    texts = np.array(["" if gone else value for value, gone in zip(values, missing, strict=True)], dtype=object)
    for row in np.flatnonzero([not isinstance(text, str) for text in texts]):
        refuse_label(where, int(row), texts[row], class_count(config), "Recode the column.")
    found = sorted({str(text) for text in texts[~missing]})
    known = ids_of_names(config)
    if set(found) <= set(known):
        names = None
    elif number_names and len(found) == config.num_labels and has_default_names(config):
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


def check_hard(values: np.ndarray, classes: int, where: str) -> np.ndarray:
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
    """Raise an error about the first row where `bad` is True."""
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise ValueError(f"{where}, row {row}: label {values[row].tolist()}: expected {expected}.")


def one_hot_rows(labels: np.ndarray, classes: int) -> np.ndarray:
    """Convert (rows,) class ids to (rows, classes) one-hot rows. A negative id becomes a row of zeros."""
    return one_hot(torch.from_numpy(labels), classes).double().numpy()
