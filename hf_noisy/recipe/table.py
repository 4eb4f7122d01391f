"""The table that a recipe prints: one row per classifier, the mean over seeds in each cell."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np
from transformers import EvalPrediction

from hf_noisy.data.metrics import compute_metrics

Table = dict[str, dict[str, float]]  # row -> metric -> value
LABELS = "weak labels"  # the row of coverage and error of the labels; it is not a classifier
PLAIN = "cross-entropy on weak labels"
GOLD_TEST_ROWS = "gold_test_rows"  # a key of the row LABELS, present if no test row has a gold label
CEILING = "cross-entropy on gold labels"


def score(probabilities: np.ndarray, gold: np.ndarray, otherwise: int) -> dict[str, float]:
    """Return accuracy and macro-F1 of (rows, classes) probabilities. A row of zeros predicts the class `otherwise`."""
    rows = np.where(probabilities.any(-1, keepdims=True), probabilities, np.eye(probabilities.shape[1])[otherwise])
    return compute_metrics(EvalPrediction(predictions=rows, label_ids=gold))


def render(tables: Mapping[int, Table], robust: str) -> str:
    """Format the table: the mean over seeds, the standard deviation if there are several, and the gain of `robust`.

    Args:
        tables: seed -> table.
        robust: the name of the method's row. Its gain is over the row `PLAIN`.

    >>> cells = {"accuracy": 0.75, "f1": 0.7}
    >>> table = {LABELS: {"coverage": 1.0}, PLAIN: cells, "gce on weak labels": {"accuracy": 0.8, "f1": 0.8}}
    >>> print(render({0: table}, "gce on weak labels").strip())
    weak labels: coverage 1.000, error unknown
    <BLANKLINE>
    | | test accuracy | macro-F1 |
    |---|---|---|
    | cross-entropy on weak labels | 0.750 | 0.700 |
    | gce on weak labels | 0.800 | 0.800 |
    <BLANKLINE>
    gain over cross-entropy on weak labels: +0.050
    """

    def cell(row: str, metric: str) -> str:
        values = [table[row][metric] for table in tables.values() if metric in table.get(row, {})]
        if not values:
            return ""
        spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
        return f"{statistics.mean(values):.3f}{spread}"

    first = next(iter(tables.values()))
    accuracy = "agreement with test labels" if GOLD_TEST_ROWS in first[LABELS] else "test accuracy"
    weak = f"weak labels: coverage {cell(LABELS, 'coverage')}, error {cell(LABELS, 'error') or 'unknown'}"
    lines = [f"| {row} | {cell(row, 'accuracy')} | {cell(row, 'f1')} |" for row in first if row != LABELS]
    table = ["", weak, "", f"| | {accuracy} | macro-F1 |", "|---|---|---|", *lines]
    last = margin(tables, robust)
    return "\n".join([*table, "", last] if last else table)


def margin(tables: Mapping[int, Table], robust: str) -> str:
    """Return the accuracy gain of the row `robust` over cross-entropy on the same labels, for each seed.

    Without true labels of test rows, it is no gain, so the text says how to read the table instead.
    """
    first = next(iter(tables.values()))
    if GOLD_TEST_ROWS in first[LABELS]:
        return (
            "The test rows have no true labels. Part of their labels is wrong too, so a better classifier may agree with fewer "
            "of them."
        )
    if not all({robust, PLAIN} <= table.keys() for table in tables.values()):
        return ""
    gains = [table[robust]["accuracy"] - table[PLAIN]["accuracy"] for table in tables.values()]
    spread = f"; mean {statistics.mean(gains):+.3f} ± {statistics.stdev(gains):.3f}" if len(gains) > 1 else ""
    return f"gain over {PLAIN}: {', '.join(f'{gain:+.3f}' for gain in gains)}{spread}"
