"""Which parameters of truth inference belong to several models, and which to one."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MODELS = ("several", "one")
OF_ONE: Mapping[str, object] = MappingProxyType(
    {"share": 1.0, "neighbours": 20, "rounds": 6, "weight_penalty": 0.1, "sharpen": True, "refine": False}
)  # parameters of one model, with the value that they have with several


def check_used(models: str, values: Mapping[str, object]) -> None:
    """Raises ValueError for a parameter that has no effect with these `models`.

    Args:
        models: one of `MODELS`.
        values: those of `OF_ONE`, `sources` and `class_prior`.

    >>> check_used("several", {**OF_ONE, "rounds": 3, "sources": "votes", "class_prior": None})
    Traceback (most recent call last):
    ValueError: rounds=3 has no effect with models='several': expected models='one'.
    """
    if models == "one":
        if values["class_prior"] is not None:
            shown = values["class_prior"]
            raise ValueError(f"class_prior={shown!r} has no effect with models='one': expected models='several'.")
        return
    if values["sources"] is None:
        raise ValueError("sources=None needs models='one': several models always read the labels or the votes.")
    for name, default in OF_ONE.items():
        if values[name] != default:
            raise ValueError(f"{name}={values[name]!r} has no effect with models='several': expected models='one'.")
