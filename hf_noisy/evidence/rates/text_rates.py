"""How many labels of texts are wrong and of what kind they are, by all that an audit knows of them."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np

from hf_noisy.evidence.features.frozen import out_of_fold_probabilities
from hf_noisy.evidence.features.text_features import text_features
from hf_noisy.evidence.inference.infer_classes import infer_classes
from hf_noisy.evidence.rates.report import NoiseReport, estimate_noise
from hf_noisy.weak.label_model import label_model_probabilities


def estimate_texts(
    texts: Sequence[str],
    labels: np.ndarray,
    vectors: np.ndarray,
    votes: np.ndarray | None,
    classes: int,
    *,
    folds: int = 5,
    estimators: Sequence[str] | None = None,
    resamples: int,
    seed: int,
) -> tuple[NoiseReport, np.ndarray]:
    """As `estimate_labels`, by what an audit of these texts would find out first.

    Args:
        texts: (rows,)
        labels: (rows,) class ids, -1 where there is none.
        vectors: (rows, width) of an encoder that never saw the labels.
        votes: (rows, sources), -1 abstains; None where there are labels alone.
        classes: how many there are.
        folds: of the rows, for held-out probabilities.
        estimators, resamples, seed: of `estimate_noise`.
    """
    sight, kept = text_features(texts, vectors, labels, votes, classes, seed), np.flatnonzero(labels >= 0)
    return estimate_labels(
        labels[kept],
        held_out=out_of_fold_probabilities(sight.view[kept], labels[kept], classes, folds, seed),
        inferred=infer_classes(sight.view, labels, votes, classes, seed)[kept],
        vectors=vectors[kept],
        votes=None if votes is None else votes[kept],
        estimators=estimators,
        resamples=resamples,
        seed=seed,
    )


def estimate_labels(
    labels: np.ndarray,
    *,
    held_out: np.ndarray,
    inferred: np.ndarray,
    vectors: np.ndarray,
    votes: np.ndarray | None,
    estimators: Sequence[str] | None = None,
    resamples: int,
    seed: int,
) -> tuple[NoiseReport, np.ndarray]:
    """What estimators say of the classes that are among the labels (of one that is never given nothing can be estimated).

    Args:
        labels: (rows,) class ids, one for each row.
        held_out: (rows, classes) probabilities by models that never saw the row.
        inferred: (rows, classes) by `hf_noisy.evidence.inference.infer_classes.infer_classes`.
        vectors: (rows, width) of a frozen encoder.
        votes: (rows, sources), -1 abstains; fewer than three sources tell nothing of each other.
        estimators, resamples, seed: of `estimate_noise`.

    Returns:
        the report, whose matrices are of the classes that are given, and these: (present,) class ids.

    Raises:
        ValueError: labels are of one class only, or as `estimate_noise`.
    """
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(
            f"all {len(labels)} labels are of class {present[0]}: expected two classes or more to compare."
        )
    place = np.full(held_out.shape[1] + 1, -1)  # the last is for -1, which abstains
    place[present] = np.arange(len(present))
    cast = None if votes is None else place[votes]
    several = cast is not None and cast.shape[1] >= 3
    with warnings.catch_warnings():  # they are out of fold, however well labels are predicted
        warnings.filterwarnings("ignore", message="the most probable class is the given label")
        report = estimate_noise(
            place[labels],
            probs=_among(held_out, present),
            features=vectors,
            votes=cast,
            label_model=label_model_probabilities(cast, len(present), seed=seed)
            if cast is not None and several
            else None,
            inferred=_among(inferred, present),
            estimators=estimators,
            resamples=resamples,
            seed=seed,
        )
    return report, present


def _among(probabilities: np.ndarray, present: np.ndarray) -> np.ndarray:
    shares = np.maximum(probabilities[:, present], 1e-12)
    return shares / shares.sum(1, keepdims=True)
