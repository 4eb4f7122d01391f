"""Of what kind the wrong labels are: at random given the class, or by what the text is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.evidence.choice import MIN_NOISE_RATE

KINDS = ("symmetric", "class-dependent", "instance-dependent", "structured by a rule", "undecided")
RANDOM = ("symmetric", "class-dependent")  # given the class, whatever the text
_SURE = 1 / 3  # of the rows, those whose class is told most surely
_EVEN = 0.45  # labels missed among the sure rows, as a share of those missed among all, from which noise is random
_SIGNIFICANT = 0.01
_DRAWS = 2000
_AT_ONCE = 50  # of these: a draw is as large as the matrix
_FEWEST = 20  # labels missed among the sure rows, to compare classes by
_ROWS = 100


@dataclass(frozen=True)
class Misses:
    """The labels that are not the class which a model that never saw them finds most probable."""

    every: float  # share of all rows
    sure: float  # share of the third of the rows whose class is told most surely
    found: np.ndarray  # (sure rows,) the most probable class
    given: np.ndarray  # (sure rows,) the label
    rows: int

    @property
    def random(self) -> bool:
        """Labels are missed among the sure rows nearly as often as among all: whether one is wrong is not up to the text.

        Never where hardly any is missed: labels that are wrong at random are missed at least as often as they are wrong.
        """
        return self.every >= MIN_NOISE_RATE and self.sure >= _EVEN * self.every

    @property
    def interval(self) -> tuple[float, float]:
        """Two standard errors below the share among the sure rows, and above the share among all."""
        low, high = (
            share + sign * 2 * np.sqrt(share * (1 - share) / max(rows, 1))
            for share, sign, rows in ((self.sure, -1, len(self.found)), (self.every, 1, self.rows))
        )
        return float(max(low, 0.0)), float(min(high, 1.0))


def misses(probabilities: np.ndarray, labels: np.ndarray) -> Misses:
    """Counts them.

    Args:
        probabilities: (rows, classes) out of fold.
        labels: (rows,) class ids; negative where a row has none, and is left out.

    >>> found = misses(np.array([[0.9, 0.1], [0.6, 0.4], [0.8, 0.2]]), np.array([0, 1, 0]))
    >>> round(found.every, 2), found.sure
    (0.33, 0.0)
    """
    kept = labels >= 0
    probabilities, labels = probabilities[kept], labels[kept]
    best = probabilities.argmax(1)
    sure = np.argsort(-probabilities.max(1), kind="stable")[: max(round(_SURE * len(labels)), 1)]
    missed = best != labels
    return Misses(float(missed.mean()), float(missed[sure].mean()), best[sure], labels[sure], len(labels))


def kind_of_noise(
    found: Misses, rate: float, classes: int, signs: Sequence[str] = (), seed: int = 0, *, rules: str = ""
) -> tuple[str, list[str]]:
    """The kind, one of `KINDS`, and the evidence in sentences.

    Where labels are wrong at random, a model misses them among the texts of which it is sure about as often as among all;
    where they are wrong by what the text says, much less often: it is sure where texts are easy, or where a rule is plain to
    see. On 1,000 rows of five corpora, three draws each, the first share is 0.49 to 0.99 of the second where 20 or 40 % of the
    labels were drawn at random, and 0.11 to 0.42 with the labels as rules, distant supervision or crowds made them. Few random
    mistakes (a tenth of the labels) among texts that are hard to tell look like the latter.

    Random noise is "symmetric", or "class-dependent" where the confusions of the sure rows are less even than 99 % of 2,000
    draws of even ones. Other noise is "structured by a rule" where there is a sign of rules, else "instance-dependent", and
    labels that are right on texts that are hard are called so too. Where labels are what rules say, it is "structured by a rule"
    whatever a model makes of the texts: of rules that it does not see the mistakes look random. "undecided" with too few rows or
    wrong labels.

    Args:
        found: by `misses`.
        rate: share of wrong labels.
        classes: how many there are.
        signs: that wrong labels follow a rule, in sentences (`hf_noisy.evidence.rates.structure`).
        seed: of the draws.
        rules: that labels are what rules say, in a sentence; empty where that is not known.
    """
    few = "there is too little to tell a kind by."
    if found.rows < _ROWS:
        return "undecided", [f"With {found.rows:,} labels {few}"]
    sentence = (
        f"Out of fold, {found.every:.1%} of the labels are another class than the most probable one, and {found.sure:.1%} of "
        "those of the third of the texts whose class is told most surely"
    )
    depends = f"{sentence}: whether a label is wrong depends on the text."
    if signs and not found.random:
        return "structured by a rule", [depends, *filter(None, [rules]), *signs]
    if rate < MIN_NOISE_RATE:
        return "undecided", [f"With {rate:.1%} of {found.rows:,} labels taken for wrong, {few}"]
    if rules:
        return "structured by a rule", [f"{sentence}: wrong labels look random." if found.random else depends, rules]
    if not found.random:
        return "instance-dependent", [depends, "Labels that are right on texts that are hard to tell look the same."]
    sentence += ": whether a label is wrong does not depend on the text."
    p = evenness(found.found, found.given, classes, seed)
    if p is None:
        return "undecided", [sentence, "The sure texts hold too few wrong labels to compare classes by."]
    tested = f"That classes are confused evenly has a p of {p:.2g} (chi-squared, by {_DRAWS:,} draws)."
    return ("class-dependent" if p < _SIGNIFICANT else "symmetric"), [sentence, tested]


def evenness(found: np.ndarray, given: np.ndarray, classes: int, seed: int = 0) -> float | None:
    """The p with which each class is mistaken equally often, and for each other class alike; None with few mistakes.

    The chi-squared statistic among draws of as many mistakes, since there are often fewer than five of a kind.

    Args:
        found: (rows,) the classes that are taken for true.
        given: (rows,) the labels.
        classes: how many there are.
        seed: of the draws.

    >>> rows = np.repeat([0, 1, 2], 100)
    >>> evenness(rows, np.where(np.arange(300) % 5 == 0, (rows + 1) % 3, rows), 3) < 0.01
    True
    """
    from scipy.stats import monte_carlo_test

    counts = np.bincount(found * classes + given, minlength=classes**2)
    off = ~np.eye(classes, dtype=bool).ravel()
    mistakes = int(counts[off].sum())
    if mistakes < _FEWEST:
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
        batch=_AT_ONCE,
        alternative="greater",
    )
    return float(tested.pvalue)
