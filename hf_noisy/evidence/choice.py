"""Choice of the text features and of the training method, used by `auto` and for the recommendation of an audit."""

from __future__ import annotations

import math
from typing import Any

MIN_NOISE_RATE = 0.03  # estimated noise rate below which a method does not pay
MIN_CUT_STATISTIC = 1.0  # mean cut statistic from which the encoder's neighbours agree in their labels
MIN_MOVED = 0.04  # share of labels that inference must change for it to pay
WEIGHTS: dict[str, Any] = {"how": "weight"}  # parameters of `neighbours`
MIN_LABELS = 50  # minimum number of labels to infer true classes


def choose_features(sources: int, cut_statistic: float) -> str:
    """Chooses the text features for inference: "encoder", "words" or "both".

    The result is an argument of `TruthInference(vectors=...)`.

    If several sources vote, the words of a text reveal which rule voted, and a classifier on words repeats the rules.
    The encoder alone is used then. If its cut statistic is too low, words are used, since no other features remain.
    With labels only, words and encoder together infer more than either. An encoder with random weights represents words
    too, but weights all of them alike, including the words by which rules vote. Word features are used then: they
    weight words by how well they distinguish texts.

    Args:
        sources: number of sources that vote at all; 1 with labels only.
        cut_statistic: mean cut statistic of the labels with the encoder's vectors
            (`hf_noisy.evidence.features.scores.mean_cut_statistic`); NaN if the encoder is not pretrained.

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
    rate: float,
    interval: tuple[float, float],
    moved: float,
    min_labels: int = MIN_LABELS,
) -> tuple[str, dict[str, Any], str]:
    """Chooses a training method and its parameters, and gives the reason in a sentence.

    The method is `ce` (cross-entropy on the given labels) if there are too few labels. It is `truth_inference` if
    inference would change enough of them. Otherwise the given labels are taught: with the weights of `neighbours` if
    similar texts agree in their labels, else with `ce`.

    Args:
        labelled: number of rows with a label.
        rows: number of all rows.
        sources: number of sources that vote at all; 1 with labels only.
        cut_statistic: as in `choose_features`.
        rate: share of wrong labels, as in `hf_noisy.evidence.rates.interval.estimate_rate`; NaN if it cannot be
            estimated.
        interval: its lower and upper bound, as there.
        moved: share of the labels whose inferred class is another one, as there.
        min_labels: minimum number of labels to infer true classes.

    >>> choose_method(labelled=900, rows=1000, sources=1, cut_statistic=2.0, rate=0.2, interval=(0.1, 0.3), moved=0.15)[:2]
    ('truth_inference', {'sources': 'label', 'vectors': 'both'})
    """
    if labelled < min_labels:
        return "ce", {}, f"{labelled} labels are too few to infer others from (expected {min_labels})."
    if math.isnan(rate):
        return "ce", {}, f"{labelled} labels cannot be compared: they are too few, or all of one class."
    by = f"the votes of {sources} sources" if sources > 1 else "models of the noise"
    if moved < MIN_MOVED:
        found = f"{by} and texts would change {moved:.1%} of {labelled:,} labels, too few to pay"
        if cut_statistic >= MIN_CUT_STATISTIC:
            agree = f"similar texts agree in their labels (mean cut statistic by encoder vectors: {cut_statistic:.2g})"
            return "neighbours", dict(WEIGHTS), f"{found}, and {agree}, so a label counts by how well it agrees."
        unseen = "" if sources > 1 else "; labels that are wrong by a rule or a person cannot be told this way"
        return "ce", {}, f"{found}{unseen}."
    view = choose_features(sources, cut_statistic)
    unlabeled = f"; {rows - labelled:,} rows without a label are taught too" if rows > labelled else ""
    if math.isnan(cut_statistic):
        described = "word features (the encoder is not pretrained)"
    else:
        described = f"{_DESCRIPTIONS[view]} (mean cut statistic of the labels by encoder vectors: {cut_statistic:.2g})"
    wrong = f"{rate:.1%} of {labelled:,} labels ({interval[0]:.0%} to {interval[1]:.0%}) come out as wrong"
    reason = f"{wrong} and {moved:.1%} change, by {by} and by {described}{unlabeled}."
    return "truth_inference", {"sources": "votes" if sources > 1 else "label", "vectors": view}, reason


_DESCRIPTIONS = {
    "encoder": "encoder vectors",
    "words": "word features, since encoder vectors say little of the labels",
    "both": "encoder vectors and word features",
}


def candidate_table(taken: str, moved: float, cut_statistic: float) -> str:
    """Returns the candidates of `choose_method`, what speaks for each, and which was taken, as a Markdown table.

    Args:
        taken: name of the chosen method.
        moved, cut_statistic: as in `choose_method`; NaN if unknown.

    >>> print(candidate_table("ce", moved=0.01, cut_statistic=0.3))
    | candidate | evidence | needed | taken |
    |---|---|---|---|
    | truth_inference: inferred classes | 1.0% of the labels would change | at least 4% | |
    | neighbours: weights by similar texts | mean cut statistic 0.3 | at least 1 | |
    | ce: labels as given | | | yes |
    """
    change = "unknown" if math.isnan(moved) else f"{moved:.1%} of the labels would change"
    agree = "unknown" if math.isnan(cut_statistic) else f"mean cut statistic {cut_statistic:.2g}"
    rows = [
        ("truth_inference: inferred classes", change, f"at least {MIN_MOVED:.0%}"),
        ("neighbours: weights by similar texts", agree, f"at least {MIN_CUT_STATISTIC:g}"),
        ("ce: labels as given", "", ""),
    ]
    cells = [[*row, "yes" if row[0].startswith(f"{taken}:") else ""] for row in rows]
    table = [["candidate", "evidence", "needed", "taken"], ["---"] * 4, *cells]
    return "\n".join(
        "|" + "|".join(cell if cell == "---" else f" {cell} " if cell else " " for cell in row) + "|" for row in table
    )
