"""The nested choice of thresholds reads nothing of the corpus that it is reported on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

import nested_thresholds

POINTS = [nested_thresholds.AS_SET["labels"], "other"]


def line(corpus: str, changes: list[float], moved: float = 0.1, situation: str = "given") -> dict:
    return {
        "dataset": corpus,
        "situation": situation,
        "seed": 0,
        "by": "labels",
        "rules": False,
        "points": POINTS,
        "changes": changes,
        "moved": [moved] * 2,
    }


def test_no_harm_counts_before_the_mean():
    assert nested_thresholds.best([line("a", [1, 9]), line("b", [1, -1])], least=0) == POINTS[0]
    assert nested_thresholds.best([line("a", [1, 9]), line("b", [1, 0])], least=0) == POINTS[1]


def test_a_corpus_has_no_say_in_its_own_thresholds():
    lines = [line("a", [5, 0]), line("b", [0, 3]), line("c", [0, 3])]
    chosen = nested_thresholds.nested(lines)
    assert {corpus: points["labels"] for corpus, (_, points) in chosen.items()} == {
        "a": POINTS[1],  # the choice of b and c, though its own labels gain by the other
        "b": POINTS[0],
        "c": POINTS[0],
    }
    lines[0]["changes"] = [-50, 50]
    assert nested_thresholds.nested(lines)["a"] == chosen["a"]


def test_corpora_with_the_same_texts_are_left_out_together():
    first, second = nested_thresholds.SAME_TEXTS
    lines = [line(first, [0, 9]), line(second, [0, 9]), line("a", [1, 0])]
    chosen = nested_thresholds.nested(lines)
    assert chosen[first][1]["labels"] == chosen[second][1]["labels"] == POINTS[0]


def test_labels_that_hardly_move_stay():
    assert nested_thresholds.change(line("a", [2, 3], moved=0.03), "other", 0.04) == 0
    assert nested_thresholds.change(line("a", [2, 3], moved=0.04), "other", 0.04) == 3


@pytest.mark.parametrize("kind", nested_thresholds.AS_SET)
def test_the_thresholds_as_they_are_set_are_among_those_that_are_tried(kind):
    grid = nested_thresholds.LABELS if kind == "labels" else nested_thresholds.SOURCES
    tried = {nested_thresholds.json_key(flat(point)) for point in nested_thresholds.itertools.product(*grid.values())}
    assert nested_thresholds.AS_SET[kind] in tried
    assert nested_thresholds.MIN_MOVED in nested_thresholds.MOVED


def flat(point: tuple) -> list[float]:
    return [value for part in point for value in (part if isinstance(part, tuple) else (part,))]


def test_a_row_of_the_table_has_the_mean_and_the_worst_corpus():
    lines = [line("a", [2, 0]), line("b", [4, 0]), line("c", [6, 0])]
    (row,) = [row for row in nested_thresholds.table(lines).splitlines() if "labels as given" in row]
    assert "| 3 | +4.0 | +2.0 `a` | +4.0 | +2.0 `a` |" in row


def test_a_single_corpus_keeps_the_thresholds_as_they_are_set():
    assert "| 1 | +2.0 | +2.0 `a` | +2.0 | +2.0 `a` |" in nested_thresholds.table([line("a", [2, 9])])
