"""Several estimators at once, of what kind the wrong labels are, and whether any of the rates should be believed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.common.checks import nearest
from hf_noisy.evidence.matrices.anchors import anchor_points, dual_t
from hf_noisy.evidence.matrices.confident_joint import confident_joint
from hf_noisy.evidence.matrices.dawid_skene import dawid_skene, label_model_confusion
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate
from hf_noisy.evidence.matrices.expectation_maximization import expectation_maximization
from hf_noisy.evidence.matrices.inputs import check_features, check_labels, check_probs
from hf_noisy.evidence.matrices.neighbours import neighbours
from hf_noisy.evidence.matrices.t_revision import t_revision
from hf_noisy.evidence.matrices.volminnet import volminnet
from hf_noisy.evidence.rates.kinds import RANDOM, Misses, kind_of_noise, misses
from hf_noisy.evidence.rates.structure import (
    DISAGREEMENT,
    EXCESS,
    FOLLOWED,
    MIN_VOTE_AUROC,
    Consistency,
    family_rates,
    share_followed,
    vote_auroc,
    vote_consistency,
)
from hf_noisy.weak.votes import check_votes, count_voting_sources

BEST = "truth_inference"  # whose rate and matrix are taken where classes were inferred
CAUTION = MappingProxyType(
    {
        "symmetric": "labels are wrong at random, so estimators can see them.",
        "class-dependent": "labels are wrong at random given the class, so estimators can see them.",
        "instance-dependent": (
            "labels are wrong by what the text is, or right on texts that are hard to tell: the true rate may be near 0, or above "
            "what estimators say. Check some labels by hand."
        ),
        "structured by a rule": (
            "labels that are wrong by a rule look right to most estimators, so the true rate may be far above what they say. "
            "Read them as lower bounds at best, and check some labels by hand."
        ),
        "undecided": "nothing is said of the kind, so read the rates with care.",
    }
)


@dataclass(frozen=True)
class NoiseReport:
    """What each estimator says, of what kind wrong labels seem to be, and why."""

    estimates: dict[str, NoiseEstimate]  # by name
    kind: str  # one of `hf_noisy.evidence.KINDS`
    evidence: list[str]  # sentences
    misses: Misses | None = None  # by the probabilities, where they were given
    consistency: Consistency | None = None  # of the votes, where there are enough and probabilities too

    @property
    def structured(self) -> bool:
        """Wrong labels seem to follow a rule: the rates are lower bounds at best."""
        return self.kind == "structured by a rule"

    @property
    def rate(self) -> float:
        """Share of wrong labels: by the inferred classes where they were given, else the median of the estimators."""
        if BEST in self.estimates:
            return self.estimates[BEST].rate
        return float(np.median([estimate.rate for estimate in self.estimates.values()]))

    @property
    def interval(self) -> tuple[float, float]:
        """Low and high of the rate: what the intervals of all estimators span, as they err together, and what was missed out
        of fold among the surest texts.

        Wrong labels that do not depend on the text are no more than are missed among all. Those that seem to be where texts are
        hard may all be right, so low is 0 then. Where they follow a rule, estimators fall short: low is that of the inferred
        classes alone.
        """
        low = min(estimate.low for estimate in self.estimates.values())
        high = max(estimate.high for estimate in self.estimates.values())
        if self.misses is not None:
            least, most = self.misses.interval
            low, high = min(low, least), min(high, most) if self.kind in RANDOM else high
        if self.kind == "instance-dependent":
            low = 0.0
        elif self.structured and BEST in self.estimates:
            low = self.estimates[BEST].low
        return min(low, self.rate), max(high, self.rate)

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest rate."""
        rates = [estimate.rate for estimate in self.estimates.values()]
        return min(rates), max(rates)

    def to_json(self) -> dict[str, Any]:
        """What `json.dump` writes: rate; low; high; kind; evidence; structured; estimators -> name -> rate, low, high, matrix."""
        estimators = {
            name: {
                "rate": estimate.rate,
                "low": estimate.low,
                "high": estimate.high,
                "matrix": estimate.matrix.tolist(),
            }
            for name, estimate in self.estimates.items()
        }
        low, high = self.interval
        return {
            "rate": self.rate,
            "low": low,
            "high": high,
            "kind": self.kind,
            "evidence": list(self.evidence),
            "structured": self.structured,
            "estimators": estimators,
        }

    def __str__(self) -> str:
        """A Markdown table of the rates, what is taken of them, the kind, and how to read it."""
        low, high = self.interval
        lines = ["| estimator | noise rate | 95% interval |", "|---|---|---|"]
        lines += [f"| {name} | {e.rate:.3f} | {e.low:.3f} to {e.high:.3f} |" for name, e in self.estimates.items()]
        lines += ["", f"taken for wrong: {self.rate:.3f} ({low:.3f} to {high:.3f})"]
        lines.append(f"kind: {self.kind}: {CAUTION[self.kind]}")
        return "\n".join([*lines, *(f"- {sentence}" for sentence in self.evidence)])


@dataclass(frozen=True)
class _Inputs:
    labels: np.ndarray  # (rows,)
    probs: ArrayLike | None  # (rows, classes)
    features: ArrayLike | None  # (rows, width)
    votes: np.ndarray | None  # (rows, sources)
    label_model: ArrayLike | None  # (rows, classes)
    inferred: ArrayLike | None  # (rows, classes)
    classes: int | None
    common: dict[str, int]  # resamples, seed


@dataclass(frozen=True)
class _Estimator:
    needs: str  # the input without which it has nothing to go by
    run: Callable[[_Inputs], NoiseEstimate]


def _from_probs(function: Callable[..., NoiseEstimate], *, head: bool = False) -> _Estimator:
    def run(given: _Inputs) -> NoiseEstimate:
        more: dict[str, Any] = {"features": given.features} if head else {}
        return function(given.probs, given.labels, **more, **given.common)

    return _Estimator("probs", run)


ESTIMATORS: Mapping[str, _Estimator] = {
    "anchor_points": _from_probs(anchor_points),
    "confident_joint": _from_probs(confident_joint),
    "dual_t": _from_probs(dual_t),
    "volminnet": _from_probs(volminnet, head=True),
    "t_revision": _from_probs(t_revision, head=True),
    "expectation_maximization": _from_probs(expectation_maximization, head=True),
    "neighbours": _Estimator(
        "features",
        lambda given: neighbours(_given(given.features), given.labels, classes=given.classes, **given.common),
    ),
    "dawid_skene": _Estimator(
        "votes", lambda given: dawid_skene(_given(given.votes), given.labels, classes=given.classes, **given.common)
    ),
    "label_model": _Estimator(
        "label_model", lambda given: label_model_confusion(_given(given.label_model), given.labels, **given.common)
    ),
    BEST: _Estimator(
        "inferred", lambda given: label_model_confusion(_given(given.inferred), given.labels, **given.common)
    ),
}


def estimate_noise(
    labels: ArrayLike,
    *,
    probs: ArrayLike | None = None,
    features: ArrayLike | None = None,
    votes: ArrayLike | None = None,
    label_model: ArrayLike | None = None,
    inferred: ArrayLike | None = None,
    estimators: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NoiseReport:
    """Asks several estimators how many labels are wrong, says of what kind they are, and when none should be believed.

    The kind is told by out-of-fold probabilities (`hf_noisy.evidence.rates.kinds.kind_of_noise`). Where whether a label is wrong
    depends on the text, either of two signs speaks for a rule; they read no gold label:

    - estimators that rest on votes of several sources, of which the inferred classes are then one, have a median rate of more
      than 0.1 above that of those that rest on a classifier: a classifier that sees the rule repeats it, other sources
      contradict it. Labels that are wrong at random given the class are so for both. Neighbours are not asked: where texts are
      hard to tell they find more than a classifier on clean labels too (three of five corpora).
    - votes are predicted from the text by more than 0.1 (and two standard errors) better than they can be right by how
      often they agree with each other; see `hf_noisy.evidence.rates.structure.vote_consistency`.

    Where the labels are what the sources say, and whether a source votes is told from the text, as where it looks for a word
    (`hf_noisy.evidence.rates.structure.vote_auroc`), wrong ones follow a rule even where they look random.

    Args:
        labels: (rows,) class ids, as given; negative where a row has none.
        probs: (rows, classes) out-of-fold probabilities of the given label, as `out_of_fold_probabilities` makes them.
        features: (rows, width) of a frozen encoder, as `mean_vectors` makes them.
        votes: (rows, sources) of the weak sources, -1 abstains.
        label_model: (rows, classes) posteriors of the true class, as `label_model_probabilities` makes them.
        inferred: (rows, classes) how probable each class is by the sources and similar texts, as
            `hf_noisy.evidence.inference.infer_classes.infer_classes` makes them; the rate is then by them.
        estimators: names out of `ESTIMATORS`; by default all that have what they need. Dawid-Skene is among them from
            three sources on, the confident joint where cleanlab is installed.
        resamples: of the rows, for the intervals.
        seed: of the resamples.

    Raises:
        ValueError, TypeError: an unknown name, an estimator without what it needs, nothing to go by, or bad input.
        ImportError: the confident joint was asked for, and cleanlab is not installed.

    Warns:
        UserWarning: the probabilities look in-sample.

    >>> votes = [[0, 0, 0], [0, 0, 1], [1, 1, 1], [1, 0, 1]] * 25
    >>> report = estimate_noise([0, 0, 1, 1] * 25, votes=votes, estimators=["dawid_skene"])
    >>> report.estimates["dawid_skene"].rate < 0.2
    True
    """
    posteriors = {"label_model": label_model, "inferred": inferred}
    given = _checked(labels, probs, features, votes, posteriors, {"resamples": resamples, "seed": seed})
    names = _default(given) if estimators is None else list(estimators)
    for name in names:
        _check_estimator(name, given)
    if not names:
        raise ValueError(
            "estimate_noise has nothing to go by: expected at least one of probs, features, votes, label_model, inferred."
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the most probable class is the given label")  # said once already
        estimates = {name: ESTIMATORS[name].run(given) for name in names}
    consistency = _consistency(given)
    signs = _signs(estimates, consistency, several=count_voting_sources(given.votes) > 1)
    if given.probs is None or given.classes is None:
        kind = "structured by a rule" if signs else "undecided"
        return NoiseReport(estimates, kind, signs or ["Without out-of-fold probabilities no kind is told."])
    missed = misses(np.asarray(given.probs), given.labels)
    untold = NoiseReport(estimates, "undecided", [], missed, consistency)
    kind, evidence = kind_of_noise(missed, untold.rate, given.classes, signs, seed, rules=_rules(given, seed))
    return replace(untold, kind=kind, evidence=evidence)


def _checked(
    labels: ArrayLike,
    probs: ArrayLike | None,
    features: ArrayLike | None,
    votes: ArrayLike | None,
    posteriors: Mapping[str, ArrayLike | None],
    common: dict[str, int],
) -> _Inputs:
    found = check_labels(labels, len(np.asarray(labels)), "labels")
    classes = None
    if probs is not None:
        classes = check_probs(probs, found)[0].shape[1]
    if features is not None:
        check_features(features, len(found))
    for name, table in posteriors.items():
        if table is None:
            continue
        shape = np.asarray(table).shape
        classes = shape[-1] if classes is None else classes
        if shape != (len(found), classes):
            raise ValueError(
                f"{name} of shape {shape}: expected {(len(found), classes)}, a row for each label and a column for each class."
            )
    cast = None if votes is None else check_votes(np.asarray(votes), classes)
    if cast is not None and len(cast) != len(found):
        raise ValueError(f"votes has {len(cast)} rows: expected {len(found)}, one for each label.")
    return _Inputs(found, probs, features, cast, posteriors["label_model"], posteriors["inferred"], classes, common)


def _default(given: _Inputs) -> list[str]:
    """All that have what they need."""
    names = [name for name, estimator in ESTIMATORS.items() if getattr(given, estimator.needs) is not None]
    if given.votes is not None and given.votes.shape[1] < 3:
        names.remove("dawid_skene")
    if find_spec("cleanlab") is None and "confident_joint" in names:
        names.remove("confident_joint")
    return names


def _check_estimator(name: str, given: _Inputs) -> None:
    if name not in ESTIMATORS:
        raise ValueError(f"estimator {name!r}: unknown. {nearest(name, ESTIMATORS)}")
    needs = ESTIMATORS[name].needs
    if getattr(given, needs) is None:
        raise ValueError(f"estimator {name!r} needs {needs}, got None. Give {needs}=, or leave {name!r} out.")


def _given(value: Any) -> Any:
    """What `_check_estimator` has seen to be there."""
    assert value is not None
    return value


def _consistency(given: _Inputs) -> Consistency | None:
    if given.votes is None or given.probs is None or given.classes is None:
        return None
    predicted = np.where(given.labels >= 0, np.asarray(given.probs).argmax(1), -1)
    return vote_consistency(given.votes, predicted, given.classes)


def _rules(given: _Inputs, seed: int) -> str:
    """That the labels are what several sources say that vote by the text, in a sentence; empty where that cannot be said."""
    if given.votes is None or given.features is None or count_voting_sources(given.votes) < 2:
        return ""
    if share_followed(given.labels, given.votes) < FOLLOWED:
        return ""
    told = vote_auroc(np.asarray(given.features, dtype=np.float64), given.votes, seed)
    if told is None or told < MIN_VOTE_AUROC:
        return ""
    return (
        "Labels are what sources say, and these vote by what the text has, as rules do (or people who are handed texts by topic): "
        f"whether one votes is told from the text with an AUROC of {told:.2f} (median of the sources, out of fold; 0.5 is chance)."
    )


def _signs(estimates: Mapping[str, NoiseEstimate], consistency: Consistency | None, *, several: bool) -> list[str]:
    """That wrong labels follow a rule, in sentences; `several` sources voted."""
    signs = []
    rates = {name: estimate.rate for name, estimate in estimates.items()}
    families = family_rates(rates, by_votes=(BEST,) if several else ())
    classifiers, votes = families.get("classifiers"), families.get("votes")
    if classifiers is not None and votes is not None and votes - classifiers > DISAGREEMENT:
        signs.append(
            f"Estimators disagree: by their medians, votes say {votes:.2f} and classifiers {classifiers:.2f}, more than "
            f"{DISAGREEMENT} less."
        )
    if consistency is not None and consistency.excess > max(EXCESS, 2 * consistency.error):
        signs.append(
            f"Votes are self-consistent: {consistency.predicted:.0%} of them are predicted from the text, but by how often "
            f"they agree ({consistency.agreement:.0%} of pairs) only {consistency.implied_accuracy:.0%} can be right."
        )
    return signs
