"""Each estimator: its maths by hand, the matrix found again where it is known, bad input, intervals, seeds."""

from __future__ import annotations

import builtins
import sys
from functools import cache, partial

import numpy as np
import pytest
import torch

from hf_noisy.data.noise import asymmetric
from hf_noisy.evidence import (
    anchor_points,
    confident_joint,
    dawid_skene,
    dual_t,
    expectation_maximization,
    label_model_confusion,
    neighbours,
    out_of_fold_probabilities,
    t_revision,
    total_variation,
    volminnet,
)
from hf_noisy.evidence.inference.heads import fit_jointly, log_label_probability, most_probable, principal
from hf_noisy.evidence.matrices.neighbours import consensus, label_triples, triple_shares
from hf_noisy.evidence.matrices.t_revision import on_simplex

MATRIX = np.array([[0.8, 0.15, 0.05], [0.1, 0.7, 0.2], [0.05, 0.05, 0.9]])
FEW = {"resamples": 5}
FROM_PROBS = [anchor_points, confident_joint, dual_t, volminnet, t_revision, expectation_maximization]


@cache
def problem(rows: int = 1500, seed: int = 0, overlap: float = 1.0):
    """Points of three clusters, their noisy labels, out-of-fold probabilities, and the matrix that was applied."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, 3, rows)
    points = 4 * np.eye(3)[gold] + overlap * draw.standard_normal((rows, 3))
    noisy = asymmetric(gold, MATRIX, seed=seed)
    return points, noisy.labels, out_of_fold_probabilities(points, noisy.labels, 3), noisy.transition


@cache
def voted(rows: int = 2000, sources: int = 4, seed: int = 0):
    """Votes of independent sources, of which each abstains on a third, and the true classes."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, 3, rows)
    votes = np.stack([asymmetric(gold, MATRIX, seed=100 * seed + source).labels for source in range(sources)], 1)
    votes[draw.random(votes.shape) < 1 / 3] = -1
    return votes, gold


# --- by hand ---


def test_anchor_points_are_the_rows_with_the_largest_probability_of_each_class():
    probs = np.array([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.1, 0.8, 0.1], [0.2, 0.5, 0.3], [0.0, 0.1, 0.9]])
    labels = [0, 0, 1, 2, 2]
    found = anchor_points(probs, labels, percentile=100, **FEW)
    assert found.matrix == pytest.approx(probs[[0, 2, 4]])
    # 80 % of five rows reach the second largest of each column
    assert anchor_points(probs, labels, percentile=80, **FEW).matrix == pytest.approx(probs[[1, 3, 3]])


def test_the_rate_of_anchor_points_weighs_classes_by_the_prior_that_explains_the_labels():
    probs = np.array([[0.8, 0.2], [0.4, 0.6]] * 10)
    labels = np.array([0] * 14 + [1] * 6)  # shares 0.7, 0.3 come from prior 0.75, 0.25
    found = anchor_points(probs, labels, percentile=100, **FEW)
    assert found.prior == pytest.approx([0.75, 0.25], abs=1e-4)
    assert found.rate == pytest.approx(0.75 * 0.2 + 0.25 * 0.4, abs=1e-4)


def test_dual_t_is_the_counts_where_the_model_is_certain():
    predicted, labels = np.array([0, 0, 0, 0, 1, 1]), np.array([0, 0, 0, 1, 1, 1])
    assert dual_t(np.eye(2)[predicted], labels, **FEW).matrix == pytest.approx(np.array([[0.75, 0.25], [0, 1]]))


def test_dual_t_is_the_anchors_where_predictions_are_always_given():
    probs = np.array([[0.8, 0.2], [0.4, 0.6]] * 5)
    with pytest.warns(UserWarning, match="look in-sample"):
        found = dual_t(probs, probs.argmax(1), percentile=100, **FEW)
    assert found.matrix == pytest.approx(probs[:2])


def test_dual_t_is_the_product_of_both():
    probs = np.array([[0.8, 0.2], [0.4, 0.6]] * 2)
    found = dual_t(probs, [0, 1, 1, 1], percentile=100, **FEW)  # of those predicted 0 half are given 1
    assert found.matrix == pytest.approx(np.array([[0.8 * 0.5, 0.8 * 0.5 + 0.2], [0.4 * 0.5, 0.4 * 0.5 + 0.6]]))


def test_the_confident_joint_is_what_its_definition_counts():
    _, labels, probs, _ = problem(300, overlap=2.0)
    limits = [np.mean([p[j] for p, y in zip(probs, labels, strict=True) if y == j]) for j in range(3)]
    counts = np.zeros((3, 3))
    for p, y in zip(probs, labels, strict=True):
        sure = [j for j in range(3) if p[j] >= limits[j]]
        if sure:
            counts[y, max(sure, key=lambda j: p[j])] += 1
    joint = counts / counts.sum(1, keepdims=True) * np.bincount(labels)[:, None]  # calibrated to the given labels
    found = confident_joint(probs, labels, **FEW)
    assert found.matrix == pytest.approx((joint / joint.sum(0)).T, abs=0.01)  # cleanlab rounds to whole rows
    assert found.rate == pytest.approx(1 - np.trace(joint) / len(labels), abs=0.01)


def test_label_model_confusion_sums_posteriors_by_given_label():
    posteriors = [[0.9, 0.1], [0.5, 0.5], [0.2, 0.8], [0.0, 0.0], [1.0, 0.0]]
    found = label_model_confusion(posteriors, [0, 1, 1, 0, -1], **FEW)
    assert found.matrix == pytest.approx(np.array([[0.9 / 1.6, 0.7 / 1.6], [0.1 / 1.4, 1.3 / 1.4]]))
    assert found.prior == pytest.approx([1.6 / 3, 1.4 / 3])
    assert found.rate == pytest.approx((0.7 + 0.1) / 3)


def test_consensus_of_two_classes_by_hand():
    matrix, prior = np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([0.6, 0.4])
    first, second, third = (part[0] for part in consensus(torch.as_tensor(matrix[None]), torch.as_tensor(prior[None])))
    assert first.tolist() == pytest.approx([0.6 * 0.8 + 0.4 * 0.3, 0.6 * 0.2 + 0.4 * 0.7])
    assert float(second[0, 1]) == pytest.approx(0.6 * 0.8 * 0.2 + 0.4 * 0.3 * 0.7)
    for a, b, c in np.ndindex(2, 2, 2):
        expected = sum(prior[i] * matrix[i, a] * matrix[i, b] * matrix[i, c] for i in range(2))
        assert float(third[a, b, c]) == pytest.approx(expected)


def test_neighbours_find_the_matrix_of_exact_shares_of_triples():
    matrix, prior = np.array([[0.8, 0.2], [0.3, 0.7]]), np.array([0.6, 0.4])
    draw = np.random.default_rng(0)
    gold = draw.choice(2, 30_000, p=prior)
    triples = (draw.random((30_000, 3)) < matrix[gold, 1][:, None]).astype(int)
    shares = triple_shares(triples, np.ones(len(triples)), 2)
    third = consensus(torch.as_tensor(matrix[None]), torch.as_tensor(prior[None]))[2][0].numpy()
    assert shares == pytest.approx(third, abs=0.01)
    assert shares.sum() == pytest.approx(1)


def test_copies_of_a_text_are_no_neighbours():
    features = np.array([[1, 0], [2, 0], [1, 0.1], [1, 0.3], [0, 1]])  # the second is the first, but for its length
    assert label_triples(features, np.arange(5))[:, 0].tolist() == [0, 2, 3, 4]
    assert label_triples(features, np.arange(5))[0].tolist() == [0, 2, 3]
    with pytest.raises(ValueError, match="2 different rows"):
        label_triples(np.array([[1, 0], [2, 0], [0, 1]]), np.arange(3))


def test_a_row_on_the_simplex_stays_and_others_go_to_the_nearest_point():
    rows = torch.tensor([[0.2, 0.3, 0.5], [0.5, 0.5, 0.5], [2.0, 0.0, 0.0], [0.6, 0.6, -1.0]])
    nearest = torch.tensor([[0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3], [1, 0, 0], [0.5, 0.5, 0.0]])
    assert torch.allclose(on_simplex(rows), nearest, atol=1e-6)


# --- likelihoods ---


@pytest.mark.parametrize("overlap", [1.0, 3.0])
def test_the_likelihood_of_classifier_and_matrix_never_falls(overlap):
    points, labels, probs, _ = problem(600, overlap=overlap)
    found = expectation_maximization(probs, labels, features=points, **FEW).log_likelihoods
    assert len(found) > 3
    assert (np.diff(found) >= -1e-9 * np.abs(found[:-1])).all()
    assert found[-1] > found[0] + 1


def test_a_step_of_the_head_that_leads_away_is_taken_back(monkeypatch):
    module = sys.modules[
        "hf_noisy.evidence.matrices.expectation_maximization"
    ]  # the package has the function by that name

    def away(objective, parameters, steps):
        with torch.no_grad():
            for parameter in parameters:
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)) * 5)

    monkeypatch.setattr(module, "minimise", away)
    points, labels, probs, _ = problem(600)
    found = expectation_maximization(probs, labels, features=points, **FEW).log_likelihoods
    assert len(found) > 1
    assert (np.diff(found) >= -1e-9 * np.abs(found[:-1])).all()


@pytest.mark.parametrize("smoothing", [0.1, 300.0])
@pytest.mark.parametrize("single", [False, True])
def test_the_likelihood_of_dawid_skene_never_falls(single, smoothing):
    votes, _ = voted()
    if single:  # each source knows one class, as labeling functions do
        votes = np.where(votes == np.array([0, 1, 2, 0]), votes, -1)
    found = dawid_skene(votes, smoothing=smoothing, **FEW).log_likelihoods
    assert len(found) > 3
    assert (np.diff(found) >= -1e-9 * np.abs(found[:-1])).all()
    assert found[-1] > found[0] + 1


def test_posteriors_of_dawid_skene_are_bayes_rule_over_the_sources():
    votes, _ = voted(500)
    found = dawid_skene(votes, smoothing=1e-3, steps=500, **FEW)
    prior = found.posteriors[(votes >= 0).any(1)].mean(0)
    for row in range(20):
        joint = prior.copy()
        for source, vote in enumerate(votes[row]):
            if vote >= 0:
                joint = joint * found.sources[source][:, vote]
        expected = joint / joint.sum() if (votes[row] >= 0).any() else np.zeros(3)
        assert found.posteriors[row] == pytest.approx(expected, abs=0.02)


def test_the_joint_fit_presses_the_volume_of_the_matrix():
    points, labels, probs, _ = problem(600, overlap=2.0)
    x, y, predicted = principal(points), torch.as_tensor(labels), most_probable(probs)
    fits = [fit_jointly(x, y, predicted, 1.0, volume_weight=weight) for weight in (0.0, 0.2)]
    volumes = [float(torch.linalg.det(matrix)) for _, matrix in fits]
    likelihoods = [float(log_label_probability(head, matrix, x, y).sum()) for head, matrix in fits]
    assert volumes[1] < volumes[0]
    assert likelihoods[1] < likelihoods[0]
    assert all((matrix.argmax(1) == torch.arange(3)).all() for _, matrix in fits)


# --- what is known is found ---


@pytest.mark.parametrize(
    ("estimator", "tolerance"),
    [
        (anchor_points, 0.12),
        (confident_joint, 0.05),
        (dual_t, 0.2),  # counts the noise twice
        (volminnet, 0.03),
        (t_revision, 0.12),
        (expectation_maximization, 0.03),
    ],
)
def test_estimators_from_probabilities_find_the_matrix(estimator, tolerance):
    points, labels, probs, true = problem()
    more = {"features": points} if estimator in (volminnet, t_revision, expectation_maximization) else {}
    found = estimator(probs, labels, **more, **FEW)
    assert total_variation(true, found.matrix) < tolerance
    assert found.matrix.sum(1) == pytest.approx(1)
    assert found.prior == pytest.approx(1 / 3, abs=0.1)


@pytest.mark.parametrize("estimator", [volminnet, t_revision, expectation_maximization])
def test_without_features_heads_learn_from_log_probabilities(estimator):
    _, labels, probs, true = problem()
    assert total_variation(true, estimator(probs, labels, **FEW).matrix) < 0.15


def test_neighbours_find_the_matrix():
    points, labels, _, true = problem()
    found = neighbours(points, labels, **FEW)
    assert total_variation(true, found.matrix) < 0.06
    assert found.prior == pytest.approx(1 / 3, abs=0.06)


def test_dawid_skene_finds_the_matrix_of_each_source_and_of_the_majority():
    votes, gold = voted()
    labels = np.where((votes >= 0).any(1), votes.max(1), -1)
    found = dawid_skene(votes, labels, **FEW)
    used = labels >= 0
    true = np.stack([np.bincount(labels[used & (gold == k)], minlength=3) for k in range(3)]).astype(float)
    assert total_variation(true / true.sum(1, keepdims=True), found.matrix) < 0.05
    assert all(total_variation(MATRIX, source) < 0.06 for source in found.sources)
    assert found.rate == pytest.approx((labels != gold)[used].mean(), abs=0.03)


def test_a_source_of_one_class_tells_by_abstaining():
    draw = np.random.default_rng(0)
    gold = draw.integers(0, 2, 3000)
    speaks = draw.random((3000, 6)) < np.where(np.arange(6) % 2 == gold[:, None], 0.7, 0.2)
    found = dawid_skene(np.where(speaks, np.arange(6) % 2, -1), **FEW)
    spoken = speaks.any(1)
    assert (found.posteriors.argmax(1) == gold)[spoken].mean() > 0.8
    assert not found.posteriors[~spoken].any()


# --- intervals and seeds ---


@cache
def estimators_of(rows: int, overlap: float = 1.0):
    points, labels, probs, _ = problem(rows, overlap=overlap)
    votes, _ = voted(rows)
    table = {function.__name__: partial(function, probs, labels) for function in FROM_PROBS}
    table["neighbours"] = partial(neighbours, points, labels)
    table["dawid_skene"] = partial(dawid_skene, votes)
    table["label_model_confusion"] = partial(label_model_confusion, probs, labels)
    return table


NAMES = list(estimators_of(300))


@pytest.mark.parametrize("name", NAMES)
def test_the_interval_holds_the_rate_and_narrows_with_rows(name):
    few, many = (estimators_of(rows)[name](resamples=60) for rows in (300, 2400))
    assert few.low <= few.rate <= few.high
    assert many.low <= many.rate <= many.high
    assert 0 < many.high - many.low < 0.7 * (few.high - few.low)


@pytest.mark.parametrize("name", NAMES)
def test_the_seed_decides_the_interval_and_nothing_else(name):
    estimate = estimators_of(300)[name]
    torch.manual_seed(1)
    first, state = estimate(resamples=20, seed=3), torch.get_rng_state()
    np.random.seed(7)
    again, other = estimate(resamples=20, seed=3), estimate(resamples=20, seed=4)
    assert (first.rate, first.low, first.high) == (again.rate, again.low, again.high)
    assert np.array_equal(first.matrix, again.matrix)
    if name != "dawid_skene":  # its majority vote breaks ties by the seed
        assert np.array_equal(first.matrix, other.matrix)
    assert (first.low, first.high) != (other.low, other.high)
    assert torch.equal(state, torch.get_rng_state())


# --- bad input ---


def spoilt(what: str) -> tuple[np.ndarray, np.ndarray]:
    _, labels, probs, _ = problem(300)
    labels, probs = labels.copy(), probs.copy()
    if what == "a class is absent":
        labels[labels == 1] = 0
    elif what == "fewer rows than classes":
        labels[2:] = -1
    elif what == "a label too large":
        labels[7] = 3
    elif what == "no distribution":
        probs[5] *= 2
    elif what == "not finite":
        probs[5, 1] = np.nan
    elif what == "rows differ":
        labels = labels[:-1]
    elif what == "one column":
        probs = probs[:, :1]
    return probs, labels.astype(float) if what == "labels of floats" else labels


MESSAGES = {
    "a class is absent": (ValueError, "class 1 is absent from the labels"),
    "fewer rows than classes": (ValueError, "2 labelled rows for 3 classes"),
    "a label too large": (ValueError, r"label 3: expected a class in \[0, 3\)"),
    "no distribution": (ValueError, r"probs\[5\] sums to 2"),
    "not finite": (ValueError, r"probs\[5\] holds NaN"),
    "rows differ": (ValueError, "probs has 300 rows, labels 299"),
    "one column": (ValueError, "at least 2 classes"),
    "labels of floats": (TypeError, "expected integers"),
}


@pytest.mark.parametrize("what", MESSAGES)
@pytest.mark.parametrize("estimator", FROM_PROBS)
def test_bad_input_is_refused_before_work_begins(estimator, what):
    kind, message = MESSAGES[what]
    with pytest.raises(kind, match=message):
        estimator(*spoilt(what), **FEW)


@pytest.mark.parametrize("estimator", FROM_PROBS)
def test_in_sample_probabilities_are_warned_of(estimator):
    _, labels, _, _ = problem(300)
    sure = 0.9 * np.eye(3)[labels] + 0.1 / 3
    with pytest.warns(UserWarning, match="100.00% of the rows: the probabilities look in-sample"):
        estimator(sure, labels, **FEW)


@pytest.mark.parametrize("name", NAMES)
def test_one_resample_makes_no_interval(name):
    with pytest.raises(ValueError, match="resamples=1"):
        estimators_of(300)[name](resamples=1)


@pytest.mark.parametrize("estimator", [anchor_points, dual_t, t_revision])
@pytest.mark.parametrize("percentile", [0, 101, -3, float("nan")])
def test_a_percentile_outside_its_range_is_refused(estimator, percentile):
    _, labels, probs, _ = problem(300)
    with pytest.raises(ValueError, match="percentile="):
        estimator(probs, labels, percentile=percentile, **FEW)


def test_other_bad_input_is_named():
    points, labels, probs, _ = problem(300)
    votes, _ = voted(300)
    with pytest.raises(ValueError, match="features has 299 rows: expected 300"):
        volminnet(probs, labels, features=points[:-1])
    with pytest.raises(ValueError, match="volume_weight=-1"):
        volminnet(probs, labels, volume_weight=-1)
    with pytest.raises(ValueError, match="steps=0"):
        expectation_maximization(probs, labels, steps=0)
    with pytest.raises(ValueError, match="equal in all rows"):
        neighbours(np.ones((300, 4)), labels)
    with pytest.raises(ValueError, match="class 3 is absent"):
        neighbours(points, labels, classes=4)
    with pytest.raises(ValueError, match="votes of 2 sources: expected 3 or more"):
        dawid_skene(votes[:, :2])
    with pytest.raises(ValueError, match="smoothing=0"):
        dawid_skene(votes, smoothing=0)
    with pytest.raises(ValueError, match="votes has 300 rows, labels 299"):
        dawid_skene(votes, labels[:-1])
    with pytest.raises(ValueError, match="sum to 1"):
        label_model_confusion(2 * probs, labels)


@pytest.mark.parametrize("estimator", FROM_PROBS)
def test_rows_without_a_label_are_left_out(estimator):
    _, labels, probs, _ = problem(300)
    some = np.where(np.arange(300) % 5 == 0, -1, labels)
    dropped = estimator(probs, some, **FEW)
    kept = estimator(probs[some >= 0], some[some >= 0], **FEW)
    assert np.array_equal(dropped.matrix, kept.matrix)
    assert dropped.low == kept.low


def test_without_cleanlab_the_error_names_the_extra(monkeypatch):
    known = builtins.__import__

    def without(name, *rest):
        if name.startswith("cleanlab"):
            raise ImportError(name)
        return known(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    _, labels, probs, _ = problem(300)
    with pytest.raises(ImportError, match=r"pip install hf_noisy\[benchmark\]"):
        confident_joint(probs, labels)
