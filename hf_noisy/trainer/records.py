"""Collects facts about a trainer in plain records, for the audit of a training and for the model card."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.data.pairs import TEXT_PAIR
from hf_noisy.models.adapters import is_adapted
from hf_noisy.models.configuration import config_of
from hf_noisy.models.networks import deployed_network
from hf_noisy.trainer.model_card import TrainingDescription
from hf_noisy.trainer.parts import Parts

if TYPE_CHECKING:
    from hf_noisy.audit.training import TrainingRecord


def training_record(trainer: Any, parts: Parts) -> TrainingRecord:
    """The record that an audit reads. Clean rows that were trained on are left out.

    Raises:
        RuntimeError: called before `train()`.
        ValueError: the training set has no texts and there is no tokenizer.
    """
    from hf_noisy.audit.training import TrainingRecord, texts_of  # late: only an audit needs it

    seen, known, dataset, config = parts.example_report(), parts.rows, trainer.train_dataset, config_of(trainer.model)
    rows = len(seen) if known.trusted is None else int((~known.trusted).sum())
    columns = dataset.column_names if hasattr(dataset, "column_names") else []
    return TrainingRecord(
        texts=texts_of(dataset, trainer.processing_class, rows),
        labels=known.labels[:rows],
        class_names=[config.id2label[k] for k in range(config.num_labels)],
        votes=None if known.votes is None else known.votes[:rows].cpu().numpy(),
        ids=[str(row) for row in dataset["id"][:rows]] if "id" in columns else None,
        dynamics={name: np.array(seen[name][:rows]) for name in ("seen", "disagreements", "loss", "margin")},
        log_history=trainer.state.log_history,
        encoder=getattr(config, "_name_or_path", ""),
        seed=trainer.args.seed,
        tokenizer=trainer.processing_class,
    )


def _has_pairs(dataset: Any) -> bool:
    """Whether a training set has a column `text_pair`, or tokens of a second segment in its first row."""
    names = getattr(dataset, "column_names", None) or []
    if TEXT_PAIR in names:
        return True
    return "token_type_ids" in names and hasattr(dataset, "__len__") and 1 in dataset[0]["token_type_ids"]


def describe(trainer: Any, parts: Parts) -> TrainingDescription:
    """The current facts about a training that the model card reports."""
    known, config = parts.rows, config_of(trainer.model)
    has_rows = trainer.train_dataset is not None
    return TrainingDescription(
        args=trainer.args,
        start=config._name_or_path,
        class_names=[config.id2label[k] for k in range(config.num_labels)],
        adapted=is_adapted(deployed_network(trainer.model)),
        criterion=parts.methods.criterion,
        callbacks=parts.methods.callbacks,
        passed_criterion=parts.methods.passed_criterion,
        passed_callbacks=parts.methods.passed,
        labels=known.labels if has_rows else None,
        sources=None if known.votes is None else known.votes.shape[1],
        trusted=None if known.trusted is None else int(known.trusted.sum()),
        log_history=trainer.state.log_history,
        noise_matrix=trainer.noise_matrix(),
        pairs=_has_pairs(trainer.train_dataset),
    )
