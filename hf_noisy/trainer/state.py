"""Saves and loads the state of methods in a checkpoint: safetensors and text, so that reading a file runs no code."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hf_noisy.methods.parts.base import NoiseCallback

STATE_NAME = "noise_state.safetensors"
_FIX = "Resume with the settings that wrote the checkpoint, or start afresh."
_VERSION = "3"  # of the file format; other versions are refused
_EPOCH = re.compile(r"-1|\d{1,9}", re.ASCII)  # -1: no epoch has begun
_MEANING = {
    "labels": ": other labels, or rows in another order",
    "tokens": ": other texts, another tokenizer, or rows in another order",
}
_SAMPLE = 64  # rows whose tokens identify a training set


def fingerprint(labels: np.ndarray) -> str:
    """A short hash of the labels in row order. It identifies the training set that saved state belongs to."""
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()[:16]


def token_fingerprint(dataset: Any) -> str:
    """A short hash of the stored tokens of a few rows. It identifies the texts of a training set.

    Empty where rows are not stored as tokens, or are computed each time they are read.
    """
    if not isinstance(dataset, datasets.Dataset) or "input_ids" not in dataset.column_names:
        return ""
    spread = np.linspace(0, len(dataset) - 1, min(len(dataset), _SAMPLE)).astype(int)
    tokens = dataset.with_format("arrow", columns=["input_ids"])[spread]["input_ids"].to_pylist()
    return hashlib.sha256(repr(tokens).encode()).hexdigest()[:16]


def save_state(
    folder: str | Path,
    callbacks: Sequence[NoiseCallback],
    identity: Mapping[str, str],
    epoch: int,
    processes: int = 1,
) -> None:
    """Write the state of all callbacks atomically: a reader sees the whole file or none.

    Args:
        folder: the checkpoint.
        callbacks: in fold order, the order in which they change the supervision.
        identity: properties that a resuming run must share with this one.
        epoch: the last epoch that has begun.
        processes: number of processes. Each writes its random state into the same folder.
    """
    tensors = {
        _key(position, callback, name): tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for position, callback in enumerate(callbacks)
        for name, tensor in _state_of(callback).items()
    }
    facts = {"version": _VERSION, "epoch": str(epoch), "processes": str(processes)}
    unfinished = Path(folder) / f"{STATE_NAME}.unfinished"
    save_file(tensors, unfinished, metadata={**facts, **identity})
    os.replace(unfinished, Path(folder) / STATE_NAME)


def _state_of(callback: NoiseCallback) -> dict[str, torch.Tensor]:
    """Return `state_dict()` of a method.

    Raises:
        TypeError: a value is no tensor.
    """
    state = callback.state_dict()
    for name, value in state.items():
        if not isinstance(value, torch.Tensor):
            raise TypeError(
                f"{type(callback).__name__}.state_dict(), {name!r}: expected a tensor, found {type(value).__name__}. Of a Memory return "
                "`memory.state()`, of numbers `torch.tensor(numbers)`."
            )
    return state


def check_identity(folder: str | Path, identity: Mapping[str, str]) -> int:
    """Refuse the state of a different run. Returns the last epoch that had begun.

    Raises:
        ValueError: the file cannot be read, or comes from another method, class count, training set or version.
    """
    try:
        with safe_open(Path(folder) / STATE_NAME, framework="pt") as file:
            saved = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{folder}: its {STATE_NAME} cannot be read ({error}). {_FIX}") from error
    for what, expected in {"version": _VERSION, **identity}.items():
        if saved.get(what) != expected:
            told = f"{folder}: written with {what} {saved.get(what)!r}, this run has {expected!r}"
            raise ValueError(f"{told}{_MEANING.get(what, '')}. {_FIX}")
    if not _EPOCH.fullmatch(saved.get("epoch", "")):
        raise ValueError(f"{folder}: written in epoch {saved.get('epoch')!r}: expected a whole number. {_FIX}")
    return int(saved["epoch"])


def load_state(folder: str | Path, callbacks: Sequence[NoiseCallback], identity: Mapping[str, str]) -> int:
    """Restore the state of each callback. Returns the last epoch that had begun.

    Raises:
        ValueError: as `check_identity` and `load_some`. No callback has been changed then.
    """
    epoch = check_identity(folder, identity)
    load_some(folder, dict(enumerate(callbacks)))
    return epoch


def load_some(folder: str | Path, callbacks: Mapping[int, NoiseCallback]) -> None:
    """Restore the state of some callbacks, each given by its position in fold order.

    Raises:
        ValueError: a tensor is missing, its shape or type differs from this run's, a counter is below 0, or a callback
            refuses its state. All callbacks then keep their former state.
    """
    with safe_open(Path(folder) / STATE_NAME, framework="pt") as file:
        keys: dict[int, dict[str, str]] = {}  # name in the callback's state -> name in the file
        for position, callback in callbacks.items():
            prefix = _key(position, callback, "")
            keys[position] = {key.removeprefix(prefix): key for key in file.keys() if key.startswith(prefix)}  # noqa: SIM118
            _check_state(f"{folder}: the state of {type(callback).__name__}", callback, keys[position], file)
        before = [(callback, _copy(callback.state_dict())) for callback in callbacks.values()]
        for position, callback in callbacks.items():
            try:
                callback.load_state_dict({name: file.get_tensor(key) for name, key in keys[position].items()})
            except Exception as error:
                for touched, state in before:
                    touched.load_state_dict(state)
                raise ValueError(
                    f"{folder}: {type(callback).__name__} cannot take its state ({error!r}). {_FIX}"
                ) from error


def _check_state(what: str, callback: NoiseCallback, keys: Mapping[str, str], file: Any) -> None:
    """Refuse a missing tensor, or one of another shape or kind than this run's. Histories may differ in length."""
    for name, own in callback.state_dict().items():
        if name not in keys:
            raise ValueError(f"{what} lacks {name!r}. {_FIX}")
        stored = file.get_slice(keys[name])
        sizes = tuple(stored.get_shape()), tuple(own.shape)
        skipped = int(name in callback.histories)
        if len(sizes[0]) != len(sizes[1]) or sizes[0][skipped:] != sizes[1][skipped:]:
            raise ValueError(f"{what} has {name!r} of shape {sizes[0]}: expected {sizes[1]}. {_FIX}")
        kinds = _kind(stored.get_dtype()), _kind(str(own.dtype).removeprefix("torch."))
        if kinds[0] != kinds[1]:
            raise ValueError(f"{what} has {name!r} of {kinds[0]}: expected {kinds[1]}. {_FIX}")
        if not own.ndim and kinds[1] == "whole numbers" and int(file.get_tensor(keys[name])) < 0:
            raise ValueError(
                f"{what} has {name}={int(file.get_tensor(keys[name]))}: expected a count, 0 or more. {_FIX}"
            )


def _kind(dtype: str) -> str:
    """The kind of values of a dtype, given by its torch or safetensors name. All precisions of a kind count as equal."""
    return {"b": "truth values", "f": "fractions", "i": "whole numbers", "u": "whole numbers"}[
        "f" if dtype[:2].lower() == "bf" else dtype[0].lower()
    ]


def _copy(state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def _key(position: int, callback: NoiseCallback, name: str) -> str:
    return f"{position}.{type(callback).__name__}.{name}"
