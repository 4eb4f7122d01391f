"""Prepares a corpus for training: disjoint splits, labels from votes, tokens."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hf_noisy.common.progress import dataset_bars
from hf_noisy.data.columns import dataset_of, with_columns
from hf_noisy.data.corpus import Corpus, hold_out
from hf_noisy.data.corpus_splits import SOFT
from hf_noisy.data.label_encoding import has_label
from hf_noisy.data.pairs import encode_texts, text_columns, texts_of
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import covered, votes_of

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedTokenizerBase


_MANY_ROWS = 10_000  # with fewer rows, tokenization takes about a second or less
_MIN_LABELLED_ROWS = 10  # with fewer labelled training rows, no test rows are set aside


def split_corpus(
    corpus: Corpus, seed: int, *, max_train_rows: int | None = None, max_test_rows: int | None = None
) -> tuple[Dataset, Dataset, Dataset]:
    """Return disjoint training, validation and test rows.

    If the corpus has no test rows, a fifth of the training rows is set aside. If no validation row has a vote, a tenth
    of the training rows is set aside with its given labels, so that a checkpoint can be chosen without gold labels. Rows
    that repeat a text go where the first of them goes, so that no text is in two of these parts.

    Args:
        corpus: as returned by `load_corpus`.
        seed: seed of the rows that are set aside and of the training rows that are kept.
        max_train_rows: keep a random subset of this size for training, drawn after rows are set aside.
        max_test_rows: keep a random subset of this size for testing, the same for every seed.

    Raises:
        ValueError: a size below 1, or too few labelled rows to set some aside.
    """
    check_most(max_train_rows, max_test_rows)
    train, valid, test = corpus.train, corpus.valid, corpus.test
    validates = valid is not None and bool(covered(votes_of(valid)).any())
    labelled = int(covered(votes_of(train)).sum())
    if test is None and 0 < labelled < _MIN_LABELLED_ROWS:
        raise ValueError(
            f"{corpus.name}: {labelled} training rows with a label: expected at least {_MIN_LABELLED_ROWS}, as without "
            "test rows a fifth of them is set aside to test on. Label more texts, or give a file of test rows."
        )
    if test is None:
        train, test = _set_aside(train, 0.2, seed)
    if valid is None or not validates:
        train, valid = _set_aside(train, 0.1, seed)
    return training_subset(train, max_train_rows, seed), valid, test_subset(test, max_test_rows)


def _set_aside(rows: Dataset, fraction: float, seed: int) -> tuple[Dataset, Dataset]:
    """Split off a random part as `hold_out` does, and move rows that repeat one of its texts to it."""
    kept, held = hold_out(rows, fraction, seed)
    texts = texts_of(rows)
    if len(set(texts)) == len(texts):
        return kept, held
    numbers = np.arange(len(rows))
    _, drawn = hold_out(dataset_of({"row": numbers}), fraction, seed)
    taken = {texts[row] for row in drawn["row"][:]}
    aside = np.array([text in taken for text in texts])
    if aside.all():  # too few distinct texts
        return kept, held
    return rows.select(numbers[~aside]), rows.select(numbers[aside])


def check_most(max_train_rows: int | None, max_test_rows: int | None) -> None:
    """Check the sizes of subsets.

    Raises:
        ValueError: a size below 1.
    """
    for name, rows in (("max_train_rows", max_train_rows), ("max_test_rows", max_test_rows)):
        if rows is not None and rows < 1:
            raise ValueError(f"{name}={rows}: expected at least 1, or None for all.")


def training_subset(rows: Dataset, most: int | None, seed: int) -> Dataset:
    """Return a random subset of `most` rows, drawn with `seed`, or all rows if there are not more."""
    return rows if most is None or len(rows) <= most else hold_out(rows, most / len(rows), seed)[1]


def test_subset(rows: Dataset, most: int | None) -> Dataset:
    """Return a random subset of `most` rows, the same for every seed, or all rows if there are not more."""
    return training_subset(rows, most, 0)


def given_labels(rows: Dataset, num_classes: int, *, seed: int = 0) -> np.ndarray:
    """Return the given labels of a split: soft ones as they are, of votes the majority.

    Args:
        rows: a split of a `Corpus`.
        num_classes: number of classes.
        seed: seed of the ties between sources.

    Returns:
        (rows,) class ids, -1 where there is none, or (rows, classes) probabilities, zero rows where there are none.
    """
    if SOFT in rows.column_names:
        return np.array(rows.with_format("numpy")[SOFT][:], dtype=np.float32)
    return hard_labels(majority_vote(votes_of(rows), num_classes), seed=seed)


def with_labels(rows: Dataset, labels: np.ndarray, *, keep_unlabeled: bool = False) -> Dataset:
    """Add `labels` as a column and drop the rows without a label, unless `keep_unlabeled` is set.

    Args:
        rows: a split of a `Corpus`.
        labels: (rows,) class ids, negative where there is none, or (rows, classes) probabilities.
        keep_unlabeled: whether to keep rows without a label.
    """
    kept = np.arange(len(labels)) if keep_unlabeled else np.flatnonzero(has_label(labels))
    found = rows.select(kept)
    return (
        with_columns(found, {"labels": labels[kept]}) if labels.ndim == 2 else found.add_column("labels", labels[kept])
    )


def cut_share(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, most: int = 2000) -> float:
    """Return the share of texts that are longer than `max_length` tokens, by up to `most` evenly chosen rows."""
    length = min(max_length, tokenizer.model_max_length)
    texts = texts_of(rows.select(np.unique(np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(int))))
    lengths = [len(ids) for ids in encode_texts(tokenizer, texts, truncation=False, verbose=False)["input_ids"]]
    return float(np.mean(np.array(lengths) > length))


def tokenize(rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int, *, keep_text: bool = False) -> Dataset:
    """Tokenize the column `text`, with `text_pair` where there is one, and drop both unless `keep_text` is set.

    Texts are truncated to `max_length` tokens, or to fewer if the tokenizer's limit is lower. With a column `text_pair`,
    both texts of a row become one sequence, of which the longer text is truncated first.
    """
    length = min(max_length, tokenizer.model_max_length)
    with dataset_bars(in_commands=len(rows) >= _MANY_ROWS):
        return rows.map(
            lambda batch: encode_texts(tokenizer, texts_of(batch), truncation=True, max_length=length),
            batched=True,
            remove_columns=None if keep_text else text_columns(rows.column_names),
            load_from_cache_file=False,
            desc="Tokenizing",
        )
