"""The command `env`: versions, platform and device, one per line, to be pasted into a bug report."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from hf_noisy import __version__
from hf_noisy.commands.methods import parameters
from hf_noisy.methods.registry import METHODS, split_names

REQUIRED = ("torch", "transformers", "datasets", "accelerate", "snorkel", "numpy", "scikit-learn")
OPTIONAL = ("cleanlab", "peft", "bitsandbytes", "matplotlib", "optuna", "textblob")


def environment(method: str | None = None) -> str:
    """Return the lines of the report, each `name: value`.

    Args:
        method: the method that the report is about, as in `noise_method`; None if it is about none.

    Raises:
        ValueError: unknown method; the error suggests the nearest name.
    """
    lines = {
        "hf_noisy": __version__,
        "python": platform.python_version(),
        **{name: _version(name) for name in (*REQUIRED, *OPTIONAL)},
        "platform": platform.platform(),
        "device": device(),
        "processors": str(os.cpu_count()),
        "method": "not named (hf-noisy env NAME)" if method is None else _described(method),
    }
    return "\n".join(f"{name}: {value}" for name, value in lines.items())


def device() -> str:
    """Return the kind of device that a training uses unless told otherwise, with its name and number."""
    if torch.cuda.is_available():
        names = [torch.cuda.get_device_name(number) for number in range(torch.cuda.device_count())]
        kind = f"CUDA {torch.version.cuda}" if torch.version.hip is None else f"ROCm {torch.version.hip}"
        return f"{kind}, {', '.join(f'{names.count(name)} x {name}' for name in dict.fromkeys(names))}"
    machine = platform.processor() or platform.machine()
    found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    return (
        f"CPU, {machine}" if found is None else f"{found.type.upper()}, {torch.accelerator.device_count()} x {machine}"
    )


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _described(method: str) -> str:
    """Return the names of a method, each with the defaults of its parameters."""
    return " + ".join(f"{name} {parameters(METHODS[name])}".strip() for name in split_names(method))
