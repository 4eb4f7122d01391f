"""A training that was killed while it saved goes on from the last whole checkpoint, which is never removed before another is."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest
import torch
from conftest import flat_weights, make_trainer, tiny_model
from safetensors import safe_open
from safetensors.torch import save_file
from transformers import TrainerState
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_utils import rotate_checkpoints

from hf_noisy import NoisyTrainer
from hf_noisy.trainer.checkpoints import begin, find_checkpoint, incomplete_reason, last_whole_checkpoint
from hf_noisy.trainer.state import STATE_NAME

SETTINGS = {"noise_method": "gce_truncated", "save_strategy": "steps", "save_steps": 2, "num_train_epochs": 2}


def start(folder: Path, **more) -> NoisyTrainer:
    """20 rows in batches of 4: 10 steps, a checkpoint every other."""
    return make_trainer(folder, model=tiny_model(dropout=0.3), **{**SETTINGS, **more})


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> tuple[Path, torch.Tensor]:
    """What a training leaves that nobody stopped: checkpoints 2, 4, 6, 8 and 10, and its weights."""
    folder = tmp_path_factory.mktemp("unbroken")
    trainer = start(folder)
    trainer.train()
    return folder, flat_weights(trainer.model)


@pytest.fixture
def saved(unbroken, tmp_path) -> Path:
    """A copy of its folder."""
    return Path(shutil.copytree(unbroken[0], tmp_path / "saved"))


class Killed(BaseException):
    """Not an Exception: nothing may catch it."""


def kill() -> None:
    raise Killed


def cut_in_half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def steps_of(folder: Path) -> list[int]:
    return sorted(int(path.name.split("-")[1]) for path in folder.glob("checkpoint-*"))


DAMAGE = {
    "no trainer_state.json": lambda folder: (folder / TRAINER_STATE_NAME).unlink(),
    "half a trainer_state.json": lambda folder: cut_in_half(folder / TRAINER_STATE_NAME),
    "half a state of the methods": lambda folder: cut_in_half(folder / STATE_NAME),
    "an empty state of the methods": lambda folder: (folder / STATE_NAME).write_bytes(b""),
    "an empty folder": lambda folder: [path.unlink() for path in folder.iterdir()],
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_what_was_cut_short_is_passed_over_with_a_warning(saved, damage, caplog):
    for step in (8, 10):
        damage(saved / f"checkpoint-{step}")
    assert last_whole_checkpoint(saved) == str(saved / "checkpoint-6")
    warned = [record.message for record in caplog.records if "was not finished" in record.message]
    assert [Path(line.split(": ")[0]).name for line in warned] == ["checkpoint-10", "checkpoint-8"]
    assert "goes on from" in warned[0]
    assert warned[0].endswith("checkpoint-6.")


def test_from_the_last_whole_one_nothing_is_lost(saved, unbroken):
    (saved / "checkpoint-10" / TRAINER_STATE_NAME).unlink()
    cut_in_half(saved / "checkpoint-8" / TRAINER_STATE_NAME)
    resumed = start(saved)
    resumed.train(resume_from_checkpoint=True)
    assert torch.equal(flat_weights(resumed.model), unbroken[1])
    assert resumed.state.log_history[-2]["step"] == 10


def test_a_trainer_state_cut_anywhere_is_not_whole(saved):
    path = saved / "checkpoint-10" / TRAINER_STATE_NAME
    content = path.read_bytes()
    assert content.endswith(b"}\n")
    for end in [
        *range(0, len(content), len(content) // 30),
        len(content) - 2,
    ]:  # without its last line break it is still whole
        path.write_bytes(content[:end])
        assert incomplete_reason(path.parent) == "its trainer_state.json is cut short", end
    path.write_bytes(content[:-1])
    assert incomplete_reason(path.parent) is None


@pytest.mark.parametrize("limit", [None, 1])
@pytest.mark.parametrize("where", ["_save_rng_state", "save_to_json"])
def test_killed_while_saving_the_last_whole_one_is_still_there(tmp_path, unbroken, limit, where, monkeypatch):
    broken = start(tmp_path, save_total_limit=limit)
    holder = broken if where == "_save_rng_state" else TrainerState
    save = getattr(holder, where)

    def half_written(*args):
        save(*args)
        if "checkpoint-6" in args[-1]:
            cut_in_half(Path(args[-1])) if where == "save_to_json" else None
            kill()

    with monkeypatch.context() as patched:
        patched.setattr(holder, where, half_written)
        with pytest.raises(Killed):
            broken.train()
    assert incomplete_reason(tmp_path / "checkpoint-6") is not None
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-4")
    resumed = start(tmp_path, save_total_limit=limit)
    resumed.train(resume_from_checkpoint=True)
    assert torch.equal(flat_weights(resumed.model), unbroken[1])
    assert last_whole_checkpoint(tmp_path) == str(tmp_path / "checkpoint-10")
    assert steps_of(tmp_path) == ([10] if limit else [2, 4, 6, 8, 10])


def test_rotation_never_removes_the_last_whole_one_in_the_place_of_a_half_written_one(saved, caplog):
    for step in (2, 4, 6):
        shutil.rmtree(saved / f"checkpoint-{step}")
    half = (saved / "checkpoint-10").rename(saved / "checkpoint-11")  # rotation takes it for the latest
    (half / TRAINER_STATE_NAME).unlink()
    os.utime(half, (time.time() + 1000, time.time() + 1000))
    without_us = Path(shutil.copytree(saved, saved.with_name("stock")))
    rotate_checkpoints(str(without_us), save_total_limit=1)
    assert last_is_lost(without_us)  # what would be
    start(saved, save_total_limit=1).train(resume_from_checkpoint=True)
    assert steps_of(saved) == [10]
    assert last_whole_checkpoint(saved) == str(saved / "checkpoint-10")
    assert "checkpoint-11: it has no trainer_state.json. It was not finished, and is removed." in caplog.text


def last_is_lost(folder: Path) -> bool:
    with pytest.raises(ValueError, match="no whole checkpoint"):
        last_whole_checkpoint(folder)
    return True


def test_half_written_ones_are_removed_only_where_old_ones_are(saved):
    (saved / "checkpoint-8" / TRAINER_STATE_NAME).unlink()
    (saved / "checkpoint-12").mkdir()
    (saved / "checkpoint-of-mine").mkdir()
    for none in (None, 0, -1):
        begin(saved / "checkpoint-12", none)
        assert len(list(saved.iterdir())) == 7 + len(list(saved.glob("*.md")))
    begin(saved / "checkpoint-12", 2)
    assert (saved / "checkpoint-of-mine").is_dir()
    shutil.rmtree(saved / "checkpoint-of-mine")
    assert steps_of(saved) == [2, 4, 6, 10, 12]


def test_an_older_checkpoint_of_the_same_step_is_not_whole_while_it_is_written_anew(saved, monkeypatch):
    again = start(saved)
    monkeypatch.setattr(again, "_save_optimizer_and_scheduler", lambda folder: kill())
    with pytest.raises(Killed):
        again.train(resume_from_checkpoint=str(saved / "checkpoint-4"))
    assert incomplete_reason(saved / "checkpoint-6") == "it has no trainer_state.json"
    assert incomplete_reason(saved / "checkpoint-8") is None


def test_a_later_number_is_later_even_if_its_name_sorts_before(saved):
    assert last_whole_checkpoint(saved) == str(saved / "checkpoint-10")


def test_a_checkpoint_that_is_named_must_be_whole(saved):
    (saved / "checkpoint-8" / TRAINER_STATE_NAME).unlink()
    with pytest.raises(
        ValueError, match=r"checkpoint-8: it has no trainer_state.json, so it was not finished. .*=True"
    ):
        start(saved).train(resume_from_checkpoint=str(saved / "checkpoint-8"))


def test_without_a_whole_checkpoint_the_error_names_each_of_them(tmp_path):
    for step in (2, 4):
        (tmp_path / f"checkpoint-{step}").mkdir()
    with pytest.raises(ValueError, match=r"no whole checkpoint in .*checkpoint-4: it has .*checkpoint-2: it has"):
        start(tmp_path).train(resume_from_checkpoint=True)


def test_without_any_checkpoint_the_trainer_says_how_there_would_be_one(tmp_path):
    with pytest.raises(
        ValueError, match="No valid checkpoint found in output directory .*expected a folder checkpoint-STEP"
    ):
        start(tmp_path / "new").train(resume_from_checkpoint=True)
    with pytest.raises(
        ValueError, match="Can't find a valid checkpoint at 'nowhere' .*no such folder. Expected a checkpoint"
    ):
        start(tmp_path / "new").train(resume_from_checkpoint="nowhere")
    assert find_checkpoint(None, str(tmp_path)) is None
    assert find_checkpoint(False, str(tmp_path)) is False


def rewrite_metadata(checkpoint: Path, **changed: str) -> None:
    with safe_open(checkpoint / STATE_NAME, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        metadata = file.metadata()
    save_file(tensors, checkpoint / STATE_NAME, metadata={**metadata, **changed})


def test_what_other_processes_write_is_part_of_a_whole_one(saved):
    checkpoint = saved / "checkpoint-4"
    for rank in range(2):
        shutil.copy(checkpoint / "rng_state.pth", checkpoint / f"rng_state_{rank}.pth")
    assert incomplete_reason(checkpoint) is None
    rewrite_metadata(checkpoint, processes="2")
    assert incomplete_reason(checkpoint) is None
    cut_in_half(checkpoint / "rng_state_1.pth")
    assert "random state of process 1" in str(incomplete_reason(checkpoint))
    (checkpoint / "rng_state_1.pth").unlink()
    assert "random state of process 1" in str(incomplete_reason(checkpoint))


@pytest.mark.parametrize("count", ["-2", "2.0", "NaN", "../2", "9" * 5000])
def test_processes_that_cannot_be_counted_are_no_whole_checkpoint(saved, count):
    rewrite_metadata(saved / "checkpoint-4", processes=count)
    assert "which is no count" in str(incomplete_reason(saved / "checkpoint-4"))


def test_a_plain_trainers_checkpoint_is_whole_and_says_so(saved, caplog):
    (saved / "checkpoint-8" / STATE_NAME).unlink()
    resumed = start(saved)
    resumed.train(resume_from_checkpoint=str(saved / "checkpoint-8"))
    assert resumed.state.global_step == 10
    assert "it is a plain Trainer's checkpoint" in caplog.text
    assert "what the methods remember of each example starts afresh" in caplog.text
    assert "was not finished" not in caplog.text


def test_a_checkpoint_named_by_a_path_must_be_whole_too(saved):
    cut_in_half(saved / "checkpoint-10" / TRAINER_STATE_NAME)
    with pytest.raises(ValueError, match=r"checkpoint-10: its trainer_state.json is cut short"):
        start(saved).train(resume_from_checkpoint=saved / "checkpoint-10")
    assert find_checkpoint(saved / "checkpoint-8", None) == str(saved / "checkpoint-8")


def test_a_file_that_is_called_like_a_checkpoint_is_none(saved):
    (saved / "checkpoint-99").write_text("of the user")
    assert last_whole_checkpoint(saved) == str(saved / "checkpoint-10")
