"""Sources of labels: how often each votes for each class, given the true class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hf_noisy.evidence.inference.sharpening import frequency_normalised

_FEWEST = 5  # votes of a source by which its matrix can be fitted
_PSEUDO_COUNT = 1.0  # of a row of a source's matrix, spread evenly
TINY = 1e-9


@dataclass(frozen=True)
class Source:
    """What one source says of the rows on which it votes."""

    rows: np.ndarray  # (votes,) row numbers
    votes: np.ndarray  # (votes, classes) one-hot, or shares

    def log_likelihood(self, truth: np.ndarray) -> np.ndarray:
        """(votes, classes) log P(it votes, and so | class), fitted to the classes as believed, (rows, classes)."""
        believed, of_class = truth[self.rows], truth.sum(0)
        share = len(self.rows) / len(truth)
        speaks = (believed.sum(0) + _PSEUDO_COUNT * share) / (of_class + _PSEUDO_COUNT)
        matrix = believed.T @ self.votes + _PSEUDO_COUNT / truth.shape[1]  # row: true class, column: vote
        matrix /= matrix.sum(1, keepdims=True)
        return self.votes @ np.log(matrix).T + np.log(speaks)


def sources_from_votes(votes: np.ndarray, classes: int) -> list[Source]:
    """One for each column that votes on five rows or more.

    Args:
        votes: (rows, sources) class ids, -1 abstains.
        classes: how many there are.
    """
    found = [(np.flatnonzero(column >= 0), column) for column in votes.T]
    return [Source(rows, np.eye(classes)[column[rows]]) for rows, column in found if len(rows) >= _FEWEST]


def source_from_labels(given: np.ndarray) -> Source:
    """The labels as what one source says, soft ones in shares."""
    rows = np.flatnonzero(given.sum(1) > 0)
    return Source(rows, given[rows])


def posterior(probs: torch.Tensor, sources: Sequence[Source], *, sharpen: bool = True) -> np.ndarray:
    """(rows, classes) float64: what a classifier predicts, multiplied by what each source says.

    Args:
        probs: (rows, classes) float64 of the classifier.
        sources: their matrices are counted by `probs`, sharpened where that is asked.
        sharpen: whether `probs` are squared over the frequency of their class first.
    """
    prior = (frequency_normalised(probs) if sharpen else probs).numpy()
    log_truth = np.log(np.maximum(prior, TINY))
    for source in sources:
        log_truth[source.rows] += source.log_likelihood(prior)
    log_truth -= log_truth.max(1, keepdims=True)
    truth = np.exp(log_truth)
    return truth / truth.sum(1, keepdims=True)
