"""The record of what was taught: weights, picks, and whether they were right, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions

from hf_noisy import Supervision
from hf_noisy.methods import SupervisionRecord


def test_what_is_logged_and_reported_is_counted_by_hand():
    record = SupervisionRecord(gold=np.array([0, 0, 1, 1, -1]))
    record.setup(context(5, 2, networks=2, labels=[0, 1, 1, 0, 0]))
    rows = batch([0, 1, 1, 0], 2, index=[0, 1, 2, 3], epoch=4.7)
    weights = torch.tensor([[2.0, 0.0, 2.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    supervision = Supervision(rows.given.expand(2, -1, -1), weights)
    seen = predictions(
        [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.9, 0.1]], [[0.9, 0.1], [0.1, 0.9], [0.2, 0.8], [0.9, 0.1]]
    )
    assert record.supervise(supervision, seen, rows) is supervision
    logs = {name: float(value) for name, value in record.metrics().items()}
    assert logs["kept_share"] == pytest.approx(6 / 8)
    assert logs["weight_class_0"] == pytest.approx((2 + 0 + 1 + 1) / 4)  # rows 0 and 3
    assert logs["weight_class_1"] == pytest.approx((0 + 2 + 1 + 1) / 4)
    assert logs["peer_agreement"] == pytest.approx(3 / 4)
    assert logs["selection_precision"] == pytest.approx((2 + 2 + 1 + 1) / (4 + 4))  # rows 0 and 2 are right
    assert logs["selection_recall"] == 1
    report = record.report()
    assert report["weight"][1].tolist() == [0, 1]
    assert np.isnan(report["weight"][4]).all()
    assert report["picked_epoch"].tolist() == [[4, 4], [-1, 4], [4, 4], [-1, 4], [-1, -1]]
    later = replace(rows, epoch=6.0)
    record.supervise(replace(supervision, weights=weights.flip(0)), seen, later)
    assert record.report()["picked_epoch"].tolist()[:2] == [[6, 6], [6, 4]]


def test_a_label_that_is_replaced_by_a_guess_counts_by_what_is_left_of_it():
    record = SupervisionRecord(gold=np.array([0, 1]))
    record.setup(context(2, 2, labels=[0, 0]))
    rows = batch([0, 0], 2)
    targets = torch.tensor([[[1.0, 0.0], [0.25, 0.75]]])
    record.supervise(Supervision(targets, torch.ones(1, 2)), predictions([[0.5, 0.5], [0.5, 0.5]]), rows)
    assert float(record.metrics()["selection_precision"]) == pytest.approx(1 / 1.25)


def test_examples_taught_another_class_or_one_that_was_missing_are_counted_as_relabeled():
    record = SupervisionRecord(gold=np.array([0, 1, 1, 0, -1]))
    record.setup(context(5, 2, labels=[0, 0, 0, -100, -100]))
    rows = batch([0, 0, 0, -100, -100], 2)
    targets = torch.tensor([[[0.6, 0.4], [0.4, 0.6], [0.0, 1.0], [0.0, 1.0], [1.0, 0.0]]])
    weights = torch.tensor([[1.0, 1.0, 0.0, 0.5, 1.0]])  # the third is not taught at all
    record.supervise(Supervision(targets, weights), predictions([[0.5, 0.5]] * 5), rows)
    logs = record.metrics()
    assert float(logs["relabeled_share"]) == pytest.approx(3 / 5)
    assert float(logs["relabeled_accuracy"]) == pytest.approx(1 / 2)  # right, wrong, unknown
    assert record.report()["taught"].tolist() == [0, 1, -1, 1, 0]


def test_before_anything_was_seen_nothing_is_claimed():
    record = SupervisionRecord()
    record.setup(context(2, 2, labels=[0, -100]))
    assert float(record.metrics()["kept_share"]) == 0
    assert "selection_precision" not in record.metrics()
    assert record.report()["picked_epoch"].tolist() == [-1, -1]


def test_its_memory_comes_back_from_a_checkpoint():
    record, other = SupervisionRecord(), SupervisionRecord()
    for one in (record, other):
        one.setup(context(2, 2, labels=[0, 1]))
    rows = batch([0, 1], 2)
    record.supervise(
        Supervision(rows.given.unsqueeze(0), torch.tensor([[0.5, 0.0]])), predictions([[0.5, 0.5]] * 2), rows
    )
    other.load_state_dict(record.state_dict())
    assert other.report()["weight"].tolist() == [0.5, 0.0]
