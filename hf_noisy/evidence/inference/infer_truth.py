"""Inference of the true class of each text from the votes of the sources and the labels of similar texts.

The model is that of Raykar et al., "Learning From Crowds", JMLR 2010. A linear classifier of the text gives the prior
of its true class, each source has a confusion matrix, and expectation-maximisation fits both. There are two additions:

- The classifier's probabilities are squared and divided by the frequency of their class (Xie et al., "Unsupervised Deep
  Embedding for Clustering Analysis", ICML 2016). This sharpens them. It also limits classes that rules vote for too
  often.
- The classifier may first be fitted to the texts whose labels agree most with those of their neighbours (cut statistic,
  Lang et al., "Training Subset Selection for Weak Supervision", NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hf_noisy.common.progress import progress_bar
from hf_noisy.evidence.features.neighbours import label_agreement, nearest_rows, top_share_by_group
from hf_noisy.evidence.inference.heads import fit_head, principal
from hf_noisy.evidence.inference.sources import TINY, Source, posterior


@dataclass(frozen=True)
class Inference:
    """The result of `infer_truth`; each array is (rows, classes) float64."""

    truth: np.ndarray  # posterior from the classifier and the sources
    predicted: np.ndarray  # probabilities of the classifier alone, fitted to `truth`


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
    """Infers the probability of each class for each text, with or without a label.

    Args:
        vectors: (rows, width) of the texts; the search for neighbours ignores their lengths.
        given: (rows, classes) labels, one-hot or soft; a zero row has no label. At least two rows have one.
        sources: sources of votes. With labels only, the labels are one source (`source_from_labels`).
        neighbours: number of neighbours per text, used if `share` is below 1.
        share: share of the labelled texts that the classifier is first fitted to: those with the highest agreement, at
            least one per class. With 1 no neighbours are searched.
        rounds: number of rounds of expectation-maximisation.
        penalty: weight of half the squared weights of the classifier, against the mean loss. It does not become weaker
            with more rows, since labels that are wrong by a rule do not cancel out.
        sharpen: whether to square the classifier's probabilities and divide them by the frequency of their class.
        trusted: (rows,) bool. True where the label is known to be correct.
        seed: seed of the tie-breaking.
    """
    labelled = np.flatnonzero(given.sum(1) > 0)
    start = labelled[_anchors(vectors[labelled], given[labelled], neighbours, share, seed)]
    known = np.zeros(len(given), dtype=bool) if trusted is None else trusted
    start = np.union1d(start, np.flatnonzero(known))
    inputs = principal(np.asarray(vectors, dtype=np.float64))
    head = fit_head(inputs[start], torch.from_numpy(given[start]), penalty * len(start))
    truth = given
    for _ in progress_bar("Inferring classes", range(rounds), unit="round"):
        with torch.no_grad():
            probs = head.log_probs(inputs).exp()
        truth = posterior(probs, sources, sharpen=sharpen)
        truth[known] = given[known]
        head = fit_head(inputs, torch.from_numpy(truth), penalty * len(truth))
    with torch.no_grad():
        return Inference(truth, head.log_probs(inputs).exp().numpy())


def _anchors(vectors: np.ndarray, given: np.ndarray, neighbours: int, share: float, seed: int) -> np.ndarray:
    """Returns the indices of the `share` of texts with the highest agreement, and of the best text of each class."""
    if share >= 1:
        return np.arange(len(given))
    agreement = label_agreement(nearest_rows(vectors, min(neighbours, len(given) - 1)), given, "cut_statistic")
    chosen = top_share_by_group(agreement, np.zeros(len(given), dtype=np.int64), share, seed)
    of_class = top_share_by_group(agreement, given.argmax(1), TINY, seed)  # at least one row each
    return np.flatnonzero(np.maximum(chosen, of_class))
