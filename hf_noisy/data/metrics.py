"""Accuracy and macro-F1 for the Trainer, computed offline."""

from __future__ import annotations

import tempfile
from typing import TYPE_CHECKING

import numpy as np

from hf_noisy.weak.majority import hard_labels

if TYPE_CHECKING:
    from transformers import EvalPrediction


def compute_metrics(prediction: EvalPrediction) -> dict[str, float]:
    """Compares the most probable class of each example with its label. Examples without a label are left out.

    Pass it to `Trainer(compute_metrics=compute_metrics)`.

    Args:
        prediction: `predictions` are logits (rows, classes), or a tuple that starts with them. `label_ids` are class
            ids (rows,), negative where unknown, or soft labels (rows, classes). The label of a soft row is its most
            probable class (ties at random, with a fixed seed). An all-zero row is unknown.

    Returns:
        `accuracy` and `f1`, both from 0 to 1; `f1` is the mean F1 over all classes that occur (macro).

    Raises:
        ValueError: the shapes do not fit, or no label is known. Returning `nan` instead would disable early stopping
            and `load_best_model_at_end` without a message.

    >>> from transformers import EvalPrediction
    >>> logits = np.array([[2.0, 1.0], [0.0, 3.0], [5.0, 0.0]])
    >>> compute_metrics(EvalPrediction(predictions=logits, label_ids=np.array([0, 1, -1])))
    {'accuracy': 1.0, 'f1': 1.0}
    """
    from hf_noisy.data.accuracy_f1 import AccuracyF1  # late: it imports evaluate

    logits = prediction.predictions[0] if isinstance(prediction.predictions, tuple) else prediction.predictions
    logits, labels = np.asarray(logits), np.asarray(prediction.label_ids)
    if logits.ndim != 2 or labels.shape not in (logits.shape, logits.shape[:1]):
        raise ValueError(
            f"predictions of shape {logits.shape} and label_ids of shape {labels.shape}: expected (rows, classes) "
            "logits, and labels (rows,) or (rows, classes). Is the model a single-label classifier?"
        )
    references = hard_labels(labels) if labels.ndim == 2 else labels
    # evaluate creates a cache folder even with keep_in_memory; a separate one avoids sharing it between processes.
    with tempfile.TemporaryDirectory() as folder:
        metric = AccuracyF1(keep_in_memory=True, cache_dir=folder)
        return metric.compute(predictions=logits.argmax(axis=1), references=references)
