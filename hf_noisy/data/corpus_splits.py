"""A corpus, and its splits as datasets of the same columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hf_noisy.data.pairs import TEXT, TEXT_PAIR
from hf_noisy.weak.votes import votes_feature

if TYPE_CHECKING:
    from datasets import Dataset

SOFT = "soft_labels"


@dataclass(frozen=True)
class Corpus:
    """Texts with the votes of weak sources, and gold labels where they are known, which are for evaluation only.

    The columns of a split are `id` (str), `text` (str), `weak_labels` (a list with one vote a source, -1 abstains) and
    `gold` (int, -1 if unknown). With two texts a row there is also `text_pair` (str). If the labels are probabilities, all splits have also `soft_labels` (a list of one float
    a class, zeros if unknown), and the vote of a row is its most probable class.
    """

    name: str
    class_names: tuple[str, ...]
    train: Dataset
    valid: Dataset | None = None  # the same columns; None if the source has no such split
    test: Dataset | None = None
    notes: tuple[str, ...] = ()  # what the reader decided where the file did not say it, a sentence each
    left_out: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # split -> ids of its rows without a text
    sources: tuple[str, ...] = ()  # names of the sources of votes, if they have any
    columns: Mapping[str, str] = field(default_factory=dict)  # role ("text", "labels", ...) -> the columns that have it

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)

    @property
    def splits(self) -> dict[str, Dataset]:
        """The splits that exist."""
        found = {"train": self.train, "valid": self.valid, "test": self.test}
        return {split: rows for split, rows in found.items() if rows is not None}


def split_of_columns(
    ids: Any, texts: Any, votes: np.ndarray, gold: np.ndarray, soft: np.ndarray | None = None, pairs: Any = None
) -> Dataset:
    """Return a split.

    Args:
        ids: (rows,) strings, a list or Arrow array.
        texts: (rows,) strings.
        votes: (rows, sources), -1 abstains.
        gold: (rows,), -1 where unknown.
        soft: (rows, classes) probabilities, if the labels are soft.
        pairs: (rows,) the second texts, if there are two a row.
    """
    from datasets import Dataset, DatasetInfo, Features, List, Value
    from datasets.fingerprint import generate_random_fingerprint
    from datasets.table import InMemoryTable

    from hf_noisy.data.columns import lists_of

    features = {"id": Value("string"), TEXT: Value("string")}
    columns = {"id": _strings(ids), TEXT: _strings(texts)}
    if pairs is not None:
        features[TEXT_PAIR], columns[TEXT_PAIR] = Value("string"), _strings(pairs)
    features |= {"weak_labels": votes_feature(), "gold": Value("int64")}
    columns |= {
        "weak_labels": lists_of(np.asarray(votes, dtype=np.int16)),
        "gold": pa.array(np.asarray(gold, dtype=np.int64)),
    }
    if soft is not None:
        features[SOFT], columns[SOFT] = List(Value("float32")), lists_of(np.asarray(soft, dtype=np.float32))
    known = Features(features)
    table = pa.table(columns).cast(known.arrow_schema)
    return Dataset(InMemoryTable(table), info=DatasetInfo(features=known), fingerprint=generate_random_fingerprint())


def _strings(values: Any) -> Any:
    return values if isinstance(values, pa.ChunkedArray | pa.Array) else pa.array(values, pa.string())
