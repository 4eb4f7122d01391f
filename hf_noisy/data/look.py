"""What is understood of a table, in words: rows, classes, sources, repeated texts, lengths, and what looks odd."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hf_noisy.data.corpus import READ
from hf_noisy.data.corpus_splits import SOFT, Corpus
from hf_noisy.data.pairs import TEXT, TEXT_PAIR
from hf_noisy.data.reading.options import listed
from hf_noisy.weak.votes import covered, votes_of

if TYPE_CHECKING:
    from datasets import Dataset

_FEW_ROWS = 5  # a class with fewer is pointed at
_MANY_CLASSES = 20  # so many are printed


@dataclass(frozen=True)
class SplitLook:
    """One split."""

    rows: int
    labelled: int
    class_counts: np.ndarray  # (classes,) rows by the first source that votes
    repeated: int  # rows whose text occurs in an earlier row
    disagreeing: int  # texts that occur several times with different labels
    words: tuple[int, int, int]  # words of a text: median, 95th percentile, most
    long_share: float  # share of texts with more words than `max_length`


@dataclass(frozen=True)
class Look:
    """What is understood of a corpus. `str` gives the text that `hf-noisy look` prints."""

    first_lines: tuple[str, ...]
    class_names: tuple[str, ...]
    splits: Mapping[str, SplitLook]
    sources: Mapping[str, tuple[float, float]]  # name -> coverage, and conflict with other sources where both vote
    leaked: Mapping[str, int]  # split -> rows whose text is also one of training
    odd: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [*self.first_lines, self._classes()]
        train = self.splits["train"]
        lines.append(f"labels: {train.labelled:,} of {train.rows:,} training rows have one")
        if len(self.sources) > 1:
            lines.append("sources: coverage, conflict with others")
            lines += [f"  {name}: {cover:.0%}, {conflict:.0%}" for name, (cover, conflict) in self.sources.items()]
        median, high, most = train.words
        lines.append(f"words of a text: median {median}, 95 % have at most {high}, longest {most}")
        lines.append(
            f"repeated texts: {train.repeated:,} training rows, {train.disagreeing:,} texts with different labels"
        )
        lines += [f"odd: {sentence}" for sentence in self.odd] or ["nothing looks odd"]
        return "\n".join(lines)

    def _classes(self) -> str:
        counts = self.splits["train"].class_counts
        order = np.argsort(-counts, kind="stable")
        shown = ", ".join(f"{self.class_names[k]} {counts[k]:,}" for k in order[:_MANY_CLASSES])
        return f"{len(self.class_names)} classes: {shown}{', ...' * (len(order) > _MANY_CLASSES)}"


def first_lines(corpus: Corpus) -> list[str]:
    """Return the first lines of a look, which other commands print before they begin: rows, columns, what was decided."""
    counts = ", ".join(f"{split} {len(rows):,}" for split, rows in corpus.splits.items())
    roles = ", ".join(f"{role} {column}" for role, column in corpus.columns.items())
    notes = [f"- {note.removeprefix(READ)}" for note in corpus.notes]
    return [f"{corpus.name}: {counts} rows{f'; {roles}' if roles else ''}", *notes]


def look_at(corpus: Corpus, *, max_length: int = 128) -> Look:
    """Describe a corpus.

    Args:
        corpus: as returned by `load_corpus`.
        max_length: the number of words beyond which a text counts as long.
    """
    classes = corpus.num_classes
    looks = {split: _split(rows, classes, max_length) for split, rows in corpus.splits.items()}
    votes = votes_of(corpus.train)
    names = (
        list(corpus.sources)
        if len(corpus.sources) == votes.shape[1]
        else [f"source {k}" for k in range(votes.shape[1])]
    )
    sources = dict(zip(names, _sources(votes), strict=True))
    texts = pc.unique(_text(corpus.train))
    leaked = {
        split: int(pc.sum(pc.is_in(_text(rows), value_set=texts)).as_py() or 0)
        for split, rows in corpus.splits.items()
        if split != "train"
    }
    odd = tuple(_odd(corpus, looks, leaked, max_length))
    return Look(tuple(first_lines(corpus)), corpus.class_names, looks, sources, leaked, odd)


def _text(rows: Dataset) -> pa.ChunkedArray:
    from hf_noisy.data.columns import stored_column

    found = stored_column(rows, TEXT)
    if TEXT_PAIR in rows.column_names:
        found = pc.binary_join_element_wise(found, stored_column(rows, TEXT_PAIR), " \u2016 ")
    return found if isinstance(found, pa.ChunkedArray) else pa.chunked_array([found])


def _split(rows: Dataset, classes: int, max_length: int) -> SplitLook:
    votes = votes_of(rows)
    labels = votes[np.arange(len(votes)), (votes >= 0).argmax(1)]
    texts = _text(rows)
    words = np.asarray(pc.list_value_length(pc.utf8_split_whitespace(pc.utf8_trim_whitespace(texts))))
    codes = np.asarray(pc.dictionary_encode(texts).combine_chunks().indices)
    repeated = len(codes) - len(np.unique(codes))
    pairs = np.unique(np.stack([codes, labels])[:, labels >= 0], axis=1)
    disagreeing = int((np.unique(pairs[0], return_counts=True)[1] > 1).sum()) if pairs.size else 0
    return SplitLook(
        len(rows),
        int(covered(votes).sum()),
        np.bincount(labels[labels >= 0], minlength=classes),
        repeated,
        disagreeing,
        (int(np.median(words)), int(np.percentile(words, 95)), int(words.max())),
        float((words > max_length).mean()),
    )


def _sources(votes: np.ndarray) -> list[tuple[float, float]]:
    """Return coverage of each source, and the share of its votes that another source contradicts."""
    found = []
    for source in range(votes.shape[1]):
        voted = votes[:, source] >= 0
        others = np.delete(votes, source, axis=1)
        against = ((others >= 0) & (others != votes[:, [source]])).any(1)
        found.append((float(voted.mean()), float(against[voted].mean()) if voted.any() else 0.0))
    return found


def _odd(corpus: Corpus, looks: Mapping[str, SplitLook], leaked: Mapping[str, int], max_length: int) -> Sequence[str]:
    train = looks["train"]
    found = []
    rare = [f"{corpus.class_names[k]} ({count})" for k, count in enumerate(train.class_counts) if count < _FEW_ROWS]
    if rare and SOFT not in corpus.train.column_names:
        found.append(f"classes with fewer than {_FEW_ROWS} training rows: {listed(rare)}")
    if train.long_share > 0:
        share = f"{train.long_share:.0%}" if train.long_share >= 0.01 else "under 1 %"
        found.append(f"{share} of the texts have more than {max_length} words, so they are cut (max_length)")
    if train.disagreeing:
        found.append(f"{train.disagreeing:,} texts occur several times with different labels; the audit shows them")
    for split, rows in leaked.items():
        if rows:
            found.append(f"{rows:,} of {looks[split].rows:,} {split} rows have a text of the training rows")
    if train.labelled < train.rows / 2:
        found.append(f"{1 - train.labelled / train.rows:.0%} of the training rows have no label")
    return found
