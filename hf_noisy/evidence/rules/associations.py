"""Tokens associated with the votes of a source, from the votes alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hf_noisy.weak.votes import check_votes


def associated_tokens(
    rows: Sequence[np.ndarray],
    votes: np.ndarray,
    *,
    precision: float = 0.9,
    min_count: int = 5,
    level: float = 0.01,
) -> list[np.ndarray]:
    """Marks the tokens of each row that are associated with a vote on that row: (tokens,) bool.

    A token is associated with the vote of a source for a class if at least `precision` of the rows with the token have
    that vote, and if this is more than chance. For the latter, the likelihood ratio G^2 of token and vote must pass
    `level` divided by the number of tested pairs of token and vote.

    Source: G^2 as Dunning, "Accurate Methods for the Statistics of Surprise and Coincidence", 1993, uses it for words.

    Args:
        rows: (tokens,) ids of each row.
        votes: (rows, sources), -1 abstains.
        precision: in (0, 1].
        min_count: minimum number of rows with the token, at least 1; rarer tokens are not associated with a vote.
        level: significance level of the test, in (0, 1).

    Raises:
        ValueError, TypeError: votes that are not a table of integers.

    >>> texts = [np.array([0, 7, row % 3 + 1]) for row in range(30)]  # a vote wherever there is token 1, none else
    >>> votes = np.where(np.arange(30)[:, None] % 3 == 0, 1, -1)
    >>> associated_tokens(texts, votes)[0], associated_tokens(texts, votes)[1]
    (array([False, False,  True]), array([False, False, False]))
    """
    from scipy.sparse import csr_array

    votes = check_votes(votes)
    lengths = np.array([len(row) for row in rows])
    every = np.concatenate(rows)
    ids, place_of = np.flatnonzero(np.bincount(every)), np.zeros(every.max(initial=0) + 1, dtype=np.int32)
    place_of[ids] = np.arange(len(ids))
    places, owners = place_of[every], np.repeat(np.arange(len(rows), dtype=np.int32), lengths)
    del every
    present = csr_array((np.ones(len(places), dtype=np.int32), (owners, places)), shape=(len(rows), len(ids)))
    present.data[:] = 1  # a token counts once per row
    cast = _vote_indicators(votes)
    together = np.asarray((cast.T @ present).todense())
    associated = _significant(together, present.sum(0), cast.sum(0), len(rows), precision, min_count, level)
    explained = csr_array(cast @ csr_array(associated.astype(float)))  # (rows, ids) > 0: goes with a vote of the row
    asked = np.flatnonzero(np.asarray(associated.any(0))[places])  # tokens associated with any vote
    flat = np.zeros(len(places), dtype=bool)
    if len(asked):
        flat[asked] = np.asarray(explained[owners[asked], places[asked]]).ravel() > 0
    return np.split(flat, np.cumsum(lengths)[:-1])


def _vote_indicators(votes: np.ndarray) -> Any:
    """Returns a sparse (rows, votes that occur) matrix, 1 where a row has this vote of a source for a class."""
    from scipy.sparse import csr_array

    owners, sources = np.nonzero(votes >= 0)
    _, kinds = np.unique(sources * (votes.max(initial=0) + 1) + votes[owners, sources], return_inverse=True)
    return csr_array((np.ones(len(owners)), (owners, kinds)), shape=(len(votes), int(kinds.max(initial=0)) + 1))


def _significant(
    together: np.ndarray,
    tokens: np.ndarray,
    cast: np.ndarray,
    rows: int,
    precision: float,
    min_count: int,
    level: float,
) -> np.ndarray:
    """Tests which tokens are associated with which votes, (votes, ids), from the joint and the single counts."""
    from scipy.special import xlogy
    from scipy.stats import chi2

    only_token, only_vote = tokens - together, cast[:, None] - together
    cells = (together, only_token, only_vote, rows - together - only_token - only_vote)
    margins = (tokens, rows - tokens, cast, rows - cast)
    g2 = 2 * (sum(xlogy(cell, cell) for cell in cells) + xlogy(rows, rows))
    g2 -= 2 * ((xlogy(margins[0], margins[0]) + xlogy(margins[1], margins[1]))[None])
    g2 -= 2 * ((xlogy(margins[2], margins[2]) + xlogy(margins[3], margins[3]))[:, None])
    often = tokens >= min_count
    tried = max(1, int(often.sum()) * len(cast))
    likelier = together * rows > tokens * cast[:, None]
    return often & likelier & (together >= precision * tokens) & (g2 >= chi2.isf(level / tried, 1))
