"""The agreement of ranks, on lines made by hand."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPTS = Path(__file__).resolve().parent
sys.path.insert(0, str(SCRIPTS))  # for `reporting`
SPEC = importlib.util.spec_from_file_location("frozen_agreement", SCRIPTS / "frozen_agreement.py")
frozen_agreement = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(frozen_agreement)


def lines(accuracies: dict[str, list[float]], noise: str | None = None) -> list[dict]:
    """{method: accuracy by seed} -> lines of one corpus."""
    return [
        {
            "dataset": "a",
            "method": name,
            "params": {},
            "seed": seed,
            "settings": {"noise": noise},
            "accuracy_chosen": value,
        }
        for name, found in accuracies.items()
        for seed, value in enumerate(found)
    ]


def test_a_gain_is_over_cross_entropy_of_the_same_seed_and_rows_that_train_nothing_are_left_out():
    found = frozen_agreement.gains_of(lines({"ce": [0.5, 0.6], "gce": [0.6, 0.5], "gold": [0.9, 0.9]}), "a", None)
    assert found.keys() == {"ce", "gce"}
    assert list(found["gce"].values()) == pytest.approx([0.1, -0.1])
    assert frozen_agreement.gains_of(lines({"ce": [0.5]}), "a", "pair:0.4") == {}


def test_ranks_that_agree_but_for_one_pair_have_the_correlation_worked_by_hand():
    frozen = {"ce": {0: 0.0}, "x": {0: 0.1}, "y": {0: 0.2}, "z": {0: 0.3}}
    tuned = {"ce": {0: 0.0}, "x": {0: 0.1}, "y": {0: 0.4}, "z": {0: 0.3}}  # y and z swapped
    found = frozen_agreement.measure(list(frozen), frozen, tuned, {})
    assert found["spearman"] == pytest.approx(1 - 6 * 2 / (4 * (16 - 1)))
    assert (found["chosen"], found["gain_of_chosen"], found["largest_gain"]) == ("z", 0.3, 0.4)
    assert found["seeds_frozen"] is None
    assert "| `z` | +30.0 | +40.0 | | |" in frozen_agreement.table(
        [{"dataset": "a", "noise": "given", "methods": [1], **found}]
    )


def test_the_change_in_right_labels_is_compared_with_the_gain_in_fine_tuning():
    names = list("vwxyz")
    tuned = {name: {0: gain} for name, gain in zip(names, (0.1, 0.2, 0.3, 0.4, 0.5), strict=True)}
    changes = dict(zip(names, (0.1, 0.2, 0.4, 0.3, 0.5), strict=True))
    found = frozen_agreement.measure(names, tuned, tuned, changes)
    assert found["spearman_right_labels"] == pytest.approx(1 - 6 * 2 / (5 * (25 - 1)))
    run = {"dataset": "a", "method": "selfmix", "params": {}, "settings": {"noise": None}, "given_correct": 0.5}
    runs = [{**run, "taught_correct": share} for share in (0.6, 0.8)]
    runs += [{**run, "method": "gce"}, {**run, "params": {"alpha": 1.0}, "taught_correct": 0.9}]  # another variant
    assert frozen_agreement.label_changes(runs, "a", None) == {"selfmix": pytest.approx(0.2)}


def test_only_seeds_that_both_files_have_count():
    assert frozen_agreement.mean_of({0: 0.1, 1: 0.2, 2: 0.9}, {0: 0.0, 1: 0.0}) == pytest.approx(0.15)


def test_the_correlation_of_two_seeds_leaves_out_cross_entropy_whose_gain_is_always_zero(monkeypatch):
    monkeypatch.setattr(frozen_agreement, "FEWEST", 3)
    gains = {"ce": {0: 0.0, 1: 0.0}, "x": {0: 0.1, 1: 0.3}, "y": {0: 0.2, 1: 0.2}, "z": {0: 0.3, 1: 0.1}}
    assert frozen_agreement.between_seeds(list(gains), gains) == pytest.approx(-1)
    assert np.isnan(frozen_agreement.rank_correlation(np.zeros(3), np.arange(3)))
