"""MentorNet: the rule, how well it is learned, what it makes of a batch, and that it resumes exactly."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import StopAt, flat_weights, make_trainer, tiny_model, token_dataset
from sklearn.metrics import roc_auc_score

from hf_noisy import NoiseCallback, Supervision
from hf_noisy.common.randomness import keyed_generator
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods import mentornet as module
from hf_noisy.methods.mentornet import MentorNet
from hf_noisy.methods.parts.mentor import (
    Features,
    Mentor,
    _predefined_state,
    clean_pairs,
    predefined_mentor,
    predefined_weight,
    simulated_features,
)
from hf_noisy.models.context import CleanRows
from hf_noisy.trainer.state import STATE_NAME

CURRICULA = pytest.mark.parametrize("curriculum", ["predefined", "data_driven"])


def features(loss=1.0, difference=0.0, label=0, percent=50) -> Features:
    """One example."""
    return Features(torch.tensor([loss]), torch.tensor([difference]), torch.tensor([label]), torch.tensor([percent]))


def of_label(*losses: float) -> list[list[float]]:
    """Two classes, the label always class 0, with these cross-entropies."""
    return [[float(np.exp(-loss)), 1 - float(np.exp(-loss))] for loss in losses]


def clean_rows(labels, given, losses_of=None, *, classes=2, networks=1) -> CleanRows:
    """Trusted and untrusted classes (-1 where there is none); `losses_of` gives the log-probabilities, (rows, classes)."""
    labels, given = one_hot(torch.tensor(labels), classes), one_hot(torch.tensor(given), classes)
    log_probs = torch.zeros(len(labels), classes) if losses_of is None else losses_of
    return CleanRows(labels, given, lambda: log_probs.log_softmax(-1).expand(networks, -1, -1))


def set_up(method: MentorNet, *, rows=4, classes=2, clean=None, networks=1, epochs: float = 10) -> MentorNet:
    method.setup(replace(context(rows, classes, networks=networks, epochs=epochs), clean=clean))
    return method


def at(progress: float, rows):
    return replace(rows, progress=progress, key=(0, int(100 * progress), 1))


def hard_clean_set(rows=200, seed=0) -> CleanRows:
    """Rows of three classes whose loss at a label says little but with the class: high losses are right in class 2."""
    draw = np.random.default_rng(seed)
    trusted = draw.integers(0, 3, rows)
    given = np.where(draw.random(rows) < 0.4, (trusted + draw.integers(1, 3, rows)) % 3, trusted)
    small = (given == trusted) ^ (given == 2)
    logits = np.zeros((rows, 3))
    logits[np.arange(rows), given] = np.where(small, 3.0, -2.0) + draw.normal(0, 0.5, rows)
    return clean_rows(trusted.tolist(), given.tolist(), torch.tensor(logits).float(), classes=3)


# ---- the module ----------------------------------------------------------------------------------------------------


def test_it_has_the_sizes_of_the_released_code_and_gives_a_logit_an_example():
    mentor = Mentor(classes=7)
    found = {name: tuple(parameter.shape) for name, parameter in mentor.named_parameters()}
    assert found["losses.weight_ih_l0"] == (4, 1)  # four gates of one unit
    assert found["losses.weight_ih_l0_reverse"] == (4, 1)
    assert found["label.weight"] == (7, 2)
    assert found["hidden.weight"] == (20, 2 + 2 + 5)
    assert found["output.weight"] == (1, 20)
    assert mentor.epoch.shape == (100, 5)
    assert "epoch" not in found  # frozen
    for rows in (0, 1, 5):
        values = torch.zeros(rows)
        assert mentor(Features(values, values, values.long(), values.long())).shape == (rows,)


@pytest.mark.parametrize("change", [{"loss": 2.0}, {"difference": 1.0}, {"label": 1}, {"percent": 51}])
def test_each_feature_has_an_effect(change):
    torch.manual_seed(0)
    mentor = Mentor(classes=2)
    assert mentor(features()) != mentor(features(**change))


def test_huge_losses_stay_finite():
    weight = predefined_mentor().weigh(features(1e6, 1e6))
    assert torch.isfinite(weight)


def test_it_computes_in_float32_under_autocast():
    one = simulated_features(20, torch.Generator().manual_seed(0))
    expected = predefined_mentor().weigh(one)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(predefined_mentor().weigh(one), expected)


# ---- the predefined curriculum -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("percent", "expected"),
    [(0, [1, 1, 1, 1]), (18, [1, 1, 1, 1]), (19, [1, 1, 0, 0]), (89, [1, 1, 0, 0]), (90, [1, 1, 0.75, 0]), (99, [1, 1, 0.75, 0])],
)  # fmt: skip
def test_the_rule_by_hand(percent, expected):
    difference = torch.tensor([-1.0, 0.0, 0.5, 3.0])
    assert predefined_weight(difference, torch.full((4,), percent), gamma=2.0).tolist() == expected


@pytest.mark.parametrize("gamma", [1.0, 3.0])
def test_a_mentor_learns_the_rule(gamma):
    fresh = simulated_features(20_000, torch.Generator().manual_seed(123))
    rule = predefined_weight(fresh.difference, fresh.percent, gamma)
    error = (predefined_mentor(gamma).weigh(fresh) - rule).abs()
    assert error.mean() < 0.03
    for start, end in ((0, 19), (19, 90), (90, 100)):
        phase = (fresh.percent >= start) & (fresh.percent < end)
        assert error[phase].mean() < 0.06


def test_it_is_learned_once_and_leaves_the_generators_alone():
    _predefined_state.cache_clear()
    torch.manual_seed(5)
    before = torch.get_rng_state()
    first, second = predefined_mentor(), predefined_mentor()
    assert torch.equal(torch.get_rng_state(), before)
    assert _predefined_state.cache_info().misses == 1
    assert _predefined_state.cache_info().hits == 1
    with torch.no_grad():
        first.output.bias += 1  # what one training does to its mentor, another one does not see
    assert not torch.equal(first.output.bias, second.output.bias)
    assert torch.equal(second.output.bias, predefined_mentor().output.bias)
    state = {name: value.clone() for name, value in second.state_dict().items()}
    _predefined_state.cache_clear()
    torch.manual_seed(6)
    again = predefined_mentor().state_dict()
    assert all(torch.equal(value, again[name]) for name, value in state.items())


def test_for_several_classes_all_start_as_label_0():
    mentor = predefined_mentor(classes=3)
    weights = [mentor.weigh(features(0.5, 0.2, label)) for label in range(3)]
    assert weights[0] == weights[1] == weights[2]
    assert weights[0] == predefined_mentor().weigh(features(0.5, 0.2))


# ---- one batch -----------------------------------------------------------------------------------------------------


def test_the_running_percentile_by_hand():
    method = set_up(MentorNet(loss_percentile=0.5, ema_decay=0.75))
    supervise(method, predictions(of_label(0.1, 0.2, 0.6)), batch([0, 0, 0], 2))
    assert method.percentile == pytest.approx(0.2, rel=1e-4)
    supervise(method, predictions(of_label(0.4, 1.0)), batch([0, 0], 2))
    assert method.percentile == pytest.approx(0.75 * 0.2 + 0.25 * 0.7, rel=1e-4)


def test_the_percentile_argument_moves_the_percentile_and_the_weights():
    found = {}
    for share in (0.25, 0.75):
        method = set_up(MentorNet(loss_percentile=share, example_dropout=0.0))
        weights = supervise(method, predictions(of_label(0.1, 0.8, 1.5, 2.2)), batch([0] * 4, 2)).weights
        found[share] = (method.percentile, (weights[0] > 0.5).tolist())
    assert found[0.25][0] < found[0.75][0]
    assert found[0.25][1] == [True, False, False, False]
    assert found[0.75][1] == [True, True, True, False]


def test_the_percentile_is_of_the_rows_that_are_taught():
    method = set_up(MentorNet(loss_percentile=0.5))
    seen = predictions(of_label(0.3, 5.0, 0.5, 5.0))
    rows = batch([0, -1, 0, 0], 2)
    before = Supervision(rows.given.expand(1, -1, -1), torch.tensor([[1.0, 0.0, 1.0, 0.0]]))
    method.supervise(before, seen, rows)
    assert method.percentile == pytest.approx(0.4, rel=1e-4)
    supervise(method, predictions(of_label(1.0)), batch([-1], 2))
    assert method.percentile == pytest.approx(0.4, rel=1e-4)  # nobody is taught: it stays


def test_the_loss_is_the_mean_of_views_and_networks():
    method = set_up(MentorNet(loss_percentile=0.5), networks=2)
    supervise(method, predictions(of_label(0.2), of_label(0.6)), batch([0], 2))
    assert method.percentile == pytest.approx(0.4, rel=1e-4)


def test_the_weights_are_the_mentors_and_multiply_those_that_are_there():
    method = set_up(MentorNet(example_dropout=0.0))
    rows, seen = at(0.955, batch([0, 0, 0], 2)), predictions(of_label(0.1, 0.6, 1.2))
    before = Supervision(rows.given.expand(1, -1, -1), torch.tensor([[1.0, 0.5, 2.0]]))
    after = method.supervise(before, seen, rows)
    losses = torch.tensor([0.1, 0.6, 1.2])
    expected = predefined_mentor().weigh(
        Features(losses, losses - losses.quantile(0.7), torch.zeros(3).long(), torch.full((3,), 95))
    )
    assert torch.allclose(after.weights[0], expected * torch.tensor([1.0, 0.5, 2.0]), atol=1e-4)
    assert torch.allclose(method.weights.values[:3], expected, atol=1e-4)
    assert method.metrics()["mentor_weight"] == pytest.approx(float(expected.mean()), abs=1e-4)
    assert torch.equal(after.targets, before.targets)
    assert ((expected >= 0) & (expected <= 1)).all()


def test_the_curriculum_follows_the_progress():
    method = set_up(MentorNet(example_dropout=0.0, loss_percentile=0.5))
    losses = predictions(of_label(0.1, 0.6, 1.1))  # differences -0.5, 0, 0.5
    early, middle, late = (
        supervise(method, losses, at(progress, batch([0] * 3, 2))).weights[0] for progress in (0.05, 0.5, 0.99)
    )
    assert early[2] > 0.9
    assert middle[2] < 0.1
    assert 0.3 < late[2] < 0.7


def test_weights_carry_no_gradient_and_the_mentor_gets_none_from_training():
    method = set_up(MentorNet(example_dropout=0.0))
    logits = torch.randn(1, 1, 4, 2, requires_grad=True)
    seen, rows = predictions(of_label(0.1, 0.2, 0.3, 0.4)), batch([0] * 4, 2)
    with_gradient = replace(seen, clean_log_probs=logits.log_softmax(-1))
    weights = supervise(method, with_gradient, rows).weights
    assert not weights.requires_grad
    losses = -with_gradient.clean_log_probs[0, :, :, 0]
    (losses * weights).sum().backward()
    assert float(logits.grad.norm()) > 0
    assert all(parameter.grad is None for parameter in method.mentor.parameters())


def test_dropped_examples_are_drawn_by_step_and_exactly_those():
    method = set_up(MentorNet(example_dropout=0.5), rows=40)
    seen, rows = predictions(of_label(*[0.5] * 40)), batch([0] * 40, 2)
    rows = replace(rows, key=(3, 7, 1), progress=0.05)
    weights = supervise(method, seen, rows).weights[0]
    expected = torch.rand(40, generator=keyed_generator(3, 7, 1, "example dropout")) >= 0.5
    assert torch.equal(weights > 0, expected)
    assert torch.equal(supervise(method, seen, rows).weights[0] > 0, expected)
    other = supervise(method, seen, replace(rows, key=(3, 8, 2))).weights[0]
    assert not torch.equal(other > 0, expected)


def test_the_dropout_rate_follows_its_schedule():
    method = set_up(MentorNet(example_dropout=[[1.0, 0.25], [0.0, 0.5], [1.0, 0.25]]))
    seen, rows = predictions(of_label(0.1, 0.1)), batch([0, 0], 2)
    taught = [
        bool((supervise(method, seen, at(p, rows)).weights > 0).all()) for p in (0.0, 0.24, 0.25, 0.74, 0.75, 0.99)
    ]
    assert taught == [False, False, True, True, False, False]
    default = MentorNet()
    assert [default._dropout_rate(progress) for progress in (0.0, 0.16, 0.18, 0.999999)] == [0.5, 0.5, 0.05, 0.05]


def test_a_batch_of_one_and_a_batch_without_labels():
    method = set_up(MentorNet(example_dropout=0.0))
    assert supervise(method, predictions(of_label(0.5, 0.1)), batch([-1, -1], 2)).weights.tolist() == [[0, 0]]
    assert method.percentile.isnan()
    assert method.metrics() == {}
    assert supervise(method, predictions(of_label(0.5)), at(0.05, batch([0], 2))).weights[0, 0] > 0.9


def test_every_process_finds_one_percentile_and_rows_that_a_sampler_repeats_do_not_count():
    losses = torch.tensor([0.2, 0.4, 0.6, 0.0])  # the last is a repetition of row 0, on the second process
    everywhere = torch.tensor([0, 1, 2, 3])
    kept = []
    for mine in (slice(0, 2), slice(2, 4)):
        rows = batch([0, 0], 2, index=[0, 1] if mine.start == 0 else [2, 0])
        rows = replace(rows, gathered_index=everywhere, gather=lambda values: losses)
        method = set_up(MentorNet(loss_percentile=0.5, example_dropout=0.5), rows=3)
        kept.append(method._kept(rows))
        supervise(method, predictions(of_label(*losses[mine].tolist())), rows)
        assert method.percentile == pytest.approx(0.4, rel=1e-4)
        assert method.mean_weight == pytest.approx(0.4, rel=1e-4)  # of what was gathered
    draws = torch.rand(4, generator=rows.generator("example dropout")) >= 0.5
    assert torch.equal(torch.cat(kept)[:3], draws[:3])


# ---- the data-driven curriculum ------------------------------------------------------------------------------------


def test_pairs_of_clean_rows():
    clean = clean_rows([0, 1, 2, 0, -1], [0, 2, -1, -1, 1], classes=3)
    drawn = set()
    for seed in range(20):
        pairs = clean_pairs(clean, torch.Generator().manual_seed(seed))
        assert pairs.rows.tolist() == [0, 1, 2, 3, 2, 3]
        assert pairs.labels[:4].tolist() == [0, 2, 2, 0]
        assert pairs.right.tolist() == [1, 0, 1, 1, 0, 0]
        drawn |= {(int(row), int(label)) for row, label in zip(pairs.rows[4:], pairs.labels[4:], strict=True)}
    assert drawn == {(2, 0), (2, 1), (3, 1), (3, 2)}


def test_right_and_wrong_labels_count_alike():
    pairs = clean_pairs(clean_rows([0, 0, 0, 0], [0, 0, 0, 1]), torch.Generator())
    assert pairs.counts.tolist() == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])


def separation(method: MentorNet, clean: CleanRows, percent: int) -> float:
    """How well the mentor tells right labels from wrong ones."""
    pairs = clean_pairs(clean, torch.Generator())
    losses = -clean.survey()[0, pairs.rows, pairs.labels]
    percents = torch.full_like(pairs.labels, percent)
    weights = method.mentor.weigh(Features(losses, losses - method.percentile, pairs.labels, percents))
    return roc_auc_score(pairs.right.numpy(), weights.numpy())


def taught_by(clean: CleanRows, epochs=(1, 2)) -> MentorNet:
    method = set_up(MentorNet("data_driven"), clean=clean, classes=3, epochs=4)
    method.percentile.fill_(1.0)
    for epoch in epochs:
        method.begin_epoch(epoch, lambda: pytest.fail("the training set is not looked at"))
    return method


def test_it_learns_which_labels_are_right():
    fresh = hard_clean_set(seed=1)
    before = separation(taught_by(hard_clean_set(), epochs=(0,)), fresh, 60)
    method = taught_by(hard_clean_set())
    assert before < 0.75
    assert separation(method, fresh, 50) > 0.9
    assert separation(method, fresh, 74) > 0.9
    assert 0 < method.metrics()["mentor_loss"] < 0.5


def test_without_untrusted_labels_it_learns_from_drawn_ones():
    draw = np.random.default_rng(0)
    trusted = draw.integers(0, 3, 60)
    logits = 2.0 * np.eye(3)[trusted] + draw.normal(0, 0.5, (60, 3))
    clean = clean_rows(trusted.tolist(), [-1] * 60, torch.tensor(logits).float(), classes=3)
    assert separation(taught_by(clean), clean, 60) > 0.95


def test_the_label_is_an_input_of_the_data_driven_mentor_only():
    found = {}
    for curriculum in ("predefined", "data_driven"):
        method = taught_by(hard_clean_set()) if curriculum == "data_driven" else MentorNet(example_dropout=0.0)
        if curriculum == "predefined":
            set_up(method, classes=3)
            method.percentile.fill_(1.0)
        method.example_dropout = ((0.0, 1.0),)
        rows = at(0.6, batch([1, 2], 3))
        found[curriculum] = supervise(method, predictions([[0.05, 0.1, 0.85], [0.05, 0.85, 0.1]]), rows).weights[0]
    assert found["predefined"][0] == found["predefined"][1]
    assert found["data_driven"][1] - found["data_driven"][0] > 0.5  # a high loss is right in class 2 alone


def test_in_the_first_epoch_it_is_the_predefined_one():
    method = taught_by(hard_clean_set(), epochs=(0,))
    expected = predefined_mentor(classes=3).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in method.mentor.state_dict().items())
    assert "mentor_loss" not in method.metrics()


def test_where_no_label_is_wrong_it_warns_once_and_stays_as_it_is(monkeypatch):
    said = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    method = taught_by(clean_rows([0, 1, 2], [0, 1, 2], classes=3))
    assert len(said) == 1
    assert "no right label beside a wrong one" in said[0]
    expected = predefined_mentor(classes=3).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in method.mentor.state_dict().items())


def test_the_optimiser_goes_on_from_its_state():
    whole = taught_by(hard_clean_set(), epochs=(1, 2))
    half = taught_by(hard_clean_set(), epochs=(1,))
    found = []
    for dropped in (None, "adam."):
        state = {k: v.clone() for k, v in half.state_dict().items() if dropped is None or not k.startswith(dropped)}
        resumed = taught_by(hard_clean_set(), epochs=())
        resumed.load_state_dict(state)
        resumed.begin_epoch(2, None)
        found.append(equal_states(whole.state_dict(), resumed.state_dict()))
    assert found == [True, False]


# ---- in training ---------------------------------------------------------------------------------------------------


def noisy_rows(rows=20, seed=0):
    """Rows of which a third have a wrong label, and clean ones beside them."""
    dataset = token_dataset(rows)
    draw = np.random.default_rng(seed)
    labels = np.where(draw.random(rows) < 0.35, draw.integers(0, 3, rows), dataset["labels"][:])
    clean = token_dataset(8, seed=9)
    given = [
        (label + 1) % 3 if row % 4 == 0 else -1 if row % 4 == 1 else label
        for row, label in enumerate(clean["labels"][:])
    ]
    return token_dataset(rows, labels.tolist()), clean.add_column("given", given)


def run(folder, curriculum, *, stop_at=None, resume=None, **arguments):
    """20 rows in 5 steps an epoch, 3 epochs, dropout in the model."""
    dataset, clean = noisy_rows()
    method = arguments.pop("method", None) or MentorNet(curriculum)
    trainer = make_trainer(
        folder,
        arguments.pop("dataset", dataset),
        model=tiny_model(dropout=0.3),
        num_train_epochs=3,
        callbacks=[method, *([StopAt(stop_at)] if stop_at else [])],
        clean_dataset=clean if curriculum == "data_driven" else None,
        **arguments,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def mentor_of(trainer) -> MentorNet:
    (method,) = (callback for callback in trainer.noise.callbacks if isinstance(callback, MentorNet))
    return method


def equal_states(one, other) -> bool:
    """To the bit; NaN, where nothing is known yet, equals NaN."""
    return one.keys() == other.keys() and all(
        torch.equal(value.nan_to_num(-1), other[name].nan_to_num(-1)) for name, value in one.items()
    )


def same(left, right) -> bool:
    kept = ("loss", "step", "grad_norm", "mentor_percentile", "mentor_weight", "mentor_loss")
    logs = [[{k: v for k, v in log.items() if k in kept} for log in t.state.log_history[:-1]] for t in (left, right)]
    states = [mentor_of(trainer).state_dict() for trainer in (left, right)]
    return (
        torch.equal(flat_weights(left.model), flat_weights(right.model))
        and str(left.example_report().to_dict()) == str(right.example_report().to_dict())
        and equal_states(*states)
        and logs[0] == logs[1]
    )


@CURRICULA
def test_it_trains_and_logs_and_is_no_part_of_the_model(tmp_path, curriculum):
    trainer = run(tmp_path, curriculum)
    names = {name for name, _ in trainer.model.named_parameters()}
    assert names == {name for name, _ in tiny_model().named_parameters()}
    assert sum(len(group["params"]) for group in trainer.optimizer.param_groups) == len(names)
    weights = mentor_of(trainer).weights.values
    assert ((weights >= 0) & (weights <= 1)).all()
    assert 0 < weights.mean() < 1
    logs = [log for log in trainer.state.log_history if "loss" in log]
    assert all(np.isfinite(log["loss"]) for log in logs)
    assert {"mentor_percentile", "mentor_weight"} <= logs[0].keys()
    assert ("mentor_loss" in logs[0], "mentor_loss" in logs[-1]) == (False, curriculum == "data_driven")


@CURRICULA
@pytest.mark.parametrize("step", [7, 10], ids=["in the middle of an epoch", "at its end"])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(tmp_path, curriculum, step):
    whole = run(tmp_path / "whole", curriculum)
    run(tmp_path / "broken", curriculum, stop_at=step)
    checkpoint = tmp_path / "broken" / f"checkpoint-{step}"
    resumed = run(tmp_path / "broken", curriculum, resume=str(checkpoint))
    assert resumed.state.global_step == 15
    assert same(whole, resumed)
    (checkpoint / STATE_NAME).unlink()
    assert not same(whole, run(tmp_path / "broken", curriculum, resume=str(checkpoint)))


def test_only_the_data_driven_mentor_changes_in_training(tmp_path):
    for curriculum, classes in (("predefined", 1), ("data_driven", 3)):
        found = mentor_of(run(tmp_path, curriculum)).mentor.state_dict()
        start = predefined_mentor(classes=classes).state_dict()
        assert all(torch.equal(value, found[name]) for name, value in start.items()) == (curriculum == "predefined")


@CURRICULA
def test_it_pickles_after_training(tmp_path, curriculum):
    method = mentor_of(run(tmp_path, curriculum))
    copy = pickle.loads(pickle.dumps(method))
    assert torch.equal(copy.weights.values, method.weights.values)
    assert copy.metrics().keys() == method.metrics().keys()
    with pytest.raises(RuntimeError, match="unpickled"):
        supervise(copy, predictions(of_label(0.1)), batch([0], 2))


@CURRICULA
@pytest.mark.parametrize(
    "arguments",
    [
        {"per_device_train_batch_size": 1, "dataset": token_dataset(3)},
        {"per_device_train_batch_size": 2, "dataset": token_dataset(8, [-1] * 7 + [1])},
        {"bf16": True, "dataset": token_dataset(8)},
        {"dataset": token_dataset(8, [[0.2, 0.5, 0.3], [0.0, 0.0, 0.0]] * 4)},
    ],
    ids=["batch of one", "batches without labels", "bfloat16", "soft labels"],
)
def test_it_trains_on(tmp_path, curriculum, arguments):
    trainer = run(tmp_path, curriculum, **arguments)
    assert torch.isfinite(flat_weights(trainer.model)).all()
    assert np.isfinite(trainer.state.log_history[0]["loss"])


class TwoNetworks(NoiseCallback):
    num_networks = 2


@CURRICULA
def test_it_weighs_for_two_networks_at_once(tmp_path, curriculum):
    dataset, clean = noisy_rows()
    trainer = make_trainer(tmp_path, dataset, callbacks=[MentorNet(curriculum), TwoNetworks()], clean_dataset=clean)
    assert np.isfinite(trainer.train().training_loss)
    weight = np.array(trainer.example_report()["weight"][:])
    assert (weight[:, 0] == weight[:, 1]).all()


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"curriculum": "predefine"}, "curriculum='predefine': expected .* Did you mean 'predefined'"),
        ({"loss_percentile": 70}, "loss_percentile=70: .*Did you mean 0.7"),
        ({"loss_percentile": 1.0}, "loss_percentile=1.0"),
        ({"ema_decay": 1.0}, "ema_decay=1.0"),
        ({"gamma": 0}, "gamma=0: expected a number above 0"),
        ({"gamma": float("nan")}, "gamma=nan"),
        ({"example_dropout": 50}, "example_dropout=50: .*Did you mean 0.5"),
        ({"example_dropout": [[5, 0.5], [0, 0.5]]}, r"example_dropout\[0\]=5"),
        ({"example_dropout": [0.5, 0.1]}, "expected a rate, or pairs"),
        ({"example_dropout": []}, "shares sum to 1, not to 0"),
        ({"example_dropout": [[0.5, 0.5]]}, "shares sum to 1, not to 0.5"),
    ],
)
def test_parameters_outside_their_domain_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        MentorNet(**arguments)


@pytest.mark.parametrize("arguments", [{"gamma": "1"}, {"gamma": True}, {"example_dropout": None}])
def test_parameters_of_another_type_are_refused(arguments):
    with pytest.raises(TypeError, match=next(iter(arguments))):
        MentorNet(**arguments)


def test_without_clean_rows_the_data_driven_one_says_what_to_pass(tmp_path):
    with pytest.raises(ValueError, match="clean_dataset=None: .*Pass NoisyTrainer\\(clean_dataset=...\\)"):
        make_trainer(tmp_path, callbacks=[MentorNet("data_driven")])
