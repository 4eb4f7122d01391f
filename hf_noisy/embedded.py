"""The corpus that comes with the package: generated reviews and the votes of labeling functions on them."""

from __future__ import annotations

from hf_noisy.corpus import Corpus
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
