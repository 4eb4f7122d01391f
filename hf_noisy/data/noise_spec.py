"""Injects noise that is given as a string: 'symmetric:0.2', 'commonest:0.3', 'asymmetric:matrix.json'."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from numpy.typing import ArrayLike

from hf_noisy.common.checks import check_fraction, nearest
from hf_noisy.data.noise import (
    NoisyLabels,
    asymmetric,
    checked_classes,
    checked_transition,
    instance_dependent,
    pair,
    symmetric,
    to_commonest,
    weak_model,
)

_KINDS = ("symmetric", "pair", "commonest", "asymmetric", "instance_dependent", "weak_model")


def inject(
    spec: str,
    labels: ArrayLike,
    num_classes: int,
    *,
    seed: int = 0,
    features: ArrayLike | Callable[[], ArrayLike] | None = None,
    probabilities: ArrayLike | Callable[[], ArrayLike] | None = None,
    commonest: int | None = None,
) -> NoisyLabels:
    """Gives each example a label drawn by the kind of noise that `spec` names.

    Args:
        spec: "symmetric:0.2", "pair:0.4", "commonest:0.3" (`to_commonest`), "instance_dependent:0.3", "weak_model:0.3",
            or "asymmetric:" with the matrix as JSON, "asymmetric:[[0.9, 0.1], [0.3, 0.7]]", or a JSON file's path, "asymmetric:confusions.json".
        labels: (rows,) class ids; -1 or -100 abstains.
        num_classes: K, at least 2.
        seed: the same seed gives the same flips.
        features: (rows, dim), or a function that returns them. It is called only for `instance_dependent` noise.
        probabilities: (rows, K) of a weak model, or a function that returns them, for `weak_model` noise.
        commonest: the class that replaces others under `commonest` noise. None is the commonest class of `labels`.

    Raises:
        ValueError, TypeError: see `check_spec` and the function of that name; also if the required features or
            probabilities are missing, or the matrix is not (K, K).

    >>> inject("pair:0.4", [0, 1, 2, 0, 1, 2, -1, 0], 3).labels
    array([ 0,  2,  0,  0,  1,  0, -1,  1])
    """
    kind, parameter = _parsed(spec)
    classes = checked_classes(num_classes)
    if kind == "symmetric":
        return symmetric(labels, parameter, classes, seed=seed)
    if kind == "pair":
        return pair(labels, parameter, classes, seed=seed)
    if kind == "commonest":
        return to_commonest(labels, parameter, classes, seed=seed, commonest=commonest)
    if kind == "asymmetric":
        if len(parameter) != classes:
            raise ValueError(
                f"noise {spec!r}: expected a matrix of {classes} x {classes}, got {len(parameter)} rows. Give a row for "
                "each class."
            )
        return asymmetric(labels, parameter, seed=seed)
    if kind == "weak_model":
        return weak_model(labels, parameter, _needed(spec, "probabilities", probabilities), seed=seed)
    return instance_dependent(labels, parameter, _needed(spec, "features", features), classes, seed=seed)


def check_spec(spec: str, classes: int | None = None) -> str:
    """Return `spec` if `inject` accepts it, with its rate or matrix. Raise otherwise, before any example is read.

    Args:
        spec: as for `inject`.
        classes: the number of classes, if it is known.

    Raises:
        ValueError: an unknown kind, a missing rate or one outside [0, 1), or a matrix that is invalid, cannot be read
            or has another number of classes.
        TypeError: `spec` is not a string.

    >>> check_spec("symmetric:0.2")
    'symmetric:0.2'
    >>> check_spec("symetric:0.2")
    Traceback (most recent call last):
    ValueError: noise 'symetric:0.2': unknown kind. Did you mean 'symmetric'? Known: symmetric, pair, ...
    """
    kind, parameter = _parsed(spec)
    if kind == "asymmetric" and classes is not None and len(parameter) != classes:
        raise ValueError(
            f"noise {spec!r}: a matrix of {len(parameter)} classes: expected {classes} rows and columns, one a class of the "
            "corpus."
        )
    return spec


def _needed(spec: str, name: str, values: ArrayLike | Callable[[], ArrayLike] | None) -> ArrayLike:
    """Return the values that the noise depends on. If `values` is a function, call it."""
    if values is None:
        raise ValueError(f"noise {spec!r}: expected {name}, a row for each label, got None. Give {name}=.")
    return values() if callable(values) else values


def _parsed(spec: str) -> tuple[str, Any]:
    """Return the kind of noise and its parameter: a rate, or the (K, K) matrix of asymmetric noise."""
    if not isinstance(spec, str):
        raise TypeError(f"noise {spec!r}: expected a string such as 'symmetric:0.2', got {type(spec).__name__}.")
    kind, _, parameter = spec.partition(":")
    if kind not in _KINDS:
        raise ValueError(f"noise {spec!r}: unknown kind. {nearest(kind, _KINDS)}")
    if kind == "asymmetric":
        return kind, checked_transition(_read_matrix(spec, parameter))
    try:
        rate = float(parameter)
    except ValueError:
        raise ValueError(f"noise {spec!r}: expected a rate in [0, 1) after the colon, as in '{kind}:0.2'.") from None
    return kind, check_fraction("rate", rate, "[0, 1)")


def _read_matrix(spec: str, source: str) -> Any:
    """Parse `source` as JSON if it starts with "[", else as the path of a JSON file."""
    try:
        return json.loads(source if source.lstrip().startswith("[") else Path(source).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"noise {spec!r}: expected a matrix such as 'asymmetric:[[0.9, 0.1], [0.3, 0.7]]' or the path of a JSON "
            f"file that holds one; reading it gave {type(error).__name__}: {error}."
        ) from error
