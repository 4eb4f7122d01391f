"""The rows of a fuzzed case: labels, votes, tokens, clean rows; and the order in which they come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from fuzz_cases import Case
from torch import Tensor

from hf_noisy.common.randomness import keyed_generator
from hf_noisy.data.label_encoding import IGNORED, one_hot
from hf_noisy.models.batch import Batch

TOKENS, WORDS = 6, 40


@dataclass(frozen=True)
class Rows:
    """What a trainer would read off its datasets."""

    labels: np.ndarray  # (rows,) with -100 for abstained; or (rows, classes) with zero rows
    gold: np.ndarray  # (rows,) true classes, some unknown (-1)
    votes: np.ndarray | None  # (rows, sources)
    ids: np.ndarray  # (rows, tokens)
    mask: np.ndarray  # (rows, tokens) padding on the right
    clean: np.ndarray  # (clean rows,) trusted classes, those of the last rows where they are trained on
    given: np.ndarray  # (clean rows,) their untrusted classes, -1 where unknown
    trusted: np.ndarray | None  # (rows,) True for clean rows that are trained on


def make_rows(case: Case, *, trains_on_clean: bool = False) -> Rows:
    """All by lot, from the case's seed; at least one row has a label, and one a vote."""
    draw = np.random.default_rng(case.seed)
    count, classes = case.rows, case.classes
    gold = draw.permutation(np.arange(count) % classes)
    labels = np.where(draw.random(count) < 0.7, gold, draw.integers(0, classes, count))
    labels[draw.permutation(count)[: min(count - 1, round(case.abstaining * count))]] = IGNORED
    votes = None
    if case.sources:
        right = draw.random((count, case.sources)) < 0.7
        votes = np.where(right, gold[:, None], draw.integers(0, classes, (count, case.sources)))
        votes[draw.random(votes.shape) < draw.choice([0.3, 0.6, 0.9])] = -1
        votes[0, 0] = gold[0]
    ids, lengths = draw.integers(1, WORDS, (count + 6, TOKENS)), draw.integers(1, TOKENS + 1, count + 6)
    mask = (np.arange(TOKENS) < lengths[:, None]).astype(np.int64)
    clean, given = draw.integers(0, classes, 6), draw.integers(-1, classes, 6)
    trusted = None
    if trains_on_clean:
        labels, gold = np.concatenate([labels, clean]), np.concatenate([gold, clean])
        votes = None if votes is None else np.concatenate([votes, np.full((6, case.sources), -1)])
        trusted = np.arange(len(labels)) >= count
    known = np.where(draw.random(len(gold)) < 0.8, gold, -1)
    if case.soft:
        labels = _softened(labels, classes, draw)
    return Rows(labels, known, votes, ids[: len(labels)], mask[: len(labels)], clean, given, trusted)


def _softened(labels: np.ndarray, classes: int, draw: np.random.Generator) -> np.ndarray:
    """(rows, classes) the labels blurred, some a little, some altogether, some not at all."""
    sure = one_hot(torch.from_numpy(labels), classes).numpy()
    share = draw.choice([0.0, 0.3, 1.0], (len(labels), 1))
    soft = (1 - share) * sure + share * draw.dirichlet(np.ones(classes), len(labels))
    return ((labels >= 0)[:, None] * soft).astype(np.float32)


@dataclass(frozen=True)
class Place:
    """One forward of a training."""

    name: str
    epoch: int
    first_of_epoch: bool
    batch: Batch
    last_of_step: bool

    def reordered(self, order: Tensor) -> Place:
        """The same rows in another order."""
        parts = {
            name: None if value is None else value[order]
            for name, value in vars(self.batch).items()
            if name in ("index", "given", "votes", "trusted", "real", "gathered_index")
        }
        return replace(self, batch=replace(self.batch, **parts))


def walk(case: Case, rows: Rows) -> Iterator[Place]:
    """The forwards of a training in one process, as the trainer would number them."""
    count = len(rows.labels)
    labels, votes = torch.from_numpy(rows.labels), None if rows.votes is None else torch.from_numpy(rows.votes)
    starts = range(0, count, case.batch)
    updates = -(-len(starts) // case.accumulation)
    most = max(1, round(case.epochs * updates))
    for epoch in range(-(-most // updates)):
        order = torch.randperm(count, generator=keyed_generator(case.seed, epoch, "order"))
        for number, start in enumerate(starts):
            step = epoch * updates + number // case.accumulation
            if step >= most:
                return
            index, real = order[start : start + case.batch], None
            if case.repeats:
                missing = case.batch - len(index)
                real = torch.arange(case.batch) < len(index)
                index = torch.cat([index, order.repeat(case.batch)[:missing]])
            batch = Batch(
                index=index,
                given=one_hot(labels, case.classes)[index],
                votes=None if votes is None else votes[index],
                epoch=step / updates,
                progress=step / most,
                key=(case.seed, step, number % case.accumulation + 1),
                trusted=None if rows.trusted is None else torch.from_numpy(rows.trusted)[index],
                real=real,
                gathered_index=index if real is None else torch.where(real, index, count),
                gather=lambda values: values,
            )
            ends = (number + 1) % case.accumulation == 0 or start == starts[-1]
            yield Place(f"epoch {epoch}, batch {number}", epoch, number == 0, batch, ends)
