"""The maths of transition matrices, worked by hand, and what training does with them."""

from __future__ import annotations

import importlib.util
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import Gradients, flat_weights, make_trainer, tiny_model, token_dataset
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, TrainerCallback

from hf_noisy import (
    BackwardCorrection,
    CrossEntropy,
    GeneralizedCrossEntropy,
    GoldLossCorrection,
    NoisyTrainer,
    Predictions,
    Supervision,
    UniformNoise,
)
from hf_noisy.evidence.matrices.in_training import estimated_matrix, estimated_rate
from hf_noisy.methods.gold_loss_correction import trusted_confusions
from hf_noisy.methods.noise_adaptation import NoiseAdaptation, confusion, uniform_noise_matrix
from hf_noisy.models.channels import ComplexChannel, FixedChannel, SimpleChannel, last_layer, sentence_vectors
from hf_noisy.models.context import CleanRows
from hf_noisy.models.networks import CHANNEL_NAME, Networks
from hf_noisy.trainer.sampling import CleanFirst

T = [[0.8, 0.1, 0.1], [0.0, 0.7, 0.3], [0.2, 0.0, 0.8]]


def channel(kind, matrix=T, **arguments):
    made = kind(len(matrix), **arguments)
    made.set_matrix(torch.tensor(matrix))
    made.active = True
    return made


# --- p T ---


@pytest.mark.parametrize("kind", [FixedChannel, SimpleChannel])
def test_what_comes_out_is_the_product_of_prediction_and_matrix(kind):
    probs = torch.tensor([[0.5, 0.25, 0.25], [0.0, 1.0, 0.0]])
    noisy, matrix = channel(kind)(probs.log(), None)
    # row 0: .5 (.8 .1 .1) + .25 (0 .7 .3) + .25 (.2 0 .8)
    torch.testing.assert_close(noisy.exp(), torch.tensor([[0.45, 0.225, 0.325], [0.0, 0.7, 0.3]]))
    torch.testing.assert_close(matrix, torch.tensor(T))


def test_before_it_is_active_a_channel_does_nothing():
    made, logits = SimpleChannel(3), torch.randn(4, 3, requires_grad=True)
    noisy, matrix = made(logits, None)
    torch.testing.assert_close(noisy, logits.log_softmax(-1))
    assert torch.equal(matrix, torch.eye(3))
    noisy.sum().backward()
    assert made.bias.grad is None


def test_a_label_that_no_class_is_given_costs_much_and_has_a_finite_gradient():
    logits = torch.zeros(1, 2, requires_grad=True)
    noisy, _ = channel(FixedChannel, [[1.0, 0.0], [1.0, 0.0]])(logits, None)
    assert 80 < -noisy[0, 1] < 100
    noisy[0, 1].backward()
    assert torch.isfinite(logits.grad).all()


def test_the_complex_layer_is_the_simple_one_until_it_adapts_and_then_depends_on_the_sentence():
    complicated, simple = channel(ComplexChannel, width=2), channel(SimpleChannel)
    logits, vectors = torch.randn(2, 3), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    for adapts in (False, True):
        complicated.adapts = adapts
        torch.testing.assert_close(complicated(logits, vectors)[0], simple(logits, None)[0])
    with torch.no_grad():
        complicated.weight[0, 1, 0] = math.log(8)  # class 0 is labelled 1 eight times as often where the first is on
    noisy, _ = complicated(torch.tensor([[50.0, 0.0, 0.0]] * 2), vectors)
    torch.testing.assert_close(
        noisy.exp(), torch.tensor([[0.8, 0.8, 0.1], [0.8, 0.1, 0.1]]) / torch.tensor([[1.7], [1]])
    )


def test_rows_stay_distributions_while_a_layer_is_learned():
    made = channel(SimpleChannel)
    optimizer = torch.optim.SGD(made.parameters(), lr=10.0)
    for _ in range(3):
        made(torch.randn(8, 3), None)[0][:, 1].sum().backward()
        optimizer.step()
    torch.testing.assert_close(made.mean_matrix().sum(-1), torch.ones(3))
    assert not torch.allclose(made.mean_matrix(), torch.tensor(T), atol=0.05)


# --- the sentence vector ---


def test_the_sentence_vector_is_what_the_last_layer_reads():
    model = tiny_model().eval()
    inputs = {"input_ids": torch.tensor([[1, 2, 3, 4]]), "attention_mask": torch.tensor([[1, 1, 1, 0]])}
    with sentence_vectors(model, inputs["attention_mask"]) as found:
        logits = model(**inputs).logits
    torch.testing.assert_close(last_layer(model)(found[0]), logits)


def test_of_a_decoder_it_is_that_of_the_last_real_token():
    from transformers import GPT2Config, GPT2ForSequenceClassification

    config = GPT2Config(vocab_size=40, n_positions=16, n_embd=16, n_layer=1, n_head=2, num_labels=3, pad_token_id=0)
    model = GPT2ForSequenceClassification(config).eval()
    inputs = {"input_ids": torch.tensor([[5, 6, 7, 0], [5, 6, 7, 8]])}
    inputs["attention_mask"] = (inputs["input_ids"] > 0).long()
    with sentence_vectors(model, inputs["attention_mask"]) as found:
        logits = model(**inputs).logits
    torch.testing.assert_close(model.score(found[0]), logits)


def test_a_model_without_a_linear_head_is_refused():
    model = tiny_model()
    model.classifier = torch.nn.Identity()
    with pytest.raises(ValueError, match=r"no linear layer of its head gives 3 logits.*such as noise_adaptation"):
        last_layer(model)


# --- where matrices come from ---


def test_confusion_counts_labels_by_the_predicted_class():
    probs = torch.tensor([[0.9, 0.1, 0], [0.6, 0.4, 0], [0.2, 0.8, 0], [0.7, 0.3, 0]])
    given = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 1, 0], [0, 0, 0]])  # the last abstains
    expected = [[0.5, 0.5, 0], [0, 1, 0], [0, 0, 1]]  # class 2 is never predicted
    assert confusion(probs.log(), given).tolist() == expected


def test_anchor_points_and_dual_t_by_hand():
    probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]], dtype=torch.float64)
    given = torch.tensor([[1.0, 0], [0, 1], [0, 1]])
    np.testing.assert_allclose(estimated_matrix("anchor_points", probs, given), [[0.9, 0.1], [0.3, 0.7]])
    # predicted 0, 0, 1; labels 0, 1, 1: C = (.5 .5; 0 1)
    np.testing.assert_allclose(estimated_matrix("dual_t", probs, given), [[0.45, 0.55], [0.15, 0.85]])


def test_the_rate_that_a_matrix_implies_by_hand():
    """Anchors (.8 .2; .4 .6) and labels 3 to 1: classes 7 to 1, so (7 x .2 + .4) / 8 are wrong."""
    probs = torch.tensor([[0.8, 0.2], [0.4, 0.6]] * 2)
    given = torch.tensor([[1.0, 0], [1, 0], [1, 0], [0, 1]])
    assert estimated_rate("anchor_points", probs, given) == pytest.approx((7 * 0.2 + 0.4) / 8, abs=1e-4)


@pytest.mark.parametrize(("source", "expected"), [("model", [[0.7, 0.3], [0.2, 0.8]]), ("given", [[0.5, 0.5], [0, 1]])])
def test_gold_loss_correction_reads_the_matrix_off_trusted_rows(source, expected):
    labels = torch.tensor([[1.0, 0], [1, 0], [0, 1]])
    given = torch.tensor([[1.0, 0], [0, 1], [0, 1]])
    said = torch.tensor([[[0.8, 0.2], [0.6, 0.4], [0.2, 0.8]]]).log()
    found = trusted_confusions(CleanRows(labels, given, lambda: said), source)
    torch.testing.assert_close(found[0], torch.tensor(expected))


# --- the backward loss ---


def test_the_backward_loss_is_unbiased():
    """In expectation over the given label of an example of class k it is the loss of k, whatever is predicted."""
    method = backward(T, nonnegative=False)
    seen = predictions([[0.5, 0.3, 0.2]] * 3)
    losses = supervise(method, seen, batch([0, 1, 2], 3)).losses(CrossEntropy(), seen)[0]  # one a given label
    clean = -torch.tensor([0.5, 0.3, 0.2]).log()
    torch.testing.assert_close(torch.tensor(T) @ losses, clean)


def test_the_backward_loss_of_two_classes_by_hand_can_be_negative():
    method = backward([[0.8, 0.2], [0.4, 0.6]], nonnegative=False)
    seen = predictions([[0.9, 0.1]])
    told = supervise(method, seen, batch([0], 2))
    torch.testing.assert_close(told.targets[0], torch.tensor([[1.5, -0.5]]))
    loss = told.losses(CrossEntropy(), seen).item()
    assert loss == pytest.approx(-1.5 * math.log(0.9) + 0.5 * math.log(0.1))
    assert loss < 0


def test_a_part_of_the_loss_that_is_negative_over_the_batch_is_left_out():
    method = backward([[0.8, 0.2], [0.4, 0.6]])
    seen = predictions([[0.9, 0.1], [0.9, 0.1]])
    told = supervise(method, seen, batch([0, 0], 2))
    torch.testing.assert_close(told.targets[0], torch.tensor([[1.5, 0.0]] * 2))
    balanced = supervise(method, predictions([[0.9, 0.1]] * 2), batch([0, 1], 2))  # class 1: -.5 + 2 times its loss
    torch.testing.assert_close(balanced.targets[0], torch.tensor([[1.5, -0.5], [-1.0, 2.0]]))


def backward(matrix, **arguments) -> BackwardCorrection:
    method = BackwardCorrection(matrix, **arguments)
    method.setup(context(3, len(matrix)))
    method.begin_epoch(0, lambda: None)
    return method


# --- targets that speak of the true class ---


def test_trusted_targets_skip_the_channel_and_the_inversion():
    clean = torch.tensor([[[[0.9, 0.1], [0.9, 0.1]]]]).log()
    seen = Predictions(clean, channelled=torch.tensor([[[[0.6, 0.4], [0.6, 0.4]]]]).log())
    given = Supervision(torch.tensor([[[1.0, 0], [1, 0]]]), torch.ones(1, 2)).trusting(torch.tensor([True, False]))
    torch.testing.assert_close(given.losses(CrossEntropy(), seen), -torch.tensor([[0.9, 0.6]]).log())
    told = backward([[0.8, 0.2], [0.4, 0.6]], nonnegative=False).supervise(given, seen, batch([0, 0], 2))
    torch.testing.assert_close(told.targets, torch.tensor([[[1.0, 0.0], [1.5, -0.5]]]))


# --- in training ---


@pytest.mark.parametrize("noise_rate", [0.0, 0.3])
def test_uniform_noise_costs_what_the_formula_says(tmp_path, noise_rate):
    """The gradient of -log(e / K + (1 - e) p_y), taken by hand."""
    rows = token_dataset(6)
    settings = {"num_train_epochs": 1, "per_device_train_batch_size": 6, "max_grad_norm": 0.0, "learning_rate": 0.0}
    watch = Gradients()
    make_trainer(tmp_path, rows, callbacks=[UniformNoise(noise_rate), watch], **settings).train()
    model = tiny_model()
    model.train()
    logits = model(
        input_ids=torch.tensor(rows["input_ids"]), attention_mask=torch.tensor(rows["attention_mask"])
    ).logits
    chosen = logits.softmax(-1)[torch.arange(6), torch.tensor(rows["labels"])]
    (-(noise_rate / 3 + (1 - noise_rate) * chosen).log()).mean().backward()
    expected = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    torch.testing.assert_close(watch.steps[0], expected, atol=1e-6, rtol=1e-4)


def test_a_criterion_and_a_channel_go_together(tmp_path):
    seen = Predictions(torch.tensor([[[[0.9, 0.1]]]]).log(), channelled=torch.tensor([[[[0.6, 0.4]]]]).log())
    given = Supervision(torch.tensor([[[1.0, 0.0]]]), torch.ones(1, 1))
    assert given.losses(GeneralizedCrossEntropy(1.0), seen).item() == pytest.approx(0.4)
    trainer = make_trainer(tmp_path, noise_method="gce+uniform_mixture")
    assert np.isfinite(trainer.train().training_loss)


def test_two_peers_have_a_channel_each(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="co_teaching+noise_adaptation", num_train_epochs=3)
    trainer.train()
    first, second = trainer.noise.channels
    assert not torch.equal(first.bias, second.bias)
    expected = (first.mean_matrix() + second.mean_matrix()) / 2
    np.testing.assert_allclose(trainer.noise_matrix(), expected.detach().numpy())


@pytest.mark.parametrize("method", ["noise_adaptation", "noise_adaptation_complex"])
def test_gradients_reach_the_layer_under_accumulation(tmp_path, method):
    """Four rows at once and two at a time give the same layer."""
    found = []
    for size, accumulated in ((4, 1), (2, 2)):
        trainer = make_trainer(
            tmp_path, noise_method=method, noise_kwargs={"rate": 0.2}, model=tiny_model(), rows=12, optim="sgd",
            per_device_train_batch_size=size, gradient_accumulation_steps=accumulated, num_train_epochs=3,
        )  # fmt: skip
        trainer.train()
        found.append(flat_weights(trainer.model.channels))
    start = torch.zeros_like(found[0])
    start[:9] = (uniform_noise_matrix(0.2, 3) + 1e-8).log().flatten()
    assert (found[0] - start).abs().max() > 1e-3
    torch.testing.assert_close(found[0], found[1], atol=1e-5, rtol=1e-4)


def test_the_layer_learns_at_its_own_rate_without_decay(tmp_path):
    trainer = make_trainer(
        tmp_path, noise_method="noise_adaptation", noise_kwargs={"channel_learning_rate": 0.5}, weight_decay=0.1
    )
    trainer.create_optimizer()
    groups = {id(p): group for group in trainer.optimizer.param_groups for p in group["params"]}
    layer = groups[id(trainer.noise.channels[0].bias)]
    assert (layer["lr"], layer["weight_decay"], len(layer["params"])) == (0.5, 0.0, 1)
    assert len(groups) == len(list(trainer.model.parameters()))
    assert {group["lr"] for group in groups.values()} == {0.5, 1e-2}


@pytest.mark.parametrize(("regularizer", "weight"), [("trace", 50.0), ("volume", 50.0)])
def test_a_regularizer_pulls_the_matrix_away_from_the_identity(tmp_path, regularizer, weight):
    def learned(name, weight):
        kwargs = {"rate": 0.2, "regularizer": name, "regularizer_weight": weight, "channel_learning_rate": 0.05}
        trainer = make_trainer(tmp_path, noise_method="noise_adaptation", noise_kwargs=kwargs)
        trainer.train()
        return trainer.noise_matrix()

    assert np.trace(learned(regularizer, weight)) < np.trace(learned("none", 0.0)) - 0.1


def test_in_evaluation_there_is_no_channel_and_the_deployed_model_has_none(tmp_path):
    rows = token_dataset(7, seed=3)
    trainer = make_trainer(tmp_path, noise_method="noise_adaptation", noise_kwargs={"rate": 0.4}, eval_dataset=rows)
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    said = torch.from_numpy(trainer.predict(rows).predictions).softmax(-1)
    assert not (tmp_path / "saved" / CHANNEL_NAME).exists()
    assert not any("channel" in name for name in load_file(tmp_path / "saved" / "model.safetensors"))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").eval()
    logits = model(
        input_ids=torch.tensor(rows["input_ids"]), attention_mask=torch.tensor(rows["attention_mask"])
    ).logits
    torch.testing.assert_close(said, logits.detach().softmax(-1))


def test_a_checkpoint_keeps_the_layer_beside_the_weights_and_loads_without_a_word_about_it(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="noise_adaptation", save_strategy="epoch")
    trainer.train()
    folder = tmp_path / "checkpoint-10"
    torch.testing.assert_close(load_file(folder / CHANNEL_NAME)["0.bias"], trainer.noise.channels[0].bias.detach())
    _, found = AutoModelForSequenceClassification.from_pretrained(folder, output_loading_info=True)
    assert not any(found[what] for what in ("unexpected_keys", "missing_keys", "mismatched_keys"))


def test_a_checkpoint_without_the_layer_is_refused(tmp_path):
    make_trainer(tmp_path, noise_method="noise_adaptation", save_strategy="epoch").train()
    (tmp_path / "checkpoint-10" / CHANNEL_NAME).unlink()
    trainer = make_trainer(tmp_path, noise_method="noise_adaptation", num_train_epochs=3)
    with pytest.raises(ValueError, match=r"has no channel.safetensors, this run has one"):
        trainer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))


def test_the_matrix_is_readable_and_none_before_it_comes_into_force(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="forward", noise_kwargs={"matrix": T})
    assert trainer.noise_matrix() is None
    trainer.train()
    np.testing.assert_allclose(trainer.noise_matrix(), T, atol=1e-6)
    logged = [log for log in trainer.state.log_history if "channel_diagonal" in log]
    assert logged[-1]["channel_diagonal"] == pytest.approx(2.3 / 3)
    assert make_trainer(tmp_path, noise_method="ce").noise_matrix() is None


def test_the_logged_rate_is_that_of_the_classes_behind_the_labels(tmp_path):
    """Labels 3 to 1 under (.8 .2; .4 .6) come from classes 7 to 1: the rate is (7 x .2 + .4) / 8."""
    labels = [0, 0, 0, 1] * 4
    kwargs = {"matrix": [[0.8, 0.2], [0.4, 0.6]]}
    trainer = make_trainer(
        tmp_path, token_dataset(16, labels), model=tiny_model(2), noise_method="forward", noise_kwargs=kwargs
    )
    trainer.train()
    rates = [log["estimated_noise_rate"] for log in trainer.state.log_history if "estimated_noise_rate" in log]
    assert rates[-1] == pytest.approx((7 * 0.2 + 0.4) / 8, abs=1e-4)


# --- trusted rows ---


def clean_rows():
    return token_dataset(6, [0, 1, 2, 0, 1, 2], seed=9).add_column("given", [1, 1, 2, 0, 1, 0])


def test_trusted_rows_are_trained_on_after_the_others_and_the_report_says_which(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="glc", clean_dataset=clean_rows(), gold_column=None)
    trainer.train()
    report = trainer.example_report()
    assert report["trusted"][:] == [False] * 20 + [True] * 6
    assert report["label"][20:] == [0, 1, 2, 0, 1, 2]
    assert report["seen"][:] == [2] * 26
    assert len(trainer.train_dataset) == 26


def test_trusted_rows_are_not_taught_in_the_warm_up(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="glc", clean_dataset=clean_rows(), num_train_epochs=1)
    trainer.train()
    assert trainer.example_report()["weight"][:] == [1.0] * 20 + [0.0] * 6


def test_soft_labels_and_trusted_classes_go_together(tmp_path):
    soft = np.random.default_rng(0).dirichlet(np.ones(3), size=12).astype(np.float32)
    trainer = make_trainer(tmp_path, token_dataset(12, soft.tolist()), noise_method="glc", clean_dataset=clean_rows())
    assert np.isfinite(trainer.train().training_loss)
    assert trainer.noise.labels.shape == (18, 3)


def test_the_first_epochs_are_of_trusted_rows_alone(tmp_path):
    kwargs = {"clean_epochs": 1, "matrix_from": "given"}
    trainer = make_trainer(
        tmp_path, noise_method="glc", noise_kwargs=kwargs, clean_dataset=clean_rows(), num_train_epochs=2
    )
    trainer.train()
    seen = np.array(trainer.example_report()["seen"][:])
    assert seen[:20].tolist() == [1] * 20
    assert (seen[20:] > 1).all()
    np.testing.assert_allclose(trainer.noise_matrix(), [[0.5, 0.5, 0], [0, 1, 0], [0.5, 0, 0.5]], atol=1e-6)


def test_a_run_with_clean_epochs_resumes_exactly(tmp_path):
    from conftest import StopAt

    def run(folder, callbacks=(), **more):
        kwargs = {"clean_epochs": 2, "warmup_epochs": 1}
        trainer = make_trainer(
            folder, model=tiny_model(dropout=0.3), noise_method="glc", noise_kwargs=kwargs, callbacks=list(callbacks),
            clean_dataset=clean_rows(), num_train_epochs=4,
        )  # fmt: skip
        trainer.train(**more)
        return trainer

    whole = run(tmp_path / "whole")
    run(tmp_path / "broken", [StopAt(9)])
    resumed = run(tmp_path / "broken", resume_from_checkpoint=str(tmp_path / "broken" / "checkpoint-9"))
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    assert str(whole.example_report().to_dict()) == str(resumed.example_report().to_dict())


def test_each_epoch_of_trusted_rows_has_another_order():
    order = CleanFirst(np.arange(40) >= 20, epochs=2, seed=0)
    first = list(order)
    assert len(first) == 40
    assert sorted(set(first)) == list(range(20, 40))
    order.set_epoch(1)
    assert list(order) != first
    order.set_epoch(2)
    assert sorted(order) == list(range(40))


def test_the_next_training_without_the_method_is_without_trusted_rows(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="glc", clean_dataset=clean_rows())
    trainer.train()
    trainer.args.noise_method = "ce"
    trainer.train()
    assert len(trainer.train_dataset) == 20
    assert "trusted" not in trainer.example_report().column_names


def test_a_training_set_that_was_replaced_is_trained_on_beside_the_trusted_rows(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="ce", clean_dataset=clean_rows())
    trainer.train()
    trainer.train_dataset, trainer.args.noise_method = token_dataset(32, seed=4), "glc"
    trainer.train()
    assert len(trainer.example_report()) == 38
    trainer.train_dataset, trainer.args.noise_method = token_dataset(24, seed=5), "ce"
    trainer.train()
    assert len(trainer.example_report()) == 24


def test_a_search_over_methods_trains_on_the_rows_that_each_asks_for(tmp_path):
    trainer = make_trainer(
        tmp_path,
        clean_dataset=clean_rows(),
        model_init=lambda: tiny_model(),
        eval_dataset=token_dataset(6, seed=2),
    )
    rows = []
    for method in ("glc", "ce", "glc"):  # what a search does: arguments change inside train()
        trainer.args.noise_method = "ce" if method == "glc" else "glc"
        trainer._hp_search_setup = lambda trial, method=method: setattr(trainer.args, "noise_method", method)
        trainer.train()
        rows.append(len(trainer.example_report()))
        assert set(trainer.example_report()["seen"][:]) == {2}
    assert rows == [26, 20, 26]


def test_trusted_labels_are_not_counted_among_the_given(tmp_path):
    trainer = make_trainer(
        tmp_path, token_dataset(8, [0, 0, 0, 0, 1, 1, 2, 2]), noise_method="glc", clean_dataset=clean_rows()
    )
    trainer.train()
    (channel,) = (c for c in trainer.noise.callbacks if isinstance(c, GoldLossCorrection))
    assert channel.shares.tolist() == [0.5, 0.25, 0.25]


@pytest.mark.parametrize("method", ["co_teaching", "gce_truncated"])
def test_trusted_rows_are_always_taught(tmp_path, method):
    kwargs = {"forget_rate": 0.9, "ramp_epochs": 0} if method == "co_teaching" else {"k": 0.99, "warmup": 0.3}
    trainer = make_trainer(
        tmp_path, noise_method=f"{method}+glc", noise_kwargs={method: kwargs, "glc": {"matrix_from": "given"}},
        clean_dataset=clean_rows(), num_train_epochs=3,
    )  # fmt: skip
    trainer.train()
    weights = np.array(trainer.example_report()["weight"][:]).reshape(26, -1)
    assert (weights[20:] == 1).all()
    assert (weights[:20] == 0).any()


# --- what lasts ---


def test_a_matrix_that_is_an_array_is_written_down(tmp_path):
    trainer = make_trainer(
        tmp_path, noise_method="forward", noise_kwargs={"matrix": np.array(T)}, save_strategy="epoch"
    )
    trainer.train()
    assert trainer.args.to_dict()["noise_kwargs"] == {"matrix": T}


def test_the_best_checkpoint_brings_its_matrix_or_none(tmp_path):
    """Validation rows that only the first epoch gets right cannot be had; the warm-up is made best by hand."""

    class FirstIsBest(TrainerCallback):
        def on_evaluate(self, args, state, control, metrics, **kwargs):
            metrics["eval_loss"] = float(state.epoch)

    trainer = make_trainer(
        tmp_path, noise_method="noise_adaptation", num_train_epochs=3, save_strategy="epoch", eval_strategy="epoch",
        eval_dataset=token_dataset(6, seed=2), load_best_model_at_end=True, callbacks=[FirstIsBest()],
        metric_for_best_model="eval_loss", greater_is_better=False,
    )  # fmt: skip
    trainer.train()
    assert trainer.state.best_model_checkpoint.endswith("checkpoint-5")
    assert trainer.noise_matrix() is None


def test_a_longer_or_shorter_training_goes_on_with_the_matrix_that_was_learned(tmp_path):
    from conftest import StopAt

    make_trainer(tmp_path, noise_method="forward", num_train_epochs=3, callbacks=[StopAt(10)]).train()
    first = make_trainer(tmp_path, noise_method="forward", num_train_epochs=3)
    first.train(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))
    longer = make_trainer(tmp_path, noise_method="forward", num_train_epochs=12)  # whose warm-up would take 4
    longer.train(resume_from_checkpoint=str(tmp_path / "checkpoint-10"))
    assert not np.allclose(first.noise_matrix(), np.eye(3))
    np.testing.assert_array_equal(longer.noise_matrix(), first.noise_matrix())


def test_a_volume_of_zero_is_no_end(tmp_path):
    kwargs = {"rate": 0.5, "regularizer": "volume", "regularizer_weight": 0.1}
    trainer = make_trainer(
        tmp_path,
        token_dataset(12, [0, 1] * 6),
        model=tiny_model(2),
        noise_method="noise_adaptation",
        noise_kwargs=kwargs,
    )
    trainer.train()
    assert np.isfinite(trainer.noise_matrix()).all()
    assert torch.isfinite(flat_weights(trainer.model)).all()


def test_the_complex_layers_matrix_is_an_average_over_steps(tmp_path):
    kwargs = {"rate": 0.2, "warmup_epochs": 0}
    trainer = make_trainer(tmp_path, noise_method="noise_adaptation_complex", noise_kwargs=kwargs, num_train_epochs=3)
    trainer.train()
    (channel,) = (c for c in trainer.noise.callbacks if isinstance(c, NoiseAdaptation))
    assert channel.adapts
    np.testing.assert_allclose(trainer.noise_matrix(), channel.average[0].numpy())
    np.testing.assert_allclose(trainer.noise_matrix().sum(1), 1, atol=1e-5)
    assert not np.allclose(trainer.noise_matrix(), trainer.noise.channels[0].mean_matrix().detach().numpy(), atol=1e-4)


@pytest.mark.slow
def test_the_layer_finds_the_matrix_where_cross_entropy_learns_the_mistakes():
    """As tests/measure/noise_channels.py, on a seed that its table does not hold."""
    path = Path(__file__).resolve().parents[2] / "tests" / "measure" / "noise_channels.py"
    spec = importlib.util.spec_from_file_location("noise_channels", path)
    noise_channels = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(noise_channels)
    plain = noise_channels.train("ce", "pair 35 %", 100)
    learned = noise_channels.train("noise_adaptation", "pair 35 %", 100, warmup_epochs=1)
    assert learned["distance"] < 0.05
    assert learned["accuracy"] > plain["accuracy"] + 0.03


# --- bad input ---


@pytest.mark.parametrize(
    ("method", "kwargs", "message"),
    [
        ("forward", {"matrix": [[0.9, 0.1], [0.2, 0.8]]}, r"matrix of 2 classes: expected 3"),
        ("forward", {"matrix": [[0.9, 0.2, 0], [0.2, 0.8, 0], [0, 0, 1]]}, r"matrix\[0\] sums to 1.1"),
        ("forward", {"matrix": [[0.9, 0.1, 0], [0.2, 0.8, 0]]}, r"matrix of shape \(2, 3\)"),
        ("forward", {"matrix": "anchor_point"}, r"matrix='anchor_point'.*Did you mean 'anchor_points'"),
        ("forward", {"warmup_epochs": 0}, r"warmup_epochs=0: the matrix comes from what the warm-up learned"),
        ("backward", {"matrix": [[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]}, r"condition number.*expected at most 100"),
        ("backward", {"max_condition": 0.5}, r"max_condition=0.5"),
        ("noise_adaptation", {"matrix": T, "rate": 0.2}, r"matrix and rate=0.2: expected one of them"),
        ("noise_adaptation", {"rate": 40}, r"rate=40.*Did you mean 0.4"),
        ("noise_adaptation", {"regularizer": "traces"}, r"regularizer='traces'.*Did you mean 'trace'"),
        ("noise_adaptation", {"matrix": [[1.0]]}, r"expected at least 2 classes"),
        ("noise_adaptation", {"channel_learning_rate": 0}, r"channel_learning_rate=0: expected a number above 0"),
        ("glc", {"matrix_from": "models"}, r"matrix_from='models'.*Did you mean 'model'"),
        ("glc", {"clean_epochs": 0.5}, r"clean_epochs=0.5"),
        ("uniform_mixture", {"noise_rate": 40}, r"noise_rate=40.*Did you mean 0.4"),
        (
            "dividemix+noise_adaptation",
            {},
            r"DivideMix and NoiseAdaptation: the targets of the first speak of the true",
        ),
        ("forward+noise_adaptation", {}, r"both are a noise channel"),
    ],
)
def test_bad_input_is_refused_before_the_first_step(tmp_path, method, kwargs, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, noise_method=method, noise_kwargs=kwargs).train()


def test_a_class_that_no_label_names_is_refused_where_its_row_would_be_estimated(tmp_path):
    trainer = make_trainer(tmp_path, token_dataset(12, [0, 1] * 6), noise_method="forward")
    with pytest.raises(ValueError, match="class 2 is absent from the training labels"):
        trainer.train()


def test_glc_without_clean_rows_says_what_it_needs(tmp_path):
    args = make_trainer(tmp_path, noise_method="gce").args
    args.noise_method, args.noise_kwargs = "glc", None
    with pytest.raises(
        ValueError, match=r"GoldLossCorrection .*clean_dataset=None: .*Pass NoisyTrainer.clean_dataset="
    ):
        NoisyTrainer(tiny_model(), args, train_dataset=token_dataset(8))


def test_glc_from_given_labels_needs_them(tmp_path):
    clean = clean_rows().remove_columns("given")
    trainer = make_trainer(tmp_path, noise_method="glc", noise_kwargs={"matrix_from": "given"}, clean_dataset=clean)
    with pytest.raises(ValueError, match="no row of clean_dataset has an untrusted label"):
        trainer.train()


def test_clean_rows_without_a_column_that_the_model_reads_are_refused(tmp_path):
    clean = clean_rows().remove_columns("attention_mask")
    with pytest.raises(ValueError, match=r"clean_dataset has no column 'attention_mask'.*Tokenize both"):
        make_trainer(tmp_path, noise_method="glc", clean_dataset=clean)


def test_clean_rows_of_raw_text_are_refused(tmp_path):
    clean = clean_rows().remove_columns(["input_ids", "attention_mask"]).add_column("text", ["a"] * 6)
    with pytest.raises(ValueError, match=r"clean_dataset has columns .*Tokenize first"):
        make_trainer(tmp_path, noise_method="glc", clean_dataset=clean)


def test_names_of_trusted_classes_that_the_model_does_not_know_are_refused(tmp_path):
    clean = clean_rows().remove_columns("labels").add_column("labels", ["pos", "neg", "zzz"] * 2)
    with pytest.raises(ValueError, match=r"clean_dataset, row 1: label 'neg'"):
        make_trainer(tmp_path, noise_method="glc", clean_dataset=clean)


def test_a_scheduler_made_before_the_layer_is_refused(tmp_path):
    model = tiny_model()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    args = make_trainer(tmp_path, noise_method="noise_adaptation").args
    with pytest.raises(ValueError, match=r"optimizers=\(..., a scheduler\) with noise_method='noise_adaptation'"):
        NoisyTrainer(model, args, train_dataset=token_dataset(8), optimizers=(optimizer, scheduler))


@pytest.mark.parametrize("epochs", [3, 2])
def test_clean_epochs_and_a_warm_up_that_leave_nothing_are_said(tmp_path, caplog, epochs):
    kwargs = {"clean_epochs": 2, "warmup_epochs": 1}
    make_trainer(
        tmp_path, noise_method="glc", noise_kwargs=kwargs, clean_dataset=clean_rows(), num_train_epochs=epochs
    ).train()
    assert "comes into force after 3 of" in caplog.text


def test_a_warm_up_as_long_as_the_training_is_said(tmp_path, caplog):
    make_trainer(tmp_path, noise_method="forward", num_train_epochs=1).train()
    assert "so it is never used" in caplog.text


def test_a_flat_estimate_is_mended_before_it_is_inverted(caplog):
    method = BackwardCorrection(max_condition=10.0)
    adjusted_matrix = method.adjusted_matrix(torch.full((2, 2), 0.5))
    assert torch.linalg.cond(adjusted_matrix) == pytest.approx(10)
    torch.testing.assert_close(adjusted_matrix.sum(-1), torch.ones(2))
    assert "it is mixed with" in caplog.text


def test_a_rate_is_spread_over_the_other_classes():
    matrix = uniform_noise_matrix(0.3, 4)
    torch.testing.assert_close(matrix.sum(-1), torch.ones(4))
    assert matrix[0].tolist() == pytest.approx([0.7, 0.1, 0.1, 0.1])
    assert NoiseAdaptation(rate=0.3).known


def test_one_network_with_a_channel_is_the_module_that_peers_are(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="forward")
    assert isinstance(trainer.model, Networks)
    assert len(trainer.noise.networks) == len(trainer.noise.channels) == 1
