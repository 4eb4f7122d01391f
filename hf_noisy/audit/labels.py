"""Audits labels with text vectors: which labels look wrong, what they should be, the noise rate and its kind."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.audit.content import AuditContent, Curve, LossMixture, Noise, Reproduction
from hf_noisy.audit.reasons import label_reasons, repeated_texts
from hf_noisy.audit.recommendation import recommend
from hf_noisy.audit.rows import AuditedRows
from hf_noisy.audit.scorers import SAID, Evidence, check_scorers, default_weights, known_scores, wrongness
from hf_noisy.audit.sources import describe_sources
from hf_noisy.data.distributions import check_distributions, check_table
from hf_noisy.data.label_encoding import one_hot_rows
from hf_noisy.data.pairs import Text, all_texts, has_pairs, pair_up, sides
from hf_noisy.evidence.features.frozen import out_of_fold_probabilities
from hf_noisy.evidence.features.neighbours import nearest_rows
from hf_noisy.evidence.features.text_features import NEIGHBOURS, TextFeatures, text_features
from hf_noisy.evidence.features.words import word_splitter
from hf_noisy.evidence.inference.infer_classes import infer_classes
from hf_noisy.evidence.inference.label_evidence import LabelEvidence, weigh_labels
from hf_noisy.evidence.inputs import check_features, check_labels
from hf_noisy.evidence.rates.noise_report import BEST
from hf_noisy.evidence.rates.text_rates import estimate_labels
from hf_noisy.evidence.rules.folds import rule_held_out_probabilities
from hf_noisy.weak.votes import check_votes

_PACKAGES = ("hf_noisy", "torch", "transformers", "scikit-learn")


def audit_labels(
    texts: Sequence[Text],
    labels: ArrayLike,
    class_names: Sequence[str],
    vectors: ArrayLike,
    *,
    text_pairs: Sequence[str] | None = None,
    votes: ArrayLike | None = None,
    source_names: Sequence[str] | None = None,
    ids: Sequence[str] | None = None,
    dynamics: Mapping[str, np.ndarray] | None = None,
    probabilities: ArrayLike | None = None,
    scorers: Sequence[str] | None = None,
    curves: Sequence[Curve] = (),
    notes: Sequence[str] = (),
    title: str = "labels",
    command: str = "hf_noisy.audit.audit_labels(...)",
    folds: int = 5,
    resamples: int = 100,
    seed: int = 0,
    tokenizer: Any = None,
) -> AuditContent:
    """Scores how wrong each label looks, and suggests a class for each row. Uses no gold labels.

    The wrongness is the mean rank of two scorers (`hf_noisy.audit.scorers`); neither is best on all data. The first is
    the cut statistic of the labels of near texts. The second is the improbability of the label under the class inferred
    from sources and similar texts (`hf_noisy.evidence.inference.infer_truth`). For symmetric noise, models of the
    labels are added (`default_weights`): the probability of the given label by a model not trained on the row, and the
    margin of a training. If wrong labels follow the text, such models learn the mistakes. The text features are the
    encoder's vectors if several sources vote, and vectors and words if there are labels alone
    (`hf_noisy.evidence.choice.choose_features` gives the reasons and the exceptions).

    The noise rate and its 80 % interval are those that `auto` logs
    (`hf_noisy.evidence.rates.interval.estimate_rate`). The matrix is based on the same inferred classes as the second
    scorer, and so is the share of the rows that are doubted.

    Args:
        texts: (rows,) texts for the report and the word features. Two texts a row are tuples (first, second).
        labels: (rows,) class ids, negative for rows without a label; these rows are left out.
        class_names: ordered by class id.
        vectors: (rows, width) by an encoder that was not trained on the labels, as from `mean_vectors`.
        text_pairs: (rows,) second texts, such as hypotheses, if `texts` are the first ones. The vectors are then those of
            the pairs, as from `text_vectors(texts, encoder, text_pairs=text_pairs)`.
        votes: (rows, sources) votes of the weak sources, -1 abstains.
        source_names: names of the columns of `votes`.
        ids: (rows,) unique ids of the corpus; row numbers by default.
        dynamics: training statistics, name -> (rows,), as in `NoisyTrainer.example_report`: `seen`, `disagreements`,
            `loss` and `margin`. They give reasons and the distribution of the losses, and can be scorers.
        probabilities: (rows, classes) by models not trained on the row, for example from `folds` trainings of your own;
            by default those of a logistic regression.
        scorers: names in `hf_noisy.audit.SCORERS`, with equal weights; by default those of `default_weights`. "margin"
            and "disagreements" need `dynamics`, "sources" needs votes, "rule_folds" needs votes of several sources, and
            "cleanlab" needs its package.
        curves: learning curves of the training, for the report.
        notes: sentences on how the table was read, for the report, as `Corpus.notes`.
        title: name of the labels, shown in the report.
        command: shown in the report as the way to make it again.
        folds: number of folds of the regression.
        resamples: number of bootstrap resamples of the rows, for the intervals.
        seed: seed of folds and resamples.
        tokenizer: of a model. Its pieces are taken as words of texts without spaces between words, if it knows their
            language and no segmenter is installed (`hf_noisy.evidence.features.words.word_splitter`).

    Raises:
        ValueError, TypeError: fewer labelled rows than twice the folds, labels of one class only, arguments of
            different lengths, or a scorer that is unknown or lacks an input.
        ImportError: the scorer "cleanlab" is named, but its package is not installed.
    """
    texts = pair_up(texts, text_pairs)
    requested = None if scorers is None else check_scorers(scorers)
    given = _checked(texts, labels, len(class_names), vectors, votes, folds)
    kept = given.kept
    features = text_features(texts, given.vectors, given.labels, given.votes, given.classes, seed, tokenizer)
    held_out = (
        out_of_fold_probabilities(features.view[kept], given.labels[kept], given.classes, folds, seed)
        if probabilities is None
        else _check_held_out(probabilities, len(texts), given.classes)[kept]
    )
    found = _evidence(given, features, held_out, dynamics or {}, seed)
    weighed = weigh_labels(features.view, one_hot_rows(given.labels, given.classes), given.votes, seed=seed)
    noise, doubted = _noise(found, given.vectors[kept], weighed, resamples, seed)
    supplied = probabilities is not None
    if "reweighted" in requested if requested is not None else noise.kind == "symmetric" and not supplied:
        found = replace(found, reweighted=_reweighted(found, features.view[kept], folds, seed))
    weights = default_weights(noise.kind, found) if requested is None else dict.fromkeys(requested, 1.0)
    scores = known_scores(found, tuple(weights))
    class_probabilities = found.truth if features.sources > 1 else (found.truth + held_out) / 2
    names = _source_names(given.votes, source_names)
    losses = found.dynamics.get("loss")
    trained = losses is not None and bool(np.isfinite(losses).all())
    shown_texts = [texts[int(row)] for row in kept]
    repeated = repeated_texts(shown_texts, found.labels)
    if repeated:
        different = len({shown_texts[row] for row in repeated})
        notes = [*notes, f"{different:,} texts occur several times with different labels, in {len(repeated):,} rows"]
    shown = sides(shown_texts)
    rows = AuditedRows(
        ids=[str(row) for row in kept] if ids is None else [str(ids[int(row)]) for row in kept],
        texts=shown[0],
        text_pairs=shown[1] if has_pairs(texts) else None,
        labels=found.labels,
        wrongness=wrongness(scores, weights, min(doubted, 0.99)),
        suggested_labels=class_probabilities.argmax(1),
        suggested_probabilities=class_probabilities.max(1),
        reasons=label_reasons(found, class_names, repeated),
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
            sources=features.sources,
            cut_statistic=features.cut_statistic,
            rate=noise.rate,
            interval=(noise.low, noise.high),
            moved=weighed.moved,
        ),
        reproduction=Reproduction(command, seed, {name: version(name) for name in _PACKAGES}),
        sources=None
        if given.votes is None
        else describe_sources(given.votes, names, texts, kept, found.rule_folds, tokenizer),
        mixture=_mixture(rows.losses, seed),
        loss_name="mean loss, in nats" if trained else "improbability of the given label, out of fold",
        curves=curves,
        scorers=weights,
        table_notes=tuple(notes),
        basis=[
            *_basis(weights, features.kind, None if supplied else folds, trained),
            *_said_of_words(all_texts(texts), tokenizer),
        ],
        scores=scores,
    )


@dataclass(frozen=True)
class _Given:
    """The validated arguments, for all rows."""

    labels: np.ndarray  # (rows,) class ids, -1 without a label
    kept: np.ndarray  # row numbers of the rows with a label
    vectors: np.ndarray  # (rows, width)
    votes: np.ndarray | None  # (rows, sources)
    classes: int


def _checked(
    texts: Sequence[Text], labels: ArrayLike, classes: int, vectors: ArrayLike, votes: ArrayLike | None, folds: int
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
    given: _Given, features: TextFeatures, held_out: np.ndarray, dynamics: Mapping[str, np.ndarray], seed: int
) -> Evidence:
    kept, labels, view = given.kept, given.labels[given.kept], features.view
    votes = None if given.votes is None else given.votes[kept]
    judged = None
    if votes is not None and features.sources > 1:
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
    """Returns (rows, classes) out-of-fold probabilities of a second regression, weighted by those of the first.

    Each label is weighted by its held-out probability. A row is predicted by a regression that was not trained on it.
    The first regressions, which gave the weights of the other rows, were trained on it.
    """
    confidence = found.probabilities[np.arange(len(found.labels)), found.labels]
    return out_of_fold_probabilities(view, found.labels, found.classes, folds, seed, np.maximum(confidence, 1e-6))


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


def _noise(
    found: Evidence, vectors: np.ndarray, weighed: LabelEvidence, resamples: int, seed: int
) -> tuple[Noise, float]:
    """Returns the noise, and the share of labels that the inferred classes contradict, by which rows are doubted."""
    report, present = estimate_labels(
        found.labels,
        held_out=found.probabilities,
        inferred=found.truth,
        vectors=vectors,
        votes=found.votes,
        weighed=weighed,
        resamples=resamples,
        seed=seed,
    )
    rates = ", ".join(f"{name.replace('_', ' ')} {estimate.rate:.1%}" for name, estimate in report.estimates.items())
    evidence = [*report.evidence, f"By estimator: {rates}."]
    if report.structured:
        evidence.append(
            "Where labels follow a rule, estimators fall short: the true rate is rather above this one than below."
        )
    matrix = np.eye(found.classes)
    # a class that never occurs as a label keeps its row of the identity
    matrix[np.ix_(present, present)] = report.estimates[BEST].matrix
    low, high = report.interval
    return Noise(report.rate, low, high, report.kind, evidence, matrix), report.estimates[BEST].rate


def _mixture(losses: np.ndarray, seed: int) -> LossMixture | None:
    """Fits two normal components; returns None if the losses are nearly equal."""
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


def _basis(weights: Mapping[str, float], feature_kind: str, folds: int | None, trained: bool) -> list[str]:
    varied = len(set(weights.values())) > 1
    held_out = "probabilities that were given" if folds is None else f"a logistic regression out of {folds} folds"
    sentences = [
        f"{_FEATURE_SENTENCES[feature_kind]}; held-out probabilities are of {held_out}, near texts the {NEIGHBOURS} nearest.",
        "The wrongness is the mean by rank of "
        + "; ".join(SAID[name] + (f" (weight {weight:.2f})" if varied else "") for name, weight in weights.items())
        + ".",
    ]
    return [*sentences, "Losses and epochs are those of one training."] if trained else sentences


def _said_of_words(texts: Sequence[str], tokenizer: Any) -> list[str]:
    """Returns what is taken as words, only if some texts have no spaces between words."""
    splitter = word_splitter(texts, tokenizer)
    return [] if splitter is None else [splitter.said]


_FEATURE_SENTENCES = {
    "encoder": "Texts are seen by a frozen encoder, in one pass",
    "words": "Texts are seen by their words, since a frozen encoder sees little of these labels",
    "both": "Texts are seen by a frozen encoder, in one pass, and by their words",
}
