"""Which method these labels call for, by what was seen of them: `auto` does it, and an audit recommends it."""

from __future__ import annotations

from typing import Any

from hf_noisy.thresholds import FEW_WRONG

LIKE = 1.0  # mean cut statistic, from which similar texts say enough of a label
MIN_LABELS = 50  # from which something is inferred of the others


def choose_method(
    *, labelled: int, rows: int, sources: int, coherence: float, rate: float, min_labels: int = MIN_LABELS
) -> tuple[str, dict[str, Any], str]:
    """The method, its parameters and the reason in a sentence.

    Cross-entropy on the labels as they are (`ce`) with too few labels, where similar texts say too little of them, and where
    too few come out as wrong; else `truth_inference`.

    Args:
        labelled: rows with a label.
        rows: all of them.
        sources: that vote at all; 1 where there are labels alone.
        coherence: the mean cut statistic of the labels (`hf_noisy.truth.mean_coherence`).
        rate: share of the labels that `hf_noisy.truth.infer_truth` takes for wrong.
        min_labels: below which nothing is inferred.

    >>> choose_method(labelled=900, rows=1000, sources=1, coherence=2.0, rate=0.2)[:2]
    ('truth_inference', {'sources': 'label'})
    """
    if labelled < min_labels:
        return "ce", {}, f"{labelled} labels are too few to infer others from (expected {min_labels})."
    if not coherence >= LIKE:
        told = f"a mean cut statistic of {coherence:.2g} by this encoder, expected {LIKE:g}"
        return "ce", {}, f"similar texts say too little of a label ({told})."
    wrong = f"{rate:.1%} of {labelled:,} labels come out as wrong"
    if rate < FEW_WRONG:
        return "ce", {}, f"{wrong}, too few for a method to pay."
    by = f"the votes of {sources} sources" if sources > 1 else "the labels as one source"
    unlabeled = f"; {rows - labelled:,} rows without a label are taught too" if rows > labelled else ""
    reason = f"{wrong}, by {by} and by similar texts (a mean cut statistic of {coherence:.2g}){unlabeled}."
    return "truth_inference", {"sources": "votes" if sources > 1 else "label"}, reason
