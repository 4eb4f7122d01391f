"""Checks of the inputs of every estimator."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.data.distributions import check_distributions, check_table

_IN_SAMPLE = 0.995  # share of rows; noisy labels are never predicted this well out of fold
_FLOOR = 1e-6  # lower bound of a probability in a logarithm


def check_labels(labels: ArrayLike, rows: int, name: str) -> np.ndarray:
    """Returns the labels as (rows,) int64; negative where a row has no label.

    Raises:
        ValueError, TypeError: not one whole number for each of the rows.
    """
    found = np.asarray(labels)
    if found.ndim != 1:
        raise ValueError(f"labels of shape {found.shape}: expected (rows,) class ids. Take argmax(-1) of soft labels.")
    if len(found) and found.dtype.kind not in "iu":
        raise TypeError(f"labels of type {found.dtype}: expected integers. Convert them to class ids first.")
    if len(found) != rows:
        raise ValueError(
            f"{name} has {rows} rows, labels {len(found)}: expected one for each label, abstained ones included."
        )
    return found.astype(np.int64)


def check_classes(labels: np.ndarray, classes: int) -> None:
    """Raises an error unless there are enough labels, each is one of the classes, and each class has a label.

    Args:
        labels: (rows,), all at least 0.
        classes: number of classes.

    Raises:
        ValueError: fewer rows than classes, a label outside the classes, a class without a label.
    """
    if len(labels) < classes:
        raise ValueError(
            f"{len(labels)} labelled rows for {classes} classes: expected at least a row a class, better 100. Give more."
        )
    if labels.max() >= classes:
        raise ValueError(f"label {labels.max()}: expected a class in [0, {classes}). Give a column for each class.")
    absent = np.flatnonzero(np.bincount(labels, minlength=classes) == 0)
    if len(absent):
        raise ValueError(
            f"class {absent[0]} is absent from the labels: expected each of {classes} classes at least once, since "
            "nothing can be said of the labels of a class that is never given. Drop the class, or give more rows."
        )


def check_probs(probs: ArrayLike, labels: ArrayLike, *, warn: bool = True) -> tuple[np.ndarray, np.ndarray]:
    """Returns the probabilities (rows, classes) and labels (rows,) of the rows that have a label.

    Args:
        probs: out-of-fold probabilities of the given label; rows sum to 1 within 1e-3.
        labels: class ids; negative where a row has no label.
        warn: whether to warn if the probabilities look in-sample.

    Raises:
        ValueError, TypeError: not distributions, or labels that do not match them.

    Warns:
        UserWarning: nearly every label is the most probable one, as if the model was trained on these rows.
    """
    table = check_table("probs", probs)
    if table.shape[1] < 2:
        raise ValueError(f"probs of shape {table.shape}: expected (rows, classes) with at least 2 classes.")
    found = check_labels(labels, len(table), "probs")
    check_distributions("probs", table, 1e-3)
    table, found = table[found >= 0], found[found >= 0]
    check_classes(found, table.shape[1])
    agreed = float((table.argmax(1) == found).mean())
    if warn and agreed > _IN_SAMPLE:
        warnings.warn(
            f"the most probable class is the given label on {agreed:.2%} of the rows: the probabilities look in-sample, "
            "and every estimate from them is far too low. Use out-of-fold probabilities, "
            "hf_noisy.evidence.out_of_fold_probabilities.",
            UserWarning,
            stacklevel=3,
        )
    return table / table.sum(1, keepdims=True), found


def check_features(features: ArrayLike, rows: int) -> np.ndarray:
    """Returns the features as (rows, width) float64.

    Raises:
        ValueError: not a table of finite numbers with this many rows, or all rows are equal.
    """
    table = check_table("features", features)
    if len(table) != rows:
        raise ValueError(
            f"features has {len(table)} rows: expected {rows}, one for each label, abstained ones included."
        )
    if table.shape[1] == 0 or (len(table) and not (np.ptp(table, axis=0) > 0).any()):
        raise ValueError(
            f"features of shape {table.shape} are equal in all rows: expected vectors that tell rows apart."
        )
    return table


def head_inputs(
    probs: ArrayLike, labels: ArrayLike, features: ArrayLike | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns the input of a head (rows, width), the probabilities and the labels, of the rows that have a label.

    Without features, the input is the log probabilities.
    """
    kept, found = check_probs(probs, labels)
    if features is None:
        return np.log(np.clip(kept, _FLOOR, None)), kept, found
    every = np.asarray(labels)
    return check_features(features, len(every))[every >= 0], kept, found


def standardized(table: np.ndarray) -> np.ndarray:
    """Scales each column of (rows, width) to mean 0 and deviation 1; a constant column becomes 0."""
    return (table - table.mean(0)) / np.maximum(table.std(0), 1e-9)
