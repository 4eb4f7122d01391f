"""A training that was killed while it saved goes on from the last whole checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from conftest import flat_weights, make_trainer, tiny_model
from safetensors import safe_open
from safetensors.torch import save_file
from transformers.trainer import TRAINER_STATE_NAME

from hf_noisy import NoisyTrainer
from hf_noisy.checkpoints import find_checkpoint, last_whole_checkpoint, what_is_missing
from hf_noisy.state import STATE_NAME

SETTINGS = {"noise_method": "gce_truncated", "save_strategy": "steps", "save_steps": 2, "num_train_epochs": 2}


def start(folder: Path, **more) -> NoisyTrainer:
    """20 rows in batches of 4: 10 steps, a checkpoint every other."""
    return make_trainer(folder, model=tiny_model(dropout=0.3), **{**SETTINGS, **more})


class Killed(BaseException):
    """Not an Exception: nothing may catch it."""


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


DAMAGE = {
    "no trainer_state.json": lambda folder: (folder / TRAINER_STATE_NAME).unlink(),
    "half a trainer_state.json": lambda folder: cut_in_half(folder / TRAINER_STATE_NAME),
    "half a state of the methods": lambda folder: cut_in_half(folder / STATE_NAME),
    "an empty state of the methods": lambda folder: (folder / STATE_NAME).write_bytes(b""),
    "an empty folder": lambda folder: [path.unlink() for path in folder.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_what_was_cut_short_is_passed_over_with_a_warning_and_nothing_is_lost(tmp_path, damage, caplog):
    whole = start(tmp_path)
    whole.train()
    for step in (8, 10):
        damage(tmp_path / f"checkpoint-{step}")
    resumed = start(tmp_path)
    resumed.train(resume_from_checkpoint=True)
    warned = [record.message for record in caplog.records if "was not finished" in record.message]
    assert [Path(line.split(": ")[0]).name for line in warned] == ["checkpoint-10", "checkpoint-8"]
    assert "goes on from" in warned[0]
    assert warned[0].endswith("checkpoint-6.")
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    assert resumed.state.log_history[-2]["step"] == 10


@pytest.mark.parametrize("limit", [None, 1])
def test_killed_while_saving_the_last_whole_one_is_still_there(tmp_path, limit, monkeypatch):
    whole = start(tmp_path / "whole")
    whole.train()
    broken = start(tmp_path / "broken", save_total_limit=limit)
    save = broken._save_rng_state
    monkeypatch.setattr(broken, "_save_rng_state", lambda folder: kill() if "checkpoint-6" in folder else save(folder))
    with pytest.raises(Killed):
        broken.train()
    assert last_whole_checkpoint(tmp_path / "broken") == str(tmp_path / "broken" / "checkpoint-4")
    resumed = start(tmp_path / "broken", save_total_limit=limit)
    resumed.train(resume_from_checkpoint=True)
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    assert last_whole_checkpoint(tmp_path / "broken") == str(tmp_path / "broken" / "checkpoint-10")


def kill() -> None:
    raise Killed


def test_an_older_checkpoint_of_the_same_step_is_not_whole_while_it_is_written_anew(tmp_path, monkeypatch):
    start(tmp_path).train()
    again = start(tmp_path)
    monkeypatch.setattr(again, "_save_optimizer_and_scheduler", lambda folder: kill())
    with pytest.raises(Killed):
        again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert what_is_missing(tmp_path / "checkpoint-6") == "it has no trainer_state.json"
    assert what_is_missing(tmp_path / "checkpoint-8") is None


def test_a_later_number_is_later_even_if_its_name_sorts_before(tmp_path):
    start(tmp_path).train()
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")


def test_a_checkpoint_that_is_named_must_be_whole(tmp_path):
    start(tmp_path).train()
    (tmp_path / "checkpoint-8" / TRAINER_STATE_NAME).unlink()
    with pytest.raises(
        ValueError, match=r"checkpoint-8: it has no trainer_state.json, so it was not finished. .*=True"
    ):
        start(tmp_path).train(resume_from_checkpoint=str(tmp_path / "checkpoint-8"))


def test_without_a_whole_checkpoint_the_error_names_each_of_them(tmp_path):
    for step in (2, 4):
        (tmp_path / f"checkpoint-{step}").mkdir()
    with pytest.raises(ValueError, match=r"no whole checkpoint in .*checkpoint-4: it has .*checkpoint-2: it has"):
        start(tmp_path).train(resume_from_checkpoint=True)


def test_without_any_checkpoint_the_trainer_says_what_it_always_says(tmp_path):
    with pytest.raises(ValueError, match="No valid checkpoint found"):
        start(tmp_path / "new").train(resume_from_checkpoint=True)
    assert find_checkpoint(None, str(tmp_path)) is None
    assert find_checkpoint(False, str(tmp_path)) is False


def test_what_other_processes_write_is_part_of_a_whole_one(tmp_path):
    start(tmp_path, num_train_epochs=1).train()
    checkpoint = tmp_path / "checkpoint-4"
    for rank in range(2):
        shutil.copy(checkpoint / "rng_state.pth", checkpoint / f"rng_state_{rank}.pth")
    assert what_is_missing(checkpoint) is None
    with safe_open(checkpoint / STATE_NAME, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    assert metadata["processes"] == "1"
    save_file(tensors, checkpoint / STATE_NAME, metadata={**metadata, "processes": "2"})
    assert what_is_missing(checkpoint) is None
    cut_in_half(checkpoint / "rng_state_1.pth")
    assert "random state of process 1" in str(what_is_missing(checkpoint))
    (checkpoint / "rng_state_1.pth").unlink()
    assert "random state of process 1" in str(what_is_missing(checkpoint))


def test_a_plain_trainers_checkpoint_is_whole(tmp_path, caplog):
    start(tmp_path).train()
    (tmp_path / "checkpoint-10" / STATE_NAME).unlink()
    start(tmp_path).train(resume_from_checkpoint=True)
    assert "it is a plain Trainer's checkpoint" in caplog.text
    assert "was not finished" not in caplog.text


def test_a_checkpoint_named_by_a_path_must_be_whole_too(tmp_path):
    start(tmp_path).train()
    cut_in_half(tmp_path / "checkpoint-10" / TRAINER_STATE_NAME)
    with pytest.raises(ValueError, match=r"checkpoint-10: its trainer_state.json is cut short"):
        start(tmp_path).train(resume_from_checkpoint=tmp_path / "checkpoint-10")
    assert find_checkpoint(tmp_path / "checkpoint-8", None) == str(tmp_path / "checkpoint-8")


def test_a_file_that_is_called_like_a_checkpoint_is_none(tmp_path):
    start(tmp_path).train()
    (tmp_path / "checkpoint-99").write_text("of the user")
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
