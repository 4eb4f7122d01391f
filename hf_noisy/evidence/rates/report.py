"""Noise report: rates by several estimators, the kind of noise, and whether the rates are reliable."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.common.checks import nearest
from hf_noisy.common.progress import progress_bar
from hf_noisy.evidence.inputs import check_features, check_labels, check_probs
from hf_noisy.evidence.matrices.anchors import anchor_points, dual_t
from hf_noisy.evidence.matrices.confident_joint import confident_joint
from hf_noisy.evidence.matrices.dawid_skene import dawid_skene, label_model_confusion
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate
from hf_noisy.evidence.matrices.expectation_maximization import expectation_maximization
from hf_noisy.evidence.matrices.neighbours import neighbours
from hf_noisy.evidence.matrices.t_revision import t_revision
from hf_noisy.evidence.matrices.volminnet import volminnet
from hf_noisy.evidence.rates.kinds import kind_of_noise, misses
from hf_noisy.evidence.rates.noise_report import BEST, NoiseReport
from hf_noisy.evidence.rates.structure import (
    MIN_DISAGREEMENT,
    MIN_EXCESS,
    MIN_SHARE_FROM_SOURCES,
    MIN_VOTE_AUROC,
    Consistency,
    family_rates,
    share_from_sources,
    vote_auroc,
    vote_consistency,
)
from hf_noisy.weak.votes import check_votes, count_voting_sources


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
    needs: str  # name of the required input
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
    """Estimates the noise rate by several estimators, determines the kind of noise, and reports if no rate is reliable.

    The kind follows from out-of-fold probabilities (`hf_noisy.evidence.rates.kinds.kind_of_noise`). If the noise
    depends on the text, either of two signs indicates a rule. They use no gold label:

    - The median rate of the vote-based estimators is more than 0.1 above that of the classifier-based ones. With
      several sources, the inferred classes count as vote-based. A classifier that can learn the rule repeats it, and
      other sources contradict it. Labels that are wrong at random given the class look the same to both. The neighbours
      estimator is not used: on texts that are hard to classify it finds more noise than a classifier, even on clean
      labels (three of five corpora).
    - Votes are predicted from the text by more than 0.1 (and two standard errors) better than they can be correct,
      given how often they agree; see `hf_noisy.evidence.rates.structure.vote_consistency`.

    If the labels are those of the sources, and the text predicts whether a source votes, as with keyword rules
    (`hf_noisy.evidence.rates.structure.vote_auroc`), wrong labels follow a rule even if they look random.

    Args:
        labels: (rows,) given class ids; negative where a row has no label.
        probs: (rows, classes) out-of-fold probabilities of the given label, from `out_of_fold_probabilities`.
        features: (rows, width) of a frozen encoder, from `mean_vectors`.
        votes: (rows, sources) of the weak sources, -1 abstains.
        label_model: (rows, classes) posteriors of the true class, from `label_model_probabilities`.
        inferred: (rows, classes) probabilities of the true class from the sources and similar texts, as
            `hf_noisy.evidence.inference.infer_classes.infer_classes` returns them. If given, they determine the rate.
        estimators: names out of `ESTIMATORS`; by default all whose inputs are given. Dawid-Skene needs three sources,
            the confident joint needs cleanlab.
        resamples: number of bootstrap resamples of the rows, for the intervals.
        seed: seed of the resamples.

    Raises:
        ValueError, TypeError: an unknown name, an estimator without its input, no input for any estimator, or bad
            input.
        ImportError: the confident joint was requested, and cleanlab is not installed.

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
        # `_checked` has already warned
        warnings.filterwarnings("ignore", message="the most probable class is the given label")
        bar = progress_bar("Estimating the noise", names, unit="estimator")
        estimates = {name: ESTIMATORS[name].run(given) for name in bar}
    consistency = _consistency(given)
    signs = _signs(estimates, consistency, several=count_voting_sources(given.votes) > 1)
    if given.probs is None or given.classes is None:
        kind = "structured by a rule" if signs else "undecided"
        return NoiseReport(estimates, kind, signs or ["Without out-of-fold probabilities the kind is unknown."])
    missed = misses(np.asarray(given.probs), given.labels)
    undecided = NoiseReport(estimates, "undecided", [], missed, consistency)
    kind, evidence = kind_of_noise(missed, undecided.rate, given.classes, signs, seed, rules=_rules(given, seed))
    return replace(undecided, kind=kind, evidence=evidence)


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
    """Returns the names of all estimators whose inputs are given."""
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
    """Narrows the type of an input that `_check_estimator` has checked."""
    assert value is not None
    return value


def _consistency(given: _Inputs) -> Consistency | None:
    if given.votes is None or given.probs is None or given.classes is None:
        return None
    predicted = np.where(given.labels >= 0, np.asarray(given.probs).argmax(1), -1)
    return vote_consistency(given.votes, predicted, given.classes)


def _rules(given: _Inputs, seed: int) -> str:
    """Returns the sentence that the labels are those of several sources that vote by the text, or an empty string."""
    if given.votes is None or given.features is None or count_voting_sources(given.votes) < 2:
        return ""
    if share_from_sources(given.labels, given.votes) < MIN_SHARE_FROM_SOURCES:
        return ""
    told = vote_auroc(np.asarray(given.features, dtype=np.float64), given.votes, seed)
    if told is None or told < MIN_VOTE_AUROC:
        return ""
    return (
        "Labels are those of the sources, whose votes depend on the text, as with rules (or people who are given "
        f"texts by topic): whether one votes is told from the text with an AUROC of {told:.2f} (median of the sources, "
        "out of fold; 0.5 is chance)."
    )


def _signs(estimates: Mapping[str, NoiseEstimate], consistency: Consistency | None, *, several: bool) -> list[str]:
    """Returns sentences with signs that wrong labels follow a rule; `several` is whether several sources vote."""
    signs = []
    rates = {name: estimate.rate for name, estimate in estimates.items()}
    families = family_rates(rates, by_votes=(BEST,) if several else ())
    classifiers, votes = families.get("classifiers"), families.get("votes")
    if classifiers is not None and votes is not None and votes - classifiers > MIN_DISAGREEMENT:
        signs.append(
            f"Estimators disagree: by their medians, votes say {votes:.2f} and classifiers {classifiers:.2f}, more than "
            f"{MIN_DISAGREEMENT} less."
        )
    if consistency is not None and consistency.excess > max(MIN_EXCESS, 2 * consistency.error):
        signs.append(
            f"Votes are self-consistent: {consistency.predicted:.0%} of them are predicted from the text, but their "
            f"agreement ({consistency.agreement:.0%} of pairs) implies that at most {consistency.implied_accuracy:.0%} "
            "are correct."
        )
    return signs
