"""Invented reviews of products, films and restaurants, and an encoder small enough to train on them from scratch.

The corpus is a miniature of weak supervision: rules of the kind that people write (`hf_noisy.review_rules`) are wrong
on it for reasons that can be named - negation, contrast, irony, a quoted opinion - and never because a label was
flipped. Each review carries its reason, so that an audit can be checked.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from datasets import ClassLabel, Dataset, Features, Value

from hf_noisy.corpora.phrases import Slots, fill, sentence
from hf_noisy.corpora.review_phrases import (
    CONSTRUCTIONS,
    DOMAINS,
    OUTRIGHT,
    PLAIN,
    REASONS,
    SCORES,
    SHARED_QUIET,
    WORDS,
)

if TYPE_CHECKING:
    pass


CLASS_NAMES = ("negative", "positive")


def generate_reviews(rows: int, seed: int) -> Dataset:
    """Write `rows` reviews of two to five short sentences: columns `id`, `text`, `gold` and `reason`.

    `gold` is what the reviewer means (0 negative, 1 positive). `reason` names what may mislead a rule: "plain" where
    nothing should, "descriptive" where nothing but the adjectives of description does. The same arguments give the
    same reviews, and no global random generator is touched.

    Example:
        >>> reviews = generate_reviews(rows=4, seed=0)
        >>> reviews.column_names
        ['id', 'text', 'gold', 'reason']
        >>> reviews[:]["text"] == generate_reviews(rows=4, seed=0)[:]["text"]
        True
    """
    rng = random.Random(seed)
    reasons = rng.choices(list(REASONS), weights=list(REASONS.values()), k=rows)
    golds = [rng.randrange(2) for _ in range(rows)]
    columns = {
        "id": [f"{seed}-{row}" for row in range(rows)],
        "text": [_review(rng, gold, reason) for gold, reason in zip(golds, reasons, strict=True)],
        "gold": golds,
        "reason": reasons,
    }
    gold_feature = ClassLabel(names=list(CLASS_NAMES))
    return Dataset.from_dict(
        columns,
        Features({"id": Value("string"), "text": Value("string"), "gold": gold_feature, "reason": Value("string")}),
    )


def _review(rng: random.Random, gold: int, reason: str) -> str:
    domain = DOMAINS[rng.choice(list(DOMAINS))]
    quiet = domain[f"quiet{gold}"] + SHARED_QUIET[gold]
    slots = {**WORDS, **domain, "thing": [rng.choice(domain["thing"])], "quiet": quiet}
    templates = _templates(rng, gold, reason, slots)
    return " ".join(sentence(fill(template, slots, rng)) for template in templates)


def _templates(rng: random.Random, gold: int, reason: str, slots: Slots) -> list[str]:
    """Choose the sentences: description first; then the reason's, quiet cues and an outright opinion in any order."""
    lengths = (1, 1, 1, 2) if gold else (1, 2, 2, 2)  # who is cross tells the whole story
    opening = rng.sample(slots["neutral"], k=rng.choice(lengths))
    verdict = rng.sample(slots["quiet"], k=rng.choice((1, 2, 2)))
    if reason in CONSTRUCTIONS:
        verdict += [rng.choice(CONSTRUCTIONS[reason][gold])]
    if reason == "plain" or rng.random() < OUTRIGHT:
        verdict += [rng.choice(PLAIN[gold])]
    if rng.random() < 0.15:
        verdict += [rng.choice(SCORES[gold])]
    rng.shuffle(verdict)
    return opening + verdict
