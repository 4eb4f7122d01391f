"""The head of `benchmark --frozen` beside scikit-learn's logistic regression, on gold labels and the same vectors.

    python tests/measure/frozen_head.py --data FOLDER ... --model MODEL --output recipes/results/frozen_head.jsonl

Accuracy on validation rows with their gold labels, for several epochs and learning rates; the defaults were set by this table. The
penalty of the logistic regression is the one with the best accuracy on a fifth of the training rows, after a fit to the others. Both see
vectors that are standardised by the training rows. Gold labels are used because the question is how well a head is trained.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from dataclasses import replace
from statistics import fmean

import datasets
import numpy as np
from reporting import Line, Results, add_corpora, add_output, distinct, values
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from transformers.utils import logging

from hf_noisy.benchmark import Run, Settings
from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.benchmark.data import Data, prepare
from hf_noisy.benchmark.settings import FROZEN
from hf_noisy.benchmark.training import TrainingBench

PENALTIES = (0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 1.0, 10.0)  # scikit-learn's C
HEADS = [(epochs, rate) for epochs in (5, 10, 20) for rate in (1e-3, 3e-3, 1e-2)]
REFERENCE = "logistic regression"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_corpora(parser)
    parser.add_argument("--vectors", help="folder of stored vectors")
    add_output(parser)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    settings = Settings(
        model=given.model,
        max_length=given.max_length,
        max_train_rows=given.max_train_rows,
        max_test_rows=1,
        frozen=True,
    )
    results = Results(given.output)
    for source in given.data:
        for seed in given.seeds:
            run = Run(source, "gold", seed)
            about = {"dataset": run.dataset, "seed": seed, "rows": given.max_train_rows}
            results.once(about, lambda run=run: {"accuracy": measure(run, settings, given.vectors)})
            print(f"{run.dataset}, seed {seed}", file=sys.stderr, flush=True)
    print(table(results.lines))
    return 0


def measure(run: Run, settings: Settings, vectors: str | None) -> dict[str, float]:
    """Accuracy on validation rows by the name of the head."""
    data = prepare(run, settings, {})
    bench = TrainingBench(settings, data, run.seed, vectors)
    found = {REFERENCE: by_logistic_regression(bench, data, run.seed)}
    train, valid = data.train.labelled(data.train.gold), data.clean.labelled(data.clean.gold)
    for epochs, rate in HEADS:
        bench.settings = replace(settings, epochs=epochs)
        fit = bench.fit(train, learning_rate=rate, test=data.test.dataset, valid=valid)
        found[name_of(epochs, rate)] = fit.scores[-1]
    return found


def by_logistic_regression(bench: TrainingBench, data: Data, seed: int) -> float:
    """Accuracy of a logistic regression whose penalty is chosen on training rows."""
    model = bench.model

    def vectors(rows: datasets.Dataset) -> np.ndarray:
        numbers = bench.tokens(rows).with_format("torch")["input_ids"][:]
        return model.standardize(model.encoder.embeddings(numbers)[:, 0]).numpy()

    train, valid = data.train.labelled(data.train.gold), data.clean.labelled(data.clean.gold)
    table, labels = vectors(train), np.array(train["labels"])
    order = np.random.default_rng(seed).permutation(len(labels))
    held, fitted = np.split(order, [len(order) // 5])

    def fit(rows: np.ndarray, penalty: float) -> LogisticRegression:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            return LogisticRegression(C=penalty, max_iter=300).fit(table[rows], labels[rows])

    best = max(PENALTIES, key=lambda penalty: fit(fitted, penalty).score(table[held], labels[held]))
    return float(fit(order, best).score(vectors(valid), np.array(valid["labels"])))


def name_of(epochs: int, rate: float) -> str:
    """
    >>> name_of(10, 3e-3)
    '10 epochs, 0.003'
    """
    return f"{epochs} epochs, {rate:g}"


def table(lines: list[Line]) -> str:
    """A row per head, a column per corpus; the default is in bold."""
    corpora, default = distinct(lines, "dataset"), name_of(FROZEN[0], FROZEN[1][0])
    rows = []
    for name in lines[0]["accuracy"]:
        found = [fmean(of[name] for of in values(lines, "accuracy", dataset=corpus)) for corpus in corpora]
        title = f"**{name}**" if name == default else name
        rows.append([title, *(f"{accuracy:.3f}" for accuracy in found), f"{fmean(found):.3f}"])
    return markdown_table(["", *corpora, "mean"], rows)


if __name__ == "__main__":
    sys.exit(main())
