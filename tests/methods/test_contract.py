"""The contract that every method passes: one row a method, one test a promise."""

from __future__ import annotations

import pickle
import shutil

import numpy as np
import pytest
import torch
from conftest import StopAt, flat_weights, make_trainer, same, tiny_model, token_dataset
from safetensors import safe_open
from safetensors.torch import load_file
from transformers import AutoModelForSequenceClassification, TrainerCallback, pipeline

from hf_noisy import METHODS, Criterion
from hf_noisy.trainer.state import STATE_NAME

EVERY_METHOD = pytest.mark.parametrize("method", sorted(METHODS))


@EVERY_METHOD
def test_a_batch_of_one(tmp_path, method):
    trainer = make_trainer(tmp_path, rows=3, noise_method=method, per_device_train_batch_size=1)
    assert np.isfinite(trainer.train().training_loss)


@EVERY_METHOD
def test_a_batch_in_which_every_label_abstains(tmp_path, method):
    trainer = make_trainer(
        tmp_path, token_dataset(10, [-1] * 7 + [0, 1, 2]), noise_method=method, per_device_train_batch_size=2
    )
    assert np.isfinite(trainer.train().training_loss)
    assert torch.isfinite(flat_weights(trainer.model)).all()


@EVERY_METHOD
def test_soft_labels(tmp_path, method):
    soft = np.random.default_rng(0).dirichlet(np.ones(3), size=12).astype(np.float32)
    soft[::4] = 0
    trainer = make_trainer(tmp_path, token_dataset(12, soft.tolist()), noise_method=method)
    assert np.isfinite(trainer.train().training_loss)


@EVERY_METHOD
@pytest.mark.parametrize("classes", [2, 20])
def test_few_and_many_classes(tmp_path, method, classes):
    dataset = token_dataset(40, classes=classes)
    trainer = make_trainer(tmp_path, dataset, model=tiny_model(classes), noise_method=method)
    assert np.isfinite(trainer.train().training_loss)


@EVERY_METHOD
def test_bfloat16_autocast(tmp_path, method):
    trainer = make_trainer(tmp_path, rows=8, noise_method=method, bf16=True)
    assert np.isfinite(trainer.train().training_loss)


@EVERY_METHOD
def test_a_checkpoint_is_a_model_that_auto_model_and_pipeline_load(tmp_path, method):
    trainer = make_trainer(tmp_path, noise_method=method, save_strategy="epoch", num_train_epochs=1)
    trainer.train()
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / f"checkpoint-{steps_an_epoch(method)}")
    assert torch.equal(flat_weights(model), flat_weights(trainer.noise.deployed_model))


def steps_an_epoch(method: str) -> int:
    """Of 20 rows in batches of 4; glc trains on 12 trusted ones as well."""
    return 8 if method == "glc" else 5


class SaveAt(TrainerCallback):
    """Saves a checkpoint at some steps and goes on."""

    def __init__(self, *steps: int) -> None:
        self.steps = steps

    def on_step_end(self, args, state, control, **kwargs):
        control.should_save = state.global_step in self.steps


def run(folder, method, *, stop_at=None, resume=None, callbacks=()):
    """20 rows, 3 epochs, dropout in the model."""
    trainer = make_trainer(
        folder,
        model=tiny_model(dropout=0.3),
        noise_method=method,
        num_train_epochs=3,
        callbacks=[*callbacks, StopAt(stop_at)] if stop_at else list(callbacks),
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def middle_and_end(method: str) -> tuple[int, int]:
    """A step in the middle of the second epoch, and its last."""
    return int(1.4 * steps_an_epoch(method)), 2 * steps_an_epoch(method)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The unbroken training of a method, once; its checkpoints are those of a training that ends there."""
    done = {}

    def of(method: str):
        if method not in done:
            folder = tmp_path_factory.mktemp(method)
            done[method] = folder, run(folder, method, callbacks=[SaveAt(*middle_and_end(method))])
        return done[method]

    return of


@EVERY_METHOD
@pytest.mark.parametrize("where", [0, 1], ids=["in the middle of an epoch", "at its end"])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(whole, method, where):
    folder, unbroken = whole(method)
    checkpoint = folder / f"checkpoint-{middle_and_end(method)[where]}"
    resumed = run(folder / "resumed", method, resume=str(checkpoint))
    assert resumed.state.global_step == 3 * steps_an_epoch(method)
    assert same(unbroken, resumed)


def test_a_training_that_saves_and_goes_on_is_one_that_ends_there(tmp_path, whole):
    folder, _ = whole("elr")
    step, _ = middle_and_end("elr")
    run(tmp_path, "elr", stop_at=step)
    names = ("model.safetensors", STATE_NAME)
    left, right = ([load_file(at / f"checkpoint-{step}" / name) for name in names] for at in (folder, tmp_path))
    for first, second in zip(left, right, strict=True):
        assert first.keys() == second.keys()
        assert all(torch.equal(first[name], second[name]) for name in first)


def test_rows_grouped_by_length_come_in_the_same_order_when_resumed(tmp_path):
    def train(folder, **more):
        trainer = make_trainer(
            tmp_path / folder,
            model=tiny_model(dropout=0.3),
            noise_method="elr",
            train_sampling_strategy="group_by_length",
            **more,
        )
        trainer.train(
            resume_from_checkpoint=None if more or folder == "whole" else str(tmp_path / "broken" / "checkpoint-7")
        )
        return trainer

    whole = train("whole")
    train("broken", callbacks=[StopAt(7)])
    assert same(whole, train("broken"))


@EVERY_METHOD
def test_what_a_method_remembers_pickles(whole, method):
    _, trainer = whole(method)
    for callback in trainer.noise.callbacks:
        found = pickle.loads(pickle.dumps(callback))
        assert str(found.report()) == str(callback.report())


@EVERY_METHOD
def test_without_its_state_a_resumed_run_differs(tmp_path, whole, method):
    folder, unbroken = whole(method)
    name = f"checkpoint-{middle_and_end(method)[0]}"
    shutil.copytree(folder / name, tmp_path / name, ignore=shutil.ignore_patterns(STATE_NAME))
    resumed = run(tmp_path, method, resume=str(tmp_path / name))
    assert not same(unbroken, resumed)


def test_truncated_gce_without_its_state_trains_other_weights(tmp_path):
    labels = np.random.default_rng(0).integers(0, 3, 20).tolist()
    kwargs = {"noise_method": "gce_truncated", "noise_kwargs": {"warmup": 0.25, "every": 1.0, "k": 0.34}}

    def train(folder, **more):
        trainer = make_trainer(
            folder,
            token_dataset(20, labels),
            **kwargs,
            num_train_epochs=4,
            **more,
        )
        trainer.train(resume_from_checkpoint=str(folder / "checkpoint-12") if not more else None)
        return trainer

    train(tmp_path, callbacks=[StopAt(12)])
    shutil.copytree(tmp_path, tmp_path / "copy", ignore=shutil.ignore_patterns("copy"))
    kept = train(tmp_path)
    (tmp_path / "copy" / "checkpoint-12" / STATE_NAME).unlink()
    dropped = train(tmp_path / "copy")
    assert 0 < np.mean(kept.example_report()["kept"][:]) < 1
    assert kept.example_report()["kept"][:] != dropped.example_report()["kept"][:]
    assert not torch.equal(flat_weights(kept.model), flat_weights(dropped.model))


def test_the_state_file_names_what_it_belongs_to(tmp_path):
    run(tmp_path, "gce_truncated", stop_at=7)
    with safe_open(tmp_path / "checkpoint-7" / STATE_NAME, framework="pt") as file:
        metadata = file.metadata()
    assert metadata["methods"] == "ExampleDynamics+TruncatedGCE+SupervisionRecord"
    assert metadata["rows"] == "20"
    assert metadata["epoch"] == "1"
    assert load_file(tmp_path / "checkpoint-7" / STATE_NAME)["1.TruncatedGCE.kept"].shape == (20,)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"noise_method": "mae"}, "criterion"),
        ({"noise_method": "gce_truncated"}, "methods"),
        ({"rows": 16}, "rows"),
        ({"dataset": token_dataset(20, [1] * 20)}, "labels"),
    ],
)
def test_another_runs_checkpoint_is_refused_by_name(tmp_path, change, message):
    settings = {"noise_method": "gce", "save_strategy": "steps", "save_steps": 2, "rows": 20}
    make_trainer(tmp_path, **settings).train()
    with pytest.raises(ValueError, match=f"written with {message}"):
        make_trainer(tmp_path, **{**settings, **change}).train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


def test_a_criterion_of_your_own_resumes(tmp_path):
    class Squared(Criterion):
        def per_class(self, log_probs):
            return (1 - log_probs.exp()).square()

    make_trainer(tmp_path, criterion=Squared(), callbacks=[StopAt(3)]).train()
    resumed = make_trainer(tmp_path, criterion=Squared())
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-3"))
    assert resumed.state.global_step == 10


def test_a_plain_trainers_checkpoint_resumes_with_a_word_about_it(tmp_path, monkeypatch):
    from hf_noisy.trainer import checkpoints as module

    said = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    run(tmp_path, "ce", stop_at=7)
    (tmp_path / "checkpoint-7" / STATE_NAME).unlink()
    run(tmp_path, "ce", resume=str(tmp_path / "checkpoint-7"))
    assert "plain Trainer's checkpoint" in said[0]


@pytest.mark.slow
def test_the_saved_folder_feeds_a_pipeline_with_class_names(tmp_path):
    from hf_noisy.corpora.small_encoder import small_encoder

    model, tokenizer = small_encoder(["a good day", "a bad day"] * 20, ["negative", "positive"], seed=0)
    rows = tokenizer(["a good day", "a bad day"] * 10, truncation=True)
    dataset = [{k: rows[k][i] for k in rows} | {"labels": (i + 1) % 2} for i in range(20)]
    trainer = make_trainer(tmp_path, dataset, model=model, processing_class=tokenizer)
    trainer.train()
    trainer.save_model(str(tmp_path))
    found = pipeline("text-classification", model=str(tmp_path))("a good day")
    assert found[0]["label"] in {"negative", "positive"}
