"""Builds the methods that `noise_method` names and checks that they can be combined."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from hf_noisy.common.checks import nearest
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.losses import (
    CrossEntropy,
)
from hf_noisy.methods.registry import METHODS, split_names
from hf_noisy.models.criterion import Criterion

_LONGEST = 200  # characters of parameters that a message can show


def method_arguments(noise_method: str | None, noise_kwargs: Mapping[str, Any] | None) -> dict[str, dict[str, Any]]:
    """Maps each method name to the parameters that are set for it, in the order of the names.

    Args:
        noise_method: a name of `METHODS`, or several joined by "+"; None for none.
        noise_kwargs: parameters by name. With several methods, `{"gce": {"q": 0.5}}` sets those of one of them.

    Raises:
        ValueError: an unknown method or parameter (with the nearest name), or one that several methods take.

    >>> method_arguments("co_teaching+gce", {"q": 0.5})
    {'co_teaching': {}, 'gce': {'q': 0.5}}
    """
    names = split_names(noise_method)
    arguments: dict[str, dict[str, Any]] = {name: {} for name in names}
    for key, value in (noise_kwargs or {}).items():
        takers = [name for name in names if key in METHODS[name].parameters]
        if key in names and isinstance(value, Mapping):
            arguments[key].update(value)
        elif len(takers) == 1:
            arguments[takers[0]][key] = value
        elif takers:
            raise ValueError(
                f"noise_kwargs: {key!r} is a parameter of {' and '.join(takers)}. "
                f'Say whose it is: {{"{takers[0]}": {{"{key}": {value!r}}}}}.'
            )
        else:
            _unknown_parameter(key, names)
    for name, given in arguments.items():
        for key in given.keys() - METHODS[name].parameters.keys():
            _unknown_parameter(key, [name])
    return arguments


def build_methods(noise_method: str | None, noise_kwargs: Mapping[str, Any] | None) -> list[Criterion | NoiseCallback]:
    """Builds the criteria and callbacks that `noise_method` names, with their parameters.

    Args:
        noise_method, noise_kwargs: as for `method_arguments`.

    Raises:
        ValueError: as for `method_arguments`, or a parameter outside its domain.

    >>> build_methods("gce", {"q": 0.5})
    [GeneralizedCrossEntropy(q=0.5)]
    """
    return [METHODS[name].build(**given) for name, given in method_arguments(noise_method, noise_kwargs).items()]


def changed_parameters(noise_method: str | None, noise_kwargs: Mapping[str, Any] | None) -> str:
    """Returns the parameters that differ from their defaults as JSON, or a hash of it beyond 200 characters.

    >>> changed_parameters("elr+gce", {"q": 0.7, "lam": 2})
    '{"elr": {"lam": 2.0}}'
    """
    changed: dict[str, dict[str, Any]] = {}
    for name, given in method_arguments(noise_method, noise_kwargs).items():
        for key, value in given.items():
            set_to = _comparable(value)
            if set_to != _comparable(METHODS[name].parameters[key]):
                changed.setdefault(name, {})[key] = set_to
    text = json.dumps(changed, sort_keys=True, default=repr)
    return text if len(text) <= _LONGEST else hashlib.sha256(text.encode()).hexdigest()[:16]


def _comparable(value: Any) -> Any:
    """Converts a value so that equal settings compare equal: 2 and 2.0, arrays, tuples and lists."""
    if hasattr(value, "tolist"):
        return _comparable(value.tolist())
    if isinstance(value, Mapping):
        return {str(key): _comparable(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_comparable(inner) for inner in value]
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def choose_criterion(explicit: Criterion | None, built: Sequence[Criterion | NoiseCallback]) -> Criterion:
    """Returns the criterion of a training: passed, named or declared by a callback; cross-entropy if there is none.

    Raises:
        ValueError: there is more than one.
    """
    found = [explicit] if explicit is not None else []
    for part in built:
        criterion = part.criterion if isinstance(part, NoiseCallback) else part
        found += [criterion] if criterion is not None else []
    if len(found) > 1:
        raise ValueError(
            f"{len(found)} criteria: {', '.join(map(repr, found))}. Expected one: pass criterion=..., or name one in "
            "noise_method, or use one callback that brings its own."
        )
    return found[0] if found else CrossEntropy()


def check_methods(noise_method: str | None, noise_kwargs: Mapping[str, Any] | None) -> None:
    """Raises if the name and parameters cannot be used for training, before anything is set up.

    Raises:
        ValueError, TypeError: as `build_methods`, `choose_criterion` and `check_roles`.
    """
    built = build_methods(noise_method, noise_kwargs)
    choose_criterion(None, built)
    check_roles([part for part in built if isinstance(part, NoiseCallback)])


def check_roles(callbacks: Sequence[NoiseCallback]) -> None:
    """Raises if two callbacks conflict, so that each would undo the decisions of the other.

    Raises:
        ValueError: two callbacks of one role, or a noise channel with a method whose targets skip the channel.
    """
    taken: dict[str, NoiseCallback] = {}
    for callback in callbacks:
        for role in callback.roles:
            if role in taken:
                pair = f"{type(taken[role]).__name__} and {type(callback).__name__}"
                article = "an" if role[0] in "aeiou" else "a"
                raise ValueError(f"{pair}: both are {article} {role}. Expected one: leave one of them out.")
            taken[role] = callback
    channel = next((callback for callback in callbacks if callback.has_channel), None)
    believer = next((callback for callback in callbacks if callback.skips_channel), None)
    if channel is not None and believer is not None:
        raise ValueError(
            f"{type(believer).__name__} and {type(channel).__name__}: the targets of the first speak of the true class, so no "
            "label would pass the noise channel of the second. Leave one of them out."
        )


def _unknown_parameter(key: str, names: Sequence[str]) -> None:
    known = sorted({parameter for name in names for parameter in METHODS[name].parameters})
    if not names:
        raise ValueError(f"noise_kwargs: {key!r} is given, but no noise_method that could take it. Name the method.")
    method = "+".join(names)
    listed = nearest(key, known) if known else "It takes none."
    raise ValueError(f"noise_kwargs: {key!r} is no parameter of {method}. {listed}")
