"""Models of the noise in labels, on made labels of which the mistakes are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from hf_noisy.evidence.features.neighbours import nearest_rows
from hf_noisy.evidence.inference.label_noise import fit_label_noise, mean_truth, model_weights
from hf_noisy.evidence.inference.noise_fits import NoiseFits
from hf_noisy.evidence.inference.noise_model import LabelNoise

ROWS, CLASSES = 500, 3


def regions(rows: int = ROWS, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Vectors, of which some lie near the border between two classes, and the class of each."""
    vectors = np.random.default_rng(seed).normal(size=(rows, 4))
    return vectors, vectors[:, :CLASSES].argmax(1)


def labelled(kind: str, truth: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Labels of which about 30 % are wrong, by `kind`."""
    draw = np.random.default_rng(1)
    wrong, other = draw.random(len(truth)) < 0.3, (truth + draw.integers(1, CLASSES, len(truth))) % CLASSES
    return {
        "none": truth,
        "random": np.where(wrong, other, truth),
        "commonest": np.where(wrong, 0, truth),
        "confusions": np.where(wrong, (truth + 1) % CLASSES, truth),
        "rule": np.where(vectors[:, 3] > 0.8, (truth + 1) % CLASSES, truth),
    }[kind]


@cache
def fits_to(kind: str) -> dict[str, LabelNoise]:
    vectors, truth = regions()
    return fits_of(vectors, labelled(kind, truth, vectors))


def fits_of(vectors: np.ndarray, labels: np.ndarray, classes: int = CLASSES, **settings) -> dict[str, LabelNoise]:
    near = nearest_rows(vectors[labels >= 0], 20)
    return fit_label_noise(vectors, near, labels, classes, **settings)


def most_probable(fits: dict[str, LabelNoise]) -> str:
    weights = model_weights(fits)
    return max(weights, key=weights.__getitem__)


def test_random_noise_is_found_and_put_right():
    vectors, truth = regions()
    labels, fits = labelled("random", truth, vectors), fits_to("random")
    assert most_probable(fits) == "random"
    assert fits["random"].rate == pytest.approx((labels != truth).mean(), abs=0.05)
    posterior, clean = mean_truth(fits)
    assert (posterior.argmax(1) == truth).mean() > 0.9 > 0.75 > (labels == truth).mean()
    for found in (posterior, clean):
        assert np.allclose(found.sum(1), 1)


@pytest.mark.parametrize("kind", ["none", "rule"])
def test_labels_that_are_right_or_wrong_by_a_rule_do_not_move(kind):
    """A fifth of the labels is wrong by a function of the text: no model with noise predicts them better."""
    vectors, truth = regions()
    labels = labelled(kind, truth, vectors)
    posterior, _ = mean_truth(fits_to(kind))
    assert most_probable(fits_to(kind)) == "none"
    assert (posterior.argmax(1) == labels).all()


@pytest.mark.parametrize("kind", ["commonest", "confusions"])
def test_where_wrong_labels_go_is_found(kind):
    vectors, truth = regions()
    labels, fits = labelled(kind, truth, vectors), fits_to(kind)
    assert most_probable(fits) == kind
    matrix = fits[kind].matrix
    counts = np.stack([np.bincount(labels[truth == k], minlength=CLASSES) for k in range(CLASSES)])
    off_diagonal, taken = ~np.eye(CLASSES, dtype=bool), counts > 0
    assert matrix[taken & off_diagonal].mean() > 2 * matrix[~taken & off_diagonal].mean()
    assert matrix[taken & off_diagonal].mean() == pytest.approx(0.3, abs=0.1)
    assert (mean_truth(fits)[0].argmax(1) == truth).mean() > (labels == truth).mean() + 0.1


def test_many_classes_do_not_collapse():
    draw, classes = np.random.default_rng(0), 60
    truth = np.arange(480) % classes
    vectors = draw.normal(size=(classes, 16))[truth] + 0.4 * draw.normal(size=(480, 16))
    labels = np.where(draw.random(480) < 0.2, draw.integers(0, classes, 480), truth)
    posterior, _ = mean_truth(fits_of(vectors, labels, classes, kinds=("random",)))
    found = posterior.argmax(1)
    assert len(np.unique(found)) == classes
    assert (found == truth).mean() > (labels == truth).mean() + 0.1


@pytest.mark.parametrize("kind", ["random", "confusions"])
def test_the_truth_is_what_the_text_says_times_how_its_class_is_labelled_in_loops(kind):
    vectors, truth = regions()
    labels, fit = labelled("random", truth, vectors), fits_to("random")[kind]
    for row in range(0, ROWS, 40):
        product = [fit.clean[row, k] * fit.matrix[k, labels[row]] for k in range(CLASSES)]
        assert fit.truth[row] == pytest.approx([value / sum(product) for value in product])
    doubts = [1 - fit.truth[row, labels[row]] for row in range(ROWS)]
    assert fit.rate == pytest.approx(sum(doubts) / ROWS)


def test_a_model_by_which_a_class_is_labelled_as_another_has_no_weight():
    fits = fits_to("random")
    assert fits["random"].is_credible
    swapped = replace(fits["random"], matrix=fits["random"].matrix[[1, 0, 2]])
    assert not swapped.is_credible
    weights = model_weights({**fits, "random": swapped})
    assert weights["random"] == 0
    assert sum(weights.values()) == pytest.approx(1)


def test_odds_of_two_models_are_prior_odds_times_the_ratio_of_their_likelihoods():
    none = fits_to("none")["none"]
    odds = []
    for gain in (0, 3, 6):
        random = replace(fits_to("none")["random"], log_likelihood=none.log_likelihood + gain)
        weights = model_weights({"none": none, "random": random})
        assert sum(weights.values()) == pytest.approx(1)
        odds.append(weights["random"] / weights["none"])
    assert odds[0] < 0.1  # without evidence labels are right
    assert np.diff(np.log(odds)) == pytest.approx([3, 3])


def test_names_of_classes_do_not_matter():
    vectors, truth = regions()
    labels, order = labelled("random", truth, vectors), np.array([2, 0, 1])
    renamed = fits_of(vectors, order[labels], kinds=("random",))["random"]
    fit = fits_to("random")["random"]
    assert renamed.rate == pytest.approx(fit.rate, abs=1e-3)
    assert np.abs(renamed.truth[:, order] - fit.truth).max() < 0.02
    assert np.abs(renamed.matrix[np.ix_(order, order)] - fit.matrix).max() < 0.01


def test_the_order_of_rows_changes_little():
    """Folds are drawn by row number: a little changes."""
    vectors, truth = regions()
    labels, order = labelled("random", truth, vectors), np.random.default_rng(3).permutation(ROWS)
    moved = fits_of(vectors[order], labels[order], kinds=("random",))["random"]
    fit = fits_to("random")["random"]
    assert moved.rate == pytest.approx(fit.rate, abs=0.03)
    assert (moved.truth.argmax(1) == fit.truth[order].argmax(1)).mean() > 0.96


def test_rows_without_a_label_are_predicted():
    vectors, truth = regions()
    labels = np.where(np.arange(ROWS) % 2, labelled("random", truth, vectors), -1)
    fit = fits_of(vectors, labels, kinds=("random",))["random"]
    assert fit.truth.shape == (ROWS // 2, CLASSES)
    assert fit.clean.shape == (ROWS, CLASSES)
    assert (fit.clean[labels < 0].argmax(1) == truth[labels < 0]).mean() > 0.85


@pytest.mark.parametrize("labels", [[0, 1] * 4, [2] * 30])
def test_too_few_labels_or_one_class_are_refused(labels):
    vectors = np.random.default_rng(0).normal(size=(len(labels), 3))
    with pytest.raises(ValueError, match="expected 10 labels of two classes or more"):
        fit_label_noise(vectors, nearest_rows(vectors, 3), np.array(labels), 3)


def test_with_the_true_matrix_more_labels_come_out_right_than_without_noise():
    """Mistakes of a rule, for which "none" is the most probable model."""
    vectors, truth = regions()
    labels = np.where(np.random.default_rng(1).random(ROWS) < 0.4, (truth + 1) % CLASSES, truth)
    counts = np.zeros((CLASSES, CLASSES))
    np.add.at(counts, (truth, labels), 1)
    fits = NoiseFits(vectors, nearest_rows(vectors, 20), np.arange(ROWS), labels, CLASSES, seed=0)
    known = fits.with_matrix(counts / counts.sum(1, keepdims=True))
    assert known.matrix == pytest.approx(counts / counts.sum(1, keepdims=True))
    assert (known.truth.argmax(1) == truth).mean() > 0.85 > 0.65 > (labels == truth).mean()
    assert (known.truth[:, labels].diagonal() < 1).any()
