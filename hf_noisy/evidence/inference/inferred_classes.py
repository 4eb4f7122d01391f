"""Probabilities of the true classes from labels, votes and text features."""

from __future__ import annotations

import numpy as np

from hf_noisy.data.label_encoding import label_rows
from hf_noisy.evidence.inference.infer_truth import infer_truth
from hf_noisy.evidence.inference.sources import label_source, sources_of
from hf_noisy.weak.votes import voters


def inferred_classes(
    view: np.ndarray, labels: np.ndarray, votes: np.ndarray | None, classes: int, seed: int = 0
) -> np.ndarray:
    """(rows, classes) how probable each class is by the sources and by similar texts (`hf_noisy.evidence.inference.infer_truth`).

    Args:
        view: (rows, width) of the texts, by what they are seen (`look_at`).
        labels: (rows,) class ids, -1 where there is none; at least two rows have one.
        votes: (rows, sources), -1 abstains; with one source, or None, the labels are what one source says.
        classes: how many there are.
        seed: of ties.
    """
    given = label_rows(labels, classes)
    sources = sources_of(votes, classes) if votes is not None and voters(votes) > 1 else [label_source(given)]
    return infer_truth(view, given, sources, seed=seed).truth
