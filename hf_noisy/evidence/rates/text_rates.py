"""Noise rate and kind of noise of labelled texts, from all inputs that an audit computes."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hf_noisy.data.label_encoding import one_hot_rows
from hf_noisy.data.pairs import Text
from hf_noisy.evidence.features.frozen import out_of_fold_probabilities
from hf_noisy.evidence.features.text_features import text_features
from hf_noisy.evidence.inference.infer_classes import infer_classes
from hf_noisy.evidence.inference.label_evidence import LabelEvidence, weigh_labels
from hf_noisy.evidence.rates.interval import estimate_rate
from hf_noisy.evidence.rates.noise_report import NoiseReport
from hf_noisy.evidence.rates.report import estimate_noise
from hf_noisy.weak.label_model import label_model_probabilities


def estimate_texts(
    texts: Sequence[Text],
    labels: np.ndarray,
    vectors: np.ndarray,
    votes: np.ndarray | None,
    classes: int,
    *,
    folds: int = 5,
    estimators: Sequence[str] | None = None,
    resamples: int,
    seed: int,
    tokenizer: Any = None,
) -> tuple[NoiseReport, np.ndarray]:
    """Computes from the texts what an audit would compute, and estimates the noise with `estimate_labels`.

    Args:
        texts: (rows,), strings or pairs of strings
        labels: (rows,) class ids, -1 for no label.
        vectors: (rows, width) of an encoder that was not trained on the labels.
        votes: (rows, sources), -1 abstains; None with labels only.
        classes: number of classes.
        folds: number of folds for the held-out probabilities.
        estimators, resamples, seed: as for `estimate_noise`.
        tokenizer: as for `text_features`.
    """
    features, kept = text_features(texts, vectors, labels, votes, classes, seed, tokenizer), np.flatnonzero(labels >= 0)
    return estimate_labels(
        labels[kept],
        held_out=out_of_fold_probabilities(features.view[kept], labels[kept], classes, folds, seed),
        inferred=infer_classes(features.view, labels, votes, classes, seed)[kept],
        vectors=vectors[kept],
        votes=None if votes is None else votes[kept],
        weighed=weigh_labels(features.view, one_hot_rows(labels, classes), votes, seed=seed),
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
    weighed: LabelEvidence | None = None,
    estimators: Sequence[str] | None = None,
    resamples: int,
    seed: int,
) -> tuple[NoiseReport, np.ndarray]:
    """Estimates the noise of the classes that occur among the labels; nothing can be estimated for the others.

    Args:
        labels: (rows,) class ids, one for each row.
        held_out: (rows, classes) probabilities by models that were not trained on the row.
        inferred: (rows, classes) from `hf_noisy.evidence.inference.infer_classes.infer_classes`.
        vectors: (rows, width) of a frozen encoder.
        votes: (rows, sources), -1 abstains; the label model needs at least three sources.
        weighed: outcome of `hf_noisy.evidence.inference.label_evidence.weigh_labels`. If given, it determines the rate
            and its interval.
        estimators, resamples, seed: as for `estimate_noise`.

    Returns:
        The report, whose matrices cover the classes that occur, and the ids of these classes (present,).

    Raises:
        ValueError: labels are of one class only, or as `estimate_noise`.
    """
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(
            f"all {len(labels)} labels are of class {present[0]}: expected two classes or more to compare."
        )
    place = np.full(held_out.shape[1] + 1, -1)  # the last entry is for -1, which abstains
    place[present] = np.arange(len(present))
    present_votes = None if votes is None else place[votes]
    several = present_votes is not None and present_votes.shape[1] >= 3
    with warnings.catch_warnings():  # the probabilities are out of fold, however well they predict the labels
        warnings.filterwarnings("ignore", message="the most probable class is the given label")
        report = estimate_noise(
            place[labels],
            probs=_among(held_out, present),
            features=vectors,
            votes=present_votes,
            label_model=label_model_probabilities(present_votes, len(present), seed=seed)
            if present_votes is not None and several
            else None,
            inferred=_among(inferred, present),
            estimators=estimators,
            resamples=resamples,
            seed=seed,
        )
    if weighed is not None and not math.isnan(weighed.rate):
        report = replace(report, weighed=estimate_rate(weighed))
    return report, present


def _among(probabilities: np.ndarray, present: np.ndarray) -> np.ndarray:
    shares = np.maximum(probabilities[:, present], 1e-12)
    return shares / shares.sum(1, keepdims=True)
