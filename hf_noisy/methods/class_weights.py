"""Weights of classes, for labels of which some are rare."""

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
    """Weighs each example by its class: that of its given label or, without one, of what it is taught.

    A soft label weighs as the mean of its classes. The weight multiplies those of other methods, which choose their
    examples without it.

    Args:
        weights: one for each class, at least 0 and not all 0; or "balanced": rows / (classes x rows of the class), over
            the rows with a label, whose mean over these rows is 1. A class without a row then has weight 1.

    Raises:
        ValueError, TypeError: anything else; before the first step, weights of another number of classes.

    Source: the heuristic of King and Zeng, "Logistic Regression in Rare Events Data", 2001, as scikit-learn has it.

    Costs nothing. Goes with every method and criterion. Of a rare class each wrong label counts more as well, so where
    labels are wrong between a common class and a rare one, prefer a method that doubts them, or milder weights.

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
