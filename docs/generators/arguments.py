"""The page of the arguments: fields of the training arguments and parameters of the trainer, with types and defaults."""

from __future__ import annotations

import inspect
from dataclasses import MISSING, Field, fields
from typing import Any

from method_pages import described
from transformers import TrainingArguments

from hf_noisy import NoisyTrainer, NoisyTrainingArguments
from hf_noisy.recipe import RecipeTrainingArguments
from hf_noisy.recipe.base import PRETRAINED

_STOCK = "as for `Trainer`"


def training_arguments() -> str:
    """The fields that `NoisyTrainingArguments` adds to those of Transformers."""
    meanings = described(NoisyTrainingArguments)
    own = [field for field in fields(NoisyTrainingArguments) if field.name not in _stock()]
    return _table((field.name, _type(field), repr(default_of(field)), meanings[field.name]) for field in own)


def trainer_parameters() -> str:
    """The parameters that `NoisyTrainer` adds to those of `Trainer`, or reads in another way."""
    parameters = inspect.signature(NoisyTrainer.__init__).parameters
    meanings = described(NoisyTrainer)
    own = [name for name, text in meanings.items() if text.strip(" .") != _STOCK and name in parameters]
    return _table(
        (name, str(parameters[name].annotation), repr(parameters[name].default), meanings[name])
        for name in own
        if parameters[name].kind is not inspect.Parameter.VAR_KEYWORD
    )


def defaults_of_commands() -> str:
    """The fields whose default differs between `hf-noisy train`, without or with `--model`, and `NoisyTrainingArguments`."""
    stock = {field.name: default_of(field) for field in fields(NoisyTrainingArguments)}
    rows = [
        f"| `{field.name}` | `{stock[field.name]!r}` | `{default_of(field)!r}` | `{PRETRAINED.get(field.name, default_of(field))!r}` |"
        for field in fields(RecipeTrainingArguments)
        if default_of(field) != stock[field.name]
    ]
    titles = "| field | `NoisyTrainingArguments` | `hf-noisy train` | `hf-noisy train --model` |"
    return "\n".join([titles, "|---|---|---|---|", *rows])


def default_of(field: Field[Any]) -> Any:
    """The default of a field; what its factory makes, if it has one."""
    return field.default if field.default_factory is MISSING else field.default_factory()


def _stock() -> set[str]:
    return {field.name for field in fields(TrainingArguments)}


def _type(field: Field[Any]) -> str:
    return field.type if isinstance(field.type, str) else inspect.formatannotation(field.type)


def _table(rows: Any) -> str:
    lines = [f"| `{name}` | `{kind}` | `{default}` | {_sentence(text)} |" for name, kind, default, text in rows]
    return "\n".join(["| name | type | default | meaning |", "|---|---|---|---|", *lines])


def _sentence(text: str) -> str:
    return text[0].upper() + text[1:]
