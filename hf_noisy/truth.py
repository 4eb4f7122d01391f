"""The true class of each text, inferred from what the sources say and from how texts like it were labelled.

The model is that of Raykar et al., "Learning From Crowds", JMLR 2010: a linear classifier of the text gives a prior over
its true class, each source has a matrix of how it votes for each class, and rounds of expectation-maximisation fit both.
What is added: its predictions are squared over the frequency of their class (Xie et al., "Unsupervised Deep Embedding for
Clustering Analysis", ICML 2016), which sharpens them and keeps a class that rules vote for too often from taking over; and the
classifier may start from the texts whose label most agrees with those of their neighbours (cut statistic, Lang et al.,
"Training Subset Selection for Weak Supervision", NeurIPS 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from hf_noisy.coherence import coherences, most_coherent, search, unit_rows
from hf_noisy.estimation.frozen import out_of_fold_probabilities
from hf_noisy.estimation.heads import fit_head, principal
from hf_noisy.thresholds import frequency_normalised

_FEWEST = 5  # votes of a source by which its matrix can be fitted
_PSEUDO_COUNT = 1.0  # of a row of a source's matrix, spread evenly
_SAMPLE = 5_000  # rows by which vectors are judged
_TINY = 1e-9
_FOLDS = 5


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


@dataclass(frozen=True)
class Inference:
    """What `infer_truth` finds, (rows, classes) float64 each."""

    truth: np.ndarray  # by the classifier and the sources
    predicted: np.ndarray  # by the classifier alone, fitted to `truth`


def sources_of(votes: np.ndarray, classes: int) -> list[Source]:
    """One for each column that votes on five rows or more.

    Args:
        votes: (rows, sources) class ids, -1 abstains.
        classes: how many there are.
    """
    found = [(np.flatnonzero(column >= 0), column) for column in votes.T]
    return [Source(rows, np.eye(classes)[column[rows]]) for rows, column in found if len(rows) >= _FEWEST]


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
        sources: what voted; where the labels alone are known, they are one source (`label_source`).
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


def label_source(given: np.ndarray) -> Source:
    """The labels as what one source says, soft ones in shares."""
    rows = np.flatnonzero(given.sum(1) > 0)
    return Source(rows, given[rows])


def view_of(kind: str, encoded: Callable[[], np.ndarray], words: Callable[[], np.ndarray]) -> np.ndarray:
    """(rows, width) of the texts; only what is asked for is computed.

    Args:
        kind: "encoder", "words" or "both" (`hf_noisy.choice.choose_view`).
        encoded, words: what gives the vectors of each, (rows, width).
    """
    if kind == "encoder":
        return encoded()
    return words() if kind == "words" else beside(encoded(), words())


def beside(vectors: np.ndarray, words: np.ndarray) -> np.ndarray:
    """(rows, width + words) two views of the same texts, each at unit length, so that neither outweighs the other.

    >>> beside(np.array([[3.0, 4.0]]), np.array([[2.0]])).tolist()
    [[0.6, 0.8, 1.0]]
    """
    return np.concatenate([unit_rows(vectors), unit_rows(words)], axis=1)


def mean_coherence(vectors: np.ndarray, given: np.ndarray, neighbours: int, seed: int = 0) -> float:
    """The mean cut statistic of the labels, by at most 5,000 rows: about 0 where near texts have labels like any others.

    Args:
        vectors: (rows, width)
        given: (rows, classes) labels, zero rows where there is none; at least two rows have one.
        neighbours: of a text.
        seed: of the rows that are looked at.
    """
    labelled = np.flatnonzero(given.sum(1) > 0)
    if len(labelled) > _SAMPLE:
        labelled = np.random.default_rng(seed).choice(labelled, _SAMPLE, replace=False)
    near = search(vectors[labelled], min(neighbours, len(labelled) - 1))
    return float(coherences(near, given[labelled], "cut_statistic").mean())


def predictability(vectors: np.ndarray, given: np.ndarray, seed: int = 0) -> float:
    """By how many standard errors the labels are told from the vectors, out of fold, better than by the commonest class.

    About 0 or below where vectors say nothing of the labels: then nothing can be inferred of them. NaN where there are too few
    to hold some out. By at most 5,000 rows.

    Args:
        vectors: (rows, width)
        given: (rows, classes) labels, zero rows where there is none.
        seed: of the folds, and of the rows that are looked at.
    """
    labelled = np.flatnonzero(given.sum(1) > 0)
    if len(labelled) > _SAMPLE:
        labelled = np.random.default_rng(seed).choice(labelled, _SAMPLE, replace=False)
    labels = given[labelled].argmax(1)
    shares = np.bincount(labels, minlength=given.shape[1]) / max(len(labels), 1)
    if len(labels) < 2 * _FOLDS or shares.max() == 1:
        return float("nan")
    found = out_of_fold_probabilities(vectors[labelled], labels, given.shape[1], _FOLDS, seed).argmax(1)
    error = np.sqrt(shares.max() * (1 - shares.max()) / len(labels))
    return float(((found == labels).mean() - shares.max()) / error)


def _anchors(vectors: np.ndarray, given: np.ndarray, neighbours: int, share: float, seed: int) -> np.ndarray:
    """Numbers of the most coherent `share` of these texts, and of the most coherent text of each class."""
    if share >= 1:
        return np.arange(len(given))
    coherence = coherences(search(vectors, min(neighbours, len(given) - 1)), given, "cut_statistic")
    chosen = most_coherent(coherence, np.zeros(len(given), dtype=np.int64), share, seed)
    of_class = most_coherent(coherence, given.argmax(1), _TINY, seed)  # at least one row each
    return np.flatnonzero(np.maximum(chosen, of_class))


def posterior(probs: torch.Tensor, sources: Sequence[Source], *, sharpen: bool = True) -> np.ndarray:
    """(rows, classes) float64: what a classifier predicts, multiplied by what each source says.

    Args:
        probs: (rows, classes) float64 of the classifier.
        sources: their matrices are counted by `probs`, sharpened where that is asked.
        sharpen: whether `probs` are squared over the frequency of their class first.
    """
    prior = (frequency_normalised(probs) if sharpen else probs).numpy()
    log_truth = np.log(np.maximum(prior, _TINY))
    for source in sources:
        log_truth[source.rows] += source.log_likelihood(prior)
    log_truth -= log_truth.max(1, keepdims=True)
    truth = np.exp(log_truth)
    return truth / truth.sum(1, keepdims=True)
