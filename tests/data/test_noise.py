"""Injected label noise: what is asked for is what the counts show, and nothing else is touched."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_noisy.data import noise
from hf_noisy.data.noise import NoisyLabels, asymmetric, instance_dependent, pair, symmetric, to_commonest, weak_model
from hf_noisy.data.noise_spec import check_spec, inject

ROWS = 20_000
MATRIX = [[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.25, 0.25, 0.5]]


def clean_labels(rows=ROWS, classes=3, seed=0) -> np.ndarray:
    """Class ids, of which every tenth abstains, by -1 and -100 in turn."""
    labels = np.random.default_rng(seed).integers(classes, size=rows)
    labels[::20], labels[10::20] = -1, -100
    return labels


def random_features(rows=ROWS, dim=5, seed=1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, dim))


def random_probabilities(rows=ROWS, classes=3, seed=2) -> np.ndarray:
    return np.random.default_rng(seed).dirichlet(np.ones(classes), size=rows)


def of_every_kind(labels, rate=0.3, classes=3, seed=0) -> dict[str, NoisyLabels]:
    rows = len(labels)
    stay = np.eye(classes)
    return {
        "symmetric": symmetric(labels, rate, classes, seed=seed),
        "redrawn": symmetric(labels, rate, classes, seed=seed, may_return_true=True),
        "pair": pair(labels, rate, classes, seed=seed),
        "commonest": to_commonest(labels, rate, classes, seed=seed),
        "asymmetric": asymmetric(labels, (1 - rate) * stay + rate * stay[::-1], seed=seed),
        "instance_dependent": instance_dependent(labels, rate, random_features(rows), classes, seed=seed),
        "weak_model": weak_model(labels, rate, random_probabilities(rows, classes), seed=seed),
    }


KINDS = list(of_every_kind(clean_labels(20)))


def assert_share(observed: float, expected: float, rows: int):
    """Within five standard deviations of a binomial share."""
    assert abs(observed - expected) <= 5 * np.sqrt(expected * (1 - expected) / rows), (observed, expected)


# --- what every kind keeps ---


@pytest.mark.parametrize("kind", KINDS)
def test_the_transition_is_the_counted_one(kind):
    labels = clean_labels(500)
    noisy = of_every_kind(labels)[kind]
    for i in range(3):
        members = [row for row in range(500) if labels[row] == i]
        for j in range(3):
            share = sum(noisy.labels[row] == j for row in members) / len(members)
            assert noisy.transition[i, j] == pytest.approx(share)


@pytest.mark.parametrize("kind", KINDS)
def test_the_rate_is_the_share_of_labelled_rows_that_changed(kind):
    labels = clean_labels(500)
    noisy = of_every_kind(labels)[kind]
    changed = [row for row in range(500) if labels[row] != noisy.labels[row]]
    assert noisy.rate == len(changed) / np.count_nonzero(labels >= 0) > 0.1
    assert np.flatnonzero(noisy.changed).tolist() == changed


@pytest.mark.parametrize("kind", KINDS)
def test_abstained_rows_stay_as_they_are(kind):
    labels = clean_labels(500)
    noisy = of_every_kind(labels, rate=0.9)[kind].labels
    assert np.array_equal(noisy[::20], np.full(25, -1))
    assert np.array_equal(noisy[10::20], np.full(25, -100))
    assert np.count_nonzero(noisy < 0) == 50


@pytest.mark.parametrize("kind", KINDS)
def test_the_labels_that_came_are_not_modified_and_lists_do_as_well(kind):
    labels = clean_labels(500).astype(np.int32)
    before = labels.copy()
    noisy = of_every_kind(labels)[kind].labels
    assert np.array_equal(labels, before)
    assert noisy.dtype == np.int64
    assert np.array_equal(noisy, of_every_kind(labels.tolist())[kind].labels)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_without_a_change_are_still_a_copy(kind):
    labels = clean_labels(500)
    noisy = of_every_kind(labels, rate=0.0)[kind]
    assert np.array_equal(noisy.labels, labels)
    assert not np.shares_memory(noisy.labels, labels)
    assert noisy.rate == 0
    assert np.array_equal(noisy.transition, np.eye(3))


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_noise_whatever_was_drawn_before(kind):
    labels = clean_labels(500)
    np.random.seed(3)
    first = of_every_kind(labels, seed=7)[kind].labels
    after = np.random.random()
    np.random.seed(3)
    assert np.random.random() == after  # the global generator was not touched
    assert np.array_equal(of_every_kind(labels, seed=7)[kind].labels, first)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "weak_model"])  # no ties, so nothing is drawn
def test_another_seed_gives_other_noise(kind):
    labels = clean_labels(500)
    assert not np.array_equal(*(of_every_kind(labels, seed=seed)[kind].labels for seed in (0, 1)))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("labels", [[], [-1, -100, -1]])
def test_without_a_labelled_row_nothing_happens(kind, labels):
    noisy = of_every_kind(labels)[kind]
    assert noisy.labels.tolist() == labels
    assert noisy.rate == 0.0
    assert np.array_equal(noisy.transition, np.eye(3))


def test_a_class_without_rows_has_the_row_of_no_noise():
    assert symmetric([0] * 50, 0.5, 3).transition[1:].tolist() == [[0, 1, 0], [0, 0, 1]]


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.sampled_from([-100, -1, 0, 1, 2, 3]), max_size=30),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 2**64),
)
def test_any_labels_give_a_transition_whose_rows_sum_to_one(labels, rate, seed):
    for noisy in of_every_kind(labels, rate, classes=4, seed=seed).values():
        assert np.allclose(noisy.transition.sum(-1), 1)
        changed = sum(a != b for a, b in zip(labels, noisy.labels.tolist(), strict=True))
        assert noisy.rate == changed / max(1, sum(label >= 0 for label in labels))
        assert all(0 <= b < 4 if a >= 0 else a == b for a, b in zip(labels, noisy.labels.tolist(), strict=True))


# --- by class ---


@pytest.mark.parametrize("classes", [2, 3, 10])
@pytest.mark.parametrize("rate", [0.05, 0.4, 0.8])
def test_symmetric_noise_makes_the_rate_wrong_and_every_wrong_class_alike(classes, rate):
    labels = np.arange(ROWS) % classes
    noisy = symmetric(labels, rate, classes)
    assert_share(noisy.rate, rate, ROWS)
    for i, j in np.argwhere(~np.eye(classes, dtype=bool)):
        assert_share(noisy.transition[i, j], rate / (classes - 1), ROWS // classes)


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_symmetric_noise_that_may_return_the_true_class_makes_less_wrong(classes):
    labels = np.arange(ROWS) % classes
    noisy = symmetric(labels, 0.6, classes, may_return_true=True)
    assert_share(noisy.rate, 0.6 * (classes - 1) / classes, ROWS)
    for i, j in np.argwhere(~np.eye(classes, dtype=bool)):
        assert_share(noisy.transition[i, j], 0.6 / classes, ROWS // classes)


def test_flips_do_not_follow_labels_drawn_with_the_same_seed():
    uniform = np.random.default_rng(0).random(ROWS)
    noisy = symmetric((uniform < 0.5).astype(int), 0.3, 2, seed=0)
    assert_share(noisy.changed[uniform < 0.3].mean(), 0.3, np.count_nonzero(uniform < 0.3))


def test_pair_noise_goes_to_the_next_class_only():
    labels = np.arange(ROWS) % 4
    noisy = pair(labels, 0.45, 4)
    assert_share(noisy.rate, 0.45, ROWS)
    assert np.array_equal(noisy.labels[noisy.changed], (labels[noisy.changed] + 1) % 4)
    assert set(labels[noisy.changed]) == {0, 1, 2, 3}


def test_asymmetric_noise_follows_its_matrix_and_makes_no_impossible_flip():
    labels = np.arange(30_000) % 3
    found = asymmetric(labels, MATRIX).transition
    for i, j in np.ndindex(3, 3):
        assert_share(found[i, j], MATRIX[i][j], 10_000)  # exact where the matrix has 0 or 1


@pytest.mark.parametrize("uniform", [0.0, np.nextafter(1, 0)])
def test_no_draw_however_extreme_gives_a_class_of_probability_zero(uniform):
    thirds = np.array([[0, 1 / 3, 1 / 3, 1 / 3, 0], [0, 0, 1, 0, 0], [0, 0.1, 0.7, 0.2 - 5e-7, 0]])
    drawn = noise._drawn(thirds, np.full(3, uniform))
    assert (thirds[np.arange(3), drawn] > 0).all()


# --- instance-dependent ---


@pytest.mark.parametrize("rate", [0.2, 0.4])
def test_instance_dependent_noise_makes_about_the_rate_wrong(rate):
    labels = clean_labels(classes=5)
    found = instance_dependent(labels, rate, random_features(), 5).rate
    assert found == pytest.approx(rate, abs=0.02)


def test_a_small_instance_dependent_rate_makes_more_wrong_as_documented():
    assert instance_dependent(clean_labels(), 0.1, random_features(), 3).rate == pytest.approx(0.129, abs=0.012)


def test_flip_rates_are_a_truncated_normal():
    rates = noise._flip_rates(np.random.default_rng(0), 0.1, ROWS)
    assert 0 <= rates.min() < rates.max() <= 1
    assert rates.mean() == pytest.approx(0.1288, abs=0.003)
    assert noise._flip_rates(np.random.default_rng(0), 0.5, ROWS).std() == pytest.approx(0.1, abs=0.003)


def test_flip_probabilities_are_those_of_the_papers_loop():
    generator = np.random.default_rng(0)
    scores, rates = generator.normal(size=(20, 4)) * 30, generator.random(20)
    found = noise._flip_probabilities(scores, 2, rates)
    for row in range(20):
        total = sum(np.exp(scores[row, j]) for j in (0, 1, 3))
        for j in range(4):
            expected = 1 - rates[row] if j == 2 else rates[row] * np.exp(scores[row, j]) / total
            assert found[row, j] == pytest.approx(expected)


def wrong_class_shares(noisy: NoisyLabels, rows: np.ndarray) -> np.ndarray:
    """Among the flipped ones of `rows`, the share of each class."""
    flipped = noisy.labels[rows & noisy.changed]
    return np.bincount(flipped, minlength=4) / len(flipped)


def test_rows_of_opposite_features_go_to_other_classes_and_rows_of_like_features_to_the_same():
    labels, side = np.zeros(ROWS, dtype=int), np.arange(ROWS) % 2 == 0
    features = np.where(side[:, None], 1.0, -1.0) * np.ones(8)
    noisy = instance_dependent(labels, 0.4, features, 4)
    first_half = np.arange(ROWS) < ROWS // 2
    like = wrong_class_shares(noisy, side & first_half) - wrong_class_shares(noisy, side & ~first_half)
    opposite = wrong_class_shares(noisy, side) - wrong_class_shares(noisy, ~side)
    assert np.abs(like).sum() < 0.1
    assert np.abs(opposite).sum() > 1


def test_each_true_class_has_a_projection_of_its_own():
    labels, features = np.arange(ROWS) % 2, random_features(dim=8)
    noisy = instance_dependent(labels, 0.4, features, 4)
    favoured = [features[noisy.changed & (labels == k) & (noisy.labels == 3)].mean(0) for k in (0, 1)]
    assert np.linalg.norm(favoured[0] - favoured[1]) > 0.3


def test_permuted_features_make_other_labels_and_scaled_ones_the_same():
    labels, features = clean_labels(), random_features()
    found = instance_dependent(labels, 0.4, features, 3).labels
    permuted = np.random.default_rng(0).permutation(features)
    assert (instance_dependent(labels, 0.4, permuted, 3).labels != found).mean() > 0.05
    assert (instance_dependent(labels, 0.4, 1000 * features + 7, 3).labels == found).mean() > 0.999


def test_a_constant_column_says_nothing():
    labels, features = clean_labels(), random_features()
    tenth, zero = (instance_dependent(labels, 0.4, np.c_[features, np.full(ROWS, value)], 3) for value in (0.1, 0))
    assert np.array_equal(tenth.labels, zero.labels)


# --- weak model ---


def test_a_weak_model_changes_exactly_the_rows_of_its_worst_temptations():
    labels, probabilities = clean_labels(500), random_probabilities(500)
    before = probabilities.copy()
    noisy = weak_model(labels, 0.2, probabilities)
    tempted = []
    for row in range(500):
        if labels[row] >= 0:
            wrong = max((j for j in range(3) if j != labels[row]), key=lambda j: probabilities[row, j])
            tempted.append((probabilities[row, wrong], row, wrong))
    expected = labels.copy()
    for _, row, wrong in sorted(tempted, reverse=True)[:90]:  # 0.2 of 450 labelled rows
        expected[row] = wrong
    assert np.array_equal(noisy.labels, expected)
    assert noisy.rate == 0.2
    assert np.array_equal(probabilities, before)


def test_ties_of_a_weak_model_are_broken_by_the_seed():
    labels, alike = np.zeros(3000, dtype=int), np.full((3000, 4), 0.25)
    one, two = (weak_model(labels, 0.5, alike, seed=seed) for seed in (0, 1))
    assert one.changed.sum() == two.changed.sum() == 1500
    assert not np.array_equal(one.changed, two.changed)
    assert one.transition[0, 0] == 0.5
    for j in (1, 2, 3):
        assert_share(one.transition[0, j], 1 / 6, 3000)


def test_a_weak_model_of_half_precision_will_do():
    labels, probabilities = clean_labels(500), random_probabilities(500).astype(np.float16)
    assert weak_model(labels, 0.2, probabilities).rate == 0.2


def test_a_weak_model_that_is_always_right_still_gives_the_rate():
    assert weak_model([0, 1, 0, 1], 0.5, np.eye(2)[[0, 1, 0, 1]]).rate == 0.5


def test_labels_of_other_classes_become_the_commonest_one_at_the_rate():
    labels = np.repeat([0, 1, 2], [5000, 10_000, 5000])
    noisy = to_commonest(labels, 0.3, 3)
    for row, expected in enumerate(([0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.0, 0.3, 0.7])):
        for found, share in zip(noisy.transition[row], expected, strict=True):
            assert_share(found, share, 5000)
    named = to_commonest(labels, 0.3, 3, commonest=2)
    assert set(named.labels[named.changed]) == {2}
    assert np.array_equal(inject("commonest:0.3", labels, 3, commonest=2).labels, named.labels)


# --- specs ---


def test_a_spec_gives_the_noise_of_its_function():
    labels, features = clean_labels(500), random_features(500)
    expected = {
        "symmetric:0.2": symmetric(labels, 0.2, 3, seed=4),
        "pair:0.4": pair(labels, 0.4, 3, seed=4),
        "commonest:0.4": to_commonest(labels, 0.4, 3, seed=4),
        "instance_dependent:0.3": instance_dependent(labels, 0.3, features, 3, seed=4),
        f"asymmetric:{MATRIX}": asymmetric(labels, MATRIX, seed=4),
    }
    for spec, noisy in expected.items():
        assert np.array_equal(inject(spec, labels, 3, seed=4, features=features).labels, noisy.labels)


def test_a_matrix_is_read_from_a_file(tmp_path):
    path = tmp_path / "matrix.json"
    path.write_text(json.dumps(MATRIX))
    labels = clean_labels(500)
    found = inject(check_spec(f"asymmetric:{path}"), labels, 3).labels
    assert np.array_equal(found, asymmetric(labels, MATRIX).labels)


def test_features_are_computed_only_for_the_noise_that_needs_them():
    calls = []

    def features():
        calls.append(1)
        return random_features(500)

    labels = clean_labels(500)
    inject("pair:0.3", labels, 3, features=features)
    assert not calls
    found = inject("instance_dependent:0.3", labels, 3, features=features).labels
    assert calls == [1]
    assert np.array_equal(found, instance_dependent(labels, 0.3, random_features(500), 3).labels)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("", "noise '': unknown kind. Known: symmetric, pair"),
        ("symetric:0.2", "Did you mean 'symmetric'"),
        ("weak_models:0.2", "unknown kind. Did you mean 'weak_model'"),
        ("symmetric", "expected a rate in [0, 1) after the colon, as in 'symmetric:0.2'"),
        ("pair:", "as in 'pair:0.2'"),
        ("pair:lots", "as in 'pair:0.2'"),
        ("pair:40", "rate=40.0: expected a number in [0, 1). Did you mean 0.4?"),
        ("pair:1", "rate=1.0"),
        ("pair:-0.1", "rate=-0.1"),
        ("pair:nan", "rate=nan"),
        ("asymmetric", "expected a matrix such as"),
        ("asymmetric:0.2", "FileNotFoundError"),
        ("asymmetric:no/such.json", "FileNotFoundError"),
        ("asymmetric:[[0.9, 0.1]", "JSONDecodeError"),
        ("asymmetric:[[0.9, 0.2], [0.3, 0.7]]", "transition[0] sums to 1.1"),
        ("asymmetric:[[1.0, NaN], [0.3, 0.7]]", "transition[0] holds NaN"),
        ('asymmetric:[["a", "b"], ["c", "d"]]', "two dimensions of numbers"),
    ],
)
def test_a_bad_spec_is_refused_at_once(spec, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        check_spec(spec)
    with pytest.raises(ValueError, match=re.escape(message)):
        inject(spec, [0, 1], 2)


def test_a_spec_that_is_no_string_is_refused():
    with pytest.raises(TypeError, match="noise 0.2: expected a string such as 'symmetric:0.2', got float"):
        check_spec(0.2)


def test_a_matrix_of_another_size_than_the_classes_is_refused():
    with pytest.raises(ValueError, match="expected a matrix of 3 x 3, got 2 rows"):
        inject("asymmetric:[[0.9, 0.1], [0.3, 0.7]]", [0, 1], 3)


def test_instance_dependent_noise_without_features_is_refused():
    with pytest.raises(ValueError, match="expected features, .* Give features="):
        inject("instance_dependent:0.3", [0, 1], 2)


# --- bad input ---


@pytest.mark.parametrize("rate", [-0.1, 1, 1.5, 40, float("nan")])
def test_a_rate_outside_its_domain_is_refused(rate):
    for build in (symmetric, pair, to_commonest):
        with pytest.raises(ValueError, match=rf"rate={rate}: expected a number in \[0, 1\)"):
            build([0, 1], rate, 2)
    with pytest.raises(ValueError, match="rate="):
        instance_dependent([0, 1], rate, [[0], [1]], 2)
    with pytest.raises(ValueError, match="rate="):
        weak_model([0, 1], rate, [[0.5, 0.5]] * 2)


def test_a_rate_that_is_no_number_is_refused():
    with pytest.raises(TypeError, match="rate='0.2'"):
        symmetric([0, 1], "0.2", 2)


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        ([0.0, 1.0], TypeError, "labels of type float64: expected integers"),
        ([True, False], TypeError, "labels of type bool"),
        (["a", "b"], TypeError, "labels of type <U1"),
        ([0, None], TypeError, "labels of type object"),
        ([[0, 1]], ValueError, r"labels of shape \(1, 2\): expected \(rows,\) class ids. Take argmax"),
        ([[0], [0, 1]], ValueError, "Give one class id a row"),
        (1, ValueError, r"labels of shape \(\)"),
        ([0, 1, 2], ValueError, r"labels\[2\]=2: expected a class in \[0, 2\)"),
        ([0, -2, 1], ValueError, r"labels\[1\]=-2: .*or -1 or -100"),
    ],
)
def test_labels_that_are_no_class_ids_are_refused_with_their_row(labels, error, message):
    with pytest.raises(error, match=message):
        symmetric(labels, 0.2, 2)
    with pytest.raises(error, match=message):
        asymmetric(labels, [[0.9, 0.1], [0.3, 0.7]])
    with pytest.raises(error, match=message):
        instance_dependent(labels, 0.2, [[0.0], [1.0]], 2)
    with pytest.raises(error, match=message):
        weak_model(labels, 0.2, [[0.5, 0.5]] * 2)


@pytest.mark.parametrize(
    ("classes", "error"), [(1, ValueError), (0, ValueError), (2.0, TypeError), (True, TypeError), (None, TypeError)]
)
def test_fewer_than_two_classes_are_refused(classes, error):
    for build in (symmetric, pair, to_commonest):
        with pytest.raises(error, match=f"num_classes={classes}: expected"):
            build([0, 0], 0.2, classes)
    with pytest.raises(error, match="num_classes="):
        instance_dependent([0, 0], 0.2, [[0.0], [1.0]], classes)


@pytest.mark.parametrize(("seed", "error"), [(None, TypeError), (0.5, TypeError), (True, TypeError), (-3, ValueError)])
def test_a_seed_that_would_not_repeat_is_refused(seed, error):
    with pytest.raises(error, match=f"seed={seed}: expected an integer.* Did you mean"):
        pair([0, 1], 0.2, 2, seed=seed)


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ([[0.5, 0.5, 0.0], [0.3, 0.7, 0.0]], r"transition of shape \(2, 3\): expected \(classes, classes\)"),
        ([[1.1, -0.1], [0.3, 0.7]], r"transition\[0, 1\]=-0.1: expected a probability"),
        ([[0.9, 0.1], [0.3, 0.6]], r"transition\[1\] sums to 0.9: expected 1. Divide"),
        ([[0.9, 0.1], [0.3, 0.700002]], r"transition\[1\] sums to 1.000002"),
        ([[0.9, 0.1], [0.3, float("inf")]], r"transition\[1\] holds NaN or infinity"),
        ([[0.9, 0.1], [1.0]], "transition: expected rows of equal length"),
        ([0.9, 0.1], r"transition of shape \(2,\)"),
        ([[1.0]], "rows of transition=1: expected at least 2"),
        ([], "expected two dimensions"),
    ],
)
def test_a_matrix_that_is_no_transition_is_refused_with_its_row(matrix, message):
    with pytest.raises(ValueError, match=message):
        asymmetric([0, 1], matrix)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([[0.0], [1.0], [2.0]], "features has 3 rows: expected 2, one for each label"),
        ([[0.0], [float("nan")]], r"features\[1\] holds NaN or infinity"),
        ([0.0, 1.0], r"features of shape \(2,\)"),
        ([["a"], ["b"]], "expected two dimensions of numbers"),
    ],
)
def test_features_of_other_rows_or_no_numbers_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        instance_dependent([0, 1], 0.2, features, 2)


@pytest.mark.parametrize(
    ("probabilities", "message"),
    [
        ([[0.5, 0.5]] * 3, "probabilities has 3 rows: expected 2"),
        ([[0.5, 0.5], [float("nan"), 1.0]], r"probabilities\[1\] holds NaN"),
        ([[0.5, 0.5], [2.0, 3.0]], r"probabilities\[1\] sums to 5: expected 1"),
        ([[0.5, 0.5], [1.5, -0.5]], r"probabilities\[1, 1\]=-0.5"),
        ([[1.0], [1.0]], "columns of probabilities=1: expected at least 2"),
    ],
)
def test_probabilities_that_are_none_are_refused(probabilities, message):
    with pytest.raises(ValueError, match=message):
        weak_model([0, 0], 0.2, probabilities)


def test_weak_model_noise_by_name_takes_probabilities_and_asks_for_them():
    labels, probabilities = [0, 0, 1, 1], [[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.0, 1.0]]
    expected = weak_model(labels, 0.5, probabilities).labels
    assert np.array_equal(inject("weak_model:0.5", labels, 2, probabilities=lambda: probabilities).labels, expected)
    with pytest.raises(ValueError, match="expected probabilities, a row for each label"):
        inject("weak_model:0.5", labels, 2)
