"""Loads, splits and labels the rows of one corpus, seed and noise."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.benchmark.derived import derive
from hf_noisy.benchmark.settings import Run, Settings
from hf_noisy.corpora.embedded import embedded_corpus
from hf_noisy.data.corpus import Corpus, read_corpus
from hf_noisy.data.noise_spec import inject
from hf_noisy.data.pairs import Text, all_texts, side_by_side_words, text_columns, text_length, texts_of
from hf_noisy.data.splits import split_corpus, with_labels
from hf_noisy.evidence.features.words import term_options
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import votes_of

if TYPE_CHECKING:
    from datasets import Dataset

EMBEDDED = "reviews"  # name of the corpus that is part of the package


@dataclass(frozen=True)
class Rows:
    """One split: texts, votes, given labels for the methods, and gold labels for the evaluation."""

    dataset: Dataset  # columns: id, text, text_pair if rows have two texts, weak_labels, gold
    labels: np.ndarray  # (rows,) majority vote, ties at random; -1 where every source abstains
    gold: np.ndarray  # (rows,) -1 where unknown

    @property
    def texts(self) -> list[Text]:
        """(rows,), pairs if rows have two texts."""
        return texts_of(self.dataset)

    @property
    def votes(self) -> np.ndarray:
        """(rows, sources), -1 abstains."""
        return votes_of(self.dataset)

    def labelled(self, labels: np.ndarray, *, keep_unlabeled: bool = False) -> Dataset:
        """Returns text, votes and label of the rows with a label, or of all rows, with -1 for rows without one."""
        columns = self.dataset.select_columns([*text_columns(self.dataset.column_names), "weak_labels"])
        return with_labels(columns, labels, keep_unlabeled=keep_unlabeled)


@dataclass(frozen=True)
class Data:
    """The data that all runs of one corpus and seed share."""

    class_names: tuple[str, ...]
    train: Rows
    valid: Rows  # its given labels are as noisy as those of train
    test: Rows  # sorted by length, which reduces padding
    clean: Rows  # source of gold validation labels: the corpus's own validation split, else `valid`

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)


def load(source: str, seed: int, columns: dict[str, Any]) -> Corpus:
    """Loads the corpus of a run."""
    return embedded_corpus(seed) if source == EMBEDDED else read_corpus(source, **columns)


def prepare(
    run: Run,
    settings: Settings,
    columns: dict[str, Any],
    vectors: str | Path | None = None,
    *,
    corpus: Corpus | None = None,
) -> Data:
    """Splits and labels the corpus of a run. The result is the same for all methods of a corpus and seed.

    Args:
        run, settings: the corpus, the seed, the noise and the sizes.
        columns: how to read plain files (`load_corpus`).
        vectors: folder of stored vectors, for `split_classes`; None keeps none.
        corpus: the corpus of the run, if it is loaded already.
    """
    corpus = derive(load(run.source, run.seed, columns) if corpus is None else corpus, settings, run.seed, vectors)
    if corpus.test is not None:
        corpus = replace(corpus, test=measurable(corpus.test))
    splits = split_corpus(
        corpus, run.seed, max_train_rows=settings.max_train_rows, max_test_rows=settings.max_test_rows
    )
    clean = corpus.valid if corpus.valid is not None else splits[1]
    commonest = _commonest(splits[0], corpus.num_classes)
    train, valid, test, clean = (
        _rows(
            measurable(split) if split is splits[2] else split,
            corpus.num_classes,
            run.seed,
            settings,
            purpose,
            commonest=commonest,
            shortest_first=purpose > 0,
        )
        for purpose, split in enumerate((*splits, clean))
    )
    return Data(corpus.class_names, train, valid, test, clean)


def measurable(test: Dataset) -> Dataset:
    """Returns the rows whose gold label is known."""
    return test.select(np.flatnonzero(np.array(test["gold"][:]) >= 0))


def _commonest(train: Dataset, classes: int) -> int:
    """Returns the commonest true class of the training rows, which `commonest` noise gives in all splits."""
    gold = np.array(train["gold"][:])
    return int(np.bincount(gold[gold >= 0], minlength=classes).argmax())


def _rows(
    split: Dataset,
    classes: int,
    seed: int,
    settings: Settings,
    purpose: int,
    *,
    commonest: int,
    shortest_first: bool,
) -> Rows:
    if shortest_first:
        split = split.select(np.argsort([text_length(text) for text in texts_of(split)], kind="stable"))
    gold = np.array(split["gold"][:])
    if settings.noise is None:
        return Rows(split, hard_labels(majority_vote(votes_of(split), classes), seed=seed), gold)
    noisy = inject(
        settings.noise,
        gold,
        classes,
        seed=1000 * seed + purpose,
        features=lambda: _features(split),
        probabilities=lambda: _weak_probabilities(split, gold, classes),
        commonest=commonest,
    ).labels
    votes = [[int(label)] for label in noisy]
    return Rows(split.remove_columns("weak_labels").add_column("weak_labels", votes), noisy, gold)


def _features(split: Dataset) -> np.ndarray:
    """Returns (rows, 64) hashed word counts, 64 more of second texts: instance-dependent noise depends on them, not on the encoder."""
    from sklearn.feature_extraction.text import HashingVectorizer

    texts = texts_of(split)
    words = HashingVectorizer(n_features=64, norm=None, **term_options(all_texts(texts)))
    return side_by_side_words(texts, words.transform).toarray()


def _weak_probabilities(split: Dataset, gold: np.ndarray, classes: int) -> np.ndarray:
    """Returns (rows, classes) two-fold out-of-fold probabilities of a Naive Bayes, which errs on misleading words."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.naive_bayes import MultinomialNB

    texts, known = texts_of(split), gold >= 0
    words = side_by_side_words(texts, TfidfVectorizer(**term_options(all_texts(texts))).fit_transform)
    even = np.arange(len(gold)) % 2 == 0
    probabilities = np.zeros((len(gold), classes))
    for fold in (even, ~even):
        model = MultinomialNB().fit(words[~fold & known], gold[~fold & known])
        probabilities[np.ix_(fold, model.classes_)] = model.predict_proba(words[fold])
    return probabilities
