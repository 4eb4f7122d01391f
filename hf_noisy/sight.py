"""What texts are seen by, and which classes are inferred from that: the same for an audit and for an estimate of the noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hf_noisy.choice import choose_view
from hf_noisy.estimation.frozen import latent_semantic_vectors
from hf_noisy.labels import one_hot
from hf_noisy.truth import infer_truth, label_source, mean_coherence, sources_of, view_of
from hf_noisy.weak import voters

NEIGHBOURS = 20  # of a row, as in `Neighbours`


@dataclass(frozen=True)
class Sight:
    """Of some texts with labels."""

    kind: str  # "encoder", "words" or "both"
    view: np.ndarray  # (rows, width)
    coherence: float  # mean cut statistic of the labels by the encoder
    sources: int  # that vote at all; 1 where there are labels alone


def look_at(
    texts: Sequence[str], vectors: np.ndarray, labels: np.ndarray, votes: np.ndarray | None, classes: int, seed: int = 0
) -> Sight:
    """By the encoder, their words or both, as `hf_noisy.choice.choose_view` has it.

    Args:
        texts: (rows,)
        vectors: (rows, width) of an encoder that never saw the labels.
        labels: (rows,) class ids, -1 where there is none; at least two rows have one.
        votes: (rows, sources), -1 abstains; None where there are labels alone.
        classes: how many there are.
        seed: of the rows by which the encoder is judged, and of the words' directions.

    Raises:
        ValueError: fewer than two rows have a label.
    """
    labelled = int((labels >= 0).sum())
    if labelled < 2:
        raise ValueError(f"{labelled} of {len(labels)} rows have a label: expected two or more to compare.")
    sources = voters(votes)
    coherence = mean_coherence(vectors, label_rows(labels, classes), NEIGHBOURS, seed)
    kind = choose_view(sources, coherence)
    view = view_of(kind, lambda: vectors, lambda: latent_semantic_vectors(texts, seed))
    return Sight(kind, view, coherence, sources)


def label_rows(labels: np.ndarray, classes: int) -> np.ndarray:
    """(rows,) class ids -> (rows, classes) one-hot, zeros where an id is negative."""
    return one_hot(torch.from_numpy(labels), classes).double().numpy()


def inferred_classes(
    view: np.ndarray, labels: np.ndarray, votes: np.ndarray | None, classes: int, seed: int = 0
) -> np.ndarray:
    """(rows, classes) how probable each class is by the sources and by similar texts (`hf_noisy.truth`).

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
