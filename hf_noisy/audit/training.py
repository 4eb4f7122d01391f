"""Audits the labels of a training with a frozen encoder and the training dynamics of each example."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.audit.content import AuditContent, Curve
from hf_noisy.audit.labels import audit_labels
from hf_noisy.data.pairs import TEXT, TEXT_PAIR, Text, pair_up
from hf_noisy.evidence.features.frozen import text_vectors
from hf_noisy.evidence.features.tokens import second_segment
from hf_noisy.weak.majority import hard_labels

_LOSS_AXIS, _SHARE_AXIS = "mean loss, in nats", "share"
_LOSSES = {"loss": "training", "eval_loss": "evaluation"}
_SHARES = {
    "estimated_noise_rate": "labels taken for wrong",
    "relabeled_share": "rows taught another class",
    "kept_share": "labels kept",
}


@dataclass(frozen=True)
class TrainingRecord:
    """The data of a training that an audit reads, with one entry per row of the training set."""

    texts: Sequence[Text]  # (rows,), pairs if rows have two texts
    labels: np.ndarray  # (rows,) class ids, negative for none; or (rows, classes)
    class_names: Sequence[str]  # (classes,)
    votes: np.ndarray | None  # (rows, sources), -1 abstains
    ids: Sequence[str] | None  # (rows,)
    dynamics: Mapping[str, np.ndarray]  # (rows,) each: `seen`, `disagreements`, `loss` and `margin`
    log_history: Sequence[Mapping[str, Any]]  # `trainer.state.log_history`
    encoder: str  # name or folder of the checkpoint that the model was loaded from; empty if there is none
    seed: int
    tokenizer: Any = None  # of the model


def audit_training(record: TrainingRecord, vectors: ArrayLike | None = None, **options: Any) -> AuditContent:
    """Audits the labels of a training. See `NoisyTrainer.audit` for details.

    Args:
        record: of the training.
        vectors: (rows, width) in row order. By default `record.encoder` computes them in one pass over the texts.
        options: options of `audit_labels`. They override the values of the record. `text_pairs` are the second texts, if the
            record has the first ones only.

    Raises:
        ValueError: there are no vectors and no encoder, or as `audit_labels`.
    """
    labels = record.labels
    if labels.ndim == 2:
        labels = hard_labels(labels, seed=record.seed)
    record = replace(record, texts=pair_up(record.texts, options.pop("text_pairs", None)))
    if vectors is None:
        vectors = _frozen(record)
    given: dict[str, Any] = {
        "votes": record.votes,
        "ids": record.ids,
        "dynamics": record.dynamics,
        "curves": learning_curves(record.log_history),
        "title": "training set",
        "command": "trainer.audit()",
        "seed": record.seed,
        "tokenizer": record.tokenizer,
    }
    return audit_labels(record.texts, np.maximum(labels, -1), record.class_names, vectors, **{**given, **options})


def learning_curves(logs: Sequence[Mapping[str, Any]]) -> list[Curve]:
    """Curves of the logged values: the mean of each name's values within each epoch.

    Training and evaluation losses share a chart. Shares are in another: evaluation metrics between 0 and 1, and the logged
    values of methods in `_SHARES`.

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


def texts_of(dataset: Any, tokenizer: Any, rows: int) -> list[Text]:
    """The column `text` of a training set, with `text_pair` if there is one, or the texts decoded from its tokens.

    Tokens of two segments (`second_segment`) are decoded as two texts.

    Args:
        dataset: the training set.
        tokenizer: the tokenizer of its tokens; None if unknown.
        rows: number of texts.

    Raises:
        ValueError: there is neither a column `text` nor a tokenizer.
    """
    names = getattr(dataset, "column_names", [])
    if TEXT in names:
        texts = [str(text) for text in dataset[TEXT][:rows]]
        return pair_up(texts, [str(text) for text in dataset[TEXT_PAIR][:rows]] if TEXT_PAIR in names else None)
    if tokenizer is None:
        raise ValueError(
            "audit() has no texts to show: expected a column `text` in the training set, or a tokenizer that reads its tokens "
            "back. Pass processing_class=tokenizer to the trainer."
        )
    second = second_segment(dataset)
    if second is None:
        return [tokenizer.decode(dataset[row]["input_ids"], skip_special_tokens=True) for row in range(rows)]
    decoded: list[Text] = []
    for row in range(rows):
        ids = np.asarray(dataset[row]["input_ids"])
        parts = [tokenizer.decode(ids[side].tolist(), skip_special_tokens=True) for side in (~second[row], second[row])]
        decoded.append((parts[0], parts[1]))
    return decoded


def _frozen(record: TrainingRecord) -> np.ndarray:
    if not record.encoder:
        raise ValueError(
            "audit() knows no encoder that never saw the labels: the model was not loaded with from_pretrained. Pass "
            "vectors=..., (rows, width), as hf_noisy.evidence.text_vectors makes them."
        )
    return text_vectors(list(record.texts), record.encoder)
