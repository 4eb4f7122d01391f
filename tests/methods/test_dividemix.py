"""DivideMix and SelfMix: splits, targets and losses worked by hand, and splits that go wrong."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import make_trainer, token_dataset

from hf_noisy import DivideMix, Predictions, SelfMix, Survey
from hf_noisy.methods.parts import loss_split
from hf_noisy.methods.parts.loss_split import sharpen

BOTH = pytest.mark.parametrize("method", [DivideMix, SelfMix])


def survey(*networks, labels, classes: int = 2) -> Survey:
    """Two classes; the probability of class 0 of each row, by each network."""
    log_probs = torch.tensor([[[p, 1 - p] for p in network] for network in networks]).log()
    return Survey(log_probs, batch(labels, classes).given)


def ready(method, rows: int, *, networks: int, keeps, clean) -> None:
    method.setup(context(rows, 2, networks=networks, labels=[0] * rows))
    method.keeps_label.values.copy_(torch.tensor(keeps).T)
    method.clean_probability.values.copy_(torch.tensor(clean).T)


# ---- the split -----------------------------------------------------------------------------------------------------


@BOTH
def test_examples_with_large_losses_lose_their_label_after_the_warm_up(method):
    method = method(warmup_epochs=2)
    networks = method.num_networks
    method.setup(context(6, 2, networks=networks, labels=[0, 0, 0, 0, 0, -100]))
    seen = survey(*[[0.9, 0.88, 0.92, 0.1, 0.05, 0.5]] * networks, labels=[0, 0, 0, 0, 0, -1])
    method.begin_epoch(1, lambda: seen)
    assert method.keeps_label.values.all()
    method.begin_epoch(2, lambda: seen)
    assert method.keeps_label.values[:, 0].tolist() == [True, True, True, False, False, False]
    assert method.clean_probability.values[5].tolist() == [0.0] * networks  # no label, so none to keep
    assert float(method.metrics()["labelled_share"]) == pytest.approx(0.6)
    assert float(method.metrics()["estimated_noise_rate"]) == pytest.approx(0.4)


def test_each_network_is_taught_by_the_others_split():
    method = DivideMix()
    method.setup(context(4, 2, networks=2, labels=[0] * 4))
    method.begin_epoch(1, lambda: survey([0.9, 0.9, 0.1, 0.1], [0.1, 0.1, 0.9, 0.9], labels=[0] * 4))
    labeled, clean = method.of_peers(batch([0] * 4, 2))
    assert labeled.tolist() == [[False, False, True, True], [True, True, False, False]]
    assert (clean > 0.5).tolist() == labeled.tolist()


@BOTH
def test_a_split_that_cannot_be_made_keeps_all_labels_with_one_warning_and_a_count(method, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(loss_split.logger, "warning", said.append)
    method = method(warmup_epochs=1)
    networks = method.num_networks
    method.setup(context(3, 2, networks=networks, labels=[0] * 3))
    for epoch in (1, 2):
        method.begin_epoch(epoch, lambda: survey(*[[0.7, 0.7, 0.7]] * networks, labels=[0] * 3))
    assert method.keeps_label.values.all()
    assert len(said) == 1
    assert "cannot be split; all labels are kept" in said[0]
    assert float(method.metrics()["split_fallbacks"]) == 2 * networks


def test_a_threshold_that_none_passes_keeps_all_labels(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(loss_split.logger, "warning", said.append)
    mixture = loss_split.fit_loss_mixture(np.array([0.1, 0.2, 0.3, 0.4]))
    unsure = dataclasses.replace(mixture, clean_probability=np.full(4, 0.45))
    monkeypatch.setattr(loss_split, "fit_loss_mixture", lambda losses, seed: unsure)
    method = SelfMix(warmup_epochs=1)
    method.setup(context(4, 2, labels=[0] * 4))
    method.begin_epoch(1, lambda: survey([0.7, 0.65, 0.5, 0.45], labels=[0] * 4))
    assert method.keeps_label.values.all()
    assert "no example would keep its label" in said[0]


def test_a_class_without_a_clean_example_is_counted_and_training_goes_on(monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(loss_split.logger, "warning", said.append)
    method = SelfMix(warmup_epochs=1)
    method.setup(context(6, 2, labels=[0, 0, 0, 0, 1, 1]))
    method.begin_epoch(1, lambda: survey([0.9, 0.92, 0.91, 0.9, 0.95, 0.97], labels=[0, 0, 0, 0, 1, 1]))
    assert method.keeps_label.values[:, 0].tolist() == [True] * 4 + [False] * 2
    assert "no example of class 1 keeps its label" in said[0]
    assert float(method.metrics()["split_fallbacks"]) == 1


@BOTH
def test_a_training_that_ends_before_the_first_split_says_so(method, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr(loss_split.logger, "warning", said.append)
    method = method(warmup_epochs=3)
    method.setup(context(3, 2, networks=method.num_networks, epochs=3))
    assert "never split" in said[0]


# ---- one batch -----------------------------------------------------------------------------------------------------


def sharp(probs, temperature=0.5):
    powered = np.asarray(probs) ** (1 / temperature)
    return powered / powered.sum(-1, keepdims=True)


def test_sharpening_is_the_power_of_one_over_t():
    probs = np.random.default_rng(0).dirichlet(np.ones(4), size=5).astype(np.float32)
    assert np.allclose(sharpen(torch.from_numpy(probs), 0.5).numpy(), sharp(probs), atol=1e-5)
    assert sharpen(torch.tensor([1.0, 0.0]), 0.5).tolist() == [1, 0]


def test_labeled_targets_are_refined_by_the_networks_own_prediction_and_unlabeled_ones_guessed_by_both():
    method = DivideMix(warmup_epochs=1)
    ready(
        method,
        3,
        networks=2,
        keeps=[[True, False, False], [True, True, False]],
        clean=[[0.9, 0.2, 0.1], [0.8, 0.6, 0.3]],
    )
    first, second = [[0.6, 0.4], [0.3, 0.7], [0.2, 0.8]], [[0.9, 0.1], [0.5, 0.5], [0.4, 0.6]]
    supervision = supervise(method, predictions(first, second), batch([0, 1, 0], 2))
    one, other, y = np.array(first), np.array(second), np.eye(2)[[0, 1, 0]]
    guess = (one + other) / 2
    expected = [
        [sharp(0.8 * y[0] + 0.2 * one[0]), sharp(0.6 * y[1] + 0.4 * one[1]), sharp(guess[2])],  # by the second's split
        [sharp(0.9 * y[0] + 0.1 * other[0]), sharp(guess[1]), sharp(guess[2])],
    ]
    assert np.allclose(supervision.targets.numpy(), expected, atol=1e-5)
    assert np.allclose(supervision.weights.numpy(), [[1.5, 1.5, 0], [3, 0, 0]])  # a mean over the labeled
    assert supervision.mix.where == "embeddings"


def test_predictions_for_targets_are_the_mean_of_their_views():
    method = DivideMix(warmup_epochs=1)
    ready(method, 1, networks=2, keeps=[[False], [False]], clean=[[0.1], [0.1]])
    views = torch.tensor([[[[0.9, 0.1]], [[0.5, 0.5]]], [[[0.7, 0.3]], [[0.3, 0.7]]]])  # (networks, views, 1, classes)
    supervision = supervise(method, Predictions(views.log()), batch([1], 2))
    assert np.allclose(supervision.targets.numpy(), sharp([[[0.6, 0.4]]] * 2), atol=1e-5)


def test_unlabeled_examples_learn_by_squared_error_and_the_mean_is_held_to_the_prior():
    method = DivideMix(warmup_epochs=1, lambda_u=10.0)
    ready(method, 4, networks=2, keeps=[[True, False, False, True]] * 2, clean=[[1.0, 0.0, 0.0, 1.0]] * 2)
    seen = predictions(*[[[0.6, 0.4], [0.3, 0.7], [0.2, 0.8], [0.9, 0.1]]] * 2)
    rows = batch([0, 0, 0, 0], 2, epoch=9.0)
    supervision = supervise(method, seen, rows).mixed()
    probs = seen.clean_log_probs[0, 0].exp().numpy()
    errors = ((probs - supervision.targets[0].numpy()) ** 2).mean(-1)
    mean = probs.mean(0)
    prior = (0.5 * np.log(0.5 / mean)).sum()
    expected = 2 * (10 * errors[[1, 2]].mean() + prior)
    assert float(method.penalty(seen, supervision, rows).sum()) / 4 == pytest.approx(expected, rel=1e-4)
    early = batch([0, 0, 0, 0], 2, epoch=1.0)
    assert float(method.penalty(seen, supervision, early).sum()) / 4 == pytest.approx(2 * prior, abs=1e-5)  # the ramp


def test_selfmix_keeps_small_losses_labels_and_guesses_the_others_from_two_views():
    method = SelfMix(warmup_epochs=1)
    ready(method, 2, networks=1, keeps=[[True, False]], clean=[[0.9, 0.1]])
    views = torch.tensor([[[[0.6, 0.4], [0.2, 0.8]], [[0.6, 0.4], [0.4, 0.6]]]])
    supervision = supervise(method, Predictions(views.log()), batch([1, 0], 2))
    assert np.allclose(supervision.targets.numpy(), [[[0, 1], sharp([0.3, 0.7])]], atol=1e-5)
    assert supervision.weights.tolist() == [[1, 1]]
    assert supervision.mix.where == "vectors"


def test_selfmix_raises_the_likeliest_class_and_draws_the_views_together_on_unlabeled_examples_alone():
    method = SelfMix(warmup_epochs=1, lambda_p=0.2, lambda_r=0.3)
    ready(method, 2, networks=1, keeps=[[True, False]], clean=[[0.9, 0.1]])
    first, second = np.array([0.2, 0.8]), np.array([0.4, 0.6])
    views = torch.tensor([[[[0.6, 0.4], first.tolist()], [[0.6, 0.4], second.tolist()]]], dtype=torch.float32)
    unmixed = Predictions(views.log().requires_grad_())
    rows = batch([1, 0], 2)
    supervision = supervise(method, Predictions(views.log()), rows)
    penalty = method.penalty(unmixed.mixed(supervision.mix), supervision, rows).detach()
    apart = 0.5 * ((first * np.log(first / second)).sum() + (second * np.log(second / first)).sum())
    doubt = -0.5 * (math.log(0.8) + math.log(0.6))
    assert penalty[0] == 0
    assert float(penalty[1]) == pytest.approx(2 * (0.2 * doubt + 0.3 * apart), rel=1e-4)
    logits = torch.tensor([[[[0.1, -0.1, 0.0]] * 1, [[0.1, -0.1, 0.0]]]], requires_grad=True)
    alone = SelfMix(warmup_epochs=1, lambda_p=1.0, lambda_r=0.0)
    ready(alone, 1, networks=1, keeps=[[False]], clean=[[0.0]])
    seen = Predictions(logits.log_softmax(-1))
    one = batch([0], 3)
    alone.penalty(Predictions(seen.clean_log_probs, unmixed=seen), supervise(alone, seen, one), one).sum().backward()
    assert logits.grad[0, 0, 0].argmin() == 0  # descent raises the likeliest, and no other
    assert (logits.grad[0, 0, 0, 1:] > 0).all()


# ---- in training ---------------------------------------------------------------------------------------------------


def test_guesses_are_made_without_dropout_on_two_views_and_one_is_trained(tmp_path):
    modes: list[tuple[bool, int]] = []

    class Watch(DivideMix):
        def views(self, inputs, batch):
            found = super().views(inputs, batch)
            modes.append((batch.peeking, len(found)))
            return found

    trainer = make_trainer(tmp_path, callbacks=[Watch()], num_train_epochs=2)
    forwards: list[bool] = []
    trainer.noise.networks[0].register_forward_hook(lambda module, *_: forwards.append(module.training))
    trainer.train()
    assert modes == [(False, 1)] * 5 + [(True, 2), (False, 1)] * 5
    assert forwards[:5] == [True] * 5
    assert forwards[-10:] == [False, True] * 5


@pytest.mark.parametrize("settings", [{}, {"trained_views": 2}, {"hidden_share": 0.0}])
def test_dividemix_trains_with_criteria_and_options(tmp_path, settings):
    trainer = make_trainer(
        tmp_path, rows=24, noise_method="dividemix+gce", noise_kwargs=settings, num_train_epochs=3,
        per_device_train_batch_size=8,
    )  # fmt: skip
    assert np.isfinite(trainer.train().training_loss)
    report = trainer.example_report()
    assert np.array(report["clean_probability"][:]).shape == (24, 2)


def test_selfmix_reports_a_clean_probability_for_each_example(tmp_path):
    trainer = make_trainer(tmp_path, rows=24, noise_method="selfmix", num_train_epochs=4)
    trainer.train()
    assert np.array(trainer.example_report()["clean_probability"][:]).shape == (24,)
    assert "labelled_share" in trainer.state.log_history[-2]


def test_two_methods_that_split_do_not_go_together(tmp_path):
    with pytest.raises(ValueError, match="both are a split of the examples by their losses"):
        make_trainer(tmp_path, noise_method="dividemix+selfmix")


def test_a_method_that_mixes_words_without_a_peek_is_told_so(tmp_path):
    class Late(DivideMix):
        def peek(self, batch):
            return False

    trainer = make_trainer(tmp_path, callbacks=[Late()], num_train_epochs=2)
    with pytest.raises(ValueError, match="expected `peek`"):
        trainer.train()


@pytest.mark.parametrize(
    ("method", "arguments", "message"),
    [
        (DivideMix, {"clean_threshold": 50}, "Did you mean 0.5"),
        (DivideMix, {"warmup_epochs": 0}, "warmup_epochs=0: expected a whole number"),
        (DivideMix, {"lambda_u": -1}, "lambda_u=-1"),
        (DivideMix, {"trained_views": 3}, "trained_views=3: expected 1 or 2"),
        (DivideMix, {"temperature": 0}, "temperature=0"),
        (SelfMix, {"alpha": -0.5}, "alpha=-0.5"),
        (SelfMix, {"lambda_r": -1}, "lambda_r=-1"),
    ],
)
def test_parameters_outside_their_domain_are_refused(method, arguments, message):
    with pytest.raises(ValueError, match=message):
        method(**arguments)


def test_rows_without_any_label_but_one_train(tmp_path):
    trainer = make_trainer(tmp_path, token_dataset(12, [-1] * 11 + [1]), noise_method="dividemix", num_train_epochs=3)
    assert np.isfinite(trainer.train().training_loss)
