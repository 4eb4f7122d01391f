"""Describes each source of votes: coverage, conflicts, estimated accuracy, and the words on which it is often wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_noisy.audit.content import Pattern, Source
from hf_noisy.data.pairs import Text, sides
from hf_noisy.evidence.features.words import term_options

_MIN_VOTES = 8  # a pattern is a word in at least this many texts on which the source votes
_MAX_PATTERNS = 3  # patterns per source
_MIN_EXCESS = 2.0  # standard errors by which the error on a pattern must exceed the source's mean error


def describe_sources(
    votes: np.ndarray,
    names: Sequence[str],
    texts: Sequence[Text],
    labelled: np.ndarray,
    judged: np.ndarray | None,
    tokenizer: Any = None,
) -> list[Source]:
    """Returns a `Source` for each column of `votes`.

    The accuracy of a source is the mean probability of its votes by rule folds (`hf_noisy.evidence.rules.folds`): each
    row is predicted by a classifier that was not trained on rows with votes of the same rules. The accuracy is None if
    no vote can be judged. This is always so for a single source, which leaves no such training rows. Patterns are words
    and pairs of words: in texts with a pattern, the source's votes are less probable than on average. Where a row has two
    texts, a word is looked for in each of them.

    Args:
        votes: (rows, sources), -1 abstains.
        names: names of the sources.
        texts: (rows,), strings or pairs of strings
        labelled: row numbers of the rows with a label.
        judged: (labelled, classes) probabilities by rule folds, NaN where a row is not judged; None if there are none.
        tokenizer: of the model, for texts without spaces between words (`hf_noisy.evidence.features.words`).
    """
    words = _words([texts[int(row)] for row in labelled], tokenizer) if judged is not None else None
    described = []
    for column, name in enumerate(names):
        cast = votes[:, column] >= 0
        others = np.delete(votes, column, 1)
        conflicting = cast & ((others >= 0) & (others != votes[:, [column]])).any(1)
        accuracy, patterns = None, []
        if judged is not None and words is not None:
            own = votes[labelled, column]
            rows = np.flatnonzero((own >= 0) & ~np.isnan(judged[:, 0]))
            if len(rows):
                errors = 1 - judged[rows, own[rows]]
                accuracy, patterns = float(1 - errors.mean()), _patterns(words, rows, errors)
        described.append(
            Source(name, float(cast.mean()), float(conflicting.sum() / max(cast.sum(), 1)), accuracy, patterns)
        )
    return described


def _words(texts: Sequence[Text], tokenizer: Any) -> tuple[list[tuple[str, str]], object] | None:
    """Returns the words of at least `_MIN_VOTES` texts, and sparse (texts, words), 1 where a text has the word.

    A word stands with its place: "first text" or "second text" of a pair, else an empty string.
    """
    from scipy.sparse import hstack

    parts = sides(texts)
    places = [""] if len(parts) == 1 else ["first text", "second text"]
    found = [
        (place, words)
        for place, side in zip(places, parts, strict=True)
        if (words := _words_of(side, tokenizer)) is not None
    ]
    if not found:
        return None
    names = [(str(name), place) for place, (own, _) in found for name in own]
    return names, hstack([table for _, (_, table) in found], format="csr")


def _words_of(texts: Sequence[str], tokenizer: Any) -> tuple[np.ndarray, object] | None:
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(binary=True, min_df=_MIN_VOTES, **term_options(texts, 2, tokenizer))
    try:
        table = counter.fit_transform(texts)
    except ValueError:  # no word is frequent enough
        return None
    return counter.get_feature_names_out(), table.tocsr()


def _patterns(words: tuple[list[tuple[str, str]], object], rows: np.ndarray, errors: np.ndarray) -> list[Pattern]:
    """Returns the words on which the error of a source exceeds its mean error most, worst first."""
    names, table = words
    own_texts = table[rows]  # type: ignore[index]
    counts = np.asarray(own_texts.sum(0)).ravel()
    rates = np.asarray(own_texts.T @ errors).ravel() / np.maximum(counts, 1)
    deviation = max(float(errors.std()), 1e-9)
    excess = (rates - errors.mean()) * np.sqrt(counts) / deviation
    excess[counts < _MIN_VOTES] = -np.inf
    worst = np.argsort(-excess, kind="stable")[:_MAX_PATTERNS]
    return [
        Pattern(names[k][0], int(counts[k]), float(rates[k].clip(0, 1)), names[k][1])
        for k in worst
        if excess[k] > _MIN_EXCESS
    ]
