"""Scorers of suspect labels, one score per row each, and the wrongness that combines the scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from hf_noisy.common.checks import check_choice, check_fraction
from hf_noisy.evidence.features.neighbours import NearestRows, label_agreement

DEFAULT = ("neighbours", "truth")  # default scorers; `default_weights` adds models of the labels for symmetric noise


def label_improbability(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns (rows,) 1 - P(given label | text) by a model that was not trained on the row: 1 minus self-confidence.

    >>> label_improbability(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    array([0.1, 0.8])
    """
    return 1 - probabilities[np.arange(len(labels)), labels]


def neighbour_disagreement(near: NearestRows, labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns (rows,) the negated cut statistic of Muhlenbach et al. (2004), as used by Lang et al. (NeurIPS 2022).

    It compares the number of nearest neighbours with another label to the number expected if labels were drawn at
    random. A label of a common class therefore needs more neighbours with the same label than a label of a rare class.
    If a rule votes for one class too often, this score finds errors that the plain share of other labels misses.

    Args:
        near: the nearest neighbours of the same rows.
        labels: (rows,) class ids.
        classes: number of classes.
    """
    return -label_agreement(near, np.eye(classes)[labels], "cut_statistic")


def contradiction(votes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns (rows,) the share of a row's votes that are for another class than its label; 0 for a row without votes.

    >>> contradiction(np.array([[0, 1, -1], [1, 1, 1]]), np.array([0, 1]))
    array([0.5, 0. ])
    """
    cast = votes >= 0
    against = (cast & (votes != labels[:, None])).sum(1)
    return against / np.maximum(cast.sum(1), 1)


@dataclass(frozen=True)
class Evidence:
    """The inputs of the scorers, for the labelled rows."""

    labels: np.ndarray  # (rows,) class ids
    probabilities: np.ndarray  # (rows, classes) by models that were not trained on the row
    near: NearestRows  # nearest neighbours by the text features
    truth: np.ndarray  # (rows, classes) inferred from sources and similar texts
    votes: np.ndarray | None = None  # (rows, sources), -1 abstains
    # (rows, classes) by `hf_noisy.evidence.rules.folds`, NaN where a row is not judged
    rule_folds: np.ndarray | None = None
    dynamics: Mapping[str, np.ndarray] = field(default_factory=dict)  # name -> (rows,) statistics of a training
    reweighted: np.ndarray | None = None  # (rows, classes) by models that weight labels by held-out probability

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.truth.shape[1]


def _margin(found: Evidence) -> np.ndarray:
    """Returns the negated area under the margin (Pleiss et al., NeurIPS 2020); an unseen row gets the median."""
    margin = np.asarray(_require("margin", found.dynamics.get("margin"), "dynamics of a training"), dtype=np.float64)
    return -np.where(np.isfinite(margin), margin, np.nanmedian(margin) if np.isfinite(margin).any() else 0.0)


def _disagreements(found: Evidence) -> np.ndarray:
    wrong = _require("disagreements", found.dynamics.get("disagreements"), "dynamics of a training")
    return np.asarray(wrong) / np.maximum(found.dynamics["seen"], 1)


def _rule_folds(found: Evidence) -> np.ndarray:
    """Returns 1 - P(label) by a classifier not trained on rows of the same rules; a row not judged gets the median."""
    judged = _require("rule_folds", found.rule_folds, "votes of several sources")
    score = label_improbability(judged, found.labels)
    return np.where(np.isfinite(score), score, np.nanmedian(score) if np.isfinite(score).any() else 0.0)


def _reweighted(found: Evidence) -> np.ndarray:
    return label_improbability(_require("reweighted", found.reweighted, "a second regression"), found.labels)


def _sources(found: Evidence) -> np.ndarray:
    return contradiction(_require("sources", found.votes, "votes"), found.labels)


def _cleanlab(found: Evidence) -> np.ndarray:
    """Returns cleanlab's ranking: self-confidence, adjusted by the mean of each class (Northcutt et al., 2021)."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError as error:
        raise ImportError(
            'the scorer "cleanlab" needs the package of that name: pip install hf_noisy[benchmark]'
        ) from error
    return 1 - get_label_quality_scores(found.labels, found.probabilities, adjust_pred_probs=True)


def _require(name: str, value: Any, what: str) -> Any:
    if value is None:
        raise ValueError(f"the scorer {name!r} needs {what}, which are not given. Pass them, or leave it out.")
    return value


SCORERS: Mapping[str, Callable[[Evidence], np.ndarray]] = MappingProxyType(
    {
        "held_out": lambda found: label_improbability(found.probabilities, found.labels),
        "reweighted": _reweighted,
        "neighbours": lambda found: neighbour_disagreement(found.near, found.labels, found.classes),
        "truth": lambda found: label_improbability(found.truth, found.labels),
        "margin": _margin,
        "disagreements": _disagreements,
        "sources": _sources,
        "rule_folds": _rule_folds,
        "cleanlab": _cleanlab,
    }
)
SAID = MappingProxyType(
    {
        "held_out": "the probability of the given label where it was not seen",
        "reweighted": "the probability of the given label where it was not seen, by a second regression to which a label counts as "
        "much as the first believed it",
        "neighbours": "the labels of near texts",
        "truth": "the class that sources and similar texts speak for",
        "margin": "the mean margin over the epochs of a training",
        "disagreements": "the share of epochs in which the model disagreed",
        "sources": "the share of votes for other classes",
        "rule_folds": "the probability of the given label by a head that never saw a row on which its rules voted",
        "cleanlab": "cleanlab's ranking of the held-out probabilities",
    }
)


def known_scores(found: Evidence, asked: Sequence[str] = ()) -> dict[str, np.ndarray]:
    """Returns name -> (rows,) scores of all scorers whose inputs are known, and of the scorers in `asked`.

    Raises:
        ValueError: a scorer in `asked` lacks an input.
        ImportError: "cleanlab" is in `asked`, but the package is not installed.
    """
    has = {
        "reweighted": found.reweighted is not None,
        "margin": "margin" in found.dynamics,
        "disagreements": "disagreements" in found.dynamics,
        "sources": found.votes is not None,
        "rule_folds": found.rule_folds is not None,
        "cleanlab": False,  # only on request: it ranks the same probabilities as "held_out"
    }
    return {name: score(found) for name, score in SCORERS.items() if name in asked or has.get(name, True)}


def default_weights(kind: str, found: Evidence) -> dict[str, float]:
    """Returns the default scorer -> weight: neighbours and truth with equal weights, unless the noise is symmetric.

    A model of the labels alone learns mistakes that follow the text, so it is used only for symmetric noise. A correct
    prediction of a held-out label is then evidence for that label. Neighbours and models share a weight of 2, in
    proportion to their odds of predicting a held-out label. The models are the reweighted regression (the held-out
    probabilities if there is none) and the margin of a training, if there is one; their weights are equal. Predictions
    of the training itself do not count in the odds, because it was trained on the labels.

    Args:
        kind: one of `hf_noisy.evidence.KINDS`.
        found: inputs of the scorers.
    """
    if kind != "symmetric":
        return dict.fromkeys(DEFAULT, 1.0)
    held_out = found.probabilities if found.reweighted is None else found.reweighted
    models = ["held_out" if found.reweighted is None else "reweighted"]
    if "margin" in found.dynamics and np.isfinite(found.dynamics["margin"]).any():
        models.append("margin")
    near, model = (prediction_odds(shares, found.labels) for shares in (_shares_near(found), held_out))
    weights = {"neighbours": 2 * near / (near + model), "truth": 1.0}
    return weights | dict.fromkeys(models, 2 * model / (near + model) / len(models))


def prediction_odds(shares: np.ndarray, labels: np.ndarray) -> float:
    """Returns the odds that the largest of (rows, classes) shares is the row's label, (hits + 1) / (misses + 1).

    >>> prediction_odds(np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]]), np.array([0, 1, 1]))
    1.5
    """
    hits = int((shares.argmax(1) == labels).sum())
    return (hits + 1) / (len(labels) - hits + 1)


def _shares_near(found: Evidence) -> np.ndarray:
    """Returns (rows, classes) the weight of each class among the nearest neighbours; nearer ones weigh more."""
    weights, labels = 1 / (1 + found.near.distances), found.labels[found.near.rows]
    return np.stack([(weights * (labels == k)).sum(1) for k in range(found.classes)], 1)


def check_scorers(names: Sequence[str]) -> tuple[str, ...]:
    """Checks that `names` are in `SCORERS`, each named once, and returns them as a tuple.

    Raises:
        ValueError: no name, a repeated name, or a name that is not in `SCORERS`.
    """
    if isinstance(names, str) or not names or len(set(names)) < len(names):
        raise ValueError(f"scorers={names!r}: expected a list of one or more of {', '.join(SCORERS)}, each once.")
    for name in names:
        check_choice("scorers", name, tuple(SCORERS))
    return tuple(names)


def ranks(values: np.ndarray) -> np.ndarray:
    """Returns (rows,) in (0, 1]: the share of rows with a value that is no larger; ties get their mean rank.

    >>> ranks(np.array([3.0, 1.0, 1.0, 2.0])).tolist()
    [1.0, 0.375, 0.375, 0.75]
    """
    from scipy.stats import rankdata

    return rankdata(values) / len(values)


def wrongness(scores: Mapping[str, np.ndarray], weights: Mapping[str, float], rate: float) -> np.ndarray:
    """Returns (rows,) in [0, 1]: the weighted mean rank of the scores, rescaled by the noise rate.

    The rescaling is piecewise linear: a share `rate` of the rows lies above 0.5. Ranks are used because the scales of
    the scorers differ, and no scorer is calibrated on labels that follow a rule.

    Args:
        scores: name -> (rows,), larger is more suspect.
        weights: scorer -> weight; a scorer that is not named has weight 0.
        rate: estimated share of wrong labels, in [0, 1).

    Raises:
        ValueError: no score has a weight above 0, or the rate is outside [0, 1).

    >>> wrongness({"a": np.array([0.0, 3.0, 1.0, 2.0])}, {"a": 1.0}, rate=0.25).round(3).tolist()
    [0.167, 1.0, 0.333, 0.5]
    """
    check_fraction("rate", rate, "[0, 1)")
    used = {name: weight for name, weight in weights.items() if name in scores and weight > 0}
    if not used:
        raise ValueError(
            f"scores {sorted(scores)} with weights {dict(weights)}: expected one score or more with a weight."
        )
    place = ranks(np.sum([weight * ranks(scores[name]) for name, weight in used.items()], axis=0))
    right = 1 - rate
    above = 0.5 + 0.5 * (place - right) / max(rate, 1e-12)
    return np.where(place <= right, 0.5 * place / right, above).clip(0, 1)
