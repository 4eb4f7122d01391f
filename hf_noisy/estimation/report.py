"""Several estimators at once, how far apart they are, and whether any of them should be believed."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.domains import nearest
from hf_noisy.estimation.anchors import anchor_points, dual_t
from hf_noisy.estimation.confident_joint import confident_joint
from hf_noisy.estimation.dawid_skene import dawid_skene, label_model_confusion
from hf_noisy.estimation.estimate import RESAMPLES, NoiseEstimate
from hf_noisy.estimation.expectation_maximization import expectation_maximization
from hf_noisy.estimation.inputs import check_features, check_labels, check_probs
from hf_noisy.estimation.neighbours import neighbours
from hf_noisy.estimation.structure import DISAGREEMENT, EXCESS, Consistency, family_rates, vote_consistency
from hf_noisy.estimation.t_revision import t_revision
from hf_noisy.estimation.volminnet import volminnet
from hf_noisy.weak import check_votes

CAUTION = (
    "structured noise suspected: labels that are wrong by a rule look right to most estimators, so the true rate may be "
    "far above what they say. Trust none of these; read them as lower bounds at best, and check some labels by hand."
)
NO_SIGN = "no sign of structured noise, which is no proof that there is none."


@dataclass(frozen=True)
class NoiseReport:
    """What each estimator says, and whether wrong labels seem to follow a rule."""

    estimates: dict[str, NoiseEstimate]  # by name
    structured: bool  # where True, the rates are lower bounds at best
    reasons: list[str]  # why; empty where `structured` is False
    consistency: Consistency | None = None  # of the votes, where there are enough and probabilities too

    @property
    def range(self) -> tuple[float, float]:
        """The smallest and the largest rate."""
        rates = [estimate.rate for estimate in self.estimates.values()]
        return min(rates), max(rates)

    def to_json(self) -> dict[str, Any]:
        """What `json.dump` writes: estimators -> name -> rate, low, high, matrix; structured; reasons."""
        estimators = {
            name: {
                "rate": estimate.rate,
                "low": estimate.low,
                "high": estimate.high,
                "matrix": estimate.matrix.tolist(),
            }
            for name, estimate in self.estimates.items()
        }
        return {"estimators": estimators, "structured": self.structured, "reasons": list(self.reasons)}

    def __str__(self) -> str:
        """A Markdown table of the rates, their range, and how to read them."""
        low, high = self.range
        lines = ["| estimator | noise rate | 95% interval |", "|---|---|---|"]
        lines += [f"| {name} | {e.rate:.3f} | {e.low:.3f} to {e.high:.3f} |" for name, e in self.estimates.items()]
        lines += ["", f"range: {low:.3f} to {high:.3f}", CAUTION if self.structured else NO_SIGN]
        return "\n".join([*lines, *(f"- {reason}" for reason in self.reasons)])


@dataclass(frozen=True)
class _Inputs:
    labels: np.ndarray  # (rows,)
    probs: ArrayLike | None  # (rows, classes)
    features: ArrayLike | None  # (rows, width)
    votes: np.ndarray | None  # (rows, sources)
    label_model: ArrayLike | None  # (rows, classes)
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
}


def estimate_noise(
    labels: ArrayLike,
    *,
    probs: ArrayLike | None = None,
    features: ArrayLike | None = None,
    votes: ArrayLike | None = None,
    label_model: ArrayLike | None = None,
    estimators: Sequence[str] | None = None,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NoiseReport:
    """Asks several estimators how many labels are wrong, and says when none of them should be believed.

    `structured` is set by either of two signs, which read no gold label:

    - the three families of estimators, which rest on a classifier, on neighbours and on votes of several sources,
      disagree: of their median rates two are more than 0.1 apart. Labels that are wrong at random given the class are
      so for all three: in 72 draws of `examples/known_matrices.py` (four kinds of noise, 2 to 20 classes, apart and
      overlapping) they never were. The plain range is no sign: single estimators, such as anchors of twenty classes,
      miss random noise by more than that. From one family nothing is said.
    - votes are predicted from the text by more than 0.1 (and two standard errors) better than they can be right by how
      often they agree with each other; see `hf_noisy.estimation.structure.vote_consistency`.

    Args:
        labels: (rows,) class ids, as given; negative where a row has none.
        probs: (rows, classes) out-of-fold probabilities of the given label, as `out_of_fold_probabilities` makes them.
        features: (rows, width) of a frozen encoder, as `mean_vectors` makes them.
        votes: (rows, sources) of the weak sources, -1 abstains.
        label_model: (rows, classes) posteriors of the true class, as `label_model_probabilities` makes them.
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
    given = _checked(labels, probs, features, votes, label_model, {"resamples": resamples, "seed": seed})
    names = _default(given) if estimators is None else list(estimators)
    for name in names:
        _check_estimator(name, given)
    if not names:
        raise ValueError(
            "estimate_noise has nothing to go by: expected at least one of probs, features, votes, label_model."
        )
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="the most probable class is the given label")  # said once already
        estimates = {name: ESTIMATORS[name].run(given) for name in names}
    consistency = _consistency(given)
    reasons = _reasons(estimates, consistency)
    return NoiseReport(estimates, bool(reasons), reasons, consistency)


def _checked(
    labels: ArrayLike,
    probs: ArrayLike | None,
    features: ArrayLike | None,
    votes: ArrayLike | None,
    label_model: ArrayLike | None,
    common: dict[str, int],
) -> _Inputs:
    found = check_labels(labels, len(np.asarray(labels)), "labels")
    classes = None
    if probs is not None:
        classes = check_probs(probs, found)[0].shape[1]
    if features is not None:
        check_features(features, len(found))
    if label_model is not None:
        classes = np.asarray(label_model).shape[-1] if classes is None else classes
        if np.asarray(label_model).shape != (len(found), classes):
            raise ValueError(
                f"label_model of shape {np.asarray(label_model).shape}: expected {(len(found), classes)}, a row for each "
                "label and a column for each class."
            )
    table = None if votes is None else check_votes(np.asarray(votes), classes)
    if table is not None and len(table) != len(found):
        raise ValueError(f"votes has {len(table)} rows: expected {len(found)}, one for each label.")
    return _Inputs(found, probs, features, table, label_model, classes, common)


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


def _reasons(estimates: Mapping[str, NoiseEstimate], consistency: Consistency | None) -> list[str]:
    reasons = []
    families = family_rates({name: estimate.rate for name, estimate in estimates.items()})
    low, high = min(families, key=families.__getitem__), max(families, key=families.__getitem__)
    if families[high] - families[low] > DISAGREEMENT:
        reasons.append(
            f"estimators disagree: by their medians, {low} say {families[low]:.2f} and {high} {families[high]:.2f}, more "
            f"than {DISAGREEMENT} apart"
        )
    if consistency is not None and consistency.excess > max(EXCESS, 2 * consistency.error):
        reasons.append(
            f"votes are self-consistent: {consistency.predicted:.0%} of them are predicted from the text, but by how often "
            f"they agree ({consistency.agreement:.0%} of pairs) only {consistency.implied_accuracy:.0%} can be right"
        )
    return reasons
