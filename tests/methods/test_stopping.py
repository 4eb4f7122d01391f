"""Rules of stopping worked by hand, and that the Trainer stops and loads as the pure rule says."""

from __future__ import annotations

import math
import pickle
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import StopAt, flat_weights, make_trainer, tiny_model, token_dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, TrainerCallback

from hf_noisy import CoTeaching
from hf_noisy.methods import stopping as module
from hf_noisy.methods.parts.stopping_rules import RULES, chosen_epoch
from hf_noisy.methods.stopping import NoisyStopping
from hf_noisy.trainer.state import STATE_NAME

NAN = float("nan")
WRONG = np.random.default_rng(0).integers(0, 3, 20).tolist()


# ---- the rules -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("by", "accuracies", "changes", "window", "expected"),
    [
        ("accuracy", [0.5, 0.7, 0.7, 0.6], [NAN] * 4, 1, 1),  # the first of equals
        ("label_wave", [], [NAN, 0.4, 0.2, 0.3, 0.1], 1, 2),  # the first minimum, though a later one is lower
        ("label_wave", [], [NAN, 0.4, 0.3, 0.2], 1, 3),  # it never rises
        ("label_wave", [], [NAN, 0.3, 0.2, 0.2, 0.4], 1, 2),  # the first of equals
        ("label_wave", [], [NAN, 0.2, 0.5, 0.1], 1, 1),  # it rises at once
        ("label_wave", [], [NAN, NAN, NAN], 1, 2),  # no point: the last
        ("label_wave", [], [NAN, NAN, 1.0, 1.0], 1, 2),  # the worst point is still one
        ("label_wave", [], [NAN, 0.4, 0.2, 0.3, 0.05, 0.5], 2, 4),  # averages 0.4, 0.3, 0.25, 0.175, 0.275
        ("both", [0.6, 0.7, 0.8, 0.9], [NAN, 0.3, 0.4, 0.1], 1, 1),  # 0.8 and 0.9 came after the rise
        ("both", [0.8, 0.7, 0.6, 0.9], [NAN, 0.3, 0.2, 0.4], 1, 0),
        ("both", [0.6, 0.7, 0.8], [NAN, NAN, NAN], 1, 2),
        ("both", [0.0, 0.0], [NAN, 0.1], 1, 0),
    ],
)
def test_rules_by_hand(by, accuracies, changes, window, expected):
    assert chosen_epoch(by, accuracies, changes, window) == expected


def naive(by, accuracies, changes, window):
    """By the words of the docstring, knowing all evaluations."""
    curve = [
        None if math.isnan(c) else np.mean([x for x in changes[: n + 1] if not math.isnan(x)][-window:])
        for n, c in enumerate(changes)
    ]
    points = [n for n, value in enumerate(curve) if value is not None]
    rises = [b for a, b in pairwise(points) if curve[b] > curve[a] + 1e-12]
    end = rises[0] if rises else len(changes)
    if by == "accuracy":
        return int(np.argmax(accuracies))
    if by == "both":
        return int(np.argmax(accuracies[:end]))
    before = [n for n in points if n < end]
    return min(before, key=lambda n: (round(curve[n], 12), n)) if before else len(changes) - 1


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(0, 8)), min_size=1, max_size=9),
    st.integers(0, 3),
    st.integers(1, 3),
    st.sampled_from(RULES),
)
def test_rules_are_those_of_a_naive_loop(values, without, window, by):
    accuracies = [accuracy / 5 for accuracy, _ in values]
    changes = [NAN if n < without else change / 8 for n, (_, change) in enumerate(values)]
    assert chosen_epoch(by, accuracies, changes, window) == naive(by, accuracies, changes, window)


def test_lists_that_do_not_fit_a_rule_are_refused():
    with pytest.raises(ValueError, match="by='wave': expected .* Did you mean 'label_wave'"):
        chosen_epoch("wave", [0.5], [0.5])
    with pytest.raises(ValueError, match="expected at least one evaluation"):
        chosen_epoch("accuracy", [], [0.5])
    with pytest.raises(ValueError, match="shorter|longer"):
        chosen_epoch("both", [0.5], [0.5, 0.6])


# ---- what changed --------------------------------------------------------------------------------------------------


def see(method, classes, index) -> None:
    probs = torch.eye(3)[classes] * 0.7 + 0.1
    supervise(method, predictions(probs), batch([-1] * len(index), 3, index=index))


def test_changes_are_counted_at_the_second_visit_over_rows_with_and_without_a_label():
    method = NoisyStopping()
    method.setup(context(4, 3))
    see(method, [0, 1, 2], [3, 0, 1])
    assert method.metrics() == {}  # no row was seen twice
    see(method, [1], [0])
    assert method.metrics() == {"prediction_changes": 0.0}
    see(method, [1, 0], [3, 1])
    assert method.metrics()["prediction_changes"] == pytest.approx(2 / 3)  # of three rows; the fourth was never seen
    see(method, [1, 0], [3, 1])
    assert method.metrics()["prediction_changes"] == 0


def test_several_networks_predict_together_and_nothing_that_is_taught_changes():
    method = NoisyStopping()
    method.setup(context(1, 2, networks=2))
    rows = batch([0], 2)
    supervise(method, predictions([[0.6, 0.4]], [[0.1, 0.9]]), rows)  # class 1 of the mean
    supervision = supervise(method, predictions([[0.4, 0.6]], [[0.4, 0.6]]), rows)
    assert method.metrics() == {"prediction_changes": 0.0}
    assert supervision.targets.tolist() == [[[1, 0]], [[1, 0]]]
    assert supervision.weights.tolist() == [[1], [1]]


class Naive(TrainerCallback):
    """Predictions of the training forwards, kept in lists."""

    def __init__(self) -> None:
        self.visits: dict[int, list[int]] = {}
        self.shares: list[float] = []

    def watch(self, trainer) -> None:
        forward, self.trainer = trainer.compute_loss, trainer

        def compute_loss(model, inputs, **more):
            training = model.training
            index = trainer._noise.override.called(trainer, inputs, None)[0].get("hf_noisy_row")
            loss, outputs = forward(model, inputs, **{**more, "return_outputs": True})
            if training:
                for row, found in zip(index.tolist(), outputs.logits.argmax(-1).tolist(), strict=True):
                    self.visits.setdefault(row, []).append(found)
            return (loss, outputs) if more.get("return_outputs") else loss

        trainer.compute_loss = compute_loss

    def on_evaluate(self, args, state, control, **kwargs):
        twice = [found for found in self.visits.values() if len(found) > 1]
        self.shares.append(np.mean([found[-1] != found[-2] for found in twice]) if twice else NAN)


def test_the_curve_is_that_of_a_naive_loop_over_training_forwards(tmp_path):
    rule, watch = NoisyStopping("label_wave", patience=None), Naive()
    labels = [label if n % 4 else -1 for n, label in enumerate(WRONG)]
    trainer = make_trainer(
        tmp_path,
        token_dataset(20, labels),
        model=tiny_model(dropout=0.3),
        callbacks=[rule, watch],
        num_train_epochs=4,
        learning_rate=3e-2,
        eval_strategy="steps",
        eval_steps=3,
        eval_dataset=token_dataset(6, seed=1),
    )
    watch.watch(trainer)
    trainer.train()
    assert [point.step for point in rule.history] == [3, 6, 9, 12, 15, 18, 20]
    assert np.allclose([point.changes for point in rule.history], watch.shares, equal_nan=True)
    assert math.isnan(watch.shares[0])
    assert len(set(watch.shares)) > 3


# ---- with the Trainer ----------------------------------------------------------------------------------------------


class Told(TrainerCallback):
    """Puts made-up figures in the place of what was measured, so that the rule meets a curve that is known."""

    def __init__(self, rule: NoisyStopping, accuracies, changes) -> None:
        self.accuracies, changes = list(accuracies), iter(changes)
        self.number = 0
        rule._changes = lambda: next(changes)

    def on_log(self, args, state, control, logs, **kwargs):
        if "eval_label_accuracy" in logs:
            logs["eval_label_accuracy"] = self.accuracies[self.number]
            self.number += 1


CURVES = {
    "rises in the middle": ([0.5, 0.6, 0.55, 0.9, 0.7], [NAN, 0.4, 0.2, 0.3, 0.1]),
    "never rises": ([0.5, 0.7, 0.7, 0.6, 0.6], [NAN, 0.4, 0.3, 0.2, 0.1]),
    "rises at once": ([0.9, 0.6, 0.8, 0.95, 0.7], [NAN, 0.1, 0.2, 0.05, 0.1]),
}


def told(folder, by, curve, *, patience=None, window=1, **arguments):
    rule = NoisyStopping(by, patience, window)
    rule.metrics = lambda: {}  # which would take a value of the curve
    trainer = make_trainer(
        folder,
        callbacks=[Told(rule, *CURVES[curve]), rule],
        num_train_epochs=5,
        eval_strategy="epoch",
        eval_dataset=token_dataset(6, seed=1),
        **arguments,
    )
    trainer.train()
    return trainer, rule


@pytest.mark.parametrize("curve", CURVES)
@pytest.mark.parametrize("by", RULES)
@pytest.mark.parametrize("window", [1, 2])
@pytest.mark.slow
def test_the_trainer_loads_the_checkpoint_that_the_pure_rule_picks(tmp_path, by, curve, window):
    trainer, rule = told(tmp_path, by, curve, window=window, save_strategy="epoch", load_best_model_at_end=True)
    expected = chosen_epoch(by, *CURVES[curve], window)
    assert trainer.state.best_global_step == 5 * (expected + 1)
    assert rule.chosen is rule.history[expected]
    assert (rule.chosen.step, rule.chosen.epoch) == (5 * (expected + 1), expected + 1)
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / f"checkpoint-{rule.chosen.step}")
    assert torch.equal(flat_weights(trainer.model), flat_weights(saved))
    assert trainer.state.epoch == 5
    assert trainer.args.metric_for_best_model == "eval_stopping_score"
    assert trainer.args.greater_is_better


@pytest.mark.parametrize(
    ("by", "patience", "curve", "last"),
    [
        ("accuracy", 1, "rises in the middle", 3),
        ("accuracy", 2, "rises in the middle", 5),  # epoch 4 is better again
        ("accuracy", 1, "never rises", 3),  # an equal one is no better one
        ("label_wave", 1, "rises in the middle", 4),
        ("label_wave", 2, "rises in the middle", 5),
        ("label_wave", 1, "never rises", 5),
        ("label_wave", 1, "rises at once", 3),
        ("both", 1, "rises in the middle", 5),  # when the curve rises, accuracy is at its best
        ("both", 1, "rises at once", 3),
        ("both", 1, "never rises", 5),
        ("accuracy", None, "never rises", 5),
    ],
)
def test_training_stops_after_that_many_evaluations_without_a_better_one(tmp_path, by, patience, curve, last):
    trainer, rule = told(tmp_path, by, curve, patience=patience)
    assert trainer.state.epoch == len(rule.history) == last


def test_metrics_and_log_hold_score_and_changes(tmp_path):
    trainer, _ = told(tmp_path, "label_wave", "rises in the middle")
    logged = [entry for entry in trainer.state.log_history if "eval_loss" in entry]
    assert [entry["eval_stopping_score"] for entry in logged] == pytest.approx([-1, 0.6, 0.8, -1, -1])
    assert [entry.get("eval_prediction_changes") for entry in logged] == [None, 0.4, 0.2, 0.3, 0.1]


def test_without_evaluations_label_wave_takes_a_point_an_epoch_and_stops(tmp_path):
    rule = NoisyStopping("label_wave")
    changes = iter([NAN, 0.3, 0.4, 0.1])
    rule._changes, rule.metrics = lambda: next(changes), lambda: {}
    trainer = make_trainer(tmp_path, callbacks=[rule], num_train_epochs=5)
    trainer.train()
    assert trainer.state.epoch == 3
    assert rule.chosen.epoch == 2
    assert [point.step for point in rule.history] == [5, 10, 15]


def test_training_is_the_same_with_it_and_gold_is_not_read(tmp_path):
    weights = []
    for more in ({}, {"callbacks": [NoisyStopping("both", patience=None)]}):
        trainer = make_trainer(
            tmp_path,
            model=tiny_model(dropout=0.3),
            eval_dataset=token_dataset(6, seed=1),
            eval_strategy="epoch",
            **more,
        )
        trainer.train()
        weights.append(flat_weights(trainer.model))
    assert torch.equal(*weights)


def gold_columns(rows, values):
    return rows.add_column("gold", values)


@pytest.mark.parametrize("by", RULES)
def test_no_rule_reads_gold(tmp_path, by):
    found = []
    for gold in (0, 1):
        rule = NoisyStopping(by, patience=None)
        rows = gold_columns(token_dataset(20, WRONG), [gold] * 20)
        valid = gold_columns(token_dataset(6, seed=1), [gold] * 6)
        arguments = {"eval_dataset": valid, "eval_strategy": "epoch", "gold_column": "gold"}
        make_trainer(tmp_path, rows, callbacks=[rule], num_train_epochs=3, **arguments).train()
        found.append(str((rule.history, rule.chosen)))
    assert found[0] == found[1]


@pytest.mark.parametrize(("dataset", "expected"), [(None, "a"), ("b", "b")])
def test_of_several_evaluation_sets_one_counts_and_once(tmp_path, dataset, expected):
    rule = NoisyStopping("accuracy", patience=None, dataset=dataset)
    sets = {"a": token_dataset(7, [0] * 7, seed=1), "b": token_dataset(8, seed=2)}
    trainer = make_trainer(
        tmp_path,
        callbacks=[rule],
        eval_dataset=sets,
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
    )
    trainer.train()
    logged = [e for e in trainer.state.log_history if f"eval_{expected}_label_accuracy" in e]
    assert [point.step for point in rule.history] == [5, 10]
    assert [point.accuracy for point in rule.history] == [e[f"eval_{expected}_label_accuracy"] for e in logged]
    assert trainer.state.best_metric == max(point.accuracy for point in rule.history)
    assert all("eval_stopping_score" in entry for entry in logged)
    assert sum("eval_stopping_score" in entry for entry in trainer.state.log_history) == 2


class Evaluates(TrainerCallback):
    """A user's own evaluations, in the middle of training."""

    def on_step_end(self, args, state, control, **kwargs):
        if state.global_step == 2:
            self.trainer.evaluate(self.rows, metric_key_prefix="test")
            self.trainer.predict(self.rows)


def test_other_evaluations_do_not_count(tmp_path):
    rule, own, rows = NoisyStopping("accuracy", patience=None), Evaluates(), token_dataset(6, seed=1)
    trainer = make_trainer(
        tmp_path, callbacks=[rule, own], eval_dataset=rows, eval_strategy="epoch", eval_on_start=True
    )
    own.trainer, own.rows = trainer, rows
    assert "eval_stopping_score" not in trainer.evaluate()
    trainer.train()
    assert [point.step for point in rule.history] == [5, 10]
    before = str(rule.history)
    assert "eval_stopping_score" not in trainer.evaluate()
    assert str(rule.history) == before
    trainer.train()
    assert [point.step for point in rule.history] == [5, 10]  # of the second training


def test_several_networks_soft_and_missing_labels(tmp_path):
    rule = NoisyStopping("both", patience=None)
    soft = np.random.default_rng(0).dirichlet(np.ones(3), size=12).astype(np.float32)
    soft[::3] = 0
    trainer = make_trainer(
        tmp_path,
        token_dataset(12, soft.tolist()),
        callbacks=[CoTeaching(forget_rate=0.2), rule],
        per_device_train_batch_size=1,
        eval_dataset=token_dataset(5, [0, -1, 1, -1, 2], seed=1),
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
    )
    trainer.train()
    assert len(trainer.noise.networks) == 2
    assert len(rule.history) == 2
    assert 0 <= rule.history[1].changes <= 1


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def run(folder, *, by="both", stop_at=None, resume=None, evaluate=True):
    rule = NoisyStopping(by, patience=None)
    evaluation = {"eval_strategy": "steps", "eval_steps": 2, "eval_dataset": token_dataset(6, seed=1)}
    trainer = make_trainer(
        folder,
        token_dataset(20, WRONG),
        model=tiny_model(dropout=0.3),
        num_train_epochs=4,
        learning_rate=3e-2,
        callbacks=[rule, *([StopAt(stop_at)] if stop_at else [])],
        **(evaluation if evaluate else {}),
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer, rule


@pytest.mark.slow
@pytest.mark.parametrize(("by", "evaluate"), [("both", True), ("label_wave", False)])
@pytest.mark.parametrize("stop_at", [3, 7, 10], ids=["in the first epoch", "in the second", "at its end"])
def test_a_resumed_run_has_the_history_of_the_unbroken_one(tmp_path, by, evaluate, stop_at):
    whole, rule = run(tmp_path / "whole", by=by, evaluate=evaluate)
    run(tmp_path / "broken", by=by, evaluate=evaluate, stop_at=stop_at)
    checkpoint = tmp_path / "broken" / f"checkpoint-{stop_at}"
    assert load_file(checkpoint / STATE_NAME)["1.NoisyStopping.history"].shape == (
        stop_at // 2 if evaluate else (stop_at - 1) // 5,
        4,
    )
    resumed, again = run(tmp_path / "broken", by=by, evaluate=evaluate, resume=str(checkpoint))
    assert str(rule.history) == str(again.history)
    assert len(rule.history) == (10 if evaluate else 4)
    assert rule.chosen.step == again.chosen.step
    assert torch.equal(rule.seen.state(), again.seen.state())
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    (checkpoint / STATE_NAME).unlink()
    _, forgetful = run(tmp_path / "broken", by=by, evaluate=evaluate, resume=str(checkpoint))
    assert str(rule.history) != str(forgetful.history)


@pytest.mark.slow
def test_a_resumed_run_still_loads_the_best_checkpoint_of_the_broken_one(tmp_path):
    def go(**more):
        rule = NoisyStopping("label_wave", patience=None)
        changes = [NAN, 0.2, 0.3, 0.1]
        rule._changes, rule.metrics = lambda: changes[len(rule.history)], lambda: {}
        trainer = make_trainer(
            tmp_path,
            callbacks=[rule, *([StopAt(15)] if not more else [])],
            num_train_epochs=4,
            eval_strategy="epoch",
            save_strategy="epoch",
            load_best_model_at_end=True,
            eval_dataset=token_dataset(6, seed=1),
        )
        trainer.train(**more)
        return trainer, rule

    go()
    trainer, rule = go(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))
    assert [point.step for point in rule.history] == [5, 10, 15, 20]
    assert trainer.state.best_global_step == rule.chosen.step == 10


def test_a_copy_keeps_what_was_chosen(tmp_path):
    _, rule = run(tmp_path)
    again = pickle.loads(pickle.dumps(rule))
    assert str(again.history) == str(rule.history)
    assert str(again.chosen) == str(rule.chosen)


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"by": "acuracy"}, ValueError, "by='acuracy': .* Did you mean 'accuracy'"),
        ({"patience": 0}, ValueError, "patience=0: expected a whole number of evaluations, 1 or more, or None"),
        ({"patience": 1.5}, TypeError, "patience=1.5"),
        ({"patience": True}, TypeError, "patience=True"),
        ({"window": 0}, ValueError, "window=0: expected a whole number of points"),
        ({"window": None}, TypeError, "window=None"),
    ],
)
def test_parameters_outside_their_domain_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        NoisyStopping(**arguments)


class NoStep(TrainerCallback):
    def on_step_begin(self, *args, **kwargs):
        raise AssertionError("a step was begun")


@pytest.mark.parametrize("by", ["accuracy", "both"])
def test_a_rule_that_reads_validation_labels_needs_evaluations(tmp_path, by):
    trainer = make_trainer(tmp_path, callbacks=[NoisyStopping(by), NoStep()])
    with pytest.raises(ValueError, match=f"by='{by}' with eval_strategy=\"no\": expected evaluations"):
        trainer.train()


EVALUATED = {"eval_strategy": "epoch", "save_strategy": "epoch", "load_best_model_at_end": True}


def test_another_metric_for_the_best_model_is_refused(tmp_path):
    trainer = make_trainer(
        tmp_path,
        callbacks=[NoisyStopping(), NoStep()],
        eval_dataset=token_dataset(6),
        metric_for_best_model="eval_loss",
        **EVALUATED,
    )
    with pytest.raises(ValueError, match="metric_for_best_model='eval_loss': expected none, or 'eval_stopping_score'"):
        trainer.train()


def test_a_schedule_that_follows_the_metric_is_refused(tmp_path):
    trainer = make_trainer(
        tmp_path,
        callbacks=[NoisyStopping(), NoStep()],
        eval_dataset=token_dataset(6),
        lr_scheduler_type="reduce_lr_on_plateau",
        **EVALUATED,
    )
    with pytest.raises(ValueError, match="lr_scheduler_type='reduce_lr_on_plateau': it follows"):
        trainer.train()


def test_the_metric_is_set_with_a_word_about_it_and_once(tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(module.logger, "info", said.append)
    args = SimpleNamespace(
        eval_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="loss",
        greater_is_better=False,
        lr_scheduler_type="linear",
    )
    for _ in range(2):
        NoisyStopping().on_train_begin(args, None, None)
    assert (args.metric_for_best_model, args.greater_is_better) == ("eval_stopping_score", True)
    assert said == ["NoisyStopping: metric_for_best_model is now 'eval_stopping_score', and the greatest is best."]


def test_a_metric_of_the_users_is_left_alone_where_no_best_model_is_loaded(tmp_path):
    trainer = make_trainer(
        tmp_path,
        callbacks=[NoisyStopping(patience=None)],
        eval_dataset=token_dataset(6),
        eval_strategy="epoch",
        metric_for_best_model="loss",
    )
    trainer.train()
    assert trainer.args.metric_for_best_model == "loss"


def test_validation_rows_without_a_label_are_refused_unless_the_rule_does_not_read_them(tmp_path):
    blind = {"eval_dataset": token_dataset(6, [-1] * 6), "eval_strategy": "epoch"}
    with pytest.raises(ValueError, match="by='accuracy': no row of eval_dataset has a label"):
        make_trainer(tmp_path, callbacks=[NoisyStopping("accuracy")], **blind).train()
    rule = NoisyStopping("label_wave", patience=None)
    make_trainer(tmp_path, callbacks=[rule], **blind).train()
    assert len(rule.history) == 2


def test_an_unknown_evaluation_set_is_named(tmp_path):
    sets = {"a": token_dataset(6), "b": token_dataset(6)}
    trainer = make_trainer(tmp_path, callbacks=[NoisyStopping(dataset="c")], eval_dataset=sets, eval_strategy="epoch")
    with pytest.raises(ValueError, match="dataset='c': expected a name of eval_dataset, which has: a, b"):
        trainer.train()


def test_two_rules_are_refused(tmp_path):
    with pytest.raises(ValueError, match="both are a rule of stopping"):
        make_trainer(tmp_path, callbacks=[NoisyStopping(), NoisyStopping("label_wave")])


def without_labels(rows: int):
    return token_dataset(rows, seed=1).remove_columns("labels")


@pytest.mark.parametrize(
    ("sets", "dataset", "message"),
    [
        ({"a": token_dataset(6), "b": token_dataset(6)}, "c", "dataset='c': .* eval_dataset, which has: a, b"),
        ({"a": token_dataset(6)}, "c", "dataset='c': expected a name"),
        (token_dataset(6), "c", "dataset='c': eval_dataset is no dictionary"),
        (without_labels(6), None, "by='both': no row of eval_dataset has a label"),
        (token_dataset(6, [-1] * 6), None, "by='both': no row of eval_dataset has a label"),
        ({"a": token_dataset(6), "b": without_labels(6)}, "b", r"no row of eval_dataset\['b'\] has a label"),
    ],
)
def test_evaluation_rows_that_the_rule_cannot_read_are_refused_before_the_first_step(tmp_path, sets, dataset, message):
    rule = NoisyStopping("both", dataset=dataset)
    trainer = make_trainer(tmp_path, callbacks=[rule, NoStep()], eval_dataset=sets, eval_strategy="epoch")
    with pytest.raises(ValueError, match=message):
        trainer.train()


def test_label_wave_takes_its_points_on_evaluation_rows_without_labels(tmp_path):
    rule = NoisyStopping("label_wave", patience=None)
    trainer = make_trainer(tmp_path, callbacks=[rule], eval_dataset=without_labels(6), **EVALUATED)
    trainer.train()
    assert [point.step for point in rule.history] == [5, 10]
    assert trainer.state.best_global_step == rule.chosen.step
    assert sum("eval_stopping_score" in entry for entry in trainer.state.log_history) == 2


@pytest.mark.parametrize("evaluate", [True, False])
def test_a_run_that_resumes_where_it_had_stopped_takes_no_further_step(tmp_path, evaluate):
    def go(resume=None):
        rule = NoisyStopping("label_wave")
        changes = [NAN, 0.3, 0.4, 0.1, 0.05]
        rule._changes, rule.metrics = lambda: changes[len(rule.history)], lambda: {}
        evaluation = {"eval_strategy": "epoch", "eval_dataset": token_dataset(6, seed=1)} if evaluate else {}
        trainer = make_trainer(tmp_path, callbacks=[rule], num_train_epochs=5, save_strategy="epoch", **evaluation)
        trainer.train(resume_from_checkpoint=resume)
        return trainer, rule

    whole, _ = go()
    resumed, rule = go(resume=True)
    assert whole.state.global_step == resumed.state.global_step == 15
    assert [point.step for point in rule.history] == [5, 10, 15]
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
