"""The corpora of the package: generated reviews and news, with votes of labeling functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from hf_noisy.corpora import topics
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.data.corpus import Corpus
from hf_noisy.data.splits import check_most, test_subset, training_subset
from hf_noisy.weak.labeling_functions import apply_labeling_functions

if TYPE_CHECKING:
    from datasets import Dataset
    from snorkel.labeling import LabelingFunction


ROWS = {"train": 6000, "valid": 500, "test": 1500}
TOPIC_ROWS = {"train": 3000, "valid": 300, "test": 1000}
_SPLITS = 10  # generator seeds reserved for the splits of one seed


def embedded_corpus(seed: int = 0, *, max_train_rows: int | None = None, max_test_rows: int | None = None) -> Corpus:
    """Generate reviews and the votes of labeling functions. The reviews depend on the seed, the functions do not.

    Args:
        seed: seed of the reviews.
        max_train_rows, max_test_rows: keep only the rows that `split_corpus` would choose, so that the labeling
            functions do not run on the others.

    Returns:
        6,000 training, 500 validation and 1,500 test rows, with gold labels.

    Raises:
        ValueError: a size below 1.
    """
    texts = {name: generate_reviews(rows, _SPLITS * seed + k) for k, (name, rows) in enumerate(ROWS.items())}
    splits = _apply_to_splits(texts, labeling_functions(), seed, max_train_rows, max_test_rows)
    return Corpus("reviews", tuple(CLASS_NAMES), **splits)


def embedded_topics(
    functions: Sequence[LabelingFunction],
    seed: int = 0,
    *,
    train_rows: int | None = None,
    max_train_rows: int | None = None,
    max_test_rows: int | None = None,
) -> Corpus:
    """Generate news and the votes of `functions`. The news depend on the seed.

    Args:
        functions: `hf_noisy.corpora.topic_labels.distant_labels()`, `readers()`, or others.
        seed: seed of the news.
        train_rows: the number of training rows, instead of 3,000.
        max_train_rows, max_test_rows: keep only the rows that `split_corpus` would choose, so that `functions` do not
            run on the others.

    Returns:
        3,000 training, 300 validation and 1,000 test rows of five classes, with gold labels.

    Raises:
        ValueError: a size below 1.
    """
    rows = {**TOPIC_ROWS, "train": TOPIC_ROWS["train"] if train_rows is None else train_rows}
    texts = {name: topics.generate_topics(count, _SPLITS * seed + k) for k, (name, count) in enumerate(rows.items())}
    splits = _apply_to_splits(texts, functions, seed, max_train_rows, max_test_rows)
    return Corpus("topics", tuple(topics.CLASS_NAMES), **splits)


def _apply_to_splits(
    texts: Mapping[str, Dataset],
    functions: Sequence[LabelingFunction],
    seed: int,
    max_train_rows: int | None,
    max_test_rows: int | None,
) -> dict[str, Dataset]:
    check_most(max_train_rows, max_test_rows)
    chosen = {
        **texts,
        "train": training_subset(texts["train"], max_train_rows, seed),
        "test": test_subset(texts["test"], max_test_rows),
    }
    return {name: apply_labeling_functions(rows, functions) for name, rows in chosen.items()}
