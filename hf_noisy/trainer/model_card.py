"""Writes the model card (README.md) of saved weights: method, labels, estimated noise, metrics and code to reproduce."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from huggingface_hub import ModelCard, ModelCardData
from transformers import TrainingArguments
from transformers.utils import logging

from hf_noisy.data.label_encoding import has_label
from hf_noisy.methods.building import method_arguments
from hf_noisy.methods.logged_names import meanings
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.registry import METHODS, names_of, split_names
from hf_noisy.models.criterion import Criterion
from hf_noisy.trainer.arguments import NoisyTrainingArguments
from hf_noisy.trainer.state import fingerprint

logger = logging.get_logger(__name__)

_TAGS = ["hf_noisy", "noisy-labels", "text-classification"]
_GENERATED = ("- hf_noisy", "generated_from_trainer")  # marks of a card that may be overwritten
_PACKAGES = ("hf_noisy", "transformers", "torch", "datasets", "accelerate")
_ARGUMENTS = (  # always written
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "seed",
)
_CHANGED_ARGUMENTS = (  # written if they differ from the default
    "lr_scheduler_type",
    "warmup_steps",
    "weight_decay",
    "optim",
    "max_grad_norm",
    "train_sampling_strategy",
    "bf16",
    "fp16",
    "nonfinite_loss",
)
_MATRIX_CLASSES = 10  # a matrix is written for at most this many classes


@dataclasses.dataclass(frozen=True)
class TrainingDescription:
    """The facts about a training that a model card reports."""

    args: TrainingArguments
    start: str  # name or folder of the checkpoint that the model was loaded from; empty if there is none
    class_names: Sequence[str]  # (classes,)
    adapted: bool  # whether the model is a PEFT model
    criterion: Criterion
    callbacks: Sequence[NoiseCallback]  # the methods, in fold order
    passed_criterion: Criterion | None  # as an object, not named in the arguments
    passed_callbacks: Sequence[NoiseCallback]  # likewise
    labels: np.ndarray | None  # (rows,) or (rows, classes); None without a training set
    sources: int | None  # number of sources; None without votes
    trusted: int | None  # rows with trusted labels that were trained on
    log_history: Sequence[Mapping[str, Any]]
    noise_matrix: np.ndarray | None  # (classes, classes) P(given label | true class)
    pairs: bool = False  # whether a row has two texts


def write(training: TrainingDescription, folder: str | os.PathLike[str], **fields: Any) -> None:
    """Write the card of a model into `folder`/README.md.

    Args:
        training: the facts to report. Without an evaluation, the card says that nothing was measured.
        folder: the folder with the weights.
        fields: arguments of `Trainer.create_model_card` and `push_to_hub`: `model_name`, `language`, `license`, `tags`,
            `finetuned_from`, `dataset`, `dataset_tags`; others are ignored.
    """
    data = ModelCardData(
        language=fields.get("language"),
        license=fields.get("license"),
        library_name="peft" if training.adapted else "transformers",
        pipeline_tag="text-classification",
        tags=[*_TAGS, *_methods(training), *_as_list(fields.get("tags"))],
        datasets=_as_list(fields.get("dataset_tags") or fields.get("dataset")) or None,
        base_model=fields.get("finetuned_from") or _base_model(training),
        model_name=fields.get("model_name"),
    )
    name = fields.get("model_name") or Path(training.args.output_dir or "model").name
    sections = [
        f"# {name}",
        "A text classifier trained with `hf_noisy` on labels of which some are wrong.",
        *([f"## How to use\n\n{_use_with_pairs(name)}"] if training.pairs else []),
        f"## Method\n\n{_method(training)}",
        f"## Labels\n\n{_labels(training)}",
        f"## Estimated noise\n\n{_noise(training)}",
        f"## Metrics\n\n{_metrics(training)}",
        f"## How to reproduce\n\n{_reproduce(training)}",
        f"## Citation\n\n{_citation(training)}",
    ]
    path = Path(folder) / "README.md"
    if path.exists() and not any(mark in path.read_text(encoding="utf-8") for mark in _GENERATED):
        logger.warning(f"{path} was not written by a trainer and is left as it is; the model card is not saved.")
        return
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n")
    card.save(path)


def _use_with_pairs(name: str) -> str:
    return "\n".join(
        [
            "It reads two texts at once, in the order of the training:",
            "",
            "```python",
            "from transformers import pipeline",
            "",
            f'pipe = pipeline("text-classification", model={name!r})  # or the folder of the model',
            'pipe({"text": "the first text", "text_pair": "the second text"})',
            "```",
        ]
    )


def _names(training: TrainingDescription) -> list[str]:
    args = training.args
    return split_names(args.noise_method) if isinstance(args, NoisyTrainingArguments) else []


def _as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _base_model(training: TrainingDescription) -> str | None:
    """The Hub name of the model that was fine-tuned; None for a local folder, which is useless on other machines."""
    name: str = training.start
    return name if name and not os.path.exists(name) and name.count("/") <= 1 else None


def _parts(training: TrainingDescription) -> Iterator[Criterion | NoiseCallback]:
    if all(callback.criterion is not training.criterion for callback in training.callbacks):
        yield training.criterion
    yield from training.callbacks


def _methods(training: TrainingDescription) -> list[str]:
    """The names in `METHODS` of the methods used, whether named in the arguments or passed as objects."""
    found = [name for part in _parts(training) for name in names_of(part) if name != "ce"]
    return list(dict.fromkeys([*_names(training), *found]))


def _method(training: TrainingDescription) -> str:
    lines = [f"- criterion: `{training.criterion!r}`"]
    lines += [f"- callback: `{type(callback).__name__}`" for callback in training.callbacks]
    args = training.args
    if isinstance(args, NoisyTrainingArguments) and args.noise_method:
        for name, given in method_arguments(args.noise_method, args.method_parameters).items():
            own = METHODS[name].parameters | given
            lines.append(
                f"- `{name}`: {', '.join(f'`{key}={value!r}`' for key, value in own.items()) or 'no parameters'}"
            )
    lines += [f"- {choice}" for callback in training.callbacks for choice in callback.choices()]
    return "\n".join(lines)


def _noise(training: TrainingDescription) -> str:
    """The last logged estimates of the methods about the labels."""
    logs: dict[str, Any] = next((entry for entry in reversed(training.log_history) if "loss" in entry), {})
    said = {
        name: f"| `{name}` | {value:.4g} | {_of_class(meaning, name, dict(enumerate(training.class_names)))} |"
        for callback in training.callbacks
        for name, value in logs.items()
        if (meaning := meanings(callback, name)) is not None
    }
    if not said:
        return "The methods of this training log no estimate about the labels. What they chose is listed above."
    lines = ["Values that the methods logged last. Those that were measured against true labels say so.", ""]
    lines += ["| name | value | what it is |", "|---|---|---|", *said.values()]
    matrix = training.noise_matrix
    if matrix is not None and len(matrix) <= _MATRIX_CLASSES:
        names = training.class_names
        lines += ["", "The probability of a given label (columns), by the true class (rows):", ""]
        lines += [f"| | {' | '.join(names)} |", "|---" * (1 + len(names)) + "|"]
        lines += [
            f"| {name} | {' | '.join(f'{share:.3f}' for share in row)} |"
            for name, row in zip(names, matrix, strict=True)
        ]
    return "\n".join(lines)


def _of_class(meaning: str, name: str, class_names: Mapping[int, str]) -> str:
    """Replaces K in `meaning` by the class name, if `name` ends in a class id, such as `weight_class_1`."""
    number = re.search(r"_(\d+)$", name)
    if number is None or int(number[1]) not in class_names:
        return meaning
    return re.sub(r"\bK\b", lambda _: class_names[int(number[1])], meaning)


def _citation(training: TrainingDescription) -> str:
    papers = dict.fromkeys(METHODS[name].paper for name in _methods(training) if name != "ce")
    return "\n".join(f"- {paper}" for paper in papers) or "No method of a paper was trained with."


def _labels(training: TrainingDescription) -> str:
    labels = training.labels
    if labels is None:
        return "No training set was given."
    soft = labels.ndim == 2
    covered = has_label(labels)
    counts = labels.sum(0) if soft else np.bincount(labels[covered], minlength=len(training.class_names))
    classes = [f"| {name} | {count:.0f} |" for name, count in zip(training.class_names, counts, strict=True)]
    lines = [
        f"{len(labels):,} rows, {covered.mean():.1%} of them with a label ({'soft' if soft else 'hard'}); fingerprint of the "
        f"labels `{fingerprint(labels)}`."
    ]
    if training.sources is not None:
        lines.append(f"Votes of {training.sources} source{'s' * (training.sources != 1)} for each row.")
    if training.trusted is not None:
        lines.append(f"{training.trusted:,} of the rows have trusted labels.")
    return "\n".join([" ".join(lines), "", "| class | labels |", "|---|---|", *classes])


def _metrics(training: TrainingDescription) -> str:
    evaluations = [entry for entry in training.log_history if any(key.startswith("eval_") for key in entry)]
    if not evaluations:
        return "Nothing was measured while training."
    last = evaluations[-1]
    rows = [f"| {key} | {value:.4g} |" for key, value in last.items() if isinstance(value, int | float)]
    return "\n".join(
        ["The last evaluation, on the evaluation set as its labels came:", "", "| | |", "|---|---|", *rows]
    )


def _reproduce(training: TrainingDescription) -> str:
    args = training.args
    arguments = {"output_dir": "output"} | {name: getattr(args, name) for name in _ARGUMENTS}
    defaults = {field.name: _plain(_default(field)) for field in dataclasses.fields(args)}
    for name in (name for name in _CHANGED_ARGUMENTS if name in defaults):
        value = _plain(getattr(args, name))
        arguments |= {name: value} if value != defaults[name] else {}
    if isinstance(args, NoisyTrainingArguments) and args.noise_method is not None:
        arguments |= {"noise_method": args.noise_method, "noise_kwargs": args.method_parameters}
    passed = ", ".join(f"{type(callback).__name__}(...)" for callback in training.passed_callbacks)
    extra = [] if training.passed_criterion is None else [f"criterion={training.passed_criterion!r}"]
    extra += [f"callbacks=[{passed}]"] if passed else []
    code = [
        "from hf_noisy import NoisyTrainer, NoisyTrainingArguments",
        "",
        "args = NoisyTrainingArguments(",
        *(f"    {name}={value!r}," for name, value in arguments.items()),
        ")",
        f"trainer = NoisyTrainer({', '.join(['model', 'args', 'train_dataset=train', *extra])})",
        "trainer.train()",
    ]
    packages = ", ".join(f"{name} {_version(name)}" for name in _PACKAGES)
    start = _base_model(training) or "a model of your own"
    return "\n".join(
        [
            f"From {start}, on {args.world_size} {'process' if args.world_size == 1 else 'processes'}:",
            "",
            "```python",
            *code,
            "```",
            "",
            f"Packages: {packages}.",
        ]
    )


_version = cache(version)  # cached, since it reads and parses a file


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _plain(value: Any) -> Any:
    """The value of an enumeration member; other values unchanged."""
    return value.value if isinstance(value, Enum) else value
