"""Class weights, for imbalanced labels."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from hf_noisy.data.label_encoding import has_label, one_hot
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision


class ClassWeights(NoiseCallback):
    """Weights each example by the class of its given label or, without a label, of its target.

    A soft label gets the mean weight of its classes. The weight multiplies those of other methods, which select their
    examples without it.

    Args:
        weights: one per class, at least 0 and not all 0; or "balanced": rows / (classes x rows of the class), over the
            rows with a label. Its mean over these rows is 1 if every class has a row. A class without a row has weight
            1.

    Raises:
        ValueError, TypeError: anything else; before the first step, weights for another number of classes.

    Source: the heuristic of King and Zeng, "Logistic Regression in Rare Events Data", 2001, as in scikit-learn.

    Costs nothing. Combines with every method and criterion. Each wrong label of a rare class counts more as well. If
    labels of a common and a rare class are confused, prefer a method that detects wrong labels, or less extreme
    weights.

    >>> ClassWeights([1, 2.5]).weights
    (1.0, 2.5)
    """

    roles = ("weights of classes",)

    def __init__(self, weights: Sequence[float] | str = "balanced") -> None:
        self.weights = weights if isinstance(weights, str) else _checked(weights)
        if isinstance(self.weights, str) and self.weights != "balanced":
            raise ValueError(f"weights={weights!r}: expected 'balanced', or a number for each class.")

    def setup(self, context: Context) -> None:
        if isinstance(self.weights, str):
            given = one_hot(context.labels[has_label(context.labels)], context.classes)
            counts = given.sum(0)
            weights = torch.where(counts > 0, len(given) / (context.classes * counts), 1.0)
        elif len(self.weights) != context.classes:
            raise ValueError(
                f"weights={list(self.weights)}: expected {context.classes} numbers, one for each class of the model."
            )
        else:
            weights = torch.tensor(self.weights)
        self.of_class = weights.float().to(context.device)  # (classes,)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        labels = torch.where(
            batch.covered.unsqueeze(-1), batch.given, supervision.targets
        )  # (networks, batch, classes)
        return supervision.weighted(labels @ self.of_class)


def _checked(weights: Sequence[float]) -> tuple[float, ...]:
    try:
        found = tuple(float(weight) for weight in weights)
    except TypeError as error:
        raise TypeError(f"weights={weights!r}: expected 'balanced', or a number for each class.") from error
    if not found or not all(0 <= weight < math.inf for weight in found) or not any(found):
        raise ValueError(
            f"weights={list(found)}: expected finite numbers of at least 0, one for each class, not all 0."
        )
    return found
