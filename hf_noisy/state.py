"""What methods remember, written beside the checkpoint: safetensors and text, nothing that runs code when read."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from hf_noisy.callbacks.base import NoiseCallback

STATE_NAME = "noise_state.safetensors"


def fingerprint(labels: np.ndarray) -> str:
    """A short name for a training set as far as memory is concerned: its labels in row order."""
    return hashlib.sha256(np.ascontiguousarray(labels).tobytes()).hexdigest()[:16]


def save_state(folder: str | Path, callbacks: Sequence[NoiseCallback], identity: Mapping[str, str], epoch: int) -> None:
    """Write the state of all callbacks in one step: a reader sees the whole file or none.

    Args:
        folder: the checkpoint.
        callbacks: in fold order.
        identity: what a run must have in common with this one to resume from it.
        epoch: the last epoch that has begun.
    """
    tensors = {
        _key(position, callback, name): tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for position, callback in enumerate(callbacks)
        for name, tensor in callback.state_dict().items()
    }
    unfinished = Path(folder) / f"{STATE_NAME}.unfinished"
    save_file(tensors, unfinished, metadata={**identity, "epoch": str(epoch)})
    os.replace(unfinished, Path(folder) / STATE_NAME)


def load_state(folder: str | Path, callbacks: Sequence[NoiseCallback], identity: Mapping[str, str]) -> int:
    """Give each callback its state back; returns the last epoch that had begun.

    Raises:
        ValueError: the checkpoint comes from another method, class count or training set.
    """
    with safe_open(Path(folder) / STATE_NAME, framework="pt") as file:
        saved = file.metadata() or {}
        for what, expected in identity.items():
            if saved.get(what) != expected:
                raise ValueError(
                    f"{folder}: written with {what} {saved.get(what)!r}, this run has {expected!r}. "
                    "Resume with the settings that wrote the checkpoint, or start afresh."
                )
    load_some(folder, dict(enumerate(callbacks)))
    return int(saved["epoch"])


def load_some(folder: str | Path, callbacks: Mapping[int, NoiseCallback]) -> None:
    """Give some callbacks their state back, each by its place in the fold."""
    with safe_open(Path(folder) / STATE_NAME, framework="pt") as file:
        stored = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dictionary)
    for position, callback in callbacks.items():
        prefix = _key(position, callback, "")
        callback.load_state_dict({k.removeprefix(prefix): v for k, v in stored.items() if k.startswith(prefix)})


def _key(position: int, callback: NoiseCallback, name: str) -> str:
    return f"{position}.{type(callback).__name__}.{name}"
