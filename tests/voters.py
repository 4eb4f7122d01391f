"""Points with a class, and the votes of people or of rules on them."""

from __future__ import annotations

import numpy as np

from hf_noisy.data.noise import symmetric


def by_people(rows: int = 1200, seed: int = 0):
    """Points, and votes of four people who err at random."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, 3, rows)
    points = 4 * np.eye(3)[gold] + draw.standard_normal((rows, 3))
    votes = np.stack([symmetric(gold, 0.3, 3, seed=10 * seed + person).labels for person in range(4)], 1)
    votes[draw.random(votes.shape) < 0.3] = -1
    return points, votes, gold


def by_rules(rows: int = 1200, seed: int = 0):
    """Points that show six keywords and, faintly, the class; each keyword's rule votes wherever it is seen."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, 2, rows)
    speaks_for = np.arange(6) % 2
    seen = draw.random((rows, 6)) < np.where(speaks_for == gold[:, None], 0.35, 0.2)
    points = np.concatenate([2.0 * seen, gold[:, None] + draw.standard_normal((rows, 1))], 1)
    return points + 0.1 * draw.standard_normal(points.shape), np.where(seen, speaks_for, -1), gold
