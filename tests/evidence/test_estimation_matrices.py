"""Transition matrices: what is none is refused, and Bayes' rule by hand."""

from __future__ import annotations

import numpy as np
import pytest

from hf_noisy.evidence import (
    NoiseEstimate,
    check_invertible,
    check_matrix,
    clean_posterior,
    noise_rate,
    prior_of,
    total_variation,
)
from hf_noisy.evidence.matrices.estimate import interval, resampled, with_interval

GOOD = [[0.8, 0.2], [0.4, 0.6]]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0.5, 0.5]], r"shape \(1, 2\)"),
        ([0.5, 0.5], r"shape \(2,\)"),
        ([[1.0]], "at least 2 classes"),
        ([[0.9, 0.2], [0.2, 0.8]], "matrix\\[0\\] sums to 1.1"),
        ([[1.2, -0.2], [0.2, 0.8]], "matrix\\[0, 1\\]=-0.2"),
        ([[0.9, float("nan")], [0.2, 0.8]], "NaN or infinity"),
        ([["a", "b"], ["c", "d"]], "numbers"),
    ],
)
def test_what_is_no_transition_matrix_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        check_matrix(matrix)
    with pytest.raises(ValueError, match=message):
        check_invertible(matrix)


def test_a_matrix_of_another_class_count_is_refused():
    assert check_matrix(GOOD, 2).shape == (2, 2)
    with pytest.raises(ValueError, match="matrix of 2 classes: expected 3"):
        check_matrix(GOOD, 3)


def test_rows_that_sum_to_one_but_for_rounding_are_mended():
    assert check_matrix([[0.3335, 0.3335, 0.3335], [0, 1, 0], [0, 0, 1]]).sum(1) == pytest.approx(1, abs=1e-15)
    with pytest.raises(ValueError, match="sums to"):
        check_matrix([[0.9, 0.102], [0, 1]])


def test_a_singular_matrix_is_refused_with_its_condition_number():
    with pytest.raises(ValueError, match="condition number"):
        check_invertible([[0.5, 0.5], [0.5, 0.5]])
    matrix = [[0.6, 0.4], [0.4, 0.6]]  # singular values 1 and 0.2
    assert np.array_equal(check_invertible(matrix, limit=5.01), matrix)
    with pytest.raises(ValueError, match="condition number 5: expected at most 4.99"):
        check_invertible(matrix, limit=4.99)


def test_the_clean_posterior_is_bayes_rule():
    prior = [0.25, 0.75]
    found = clean_posterior(GOOD, prior)
    for given in range(2):
        total = sum(prior[true] * GOOD[true][given] for true in range(2))
        for true in range(2):
            assert found[given, true] == pytest.approx(prior[true] * GOOD[true][given] / total)
    estimate = NoiseEstimate(np.array(GOOD), np.array(prior), 0.35, 0.3, 0.4)
    assert np.array_equal(estimate.posterior(), found)


def test_a_label_that_is_never_given_says_nothing_of_the_true_class():
    assert clean_posterior([[1, 0], [1, 0]], [0.3, 0.7])[1] == pytest.approx([0.3, 0.7])


@pytest.mark.parametrize("prior", [[0.5, 0.4], [0.5, 0.25, 0.25], [1.5, -0.5]])
def test_a_prior_that_does_not_fit_is_refused(prior):
    with pytest.raises(ValueError, match="prior"):
        clean_posterior(GOOD, prior)


def test_the_prior_of_given_shares_is_the_one_that_leads_to_them():
    matrix, prior = np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1], [0.0, 0.3, 0.7]]), np.array([0.2, 0.5, 0.3])
    assert prior_of(matrix, prior @ matrix) == pytest.approx(prior, abs=1e-6)
    beyond = prior_of(np.array(GOOD), np.array([0.9, 0.1]))  # no prior leads there: the nearest does
    assert beyond == pytest.approx([1, 0], abs=1e-6)


def test_rate_and_total_variation_by_hand():
    assert noise_rate(np.array(GOOD), np.array([0.25, 0.75])) == pytest.approx(0.25 * 0.2 + 0.75 * 0.4)
    assert total_variation(GOOD, [[0.7, 0.3], [0.4, 0.6]]) == pytest.approx(0.05)


def test_the_interval_holds_95_percent_of_the_resamples_and_the_estimate():
    assert interval(np.linspace(0, 1, 101), 0.5) == pytest.approx((0.025, 0.975))
    assert interval(np.linspace(0, 1, 101), 0.99) == pytest.approx((0.025, 0.99))


def test_resamples_draw_as_many_rows_as_there_are():
    draws = np.stack(list(resampled(50, 20, seed=1)))
    assert draws.shape == (20, 50)
    assert (draws.sum(1) == 50).all()
    assert np.array_equal(draws, np.stack(list(resampled(50, 20, seed=1))))
    assert not np.array_equal(draws, np.stack(list(resampled(50, 20, seed=2))))
    with pytest.raises(ValueError, match="resamples=1"):
        next(resampled(50, 1, seed=0))


def test_the_interval_of_a_share_is_that_of_a_binomial():
    wrong = np.arange(1000) < 200

    def solve(weights):
        rate = (weights * wrong).sum() / weights.sum()
        return np.array([[1 - rate, rate], [rate, 1 - rate]]), np.array([0.5, 0.5])

    estimate = with_interval(solve, 1000, 1000, seed=0)
    half = 1.96 * np.sqrt(0.2 * 0.8 / 1000)
    assert (estimate.rate, estimate.low, estimate.high) == pytest.approx((0.2, 0.2 - half, 0.2 + half), abs=0.004)


def test_a_prior_under_which_no_given_label_is_possible_is_the_shares():
    assert prior_of(np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([1.0, 0.0])).tolist() == [1, 0]
