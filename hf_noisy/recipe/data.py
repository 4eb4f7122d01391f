"""The splits of one seed with their labels, and the rows of the table that need no training."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from hf_noisy.data.corpus import Corpus
from hf_noisy.data.splits import given_labels, split_corpus, with_labels
from hf_noisy.recipe.table import GOLD_TEST_ROWS, LABELS, Table, score
from hf_noisy.weak.label_model import label_model_probabilities
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.summary import summarize_votes
from hf_noisy.weak.votes import covered, votes_of

if TYPE_CHECKING:
    from datasets import Dataset

_FEW_TEST_ROWS = 30


@dataclass(frozen=True)
class Data:
    """The splits of one seed with their labels."""

    class_names: tuple[str, ...]
    weak: Dataset  # training rows with their majority vote, ties at random; rows without a vote are left out
    every: Dataset  # the same plus the rows without a vote, label -1; for methods that learn from unlabeled rows
    gold: Dataset  # training rows with their gold labels; only for the upper bound
    valid: Dataset  # validation rows with voted labels, as noisy as those of training; may choose a checkpoint
    clean: Dataset  # validation rows with gold labels, and the voted labels in `given`; for methods that need them
    test: Dataset  # test rows with gold labels


def gather(
    corpus: Corpus,
    seed: int,
    *,
    max_train_rows: int | None = None,
    max_test_rows: int | None = None,
    source_names: Sequence[str] | None = None,
    say: Callable[[str], None] = print,
) -> tuple[Data, Table]:
    """Turn votes into labels, report their quality, and test the baselines that need no training.

    Args:
        corpus: as returned by `load_corpus`.
        seed: seed of the splits and of tie-breaking.
        max_train_rows: keep a random subset of this size for training.
        max_test_rows: keep a random subset of this size for testing, the same for every seed.
        source_names: the names of the sources of votes, for the printed summary.
        say: function that prints a text.

    Returns:
        The splits, and the rows of the table that need no training.

    Raises:
        ValueError: see `split_corpus`; also if no source votes on any training row.
    """
    train, valid, test = split_corpus(corpus, seed, max_train_rows=max_train_rows, max_test_rows=max_test_rows)
    classes, votes, test_votes = corpus.num_classes, votes_of(train), votes_of(test)
    labels = hard_labels(majority_vote(votes, classes), seed=seed)
    if not (labels >= 0).any():
        raise ValueError(f"{corpus.name}: no source votes on any of {len(labels)} training rows: expected some labels.")
    gold, test_gold = np.array(train["gold"][:]), np.array(test["gold"][:])
    measured = (labels >= 0) & (gold >= 0)
    table: Table = {LABELS: {"coverage": float((labels >= 0).mean())}}
    if measured.any():
        table[LABELS]["error"] = float((labels != gold)[measured].mean())
    say(f"{corpus.name}: {len(train):,} training rows with labels of {listed(corpus.class_names, labels)}")
    if source_names is None and votes.shape[1] == 1:
        source_names = ["label"]
    say(
        summarize_votes(votes, names=source_names, gold=gold if (gold >= 0).any() else None).to_string(
            float_format="{:.3f}".format
        )
    )

    if len(test) < _FEW_TEST_ROWS:
        say(f"only {len(test)} test rows: differences below may be due to chance")
    commonest = int(np.bincount(labels[labels >= 0], minlength=classes).argmax())  # for test rows without a vote
    if not (test_gold >= 0).any():
        table[LABELS][GOLD_TEST_ROWS] = 0.0
        say("no gold labels in the test rows: the scores below measure agreement with their given labels")
        test_gold = hard_labels(majority_vote(test_votes, classes), seed=seed)
    elif covered(test_votes).any():
        table["majority vote"] = score(majority_vote(test_votes, classes), test_gold, commonest)
        if votes.shape[1] >= 3:  # the label model cannot be identified from fewer sources
            model = label_model_probabilities(votes, classes, seed=seed, on=test_votes)
            table["Snorkel's label model"] = score(model, test_gold, commonest)

    taught = given_labels(train, classes, seed=seed)
    data = Data(
        corpus.class_names,
        weak=with_labels(train, taught),
        every=with_labels(train, taught, keep_unlabeled=True),
        gold=with_labels(train, gold),
        valid=with_labels(valid, given_labels(valid, classes, seed=seed)),
        clean=trusted(valid if corpus.valid is None else corpus.valid, classes, seed),
        test=with_labels(test, test_gold),
    )
    return data, table


def listed(class_names: Sequence[str], labels: np.ndarray, most: int = 20) -> str:
    """Name the classes with their numbers of labels, the largest first, so that a class in two spellings is noticed.

    >>> listed(["bad", "good", "Good"], np.array([1, 1, 0, 2, -1]))
    '3 classes: good 2, bad 1, Good 1'
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(class_names))
    order = np.argsort(-counts, kind="stable")
    named = [f"{class_names[k]} {counts[k]:,}" for k in order[:most]]
    return f"{len(class_names)} classes: {', '.join(named)}" + ", ..." * (len(class_names) > most)


def trusted(valid: Dataset, num_classes: int, seed: int) -> Dataset:
    """Return the rows with a gold label: it is in `labels`, and the voted label (-1 if there is none) in `given`."""
    gold = np.array(valid["gold"][:])
    given = hard_labels(majority_vote(votes_of(valid), num_classes), seed=seed)
    rows = with_labels(valid, gold)
    return rows.add_column("given", given[gold >= 0]) if len(rows) else rows
