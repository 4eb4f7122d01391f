"""Checks of evaluation sets when the trainer is made: one set or several, with or without labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from datasets import Dataset
from transformers import PretrainedConfig
from transformers.utils import logging

from hf_noisy.data.columns import LABEL_COLUMNS
from hf_noisy.trainer.streaming import label_evaluation

logger = logging.get_logger(__name__)


def label_evaluation_sets(
    evaluation: Any, config: PretrainedConfig, check: Callable[[Any, str], None], label_column: str | None = None
) -> Any:
    """Check the labels of the evaluation sets. A set without labels gives a warning.

    Args:
        evaluation: one set, a dictionary of sets, or None.
        config: the model's configuration.
        check: called with each set and its name; refuses rows that are not tokenized for the model.
        label_column: the column of the labels; None for the first of `LABEL_COLUMNS`.

    Returns:
        the sets in the form that they were passed in, with checked labels.
    """
    for where, dataset in _named_sets(evaluation):
        check(dataset, where)
        known = {*LABEL_COLUMNS, *([label_column] if label_column else [])}
        if isinstance(dataset, Dataset) and len(dataset) and not known & set(dataset.column_names):
            logger.warning(
                f"{where} has no label column ({', '.join(LABEL_COLUMNS)}), so its evaluation gives neither loss nor "
                "accuracy. If it has labels, rename their column to 'labels'."
            )
    if isinstance(evaluation, dict):
        return {
            name: label_evaluation(dataset, config, where=f"eval_dataset[{name!r}]", label_column=label_column)
            for name, dataset in evaluation.items()
        }
    if evaluation is None:
        return None
    return label_evaluation(evaluation, config, where="eval_dataset", label_column=label_column)


def _named_sets(evaluation: Any) -> list[tuple[str, Any]]:
    """Each evaluation set, with its name in error messages."""
    if isinstance(evaluation, dict):
        return [(f"eval_dataset[{name!r}]", dataset) for name, dataset in evaluation.items()]
    return [("eval_dataset", evaluation)]
