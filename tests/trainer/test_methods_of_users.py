"""What a method of one's own may return, and the error where it returns something else."""

from __future__ import annotations

import pytest
import torch
from conftest import make_trainer

from hf_noisy import Memory, NoiseCallback


class Remembers(NoiseCallback):
    """Counts how often a row was seen."""

    def setup(self, context):
        self.seen = Memory(context.rows, (), device=context.device)

    def supervise(self, supervision, predictions, batch):
        self.seen.write(batch, self.seen.read(batch.index) + 1)
        return supervision

    def state_dict(self):
        return {"seen": self.seen.state()}

    def load_state_dict(self, state):
        self.seen.load(state["seen"])


class Forgets(NoiseCallback):
    def state_dict(self):
        return {"seen": torch.zeros(2)}


class ReturnsTheMemory(Remembers):
    def state_dict(self):
        return {"seen": self.seen}


class ReturnsAList(Remembers):
    def state_dict(self):
        return {"seen": [1.0]}


class Logs(NoiseCallback):
    def __init__(self, **logs) -> None:
        self.logs = logs

    def metrics(self):
        return self.logs


def test_state_that_would_not_be_read_back_is_refused_before_the_first_step(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[Forgets()])
    with pytest.raises(TypeError, match=r"Forgets has a state_dict\(\) and no load_state_dict\(\)"):
        trainer.train()
    assert trainer.state.global_step == 0


@pytest.mark.parametrize(("method", "found"), [(ReturnsTheMemory, "Memory"), (ReturnsAList, "list")])
def test_state_that_is_no_tensor_names_the_method_the_key_and_the_fix(tmp_path, method, found):
    trainer = make_trainer(tmp_path, callbacks=[method()], save_strategy="epoch")
    with pytest.raises(
        TypeError, match=rf"{method.__name__}.state_dict\(\), 'seen': expected a tensor, found {found}.*memory.state"
    ):
        trainer.train()


@pytest.mark.parametrize("value", ["abc", torch.zeros(2), None])
def test_a_metric_that_is_no_number_names_the_method_and_the_metric(tmp_path, value):
    with pytest.raises(TypeError, match=r"Logs.metrics\(\), 'mine': expected a number"):
        make_trainer(tmp_path, callbacks=[Logs(mine=value)]).train()


def test_a_metric_does_not_overwrite_the_loss(tmp_path):
    with pytest.raises(ValueError, match=r"Logs.metrics\(\): 'loss' is logged by the Trainer"):
        make_trainer(tmp_path, callbacks=[Logs(loss=1.0)]).train()


def test_numbers_are_logged(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[Logs(mine=torch.tensor(0.5), other=2)])
    trainer.train()
    logged = [entry for entry in trainer.state.log_history if "mine" in entry]
    assert logged
    assert all(entry["mine"] == 0.5 and entry["other"] == 2 for entry in logged)


def test_nothing_relabelled_has_no_accuracy(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="ce", gold_column="labels")
    trainer.train()
    assert not any("relabeled_accuracy" in entry for entry in trainer.state.log_history)
