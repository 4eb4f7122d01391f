"""Derives a corpus from another one: with imbalanced classes, or with each class split into several."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hf_noisy.benchmark.settings import Settings
from hf_noisy.benchmark.vectors import VectorStore
from hf_noisy.data.corpus import Corpus
from hf_noisy.data.pairs import texts_of

if TYPE_CHECKING:
    from datasets import Dataset
    from sklearn.cluster import KMeans

FEWEST = 5  # training rows of the rarest class after a cut
_SPLITS = ("train", "valid", "test")
_SEED_SALT = 0x637574  # the rows that a cut keeps are independent of those that a seed sets aside


def derive(corpus: Corpus, settings: Settings, seed: int, vectors: str | Path | None = None) -> Corpus:
    """Returns the corpus that `settings` ask for: first each class is split, then the classes are cut.

    Args:
        corpus: with true labels of the training rows, if `imbalance` or `split_classes` is set.
        settings: with `imbalance` and `split_classes`.
        seed: of the rows that a cut keeps.
        vectors: folder of stored vectors; None keeps none.

    Raises:
        ValueError: as `check_derivable`.
    """
    check_derivable(corpus, settings)
    if settings.split_classes is not None:
        store = VectorStore(vectors, settings.model, settings.max_length)
        corpus = with_split_classes(corpus, settings.split_classes, store)
    if settings.imbalance is not None:
        corpus = with_imbalance(corpus, settings.imbalance, seed)
    return corpus


def check_derivable(corpus: Corpus, settings: Settings) -> None:
    """Checks that the training rows have enough true labels.

    Raises:
        ValueError: a class that is to be split has fewer than two rows for each part; or the rarest class would keep
            fewer than five rows of a cut.
    """
    gold = _gold(corpus.train)
    counts = np.bincount(gold[gold >= 0], minlength=corpus.num_classes)
    rarest = corpus.class_names[int(counts.argmin())]
    parts = settings.split_classes
    if parts is not None and counts.min() < 2 * parts:
        raise ValueError(
            f"split_classes={parts}: {counts.min()} training rows of {corpus.name} have the true class {rarest!r}: expected "
            f"at least {2 * parts}. Give a smaller number, or more rows."
        )
    if settings.imbalance is not None and parts is None:
        _check_kept(corpus.name, counts, settings.imbalance)


def with_imbalance(corpus: Corpus, ratio: float, seed: int) -> Corpus:
    """Leaves out rows, so that the class counts fall geometrically, the commonest to the rarest class as `ratio` to 1.

    Classes keep the order of their frequency in the training rows. As many rows as possible are kept. The other splits
    keep the same share of each class as the training rows, and at least one row. Rows without a true label are left out.

    Args:
        corpus: with true labels.
        ratio: above 1.
        seed: of the rows that are kept.

    Raises:
        ValueError: the rarest class would keep fewer than five training rows.
    """
    gold = _gold(corpus.train)
    counts = np.bincount(gold[gold >= 0], minlength=corpus.num_classes)
    shares = _check_kept(corpus.name, counts, ratio) / counts
    draw = np.random.default_rng((seed, _SEED_SALT))

    def cut(rows: Dataset) -> Dataset:
        kept = []
        true = _gold(rows)
        for label, share in enumerate(shares):
            members = np.flatnonzero(true == label)
            size = min(len(members), max(1, round(share * len(members))))
            kept.append(draw.permutation(members)[:size])
        return rows.select(np.sort(np.concatenate(kept)))

    return replace(corpus, **{name: cut(rows) for name, rows in _splits(corpus).items()})


def geometric_counts(counts: Sequence[int] | np.ndarray, ratio: float) -> np.ndarray:
    """Returns (classes,) the largest counts that fall geometrically by `ratio`, in the order of `counts`, within them.

    >>> geometric_counts([500, 80, 400], 10)
    array([500,  50, 158])
    """
    counts = np.asarray(counts)
    order = np.argsort(-counts, kind="stable")
    weights = np.empty(len(counts))
    weights[order] = ratio ** -np.linspace(0, 1, len(counts))
    return np.round((counts / weights).min() * weights).astype(int)


def _check_kept(name: str, counts: np.ndarray, ratio: float) -> np.ndarray:
    """Returns (classes,) the rows that a cut keeps."""
    kept = geometric_counts(counts, ratio)
    if kept.min() < FEWEST:
        raise ValueError(
            f"imbalance={ratio:g}: the rarest class would keep {kept.min()} of the training rows of {name}: expected at least "
            f"{FEWEST}. Give a smaller number, or more rows with true labels."
        )
    return kept


def with_split_classes(corpus: Corpus, parts: int, store: VectorStore) -> Corpus:
    """Splits each class into `parts` by k-means on the vectors of its training rows.

    Rows of all splits get the part whose centre is nearest. The votes of the sources name the classes of before, so they
    are replaced by abstentions: inject noise.

    Args:
        corpus: with true labels, of which each class has at least two training rows for each part.
        parts: at least 2.
        store: of the vectors.
    """
    texts = list(dict.fromkeys(text for rows in _splits(corpus).values() for text in texts_of(rows)))
    table, numbers = store.vectors(texts), {text: row for row, text in enumerate(texts)}
    true = {name: _gold(rows) for name, rows in _splits(corpus).items()}
    of_split = {name: table[[numbers[text] for text in texts_of(rows)]] for name, rows in _splits(corpus).items()}
    found = {name: np.full(len(gold), -1) for name, gold in true.items()}
    for label in range(corpus.num_classes):
        clusters = _clusters(of_split["train"][true["train"] == label], parts)
        for name, gold in true.items():
            members = np.flatnonzero(gold == label)
            if len(members):
                found[name][members] = label * parts + clusters.predict(of_split[name][members])
    names = tuple(f"{name} / {part + 1}" for name in corpus.class_names for part in range(parts))
    splits = {name: _relabelled(rows, found[name]) for name, rows in _splits(corpus).items()}
    return replace(corpus, class_names=names, **splits)


def _clusters(vectors: np.ndarray, parts: int) -> KMeans:
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # repeated texts: some parts are then empty
        return KMeans(parts, n_init=1, random_state=0).fit(vectors)


def _relabelled(rows: Dataset, gold: np.ndarray) -> Dataset:
    sources = len(rows[0]["weak_labels"]) if len(rows) else 1
    without = rows.remove_columns(["gold", "weak_labels"])
    return without.add_column("weak_labels", [[-1] * sources] * len(rows)).add_column("gold", gold)


def _splits(corpus: Corpus) -> dict[str, Dataset]:
    return {name: rows for name in _SPLITS if (rows := getattr(corpus, name)) is not None}


def _gold(rows: Dataset) -> np.ndarray:
    return np.array(rows["gold"][:])
