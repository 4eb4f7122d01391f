"""Selects and computes the text features that inference, audit and estimates share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.data.label_encoding import label_rows
from hf_noisy.evidence.choice import choose_view
from hf_noisy.evidence.features.frozen import latent_semantic_vectors
from hf_noisy.evidence.features.predictability import mean_coherence
from hf_noisy.evidence.features.views import view_of
from hf_noisy.weak.votes import voters

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
    """By the encoder, their words or both, as `hf_noisy.evidence.choice.choose_view` has it.

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
