"""Of what kind the wrong labels are, and what to train with on them."""

from __future__ import annotations

from typing import Any

import numpy as np

from hf_noisy.audit.content import Recommendation
from hf_noisy.choice import choose_method
from hf_noisy.estimation.report import NoiseReport
from hf_noisy.thresholds import FEW_WRONG

_SURE = 1 / 3  # of the rows, those whose class is told most surely
_INSTANCE = 0.5  # labels wrong among the sure rows, as a share of the rate, below which noise depends on the text
_SIGNIFICANT = 0.01


def kind_of_noise(
    report: NoiseReport, rate: float, probabilities: np.ndarray, labels: np.ndarray
) -> tuple[str, list[str]]:
    """The kind, one of `hf_noisy.audit.KINDS`, and the evidence in sentences.

    "structured by a rule" where `estimate_noise` suspects it. Otherwise the third of the rows whose class is told most
    surely, out of fold, is looked at. Where wrong labels do not depend on the text there are as many among them as among
    all; where there are less than half as many, the noise is "instance-dependent". Else their confusions are compared
    with even ones by a chi-squared test: "symmetric", or "class-dependent" below a p of 0.01.

    Args:
        report: of the same rows.
        rate: share of wrong labels, by an estimator that does not rest on `probabilities`.
        probabilities: (rows, classes) out of fold.
        labels: (rows,) class ids.
    """
    if report.structured:
        return "structured by a rule", list(report.reasons)
    if rate < FEW_WRONG or len(labels) < 100:
        return "undecided", [
            f"With {rate:.1%} of {len(labels):,} labels taken for wrong, there is too little to tell a kind by."
        ]
    sure = np.argsort(-probabilities.max(1), kind="stable")[: round(_SURE * len(labels))]
    found = probabilities[sure].argmax(1)
    wrong = float((found != labels[sure]).mean())
    sentence = (
        f"Among the third of the texts whose class is told most surely, {wrong:.1%} of the labels are another class; of all "
        f"labels {rate:.1%} are taken for wrong."
    )
    if wrong < _INSTANCE * rate:
        return "instance-dependent", [f"{sentence} So labels are wrong where texts are hard."]
    p = _even(found, labels[sure], probabilities.shape[1])
    if p is None:
        return "undecided", [sentence, "The sure texts hold too few wrong labels to compare classes by."]
    tested = f"That classes are confused evenly has a p of {p:.2g} (chi-squared)."
    return ("class-dependent" if p < _SIGNIFICANT else "symmetric"), [sentence, tested]


def _even(found: np.ndarray, labels: np.ndarray, classes: int) -> float | None:
    """The p with which each class is mistaken equally often, and for each other class alike; None with too few mistakes."""
    from scipy.stats import chisquare

    counts = np.bincount(found * classes + labels, minlength=classes**2).reshape(classes, classes)
    off = ~np.eye(classes, dtype=bool)
    expected = np.where(off, counts.sum(1, keepdims=True), 0).astype(float)
    expected *= counts[off].sum() / max(expected.sum(), 1)
    kept = off & (expected >= 5)
    if kept.sum() < 2:
        return None
    observed = counts[kept]
    return float(chisquare(observed, expected[kept] * observed.sum() / expected[kept].sum()).pvalue)


def recommend(kind: str, **seen: Any) -> Recommendation:
    """The method to train with: what `auto` would choose (`hf_noisy.choice.choose_method`), and what else to try.

    Args:
        kind: one of `hf_noisy.audit.KINDS`.
        seen: of `choose_method`.
    """
    method, parameters, reason = choose_method(**seen)
    reason = reason[0].upper() + reason[1:]
    if method != "ce" and kind == "symmetric":
        reason += " Wrong labels look drawn at random: compare with sce, a loss that costs no time."
    return Recommendation(method, reason, parameters)
