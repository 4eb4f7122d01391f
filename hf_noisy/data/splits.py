"""A corpus as one training needs it: splits that never mix, labels from votes, tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hf_noisy.data.corpus import Corpus, hold_out
from hf_noisy.weak.votes import covered, votes_of

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


_FEWEST = 10  # training rows that some can be set aside of


def split_corpus(
    corpus: Corpus, seed: int, *, max_train_rows: int | None = None, max_test_rows: int | None = None
) -> tuple[Dataset, Dataset, Dataset]:
    """Training, validation and test rows, no row in two of them.

    Where a corpus has no test rows, a fifth of train is set aside; where no validation row has a vote, a tenth of
    train is, with its given labels, so that a checkpoint can be chosen without gold.

    Args:
        corpus: as `load_corpus` gives it.
        seed: of what is set aside and of the training rows that are kept.
        max_train_rows: train on a random part of this size, counted after a tenth was set aside.
        max_test_rows: measure on a random part of this size, the same for every seed.

    Raises:
        ValueError: fewer than one row asked for, or too few labelled rows to set some aside.
    """
    check_most(max_train_rows, max_test_rows)
    train, valid, test = corpus.train, corpus.valid, corpus.test
    validates = valid is not None and bool(covered(votes_of(valid)).any())
    labelled = int(covered(votes_of(train)).sum())
    if test is None and 0 < labelled < _FEWEST:
        raise ValueError(
            f"{corpus.name}: {labelled} training rows with a label: expected at least {_FEWEST}, as without test rows a fifth of them is "
            "set aside to test on. Label more texts, or give a file of test rows."
        )
    if test is None:
        train, test = hold_out(train, 0.2, seed)
    if valid is None or not validates:
        train, valid = hold_out(train, 0.1, seed)
    return part_for_training(train, max_train_rows, seed), valid, part_for_test(test, max_test_rows)


def check_most(max_train_rows: int | None, max_test_rows: int | None) -> None:
    """Refuse a size that holds no row.

    Raises:
        ValueError: fewer than one row asked for.
    """
    for name, rows in (("max_train_rows", max_train_rows), ("max_test_rows", max_test_rows)):
        if rows is not None and rows < 1:
            raise ValueError(f"{name}={rows}: expected at least 1, or None for all.")


def part_for_training(rows: Dataset, most: int | None, seed: int) -> Dataset:
    """At most so many of the rows, drawn by the seed; of what is drawn already, all."""
    return rows if most is None or len(rows) <= most else hold_out(rows, most / len(rows), seed)[1]


def part_for_test(rows: Dataset, most: int | None) -> Dataset:
    """At most so many of the rows, the same for every seed."""
    return part_for_training(rows, most, 0)


def with_labels(rows: Dataset, labels: np.ndarray, *, keep_unlabeled: bool = False) -> Dataset:
    """The rows that have a label (>= 0), with it in a column `labels`; or all, -1 where there is none."""
    kept = np.arange(len(labels)) if keep_unlabeled else np.flatnonzero(labels >= 0)
    return rows.select(kept).add_column("labels", labels[kept])


def tokenize(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, *, keep_text: bool = False) -> Dataset:
    """Tokens in the place of `text`, or beside it, where methods and audits read it; longer texts are cut to `max_length` or
    to what the tokenizer allows."""
    length = min(max_length, tokenizer.model_max_length)
    return rows.map(
        lambda batch: tokenizer(batch["text"], truncation=True, max_length=length),
        batched=True,
        remove_columns=None if keep_text else "text",
        load_from_cache_file=False,
    )
