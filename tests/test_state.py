"""The file in which methods remember: one of another run, of another version or made to do harm raises and touches nothing."""

from __future__ import annotations

import json
import struct
from pathlib import Path

import pytest
import torch
from conftest import make_trainer, tiny_model
from safetensors import safe_open
from safetensors.torch import save_file

from hf_noisy import NoisyTrainer
from hf_noisy.state import STATE_NAME, load_state

STATE = {"noise_method": "elr", "save_strategy": "steps", "save_steps": 5, "num_train_epochs": 1}


def trained(folder: Path) -> tuple[NoisyTrainer, Path]:
    trainer = make_trainer(folder, model=tiny_model(), **STATE)
    trainer.train()
    return trainer, folder / "checkpoint-5"


def contents(checkpoint: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(checkpoint / STATE_NAME, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def memories(trainer: NoisyTrainer) -> list[torch.Tensor]:
    return [tensor.clone() for callback in trainer.noise_callbacks for tensor in callback.state_dict().values()]


TENSOR_CRAFTS = {
    "a tensor is missing": (lambda t, m: t.pop("1.EarlyLearningRegularization.targets"), "lacks 'targets'"),
    "fewer rows": (
        lambda t, m: t.update({"2.SupervisionRecord.facts": torch.zeros(19, 5, 1)}),
        r"of shape \(19, 5, 1\)",
    ),
    "other dimensions": (lambda t, m: t.update({"0.ExampleDynamics.sums": torch.zeros(20)}), r"of shape \(20,\)"),
    "another version": (lambda t, m: m.update(version="0"), "version '0'"),
    "no version": (lambda t, m: m.pop("version"), "version None"),
    "another method": (lambda t, m: m.update(methods="../../../etc/passwd"), "methods '../../../etc/passwd'"),
    "other classes": (lambda t, m: m.update(classes="4"), "classes '4', this run has '3'"),
    "an epoch that is none": (lambda t, m: m.update(epoch="__import__('os')"), "epoch .*: expected a whole number"),
    "no metadata": (lambda t, m: m.clear(), "version None"),
}


@pytest.mark.parametrize(("craft", "message"), TENSOR_CRAFTS.values(), ids=TENSOR_CRAFTS.keys())
def test_a_crafted_state_raises_and_touches_nothing(tmp_path, craft, message):
    trainer, checkpoint = trained(tmp_path)
    tensors, metadata = contents(checkpoint)
    craft(tensors, metadata)
    save_file(tensors, checkpoint / STATE_NAME, metadata=metadata)
    for callback in trainer.noise_callbacks:
        for tensor in callback.state_dict().values():
            assert tensor.numel()
    before = memories(trainer)
    with pytest.raises(ValueError, match=message):
        load_state(checkpoint, trainer.noise_callbacks, trainer._identity())
    assert all(torch.equal(one, other) for one, other in zip(before, memories(trainer), strict=True))


def header(value: bytes, size: int | None = None) -> bytes:
    return struct.pack("<Q", len(value) if size is None else size) + value


BYTE_CRAFTS = {
    "a huge header": header(b"{}", size=1 << 62),
    "a header longer than the file": header(b"{}", size=1000),
    "a header that is no JSON": header(b"\x80\x04cos\nsystem\n"),
    "nothing": b"",
    "offsets beyond the file": header(
        json.dumps({"0.ExampleDynamics.sums": {"dtype": "F32", "shape": [9], "data_offsets": [0, 36]}}).encode()
    ),
}


@pytest.mark.parametrize("content", BYTE_CRAFTS.values(), ids=BYTE_CRAFTS.keys())
def test_a_file_that_is_no_state_raises_and_touches_nothing(tmp_path, content):
    trainer, checkpoint = trained(tmp_path)
    (checkpoint / STATE_NAME).write_bytes(content)
    before = memories(trainer)
    with pytest.raises(ValueError, match=f"its {STATE_NAME} cannot be read"):
        load_state(checkpoint, trainer.noise_callbacks, trainer._identity())
    assert all(torch.equal(one, other) for one, other in zip(before, memories(trainer), strict=True))


def test_a_whole_state_comes_back(tmp_path):
    trainer, checkpoint = trained(tmp_path)
    expected = memories(trainer)
    for callback in trainer.noise_callbacks:
        for name, tensor in callback.state_dict().items():
            callback.load_state_dict({**callback.state_dict(), name: torch.zeros_like(tensor)})
    assert not all(torch.equal(one, other) for one, other in zip(expected, memories(trainer), strict=True))
    assert load_state(checkpoint, trainer.noise_callbacks, trainer._identity()) == 0
    assert all(torch.equal(one, other) for one, other in zip(expected, memories(trainer), strict=True))
