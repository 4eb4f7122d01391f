"""Generates reviews of products, films and restaurants: a small corpus for weak supervision.

Labeling functions as people write them (`hf_noisy.corpora.review_rules`) are wrong on it for known reasons: negation,
contrast, irony, a quoted opinion. No label is flipped at random. Each review has its reason in a column, so that an
audit can be checked.
"""

from __future__ import annotations

import random

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

CLASS_NAMES = ("negative", "positive")


def generate_reviews(rows: int, seed: int) -> Dataset:
    """Generate `rows` reviews of two to seven short sentences, with columns `id`, `text`, `gold` and `reason`.

    `gold` is the reviewer's opinion (0 negative, 1 positive). `reason` is what may mislead a rule: "plain" if nothing
    should, "descriptive" if only descriptive adjectives do. The same arguments give the same reviews. No global random
    generator is used.

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
    """Choose the sentences: descriptions first, then cues, the misleading sentence and a direct opinion, shuffled."""
    lengths = (1, 1, 1, 2) if gold else (1, 2, 2, 2)  # negative reviews are longer
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
