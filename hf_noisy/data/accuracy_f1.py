"""The `evaluate.Metric` behind `compute_metrics`. It is local, since `evaluate.load` needs the network."""

from __future__ import annotations

from typing import Any

import datasets
import evaluate
import numpy as np


class AccuracyF1(evaluate.Metric):  # type: ignore[misc]
    """Computes accuracy and macro-F1 of predicted classes. Examples with a negative reference (no label) are left out.

    Macro-F1 is the unweighted mean over the classes that occur among the references or predictions. A class that was
    predicted but never correctly has an F1 of 0.

    Importing this module imports `evaluate`, which takes about a second. `hf_noisy.compute_metrics` imports it only
    when it is called.

    Raises:
        ValueError: every reference is negative.

    Source: scikit-learn's `accuracy_score` and `f1_score(average="macro")`.

    >>> AccuracyF1(keep_in_memory=True).compute(predictions=[0, 1, 1], references=[0, 1, -1])
    {'accuracy': 1.0, 'f1': 1.0}
    """

    def _info(self) -> evaluate.MetricInfo:
        return evaluate.MetricInfo(
            description="Accuracy and macro-F1 over the references that do not abstain.",
            citation="",
            inputs_description="predictions: (rows,) classes. references: (rows,) classes, negative where unknown.",
            features=datasets.Features({"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}),
        )

    def _compute(self, predictions: Any, references: Any) -> dict[str, float]:
        from sklearn.metrics import accuracy_score, f1_score

        predictions, references = np.asarray(predictions), np.asarray(references)
        known = references >= 0
        if not known.any():
            raise ValueError(
                f"all {len(references)} references abstain: expected at least one label to measure against. "
                "Evaluate on rows with labels, or remove the labels column to predict without measuring."
            )
        predictions, references = predictions[known], references[known]
        return {
            "accuracy": float(accuracy_score(references, predictions)),
            "f1": float(f1_score(references, predictions, average="macro", zero_division=0.0)),
        }
