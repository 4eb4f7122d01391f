"""The command `estimate`: several estimates of the noise rate of a corpus, before training.

It prints a table of rates, the rate that is chosen from them, and the likely kind of the wrong labels. An audit reports
the same rate and kind. If the wrong labels seem to follow a rule, the true rate may be far above all estimates. The
results are also written as JSON, with each matrix.
"""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np

from hf_noisy.commands.arguments import EstimateArguments
from hf_noisy.commands.column_arguments import corpus_of
from hf_noisy.common.drawing import new_figure
from hf_noisy.common.progress import note, output_of_command
from hf_noisy.data.pairs import texts_of
from hf_noisy.data.splits import training_subset
from hf_noisy.evidence import draw_matrices, text_vectors
from hf_noisy.evidence.matrices.matrices import row_shares
from hf_noisy.evidence.rates.text_rates import estimate_texts
from hf_noisy.models.pretrained import check_pretrained, pretrained_tokenizer
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import votes_of


def run(given: EstimateArguments) -> None:
    """Encode the training texts once, run every estimator whose inputs exist, print and write the estimates.

    Args:
        given: the options.

    Raises:
        ValueError, FileNotFoundError: see `load_corpus` and `estimate_noise`.
        ImportError: a figure was requested and matplotlib is not installed.
    """
    with output_of_command(given.quiet):
        _run(given)


def _run(given: EstimateArguments) -> None:
    if given.figure:
        new_figure(1, 1)  # raises here without matplotlib, and not after all the work
    for file in filter(None, (given.output, given.figure)):
        Path(file).parent.mkdir(parents=True, exist_ok=True)
    logging.getLogger("transformers").setLevel(logging.ERROR)
    check_pretrained("model", given.model)
    corpus = corpus_of(given, given.data, given.seed, max_train_rows=given.max_rows)
    rows = training_subset(corpus.train, given.max_rows, given.seed)
    classes, votes, texts = corpus.num_classes, votes_of(rows), texts_of(rows)
    labels = hard_labels(majority_vote(votes, classes), seed=given.seed)
    vectors = text_vectors(texts, given.model, max_length=given.max_length, seed=given.seed)
    report, present = estimate_texts(
        texts,
        labels,
        vectors,
        votes,
        classes,
        folds=given.folds,
        estimators=given.estimators,
        resamples=given.resamples,
        seed=given.seed,
        tokenizer=pretrained_tokenizer(given.model),
    )
    kept = labels >= 0
    labels, gold, names = labels[kept], np.array(rows["gold"][:])[kept], [corpus.class_names[k] for k in present]
    print(f"{corpus.name}: {len(labels)} labelled rows, {len(present)} classes, {votes.shape[1]} sources\n\n{report}")
    result = {**report.to_json(), "classes": names, "rows": len(labels)}
    known = gold >= 0
    true = None
    if given.gold and known.any():
        result["true_rate"] = float((labels != gold)[known].mean())
        true = true_matrix(labels[known], gold[known], classes)[np.ix_(present, present)]
        print(f"\ntrue rate, by gold labels: {result['true_rate']:.3f}")
    Path(given.output).write_text(json.dumps(result, indent=2), encoding="utf-8")
    if given.figure:
        matrices = {name: estimate.matrix for name, estimate in report.estimates.items()}
        draw_matrices(matrices, names, given.figure, true=true)
    note(f"wrote {' and '.join(filter(None, (given.output, given.figure)))}")


def true_matrix(labels: np.ndarray, gold: np.ndarray, classes: int) -> np.ndarray:
    """Return the (classes, classes) confusion matrix: the share of rows of each gold class with each given label."""
    counts = np.bincount(gold * classes + labels, minlength=classes**2).reshape(classes, classes)
    return row_shares(counts.astype(float))
