"""Classifiers that are fitted to labels through models of the noise, and the likelihood of held-out labels by each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hf_noisy.evidence.features.frozen import stratified_folds
from hf_noisy.evidence.features.neighbours import NearestRows
from hf_noisy.evidence.inference.heads import Head, fit_head, minimise, principal
from hf_noisy.evidence.inference.noise_model import RATES, LabelNoise

FOLDS = 5
_PENALTIES = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3)  # of half the squared weights, against the mean loss
_LESS = 0.3  # factor of the penalty for a classifier that is fitted through T, which cannot fit wrong labels
_COMPONENTS = 128  # maximum number of principal components; the penalty adapts to the data
_MOST_ROWS = 10_000  # the models are fitted to at most this many rows
_STARTS = (0.15, 0.4)  # shares of wrong labels to start from
_MAX_RATE = 0.6  # with more wrong labels, nothing is told from texts
_FEW = 15  # surest rows of a class, at least, for the confusions
_SUREST = 0.25  # share of the rows of a predicted class that count as sure
_POOLED = 5.0  # pseudo-rows of each class that are labelled as all classes are on the mean
_STEPS = 25
_BEGIN = (1.0, 0.13)  # weights of classifier and neighbours
_TINY = 1e-9
_LARGEST = 50.0  # weight to start from; in clean clusters the best weight has no bound


class NoiseFits:
    """What all models of the noise share: inputs, folds, and the classifiers fitted to the labels as they are."""

    def __init__(
        self, view: np.ndarray, near: NearestRows, labelled: np.ndarray, given: np.ndarray, classes: int, seed: int
    ) -> None:
        self.classes, self.labelled, self.given = classes, labelled, given
        self.inputs = principal(np.asarray(view, dtype=np.float64), _COMPONENTS)
        self.sample = np.arange(len(given))  # places among the labelled rows
        if len(given) > _MOST_ROWS:
            self.sample = np.sort(np.random.default_rng(seed).choice(len(given), _MOST_ROWS, replace=False))
        self.x, self.y = self.inputs[labelled[self.sample]], torch.as_tensor(given[self.sample])
        # stratified, else a fold's labels are rarer where it is predicted
        self.fold = stratified_folds(given[self.sample], FOLDS, seed)
        self.shares = (np.bincount(given, minlength=classes) + 0.5) / (len(given) + 0.5 * classes)
        self.eye = np.eye(classes)
        self.spread = _without_diagonal(np.tile(self.shares, (classes, 1)))
        neighbours = near.rows.shape[1]
        counts = self.eye[given[near.rows]].sum(1)
        self.near = (counts + 2 * self.shares) / (neighbours + 2)  # (labelled, classes) shares of neighbours' labels
        targets = torch.as_tensor(self.eye[self.given[self.sample]])
        scored = []
        for penalty in _PENALTIES:
            heads = [
                fit_head(self.x[rows], targets[rows], penalty * len(rows), _STEPS)
                for rows in map(self._rows, range(FOLDS))
            ]
            scored.append((self._score(heads), penalty, heads))
        _, self.penalty, self.heads = max(scored, key=lambda each: each[0])
        self.weight = 1.0  # of the classifier, in a sum of logs with the neighbours
        self.pool: _Pool | None = None
        self._compare(self.heads)
        self._compare(self._through([self.eye] * FOLDS))
        assert self.pool is not None
        self.weight = float(self.pool.weights[0])

    def _rows(self, fold: int) -> np.ndarray:
        return np.flatnonzero(self.fold != fold)

    def _held_out(self, heads: list[Head]) -> Tensor:
        """(sampled, classes) log-probabilities, each by the head that was not fitted to the row."""
        found = torch.empty(len(self.sample), self.classes, dtype=torch.float64)
        with torch.no_grad():
            for fold, head in enumerate(heads):
                rows = np.flatnonzero(self.fold == fold)
                found[rows] = head.log_probs(self.x[rows])
        return found

    def _score(self, heads: list[Head]) -> float:
        return float(self._held_out(heads).gather(1, self.y[:, None]).sum())

    def without_noise(self) -> LabelNoise:
        """The best of all classifiers, also of those fitted through a T, if labels are right.

        A classifier that is fitted through a T may predict labels better for another reason than noise: it is a robust
        loss, with another penalty. This must not count as evidence of noise.
        """
        assert self.pool is not None
        found = self._described("none", self.pool)
        by_frequency = float(np.log(self.shares[self.given[self.sample]]).sum())  # texts say nothing of the labels
        return replace(found, log_likelihood=max(found.log_likelihood, by_frequency))

    def _compare(self, heads: list[Head]) -> None:
        found = self._pool(heads, [self.eye] * FOLDS, [self.spread] * FOLDS, start=None)
        if self.pool is None or found.log_likelihood > self.pool.log_likelihood:
            self.pool = found

    def with_noise(self, kind: str) -> LabelNoise:
        flips = self._flips(kind)
        starts: Sequence[list[np.ndarray]] = [
            [(1 - rate) * self.eye + rate * flip for flip in flips] for rate in _STARTS
        ]
        if kind == "confusions":
            starts = [[(1 - rate) * self.eye + rate * flip for flip, rate in zip(flips, self.sure_rates, strict=True)]]
        fits = []
        for matrices in starts:
            for _ in range(2):
                heads = self._through(matrices)
                self._compare(heads)
                fit = self._pool(heads, matrices, flips, start=float(np.mean([_wrong(each) for each in matrices])))
                fits.append(fit)
                if abs(fit.rate - np.mean([_wrong(each) for each in matrices])) < 0.05:
                    break
                matrices = fit.matrices
        best = max(fits, key=lambda fit: fit.log_likelihood)
        profile: tuple[float, ...] = ()
        if kind == "random":
            tables = [self._profile(heads, best, flips) for heads in (self.heads, best.heads)]
            profile = tuple(map(max, *tables))
        return replace(self._described(kind, best), profile=profile)

    def with_matrix(self, matrix: np.ndarray) -> LabelNoise:
        """The model of a matrix that is known: (classes, classes) P(label | true class)."""
        matrices, flips = [matrix] * FOLDS, [_without_diagonal(matrix + _TINY)] * FOLDS
        pool = self._pool(self._through(matrices), matrices, flips, start=None, fixed=_wrong(matrix))
        return self._described("known", replace(pool, matrices=matrices))

    def _profile(self, heads: list[Head], best: _Pool, flips: list[np.ndarray]) -> list[float]:
        """The log-likelihood of held-out labels with each share of wrong labels in `RATES`."""
        begin, found = best.weights, []
        for rate in RATES:
            pool = self._pool(heads, best.matrices, flips, start=None, fixed=rate, begin=begin)
            begin = pool.weights
            found.append(pool.log_likelihood)
        return found

    def _flips(self, kind: str) -> list[np.ndarray]:
        """For each fold, where the wrong labels of each class go: (classes, classes), rows sum to 1, diagonal 0.

        The row of the commonest class is all on its diagonal for "commonest": its labels are not wrong.
        """
        if kind == "random":
            return [self.spread] * FOLDS
        if kind == "commonest":
            most = int(self.shares.argmax())
            to_most = np.zeros_like(self.eye)
            to_most[:, most] = 1
            return [to_most] * FOLDS
        log_probs = self.weight * self._held_out(self.heads).numpy()
        predicted, sure = log_probs.argmax(1), log_probs.max(1)
        flips: list[np.ndarray] = []
        self.sure_rates: list[float] = []
        for fold in range(FOLDS):  # a row's own label has no part in the matrix by which it is predicted
            counts = np.zeros((self.classes, self.classes))
            for k in range(self.classes):
                rows = np.flatnonzero((predicted == k) & (self.fold != fold))
                most = max(round(_SUREST * len(rows)), min(_FEW, len(rows)))
                surest = rows[np.argsort(-sure[rows], kind="stable")[:most]]
                np.add.at(counts[k], self.given[self.sample][surest], 1)
            wrong = counts.sum() - np.trace(counts)
            self.sure_rates.append((wrong + 0.5) / (counts.sum() + 1))
            flips.append(_without_diagonal(counts + _POOLED * self.spread * self.sure_rates[-1]))
        return flips

    def _through(self, matrices: list[np.ndarray]) -> list[Head]:
        """Fits the classifiers to the labels through T, one matrix a fold, from those fitted without it."""

        def fit(rows: np.ndarray, fold: int) -> Head:
            weight = self.heads[fold].weight.detach().clone().requires_grad_()
            bias = self.heads[fold].bias.detach().clone().requires_grad_()
            head = Head(weight, bias, _LESS * self.penalty * len(rows))
            inputs = self.x[rows]
            column = torch.as_tensor(np.maximum(matrices[fold], 1e-6)).log()[:, self.y[rows]].T

            def loss() -> Tensor:
                return (head.cost() - torch.logsumexp(head.log_probs(inputs) + column, -1).sum()) / len(rows)

            minimise(loss, (weight, bias), _STEPS)
            return head

        return [fit(self._rows(fold), fold) for fold in range(FOLDS)]

    def _pool(
        self,
        heads: list[Head],
        matrices: list[np.ndarray],
        flips: list[np.ndarray],
        start: float | None,
        fixed: float = 0.0,
        begin: Sequence[float] | np.ndarray = _BEGIN,
    ) -> _Pool:
        """Pools classifier and neighbours in logs. Weights and rate maximise the likelihood of held-out labels.

        Without a rate to start from, the rate is `fixed`, and the weights start from `begin`.
        """
        log_head = self._held_out(heads)
        log_near = torch.as_tensor(self._cleaned(self.near[self.sample], matrices[0])).log()
        y, fold = self.y, torch.as_tensor(self.fold)
        flip = torch.as_tensor(np.stack(flips))[fold, :, y]  # (sampled, classes) P(label | true class, wrong)
        same = torch.nn.functional.one_hot(y, self.classes).double()

        def run(weights: Sequence[float] | np.ndarray, rate: float | None) -> tuple[float, np.ndarray, float]:
            first = torch.as_tensor(np.clip(weights, 0.01, _LARGEST))
            raw = first.expm1().log().requires_grad_()
            odds = torch.tensor(0.0 if rate is None else _odds(rate), dtype=torch.float64, requires_grad=True)

            def per_row() -> Tensor:
                pooled = _log_pool(torch.nn.functional.softplus(raw), log_head, log_near)
                wrong = torch.tensor(max(fixed, 1e-6)) if rate is None else _MAX_RATE * torch.sigmoid(odds)
                column = ((1 - wrong) * same + wrong * flip).clamp_min(1e-12).log()
                return torch.logsumexp(pooled + column, -1)

            minimise(lambda: -per_row().mean(), [raw] if rate is None else [raw, odds], _STEPS)
            with torch.no_grad():
                total = float(per_row().sum())
                found = fixed if rate is None else float(_MAX_RATE * torch.sigmoid(odds))
                return total, torch.nn.functional.softplus(raw).numpy(), found

        if start is None:
            total, weights, rate = run(begin, None)
        else:
            more, least = (1.7, *_BEGIN[1:]), float(np.clip(start, 0.02, 0.55))
            begins = ((_BEGIN, least), (more, least), (_BEGIN, 0.02))
            total, weights, rate = max((run(*begin) for begin in begins), key=lambda each: each[0])
        found = [(1 - rate) * self.eye + rate * each for each in flips]
        return _Pool(total, weights, rate, heads, found)

    def _cleaned(self, shares: np.ndarray, matrix: np.ndarray) -> np.ndarray:
        """Neighbours' shares of true classes, from their shares of labels (Richardson, 1972; Lucy, 1974)."""
        if _wrong(matrix) == 0:
            return shares
        truth = np.full_like(shares, 1 / self.classes)
        for _ in range(30):
            truth *= (shares / np.maximum(truth @ matrix, 1e-12)) @ matrix.T
            truth /= truth.sum(1, keepdims=True)
        return 0.95 * truth + 0.05 * self.shares

    def _described(self, kind: str, pool: _Pool) -> LabelNoise:
        matrix = np.mean(pool.matrices, axis=0)
        with torch.no_grad():
            each = torch.stack([head.log_probs(self.inputs) for head in pool.heads])  # (folds, rows, classes)
            log_head = torch.logsumexp(each, 0) - np.log(FOLDS)  # rows without a label, or not in the sample
            log_head[self.labelled[self.sample]] = self._held_out(pool.heads)
        log_near = np.log(np.tile(self.shares, (len(self.inputs), 1)))
        log_near[self.labelled] = np.log(self._cleaned(self.near, matrix))
        weights = torch.as_tensor(pool.weights)
        clean = _log_pool(weights, log_head, torch.as_tensor(log_near)).exp().numpy()
        truth = clean[self.labelled] * matrix[:, self.given].T
        truth /= truth.sum(1, keepdims=True)
        wrong = float(1 - truth[np.arange(len(truth)), self.given].mean())
        return LabelNoise(kind, wrong, matrix, clean, truth, pool.log_likelihood)


@dataclass(frozen=True)
class _Pool:
    log_likelihood: float
    weights: np.ndarray  # (2,) of classifier and neighbours
    rate: float
    heads: list[Head]
    matrices: list[np.ndarray]


def _log_pool(weights: Tensor, *parts: Tensor) -> Tensor:
    return torch.log_softmax(sum(weight * part for weight, part in zip(weights, parts, strict=True)), -1)


def _odds(rate: float) -> float:
    return float(np.log(rate / (_MAX_RATE - rate)))


def _wrong(matrix: np.ndarray) -> float:
    return float(1 - np.trace(matrix) / len(matrix))


def _without_diagonal(table: np.ndarray) -> np.ndarray:
    rest = table * (1 - np.eye(len(table)))
    return rest / rest.sum(1, keepdims=True)
