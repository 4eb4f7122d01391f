"""`auto_find_batch_size`: what follows a batch that did not fit is a training with smaller batches, and nothing else.

`python tests/trainer/test_batch_size_finder.py` asks every method.
"""

from __future__ import annotations

import gc
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where pytest finds conftest; for the script

import pytest
import torch
import transformers
from conftest import flat_weights, make_trainer, tiny_model, token_dataset
from transformers import TrainerCallback

from hf_noisy import METHODS, CoTeaching, NoisyStopping
from hf_noisy.trainer import fresh_start
from hf_noisy.trainer.fresh_start import FreshStart

ROWS, FITS = 20, 4
LATE = 7  # batches of 5 rows that fit by accident: the second epoch has begun
SAMPLE = ["ce", "co_teaching", "dividemix", "gce_truncated", "label_correction", "model_average", "noise_adaptation"]


class Memory:
    """A forward hook: batches of more than `FITS` rows of training do not fit, but for the first few."""

    def __init__(self, trainer: Any, lucky: int) -> None:
        self.trainer, self.lucky, self.failures = trainer, lucky, 0
        trainer.noise.networks[0].register_forward_pre_hook(self)

    def __call__(self, module, args):
        if module.training and self.trainer._train_batch_size > FITS:
            self.lucky -= 1
            if self.lucky < 0:
                self.failures += 1
                raise RuntimeError("CUDA out of memory.")


def trainer_of(folder: Path, batch: int, **arguments: Any) -> Any:
    defaults: dict[str, Any] = {"model": tiny_model(dropout=0.3), "eval_dataset": token_dataset(6, seed=1)}
    trainer = make_trainer(folder, token_dataset(ROWS), per_device_train_batch_size=batch, **{**defaults, **arguments})
    trainer.remove_callback(transformers.PrinterCallback)
    return trainer


def found_size(folder: Path, *, lucky: int = LATE, batch: int = 5, **arguments: Any) -> Any:
    """Trained with a batch size that was found after `batch` rows did not fit."""
    trainer = trainer_of(folder, batch, auto_find_batch_size=True, **arguments)
    memory = Memory(trainer, lucky)
    trainer.train()
    assert memory.failures == batch - FITS
    return trainer


def right_size(folder: Path, **arguments: Any) -> Any:
    trainer = trainer_of(folder, FITS, **arguments)
    trainer.train()
    return trainer


def outcome(trainer: Any) -> dict[str, Any]:
    """All that a training leaves behind, but for timings."""
    timings = ("runtime", "per_second")
    return {
        "weights": flat_weights(trainer.model).tolist(),
        "memory": str([callback.state_dict() for callback in trainer.noise.callbacks]),
        "report": str(trainer.example_report().to_dict()),
        "log": [
            {name: value for name, value in entry.items() if not name.endswith(timings)}
            for entry in trainer.state.log_history
        ],
        "files": sorted(path.name for path in Path(trainer.args.output_dir).glob("checkpoint-*")),
    }


def same(folder: Path, method: str, lucky: int = LATE) -> bool:
    settings = {"noise_method": method, "eval_strategy": "epoch", "save_strategy": "steps", "save_steps": 3}
    found = found_size(folder / "found", lucky=lucky, **settings)
    return outcome(found) == outcome(right_size(folder / "right", **settings))


@pytest.fixture(scope="module", autouse=True)
def _no_search_through_modules():
    gc.collect()
    gc.freeze()  # each try collects garbage, and would look through all modules for it


@pytest.mark.parametrize("method", SAMPLE)
def test_a_training_whose_batch_size_was_found_is_the_one_that_had_it_from_the_start(tmp_path, method):
    assert same(tmp_path, method)


def test_the_first_batch_may_be_the_one_that_does_not_fit(tmp_path):
    assert same(tmp_path, "elr", lucky=0)


def test_several_sizes_may_be_too_large(tmp_path):
    found = found_size(tmp_path / "found", lucky=2, batch=6, noise_method="elr")
    assert outcome(found) == outcome(right_size(tmp_path / "right", noise_method="elr"))


def test_without_what_the_training_began_with_it_would_be_another(tmp_path, monkeypatch):
    monkeypatch.setattr(FreshStart, "put_back", lambda *_: None)
    assert not same(tmp_path, "elr")


def test_methods_that_were_passed_and_their_histories_begin_afresh(tmp_path):
    outcomes = []
    for name, run in (("found", found_size), ("right", right_size)):
        stopping = NoisyStopping(patience=None)
        callbacks = [CoTeaching(forget_rate=0.3), stopping]
        trainer = run(tmp_path / name, callbacks=callbacks, eval_strategy="steps", eval_steps=2)
        assert [point.step for point in stopping.history] == [2, 4, 6, 8, 10]
        outcomes.append((outcome(trainer), str(stopping.history)))
    assert outcomes[0] == outcomes[1]


class Meddling(TrainerCallback):
    """Takes the second network for the best in the first try, and looks which one it is at the start of each."""

    def __init__(self) -> None:
        self.starts: list[int] = []

    def on_train_begin(self, args, state, control, model, **kwargs):
        self.starts.append(model.deployed)

    def on_step_end(self, args, state, control, model, **kwargs):
        model.deployed = 1


def test_which_network_is_best_is_forgotten(tmp_path):
    meddling = Meddling()
    found_size(tmp_path, noise_method="co_teaching", callbacks=[meddling])
    assert meddling.starts == [0, 0]


def test_an_optimizer_and_a_schedule_that_were_passed_begin_afresh(tmp_path):
    outcomes = []
    for name, batch in (("found", 5), ("right", FITS)):
        model = tiny_model(dropout=0.3)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
        trainer = trainer_of(tmp_path / name, batch, model=model, auto_find_batch_size=True, noise_method="elr")
        trainer.optimizer, trainer.lr_scheduler = optimizer, schedule
        Memory(trainer, LATE)
        trainer.train()
        outcomes.append((outcome(trainer), optimizer.state_dict()["state"][0]["step"], schedule.last_epoch))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0][1:] == (10, 10)


def test_checkpoints_of_the_failed_try_are_removed_and_no_others(tmp_path):
    (tmp_path / "checkpoint-1").mkdir()  # of an earlier training
    found = found_size(tmp_path, noise_method="elr", save_strategy="steps", save_steps=5)
    assert outcome(found)["files"] == ["checkpoint-1", "checkpoint-10", "checkpoint-5"]
    assert found.state.train_batch_size == FITS
    again = trainer_of(tmp_path, FITS, noise_method="elr")
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert torch.equal(flat_weights(again.model), flat_weights(found.model))


def test_a_resumed_training_does_not_go_on_with_smaller_batches(tmp_path):
    trainer = trainer_of(tmp_path, 5, noise_method="elr", save_strategy="steps", save_steps=2)
    trainer.train()
    resumed = trainer_of(tmp_path, 5, noise_method="elr", auto_find_batch_size=True)
    Memory(resumed, 1)
    with pytest.raises(
        ValueError, match=r"checkpoint-2 was written with batches of 5 rows.*gradient_accumulation_steps"
    ):
        resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))


@pytest.mark.parametrize("finding", [True, False])
def test_a_look_at_all_rows_that_does_not_fit_is_not_taken_for_a_training_batch(tmp_path, finding):
    trainer = trainer_of(tmp_path, 5, noise_method="gce_truncated", auto_find_batch_size=finding)
    tries = Meddling()

    def fails(module, args):
        if not module.training:
            raise RuntimeError("CUDA out of memory.")

    trainer.model.deployed = 0
    trainer.add_callback(tries)
    trainer.model.register_forward_pre_hook(fails)
    message = r"per_device_eval_batch_size=8: a look at all training rows" if finding else r"^CUDA out of memory\.$"
    with pytest.raises(RuntimeError, match=message):
        trainer.train()
    assert len(tries.starts) == 1


def test_nothing_is_copied_where_batches_cannot_shrink(tmp_path, monkeypatch):
    def never(self):
        raise AssertionError("a copy")

    monkeypatch.setattr(fresh_start.FreshStart, "__post_init__", never)
    right_size(tmp_path, num_train_epochs=1)
    with pytest.raises(AssertionError, match="a copy"):
        right_size(tmp_path, num_train_epochs=1, auto_find_batch_size=True)


def test_the_copy_is_dropped_after_training(tmp_path):
    assert found_size(tmp_path, noise_method="elr")._noise.start is None


def main() -> None:
    """Ask every method."""
    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()
    different = []
    for method in METHODS:
        with tempfile.TemporaryDirectory() as folder:
            equal = same(Path(folder), method)
        print(f"{method:26s} {'equal to the bit' if equal else 'DIFFERENT'}", flush=True)
        different += [] if equal else [method]
    print(f"{len(METHODS)} methods, {len(METHODS) - len(different)} identical, {len(different)} different")
    sys.exit(bool(different))


if __name__ == "__main__":
    main()
