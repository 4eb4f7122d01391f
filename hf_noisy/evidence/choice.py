"""Which method these labels call for, by what was seen of them: `auto` does it, and an audit recommends it."""

from __future__ import annotations

import math
from typing import Any

MIN_NOISE_RATE = 0.03  # share of labels that are taken for wrong, below which a method does not pay
MIN_CUT_STATISTIC = 1.0  # mean cut statistic, from which the encoder sees labels as similar texts have them
MIN_CV_GAIN_Z = 2.0  # standard errors by which labels must be told from texts better than by their frequency
MIN_LABELS = 50  # from which something is inferred of the others


def choose_features(sources: int, cut_statistic: float) -> str:
    """What truth is inferred from: "encoder", "words" or "both", as `TruthInference(vectors=...)` takes them.

    Where several sources vote, the words of a text give away which rule spoke, and a classifier that sees them repeats the
    rules: the encoder alone, unless it sees too little (then the words are all there is). Where there are labels alone, words
    and encoder together infer more than either. An encoder with random weights sees words too, but all alike, those by which
    rules vote among them: the words, weighed by how much they tell texts apart.

    Args:
        sources: that vote at all; 1 where there are labels alone.
        cut_statistic: the mean cut statistic of the labels by the encoder's vectors (`hf_noisy.evidence.features.scores.mean_cut_statistic`); NaN where
            the encoder is not pretrained.

    >>> choose_features(1, 0.5), choose_features(10, 2.0), choose_features(10, 0.1), choose_features(1, math.nan)
    ('both', 'encoder', 'words', 'words')
    """
    if math.isnan(cut_statistic):
        return "words"
    if sources <= 1:
        return "both"
    return "encoder" if cut_statistic >= MIN_CUT_STATISTIC else "words"


def choose_method(
    *,
    labelled: int,
    rows: int,
    sources: int,
    cut_statistic: float,
    cv_gain_z: float,
    rate: float,
    min_labels: int = MIN_LABELS,
) -> tuple[str, dict[str, Any], str]:
    """The method, its parameters and the reason in a sentence.

    Cross-entropy on the labels as they are (`ce`) with too few labels, where texts say too little of them, and where too few come
    out as wrong; else `truth_inference`.

    Args:
        labelled: rows with a label.
        rows: all of them.
        sources: that vote at all; 1 where there are labels alone.
        cut_statistic: as in `choose_features`.
        cv_gain_z: by how many standard errors labels are told from texts better than by their frequency
            (`hf_noisy.evidence.features.scores.cv_gain_z`).
        rate: share of the labels that `hf_noisy.evidence.inference.infer_truth.infer_truth` takes for wrong.
        min_labels: below which nothing is inferred.

    >>> choose_method(labelled=900, rows=1000, sources=1, cut_statistic=2.0, cv_gain_z=9.0, rate=0.2)[:2]
    ('truth_inference', {'sources': 'label', 'vectors': 'both'})
    """
    if labelled < min_labels:
        return "ce", {}, f"{labelled} labels are too few to infer others from (expected {min_labels})."
    if math.isnan(cv_gain_z):
        return "ce", {}, f"of {labelled} labels none can be held out, since they are too few or all of one class."
    if cv_gain_z < MIN_CV_GAIN_Z:
        better = f"{cv_gain_z:.1f} standard errors more often than the commonest class is (expected {MIN_CV_GAIN_Z:g} or more)"
        return (
            "ce",
            {},
            f"texts say too little of their labels: a label that was held out is told from its text {better}.",
        )
    wrong = f"{rate:.1%} of {labelled:,} labels come out as wrong"
    if rate < MIN_NOISE_RATE:
        return "ce", {}, f"{wrong}, too few for a method to pay."
    by = f"the votes of {sources} sources" if sources > 1 else "the labels as one source"
    view = choose_features(sources, cut_statistic)
    unlabeled = f"; {rows - labelled:,} rows without a label are taught too" if rows > labelled else ""
    if math.isnan(cut_statistic):
        seen = "the words of texts (the encoder is not pretrained)"
    else:
        seen = f"{_SEEN[view]} (labels have a mean cut statistic of {cut_statistic:.2g} by the encoder)"
    reason = f"{wrong}, by {by} and by {seen}{unlabeled}."
    return "truth_inference", {"sources": "votes" if sources > 1 else "label", "vectors": view}, reason


_SEEN = {
    "encoder": "what the encoder sees in texts",
    "words": "the words of texts, since the encoder sees little of the labels",
    "both": "what the encoder sees in texts, and their words",
}
