"""Classes inferred from several sources, against the formulas in loops and on sources whose mistakes are known."""

from __future__ import annotations

import numpy as np
import pytest

from hf_noisy.evidence.features.neighbours import nearest_rows
from hf_noisy.evidence.inference import combined_sources as module
from hf_noisy.evidence.inference.combined_sources import (
    ANSWERS,
    MIXED,
    Trust,
    are_rules,
    combine_sources,
    hold_unsure,
    source_models,
)
from hf_noisy.evidence.inference.heads import principal

CENTRES = 2 * np.eye(3)


def clouds(rows: int = 240, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors in three clouds that overlap, and the class of each."""
    truth = np.arange(rows) % 3
    return CENTRES[truth] + np.random.default_rng(seed).normal(size=(rows, 3)), truth


def flipped(truth: np.ndarray, rate: float, seed: int) -> np.ndarray:
    draw = np.random.default_rng(seed)
    return np.where(draw.random(len(truth)) < rate, (truth + draw.integers(1, 3, len(truth))) % 3, truth)


def shares(votes: np.ndarray, classes: int = 3) -> np.ndarray:
    """(rows, classes) the majority vote, ties shared."""
    counts = (votes[:, :, None] == np.arange(classes)).sum(1)
    most = (counts == counts.max(1, keepdims=True)) & (counts > 0)
    return most / np.maximum(most.sum(1, keepdims=True), 1)


def combined(vectors: np.ndarray, votes: np.ndarray, **settings) -> np.ndarray:
    return combine_sources(vectors, nearest_rows(vectors, 10), shares(votes), votes, **settings)


# ---- the formulas, in loops ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("shrink", [0.0, 20.0])
def test_how_likely_a_vote_is_by_class(shrink):
    draw = np.random.default_rng(0)
    compared, votes = draw.dirichlet(np.ones(3), 30), draw.integers(-1, 3, 30)
    (source,) = module._sources(votes[:, None], 3)
    found = module._log_likelihood(source, compared, shrink)
    cast = [row for row in range(30) if votes[row] >= 0]
    right = (sum(compared[row, votes[row]] for row in cast) + 1) / (len(cast) + 2)
    frequency = [sum(votes[row] == k for row in cast) + 0.5 for k in range(3)]
    for place, row in enumerate(cast):
        for k in range(3):
            entries = []
            for v in range(3):
                one_accuracy = right * (v == k) + (1 - right) * frequency[v] / sum(frequency)
                counted = sum(compared[i, k] for i in cast if votes[i] == v)
                entries.append(counted + 1 / 3 + shrink * one_accuracy)
            speaks = (sum(compared[i, k] for i in cast) + len(cast) / 30) / (compared[:, k].sum() + 1)
            assert found[place, k] == pytest.approx(np.log(speaks) + np.log(entries[votes[row]] / sum(entries)))


@pytest.mark.parametrize(
    "trust", [ANSWERS, MIXED, Trust(posterior=0.5, shrink=0.0, penalty=0.1, power=1.5, balance=0.75)]
)
def test_one_round_of_expectation_maximisation(monkeypatch, trust):
    monkeypatch.setattr(module, "_ROUNDS", 1)
    vectors, truth = clouds(60)
    votes = np.stack([flipped(truth, 0.2, 1), np.where(truth == 0, 0, -1)], 1)
    votes[:5] = -1
    given, near, inputs = shares(votes), nearest_rows(vectors, 4), principal(vectors)
    sources, known = module._sources(votes, 3), np.full(3, 1 / 3)
    found = module._infer(inputs, near, given, sources, trust, known, known=False)
    head = module._predicted(inputs, given, np.arange(5, 60), trust.penalty)
    prior = np.zeros((60, 3))
    for row in range(60):
        for k in range(3):
            prior[row, k] = 0.7 * head[row, k] + 0.3 * np.mean([head[i, k] for i in near.rows[row]])
    mean = prior.mean(0)
    for row in range(60):
        prior[row] = [prior[row, k] ** trust.power * (1 / 3 / mean[k]) ** trust.balance for k in range(3)]
        prior[row] /= prior[row].sum()
    compared = np.array(
        [prior[i] if i < 5 else trust.posterior * given[i] + (1 - trust.posterior) * prior[i] for i in range(60)]
    )
    for row in range(60):
        product = prior[row].copy()
        for source in sources:
            if row in source.rows:
                place = source.rows.tolist().index(row)
                product *= np.exp(module._log_likelihood(source, compared, trust.shrink)[place])
        assert found[row] == pytest.approx(product / product.sum(), abs=1e-6)


def test_unsure_rows_are_held_by_hand():
    given = np.array([[1.0, 0], [1, 0], [1, 0], [0.5, 0.5], [0, 0], [1, 0]])
    truth = np.array([[0.3, 0.7], [0.31, 0.69], [0.9, 0.1], [0.4, 0.6], [0.45, 0.55], [0.0, 1.0]])
    expected = [
        [0.3, 0.7],  # sure enough to move
        [0.655, 0.345],  # the mean of label and inferred probabilities
        [0.9, 0.1],  # does not move
        [0.4, 0.6],  # a tie, which moves to one of its classes
        [0.45, 0.55],  # no label
        [0.0, 1.0],
    ]
    assert np.allclose(hold_unsure(truth, given, 0.7), expected)
    assert truth[1].tolist() == [0.31, 0.69]  # not changed in place
    soft = np.array([[0.0, 0.34, 0.33, 0.33]])
    assert hold_unsure(np.array([[0.69, 0.01, 0.2, 0.1]]), soft, 0.7).tolist() == soft.tolist()  # still another class


def test_rules_vote_for_one_class_each_and_annotators_do_not():
    rules = np.full((100, 3), -1)
    rules[:30, 0], rules[20:60, 1], rules[60:, 2] = 0, 1, 2
    assert are_rules(rules)
    annotators = np.random.default_rng(0).integers(-1, 3, (100, 3))
    assert not are_rules(annotators)
    assert not are_rules(np.concatenate([rules, annotators], 1))
    assert not are_rules(np.full((4, 2), -1))


# ---- what comes out -----------------------------------------------------------------------------------------------


def test_a_source_that_is_worse_than_chance_is_recognised():
    vectors, truth = clouds()
    votes = np.stack([flipped(truth, 0.25, 1), flipped(truth, 0.25, 2), flipped((truth + 1) % 3, 0.1, 3)], 1)
    found = combined(vectors, votes)
    assert np.allclose(found.sum(1), 1)
    right = (found.argmax(1) == truth).mean()
    assert right > 0.93
    assert right > (combined(vectors, votes[:, :2]).argmax(1) == truth).mean()  # its votes tell something
    assert right > shares(votes)[np.arange(len(truth)), truth].mean() + 0.1


def test_sources_with_few_votes_are_pooled():
    vectors, truth = clouds()
    votes = np.full((240, 81), -1)
    votes[:, 0] = flipped(truth, 0.5, 1)
    for annotator in range(80):  # four votes each
        rows = np.arange(3 * annotator, 3 * annotator + 4) % 240
        votes[rows, annotator + 1] = flipped(truth[rows], 0.1, annotator)
    sources = module._sources(votes, 3)
    assert [(len(source.rows), source.pooled) for source in sources] == [(240, False), (320, True)]
    with_them = (combined(vectors, votes).argmax(1) == truth).mean()
    assert with_them > (combined(vectors, votes[:, :1]).argmax(1) == truth).mean() + 0.05
    assert with_them > 0.88


def test_a_class_prior_changes_the_balance():
    vectors, truth = clouds()
    votes = np.stack([flipped(truth, 0.4, k) for k in range(2)], 1)
    prior = np.array([0.6, 0.3, 0.1])
    free, known = combined(vectors, votes), combined(vectors, votes, class_prior=prior)
    assert np.abs(known.mean(0) - prior).sum() < np.abs(free.mean(0) - prior).sum()


@pytest.mark.parametrize(("apart", "weight"), [(0.2, 0.5), (0.35, 0.25), (0.5, 0.0)])
def test_a_balanced_model_that_changes_many_labels_loses_its_weight(monkeypatch, apart, weight):
    first = np.tile([0.9, 0.1], (100, 1))
    second = np.where(np.arange(100)[:, None] < 100 * apart, [0.2, 0.8], [0.7, 0.3])
    models = iter([first, second])
    monkeypatch.setattr(module, "_infer", lambda *args, **kwargs: next(models))
    votes = np.stack([np.zeros(100, int), np.where(np.arange(100) < 3, 1, -1)], 1)
    vectors = np.random.default_rng(0).normal(size=(100, 2))
    found = combine_sources(vectors, nearest_rows(vectors, 3), shares(votes, 2), votes)
    assert np.allclose(found, (1 - weight) * first + weight * second)


def test_neither_the_order_of_rows_and_sources_nor_names_of_classes_matter():
    vectors, truth = clouds(120)
    votes = np.stack([flipped(truth, 0.3, k) for k in range(3)], 1)
    found = combined(vectors, votes)
    rows, names = np.random.default_rng(0).permutation(120), np.array([2, 0, 1])
    assert np.allclose(combined(vectors[rows], votes[rows]), found[rows], atol=1e-3)
    assert np.allclose(combined(vectors, votes[:, ::-1]), found, atol=1e-6)
    assert np.allclose(combined(vectors, names[votes])[:, names], found, atol=1e-3)


def test_rows_without_a_vote_follow_their_texts():
    vectors, truth = clouds()
    votes = np.stack([flipped(truth, 0.2, k) for k in range(3)], 1)
    votes[::4] = -1
    votes[0] = truth[0]
    found = combined(vectors, votes)
    assert (found[::4].argmax(1) == truth[::4]).mean() > 0.85
    votes[2:] = -1
    assert np.isfinite(combined(vectors, votes)).all()  # all rows but two


def test_matrices_that_are_counted_by_the_truth_are_the_ceiling():
    """Two sources that share their mistakes: without the truth, they are believed."""
    vectors, truth = clouds()
    wrong = np.random.default_rng(2).random(len(truth)) < 0.45
    shared = np.where(wrong, (truth + 1) % 3, truth)
    votes = np.stack([shared, shared, flipped(truth, 0.5, 3)], 1)
    near, given = nearest_rows(0.2 * vectors, 10), shares(votes)
    right = [
        (sum(source_models(0.2 * vectors, near, given, votes, counted=counted)).argmax(1) == truth).mean()
        for counted in (None, np.eye(3)[truth])
    ]
    assert right[1] > right[0]
