"""Chooses a method on all corpora but one, and gives its result on the corpus left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hf_noisy.benchmark.gap import (
    Estimate,
    Section,
    gap_recovered,
    mean,
)
from hf_noisy.benchmark.settings import FIXED


@dataclass(frozen=True)
class Choice:
    """The variant that is best on the other corpora, and its result on this corpus."""

    corpus: str
    variant: str
    accuracy: Estimate | None  # None if the variant was not run on this corpus
    gain: Estimate | None
    recovered: Estimate | None  # None if the gap is too small to count


def leave_one_corpus_out(section: Section) -> list[Choice]:
    """Returns for each corpus the variant with the highest mean gap recovered on the other corpora, and its result.

    The best row of a table was selected on the numbers that the table shows, so these are optimistic. Here, a variant
    is never selected on the corpus that it is reported on. Candidates are `ce`, which wins ties, and the methods that
    read no gold labels and were run on all other counted corpora. The list is empty with fewer than three counted
    corpora. Intervals treat the choice as fixed.
    """
    if len(section.counted) < 3:
        return []
    candidates = [section.ce] + [
        variant
        for variant, method in section.methods.items()
        if method not in FIXED and variant not in section.reads_gold
    ]
    recovered = {variant: gap_recovered(section, variant).per_corpus for variant in candidates}
    return [_choose(section, corpus, recovered) for corpus in section.corpora]


def _choose(section: Section, corpus: str, recovered: Mapping[str, Mapping[str, Estimate]]) -> Choice:
    others = [other for other in section.counted if other != corpus]
    scores = {
        variant: mean([shares[other] for other in others]).value
        for variant, shares in recovered.items()
        if all(other in shares for other in others)
    }
    best = max(scores, key=lambda variant: scores[variant])
    return Choice(corpus, best, section.accuracy(corpus, best), section.gain(corpus, best), recovered[best].get(corpus))
