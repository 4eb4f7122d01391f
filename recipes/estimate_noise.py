"""How wrong are my labels? What several estimators say of a corpus, before anything is trained on it.

    python recipes/estimate_noise.py --data PATH_OR_NAME --model PATH_OR_NAME --output noise.json

encodes the training texts with the frozen encoder, predicts each given label from them out of fold, asks every estimator that
has what it needs, and prints a table of rates, their range, and whether structured noise is suspected: then the true rate may
be far above all of them. noise.json holds the same, with each matrix. Given labels are the majority vote of the sources, as in
the benchmark. A picture of the matrices, next to the true one where gold labels may be read for measuring:

    python recipes/estimate_noise.py --data PATH_OR_NAME --model PATH_OR_NAME --figure noise.png --gold True

Without --data it runs on the embedded reviews, without --model on a bag of words.
"""

from __future__ import annotations

import json
import logging
from dataclasses import dataclass, field
from pathlib import Path

import datasets
import numpy as np

from hf_noisy import Corpus, hard_labels, label_model_probabilities, load_corpus, majority_vote
from hf_noisy.embedded import embedded_corpus
from hf_noisy.estimation import draw_matrices, estimate_noise, out_of_fold_probabilities, text_vectors
from hf_noisy.estimation.matrices import row_shares
from hf_noisy.launching import parse_arguments
from hf_noisy.splits import split_corpus
from hf_noisy.weak import votes_of


@dataclass
class EstimateArguments:
    """What to look at."""

    data: str | None = field(
        default=None,
        metadata={"help": "A folder in the WRENCH layout, a file, or a dataset on the Hub. None: reviews."},
    )
    model: str | None = field(default=None, metadata={"help": "A pretrained encoder. None: a bag of words."})
    output: str = field(default="noise.json", metadata={"help": "Where rates and matrices go."})
    figure: str | None = field(default=None, metadata={"help": "A PNG of all matrices; needs matplotlib."})
    gold: bool = field(default=False, metadata={"help": "Read gold labels, to show the true rate and matrix."})
    max_rows: int | None = field(default=None, metadata={"help": "Look at a random part of this size."})
    max_length: int = field(default=64, metadata={"help": "Tokens of a text; the rest is cut."})
    folds: int = field(default=5, metadata={"help": "Of the rows, for out-of-fold probabilities."})
    resamples: int = field(default=200, metadata={"help": "Of the rows, for the intervals."})
    estimators: list[str] | None = field(default=None, metadata={"help": "Names; by default all that can run."})
    text_column: str = field(default="text", metadata={"help": "For plain files and datasets."})
    label_column: str | None = field(default=None, metadata={"help": "The column of labels that are not trusted."})
    votes_columns: list[str] | None = field(default=None, metadata={"help": "Or one column a source."})
    gold_column: str | None = field(default=None, metadata={"help": "True labels, for measuring only."})
    seed: int = field(default=0, metadata={"help": "Of ties, of the part of the rows, of folds and resamples."})


def main() -> None:
    (given,) = parse_arguments([EstimateArguments], description=__doc__)
    datasets.disable_progress_bars()
    logging.getLogger("transformers").setLevel(logging.ERROR)
    corpus = load(given)
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


def load(given: EstimateArguments) -> Corpus:
    if given.data is None:
        return embedded_corpus(given.seed)
    return load_corpus(
        given.data,
        text_column=given.text_column,
        label_column=given.label_column,
        votes_columns=given.votes_columns,
        gold_column=given.gold_column,
    )


def true_matrix(labels: np.ndarray, gold: np.ndarray, classes: int) -> np.ndarray:
    """(classes, classes) the share of rows of each gold class that were given each label."""
    counts = np.bincount(gold * classes + labels, minlength=classes**2).reshape(classes, classes)
    return row_shares(counts.astype(float))


if __name__ == "__main__":
    main()
