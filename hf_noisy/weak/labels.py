"""Training labels from votes, with a choice for rows on which every source abstains."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from hf_noisy.common.checks import nearest
from hf_noisy.weak.label_model import label_model_probabilities
from hf_noisy.weak.labeling_functions import check_dataset, check_new_column
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import covered, votes_of

if TYPE_CHECKING:
    from datasets import Dataset


def labels_from_votes(
    dataset: Dataset,
    num_classes: int,
    *,
    aggregate: Literal["majority_vote", "label_model"] = "majority_vote",
    hard: bool = False,
    abstain: Literal["unlabeled", "drop", "uniform"] = "unlabeled",
    seed: int = 0,
    column: str = "weak_labels",
) -> Dataset:
    """Aggregates the votes on each example into the column `labels`, which is used for training.

    Args:
        dataset: dataset with a column of votes, as `apply_labeling_functions` adds it.
        num_classes: number of classes.
        aggregate: "majority_vote" or "label_model"; see `majority_vote` and `label_model_probabilities`.
        hard: whether to store integer labels instead of soft labels. Ties are broken at random by `seed`.
        abstain: how to label rows without a vote. `unlabeled` keeps them (a zero row, or -1 if hard), for methods that
            pseudo-label them. `drop` removes them. `uniform` gives each class probability 1 / classes (if hard: a
            random class).
        seed: seed of the label model and of tie-breaking.
        column: name of the column of votes.

    Returns:
        The dataset with a new column `labels`: lists of float32, or int64 if hard.

    Raises:
        ValueError: an unknown name, no such column, a vote outside the classes, or a column `labels` that exists
            already.

    >>> import datasets
    >>> votes = datasets.Dataset.from_dict({"weak_labels": [[0, 0], [0, 1], [-1, -1]]})
    >>> labels_from_votes(votes, num_classes=2)["labels"][:]
    [[1.0, 0.0], [0.5, 0.5], [0.0, 0.0]]
    >>> labels_from_votes(votes, num_classes=2, hard=True, abstain="drop").num_rows
    2
    """
    from datasets import List, Value

    _check_choice("aggregate", aggregate, ("majority_vote", "label_model"))
    _check_choice("abstain", abstain, ("unlabeled", "drop", "uniform"))
    check_dataset(dataset)
    check_new_column(dataset, "labels")
    votes = votes_of(dataset, column)
    if aggregate == "label_model":
        soft = label_model_probabilities(votes, num_classes, seed=seed)
    else:
        soft = majority_vote(votes, num_classes)
    has_vote = covered(votes)
    if abstain == "uniform":
        soft[~has_vote] = 1 / num_classes
    if hard:
        labeled = dataset.add_column("labels", hard_labels(soft, seed=seed), feature=Value("int64"))
    else:
        labeled = dataset.add_column("labels", list(soft), feature=List(Value("float32")))
    return labeled.select(np.flatnonzero(has_vote)) if abstain == "drop" else labeled


def _check_choice(argument: str, value: str, known: Sequence[str]) -> None:
    if value not in known:
        raise ValueError(f"{argument}={value!r}: expected one of the known names. {nearest(value, known)}")
