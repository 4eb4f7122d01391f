"""The README.md beside saved weights: how they were trained, on what labels, and how to do it again."""

from __future__ import annotations

import json
import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from huggingface_hub import ModelCard, ModelCardData
from transformers.utils import logging

from hf_noisy.adapters import is_adapted
from hf_noisy.arguments import NoisyTrainingArguments
from hf_noisy.labels import has_label
from hf_noisy.methods import METHODS, split_names

if TYPE_CHECKING:
    from hf_noisy.trainer import NoisyTrainer

logger = logging.get_logger(__name__)
_TAGS = ["hf_noisy", "noisy-labels", "text-classification"]
_GENERATED = ("- hf_noisy", "generated_from_trainer")  # what may be written over
_PACKAGES = ("hf_noisy", "transformers", "torch", "datasets", "accelerate")
_ARGUMENTS = (
    "num_train_epochs",
    "max_steps",
    "learning_rate",
    "per_device_train_batch_size",
    "gradient_accumulation_steps",
    "seed",
)


def write(trainer: NoisyTrainer, folder: str | os.PathLike[str], **fields: Any) -> None:
    """Write the card of `trainer`'s model into `folder`/README.md.

    Args:
        trainer: as it stands; before any evaluation the card says that nothing was measured.
        folder: where the weights are.
        fields: what `Trainer.create_model_card` and `push_to_hub` take: `model_name`, `language`, `license`, `tags`,
            `finetuned_from`, `dataset`, `dataset_tags`; others are ignored.
    """
    data = ModelCardData(
        language=fields.get("language"),
        license=fields.get("license"),
        library_name="peft" if is_adapted(trainer.deployed_model) else "transformers",
        pipeline_tag="text-classification",
        tags=[*_TAGS, *_names(trainer), *_as_list(fields.get("tags"))],
        datasets=_as_list(fields.get("dataset_tags") or fields.get("dataset")) or None,
        base_model=fields.get("finetuned_from") or _base_model(trainer),
        model_name=fields.get("model_name"),
    )
    name = fields.get("model_name") or Path(trainer.args.output_dir or "model").name
    sections = [
        f"# {name}",
        "A text classifier trained with `hf_noisy` on labels of which some are wrong.",
        f"## Method\n\n{_method(trainer)}",
        f"## Labels\n\n{_labels(trainer)}",
        f"## Metrics\n\n{_metrics(trainer)}",
        f"## How to reproduce\n\n{_reproduce(trainer)}",
    ]
    path = Path(folder) / "README.md"
    if path.exists() and not any(mark in path.read_text(encoding="utf-8") for mark in _GENERATED):
        logger.warning(f"{path} was not written by a trainer and is left as it is; the model card is not saved.")
        return
    card = ModelCard(f"---\n{data.to_yaml()}\n---\n\n" + "\n\n".join(sections) + "\n")
    card.save(path)


def _names(trainer: NoisyTrainer) -> list[str]:
    args = trainer.args
    return split_names(args.noise_method) if isinstance(args, NoisyTrainingArguments) else []


def _as_list(value: str | list[str] | None) -> list[str]:
    return [value] if isinstance(value, str) else list(value or [])


def _base_model(trainer: NoisyTrainer) -> str | None:
    """The Hub's name of what was fine-tuned; a folder of this machine means nothing elsewhere."""
    name: str = trainer.model.config._name_or_path
    return name if name and not os.path.exists(name) and name.count("/") <= 1 else None


def _method(trainer: NoisyTrainer) -> str:
    lines = [f"- criterion: `{trainer.criterion!r}`"]
    lines += [f"- callback: `{type(callback).__name__}`" for callback in trainer.noise_callbacks]
    if isinstance(trainer.args, NoisyTrainingArguments) and trainer.args.noise_method:
        lines += [
            f"- `noise_method={trainer.args.noise_method}`",
            f"- `noise_kwargs={json.dumps(trainer.args.method_parameters)}`",
        ]
    lines += [f"- paper of `{name}`: {METHODS[name].paper}" for name in _names(trainer)]
    return "\n".join(lines)


def _labels(trainer: NoisyTrainer) -> str:
    if trainer.train_dataset is None:
        return "No training set was given."
    labels = trainer.labels
    soft = labels.ndim == 2
    covered = has_label(labels)
    counts = labels.sum(0) if soft else np.bincount(labels[covered], minlength=trainer.model.config.num_labels)
    classes = [f"| {trainer.model.config.id2label[k]} | {count:.0f} |" for k, count in enumerate(counts)]
    return "\n".join(
        [
            f"{len(labels):,} rows, {covered.mean():.1%} of them with a label ({'soft' if soft else 'hard'}).",
            "",
            "| class | labels |",
            "|---|---|",
            *classes,
        ]
    )


def _metrics(trainer: NoisyTrainer) -> str:
    evaluations = [entry for entry in trainer.state.log_history if any(key.startswith("eval_") for key in entry)]
    if not evaluations:
        return "Nothing was measured while training."
    last = evaluations[-1]
    rows = [f"| {key} | {value:.4g} |" for key, value in last.items() if isinstance(value, int | float)]
    return "\n".join(
        ["The last evaluation, on the evaluation set as its labels came:", "", "| | |", "|---|---|", *rows]
    )


def _reproduce(trainer: NoisyTrainer) -> str:
    arguments = {name: getattr(trainer.args, name) for name in _ARGUMENTS}
    packages = ", ".join(f"{name} {version(name)}" for name in _PACKAGES)
    return f"Arguments:\n\n```json\n{json.dumps(arguments, indent=2)}\n```\n\nPackages: {packages}."
