"""The true class of each text, inferred from what the sources say and from how texts like it were labelled.

The model is that of Raykar et al., "Learning From Crowds", JMLR 2010: a linear classifier of the text gives a prior over
its true class, each source has a matrix of how it votes for each class, and rounds of expectation-maximisation fit both.
What is added: its predictions are squared over the frequency of their class (Xie et al., "Unsupervised Deep Embedding for
Clustering Analysis", ICML 2016), which sharpens them and keeps a class that rules vote for too often from taking over; and the
classifier may start from the texts whose label most agrees with those of their neighbours (cut statistic, Lang et al.,
"Training Subset Selection for Weak Supervision", NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hf_noisy.evidence.features.neighbours import label_agreement, nearest_rows, top_share_by_group
from hf_noisy.evidence.inference.heads import fit_head, principal
from hf_noisy.evidence.inference.sources import TINY, Source, posterior


@dataclass(frozen=True)
class Inference:
    """What `infer_truth` finds, (rows, classes) float64 each."""

    truth: np.ndarray  # by the classifier and the sources
    predicted: np.ndarray  # by the classifier alone, fitted to `truth`


def infer_truth(
    vectors: np.ndarray,
    given: np.ndarray,
    sources: Sequence[Source],
    *,
    neighbours: int = 20,
    share: float = 1.0,
    rounds: int = 6,
    penalty: float = 0.1,
    sharpen: bool = True,
    trusted: np.ndarray | None = None,
    seed: int = 0,
) -> Inference:
    """How probable each class is for each text, with a label or without.

    Args:
        vectors: (rows, width) of the texts; their length does not count for neighbours.
        given: (rows, classes) labels, one-hot or soft; zero rows where there is none. At least two rows have one.
        sources: what voted; where the labels alone are known, they are one source (`source_from_labels`).
        neighbours: of a text, for a start by a share below 1.
        share: of the labelled texts that the classifier starts from, the most coherent; of each class at least one. With 1
            no neighbours are searched.
        rounds: of expectation-maximisation.
        penalty: of half the squared weights of the classifier, against the mean loss; it does not fade with more rows,
            since labels that are wrong by a rule do not cancel out.
        sharpen: whether the classifier's probabilities are squared over the frequency of their class.
        trusted: (rows,) rows whose label is the truth.
        seed: of ties.
    """
    labelled = np.flatnonzero(given.sum(1) > 0)
    start = labelled[_anchors(vectors[labelled], given[labelled], neighbours, share, seed)]
    known = np.zeros(len(given), dtype=bool) if trusted is None else trusted
    start = np.union1d(start, np.flatnonzero(known))
    inputs = principal(np.asarray(vectors, dtype=np.float64))
    head = fit_head(inputs[start], torch.from_numpy(given[start]), penalty * len(start))
    truth = given
    for _ in range(rounds):
        with torch.no_grad():
            probs = head.log_probs(inputs).exp()
        truth = posterior(probs, sources, sharpen=sharpen)
        truth[known] = given[known]
        head = fit_head(inputs, torch.from_numpy(truth), penalty * len(truth))
    with torch.no_grad():
        return Inference(truth, head.log_probs(inputs).exp().numpy())


def _anchors(vectors: np.ndarray, given: np.ndarray, neighbours: int, share: float, seed: int) -> np.ndarray:
    """Numbers of the most coherent `share` of these texts, and of the most coherent text of each class."""
    if share >= 1:
        return np.arange(len(given))
    agreement = label_agreement(nearest_rows(vectors, min(neighbours, len(given) - 1)), given, "cut_statistic")
    chosen = top_share_by_group(agreement, np.zeros(len(given), dtype=np.int64), share, seed)
    of_class = top_share_by_group(agreement, given.argmax(1), TINY, seed)  # at least one row each
    return np.flatnonzero(np.maximum(chosen, of_class))
