"""Executes a run: the methods and reference rows of the table, and how they use the labels."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from hf_noisy.benchmark.data import Data
from hf_noisy.benchmark.settings import FOLDS, MEASURED_RULES, Run, Settings
from hf_noisy.benchmark.taught import share_of_gold
from hf_noisy.benchmark.training import Fit, TrainingBench, clocks
from hf_noisy.data.corpus import hold_out
from hf_noisy.methods.parts.stopping_rules import chosen_epoch
from hf_noisy.weak.label_model import label_model_probabilities
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import covered

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Outcome:
    """The result of a run. `predictions` is empty if the corpus lacks something that the row needs."""

    predictions: list[np.ndarray]  # one per epoch: (test rows,) predicted classes
    chosen: int  # epoch that the stopping rule chooses
    score: float  # validation score, used to choose the learning rate
    seconds: np.ndarray  # wall and processor time
    labels: np.ndarray | None  # (training rows,) labels of the training, -1 without a label
    train_rows: int
    estimated_noise_rate: float | None = None
    learning_rate: float | None = None
    by_rule: Mapping[str, int] = field(default_factory=dict)  # stopping rule -> epoch that it chooses
    taught_correct: float | None = None  # share of labelled rows whose taught class is gold; None if nothing is taught
    choices: Sequence[str] = ()  # what the method decided automatically, as sentences


NOTHING = Outcome([], 0, 0.0, np.zeros(2), None, 0)


def run_row(run: Run, settings: Settings, data: Data, vectors: str | Path | None = None) -> Outcome:
    """Executes one run, with the learning rate that scores best on validation labels; ties go to the smallest rate.

    Args:
        run, settings, data: the method, its budget and its rows.
        vectors: folder of stored vectors, for a frozen encoder; None keeps none.
    """
    if run.method in VOTE_ROWS:
        return VOTE_ROWS[run.method](data, run.seed)
    if run.reads_gold and not _has_gold(run, data):
        return NOTHING
    bench = TrainingBench(settings, data, run.seed, vectors)
    train = TRAINED.get(run.method, _method)
    tried = [replace(train(bench, run, rate), learning_rate=rate) for rate in sorted(settings.learning_rates)]
    return max(tried, key=lambda outcome: outcome.score)


def _has_gold(run: Run, data: Data) -> bool:
    return bool(((data.train if run.method == "gold" else data.clean).gold >= 0).any())


# ---- rows that train nothing ---------------------------------------------------------------------------------------


def _majority_vote(data: Data, seed: int) -> Outcome:
    began = clocks()
    probabilities = majority_vote(data.test.votes, data.classes)
    return _vote(data, probabilities, seed, clocks() - began)


def _label_model(data: Data, seed: int) -> Outcome:
    """Predicts with Snorkel's label model, or by majority vote if there are fewer than the three sources it needs."""
    votes = data.train.votes
    if votes.shape[1] < 3:
        return _majority_vote(data, seed)
    began = clocks()
    all_votes = np.concatenate([data.test.votes, votes])  # one fit predicts both
    predicted = label_model_probabilities(votes, data.classes, seed=seed, on=all_votes)
    seconds = clocks() - began
    probabilities, on_train = np.split(predicted, [len(data.test.votes)])
    given = np.flatnonzero(data.train.labels >= 0)
    noise_rate = 1 - on_train[given, data.train.labels[given]].mean()
    outcome = replace(_vote(data, probabilities, seed, seconds), estimated_noise_rate=float(noise_rate))
    known = given[data.train.gold[given] >= 0]
    if not len(known):
        return outcome
    right = share_of_gold(torch.from_numpy(on_train[known]), torch.from_numpy(data.train.gold[known]))
    return replace(outcome, taught_correct=float(right.mean()))


def _vote(data: Data, probabilities: np.ndarray, seed: int, seconds: np.ndarray) -> Outcome:
    """Returns the outcome of a vote. Rows without a vote get the most common class.

    Nothing is measured if no test row has a vote, or if all their votes are the true class. No source is always right,
    so in that case the corpus has the true class in place of votes.
    """
    labels, votes = data.train.labels, data.test.votes
    taught_correct = share_correct(labels, data.train.gold)
    wrong = (votes >= 0) & (votes != data.test.gold[:, None])
    if not covered(votes).any() or not wrong.any():
        return replace(NOTHING, labels=labels, seconds=seconds, taught_correct=taught_correct)
    commonest = int(np.bincount(labels[labels >= 0], minlength=data.classes).argmax())
    found = hard_labels(probabilities, seed=seed)
    predictions = [np.where(found >= 0, found, commonest)]
    return Outcome(predictions, 0, 0.0, seconds, labels, 0, taught_correct=taught_correct)


# ---- rows that train -----------------------------------------------------------------------------------------------


def _method(bench: TrainingBench, run: Run, rate: float) -> Outcome:
    """Trains a method on the given labels. Chooses the first of the epochs that are best on given validation labels.

    For a method that replaces labels, the last epoch is chosen: a model that learns better labels agrees less with the
    given ones. If such a method left the labels as they are, the epoch is chosen as for `ce`.
    """
    data = bench.data
    rows = data.train.labelled(data.train.labels, keep_unlabeled=run.reads_unlabeled)
    valid = data.valid.labelled(data.valid.labels)
    fit = bench.fit(
        rows,
        learning_rate=rate,
        test=data.test.dataset,
        valid=valid,
        method=run.method,
        params=run.params,
        clean=_trusted(data) if run.reads_clean else None,
        gold=data.train.gold[(data.train.labels >= 0) | run.reads_unlabeled],
    )
    return _outcome(fit, data.train.labels, len(rows), keeps_last=run.keeps_last and not fit.left_labels)


def _trusted(data: Data) -> Dataset:
    """Returns the validation rows with their gold labels, and their given labels in a column "given"."""
    rows = data.clean.labelled(data.clean.gold)
    return rows.add_column("given", data.clean.labels[data.clean.gold >= 0])


def _gold(bench: TrainingBench, run: Run, rate: float) -> Outcome:
    """Trains with cross-entropy on the gold labels of the same rows. Validates on gold labels if there are any."""
    data = bench.data
    known = np.where(data.train.labels >= 0, data.train.gold, -1)  # the rows that `ce` trains on
    rows = data.train.labelled(known)
    labels = data.clean.gold if (data.clean.gold >= 0).any() else data.clean.labels
    fit = bench.fit(rows, learning_rate=rate, test=data.test.dataset, valid=data.clean.labelled(labels))
    return replace(_outcome(fit, known, len(rows)), taught_correct=1.0 if len(rows) else None)


def _clean_valid(bench: TrainingBench, run: Run, rate: float) -> Outcome:
    """Trains with cross-entropy on the gold labels of the validation rows, for as many steps as `ce`.

    Chooses the last epoch. Of several learning rates, the best one on a fifth of these rows is chosen, after training
    on the other rows.
    """
    data = bench.data
    rows = data.clean.labelled(data.clean.gold)
    size = int((data.train.labels >= 0).sum())
    score = 0.0
    if len(bench.settings.learning_rates) > 1:
        part, held = hold_out(rows, 0.2, run.seed)
        passes = max(1, round(size / len(part)))
        score = bench.fit(part, learning_rate=rate, test=held, valid=held, passes=passes).scores[-1]
    passes = max(1, round(size / len(rows)))
    fit = bench.fit(rows, learning_rate=rate, test=data.test.dataset, passes=passes)
    return replace(_outcome(fit, data.clean.gold, len(rows)), score=score)


def _cleanlab(bench: TrainingBench, run: Run, rate: float) -> Outcome:
    """Removes the issues that cleanlab finds with out-of-fold probabilities of the same encoder, trains on the rest."""
    with warnings.catch_warnings():  # importing cleanlab silences warnings in the whole process
        from cleanlab.filter import find_label_issues
    from sklearn.model_selection import KFold

    data = bench.data
    rows, valid = data.train.labelled(data.train.labels), data.valid.labelled(data.valid.labels)
    probabilities, seconds = np.zeros((len(rows), data.classes)), np.zeros(2)
    folds = KFold(min(FOLDS, len(rows)), shuffle=True, random_state=run.seed)
    for others, fold in folds.split(probabilities):
        fit = bench.fit(rows.select(others), learning_rate=rate, test=rows.select(fold))
        probabilities[fold] = fit.probabilities
        seconds += fit.seconds
    began = clocks()
    issues = find_label_issues(np.array(rows["labels"][:]), probabilities, n_jobs=1)
    seconds += clocks() - began
    kept = rows.select(np.flatnonzero(~issues))
    fit = bench.fit(kept, learning_rate=rate, test=data.test.dataset, valid=valid)
    outcome = _outcome(fit, data.train.labels, len(kept))
    return replace(
        outcome,
        seconds=outcome.seconds + seconds,
        estimated_noise_rate=float(issues.mean()),
        taught_correct=share_correct(data.train.labels, data.train.gold),  # a row that was removed keeps its label
    )


def _outcome(fit: Fit, labels: np.ndarray, train_rows: int, *, keeps_last: bool = False) -> Outcome:
    by_rule = {rule: chosen_epoch(rule, fit.scores, fit.changes) for rule in MEASURED_RULES} if fit.scores else {}
    last = len(fit.predictions) - 1
    chosen = last if keeps_last else by_rule.get("accuracy", last)
    score = fit.scores[chosen] if fit.scores else 0.0
    return Outcome(
        fit.predictions,
        chosen,
        score,
        fit.seconds,
        labels,
        train_rows,
        fit.estimated_noise_rate,
        by_rule=by_rule,
        taught_correct=fit.taught_correct,
        choices=fit.choices,
    )


def share_correct(labels: np.ndarray, gold: np.ndarray) -> float | None:
    """Returns the share of (rows,) labels that are gold, where both are known (>= 0); None if there is no such row.

    >>> share_correct(np.array([0, 1, -1, 1]), np.array([0, 0, 0, -1]))
    0.5
    """
    known = (labels >= 0) & (gold >= 0)
    return float((labels == gold)[known].mean()) if known.any() else None


VOTE_ROWS: dict[str, Callable[[Data, int], Outcome]] = {"majority_vote": _majority_vote, "label_model": _label_model}
TRAINED: dict[str, Callable[[TrainingBench, Run, float], Outcome]] = {
    "gold": _gold,
    "clean_valid": _clean_valid,
    "cleanlab": _cleanlab,
}
