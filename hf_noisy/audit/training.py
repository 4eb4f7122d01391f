"""The audit of a training: its labels by a frozen encoder, with what the training showed of each example."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.audit.content import AuditContent
from hf_noisy.audit.labels import audit_labels
from hf_noisy.estimation.frozen import text_vectors
from hf_noisy.weak import hard_labels

if TYPE_CHECKING:
    from hf_noisy.trainer import NoisyTrainer


def audit_training(trainer: NoisyTrainer, vectors: ArrayLike | None = None, **options: Any) -> AuditContent:
    """What `NoisyTrainer.audit` gives; see there."""
    seen = trainer.example_report()
    rows = len(seen) if trainer.trusted is None else int((~trainer.trusted).sum())
    dataset: Any = trainer.train_dataset
    config: Any = trainer.model.config
    texts = _texts(trainer, rows)
    labels = trainer.labels[:rows]
    if labels.ndim == 2:
        labels = hard_labels(labels, seed=trainer.args.seed)
    if vectors is None:
        vectors = _frozen(config, texts)
    columns = dataset.column_names if hasattr(dataset, "column_names") else []
    given: dict[str, Any] = {
        "votes": None if trainer.votes is None else trainer.votes[:rows].cpu().numpy(),
        "ids": [str(row) for row in dataset["id"][:rows]] if "id" in columns else None,
        "dynamics": {name: np.array(seen[name][:rows]) for name in ("seen", "disagreements", "loss")},
        "title": "training set",
        "command": "trainer.audit()",
        "seed": trainer.args.seed,
    }
    names = [config.id2label[k] for k in range(config.num_labels)]
    return audit_labels(texts, np.maximum(labels, -1), names, vectors, **{**given, **options})


def _texts(trainer: NoisyTrainer, rows: int) -> list[str]:
    """As the training set has them in a column `text`, or read back from its tokens."""
    dataset: Any = trainer.train_dataset
    tokenizer: Any = trainer.processing_class
    if "text" in getattr(dataset, "column_names", []):
        return [str(text) for text in dataset["text"][:rows]]
    if tokenizer is None:
        raise ValueError(
            "audit() has no texts to show: expected a column `text` in the training set, or a tokenizer that reads its tokens "
            "back. Pass processing_class=tokenizer to the trainer."
        )
    return [tokenizer.decode(dataset[row]["input_ids"], skip_special_tokens=True) for row in range(rows)]


def _frozen(config: Any, texts: list[str]) -> np.ndarray:
    name = getattr(config, "_name_or_path", "")
    if not name:
        raise ValueError(
            "audit() knows no encoder that never saw the labels: the model was not loaded with from_pretrained. Pass "
            "vectors=..., (rows, width), as hf_noisy.estimation.text_vectors makes them."
        )
    return text_vectors(texts, name)
