"""The kind of label noise: random given the class, or dependent on the text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.evidence.choice import MIN_NOISE_RATE

KINDS = ("symmetric", "class-dependent", "instance-dependent", "structured by a rule", "undecided")
RANDOM = ("symmetric", "class-dependent")  # independent of the text, given the class
_CONFIDENT_SHARE = 1 / 3  # share of rows with the most confident predictions
_RANDOM_RATIO = 0.45  # noise is random from this ratio of misses among confident rows to misses among all
_LEVEL = 0.01  # significance level of uneven confusions
_DRAWS = 2000
_DRAW_BATCH = 50  # draws per batch; each is as large as the matrix
_MIN_MISTAKES = 20  # minimum number of misses among confident rows to compare classes
_MIN_ROWS = 100  # minimum number of labels to determine a kind


@dataclass(frozen=True)
class Misses:
    """Labels that differ from the class that an out-of-fold model finds most probable (misses)."""

    every: float  # share of misses among all rows
    sure: float  # share of misses among the third of the rows with the most confident predictions
    found: np.ndarray  # (confident rows,) the most probable class
    given: np.ndarray  # (confident rows,) the label
    rows: int

    @property
    def random(self) -> bool:
        """Whether labels are wrong regardless of the text: confident rows have nearly the share of misses of all rows.

        Always False with very few misses: labels that are wrong at random are missed at least as often as they are
        wrong.
        """
        return self.every >= MIN_NOISE_RATE and self.sure >= _RANDOM_RATIO * self.every

    @property
    def interval(self) -> tuple[float, float]:
        """Two standard errors below the share among confident rows, and above the share among all, within [0, 1]."""
        low, high = (
            share + sign * 2 * np.sqrt(share * (1 - share) / max(rows, 1))
            for share, sign, rows in ((self.sure, -1, len(self.found)), (self.every, 1, self.rows))
        )
        return float(max(low, 0.0)), float(min(high, 1.0))


def misses(probabilities: np.ndarray, labels: np.ndarray) -> Misses:
    """Compares each label with the most probable class.

    Args:
        probabilities: (rows, classes) out of fold.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.

    >>> found = misses(np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]]), np.array([0, 1, 0]))
    >>> round(found.every, 2), found.sure
    (0.33, 0.0)
    """
    kept = labels >= 0
    probabilities, labels = probabilities[kept], labels[kept]
    best = probabilities.argmax(1)
    sure = np.argsort(-probabilities.max(1), kind="stable")[: max(round(_CONFIDENT_SHARE * len(labels)), 1)]
    missed = best != labels
    return Misses(float(missed.mean()), float(missed[sure].mean()), best[sure], labels[sure], len(labels))


def kind_of_noise(
    found: Misses, rate: float, classes: int, signs: Sequence[str] = (), seed: int = 0, *, rules: str = ""
) -> tuple[str, list[str]]:
    """Returns the kind of noise, one of `KINDS`, and the evidence in sentences.

    If labels are wrong at random, the share of misses is about the same among confident texts as among all texts. If
    the noise depends on the text, it is much lower among confident texts: a model is confident where texts are easy, or
    where a rule is easy to learn. On 1,000 rows of five corpora, three draws each, the first share is 0.49 to 0.99 of
    the second with 20 or 40 % random noise, and 0.11 to 0.42 with the original labels from rules, distant supervision
    or crowds. A low rate of random noise (10 %) on texts that are hard to classify looks like the latter.

    Random noise is "symmetric", or "class-dependent" if the confusions of the confident rows are less even than 99 % of
    2,000 draws of even ones. Other noise is "structured by a rule" if there is a sign of rules, else
    "instance-dependent"; correct labels of hard texts are also called instance-dependent. If the labels are those of
    rules, the kind is "structured by a rule" whatever the model predicts: mistakes of rules that the model does not
    learn look random. The kind is "undecided" with too few rows or wrong labels.

    Args:
        found: result of `misses`.
        rate: estimated share of wrong labels.
        classes: number of classes.
        signs: sentences with signs that wrong labels follow a rule (`hf_noisy.evidence.rates.structure`).
        seed: seed of the draws.
        rules: sentence saying that the labels are those of rules; empty if that is not known.
    """
    few = "there is too little evidence for a kind."
    if found.rows < _MIN_ROWS:
        return "undecided", [f"With {found.rows:,} labels {few}"]
    sentence = (
        f"Out of fold, {found.every:.1%} of the labels differ from the most probable class, and {found.sure:.1%} of "
        "those of the third of the texts with the most confident predictions"
    )
    depends = f"{sentence}: whether a label is wrong depends on the text."
    if signs and not found.random:
        return "structured by a rule", [depends, *filter(None, [rules]), *signs]
    if rate < MIN_NOISE_RATE:
        return "undecided", [f"With {rate:.1%} of {found.rows:,} labels taken for wrong, {few}"]
    if rules:
        return "structured by a rule", [f"{sentence}: wrong labels look random." if found.random else depends, rules]
    if not found.random:
        return "instance-dependent", [depends, "Correct labels of texts that are hard to classify look the same."]
    sentence += ": whether a label is wrong does not depend on the text."
    p = evenness(found.found, found.given, classes, seed)
    if p is None:
        return "undecided", [sentence, "The confident texts have too few wrong labels to compare classes."]
    tested = f"The test of whether classes are confused evenly has p = {p:.2g} (chi-squared, {_DRAWS:,} draws)."
    return ("class-dependent" if p < _LEVEL else "symmetric"), [sentence, tested]


def evenness(found: np.ndarray, given: np.ndarray, classes: int, seed: int = 0) -> float | None:
    """Tests whether classes are mistaken equally often, and for each other class alike.

    The chi-squared statistic is compared with draws of as many mistakes, since a cell often has fewer than five.
    Returns the p-value, or None with few mistakes.

    Args:
        found: (rows,) the classes taken as true.
        given: (rows,) the labels.
        classes: number of classes.
        seed: seed of the draws.

    >>> rows = np.repeat([0, 1, 2], 100)
    >>> evenness(rows, np.where(np.arange(300) % 5 == 0, (rows + 1) % 3, rows), 3) < 0.01
    True
    """
    from scipy.stats import monte_carlo_test

    counts = np.bincount(found * classes + given, minlength=classes**2)
    off = ~np.eye(classes, dtype=bool).ravel()
    mistakes = int(counts[off].sum())
    if mistakes < _MIN_MISTAKES:
        return None
    shares = np.repeat(np.bincount(found, minlength=classes) / len(found) / (classes - 1), classes)
    known = off & (shares > 0)
    even = shares[known]
    draw = np.random.default_rng(seed)
    tested = monte_carlo_test(
        counts[known],
        lambda size: draw.multinomial(mistakes, even, size=size[:-1]),
        lambda observed, axis: ((observed - mistakes * even) ** 2 / (mistakes * even)).sum(axis),
        vectorized=True,
        n_resamples=_DRAWS,
        batch=_DRAW_BATCH,
        alternative="greater",
    )
    return float(tested.pvalue)
