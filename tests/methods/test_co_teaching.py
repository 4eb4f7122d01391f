"""Whose examples each network gets, how many, and when: against batches worked by hand and naive loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import make_trainer, tiny_model, token_dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from hf_noisy import CoTeaching, CoTeachingPlus, GeneralizedCrossEntropy, JoCoR, Supervision
from hf_noisy.methods.jocor import disagreement
from hf_noisy.methods.parts.selection import fit_loss_mixture, ramp, small_loss, small_loss_by_class

FAMILY = [CoTeaching, CoTeachingPlus, JoCoR]


def of_label(*believed: float) -> list[list[float]]:
    """Two classes, the label always class 0, believed with these probabilities."""
    return [[p, 1 - p] for p in believed]


# ---- which are small -----------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.floats(0, 9, width=16), st.booleans()), min_size=1, max_size=12), st.floats(0, 0.99))
@settings(max_examples=60, deadline=None)
def test_the_smallest_losses_are_kept_rounded_down_but_never_none(rows, rate):
    losses, candidates = (torch.tensor(column) for column in zip(*rows, strict=True))
    kept = small_loss(losses.float(), candidates.bool(), rate)
    number = int(candidates.sum())
    order = sorted((row for row in range(len(rows)) if candidates[row]), key=lambda row: (float(losses[row]), row))
    expected = set(order[: max(1, int((1 - rate) * number + 1e-4))]) if number else set()
    assert {row for row in range(len(rows)) if kept[row]} == expected


def test_by_class_each_class_keeps_its_own_smallest_rounded_up():
    losses = torch.tensor([5.0, 4.0, 3.0, 2.0, 1.0, 9.0, 8.0])
    labels = torch.tensor([0, 0, 0, 0, 0, 1, 1])
    every = torch.ones(7, dtype=torch.bool)
    kept = small_loss_by_class(losses, every, torch.tensor([0.4, 0.2]), labels)
    assert kept.tolist() == [False, False, True, True, True, True, True]
    assert small_loss_by_class(losses, every, torch.tensor([0.5, 0.5]), labels).sum() == 3 + 1


def test_the_ramp_counts_epochs_and_fractions_of_them():
    assert [ramp(epoch, 2.5) for epoch in (0, 0.5, 1.25, 2.5, 4)] == [0, 0.2, 0.5, 1, 1]


def test_the_mixture_finds_the_upper_losses_and_says_where_there_are_none():
    losses = np.random.default_rng(0).normal([0.2] * 70 + [3.0] * 30, 0.2)
    mixture = fit_loss_mixture(losses)
    assert mixture.noise_rate == pytest.approx(0.3, abs=0.01)
    assert ((mixture.clean_probability > 0.5) == (np.arange(100) < 70)).all()
    assert mixture.means[0] < mixture.means[1]
    assert fit_loss_mixture(np.ones(5)) is None
    assert fit_loss_mixture(np.ones(1)) is None
    assert fit_loss_mixture(np.empty(0)) is None


# ---- whose are learned ---------------------------------------------------------------------------------------------


def test_each_network_learns_from_its_peers_picks():
    method = CoTeaching(forget_rate=0.5, ramp_epochs=0)
    method.setup(context(4, 2, networks=2))
    seen = predictions(of_label(0.9, 0.8, 0.2, 0.1), of_label(0.1, 0.9, 0.8, 0.2))
    weights = supervise(method, seen, batch([0, 0, 0, 0], 2)).weights
    assert weights.tolist() == [[0, 2, 2, 0], [2, 2, 0, 0]]  # the first network gets what the second finds easy


@pytest.mark.parametrize("rate", [0.0, 0.25, 0.5, 0.7])
def test_the_loss_is_a_mean_over_the_kept_divided_once(rate):
    method = CoTeaching(forget_rate=rate, ramp_epochs=0)
    method.setup(context(8, 2, networks=2))
    probs = torch.rand(2, 8).clamp(0.05, 0.95)
    seen = predictions(*(of_label(*row.tolist()) for row in probs))
    rows = batch([0] * 8, 2)
    weights = supervise(method, seen, rows).weights
    losses = -seen.clean_log_probs[:, 0, :, 0]
    kept = max(1, int((1 - rate) * 8))
    for network in (0, 1):
        picks = losses[1 - network].argsort()[:kept]
        assert (weights[network] * losses[network]).sum() / 8 == pytest.approx(
            float(losses[network][picks].mean()), rel=1e-5
        )


@pytest.mark.parametrize("method", FAMILY)
def test_the_rate_rises_with_epochs_not_with_steps(method):
    method = method(forget_rate=0.4, ramp_epochs=2.0)
    method.setup(context(10, 2, networks=2))
    believed = of_label(*torch.linspace(0.1, 0.9, 10).tolist())
    kept = [
        int((supervise(method, predictions(believed, believed), batch([0] * 10, 2, epoch=epoch)).weights[0] > 0).sum())
        for epoch in (0.0, 0.5, 1.0, 2.0, 9.0)
    ]
    assert kept == [10, 9, 8, 6, 6]


def test_by_default_the_ramp_is_a_twentieth_of_the_training():
    method = CoTeaching(0.2)
    method.setup(context(4, 2, networks=2, epochs=3))
    assert method.ramp_length == pytest.approx(3 * 10 / 200)


def test_rates_by_class_rank_within_the_given_class():
    method = CoTeaching(forget_rate=[0.0, 0.5], ramp_epochs=0)
    method.setup(context(4, 2, networks=2))
    probs = [[0.1, 0.9], [0.2, 0.8], [0.9, 0.1], [0.8, 0.2]]  # all labels are doubted
    weights = supervise(method, predictions(probs, probs), batch([0, 0, 1, 1], 2)).weights
    assert (weights > 0).tolist() == [[True, True, False, True]] * 2


def test_examples_without_a_label_or_dropped_before_are_neither_ranked_nor_learned():
    method = CoTeaching(forget_rate=0.5, ramp_epochs=0)
    method.setup(context(4, 2, networks=2))
    believed = of_label(0.99, 0.9, 0.5, 0.4)
    assert supervise(method, predictions(believed, believed), batch([-1, 0, 0, 0], 2)).weights[0].tolist() == [
        0,
        3,
        0,
        0,
    ]
    rows, seen = batch([0, 0, 0, 0], 2), predictions(believed, believed)
    before = Supervision(rows.given.expand(2, -1, -1), torch.tensor([0.0, 1, 1, 1]).expand(2, -1))
    assert method.supervise(before, seen, rows).weights[1].tolist() == [0, 3, 0, 0]


def test_it_ranks_by_the_criterion_and_the_targets_that_are_learned():
    method = CoTeaching(forget_rate=0.5, ramp_epochs=0)
    method.setup(context(2, 2, networks=2, criterion=GeneralizedCrossEntropy()))
    believed = of_label(0.9, 0.2)
    rows, seen = batch([0, 0], 2), predictions(believed, believed)
    corrected = Supervision(torch.tensor([[0.0, 1.0], [0.0, 1.0]]).expand(2, -1, -1), torch.ones(2, 2))
    assert method.supervise(corrected, seen, rows).weights[0].tolist() == [0, 2]
    assert method.losses.values[0] == pytest.approx((1 - 0.1**0.7) / 0.7, rel=1e-5)


def test_co_teaching_plus_keeps_to_disagreements_after_its_warm_up():
    method = CoTeachingPlus(forget_rate=0.5, ramp_epochs=0, warmup=0.3)
    method.setup(context(4, 2, networks=2, epochs=10))
    seen = predictions(of_label(0.9, 0.8, 0.6, 0.4), of_label(0.95, 0.3, 0.2, 0.1))  # rows 1 and 2 are in dispute
    early = supervise(method, seen, batch([0] * 4, 2, epoch=2.9)).weights
    late = supervise(method, seen, batch([0] * 4, 2, epoch=3.0)).weights
    assert early.tolist() == [[2, 2, 0, 0], [2, 2, 0, 0]]
    assert late.tolist() == [[0, 4, 0, 0], [0, 4, 0, 0]]


def test_the_first_row_of_a_batch_can_be_the_one_in_dispute():
    method = CoTeachingPlus(forget_rate=0.0, ramp_epochs=0, warmup=0.0)
    method.setup(context(3, 2, networks=2))
    seen = predictions(of_label(0.9, 0.9, 0.9), of_label(0.1, 0.9, 0.9))
    assert supervise(method, seen, batch([0] * 3, 2)).weights.tolist() == [[3, 0, 0], [3, 0, 0]]


def test_without_a_dispute_co_teaching_plus_is_co_teaching():
    believed = of_label(0.9, 0.8, 0.7, 0.6)
    found = []
    for method in (CoTeachingPlus(0.5, 0, warmup=0.0), CoTeaching(0.5, 0)):
        method.setup(context(4, 2, networks=2))
        found.append(supervise(method, predictions(believed, believed), batch([0] * 4, 2)).weights.tolist())
    assert found[0] == found[1]


def test_jocor_picks_by_the_joint_loss_and_learns_it():
    method = JoCoR(forget_rate=0.5, ramp_epochs=0, co_lambda=0.6)
    method.setup(context(4, 2, networks=2))
    first, second = of_label(0.9, 0.8, 0.7, 0.3), of_label(0.1, 0.8, 0.6, 0.3)
    seen, rows = predictions(first, second), batch([0] * 4, 2)
    joint = []
    for (p, _), (q, _) in zip(first, second, strict=True):
        one, other = np.array([p, 1 - p]), np.array([q, 1 - q])
        kl = (one * np.log(one / other)).sum() + (other * np.log(other / one)).sum()
        joint.append(0.4 * -(np.log(p) + np.log(q)) + 0.6 * kl)
    picks = np.argsort(joint)[:2]
    assert set(picks) == {1, 2}
    supervision = supervise(method, seen, rows)
    assert ((supervision.weights > 0) == torch.tensor([False, True, True, False])).all()
    losses = -seen.clean_log_probs[:, 0, :, 0]
    total = (losses * supervision.weights).sum() + method.penalty(seen, supervision, rows).sum()
    assert float(total) / 4 == pytest.approx(np.mean([joint[row] for row in picks]), rel=1e-5)


def test_agreement_has_a_gradient():
    logits = torch.randn(2, 1, 3, 4, requires_grad=True)
    from hf_noisy import Predictions

    disagreement(Predictions(logits.log_softmax(-1))).sum().backward()
    assert float(logits.grad.norm()) > 0


# ---- in training ---------------------------------------------------------------------------------------------------


def wrong_labels(rows: int, rate: float, seed: int = 0) -> tuple[list[int], list[int]]:
    gold = np.array(token_dataset(rows)["labels"][:])
    draw = np.random.default_rng(seed)
    wrong = draw.random(rows) < rate
    return np.where(wrong, (gold + draw.integers(1, 3, rows)) % 3, gold).tolist(), gold.tolist()


def test_auto_estimates_the_share_of_wrong_labels_from_the_second_epoch_on(tmp_path):
    labels, gold = wrong_labels(300, 0.4)
    dataset = token_dataset(300, labels).add_column("gold", gold)
    trainer = make_trainer(
        tmp_path, dataset, model=tiny_model(), noise_method="co_teaching", gold_column="gold",
        num_train_epochs=4, per_device_train_batch_size=32, logging_strategy="epoch", learning_rate=2e-2,
    )  # fmt: skip
    trainer.train()
    logs = [log for log in trainer.state.log_history if "forget_rate" in log]
    assert logs[0]["forget_rate"] == 0
    assert "estimated_noise_rate" not in logs[0]
    assert 0.15 < logs[-1]["estimated_noise_rate"] < 0.65
    assert logs[-1]["mixture_mean_clean"] < logs[-1]["mixture_mean_noisy"]
    assert logs[-1]["kept_share"] < logs[0]["kept_share"] == 1
    assert logs[-1]["selection_precision"] > 0.7 > logs[0]["selection_precision"]
    assert 0 < logs[-1]["peer_agreement"] <= 1


@pytest.mark.parametrize("estimator", ["anchor_points", "dual_t"])
def test_an_estimators_matrix_may_say_how_many_to_drop(tmp_path, estimator):
    labels, gold = wrong_labels(300, 0.4)
    dataset = token_dataset(300, labels).add_column("gold", gold)
    trainer = make_trainer(
        tmp_path, dataset, noise_method="co_teaching", noise_kwargs={"forget_rate": estimator}, gold_column="gold",
        num_train_epochs=4, per_device_train_batch_size=32, logging_strategy="epoch", learning_rate=2e-2,
    )  # fmt: skip
    trainer.train()
    logs = [log for log in trainer.state.log_history if "forget_rate" in log]
    assert logs[0]["forget_rate"] == 0
    assert "estimated_noise_rate" not in logs[0]
    assert 0.2 < logs[-1]["estimated_noise_rate"] < 0.6
    assert "mixture_mean_clean" not in logs[-1]
    assert logs[-1]["selection_precision"] > 0.7 > logs[0]["selection_precision"]


def test_a_row_that_a_distributed_sampler_repeats_is_no_candidate(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, rows=4, noise_method="co_teaching")
    trainer.train()
    asked = []
    select = CoTeaching.select
    monkeypatch.setattr(
        CoTeaching, "select", lambda self, losses, rows, *rest: asked.append(rows) or select(self, losses, rows, *rest)
    )
    rows = {
        name: torch.tensor(trainer.train_dataset[name])
        for name in ("input_ids", "attention_mask", "labels", "hf_noisy_row")
    }
    trainer.model.train()
    trainer.compute_loss(trainer.model, {**rows, "hf_noisy_real": torch.tensor([True, True, True, False])})
    assert asked[0].tolist() == [True, True, True, False]


def test_the_report_says_who_picked_an_example_and_when(tmp_path):
    labels, _ = wrong_labels(40, 0.3)
    trainer = make_trainer(
        tmp_path, token_dataset(40, labels), noise_method="co_teaching", noise_kwargs={"forget_rate": 0.5},
        per_device_train_batch_size=8, num_train_epochs=3,
    )  # fmt: skip
    trainer.train()
    report = trainer.example_report()
    picked, weight = np.array(report["picked_epoch"][:]), np.array(report["weight"][:])
    assert picked.shape == weight.shape == (40, 2)
    assert ((picked == 2) == (weight > 0)).all()
    assert (weight[weight > 0] == 2).all()
    assert (weight > 0).sum(0).tolist() == [20, 20]
    assert picked.max() == 2


# ---- bad input -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", FAMILY)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"forget_rate": 40}, r"forget_rate=40: expected a number in \[0, 1\). Did you mean 0.4"),
        ({"forget_rate": 1.0}, r"forget_rate=1.0: expected a number in \[0, 1\)"),
        ({"forget_rate": -0.1}, r"forget_rate=-0.1"),
        ({"forget_rate": "atuo"}, "forget_rate='atuo'"),
        ({"forget_rate": [0.1, 20]}, r"forget_rate\[1\]=20.*Did you mean 0.2"),
        ({"ramp_epochs": -1}, "ramp_epochs=-1"),
    ],
)
def test_a_rate_outside_its_domain_is_refused_when_the_object_is_built(method, arguments, message):
    with pytest.raises(ValueError, match=message):
        method(**arguments)


def test_rates_for_another_number_of_classes_are_refused_before_the_first_step(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="co_teaching", noise_kwargs={"forget_rate": [0.1, 0.2]})
    with pytest.raises(ValueError, match="expected 3 rates, one for each class"):
        trainer.train()
    assert trainer.state.global_step == 0


def test_two_methods_that_choose_examples_do_not_go_together(tmp_path):
    with pytest.raises(ValueError, match="CoTeaching and JoCoR: both are a choice of small losses"):
        make_trainer(tmp_path, noise_method="co_teaching+jocor")
    with pytest.raises(ValueError, match="both are a choice of small losses"):
        make_trainer(tmp_path, noise_method="co_teaching", callbacks=[JoCoR()])


def test_a_gold_column_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="gold_column='golf': train_dataset has no such column"):
        make_trainer(tmp_path, gold_column="golf")


def test_gold_labels_change_nothing_but_what_is_logged(tmp_path):
    from conftest import flat_weights

    labels, gold = wrong_labels(40, 0.3)
    found = []
    for column in (gold, [0] * 40):
        trainer = make_trainer(
            tmp_path,
            token_dataset(40, labels).add_column("gold", column),
            noise_method="co_teaching",
            gold_column="gold",
        )
        trainer.train()
        found.append(trainer)
    assert torch.equal(flat_weights(found[0].model), flat_weights(found[1].model))
    logs = [trainer.state.log_history[-2]["selection_precision"] for trainer in found]
    assert logs[0] != logs[1]
