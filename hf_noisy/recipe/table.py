"""What a recipe prints: a row for each way to a classifier, the mean over seeds in each cell."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

import numpy as np
from transformers import EvalPrediction

from hf_noisy.data.metrics import compute_metrics

Table = dict[str, dict[str, float]]  # row -> metric -> value
LABELS = "weak labels"  # the row of coverage and error, which is no classifier's
PLAIN = "cross-entropy on weak labels"
GOLD_TEST_ROWS = "gold_test_rows"  # in LABELS, where there are none
CEILING = "cross-entropy on gold labels"


def score(probabilities: np.ndarray, gold: np.ndarray, otherwise: int) -> dict[str, float]:
    """Accuracy and macro-F1 of (rows, classes); a row of zeros is taken for the class `otherwise`."""
    rows = np.where(probabilities.any(-1, keepdims=True), probabilities, np.eye(probabilities.shape[1])[otherwise])
    return compute_metrics(EvalPrediction(predictions=rows, label_ids=gold))


def render(tables: Mapping[int, Table], robust: str) -> str:
    """The mean over seeds, with the standard deviation where there are several, and what `robust` gained over plain.

    Args:
        tables: by seed.
        robust: the row of the method.

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
    return "\n".join(
        ["", weak, "", f"| | {accuracy} | macro-F1 |", "|---|---|---|", *lines, "", margin(tables, robust)]
    )


def margin(tables: Mapping[int, Table], robust: str) -> str:
    """What the row `robust` gained over cross-entropy on the same labels, seed by seed."""
    gains = [table[robust]["accuracy"] - table[PLAIN]["accuracy"] for table in tables.values()]
    spread = f"; mean {statistics.mean(gains):+.3f} ± {statistics.stdev(gains):.3f}" if len(gains) > 1 else ""
    return f"gain over {PLAIN}: {', '.join(f'{gain:+.3f}' for gain in gains)}{spread}"
