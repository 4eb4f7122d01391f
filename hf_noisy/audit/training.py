"""The audit of a training: its labels by a frozen encoder, with what the training showed of each example."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.audit.content import AuditContent, Curve
from hf_noisy.audit.labels import audit_labels
from hf_noisy.evidence.features.frozen import text_vectors
from hf_noisy.weak.majority import hard_labels

if TYPE_CHECKING:
    from hf_noisy.trainer.noisy_trainer import NoisyTrainer

_LOSS_AXIS, _SHARE_AXIS = "mean loss, in nats", "share"
_LOSSES = {"loss": "training", "eval_loss": "evaluation"}
_SHARES = {
    "estimated_noise_rate": "labels taken for wrong",
    "relabeled_share": "rows taught another class",
    "kept_share": "labels kept",
}


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
        "dynamics": {name: np.array(seen[name][:rows]) for name in ("seen", "disagreements", "loss", "margin")},
        "curves": learning_curves(trainer.state.log_history),
        "title": "training set",
        "command": "trainer.audit()",
        "seed": trainer.args.seed,
    }
    names = [config.id2label[k] for k in range(config.num_labels)]
    return audit_labels(texts, np.maximum(labels, -1), names, vectors, **{**given, **options})


def learning_curves(logs: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """What was logged in the course of a training, epoch by epoch: the mean of each name's values within the epoch.

    Losses of training and evaluation share a chart; so do shares: what else the evaluation gave between 0 and 1, and what
    the methods count in `_SHARES`.

    Args:
        logs: `trainer.state.log_history`.
    """
    epochs = math.ceil(max((log["epoch"] for log in logs if "epoch" in log), default=0))
    names = dict.fromkeys(name for log in logs for name in log)
    curves = [_curve(logs, epochs, name, said, _LOSS_AXIS) for name, said in _LOSSES.items() if name in names]
    measured = {name: name.removeprefix("eval_") for name in names if name.startswith("eval_") and name not in _LOSSES}
    for name, said in {**measured, **{name: said for name, said in _SHARES.items() if name in names}}.items():
        curve = _curve(logs, epochs, name, said, _SHARE_AXIS)
        if all(not value > 1 and not value < 0 for value in curve.values):
            curves.append(curve)
    return [curve for curve in curves if any(math.isfinite(value) for value in curve.values)]


def _curve(logs: Sequence[Mapping[str, Any]], epochs: int, name: str, said: str, axis: str) -> Curve:
    def mean(epoch: int) -> float:
        found = [log[name] for log in logs if name in log and epoch < log.get("epoch", 0) <= epoch + 1]
        return float(np.mean(found)) if found and all(isinstance(value, int | float) for value in found) else math.nan

    return Curve(said, [mean(epoch) for epoch in range(epochs)], axis)


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
            "vectors=..., (rows, width), as hf_noisy.evidence.text_vectors makes them."
        )
    return text_vectors(texts, name)
