"""Audits labels by the texts' vectors: which look wrong, what they should be, how many and of what kind they are."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from importlib.metadata import version

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.audit.content import AuditContent, Curve, LossMixture, Noise, Reproduction
from hf_noisy.audit.kinds import kind_of_noise, recommend
from hf_noisy.audit.rows import AuditedRows
from hf_noisy.audit.scorers import (
    NEIGHBOURS,
    SAID,
    SCORERS,
    Evidence,
    by_evidence,
    check_scorers,
    contradiction,
    inferred_classes,
    wrongness,
)
from hf_noisy.audit.sources import describe_sources
from hf_noisy.estimation.frozen import out_of_fold_probabilities
from hf_noisy.estimation.inputs import check_features, check_labels
from hf_noisy.estimation.report import NoiseReport, estimate_noise
from hf_noisy.noise import check_distributions, check_table
from hf_noisy.truth import mean_coherence, voters
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
    probabilities: ArrayLike | None = None,
    scorers: Sequence[str] | None = None,
    curves: Sequence[Curve] = (),
    title: str = "labels",
    command: str = "hf_noisy.audit.audit_labels(...)",
    folds: int = 5,
    resamples: int = 100,
    seed: int = 0,
) -> AuditContent:
    """Says of each label how wrong it looks and what it should be; reads no gold label.

    The wrongness is the mean rank of several scorers (`hf_noisy.audit.scorers`), none of which is best everywhere: the
    probability of the given label by a model that never saw the row, the cut statistic of the labels of its neighbours,
    and the class that sources and similar texts speak for (`hf_noisy.truth`). Where `estimate_noise` suspects labels that follow
    a rule, a model of these labels has learned the rule, and the last two decide.

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
            `disagreements`, `loss` and `margin`. They give reasons and the distribution of the losses, and can be scorers.
        probabilities: (rows, classes) of models that never saw the row, where you paid for them, as by `folds` trainings;
            by default those of a logistic regression on the vectors.
        scorers: of `hf_noisy.audit.SCORERS`, weighed alike; by default those named above. "margin" and "disagreements" need
            `dynamics`, "sources" needs votes, "cleanlab" its package.
        curves: of the training, for the page.
        title, command: for the report.
        folds: of the regression.
        resamples: of the rows, for the intervals.
        seed: of folds and resamples.

    Raises:
        ValueError, TypeError: fewer labelled rows than twice the folds, labels of one class only, arguments of differing
            lengths, or a scorer that is unknown or lacks what it needs.
        ImportError: the scorer "cleanlab" without its package.
    """
    asked = None if scorers is None else check_scorers(scorers)
    every = check_labels(labels, len(texts), "texts")
    classes, kept = len(class_names), np.flatnonzero(every >= 0)
    if len(kept) < 2 * folds:
        raise ValueError(
            f"{len(kept)} rows have a label: expected at least {2 * folds}, two for each of {folds} folds."
        )
    table, given = check_features(vectors, len(every)), every[kept]
    cast = None if votes is None else check_votes(np.asarray(votes), classes)
    if cast is not None and len(cast) != len(every):
        raise ValueError(f"votes has {len(cast)} rows: expected {len(every)}, one for each text.")
    held_out = (
        out_of_fold_probabilities(table[kept], given, classes, folds, seed)
        if probabilities is None
        else _check_held_out(probabilities, len(every), classes)[kept]
    )
    own_votes = None if cast is None else cast[kept]
    report = _estimated(given, held_out, table[kept], own_votes, classes, resamples, seed)
    found = Evidence(
        given,
        held_out,
        table[kept],
        inferred_classes(table, every, cast, classes, seed)[kept],
        own_votes,
        {name: np.asarray(values)[kept] for name, values in (dynamics or {}).items()},
    )
    noise = _noise(report, held_out, given)
    used = asked or by_evidence(report.structured)
    believed = found.truth if report.structured else (found.truth + held_out) / 2
    names = _source_names(cast, source_names)
    losses = found.dynamics.get("loss")
    trained = losses is not None and bool(np.isfinite(losses).all())
    rows = AuditedRows(
        ids=[str(row) for row in kept] if ids is None else [str(ids[int(row)]) for row in kept],
        texts=[texts[int(row)] for row in kept],
        labels=given,
        wrongness=wrongness(
            {name: SCORERS[name](found) for name in used}, dict.fromkeys(used, 1.0), min(noise.rate, 0.99)
        ),
        suggested_labels=believed.argmax(1),
        suggested_probabilities=believed.max(1),
        reasons=_reasons(found, class_names),
        votes=None if own_votes is None else {name: own_votes[:, k] for k, name in enumerate(names)},
        losses=losses if trained else SCORERS["held_out"](found),
    )
    assert rows.losses is not None
    return AuditContent(
        title=title,
        class_names=tuple(class_names),
        rows=rows,
        abstained=len(every) - len(kept),
        noise=noise,
        recommendation=recommend(
            noise.kind,
            labelled=len(kept),
            rows=len(every),
            sources=voters(cast),
            coherence=mean_coherence(found.vectors, np.eye(classes)[given], NEIGHBOURS, seed),
            rate=float(SCORERS["truth"](found).mean()),
        ),
        reproduction=Reproduction(command, seed, {name: version(name) for name in _PACKAGES}),
        sources=None if cast is None else describe_sources(cast, names, texts, table[kept], given, kept, classes, seed),
        mixture=_mixture(rows.losses, seed),
        loss_name="mean loss, in nats" if trained else "improbability of the given label, out of fold",
        curves=curves,
        basis=_basis(used, report.structured and asked is None, None if probabilities is not None else folds, trained),
    )


def _check_held_out(probabilities: ArrayLike, rows: int, classes: int) -> np.ndarray:
    table = check_table("probabilities", probabilities)
    if table.shape != (rows, classes):
        raise ValueError(
            f"probabilities of shape {table.shape}: expected {(rows, classes)}, a row for each text, those without a label too."
        )
    check_distributions("probabilities", table, 1e-3)
    return table


def _source_names(votes: np.ndarray | None, names: Sequence[str] | None) -> list[str]:
    if votes is None:
        return []
    return [f"source_{k}" for k in range(votes.shape[1])] if names is None else list(names)


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


def _nearest(vectors: np.ndarray) -> np.ndarray:
    """(rows, neighbours) row numbers, by cosine."""
    from sklearn.neighbors import NearestNeighbors

    count = min(NEIGHBOURS, len(vectors) - 1)
    return NearestNeighbors(n_neighbors=count, algorithm="brute", metric="cosine").fit(vectors).kneighbors()[1]


def _reasons(found: Evidence, class_names: Sequence[str]) -> list[list[str]]:
    labels, near = found.labels, _nearest(found.vectors)
    other = (labels[near] != labels[:, None]).sum(1)
    against = None if found.votes is None else contradiction(found.votes, labels)
    reasons: list[list[str]] = []
    for row, label in enumerate(labels):
        said = _of_dynamics(found.dynamics, row)
        if 2 * other[row] > near.shape[1]:
            said.append(f"neighbours say otherwise: {other[row]} of {near.shape[1]}")
        for what, shares in (
            ("unlikely where it was not seen", found.probabilities),
            ("inferred otherwise", found.truth),
        ):
            if shares[row, label] < _UNLIKELY:
                best = class_names[int(shares[row].argmax())]
                said.append(f"{what}: {shares[row, label]:.2f}, {best} is likelier")
        if against is not None and against[row] > 0:
            assert found.votes is not None
            cast = int((found.votes[row] >= 0).sum())
            said.append(f"sources conflict: {round(against[row] * cast)} of {cast} against")
        reasons.append(said)
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


def _basis(used: Sequence[str], structured: bool, folds: int | None, trained: bool) -> list[str]:
    held_out = "probabilities that were given" if folds is None else f"a logistic regression out of {folds} folds"
    said = [
        f"One pass of a frozen encoder over the texts; held-out probabilities are of {held_out}, near texts the "
        f"{NEIGHBOURS} nearest.",
        "The wrongness is the mean by rank of "
        + "; ".join(SAID[name] for name in used)
        + (
            ". Labels seem to follow a rule, which a model of them would have learned, so none is asked."
            if structured
            else "."
        ),
    ]
    return [*said, "Losses and epochs are those of one training."] if trained else said
