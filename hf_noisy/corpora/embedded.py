"""The corpora that come with the package: generated reviews and news, and the votes of cheap sources on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hf_noisy.corpora import topics
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.data.corpus import Corpus, load_corpus
from hf_noisy.data.splits import check_most, part_for_test, part_for_training
from hf_noisy.weak.labeling_functions import apply_labeling_functions

if TYPE_CHECKING:
    from datasets import Dataset
    from snorkel.labeling import LabelingFunction


ROWS = {"train": 6000, "valid": 500, "test": 1500}
TOPIC_ROWS = {"train": 3000, "valid": 300, "test": 1000}
_SPLITS = 10  # generator seeds set aside for the splits of one seed


def embedded_corpus(seed: int = 0, *, max_train_rows: int | None = None, max_test_rows: int | None = None) -> Corpus:
    """Write other reviews for each seed, and let always the same labeling functions vote on them.

    Args:
        seed: of the reviews.
        max_train_rows, max_test_rows: the rows that `split_corpus` would choose, so that no others are voted on.

    Returns:
        6,000 training, 500 validation and 1,500 test rows, with gold labels.

    Raises:
        ValueError: fewer than one row asked for.
    """
    texts = {name: generate_reviews(rows, _SPLITS * seed + k) for k, (name, rows) in enumerate(ROWS.items())}
    splits = _voted_on(texts, labeling_functions(), seed, max_train_rows, max_test_rows)
    return Corpus("reviews", tuple(CLASS_NAMES), **splits)


def embedded_topics(
    functions: Sequence[LabelingFunction],
    seed: int = 0,
    *,
    train_rows: int | None = None,
    max_train_rows: int | None = None,
    max_test_rows: int | None = None,
) -> Corpus:
    """Write other news for each seed, and let `functions` vote on them.

    Args:
        functions: `hf_noisy.corpora.topic_labels.distant_labels()`, `readers()`, or others.
        seed: of the news.
        train_rows: instead of 3,000.
        max_train_rows, max_test_rows: the rows that `split_corpus` would choose, so that no others are voted on.

    Returns:
        3,000 training, 300 validation and 1,000 test rows of five classes, with gold labels.

    Raises:
        ValueError: fewer than one row asked for.
    """
    rows = {**TOPIC_ROWS, "train": TOPIC_ROWS["train"] if train_rows is None else train_rows}
    texts = {name: topics.generate_topics(count, _SPLITS * seed + k) for k, (name, count) in enumerate(rows.items())}
    splits = _voted_on(texts, functions, seed, max_train_rows, max_test_rows)
    return Corpus("topics", tuple(topics.CLASS_NAMES), **splits)


def _voted_on(
    texts: Mapping[str, Dataset],
    functions: Sequence[LabelingFunction],
    seed: int,
    max_train_rows: int | None,
    max_test_rows: int | None,
) -> dict[str, Dataset]:
    check_most(max_train_rows, max_test_rows)
    chosen = {
        **texts,
        "train": part_for_training(texts["train"], max_train_rows, seed),
        "test": part_for_test(texts["test"], max_test_rows),
    }
    return {name: apply_labeling_functions(rows, functions) for name, rows in chosen.items()}


def corpus_or_reviews(
    source: str | None, seed: int, columns: Mapping[str, Any], *, max_train_rows: int | None = None
) -> Corpus:
    """The corpus of a folder, file or name; without one the reviews that come with the package.

    Args:
        source: as for `load_corpus`, or None.
        seed: of the reviews.
        columns: where plain files keep what (`load_corpus`).
        max_train_rows: the reviews that `part_for_training` would choose, so that no others are voted on.

    Raises:
        ValueError, FileNotFoundError: as `load_corpus`.
    """
    if source is None:
        return embedded_corpus(seed, max_train_rows=max_train_rows)
    return load_corpus(source, **columns)
