"""What speaks against a label: one number a row from each scorer, and one wrongness out of all of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from hf_noisy.common.checks import check_choice, check_fraction
from hf_noisy.evidence.features.neighbours import NearestRows, label_agreement

DEFAULT = ("neighbours", "truth")  # whose mean rank is taken, with models of the labels where these are wrong at random


def disbelief(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(rows,) 1 - P(given label | text), of a model that never saw the row: self-confidence, turned round.

    >>> disbelief(np.array([[0.9, 0.1], [0.8, 0.2]]), np.array([0, 1]))
    array([0.1, 0.8])
    """
    return 1 - probabilities[np.arange(len(labels)), labels]


def neighbour_disagreement(near: NearestRows, labels: np.ndarray, classes: int) -> np.ndarray:
    """(rows,) the cut statistic of Muhlenbach et al. (2004), as Lang et al. (NeurIPS 2022) use it, turned round.

    How many of the nearest neighbours have another label, measured by how many would if labels were drawn by lot: a label
    of a common class needs more like neighbours than one of a rare class. Where a rule gives one class too often, this
    sees what the plain share of other labels does not.

    Args:
        near: of the same rows.
        labels: (rows,) class ids.
        classes: how many there are.
    """
    return -label_agreement(near, np.eye(classes)[labels], "cut_statistic")


def contradiction(votes: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """(rows,) the share of a row's votes that are for another class; 0 where it has none.

    >>> contradiction(np.array([[0, 1, -1], [1, 1, 1]]), np.array([0, 1]))
    array([0.5, 0. ])
    """
    cast = votes >= 0
    against = (cast & (votes != labels[:, None])).sum(1)
    return against / np.maximum(cast.sum(1), 1)


@dataclass(frozen=True)
class Evidence:
    """What is known of the labelled rows."""

    labels: np.ndarray  # (rows,) class ids
    probabilities: np.ndarray  # (rows, classes) of models that never saw the row
    near: NearestRows  # by what texts are seen by
    truth: np.ndarray  # (rows, classes) by sources and similar texts
    votes: np.ndarray | None = None  # (rows, sources), -1 abstains
    rule_folds: np.ndarray | None = (
        None  # (rows, classes) by `hf_noisy.evidence.rules.folds`, NaN where a row is not judged
    )
    dynamics: Mapping[str, np.ndarray] = field(default_factory=dict)  # of a training, (rows,) each
    reweighted: np.ndarray | None = None  # (rows, classes) by models taught each label by how probable it was unseen

    @property
    def classes(self) -> int:
        """How many there are."""
        return self.truth.shape[1]


def _margin(found: Evidence) -> np.ndarray:
    """The area under the margin (Pleiss et al., NeurIPS 2020), turned round; a row that was never seen is in between."""
    margin = np.asarray(_needed("margin", found.dynamics.get("margin"), "dynamics of a training"), dtype=np.float64)
    return -np.where(np.isfinite(margin), margin, np.nanmedian(margin) if np.isfinite(margin).any() else 0.0)


def _disagreements(found: Evidence) -> np.ndarray:
    wrong = _needed("disagreements", found.dynamics.get("disagreements"), "dynamics of a training")
    return np.asarray(wrong) / np.maximum(found.dynamics["seen"], 1)


def _rule_folds(found: Evidence) -> np.ndarray:
    """Improbability of the label by a head that never saw a row of its rules; a row that is not judged is in between."""
    judged = _needed("rule_folds", found.rule_folds, "votes of several sources")
    score = disbelief(judged, found.labels)
    return np.where(np.isfinite(score), score, np.nanmedian(score) if np.isfinite(score).any() else 0.0)


def _reweighted(found: Evidence) -> np.ndarray:
    return disbelief(_needed("reweighted", found.reweighted, "a second regression"), found.labels)


def _sources(found: Evidence) -> np.ndarray:
    return contradiction(_needed("sources", found.votes, "votes"), found.labels)


def _cleanlab(found: Evidence) -> np.ndarray:
    """cleanlab's own ranking: self-confidence by probabilities that are adjusted for each class's mean (Northcutt et al., 2021)."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError as error:
        raise ImportError(
            'the scorer "cleanlab" needs the package of that name: pip install hf_noisy[benchmark]'
        ) from error
    return 1 - get_label_quality_scores(found.labels, found.probabilities, adjust_pred_probs=True)


def _needed(name: str, value: Any, what: str) -> Any:
    if value is None:
        raise ValueError(f"the scorer {name!r} needs {what}, which are not given. Pass them, or leave it out.")
    return value


SCORERS: Mapping[str, Callable[[Evidence], np.ndarray]] = MappingProxyType(
    {
        "held_out": lambda found: disbelief(found.probabilities, found.labels),
        "reweighted": _reweighted,
        "neighbours": lambda found: neighbour_disagreement(found.near, found.labels, found.classes),
        "truth": lambda found: disbelief(found.truth, found.labels),
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
    """Name -> (rows,), of the scorers that have what they need, and of those that are asked for.

    Raises:
        ValueError: one is asked for that lacks what it needs.
        ImportError: "cleanlab" is asked for without its package.
    """
    has = {
        "reweighted": found.reweighted is not None,
        "margin": "margin" in found.dynamics,
        "disagreements": "disagreements" in found.dynamics,
        "sources": found.votes is not None,
        "rule_folds": found.rule_folds is not None,
        "cleanlab": False,  # the same probabilities once more
    }
    return {name: score(found) for name, score in SCORERS.items() if name in asked or has.get(name, True)}


def default_weights(kind: str, found: Evidence) -> dict[str, float]:
    """Scorer -> weight, where none are named: neighbours and truth alike, unless the noise is symmetric.

    A model of the labels alone learns mistakes that follow the text, so it is asked only where they are symmetric. Then a label
    that is hit unseen is evidence: neighbours and models share a weight of 2 by the odds with which each hits the label of a row
    that it did not see. Models are the reweighted regression (held-out probabilities where there is none) and the margin of a
    training where there is one, alike, whose own hits say nothing, since it saw the labels.

    Args:
        kind: one of `hf_noisy.evidence.KINDS`.
        found: of the rows.
    """
    if kind != "symmetric":
        return dict.fromkeys(DEFAULT, 1.0)
    held_out = found.probabilities if found.reweighted is None else found.reweighted
    models = ["held_out" if found.reweighted is None else "reweighted"]
    if "margin" in found.dynamics and np.isfinite(found.dynamics["margin"]).any():
        models.append("margin")
    near, model = (odds_of_hitting(shares, found.labels) for shares in (_shares_near(found), held_out))
    weights = {"neighbours": 2 * near / (near + model), "truth": 1.0}
    return weights | dict.fromkeys(models, 2 * model / (near + model) / len(models))


def odds_of_hitting(shares: np.ndarray, labels: np.ndarray) -> float:
    """Of the largest of (rows, classes) shares being the row's label, as (hits + 1) / (misses + 1).

    >>> odds_of_hitting(np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]]), np.array([0, 1, 1]))
    1.5
    """
    hits = int((shares.argmax(1) == labels).sum())
    return (hits + 1) / (len(labels) - hits + 1)


def _shares_near(found: Evidence) -> np.ndarray:
    """(rows, classes) how much of the nearest neighbours has each class, the nearer the more."""
    weights, labels = 1 / (1 + found.near.distances), found.labels[found.near.rows]
    return np.stack([(weights * (labels == k)).sum(1) for k in range(found.classes)], 1)


def check_scorers(names: Sequence[str]) -> tuple[str, ...]:
    """`names`, each once and known.

    Raises:
        ValueError: none, one twice, or one that is not in `SCORERS`.
    """
    if isinstance(names, str) or not names or len(set(names)) < len(names):
        raise ValueError(f"scorers={names!r}: expected a list of one or more of {', '.join(SCORERS)}, each once.")
    for name in names:
        check_choice("scorers", name, tuple(SCORERS))
    return tuple(names)


def ranks(values: np.ndarray) -> np.ndarray:
    """(rows,) in (0, 1]: the share of the rows that are no larger, equal ones sharing their mean place.

    >>> ranks(np.array([3.0, 1.0, 1.0, 2.0])).tolist()
    [1.0, 0.375, 0.375, 0.75]
    """
    from scipy.stats import rankdata

    return rankdata(values) / len(values)


def wrongness(scores: Mapping[str, np.ndarray], weights: Mapping[str, float], rate: float) -> np.ndarray:
    """(rows,) in [0, 1]: the weighted mean of the scores' ranks, bent so that as many rows reach 0.5 as are wrong by `rate`.

    Ranks, since scorers are on scales of their own and none is calibrated on labels that follow a rule.

    Args:
        scores: name -> (rows,), larger is more suspect.
        weights: of the scorers; those that are not named here have none.
        rate: share of the labels that is taken for wrong, in [0, 1).

    Raises:
        ValueError: no score with a weight, or a rate outside [0, 1).

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
