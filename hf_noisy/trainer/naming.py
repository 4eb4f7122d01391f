"""How error messages name the methods of a trainer: as the user wrote them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from transformers import TrainingArguments

from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.registry import names_of, split_names
from hf_noisy.models.criterion import Criterion


def asked_for(args: TrainingArguments, callbacks: Iterable[Any] = (), criterion: Any = None) -> str:
    """What the user passed that is a method: its name, or else its class. An empty text if there is none.

    Args:
        args: the training arguments.
        callbacks: those that were passed. Callbacks that are no methods are left out.
        criterion: the one that was passed; None if there is none.

    >>> from transformers import TrainingArguments
    >>> asked_for(TrainingArguments("output"), [], None)
    ''
    """
    named = _noise_method(args)
    if named:
        return f"noise_method={named!r}"
    passed = [type(callback).__name__ for callback in callbacks if isinstance(callback, NoiseCallback)]
    if passed:
        return " and ".join(passed)
    return f"criterion {type(criterion).__name__}" if isinstance(criterion, Criterion) else ""


def with_any(methods: str) -> str:
    """The end of the name of something that no training can have: " with noise_method='gce' (or any other)".

    Args:
        methods: from `asked_for`.

    >>> with_any("noise_method='gce'"), with_any("")
    (" with noise_method='gce' (or any other)", '')
    """
    return f" with {methods} (or any other)" if methods else ""


def name_of(callback: NoiseCallback, args: TrainingArguments | None = None) -> str:
    """The class of a method, and the `noise_method` that asked for it, if one did.

    >>> from hf_noisy import CoTeaching, NoisyTrainingArguments
    >>> name_of(CoTeaching(), NoisyTrainingArguments("output", noise_method="co_teaching"))
    "CoTeaching (noise_method='co_teaching')"
    """
    named, kind = _noise_method(args), type(callback).__name__
    asked = bool(named) and any(name in names_of(callback) for name in split_names(named))
    return f"{kind} (noise_method={named!r})" if asked else kind


def _noise_method(args: TrainingArguments | None) -> str | None:
    return getattr(args, "noise_method", None)  # plain `TrainingArguments` have none
