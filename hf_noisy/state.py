"""What methods remember, written beside the checkpoint: safetensors and text, nothing that runs code when read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from hf_noisy.callbacks.base import NoiseCallback

STATE_NAME = "noise_state.safetensors"
_FIX = "Resume with the settings that wrote the checkpoint, or start afresh."
_VERSION = "1"  # of what lies in the file; another is refused


def fingerprint(labels: np.ndarray) -> str:
    """A short name for a training set as far as memory is concerned: its labels in row order."""
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()[:16]


def save_state(
    folder: str | Path,
    callbacks: Sequence[NoiseCallback],
    identity: Mapping[str, str],
    epoch: int,
    processes: int = 1,
) -> None:
    """Write the state of all callbacks in one step: a reader sees the whole file or none.

    Args:
        folder: the checkpoint.
        callbacks: in fold order.
        identity: what a run must have in common with this one to resume from it.
        epoch: the last epoch that has begun.
        processes: each of which writes its random state beside it.
    """
    tensors = {
        _key(position, callback, name): tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for position, callback in enumerate(callbacks)
        for name, tensor in callback.state_dict().items()
    }
    facts = {"version": _VERSION, "epoch": str(epoch), "processes": str(processes)}
    unfinished = Path(folder) / f"{STATE_NAME}.unfinished"
    save_file(tensors, unfinished, metadata={**facts, **identity})
    os.replace(unfinished, Path(folder) / STATE_NAME)


def load_state(folder: str | Path, callbacks: Sequence[NoiseCallback], identity: Mapping[str, str]) -> int:
    """Give each callback its state back; returns the last epoch that had begun.

    Raises:
        ValueError: the file cannot be read, or comes from another method, class count, training set or version. No
            callback has been touched then.
    """
    try:
        with safe_open(Path(folder) / STATE_NAME, framework="pt") as file:
            saved = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f"{folder}: its {STATE_NAME} cannot be read ({error}). {_FIX}") from error
    for what, expected in {"version": _VERSION, **identity}.items():
        if saved.get(what) != expected:
            raise ValueError(f"{folder}: written with {what} {saved.get(what)!r}, this run has {expected!r}. {_FIX}")
    if not saved.get("epoch", "").lstrip("-").isdecimal():
        raise ValueError(f"{folder}: written in epoch {saved.get('epoch')!r}: expected a whole number. {_FIX}")
    load_some(folder, dict(enumerate(callbacks)))
    return int(saved["epoch"])


def load_some(folder: str | Path, callbacks: Mapping[int, NoiseCallback]) -> None:
    """Give some callbacks their state back, each by its place in the fold.

    Raises:
        ValueError: a tensor is missing, or a table is not of this run's size; no callback has been touched then.
    """
    found: list[tuple[NoiseCallback, dict[str, torch.Tensor]]] = []
    with safe_open(Path(folder) / STATE_NAME, framework="pt") as file:
        stored = set(file.keys())
        for position, callback in callbacks.items():
            prefix = _key(position, callback, "")
            state = {name.removeprefix(prefix): file.get_tensor(name) for name in stored if name.startswith(prefix)}
            _check_state(folder, callback, state)
            found.append((callback, state))
    for callback, state in found:
        callback.load_state_dict(state)


def _check_state(folder: str | Path, callback: NoiseCallback, state: Mapping[str, torch.Tensor]) -> None:
    """Refuse what lacks a tensor that this run has, or holds one of another shape; histories differ in length."""
    for name, own in callback.state_dict().items():
        what = f"{folder}: the state of {type(callback).__name__}"
        if name not in state:
            raise ValueError(f"{what} lacks {name!r}. {_FIX}")
        sizes = tuple(state[name].shape), tuple(own.shape)
        skipped = int(name in callback.histories)
        if len(sizes[0]) != len(sizes[1]) or sizes[0][skipped:] != sizes[1][skipped:]:
            raise ValueError(f"{what} has {name!r} of shape {sizes[0]}: expected {sizes[1]}. {_FIX}")


def _key(position: int, callback: NoiseCallback, name: str) -> str:
    return f"{position}.{type(callback).__name__}.{name}"
