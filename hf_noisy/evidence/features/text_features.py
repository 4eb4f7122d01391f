"""Selection and computation of the text features that inference, audit and noise estimates share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from hf_noisy.data.label_encoding import one_hot_rows
from hf_noisy.data.pairs import Text
from hf_noisy.evidence.choice import choose_features
from hf_noisy.evidence.features.frozen import latent_semantic_vectors
from hf_noisy.evidence.features.scores import mean_cut_statistic
from hf_noisy.evidence.features.views import features_of
from hf_noisy.weak.votes import count_voting_sources

NEIGHBOURS = 20  # number of neighbours per row, as in `Neighbours`


@dataclass(frozen=True)
class TextFeatures:
    """Features of labelled texts, with the cut statistic and the number of sources."""

    kind: str  # "encoder", "words" or "both"
    view: np.ndarray  # (rows, width)
    cut_statistic: float  # mean cut statistic of the labels by encoder vectors
    sources: int  # number of sources that vote at all; 1 with labels only


def text_features(
    texts: Sequence[Text],
    vectors: np.ndarray,
    labels: np.ndarray,
    votes: np.ndarray | None,
    classes: int,
    seed: int = 0,
    tokenizer: Any = None,
) -> TextFeatures:
    """Computes text features: encoder vectors, word features or both.

    `hf_noisy.evidence.choice.choose_features` decides which.

    Args:
        texts: (rows,), strings or pairs of strings
        vectors: (rows, width) of an encoder that was not trained on the labels.
        labels: (rows,) class ids, -1 for no label; at least two rows have one.
        votes: (rows, sources), -1 abstains; None with labels only.
        classes: number of classes.
        seed: seed of the sample for the cut statistic, and of the word features.
        tokenizer: as for `latent_semantic_vectors`.

    Raises:
        ValueError: fewer than two rows have a label.
    """
    labelled = int((labels >= 0).sum())
    if labelled < 2:
        raise ValueError(f"{labelled} of {len(labels)} rows have a label: expected two or more to compare.")
    sources = count_voting_sources(votes)
    cut_statistic = mean_cut_statistic(vectors, one_hot_rows(labels, classes), NEIGHBOURS, seed)
    kind = choose_features(sources, cut_statistic)
    view = features_of(kind, lambda: vectors, lambda: latent_semantic_vectors(texts, seed, tokenizer))
    return TextFeatures(kind, view, cut_statistic, sources)
