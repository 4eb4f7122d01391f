"""Two processes on one machine (gloo) do what one does; each test asserts that there really are two."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import gradient, make_trainer, relative_difference, token_dataset

from hf_noisy import METHODS

pytestmark = pytest.mark.slow
PARAMETERS = {"noise_adaptation": {"rate": 0.2}}  # so that the first step passes the channel
WORKER = Path(__file__).with_name("distributed_worker.py")


def start(folder: Path, *words: str) -> subprocess.CompletedProcess:
    """Run the worker on two ranks."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}"]
    return subprocess.run(
        [*command, str(WORKER), str(folder), *words],
        env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def two_ranks(folder: Path, *words: str) -> list[dict]:
    """What the worker wrote on each of two ranks."""
    done = start(folder, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    results = [torch.load(folder / f"rank{rank}.pt", weights_only=False) for rank in (0, 1)]
    assert [result["world_size"] for result in results] == [2, 2]
    return results


@pytest.mark.parametrize(
    ("rows", "method"),
    [(16, "ce"), (14, "ce"), (5, "ce"), (14, "elr"), (14, "noise_adaptation")],
    ids=["even", "repeated rows", "one rank repeats only", "with memory", "with a channel"],
)
def test_two_ranks_take_the_gradient_of_one_large_batch(tmp_path, rows, method):
    settings = {"noise_method": method, "noise_kwargs": PARAMETERS.get(method)}
    expected = gradient(tmp_path, token_dataset(rows), per_device_train_batch_size=rows, **settings)
    for result in two_ranks(tmp_path, "gradient", str(rows), method):
        assert relative_difference(result["gradient"], expected) < 1e-6


@pytest.fixture(scope="module")
def every(tmp_path_factory) -> list[dict]:
    """On each rank, by method: trained whole, and broken off inside the first epoch and resumed."""
    return two_ranks(tmp_path_factory.mktemp("every"), "every", "14", "every")


def test_both_ranks_hold_the_same_weights_memory_and_report(tmp_path, every):
    first, second = (found["gce_truncated"][0] for found in every)
    assert torch.equal(first["weights"], second["weights"])
    assert first["report"] == second["report"]
    assert first["seen"] == [2] * 14
    assert first["survey_rows"] == 14
    assert first["evaluated_rows"] == 7
    assert first["eval_loss"] == second["eval_loss"]
    evaluation = token_dataset(7, [0, 1, -1, 2, -1, 0, 1], seed=1)
    alone = make_trainer(tmp_path, eval_dataset=evaluation)
    torch.nn.utils.vector_to_parameters(first["weights"], alone.model.parameters())
    assert alone.evaluate()["eval_loss"] == pytest.approx(first["eval_loss"], rel=1e-5)


@pytest.mark.parametrize("method", sorted(METHODS))
def test_two_ranks_resume_exactly_in_the_middle_of_an_epoch_and_are_equal(every, method):
    (whole, resumed), (other_whole, other_resumed) = (found[method] for found in every)
    assert torch.equal(whole["weights"], other_whole["weights"])
    for name in ("report", "matrix"):
        assert whole[name] == other_whole[name]
    for one, again in ((whole, resumed), (other_whole, other_resumed)):
        assert torch.equal(one["weights"], again["weights"])
        assert one["report"] == again["report"]
        assert one["matrix"] == again["matrix"]


@pytest.mark.parametrize("settings", [{"even_batches": False}, {"split_batches": True}, {"dispatch_batches": True}])
def test_loaders_that_hide_which_process_holds_which_row_are_refused(tmp_path, settings):
    done = start(tmp_path, "train", "14", "gce", json.dumps(settings))
    assert done.returncode != 0
    assert f"{next(iter(settings))}=" in done.stderr


def test_copies_that_do_not_know_of_each_other_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    from types import SimpleNamespace

    from hf_noisy.launching import check_launched

    with pytest.raises(RuntimeError, match="WORLD_SIZE=2.*--use_cpu True"):
        check_launched(SimpleNamespace(world_size=1))
