"""How wrong are my labels? What several estimators say of a corpus, before anything is trained on it.

Prints a table of rates, their range, and whether structured noise is suspected: then the true rate may be far above all
of them. Writes the same as JSON, with each matrix.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import datasets
import numpy as np

from hf_noisy.commands.arguments import EstimateArguments
from hf_noisy.drawing import new_figure
from hf_noisy.embedded import corpus_or_reviews
from hf_noisy.estimation import draw_matrices, estimate_noise, out_of_fold_probabilities, text_vectors
from hf_noisy.estimation.matrices import row_shares
from hf_noisy.splits import split_corpus
from hf_noisy.weak import hard_labels, label_model_probabilities, majority_vote, votes_of


def run(given: EstimateArguments) -> None:
    """Encode the training texts once, ask every estimator that has what it needs, print and write what they say.

    Args:
        given: what to look at.

    Raises:
        ValueError, FileNotFoundError: as `load_corpus` and `estimate_noise`.
        ImportError: a figure was asked for and matplotlib is not installed.
    """
    if given.figure:
        new_figure(1, 1)  # raises without matplotlib, which is not to be found out after all the work
    for file in filter(None, (given.output, given.figure)):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    datasets.disable_progress_bars()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    corpus = corpus_or_reviews(given.data, given.seed, given.columns, max_train_rows=given.max_rows)
    train, _, _ = split_corpus(corpus, given.seed, max_train_rows=given.max_rows)
    labels = hard_labels(majority_vote(votes_of(train), corpus.num_classes), seed=given.seed)
    rows, labels = train.select(np.flatnonzero(labels >= 0)), labels[labels >= 0]
    votes, gold = votes_of(rows), np.array(rows["gold"][:])
    several = votes.shape[1] >= 3  # fewer sources tell nothing of each other
    features = text_vectors(rows["text"][:], given.model, max_length=given.max_length, seed=given.seed)
    report = estimate_noise(
        labels,
        probs=out_of_fold_probabilities(features, labels, corpus.num_classes, given.folds, given.seed),
        features=features,
        votes=votes,
        label_model=label_model_probabilities(votes, corpus.num_classes, seed=given.seed) if several else None,
        estimators=given.estimators,
        resamples=given.resamples,
        seed=given.seed,
    )
    print(
        f"{corpus.name}: {len(labels)} labelled rows, {corpus.num_classes} classes, {votes.shape[1]} sources\n\n{report}"
    )
    result = {**report.to_json(), "classes": list(corpus.class_names), "rows": len(labels)}
    known = gold >= 0
    true = None
    if given.gold and known.any():
        result["true_rate"] = float((labels != gold)[known].mean())
        true = true_matrix(labels[known], gold[known], corpus.num_classes)
        print(f"\ntrue rate, by gold labels: {result['true_rate']:.3f}")
    Path(given.output).write_text(json.dumps(result, indent=2), encoding="utf-8")
    if given.figure:
        matrices = {name: estimate.matrix for name, estimate in report.estimates.items()}
        draw_matrices(matrices, corpus.class_names, given.figure, true=true)


def true_matrix(labels: np.ndarray, gold: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) the share of rows of each gold class that were given each label."""
    counts = np.bincount(gold * classes + labels, minlength=classes**2).reshape(classes, classes)
    return row_shares(counts.astype(float))
