"""The average of weights against a naive loop, where it is used, and that no gradient sees it."""

from __future__ import annotations

import pickle
from dataclasses import replace

import numpy as np
import pytest
import torch
from by_hand import context
from conftest import StopAt, flat_weights, make_trainer, tiny_model, token_dataset
from safetensors.torch import load_file
from torch import nn
from transformers import AutoModelForSequenceClassification, TrainerCallback

from hf_noisy import CoTeaching, NoiseCallback
from hf_noisy.methods.model_average import ModelAverage
from hf_noisy.trainer.state import STATE_NAME


class Weights(TrainerCallback):
    """Keeps the weights that are trained, before the first step and after each."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.steps = [flat_weights(model).clone()]

    def on_step_end(self, args, state, control, model, **kwargs):
        self.steps.append(flat_weights(model).clone())


def naive(steps: list[torch.Tensor], decay: float, *, warmup: bool = True) -> torch.Tensor:
    average = steps[0].double()
    for t, weights in enumerate(steps[1:]):
        kept = min(decay, (1 + t) / (10 + t)) if warmup else decay
        average = kept * average + (1 - kept) * weights.double()
    return average.float()


def by_hand(model: nn.Module, **arguments) -> ModelAverage:
    method = ModelAverage(**arguments)
    method.setup(replace(context(1, 2), model=model))
    return method


def step(method: ModelAverage) -> None:
    method.on_step_end(None, None, None)


# ---- the maths -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arguments", [{"decay": 0.3}, {"decay": 0.9}, {"decay": 0.9, "warmup": False}])
def test_the_model_after_training_is_the_average_of_a_naive_loop(tmp_path, arguments):
    watch = Weights()
    trainer = make_trainer(tmp_path, callbacks=[watch, ModelAverage(**arguments)])
    trainer.train()
    expected = naive(watch.steps, **arguments)
    assert len(watch.steps) == 11
    assert torch.allclose(flat_weights(trainer.model), expected, atol=1e-6)
    assert not torch.allclose(watch.steps[-1], expected, atol=1e-4)


def test_without_decay_the_average_is_the_last_weights():
    model = nn.Linear(2, 1)
    method = by_hand(model, decay=0.0)
    model.weight.data.fill_(3.0)
    step(method)
    with method.deployed(model):
        assert model.weight.tolist() == [[3.0, 3.0]]


def test_a_step_is_an_optimizer_step_and_not_a_batch(tmp_path):
    method = ModelAverage()
    make_trainer(tmp_path, rows=16, gradient_accumulation_steps=2, callbacks=[method]).train()
    assert method.updates == 4


def test_the_weights_that_are_trained_are_those_of_a_run_without_it(tmp_path):
    watches = []
    for extra in ([], [ModelAverage()]):
        watch = Weights()
        make_trainer(
            tmp_path,
            model=tiny_model(dropout=0.3),
            callbacks=[watch, *extra],
            eval_strategy="steps",
            eval_steps=2,
            eval_dataset=token_dataset(6, seed=1),
            save_strategy="steps",
            save_steps=3,
        ).train()
        watches.append(watch)
    without, averaged = watches
    assert len(without.steps) == 11
    assert all(torch.equal(one, other) for one, other in zip(without.steps, averaged.steps, strict=True))


def test_frozen_weights_are_left_alone_and_tied_ones_are_averaged_once():
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    model[1].weight = model[0].weight
    model[2].weight.requires_grad = False
    method = by_hand(model, decay=0.5, warmup=False)
    start = model[0].weight.detach().clone()
    model[0].weight.data += 1
    frozen = model[2].weight.data
    step(method)
    with method.deployed(model):
        assert torch.allclose(model[0].weight, start + 0.5)
        assert model[1].weight is model[0].weight
        assert model[2].weight.data_ptr() == frozen.data_ptr()
    assert list(method.state_dict()) == ["weights.0.weight", "updates"]


def test_bfloat16_weights_have_an_average_that_moves():
    model = nn.Linear(1, 1, bias=False).to(torch.bfloat16)
    model.weight.data.fill_(1.0)
    method = by_hand(model, decay=0.99, warmup=False)
    model.weight.data.fill_(1.0078125)  # the next number that bfloat16 has
    for _ in range(100):
        step(method)
    state = {name: value.clone() for name, value in method.state_dict().items()}
    assert state["weights.weight"].dtype == torch.bfloat16
    assert state["average.weight"].item() == pytest.approx(1 + (1 - 0.99**100) * 0.0078125, abs=1e-5)
    with method.deployed(model):
        saved = model.weight.detach().clone()
        assert saved.dtype == torch.bfloat16
    assert model.weight.item() == 1.0078125
    model.weight.data.copy_(saved)  # as a checkpoint is loaded
    again = by_hand(model, decay=0.99, warmup=False)
    again.load_state_dict(state)
    assert model.weight.item() == 1.0078125
    assert torch.equal(again.state_dict()["average.weight"], state["average.weight"])  # not the rounded one


# ---- where it is used ----------------------------------------------------------------------------------------------


class Looks(NoiseCallback):
    """What surveys and evaluations see, and what a step does."""

    def __init__(self) -> None:
        self.surveys: list[torch.Tensor] = []
        self.after: list[torch.Tensor] = []
        self.losses: list[float] = []

    def begin_epoch(self, epoch, survey):
        self.surveys.append(survey().log_probs[0])

    def on_evaluate(self, args, state, control, model, metrics, **kwargs):
        self.after.append(flat_weights(model).clone())
        self.losses.append(metrics["eval_loss"])


def loaded(weights: torch.Tensor, **arguments):
    model = tiny_model(**arguments)
    nn.utils.vector_to_parameters(weights, model.parameters())
    return model


def test_surveys_and_evaluations_see_the_average_and_training_goes_on_from_its_own_weights(tmp_path):
    looks, watch = Looks(), Weights()
    rows, valid = token_dataset(20), token_dataset(8, seed=1)
    trainer = make_trainer(
        tmp_path,
        rows,
        eval_dataset=valid,
        eval_strategy="epoch",
        learning_rate=3e-2,
        callbacks=[watch, ModelAverage(0.8, warmup=False), looks],
    )
    trainer.train()
    average = naive(watch.steps[:6], 0.8, warmup=False)
    judge = make_trainer(tmp_path, rows, model=loaded(average), eval_dataset=valid)
    assert looks.losses[0] == pytest.approx(judge.evaluate()["eval_loss"], abs=1e-5)
    assert torch.allclose(looks.surveys[1], judge.survey().log_probs[0], atol=1e-4)
    assert torch.equal(looks.after[0], watch.steps[5])
    last = make_trainer(tmp_path, rows, model=loaded(watch.steps[5]), eval_dataset=valid)
    assert looks.losses[0] != pytest.approx(last.evaluate()["eval_loss"], abs=1e-3)  # the control


def test_a_saved_folder_is_the_average_and_auto_model_loads_it(tmp_path):
    watch = Weights()
    trainer = make_trainer(tmp_path, callbacks=[watch, ModelAverage()], save_strategy="epoch")
    trainer.train()
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "checkpoint-5")
    assert torch.allclose(flat_weights(model), naive(watch.steps[:6], 0.99), atol=1e-6)
    stored = load_file(tmp_path / "checkpoint-5" / STATE_NAME)
    trained = torch.cat([stored[f"1.ModelAverage.weights.{n}"].flatten() for n, _ in trainer.model.named_parameters()])
    assert torch.equal(trained, watch.steps[5])
    trainer.save_model(str(tmp_path / "saved"))
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert torch.equal(flat_weights(model), flat_weights(trainer.noise.deployed_model))
    assert torch.allclose(flat_weights(model), naive(watch.steps, 0.99), atol=1e-6)


def test_every_network_has_an_average_and_keeps_its_own_weights(tmp_path):
    watch = Weights()
    trainer = make_trainer(tmp_path, callbacks=[watch, CoTeaching(forget_rate=0.2), ModelAverage()])
    trainer.train()
    assert len(trainer.noise.networks) == 2
    assert torch.allclose(flat_weights(trainer.model), naive(watch.steps, 0.99), atol=1e-6)
    one, other = map(flat_weights, trainer.noise.networks)
    assert not torch.allclose(one, other, atol=1e-3)
    trainer.save_model(str(tmp_path / "saved"))
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    assert torch.equal(flat_weights(saved), flat_weights(trainer.noise.deployed_model))


def test_a_noise_channel_is_left_as_it_is_trained(tmp_path):
    method, watch = ModelAverage(), Weights()
    trainer = make_trainer(tmp_path, noise_method="noise_adaptation", callbacks=[watch, method], num_train_epochs=3)
    trainer.train()
    size = sum(parameter.numel() for parameter in trainer.model.channels.parameters())
    assert size > 0
    assert torch.equal(flat_weights(trainer.model)[-size:], watch.steps[-1][-size:])
    expected = naive(watch.steps, 0.99)[:-size]
    assert torch.allclose(flat_weights(trainer.model)[:-size], expected, atol=1e-6)


def test_the_best_checkpoint_is_the_best_average(tmp_path):
    watch, looks = Weights(), Looks()
    trainer = make_trainer(
        tmp_path,
        token_dataset(20, np.random.default_rng(0).integers(0, 3, 20).tolist()),
        callbacks=[watch, ModelAverage(0.5), looks],
        num_train_epochs=6,
        eval_dataset=token_dataset(12, seed=1),
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
    )
    trainer.train()
    best = int(np.argmin(looks.losses))
    assert best < 5  # so that it is not the last
    assert torch.allclose(flat_weights(trainer.model), naive(watch.steps[: 5 * (best + 1) + 1], 0.5), atol=1e-6)
    assert trainer.evaluate()["eval_loss"] == pytest.approx(looks.losses[best], abs=1e-6)


class AtTheEnd(TrainerCallback):
    """What a user does when training ends, before or after the average in the list of callbacks."""

    def on_train_end(self, args, state, control, **kwargs):
        self.loss = self.trainer.evaluate()["eval_loss"]
        self.trainer.save_model(self.folder)


def test_what_is_done_when_training_ends_meets_the_best_average(tmp_path):
    watches = AtTheEnd(), AtTheEnd()
    trainer = make_trainer(
        tmp_path,
        token_dataset(20, np.random.default_rng(0).integers(0, 3, 20).tolist()),
        callbacks=[watches[0], ModelAverage(0.5), watches[1]],
        num_train_epochs=6,
        eval_dataset=token_dataset(12, seed=1),
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
    )
    for number, watch in enumerate(watches):
        watch.trainer, watch.folder = trainer, str(tmp_path / f"end-{number}")
    trainer.train()
    assert trainer.state.best_global_step < 30  # so that it is not the last
    for watch in watches:
        assert watch.loss == pytest.approx(trainer.state.best_metric, abs=1e-6)
        saved = AutoModelForSequenceClassification.from_pretrained(watch.folder)
        assert torch.equal(flat_weights(saved), flat_weights(trainer.model))


def test_a_second_training_starts_from_the_average_with_a_new_one(tmp_path):
    watch, method = Weights(), ModelAverage()
    trainer = make_trainer(tmp_path, callbacks=[watch, method])
    trainer.train()
    average = naive(watch.steps, 0.99)
    trainer.train()
    assert torch.allclose(watch.steps[0], average, atol=1e-6)
    assert method.updates == 10
    assert torch.allclose(flat_weights(trainer.model), naive(watch.steps, 0.99), atol=1e-6)


# ---- swapping ------------------------------------------------------------------------------------------------------


def test_after_an_error_inside_the_trained_weights_are_back():
    model = nn.Linear(2, 1)
    method = by_hand(model)
    model.weight.data.fill_(7.0)
    step(method)

    def fail():
        with method.deployed(model):
            assert model.weight[0, 0] != 7
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert model.weight.tolist() == [[7.0, 7.0]]
    with method.deployed(model):
        assert model.weight[0, 0] != 7


def test_an_evaluation_within_another_still_sees_the_average():
    model = nn.Linear(2, 1).eval()
    method = by_hand(model)
    model.weight.data.fill_(7.0)
    step(method)
    with method.deployed(model):
        average = model.weight.detach().clone()
        with method.deployed(model):
            assert torch.equal(model.weight, average)
        assert torch.equal(model.weight, average)
        assert method.state_dict()["weights.weight"].tolist() == [[7.0, 7.0]]
    assert model.weight.tolist() == [[7.0, 7.0]]
    assert not model.training


def test_swapping_copies_nothing_and_keeps_the_parameters_that_the_optimizer_holds():
    model = nn.Linear(2, 1)
    parameter, place = model.weight, model.weight.data_ptr()
    method = by_hand(model)
    step(method)
    for _ in range(2):
        with method.deployed(model):
            assert model.weight is parameter
            assert model.weight.data_ptr() == method._average["weight"].data_ptr()
        assert model.weight.data_ptr() == place


# ---- checkpoints ---------------------------------------------------------------------------------------------------


def run(folder, *, stop_at=None, resume=None, **arguments):
    callbacks = [ModelAverage(0.9), *([CoTeaching(forget_rate=0.2)] if arguments.pop("peers", False) else [])]
    trainer = make_trainer(
        folder,
        model=tiny_model(dropout=0.3),
        num_train_epochs=3,
        callbacks=[*callbacks, *([StopAt(stop_at)] if stop_at else [])],
        **arguments,
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [7, 10], ids=["in the middle of an epoch", "at its end"])
@pytest.mark.parametrize("peers", [False, True], ids=["one network", "two networks"])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(tmp_path, stop_at, peers):
    whole = run(tmp_path / "whole", peers=peers)
    run(tmp_path / "broken", stop_at=stop_at, peers=peers)
    checkpoint = tmp_path / "broken" / f"checkpoint-{stop_at}"
    resumed = run(tmp_path / "broken", resume=str(checkpoint), peers=peers)
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    losses = [[log["loss"] for log in t.state.log_history if "loss" in log] for t in (whole, resumed)]
    assert len(losses[0]) == 15
    assert losses[0] == losses[1]
    (checkpoint / STATE_NAME).unlink()
    assert not torch.equal(
        flat_weights(whole.model), flat_weights(run(tmp_path / "b", resume=str(checkpoint), peers=peers).model)
    )


def test_trained_weights_are_put_back_in_place():
    model = nn.Linear(2, 1)
    method = by_hand(model)
    model.weight.data.fill_(7.0)
    step(method)
    state = {name: value.clone() for name, value in method.state_dict().items()}
    with method.deployed(model):
        average = model.weight.detach().clone()
    other = nn.Linear(2, 1)
    other.weight.data.copy_(average)
    parameter, place = other.weight, other.weight.data_ptr()
    again = by_hand(other)
    again.load_state_dict(state)
    assert other.weight is parameter
    assert other.weight.data_ptr() == place
    assert other.weight.tolist() == [[7.0, 7.0]]
    assert again.updates == 1
    with again.deployed(other):
        assert torch.equal(other.weight, average)


def test_a_copy_takes_no_weights_along():
    model = nn.Linear(500, 500)
    method = by_hand(model)
    step(method)
    again = pickle.loads(pickle.dumps(method))
    assert len(pickle.dumps(method)) < 2000
    assert (again.decay, again.updates) == (0.99, 1)
    with again.deployed(model):
        pass
    with method.deployed(model):  # the original still has them
        assert model.weight.data_ptr() == method._average["weight"].data_ptr()


# ---- what is refused -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"decay": 1.0}, ValueError, "decay=1.0"),
        ({"decay": 99}, ValueError, "Did you mean 0.99"),
        ({"decay": "0.9"}, TypeError, "decay='0.9'"),
        ({"warmup": 100}, TypeError, "warmup=100: expected True or False"),
    ],
)
def test_parameters_outside_their_domain_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        ModelAverage(**arguments)


def test_two_averages_are_refused(tmp_path):
    with pytest.raises(ValueError, match="both are an average of weights"):
        make_trainer(tmp_path, callbacks=[ModelAverage(), ModelAverage(0.5)])


def test_edge_cases_train(tmp_path):
    soft = np.random.default_rng(0).dirichlet(np.ones(3), size=9).astype(np.float32)
    soft[::3] = 0
    trainer = make_trainer(
        tmp_path, token_dataset(9, soft.tolist()), per_device_train_batch_size=1, bf16=True, callbacks=[ModelAverage()]
    )
    assert np.isfinite(trainer.train().training_loss)
    assert torch.isfinite(flat_weights(trainer.model)).all()
