"""The share of wrong labels and its interval: from labels alone, from several sources, and where nothing can be said."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hf_noisy.data.noise import symmetric
from hf_noisy.evidence.inference.label_evidence import LabelEvidence, weigh_labels
from hf_noisy.evidence.inference.noise_model import RATES
from hf_noisy.evidence.rates.interval import SHARED_MISTAKES, UNSEEN, estimate_rate


def texts(rows: int = 600) -> tuple[np.ndarray, np.ndarray]:
    """Vectors at all distances from the boundaries between three classes, and their classes."""
    points = np.random.default_rng(0).normal(size=(rows, 8))
    return points, points[:, :3].argmax(1)


@pytest.mark.parametrize("rate", [0.1, 0.3])
def test_noise_at_random_is_within_a_narrow_interval(rate):
    points, truth = texts()
    labels = symmetric(truth, rate, 3, seed=1).labels
    found = estimate_rate(weigh_labels(points, np.eye(3)[labels], None))
    wrong = (labels != truth).mean()
    assert found.rate == pytest.approx(wrong, abs=0.04)
    assert found.low <= wrong <= found.high
    assert found.high - found.low < 0.2


def test_where_no_noise_is_found_the_upper_bound_is_high():
    points, truth = texts()
    found = estimate_rate(weigh_labels(points, np.eye(3)[truth], None))
    assert found.rate < 0.02
    assert found.low == 0
    assert UNSEEN <= found.high <= UNSEEN + 0.1


def test_where_texts_say_nothing_the_interval_is_wide():
    _, truth = texts()
    noise = np.random.default_rng(1).normal(size=(600, 8))
    found = estimate_rate(weigh_labels(noise, np.eye(3)[truth], None))
    assert found.low == 0
    assert found.high > 0.5


def test_the_mean_and_the_quantiles_are_those_of_the_tempered_likelihood():
    """A flat likelihood: the rate is uniform on 0 to 60 %, with a margin of 2 points at both ends of the interval."""
    flat = LabelEvidence(np.zeros((1, 2)), "label_noise", 0.1, 0.2, profile=(0.0,) * len(RATES), weights={"none": 0.0})
    found = estimate_rate(flat)
    assert (found.rate, found.low, found.high) == pytest.approx((0.3, 0.04, 0.56), abs=0.002)


def test_several_sources_share_mistakes():
    found = estimate_rate(LabelEvidence(np.zeros((1, 2)), "sources", 0.2, 0.1))
    assert (found.low, found.rate, found.high) == pytest.approx(tuple(0.2 + each for each in SHARED_MISTAKES))
    most = estimate_rate(LabelEvidence(np.zeros((1, 2)), "sources", 0.99, 0.1))
    assert most.low <= most.rate == most.high == 1


def test_what_cannot_be_compared_has_no_rate():
    found = estimate_rate(weigh_labels(np.zeros((20, 2)), np.eye(2)[np.zeros(20, dtype=int)], None))
    assert math.isnan(found.rate)
    assert str(found) == "unknown, since 20 labels of 1 class are too few to compare"
