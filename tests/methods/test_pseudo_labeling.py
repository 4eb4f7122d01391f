"""Pseudo-labels: who loses the label, who gets a guess, which thresholds, and what keeps one class from taking all."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import flat_weights, make_trainer, tiny_model, token_dataset
from transformers import TrainerCallback

from hf_noisy import METHODS, CoTeaching, Survey
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods import pseudo_labeling as module
from hf_noisy.methods.parts.thresholds import (
    annealed_threshold,
    balanced_counts,
    class_thresholds,
    collapse,
    most_confident,
)
from hf_noisy.methods.pseudo_labeling import PseudoLabeling


def ready(labels, classes: int = 2, *, networks: int = 1, epochs: float = 10, **parameters) -> PseudoLabeling:
    method = PseudoLabeling(**parameters)
    method.setup(context(len(labels), classes, labels=labels, networks=networks, epochs=epochs))
    return method


def look(method: PseudoLabeling, *networks, epoch: int = 5) -> None:
    """Begin an epoch in which the networks say these probabilities of all rows."""
    log_probs = torch.stack([torch.as_tensor(probs, dtype=torch.float32).log() for probs in networks])
    method.begin_epoch(epoch, lambda: Survey(log_probs, method.given))


@pytest.fixture
def said(monkeypatch) -> list[str]:
    texts: list[str] = []
    monkeypatch.setattr(module.logger, "warning", texts.append)
    return texts


# ---- which rows, which targets ------------------------------------------------------------------------------------


PROBS = [[0.95, 0.05], [0.85, 0.15], [0.3, 0.7], [0.02, 0.98], [0.2, 0.8]]
LABELS = [-1, -1, -1, 0, 0]  # the model speaks against the fourth


def test_a_row_without_a_label_is_taught_the_class_that_reaches_the_threshold_and_no_other():
    method = ready(LABELS, threshold=0.8, doubt=None)
    look(method, PROBS)
    found = supervise(method, predictions(PROBS), batch(LABELS, 2))
    assert found.weights.tolist() == [[1, 1, 0, 1, 1]]
    assert found.targets[0, [0, 1, 3, 4]].tolist() == [[1, 0], [1, 0], [1, 0], [1, 0]]
    assert found.trusted.tolist() == [[True, True, False, False, False]]
    assert method.report()["pseudo_label"].tolist() == [0, 0, -1, -1, -1]
    assert np.allclose(method.report()["confidence"], [0.95, 0.85, 0.7, 0.98, 0.8])


def test_a_label_that_the_model_speaks_against_is_given_up_and_comes_back():
    method = ready(LABELS, threshold=0.8, doubt="model", doubt_below=0.1, balance=False)
    look(method, PROBS)
    found = supervise(method, predictions(PROBS), batch(LABELS, 2))
    assert found.targets[0, 3].tolist() == [0, 1]  # 0.02 of its label, 0.98 of another class
    assert found.targets[0, 4].tolist() == [1, 0]  # 0.2 of its label: believed
    assert found.trusted[0].tolist() == [True, True, False, True, False]
    changed = [*PROBS[:3], [0.09, 0.91], [0.09, 0.91]]
    look(method, changed, epoch=6)
    assert supervise(method, predictions(PROBS), batch(LABELS, 2)).targets[0, 4].tolist() == [0, 1]
    look(method, [*PROBS[:3], [0.5, 0.5], [0.5, 0.5]], epoch=7)
    found = supervise(method, predictions(PROBS), batch(LABELS, 2))
    assert found.targets[0, 3:].tolist() == [[1, 0], [1, 0]]
    assert found.weights[0, 3:].tolist() == [1, 1]


def test_a_doubted_row_whose_guess_is_not_sure_teaches_nothing():
    method = ready([0, 0], 3, threshold=0.8, doubt_below=0.2)
    look(method, [[0.1, 0.5, 0.4], [0.5, 0.4, 0.1]])
    assert supervise(method, predictions([[0.1, 0.5, 0.4]] * 2), batch([0, 0], 3)).weights.tolist() == [[0, 1]]


def test_doubt_is_by_default_a_fifth_of_chance():
    for classes, expected in ((2, 0.1), (20, 0.01)):
        assert ready(list(range(classes)), classes).below.tolist() == pytest.approx([expected] * classes)


def test_labels_of_a_rare_class_are_not_doubted_by_a_model_that_knows_no_more_than_how_often_each_class_is():
    """On trec after one epoch all labels of the rarest classes would go otherwise, more of them right than elsewhere."""
    labels = [0] * 60 + [1] * 38 + [2] * 2
    method = ready(labels, 3)
    look(method, [[0.6, 0.38, 0.02]] * 100)
    assert not method.unlabeled.values.any()
    look(method, [[0.6, 0.397, 0.003]] * 100, epoch=6)  # less than a fifth of 2 %
    assert method.unlabeled.values.tolist() == [False] * 98 + [True] * 2
    given_up = ready(labels, 3, doubt_below=0.05)  # a number holds for every class
    look(given_up, [[0.6, 0.38, 0.02]] * 100)
    assert given_up.unlabeled.values.tolist() == [False] * 98 + [True] * 2


def test_soft_targets_are_the_probabilities_of_the_look_and_not_those_of_the_step():
    method = ready([-1, 0], threshold=0.8, doubt=None, targets="soft")
    look(method, [[0.9, 0.1], [0.5, 0.5]])
    found = supervise(method, predictions([[0.2, 0.8], [0.2, 0.8]]), batch([-1, 0], 2))
    assert torch.allclose(found.targets[0], torch.tensor([[0.9, 0.1], [1.0, 0.0]]))


def test_rows_are_found_by_their_number_not_by_their_place_in_the_batch():
    method = ready(LABELS, threshold=0.8, doubt=None, weight=0.5)
    look(method, PROBS)
    found = supervise(method, predictions([[0.5, 0.5]] * 2), batch([-1, 0], 2, index=[1, 4]))
    assert found.weights.tolist() == [[0.5, 1]]


def test_soft_labels_are_doubted_by_their_expected_probability():
    labels = torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 0.0]])
    method = ready(labels, threshold=0.8, doubt_below=0.2, balance=False)
    look(method, [[0.1, 0.9], [0.1, 0.9], [0.1, 0.9]])
    assert method.unlabeled.values.tolist() == [False, True, True]


def test_trusted_rows_keep_their_labels_whatever_the_model_says():
    method = PseudoLabeling(threshold=0.8, balance=False)
    told = context(2, 2, labels=[0, 0], epochs=10)
    method.setup(replace(told, trusted=torch.tensor([False, True])))
    look(method, [[0.01, 0.99], [0.01, 0.99]])
    found = supervise(method, predictions([[0.01, 0.99]] * 2), batch([0, 0], 2))
    assert found.targets[0].tolist() == [[0, 1], [1, 0]]
    assert found.trusted.tolist() == [[True, False]]  # of the second, the trainer says so itself


def test_a_row_that_a_sampler_repeats_is_not_taught():
    method = ready([-1, -1, 0], threshold=0.8, doubt=None)
    look(method, [[0.9, 0.1]] * 3)
    rows = replace(batch([-1, -1, 0], 2), real=torch.tensor([True, False, True]))
    assert supervise(method, predictions([[0.9, 0.1]] * 3), rows).weights.tolist() == [[1, 0, 1]]


def test_the_mean_of_two_networks_decides_and_both_are_taught():
    method = ready([-1, -1, 0], networks=2, threshold=0.8, doubt=None)
    one, two = [[0.9, 0.1], [0.99, 0.01], [0.5, 0.5]], [[0.8, 0.2], [0.3, 0.7], [0.5, 0.5]]
    look(method, one, two)
    found = supervise(method, predictions(one, two), batch([-1, -1, 0], 2))
    assert found.weights.tolist() == [[1, 0, 1], [1, 0, 1]]
    assert found.targets[:, 0].tolist() == [[1, 0], [1, 0]]


def test_nothing_is_guessed_before_the_start():
    method = ready([-1, 0], epochs=9, start=1 / 3, doubt=None)
    surveys = []
    for epoch in range(3):
        method.begin_epoch(epoch, lambda: surveys.append(1))
    assert not surveys
    assert supervise(method, predictions([[0.99, 0.01]] * 2), batch([-1, 0], 2)).weights.tolist() == [[0, 1]]
    look(method, [[0.99, 0.01]] * 2, epoch=3)
    assert method.report()["pseudo_label"].tolist() == [0, -1]


@pytest.mark.parametrize(("epochs", "start", "first"), [(3, 1 / 3, 1), (30, 0.1, 3), (4, 0.0, 1), (5, 0.5, 3)])
def test_the_first_epoch_with_pseudo_labels(epochs, start, first):
    assert ready([-1, 0], epochs=epochs, start=start, doubt=None).first == first


def test_a_training_too_short_for_pseudo_labels_says_so(said):
    ready([-1, 0], epochs=1, doubt=None)
    assert "start=0.333333 of 1 epochs leaves none with pseudo-labels" in said[0]


# ---- the average of predictions -----------------------------------------------------------------------------------


def test_the_average_over_epochs_takes_the_place_of_a_pass():
    method = ready([-1, -1, 0], threshold=0.7, doubt=None, refresh="average", momentum=0.5, targets="soft")
    rows = batch([-1, 0], 2, index=[0, 2])
    for probs in ([0.9, 0.1], [0.6, 0.4]):
        supervise(method, predictions([probs, [0.5, 0.5]]), rows)
    method.begin_epoch(5, lambda: pytest.fail("a pass"))
    assert method.report()["pseudo_label"].tolist() == [0, -1, -1]  # 0.75; the second row was never seen
    supervise(method, predictions([[0.1, 0.9], [0.5, 0.5]]), rows)
    found = supervise(method, predictions([[0.1, 0.9], [0.5, 0.5]]), rows)
    assert torch.allclose(found.targets[0, 0], torch.tensor([0.75, 0.25]))  # of the look, until the next one
    method.begin_epoch(6, lambda: pytest.fail("a pass"))
    assert method.report()["pseudo_label"].tolist() == [-1, -1, -1]  # 0.2625


def test_a_label_that_training_never_met_is_not_doubted():
    method = ready([0, 1], refresh="average", balance=False)
    supervise(method, predictions([[0.01, 0.99]]), batch([0], 2, index=[0]))
    method.begin_epoch(5, lambda: pytest.fail("a pass"))
    assert method.unlabeled.values.tolist() == [True, False]


# ---- thresholds ---------------------------------------------------------------------------------------------------


def test_thresholds_by_class_are_flexmatchs():
    draw = np.random.default_rng(0)
    probs = draw.dirichlet([0.3, 0.2, 0.1], size=200)
    sure = [sum(row.argmax() == k and row.max() >= 0.9 for row in probs) for k in range(3)]
    shares = np.array(sure) / max(sure)
    expected = np.maximum(0.9 * shares / (2 - shares), 1 / 3)
    found = class_thresholds(torch.from_numpy(probs), 0.9)
    assert np.allclose(found.numpy(), expected, atol=1e-6)
    assert len(set(found.tolist())) > 1


def test_a_class_of_which_nothing_is_predicted_surely_stays_at_chance_and_without_any_nothing_falls():
    probs = torch.tensor([[0.95, 0.03, 0.02], [0.2, 0.5, 0.3]])
    assert torch.allclose(class_thresholds(probs, 0.9), torch.tensor([0.9, 1 / 3, 1 / 3]))
    assert class_thresholds(probs[1:], 0.9).tolist() == pytest.approx([0.9] * 3)
    assert class_thresholds(probs[:0], 0.9).tolist() == pytest.approx([0.9] * 3)


def test_thresholds_by_class_count_unlabeled_rows_only():
    labels = [0, 0, 0, -1, -1, -1]
    probs = [[0.99, 0.01]] * 3 + [[0.95, 0.05], [0.07, 0.93], [0.4, 0.6]]
    method = ready(labels, schedule="per_class", threshold=0.9, doubt=None, balance=False)
    look(method, probs)
    assert method.thresholds.tolist() == pytest.approx([0.9, 0.9])  # one sure row each; all six would give 4 to 1
    assert method.report()["pseudo_label"].tolist() == [-1, -1, -1, 0, 1, -1]


def test_an_annealed_threshold_falls_from_one_to_the_threshold_at_the_last_epoch():
    method = ready([-1, 0], epochs=4, start=0.25, schedule="annealed", threshold=0.7, doubt=None)
    levels = []
    for epoch in range(1, 4):
        look(method, [[0.85, 0.15]] * 2, epoch=epoch)
        levels.append((float(method.metrics()["pseudo_label_threshold"]), int(method.report()["pseudo_label"][0])))
    assert [level for level, _ in levels] == pytest.approx([0.9, 0.8, 0.7])
    assert [label for _, label in levels] == [-1, 0, 0]
    assert annealed_threshold(0.7, 9, 3) == pytest.approx(0.7)


# ---- balance and collapse -----------------------------------------------------------------------------------------


def naive_odds(kept, labelled, k):
    taught = np.array(labelled) + np.array(kept)
    return taught[k] / (taught.sum() - taught[k])


@pytest.mark.parametrize("seed", range(20))
def test_no_class_more_than_doubles_its_odds_among_the_rows_taught(seed):
    draw = np.random.default_rng(seed)
    classes = int(draw.integers(2, 6))
    passing, labelled = draw.integers(0, 200, classes), draw.integers(1, 60, classes).astype(float)
    kept = balanced_counts(passing, labelled)
    assert ((kept >= 0) & (kept <= passing)).all()
    for k in range(classes):
        given = labelled[k] / (labelled.sum() - labelled[k])
        assert naive_odds(kept, labelled, k) <= 2 * given + 1e-9
        if kept[k] < passing[k]:  # one row more would break the rule, with the others as they are
            assert naive_odds(kept + (np.arange(classes) == k), labelled, k) > 2 * given - 1e-9


def test_few_pseudo_labels_are_never_cut_and_a_class_without_labels_gets_none():
    assert balanced_counts(np.array([5, 0]), np.array([5.0, 5.0])).tolist() == [5, 0]
    assert balanced_counts(np.array([5, 3]), np.array([5.0, 0.0])).tolist() == [5, 0]
    assert balanced_counts(np.array([5, 3]), np.array([0.0, 0.0])).tolist() == [5, 3]


def test_the_most_confident_of_a_class_stay_and_of_equals_the_earlier():
    guess, confidence = torch.tensor([0, 0, 0, 1, 0]), torch.tensor([0.8, 0.9, 0.8, 0.6, 0.99])
    candidates = torch.tensor([True, True, True, True, False])
    kept = most_confident(candidates, guess, confidence, np.array([2, 5]))
    assert kept.tolist() == [True, True, False, True, False]


def collapsed(balance: bool) -> PseudoLabeling:
    """10 labelled rows of each of two classes and 80 without a label, all of which go to class 1."""
    method = ready([0] * 10 + [1] * 10 + [-1] * 80, doubt=None, threshold=0.8, balance=balance)
    sure = np.linspace(0.9, 0.99, 80)
    look(method, [[0.5, 0.5]] * 20 + np.stack([1 - sure, sure], -1).tolist())
    return method


def test_a_class_that_swallows_the_pseudo_labels_is_named_with_numbers_and_held_back(said):
    method = collapsed(balance=True)
    assert (
        method.report()["pseudo_label"].tolist() == [-1] * 90 + [1] * 10
    )  # the surest; 20 of 30 taught are of class 1
    assert len(said) == 1
    assert "before epoch 5 class 1 takes 100.0 % of 80 pseudo-labels and has 50.0 % of the labelled rows" in said[0]
    assert "balance keeps 10 of them" in said[0]
    assert float(method.metrics()["pseudo_label_collapses"]) == 1
    found = supervise(method, predictions([[0.1, 0.9]]), batch([-1], 2, index=[20]))
    assert found.weights.tolist() == [[0]]  # left out, not taught something else


def test_without_balance_the_class_takes_all_and_the_warning_says_what_would_help(said):
    method = collapsed(balance=False)
    assert method.report()["pseudo_label"].tolist() == [-1] * 20 + [1] * 80
    assert "set balance=True" in said[0]


def test_a_collapse_is_said_once_and_counted_each_time(said):
    method = collapsed(balance=True)
    look(method, [[0.5, 0.5]] * 20 + [[0.05, 0.95]] * 80, epoch=6)
    assert len(said) == 1
    assert float(method.metrics()["pseudo_label_collapses"]) == 2


def test_a_class_that_gets_no_pseudo_label_is_named():
    assert collapse(np.array([60, 60, 0]), np.array([10, 10, 3])) == (
        "class 2 gets none of 120 pseudo-labels and has 13.0 % of the labelled rows"
    )
    assert collapse(np.array([60, 60, 0]), np.array([100, 100, 3])) is None  # it would have two


def test_what_is_no_collapse_is_not_called_one():
    assert collapse(np.array([19, 0]), np.array([10, 10])) is None  # few
    assert collapse(np.array([89, 11]), np.array([10, 10])) is None
    assert collapse(np.array([97, 3]), np.array([90, 10])) is None  # it has most of the labels as well
    assert collapse(np.array([100, 0]), np.array([10, 0])) is None
    assert collapse(np.array([30, 0]), np.array([0, 0])) is None


def test_a_look_in_which_no_row_is_sure_says_how_sure_the_surest_is(said):
    method = ready([-1, -1, 0], doubt=None, threshold=0.9)
    look(method, [[0.6, 0.4], [0.3, 0.7], [0.01, 0.99]])
    assert method.report()["pseudo_label"].tolist() == [-1, -1, -1]
    assert "none of 2 unlabeled rows reaches the threshold 0.9; the highest confidence is 0.7" in said[0]


# ---- the label model ----------------------------------------------------------------------------------------------


def with_votes(votes, labels, **parameters) -> PseudoLabeling:
    method = PseudoLabeling(doubt="label_model", **parameters)
    told = context(len(votes), 2, labels=labels, epochs=10)
    method.setup(replace(told, votes=torch.tensor(votes, dtype=torch.int16)))
    return method


def test_a_label_against_which_the_votes_speak_is_taken_from_the_first_step_on():
    votes = [[0, 0], [1, 1], [0, 1], [-1, -1], [1, -1]]
    method = with_votes(votes, [0, 0, 0, 0, -1], doubt_below=0.5)
    found = supervise(method, predictions([[0.5, 0.5]] * 5), batch([0, 0, 0, 0, -1], 2))
    assert found.weights.tolist() == [[1, 0, 1, 1, 0]]  # a tie gives half; nobody speaks against the fourth


@pytest.mark.slow
def test_three_sources_and_more_are_weighed_by_the_label_model():
    from hf_noisy import label_model_probabilities

    draw = np.random.default_rng(0)
    truth = draw.integers(0, 2, 60)
    right = draw.random((60, 4)) < np.array([0.95, 0.9, 0.85, 0.6])
    votes = np.where(right, truth[:, None], 1 - truth[:, None])
    votes[draw.random((60, 4)) < 0.3] = -1
    labels = draw.integers(0, 2, 60)
    method = with_votes(votes.tolist(), labels)
    probs = label_model_probabilities(votes, 2, seed=0)
    doubted = [row.sum() > 0 and row[label] < 0.5 for row, label in zip(probs, labels, strict=True)]
    assert method.unlabeled.values.tolist() == doubted
    assert 0 < sum(doubted) < 60


# ---- bad input ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "error", "message"),
    [
        ({"threshold": 0.0}, ValueError, "threshold=0.0: expected a number in (0, 1]"),
        ({"threshold": 90}, ValueError, "Did you mean 0.9"),
        ({"threshold": "high"}, TypeError, "threshold='high'"),
        ({"schedule": "anealed"}, ValueError, "Did you mean 'annealed'"),
        ({"targets": "firm"}, ValueError, "targets='firm'"),
        ({"refresh": "step"}, ValueError, "refresh='step'"),
        ({"doubt": "votes"}, ValueError, "doubt='votes'"),
        ({"doubt_below": 0}, ValueError, "doubt_below=0"),
        ({"momentum": 1.0}, ValueError, "momentum=1.0"),
        ({"start": 1.0}, ValueError, "start=1.0"),
        ({"weight": -1}, ValueError, "weight=-1"),
        ({"balance": 1}, TypeError, "balance=1: expected True or False"),
    ],
)
def test_parameters_outside_their_domain_are_refused(parameters, error, message):
    with pytest.raises(error) as raised:
        PseudoLabeling(**parameters)
    assert message in str(raised.value)


@pytest.mark.parametrize(
    ("labels", "classes", "parameters", "message"),
    [
        ([-1, 0], 2, {"threshold": 0.5}, "threshold=0.5: expected a number in (1/2, 1]"),
        ([-1, 0], 20, {"threshold": 0.05}, "threshold=0.05: expected a number in (1/20, 1]"),
        ([0, 1], 2, {"doubt": None}, "none of the 2 training rows is unlabeled"),
        ([0, 1], 2, {"doubt": None}, 'Use doubt="model", or train on rows that abstain'),
        ([0, 1], 2, {"doubt": "label_model"}, "the training set has no votes"),
    ],
)
def test_what_the_data_lack_is_said_before_the_first_step(labels, classes, parameters, message):
    with pytest.raises(ValueError) as raised:  # noqa: PT011
        ready(labels, classes, **parameters)
    assert message in str(raised.value)


def test_votes_that_speak_against_no_label_leave_nothing_to_guess():
    with pytest.raises(ValueError, match="Raise doubt_below=0.5"):
        with_votes([[0], [1]], [0, 1])


def test_a_threshold_just_above_chance_is_taken():
    assert ready([-1, 0], 20, threshold=0.051, doubt=None).threshold == 0.051


# ---- in a training ------------------------------------------------------------------------------------------------


PARAMETERS = pytest.mark.parametrize(
    "parameters",
    [
        {"threshold": 0.4},
        {"threshold": 0.34, "refresh": "average", "targets": "soft", "doubt_below": 0.3},
        {"threshold": 0.36, "schedule": "per_class", "doubt_below": 0.3},
        {"threshold": 0.34, "schedule": "annealed", "doubt": None},
    ],
    ids=["fixed", "average, soft", "per class", "annealed"],
)


class StopAt(TrainerCallback):
    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = control.should_save = state.global_step == self.step


def half_labelled(rows: int = 24):
    dataset = token_dataset(rows)
    labels = [-1 if row % 2 else label for row, label in enumerate(dataset["labels"])]
    return dataset.remove_columns("labels").add_column("labels", labels)


def train(folder, parameters, *, stop_at=None, resume=None, extra=()):
    method = PseudoLabeling(**parameters)
    stops = [StopAt(stop_at)] if stop_at else []
    trainer = make_trainer(
        folder, half_labelled(), model=tiny_model(dropout=0.3), num_train_epochs=3, callbacks=[method, *extra, *stops]
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer, method


@pytest.mark.slow
@PARAMETERS
@pytest.mark.parametrize("step", [9, 12], ids=["in the middle of an epoch", "at its end"])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(tmp_path, parameters, step):
    whole, expected = train(tmp_path / "whole", parameters)
    train(tmp_path / "broken", parameters, stop_at=step)
    resumed, found = train(tmp_path / "broken", parameters, resume=str(tmp_path / "broken" / f"checkpoint-{step}"))
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    assert (expected.report()["pseudo_label"] >= 0).any()
    assert expected.state_dict().keys() == found.state_dict().keys()
    for name, value in expected.state_dict().items():
        assert torch.equal(value, found.state_dict()[name]), name


@pytest.mark.slow
def test_without_its_state_a_resumed_run_differs(tmp_path, monkeypatch):
    whole, _ = train(tmp_path / "whole", {"threshold": 0.34})
    train(tmp_path / "broken", {"threshold": 0.34}, stop_at=9)
    monkeypatch.setattr(PseudoLabeling, "load_state_dict", lambda self, state: None)
    resumed, _ = train(tmp_path / "broken", {"threshold": 0.34}, resume=str(tmp_path / "broken" / "checkpoint-9"))
    assert not torch.equal(flat_weights(whole.model), flat_weights(resumed.model))


@PARAMETERS
def test_the_state_goes_into_another_copy(parameters):
    labels = [-1, -1, 0, 1, 2, 0]
    one, two = ready(labels, 3, **parameters), ready(labels, 3, **parameters)
    probs = torch.softmax(torch.randn(6, 3, generator=torch.Generator().manual_seed(0)) * 3, -1)
    supervise(one, predictions(probs), batch(labels, 3))
    look(one, probs)
    assert str(one.report()) != str(two.report())
    two.load_state_dict({name: value.clone() for name, value in one.state_dict().items()})
    assert str(one.report()) == str(two.report())
    for method in (one, two):
        method.found = supervise(method, predictions(probs.flip(0)), batch(labels, 3))
    assert torch.equal(one.found.targets, two.found.targets)
    assert torch.equal(one.found.weights, two.found.weights)


def test_the_default_works_where_every_row_has_a_label_and_with_many_classes(tmp_path):
    dataset = token_dataset(40, classes=20)
    trainer = make_trainer(tmp_path, dataset, model=tiny_model(20), callbacks=[PseudoLabeling()])
    assert np.isfinite(trainer.train().training_loss)


def test_the_log_tells_what_was_guessed_and_with_gold_how_well(tmp_path):
    dataset = half_labelled()
    gold = token_dataset(24)["labels"][:]
    trainer = make_trainer(
        tmp_path,
        dataset.add_column("gold", gold),
        gold_column="gold",
        num_train_epochs=6,
        callbacks=[PseudoLabeling(threshold=0.34, doubt=None, balance=False)],
    )
    trainer.train()
    log = next(entry for entry in reversed(trainer.state.log_history) if "pseudo_labeled_share" in entry)
    pseudo = np.array(trainer.example_report()["pseudo_label"][:])
    assert log["unlabeled_share"] == 0.5
    assert log["pseudo_labeled_share"] == pytest.approx((pseudo >= 0).mean()) == 0.5
    assert log["relabeled_share"] == 0.5
    assert log["relabeled_accuracy"] == pytest.approx((pseudo == np.array(gold))[pseudo >= 0].mean())


@pytest.mark.slow
def test_pseudo_labels_teach_what_their_label_would_have_taught(tmp_path):
    """Against a training whose missing labels were filled in by hand with the same guesses."""

    class Forced(PseudoLabeling):
        def begin_epoch(self, epoch, survey):
            self.pseudo.values.copy_(torch.where(self.never_labelled, guesses, -1))

    gold = torch.tensor(token_dataset(24)["labels"][:])
    guesses = (gold + 1) % 3
    half = half_labelled()
    filled = [int(guesses[row]) if label < 0 else label for row, label in enumerate(half["labels"])]
    found = make_trainer(tmp_path / "a", half, callbacks=[Forced(doubt=None)])
    expected = make_trainer(tmp_path / "b", half.remove_columns("labels").add_column("labels", filled))
    dropped = make_trainer(tmp_path / "c", half)
    for trainer in (found, expected, dropped):
        trainer.train()
    assert torch.equal(flat_weights(found.model), flat_weights(expected.model))
    assert not torch.equal(flat_weights(found.model), flat_weights(dropped.model))


@pytest.mark.parametrize("first", [True, False])
def test_two_networks_that_teach_each_other_take_pseudo_labels(tmp_path, first):
    method, peers = PseudoLabeling(threshold=0.34, doubt=None), CoTeaching(forget_rate=0.2)
    callbacks = [method, peers] if first else [peers, method]
    trainer = make_trainer(tmp_path, half_labelled(), num_train_epochs=3, callbacks=callbacks)
    assert np.isfinite(trainer.train().training_loss)
    assert (method.report()["pseudo_label"] >= 0).any()


def test_batches_of_one_row_and_labels_of_one_class(tmp_path):
    dataset = token_dataset(6, [1, 1, -1, -1, -1, 1])
    method = PseudoLabeling(threshold=0.4, doubt=None)
    trainer = make_trainer(tmp_path, dataset, per_device_train_batch_size=1, num_train_epochs=3, callbacks=[method])
    assert np.isfinite(trainer.train().training_loss)
    assert set(method.report()["pseudo_label"].tolist()) <= {-1, 1}


def test_it_does_not_go_with_another_guesser(tmp_path):
    assert "dividemix" in METHODS
    with pytest.raises(ValueError, match="guesser of missing labels"):
        make_trainer(tmp_path, noise_method="dividemix", callbacks=[PseudoLabeling()])


def test_given_labels_are_read_as_they_came():
    method = ready([-1, 2, 0], 3, doubt=None)
    assert torch.equal(method.given, one_hot(torch.tensor([-1, 2, 0]), 3))


def test_with_a_noise_channel_pseudo_labels_are_marked_as_true_classes(tmp_path):
    method = PseudoLabeling(threshold=0.34, doubt=None)
    trainer = make_trainer(tmp_path, half_labelled(), noise_method="noise_adaptation", callbacks=[method])
    assert np.isfinite(trainer.train().training_loss)
    assert (method.report()["pseudo_label"] >= 0).any()


def test_what_is_remembered_pickles(tmp_path):
    _, method = train(tmp_path, {"threshold": 0.34})
    assert str(pickle.loads(pickle.dumps(method)).report()) == str(method.report())
