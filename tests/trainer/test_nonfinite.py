"""Batches whose loss is not finite: raised before a weight moves, or left out, counted, and remembered by no method."""

from __future__ import annotations

import pytest
import torch
from conftest import make_trainer, tiny_model, token_dataset
from torch import nn

from hf_noisy import NoiseCallback
from hf_noisy.trainer.nonfinite import no_gradient

BROKEN = 39  # a token of which the model makes infinities
ROWS, BROKEN_ROW = 16, 5
PLAIN = {
    "optim": "sgd",
    "learning_rate": 0.1,
    "lr_scheduler_type": "constant",
    "max_grad_norm": 0.0,
    "logging_steps": 1,
}


def rows_with_a_broken_one():
    dataset = token_dataset(ROWS)
    columns = dataset.to_dict()
    columns["input_ids"] = [[token % BROKEN for token in row] for row in columns["input_ids"]]
    columns["input_ids"][BROKEN_ROW][2] = BROKEN
    return dataset.from_dict(columns)


class Overflows:
    """Makes the embeddings of the broken token infinite: while training, or while looking."""

    def __init__(self, on: bool, looking: bool) -> None:
        self.on, self.looking = on, looking

    def __call__(self, module: nn.Module, inputs: tuple[torch.Tensor], states: torch.Tensor) -> torch.Tensor:
        if not self.on or module.training == self.looking:
            return states
        return torch.where((inputs[0] == BROKEN).unsqueeze(-1), torch.inf, states)


def trainer_of(folder, *, on=True, looking=False, **arguments):
    model = tiny_model()
    hook = Overflows(on, looking)
    model.bert.embeddings.word_embeddings.register_forward_hook(hook)
    arguments = {"per_device_train_batch_size": 4, "num_train_epochs": 1} | PLAIN | arguments
    trainer = make_trainer(folder, rows_with_a_broken_one(), model=model, **arguments)
    trainer.hook = hook
    return trainer


def weights(trainer) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])


class LeavesOutTheBatch(NoiseCallback):
    """What skipping comes to, by weights."""

    def supervise(self, supervision, predictions, batch):
        return supervision.weighted(0.0 if (batch.index == BROKEN_ROW).any() else 1.0)


class KeepsWeights(NoiseCallback):
    """Notes the weights before each step, and with them the step before the one that fails."""

    def on_step_begin(self, args, state, control, model=None, **kwargs):
        self.before = [parameter.detach().clone() for parameter in model.parameters()]


def test_by_default_it_raises_and_names_the_rows_and_no_weight_has_moved(tmp_path):
    kept = KeepsWeights()
    trainer = trainer_of(tmp_path, callbacks=[kept])
    with pytest.raises(FloatingPointError, match=rf'loss=nan at step \d, rows {BROKEN_ROW} of .*nonfinite_loss="skip"'):
        trainer.train()
    assert all(torch.equal(a, b) for a, b in zip(kept.before, trainer.model.parameters(), strict=True))


def test_a_plain_training_without_the_argument_raises_too(tmp_path):
    trainer = trainer_of(tmp_path)
    trainer.args.__class__ = trainer.args.__class__.__mro__[1]  # TrainingArguments
    with pytest.raises(FloatingPointError):
        trainer.train()


@pytest.mark.parametrize("accumulation", [1, 2, 4])
def test_skipping_is_leaving_the_batch_out_and_nothing_else(tmp_path, accumulation):
    arguments = {"gradient_accumulation_steps": accumulation, "num_train_epochs": 2}
    skipped = trainer_of(tmp_path / "a", nonfinite_loss="skip", **arguments)
    skipped.train()
    reference = trainer_of(tmp_path / "b", on=False, callbacks=[LeavesOutTheBatch()], **arguments)
    reference.train()
    untouched = trainer_of(tmp_path / "c", on=False, **arguments)
    untouched.train()
    assert torch.allclose(weights(skipped), weights(reference), rtol=0, atol=1e-7)
    assert not torch.allclose(weights(skipped), weights(untouched), rtol=0, atol=1e-4)


def test_skipped_batches_are_logged_and_reported_by_row_and_the_logged_loss_stays_finite(tmp_path):
    trainer = trainer_of(tmp_path, nonfinite_loss="skip", num_train_epochs=3)
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "loss" in entry]
    assert logged[-1]["skipped_batches"] == 3
    assert all(torch.tensor(entry["loss"]).isfinite() for entry in logged)
    report = trainer.example_report()
    assert report["skipped"][BROKEN_ROW] == 3
    assert sum(report["skipped"]) == 3 * 4  # those of its batch, once an epoch
    assert report["seen"][BROKEN_ROW] == 0
    assert all(n == 3 for row, n in enumerate(report["seen"]) if row != BROKEN_ROW)


def test_without_such_a_batch_nothing_is_logged_of_it(tmp_path):
    trainer = trainer_of(tmp_path, on=False, nonfinite_loss="skip")
    trainer.train()
    assert not any("skipped_batches" in entry for entry in trainer.state.log_history)


def test_the_count_goes_on_after_a_resume(tmp_path):
    whole = trainer_of(tmp_path, nonfinite_loss="skip", num_train_epochs=2, save_strategy="epoch")
    whole.train()
    resumed = trainer_of(tmp_path, nonfinite_loss="skip", num_train_epochs=2)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert resumed.example_report()["skipped"][:] == whole.example_report()["skipped"][:]
    assert resumed.state.log_history[-2]["skipped_batches"] == 2


def test_a_training_that_raised_can_be_resumed_with_skipping(tmp_path):
    first = trainer_of(tmp_path, on=False, num_train_epochs=1, save_strategy="epoch")
    first.train()
    second = trainer_of(tmp_path, nonfinite_loss="skip", num_train_epochs=2)
    second.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert second.example_report()["skipped"][BROKEN_ROW] == 1


METHODS = ["elr", "label_correction", "co_teaching", "dividemix", "mentornet_pd", "forward", "model_average"]


@pytest.mark.parametrize("method", [*METHODS, "noise_adaptation", "pseudo_labeling", "co_teaching_plus", "jocor"])
def test_no_method_remembers_a_number_that_is_none(tmp_path, method):
    finite = {}
    for on in (True, False):
        trainer = trainer_of(tmp_path / str(on), on=on, noise_method=method, nonfinite_loss="skip", num_train_epochs=3)
        trainer.train()
        assert weights(trainer).isfinite().all()
        finite[on] = {
            f"{n}.{name}": tensor.isfinite()
            for n, callback in enumerate(trainer.noise.callbacks)
            for name, tensor in callback.state_dict().items()
            if tensor.is_floating_point()
        }
    for name, kept in finite[True].items():
        expected = finite[False][name]
        if expected.ndim and len(expected) == ROWS:  # what NaN says of the broken row is that it was never seen
            kept, expected = (torch.cat([t[:BROKEN_ROW], t[BROKEN_ROW + 1 :]]) for t in (kept, expected))
        assert torch.equal(kept, expected), name


@pytest.mark.parametrize("method", ["self_training", "neighbours"])
def test_a_pass_over_the_training_set_raises_or_takes_the_row_for_undecided(tmp_path, method):
    arguments = {"looking": True, "noise_method": method, "num_train_epochs": 2}
    with pytest.raises(FloatingPointError, match=rf"not finite.*rows {BROKEN_ROW} of the training set"):
        trainer_of(tmp_path / "a", **arguments).train()
    trainer = trainer_of(tmp_path / "b", nonfinite_loss="skip", **arguments)
    trainer.train()
    assert weights(trainer).isfinite().all()


def test_trusted_rows_of_which_nothing_finite_is_predicted_raise(tmp_path):
    clean = rows_with_a_broken_one()
    clean = clean.add_column("given", clean["labels"][:])
    trainer = trainer_of(tmp_path, looking=True, noise_method="glc", clean_dataset=clean, num_train_epochs=2)
    with pytest.raises(FloatingPointError, match=rf"rows {BROKEN_ROW} of clean_dataset"):
        trainer.train()


def test_weights_that_are_not_finite_are_not_skipped_over():
    layer = nn.Linear(2, 2)
    assert no_gradient(layer.parameters()) == 0
    with torch.no_grad():
        layer.weight[0, 0] = torch.nan
    with pytest.raises(FloatingPointError, match="the weights themselves are not finite: expected finite weights"):
        no_gradient(layer.parameters())


def test_another_word_for_it_is_refused(tmp_path):
    with pytest.raises(ValueError, match="nonfinite_loss='skpi': expected 'raise' or 'skip'. Did you mean 'skip'"):
        make_trainer(tmp_path, nonfinite_loss="skpi")


def test_a_row_that_was_left_out_keeps_what_was_known_of_it(tmp_path):
    class Switch(NoiseCallback):
        def begin_epoch(self, epoch, survey):
            trainer.hook.on = epoch == 1

    trainer = trainer_of(
        tmp_path, on=False, noise_method="elr", nonfinite_loss="skip", num_train_epochs=2, callbacks=[Switch()]
    )
    kept = []

    class Look(NoiseCallback):
        def on_epoch_end(self, *args, **kwargs):
            kept.append(trainer.noise.callbacks[1].targets.state()[BROKEN_ROW])

    trainer.add_callback(Look())
    trainer.train()
    assert kept[0].sum() > 0
    assert torch.equal(kept[0], kept[1])
