"""What each row of the table does with the labels it is given."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from hf_noisy.benchmark.data import Data
from hf_noisy.benchmark.settings import FOLDS, Run, Settings
from hf_noisy.benchmark.training import Bench, Fit, clocks
from hf_noisy.data.corpus import hold_out
from hf_noisy.methods.parts.stopping_rules import RULES, chosen_epoch
from hf_noisy.weak.label_model import label_model_probabilities
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import covered

if TYPE_CHECKING:
    from datasets import Dataset


@dataclass(frozen=True)
class Outcome:
    """What a run found; `predictions` is empty where the corpus lacks what the row needs."""

    predictions: list[np.ndarray]  # an epoch: (test rows,) classes
    chosen: int  # the epoch that the stopping rule picks
    score: float  # by which the learning rate is chosen
    seconds: np.ndarray  # by the wall and by the processor
    labels: np.ndarray | None  # (training rows,) that were given, -1 where none
    train_rows: int
    estimated_noise_rate: float | None = None
    learning_rate: float | None = None
    by_rule: Mapping[str, int] = field(default_factory=dict)  # rule of stopping -> the epoch that it picks


NOTHING = Outcome([], 0, 0.0, np.zeros(2), None, 0)


def run_row(run: Run, settings: Settings, data: Data) -> Outcome:
    """One run; of a grid of learning rates the one that scores best on validation labels, the smallest of equals."""
    if run.method in BY_VOTE:
        return BY_VOTE[run.method](data, run.seed)
    if run.reads_gold and not _has_gold(run, data):
        return NOTHING
    bench = Bench(settings, data, run.seed)
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
    """Snorkel's; with fewer than three sources, of which it can learn nothing, the vote itself."""
    votes = data.train.votes
    if votes.shape[1] < 3:
        return _majority_vote(data, seed)
    began = clocks()
    asked = np.concatenate([data.test.votes, votes])  # one fit speaks of both
    believed = label_model_probabilities(votes, data.classes, seed=seed, on=asked)
    seconds = clocks() - began
    probabilities, beliefs = np.split(believed, [len(data.test.votes)])
    given = np.flatnonzero(data.train.labels >= 0)
    doubt = 1 - beliefs[given, data.train.labels[given]].mean()
    return replace(_vote(data, probabilities, seed, seconds), estimated_noise_rate=float(doubt))


def _vote(data: Data, probabilities: np.ndarray, seed: int, seconds: np.ndarray) -> Outcome:
    """Rows without a vote take the commonest class.

    Where no test row has a vote, or every vote on them is the true class, which no source gives (the corpus has put it
    in the place of one), nothing is measured.
    """
    labels, votes = data.train.labels, data.test.votes
    wrong = (votes >= 0) & (votes != data.test.gold[:, None])
    if not covered(votes).any() or not wrong.any():
        return replace(NOTHING, labels=labels, seconds=seconds)
    commonest = int(np.bincount(labels[labels >= 0], minlength=data.classes).argmax())
    found = hard_labels(probabilities, seed=seed)
    return Outcome([np.where(found >= 0, found, commonest)], 0, 0.0, seconds, labels, 0)


# ---- rows that train -----------------------------------------------------------------------------------------------


def _method(bench: Bench, run: Run, rate: float) -> Outcome:
    """A method on the given labels; the epoch that is best on given labels of validation rows, the first of equals.

    Of a method that replaces the labels it is the last one: a model that learns better ones agrees less with those given.
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
    )
    return _outcome(fit, data.train.labels, len(rows), keeps_last=run.keeps_last)


def _trusted(data: Data) -> Dataset:
    """Validation rows with their gold labels, and beside them those they were given."""
    rows = data.clean.labelled(data.clean.gold)
    return rows.add_column("given", data.clean.labels[data.clean.gold >= 0])


def _gold(bench: Bench, run: Run, rate: float) -> Outcome:
    """Cross-entropy on the gold labels of the same rows, with the gold labels of validation rows where known."""
    data = bench.data
    known = np.where(data.train.labels >= 0, data.train.gold, -1)  # the rows that `ce` sees
    rows = data.train.labelled(known)
    labels = data.clean.gold if (data.clean.gold >= 0).any() else data.clean.labels
    fit = bench.fit(rows, learning_rate=rate, test=data.test.dataset, valid=data.clean.labelled(labels))
    return _outcome(fit, known, len(rows))


def _clean_valid(bench: Bench, run: Run, rate: float) -> Outcome:
    """Cross-entropy on the gold labels of the validation rows, for as many steps as `ce` takes; the last epoch.

    Of several learning rates the one is taken that does best on a fifth of these rows when trained on the others.
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


def _cleanlab(bench: Bench, run: Run, rate: float) -> Outcome:
    """Leaves out what cleanlab finds in out-of-fold probabilities of the same encoder, and trains on the rest."""
    with warnings.catch_warnings():  # cleanlab silences those of the whole process when it is imported
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
    return replace(outcome, seconds=outcome.seconds + seconds, estimated_noise_rate=float(issues.mean()))


def _outcome(fit: Fit, labels: np.ndarray, train_rows: int, *, keeps_last: bool = False) -> Outcome:
    by_rule = {rule: chosen_epoch(rule, fit.scores, fit.changes) for rule in RULES} if fit.scores else {}
    last = len(fit.predictions) - 1
    chosen = last if keeps_last else by_rule.get("accuracy", last)
    score = fit.scores[chosen] if fit.scores else 0.0
    return Outcome(
        fit.predictions, chosen, score, fit.seconds, labels, train_rows, fit.estimated_noise_rate, by_rule=by_rule
    )


BY_VOTE: dict[str, Callable[[Data, int], Outcome]] = {"majority_vote": _majority_vote, "label_model": _label_model}
TRAINED: dict[str, Callable[[Bench, Run, float], Outcome]] = {
    "gold": _gold,
    "clean_valid": _clean_valid,
    "cleanlab": _cleanlab,
}
