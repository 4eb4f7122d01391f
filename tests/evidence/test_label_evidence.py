"""What labels, votes and texts say before any training: which models are asked, and what becomes of each kind of row."""

from __future__ import annotations

from functools import cache

import numpy as np
import pytest

from hf_noisy.evidence.inference.label_evidence import LabelEvidence, share_moved, weigh_labels, with_class_prior

CLASSES = 3


def regions(rows: int = 300) -> tuple[np.ndarray, np.ndarray]:
    vectors = np.random.default_rng(0).normal(size=(rows, CLASSES))
    return vectors, vectors.argmax(1)


def flipped(truth: np.ndarray, rate: float, seed: int = 1) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.where(draw.random(len(truth)) < rate, (truth + draw.integers(1, 3, len(truth))) % 3, truth)


@cache
def of_random_noise() -> LabelEvidence:
    vectors, truth = regions()
    return weigh_labels(vectors, np.eye(CLASSES)[flipped(truth, 0.3)], None)


def test_labels_alone_are_weighed_by_models_of_the_noise():
    _, truth = regions()
    found = of_random_noise()
    assert found.by == "label_noise"
    assert not found.reason
    assert found.rate == pytest.approx(0.3, abs=0.05)
    assert (found.truth.argmax(1) == truth).mean() > 0.9
    assert found.moved == share_moved(found.truth, np.eye(CLASSES)[flipped(truth, 0.3)])
    assert found.gains["none"] == 0
    assert max(found.weights, key=found.weights.__getitem__) == "random"


def test_the_table_lists_each_model_with_rate_gain_and_probability():
    found = of_random_noise()
    lines = found.table().splitlines()
    assert lines[0] == "| model of the noise | expected wrong | held-out log-likelihood, nats | probability |"
    assert [line.split(" | ")[0] for line in lines[2:]] == [f"| {kind}" for kind in found.rates]
    row = next(line for line in lines if line.startswith("| random"))
    assert f"{found.rates['random']:.1%} | {found.gains['random']:+.1f} | {found.weights['random']:.0%}" in row


def test_right_labels_stay_and_soft_labels_keep_their_shares():
    vectors, truth = regions()
    given = np.eye(CLASSES)[truth]
    given[::2] = 0.8 * given[::2] + 0.2 / CLASSES
    found = weigh_labels(vectors, given, None)
    assert found.moved == 0
    assert found.rate < 0.01
    assert (found.truth.argmax(1) == truth).all()
    assert np.abs(found.truth - given).max() < 0.06


def test_tied_labels_say_nothing_of_the_noise_and_are_resolved_by_the_text():
    vectors, truth = regions()
    given = np.eye(CLASSES)[flipped(truth, 0.3)]
    tied = np.arange(0, 300, 10)
    given[tied] = 0.5 * np.eye(CLASSES)[truth[tied]] + 0.5 * np.eye(CLASSES)[(truth[tied] + 1) % CLASSES]
    found = weigh_labels(vectors, given, None)
    assert (found.truth[tied].argmax(1) == truth[tied]).mean() > 0.7  # one of two by chance
    assert np.allclose(found.truth.sum(1), 1)


def test_several_sources_are_combined_and_one_is_not():
    vectors, truth = regions()
    votes = np.stack([flipped(truth, 0.3, k) for k in range(3)], 1)
    given = (votes[:, :, None] == np.arange(CLASSES)).mean(1)
    found = weigh_labels(vectors, given, votes)
    assert found.by == "sources"
    assert (found.truth.argmax(1) == truth).mean() > (given.argmax(1) == truth).mean() + 0.05
    assert "| mean of two models of texts and sources |" in found.table()
    one = np.stack([votes[:, 0], np.full(300, -1)], 1)
    few = np.eye(CLASSES)[votes[:, 0]] * (np.arange(300) < 2)[:, None]
    assert weigh_labels(vectors, few, one).by == "nothing"


@pytest.mark.parametrize(
    ("rows", "classes", "reason"),
    [(2, 2, "2 labels of 2 classes are too few to compare"), (300, 1, "300 labels of 1 class are too few to compare")],
)
def test_what_cannot_be_compared_stays_as_it_is(rows, classes, reason):
    vectors, _ = regions()
    given = np.eye(CLASSES)[np.arange(300) % classes] * (np.arange(300) < rows)[:, None]
    found = weigh_labels(vectors, given, None)
    assert found.by == "nothing"
    assert np.array_equal(found.truth, given)
    assert np.isnan(found.rate)
    assert np.isnan(found.moved)
    assert found.table() == found.reason == reason


def test_a_class_prior_changes_the_balance():
    vectors, truth = regions()
    prior = np.array([0.5, 0.3, 0.2])
    found = weigh_labels(vectors, np.eye(CLASSES)[flipped(truth, 0.3)], None, class_prior=prior)
    assert np.allclose(found.truth.mean(0), prior, atol=0.01)
    assert np.allclose(found.truth.sum(1), 1)
    assert np.abs(of_random_noise().truth.mean(0) - prior).max() > 0.05


def test_probabilities_are_scaled_to_known_shares_and_keep_their_order_within_a_class():
    truth = np.random.default_rng(0).dirichlet(np.ones(2), 50)
    scaled = with_class_prior(truth, np.array([0.8, 0.2]))
    assert scaled.mean(0) == pytest.approx([0.8, 0.2], abs=1e-6)
    assert (np.argsort(scaled[:, 0]) == np.argsort(truth[:, 0])).all()


def test_the_share_of_labels_that_move_by_hand():
    truth = np.array([[0.6, 0.4], [0.4, 0.6], [0.4, 0.6], [0.4, 0.6]])
    given = np.array([[1, 0], [0.9, 0.1], [0.5, 0.5], [0, 0]])
    assert share_moved(truth, given) == pytest.approx((0 + 1 + 0.5) / 3)
    assert np.isnan(share_moved(truth, np.zeros((4, 2))))
