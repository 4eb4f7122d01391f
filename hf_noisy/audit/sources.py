"""Each source of votes: where it votes, whom it contradicts, how often it seems right, and on which words it errs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hf_noisy.audit.content import Pattern, Source

_FEWEST = 8  # votes of a source on texts with a word, from which on the word is a pattern
_MOST = 3  # patterns of a source
_ABOVE = 2.0  # standard errors by which a pattern errs more often than its source


def describe_sources(
    votes: np.ndarray,
    names: Sequence[str],
    texts: Sequence[str],
    labelled: np.ndarray,
    judged: np.ndarray | None,
) -> list[Source]:
    """A `Source` for each column of `votes`.

    Accuracy is estimated by folds by rule: the mean probability of its votes by a head that never saw a row on which the
    rules voted that voted here (`hf_noisy.evidence.rules.folds`); None for a single source, which leaves no such row, and where no
    vote could be judged. Patterns are words on whose texts the votes are improbable more often than elsewhere.

    Args:
        votes: (rows, sources), -1 abstains.
        names: of the sources.
        texts: (rows,)
        labelled: row numbers of those with a label.
        judged: (labelled, classes) probabilities of these by such heads, NaN where a row is not judged; None without them.
    """
    words = _words([texts[int(row)] for row in labelled]) if judged is not None else None
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
                errs = 1 - judged[rows, own[rows]]
                accuracy, patterns = float(1 - errs.mean()), _patterns(words, rows, errs)
        described.append(
            Source(name, float(cast.mean()), float(conflicting.sum() / max(cast.sum(), 1)), accuracy, patterns)
        )
    return described


def _words(texts: Sequence[str]) -> tuple[np.ndarray, object] | None:
    """The words of at least a few texts, and (texts, words) sparse, 1 where a text has the word."""
    from sklearn.feature_extraction.text import CountVectorizer

    counter = CountVectorizer(binary=True, min_df=_FEWEST, ngram_range=(1, 2))
    try:
        table = counter.fit_transform(texts)
    except ValueError:  # no word is that common
        return None
    return counter.get_feature_names_out(), table.tocsr()


def _patterns(words: tuple[np.ndarray, object], rows: np.ndarray, errs: np.ndarray) -> list[Pattern]:
    """The words on which a source errs most beyond its own mean, the worst first."""
    names, table = words
    mine = table[rows]  # type: ignore[index]
    counts = np.asarray(mine.sum(0)).ravel()
    rates = np.asarray(mine.T @ errs).ravel() / np.maximum(counts, 1)
    deviation = max(float(errs.std()), 1e-9)
    excess = (rates - errs.mean()) * np.sqrt(counts) / deviation
    excess[counts < _FEWEST] = -np.inf
    worst = np.argsort(-excess, kind="stable")[:_MOST]
    return [Pattern(str(names[k]), int(counts[k]), float(rates[k].clip(0, 1))) for k in worst if excess[k] > _ABOVE]
