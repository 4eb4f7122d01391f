"""Audits labels by the texts' vectors: which look wrong, what they should be, how many and of what kind they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.audit.content import AuditContent, LossMixture, Noise, Reproduction
from hf_noisy.audit.kinds import kind_of_noise, recommend
from hf_noisy.audit.rows import AuditedRows
from hf_noisy.audit.scorers import NEIGHBOURS, contradiction, disbelief, incoherence, wrongness
from hf_noisy.audit.sources import describe_sources
from hf_noisy.estimation.frozen import out_of_fold_probabilities
from hf_noisy.estimation.inputs import check_features, check_labels
from hf_noisy.estimation.report import NoiseReport, estimate_noise
from hf_noisy.weak import check_votes, label_model_probabilities

ESTIMATORS = ("neighbours", "dual_t", "anchor_points", "dawid_skene", "label_model")  # those that take seconds
_UNLIKELY = 0.2  # probability of the given label from which on down a row says so
_PACKAGES = ("hf_noisy", "torch", "transformers", "scikit-learn")


def audit_labels(
    texts: Sequence[str],
    labels: ArrayLike,
    class_names: Sequence[str],
    vectors: ArrayLike,
    *,
    votes: ArrayLike | None = None,
    source_names: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    dynamics: Mapping[str, np.ndarray] | None = None,
    title: str = "labels",
    command: str = "hf_noisy.audit.audit_labels(...)",
    folds: int = 5,
    resamples: int = 100,
    seed: int = 0,
) -> AuditContent:
    """Says of each label how wrong it looks and what it should be; reads no gold label.

    Two scorers are combined by their ranks: the probability of the given label by a logistic regression on the vectors
    that never saw the row, and the cut statistic of the labels of its neighbours (`hf_noisy.audit.scorers`). Where
    `estimate_noise` suspects labels that follow a rule, such a regression has learned the rule, and the neighbours alone
    decide.

    The noise rate is the estimate by neighbours (HOC), which rests on no classifier; its interval spans all estimators, as
    they err together on labels that follow a rule.

    Args:
        texts: (rows,), as they are to be shown.
        labels: (rows,) class ids, negative where a row has none: such rows are left out.
        class_names: in the order of the class ids.
        vectors: (rows, width) of an encoder that never saw the labels, as `mean_vectors` makes them.
        votes: (rows, sources) of the weak sources, -1 abstains.
        source_names: of the columns of `votes`.
        ids: (rows,) of the corpus, each once; row numbers by default.
        dynamics: what a training showed of each row, (rows,) each, as `NoisyTrainer.example_report` has it: `seen`,
            `disagreements` and `loss`. They give reasons and the distribution of the losses.
        title, command: for the report.
        folds: of the regression.
        resamples: of the rows, for the intervals.
        seed: of folds and resamples.

    Raises:
        ValueError, TypeError: fewer labelled rows than twice the folds, labels of one class only, or arguments of differing
            lengths.
    """
    every = check_labels(labels, len(texts), "texts")
    classes, kept = len(class_names), np.flatnonzero(every >= 0)
    if len(kept) < 2 * folds:
        raise ValueError(
            f"{len(kept)} rows have a label: expected at least {2 * folds}, two for each of {folds} folds."
        )
    table, given = check_features(vectors, len(every))[kept], every[kept]
    cast = None if votes is None else check_votes(np.asarray(votes), classes)
    if cast is not None and len(cast) != len(every):
        raise ValueError(f"votes has {len(cast)} rows: expected {len(every)}, one for each text.")
    probabilities = out_of_fold_probabilities(table, given, classes, folds, seed)
    report = _estimated(given, probabilities, table, None if cast is None else cast[kept], classes, resamples, seed)
    noise = _noise(report, probabilities, given)
    scores = {"held_out": disbelief(probabilities, given), "neighbours": incoherence(table, given, classes)}
    weights = {"neighbours": 1.0, "held_out": 0.0 if report.structured else 1.0}
    near = _nearest(table)
    nearby = _nearby(near, given, classes)
    believed = (probabilities + nearby) / 2
    shown = {name: np.asarray(values)[kept] for name, values in (dynamics or {}).items()}
    sources = None
    names = None
    if cast is not None:
        names = [f"source_{k}" for k in range(cast.shape[1])] if source_names is None else list(source_names)
        sources = describe_sources(cast, names, texts, table, given, kept, classes, seed)
    losses = shown.get("loss")
    if losses is not None and not np.isfinite(losses).all():
        losses = None
    rows = AuditedRows(
        ids=[str(row) for row in kept] if ids is None else [str(ids[int(row)]) for row in kept],
        texts=[texts[int(row)] for row in kept],
        labels=given,
        wrongness=wrongness(scores, weights, min(noise.rate, 0.99)),
        suggested_labels=believed.argmax(1),
        suggested_probabilities=believed.max(1),
        reasons=_reasons(given, probabilities, near, None if cast is None else cast[kept], shown, class_names),
        votes=None if cast is None or names is None else {name: cast[kept, k] for k, name in enumerate(names)},
        losses=scores["held_out"] if losses is None else losses,
    )
    assert rows.losses is not None
    return AuditContent(
        title=title,
        class_names=tuple(class_names),
        rows=rows,
        abstained=len(every) - len(kept),
        noise=noise,
        recommendation=recommend(noise.kind, noise.rate, 1 - len(kept) / len(every)),
        reproduction=Reproduction(command, seed, {name: version(name) for name in _PACKAGES}),
        sources=sources,
        mixture=_mixture(rows.losses, seed),
        loss_name="1 - probability of the given label, out of fold" if losses is None else "mean loss, in nats",
        basis=_basis(report, folds, losses is not None),
    )


def _estimated(
    labels: np.ndarray,
    probabilities: np.ndarray,
    vectors: np.ndarray,
    votes: np.ndarray | None,
    classes: int,
    resamples: int,
    seed: int,
) -> NoiseReport:
    """Of the classes that are among the labels: of one that is never given, nothing can be estimated."""
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(
            f"all {len(labels)} labels are of class {present[0]}: expected two classes or more to compare."
        )
    place = np.full(classes + 1, -1)  # the last is for -1, which abstains
    place[present] = np.arange(len(present))
    shares = probabilities[:, present]
    cast = None if votes is None else place[votes]
    several = cast is not None and cast.shape[1] >= 3
    with warnings.catch_warnings():  # they are out of fold, however well labels are predicted
        warnings.filterwarnings("ignore", message="the most probable class is the given label")
        return estimate_noise(
            place[labels],
            probs=shares / shares.sum(1, keepdims=True),
            features=vectors,
            votes=cast,
            label_model=label_model_probabilities(cast, len(present), seed=seed)
            if cast is not None and several
            else None,
            estimators=[name for name in ESTIMATORS if several or name not in ("dawid_skene", "label_model")],
            resamples=resamples,
            seed=seed,
        )


def _noise(report: NoiseReport, probabilities: np.ndarray, labels: np.ndarray) -> Noise:
    best = report.estimates["neighbours"]
    low = min(estimate.low for estimate in report.estimates.values())
    high = max(estimate.high for estimate in report.estimates.values())
    kind, evidence = kind_of_noise(report, best.rate, probabilities, labels)
    said = ", ".join(f"{name.replace('_', ' ')} {estimate.rate:.1%}" for name, estimate in report.estimates.items())
    evidence.append(f"By estimator: {said}.")
    if report.structured:
        evidence.append("Where labels follow a rule, estimators fall short: read the rate as a lower bound.")
    present, matrix = np.unique(labels), np.eye(probabilities.shape[1])
    matrix[np.ix_(present, present)] = best.matrix  # a class that is never given is taken to be never confused
    return Noise(best.rate, min(low, best.rate), max(high, best.rate), kind, evidence, matrix)


def _nearby(near: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """(rows, classes) the share of each class among the labels of a row's neighbours, common classes counting less."""
    shares = np.eye(classes)[labels][near].mean(1) / np.maximum(np.bincount(labels, minlength=classes), 1)
    return shares / shares.sum(1, keepdims=True)


def _nearest(vectors: np.ndarray) -> np.ndarray:
    """(rows, neighbours) row numbers, by cosine."""
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBOURS, len(vectors) - 1)
    return NearestNeighbors(n_neighbors=count, algorithm="brute", metric="cosine").fit(vectors).kneighbors()[1]


def _reasons(
    labels: np.ndarray,
    probabilities: np.ndarray,
    near: np.ndarray,
    votes: np.ndarray | None,
    dynamics: Mapping[str, np.ndarray],
    class_names: Sequence[str],
) -> list[list[str]]:
    other = (labels[near] != labels[:, None]).sum(1)
    against = None if votes is None else contradiction(votes, labels)
    reasons: list[list[str]] = []
    for row, label in enumerate(labels):
        found = _of_dynamics(dynamics, row)
        if 2 * other[row] > near.shape[1]:
            found.append(f"neighbours say otherwise: {other[row]} of {near.shape[1]}")
        if probabilities[row, label] < _UNLIKELY:
            best = class_names[int(probabilities[row].argmax())]
            found.append(f"unlikely where it was not seen: {probabilities[row, label]:.2f}, {best} is likelier")
        if votes is not None and against is not None and against[row] > 0:
            cast = int((votes[row] >= 0).sum())
            found.append(f"sources conflict: {round(against[row] * cast)} of {cast} against")
        reasons.append(found)
    return reasons


def _of_dynamics(dynamics: Mapping[str, np.ndarray], row: int) -> list[str]:
    if "disagreements" not in dynamics or not dynamics["seen"][row]:
        return []
    wrong, seen = int(dynamics["disagreements"][row]), int(dynamics["seen"][row])
    if wrong == seen:
        return [f"never learned: in {seen} epochs"]
    return [f"disagreed in {wrong} of {seen} epochs"] if 2 * wrong > seen else []


def _mixture(losses: np.ndarray, seed: int) -> LossMixture | None:
    """Two normal components; None where the losses are too much alike for them."""
    from sklearn.mixture import GaussianMixture

    if np.ptp(losses) < 1e-6:
        return None
    fit = GaussianMixture(2, reg_covar=1e-6, random_state=seed).fit(losses[:, None])
    order = np.argsort(fit.means_[:, 0])
    means, shares = fit.means_[order, 0], fit.weights_[order]
    deviations = np.sqrt(fit.covariances_[order, 0, 0])
    return LossMixture(
        (float(means[0]), float(means[1])),
        (float(deviations[0]), float(deviations[1])),
        (float(shares[0]), float(shares[1])),
    )


def _basis(report: NoiseReport, folds: int, trained: bool) -> list[str]:
    said = [
        "One pass of a frozen encoder over the texts.",
        f"A logistic regression on its vectors, out of {folds} folds, and the labels of the {NEIGHBOURS} nearest texts.",
        "The wrongness goes by neighbours alone, since labels seem to follow a rule, which a regression learns."
        if report.structured
        else "The wrongness is the mean of both by rank.",
    ]
    return [*said, "Losses and epochs are those of one training."] if trained else said
