"""Inference of the true classes from labels, votes and text features."""

from __future__ import annotations

import numpy as np

from hf_noisy.data.label_encoding import one_hot_rows
from hf_noisy.evidence.inference.infer_truth import infer_truth
from hf_noisy.evidence.inference.sources import source_from_labels, sources_from_votes
from hf_noisy.weak.votes import count_voting_sources


def infer_classes(
    view: np.ndarray, labels: np.ndarray, votes: np.ndarray | None, classes: int, seed: int = 0
) -> np.ndarray:
    """Infers the probability of each class from the sources and similar texts: (rows, classes).

    The method is that of `hf_noisy.evidence.inference.infer_truth`.

    Args:
        view: (rows, width) text features, as in `TextFeatures.view`.
        labels: (rows,) class ids, -1 for no label; at least two rows have one.
        votes: (rows, sources), -1 abstains. If only one source votes, or for None, the labels are the only source.
        classes: number of classes.
        seed: seed of the tie-breaking.
    """
    given = one_hot_rows(labels, classes)
    sources = (
        sources_from_votes(votes, classes)
        if votes is not None and count_voting_sources(votes) > 1
        else [source_from_labels(given)]
    )
    return infer_truth(view, given, sources, seed=seed).truth
