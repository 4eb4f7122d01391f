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


def label_evaluation_sets(evaluation: Any, config: PretrainedConfig, check: Callable[[Any, str], None]) -> Any:
    """Check the labels of the evaluation sets. A set without labels gives a warning.

    Args:
        evaluation: one set, a dictionary of sets, or None.
        config: the model's configuration.
        check: called with each set and its name; refuses rows that are not tokenized for the model.

    Returns:
        the sets in the form that they were passed in, with checked labels.
    """
    for where, dataset in _named_sets(evaluation):
        check(dataset, where)
        if isinstance(dataset, Dataset) and len(dataset) and not set(LABEL_COLUMNS) & set(dataset.column_names):
            logger.warning(
                f"{where} has no label column ({', '.join(LABEL_COLUMNS)}), so its evaluation gives neither loss nor "
                "accuracy. If it has labels, rename their column to 'labels'."
            )
    if isinstance(evaluation, dict):
        return {
            name: label_evaluation(dataset, config, where=f"eval_dataset[{name!r}]")
            for name, dataset in evaluation.items()
        }
    return None if evaluation is None else label_evaluation(evaluation, config, where="eval_dataset")


def _named_sets(evaluation: Any) -> list[tuple[str, Any]]:
    """Each evaluation set, with its name in error messages."""
    if isinstance(evaluation, dict):
        return [(f"eval_dataset[{name!r}]", dataset) for name, dataset in evaluation.items()]
    return [("eval_dataset", evaluation)]
