"""Sources of labels, and how often each votes for each class given the true class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hf_noisy.evidence.inference.sharpening import frequency_normalised

_MIN_VOTES = 5  # minimum number of votes of a source to fit its matrix
_PSEUDO_COUNT = 1.0  # added to each row of a source's matrix, spread evenly
TINY = 1e-9


@dataclass(frozen=True)
class Source:
    """The votes of one source."""

    rows: np.ndarray  # (votes,) row numbers
    votes: np.ndarray  # (votes, classes) one-hot, or shares of a soft vote

    def log_likelihood(self, truth: np.ndarray) -> np.ndarray:
        """Computes log P(the source votes, and with this vote | true class): (votes, classes).

        The probabilities are estimated from `truth`, (rows, classes) probabilities of the true class.
        """
        true_class, of_class = truth[self.rows], truth.sum(0)
        share = len(self.rows) / len(truth)
        vote_rate = (true_class.sum(0) + _PSEUDO_COUNT * share) / (of_class + _PSEUDO_COUNT)
        matrix = true_class.T @ self.votes + _PSEUDO_COUNT / truth.shape[1]  # row: true class, column: vote
        matrix /= matrix.sum(1, keepdims=True)
        return self.votes @ np.log(matrix).T + np.log(vote_rate)


def sources_from_votes(votes: np.ndarray, classes: int) -> list[Source]:
    """Builds a source from each column with at least five votes.

    Args:
        votes: (rows, sources) class ids, -1 abstains.
        classes: number of classes.
    """
    found = [(np.flatnonzero(column >= 0), column) for column in votes.T]
    return [Source(rows, np.eye(classes)[column[rows]]) for rows, column in found if len(rows) >= _MIN_VOTES]


def source_from_labels(given: np.ndarray) -> Source:
    """Treats the labels as the votes of one source; a soft label is a vote in shares."""
    rows = np.flatnonzero(given.sum(1) > 0)
    return Source(rows, given[rows])


def posterior(probs: torch.Tensor, sources: Sequence[Source], *, sharpen: bool = True) -> np.ndarray:
    """Multiplies the classifier's probabilities by the likelihood of each source's votes: (rows, classes) float64.

    Args:
        probs: (rows, classes) float64 of the classifier.
        sources: sources; their matrices are estimated from `probs`, which are sharpened first if `sharpen` is set.
        sharpen: whether to first square `probs` and divide them by the frequency of their class.
    """
    prior = (frequency_normalised(probs) if sharpen else probs).numpy()
    log_truth = np.log(np.maximum(prior, TINY))
    for source in sources:
        log_truth[source.rows] += source.log_likelihood(prior)
    log_truth -= log_truth.max(1, keepdims=True)
    truth = np.exp(log_truth)
    return truth / truth.sum(1, keepdims=True)
