"""The corpus that comes with the package: generated reviews and the votes of labeling functions on them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hf_noisy.corpus import Corpus, load_corpus
from hf_noisy.review_rules import labeling_functions
from hf_noisy.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.weak import apply_labeling_functions

ROWS = {"train": 6000, "valid": 500, "test": 1500}
_SPLITS = 10  # generator seeds set aside for the splits of one seed


def embedded_corpus(seed: int = 0) -> Corpus:
    """Write other reviews for each seed, and let always the same labeling functions vote on them.

    Args:
        seed: of the reviews.

    Returns:
        6,000 training, 500 validation and 1,500 test rows, with gold labels.
    """
    splits = {
        name: apply_labeling_functions(generate_reviews(rows, _SPLITS * seed + position), labeling_functions())
        for position, (name, rows) in enumerate(ROWS.items())
    }
    return Corpus("reviews", tuple(CLASS_NAMES), **splits)


def corpus_or_reviews(source: str | None, seed: int, columns: Mapping[str, Any]) -> Corpus:
    """The corpus of a folder, file or name; without one the reviews that come with the package.

    Args:
        source: as for `load_corpus`, or None.
        seed: of the reviews.
        columns: where plain files keep what (`load_corpus`).

    Raises:
        ValueError, FileNotFoundError: as `load_corpus`.
    """
    return embedded_corpus(seed) if source is None else load_corpus(source, **columns)
