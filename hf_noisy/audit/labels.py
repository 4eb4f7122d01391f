"""Audits labels by the texts' vectors: which look wrong, what they should be, how many and of what kind they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.audit.content import AuditContent, Curve, LossMixture, Noise, Reproduction
from hf_noisy.audit.reasons import reasons_against
from hf_noisy.audit.recommendation import recommend
from hf_noisy.audit.rows import AuditedRows
from hf_noisy.audit.scorers import SAID, Evidence, check_scorers, default_weights, known_scores, wrongness
from hf_noisy.audit.sources import describe_sources
from hf_noisy.data.distributions import check_distributions, check_table
from hf_noisy.data.label_encoding import one_hot_rows
from hf_noisy.evidence.features.frozen import out_of_fold_probabilities
from hf_noisy.evidence.features.neighbours import nearest_rows
from hf_noisy.evidence.features.scores import cv_gain_z
from hf_noisy.evidence.features.text_features import NEIGHBOURS, TextFeatures, text_features
from hf_noisy.evidence.inference.infer_classes import infer_classes
from hf_noisy.evidence.matrices.inputs import check_features, check_labels
from hf_noisy.evidence.rates.report import BEST
from hf_noisy.evidence.rates.text_rates import estimate_labels
from hf_noisy.evidence.rules.folds import rule_held_out_probabilities
from hf_noisy.weak.votes import check_votes

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

    The wrongness is the mean rank of two scorers (`hf_noisy.audit.scorers`), neither of which is best everywhere: the cut
    statistic of the labels of near texts, and the class that sources and similar texts speak for (`hf_noisy.evidence.inference.infer_truth`). Where
    wrong labels are symmetric, models of the labels join (`default_weights`): the probability of the given label by one that never
    saw the row, and the margin of a training; where labels follow the text, such a model has learned the mistakes. Texts are seen by the encoder where several sources vote, by the encoder
    and their words where there are labels alone (`hf_noisy.evidence.choice.choose_features` says why).

    The noise rate and the matrix are by the classes that sources and similar texts speak for, as the second scorer is; the
    interval spans all estimators, as they err together on labels that follow a rule (`hf_noisy.evidence.NoiseReport`).

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
            by default those of a logistic regression.
        scorers: of `hf_noisy.audit.SCORERS`, weighed alike; by default as `default_weights` says. "margin" and "disagreements" need
            `dynamics`, "sources" needs votes, "rule_folds" those of several sources, "cleanlab" its package.
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
    given = _checked(texts, labels, len(class_names), vectors, votes, folds)
    kept = given.kept
    sight = text_features(texts, given.vectors, given.labels, given.votes, given.classes, seed)
    held_out = (
        out_of_fold_probabilities(sight.view[kept], given.labels[kept], given.classes, folds, seed)
        if probabilities is None
        else _check_held_out(probabilities, len(texts), given.classes)[kept]
    )
    found = _evidence(given, sight, held_out, dynamics or {}, seed)
    noise = _noise(found, given.vectors[kept], resamples, seed)
    paid = probabilities is not None
    if "reweighted" in asked if asked is not None else noise.kind == "symmetric" and not paid:
        found = replace(found, reweighted=_reweighted(found, sight.view[kept], folds, seed))
    weights = default_weights(noise.kind, found) if asked is None else dict.fromkeys(asked, 1.0)
    scores = known_scores(found, tuple(weights))
    believed = found.truth if sight.sources > 1 else (found.truth + held_out) / 2
    names = _source_names(given.votes, source_names)
    losses = found.dynamics.get("loss")
    trained = losses is not None and bool(np.isfinite(losses).all())
    rows = AuditedRows(
        ids=[str(row) for row in kept] if ids is None else [str(ids[int(row)]) for row in kept],
        texts=[texts[int(row)] for row in kept],
        labels=found.labels,
        wrongness=wrongness(scores, weights, min(noise.rate, 0.99)),
        suggested_labels=believed.argmax(1),
        suggested_probabilities=believed.max(1),
        reasons=reasons_against(found, class_names),
        votes=None if found.votes is None else {name: found.votes[:, k] for k, name in enumerate(names)},
        losses=losses if trained else scores["held_out"],
    )
    assert rows.losses is not None
    return AuditContent(
        title=title,
        class_names=tuple(class_names),
        rows=rows,
        abstained=len(texts) - len(rows),
        noise=noise,
        recommendation=recommend(
            noise.kind,
            labelled=len(rows),
            rows=len(texts),
            sources=sight.sources,
            cut_statistic=sight.cut_statistic,
            cv_gain_z=cv_gain_z(sight.view, one_hot_rows(given.labels, given.classes), seed),
            rate=float(scores["truth"].mean()),
        ),
        reproduction=Reproduction(command, seed, {name: version(name) for name in _PACKAGES}),
        sources=None if given.votes is None else describe_sources(given.votes, names, texts, kept, found.rule_folds),
        mixture=_mixture(rows.losses, seed),
        loss_name="mean loss, in nats" if trained else "improbability of the given label, out of fold",
        curves=curves,
        scorers=weights,
        basis=_basis(weights, sight.kind, None if paid else folds, trained),
        scores=scores,
    )


@dataclass(frozen=True)
class _Given:
    """What the caller has, checked: of all rows."""

    labels: np.ndarray  # (rows,) class ids, -1 where there is none
    kept: np.ndarray  # numbers of the rows with a label
    vectors: np.ndarray  # (rows, width)
    votes: np.ndarray | None  # (rows, sources)
    classes: int


def _checked(
    texts: Sequence[str], labels: ArrayLike, classes: int, vectors: ArrayLike, votes: ArrayLike | None, folds: int
) -> _Given:
    every = check_labels(labels, len(texts), "texts")
    kept = np.flatnonzero(every >= 0)
    if len(kept) < 2 * folds:
        raise ValueError(
            f"{len(kept)} rows have a label: expected at least {2 * folds}, two for each of {folds} folds."
        )
    table = check_features(vectors, len(every))
    cast = None if votes is None else check_votes(np.asarray(votes), classes)
    if cast is not None and len(cast) != len(every):
        raise ValueError(f"votes has {len(cast)} rows: expected {len(every)}, one for each text.")
    return _Given(every, kept, table, cast, classes)


def _evidence(
    given: _Given, sight: TextFeatures, held_out: np.ndarray, dynamics: Mapping[str, np.ndarray], seed: int
) -> Evidence:
    kept, labels, view = given.kept, given.labels[given.kept], sight.view
    votes = None if given.votes is None else given.votes[kept]
    judged = None
    if votes is not None and sight.sources > 1:
        judged = rule_held_out_probabilities(given.vectors[kept], labels, votes, given.classes, seed)
    return Evidence(
        labels,
        held_out,
        nearest_rows(view[kept], min(NEIGHBOURS, len(kept) - 1)),
        infer_classes(view, given.labels, given.votes, given.classes, seed)[kept],
        votes,
        judged,
        {name: np.asarray(values)[kept] for name, values in dynamics.items()},
    )


def _reweighted(found: Evidence, view: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(rows, classes) held-out probabilities once more, each label counting as much as it was believed unseen.

    The regression that judges a row never saw it; those that weighed the other rows for it did.
    """
    believed = found.probabilities[np.arange(len(found.labels)), found.labels]
    return out_of_fold_probabilities(view, found.labels, found.classes, folds, seed, np.maximum(believed, 1e-6))


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


def _noise(found: Evidence, vectors: np.ndarray, resamples: int, seed: int) -> Noise:
    report, present = estimate_labels(
        found.labels,
        held_out=found.probabilities,
        inferred=found.truth,
        vectors=vectors,
        votes=found.votes,
        resamples=resamples,
        seed=seed,
    )
    said = ", ".join(f"{name.replace('_', ' ')} {estimate.rate:.1%}" for name, estimate in report.estimates.items())
    evidence = [*report.evidence, f"By estimator: {said}."]
    if report.structured:
        evidence.append(
            "Where labels follow a rule, estimators fall short: the true rate is rather above this one than below."
        )
    matrix = np.eye(found.classes)
    matrix[np.ix_(present, present)] = report.estimates[BEST].matrix  # a class that is never given is never confused
    low, high = report.interval
    return Noise(report.rate, low, high, report.kind, evidence, matrix)


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


def _basis(weights: Mapping[str, float], seen_by: str, folds: int | None, trained: bool) -> list[str]:
    varied = len(set(weights.values())) > 1
    held_out = "probabilities that were given" if folds is None else f"a logistic regression out of {folds} folds"
    said = [
        f"{_SEEN_BY[seen_by]}; held-out probabilities are of {held_out}, near texts the {NEIGHBOURS} nearest.",
        "The wrongness is the mean by rank of "
        + "; ".join(SAID[name] + (f" (weight {weight:.2f})" if varied else "") for name, weight in weights.items())
        + ".",
    ]
    return [*said, "Losses and epochs are those of one training."] if trained else said


_SEEN_BY = {
    "encoder": "Texts are seen by a frozen encoder, in one pass",
    "words": "Texts are seen by their words, since a frozen encoder sees little of these labels",
    "both": "Texts are seen by a frozen encoder, in one pass, and by their words",
}
