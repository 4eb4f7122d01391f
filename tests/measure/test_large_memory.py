"""What `large_memory.py` says of bytes a row is what the tables take."""

from __future__ import annotations

import gc
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from fuzz import learning_briefly

from hf_noisy import METHODS, Memory, NoiseCallback
from hf_noisy.methods.parts.prediction_changes import PredictionChanges


def example(name: str):
    path = Path(__file__).resolve().parents[2] / "tests" / "measure" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


large_memory, large_dataset = example("large_memory"), example("large_dataset")
ROWS, CLASSES = 1000, 7
BY_HAND = {  # stated at 7 classes: (bytes a row, of these in a checkpoint)
    "always: dynamics": (1 + 4 * (5 + 7), 4 * (5 + 7)),  # covered; five sums and the probabilities
    "elr": (4 * 7, 4 * 7),
    "dividemix": (2 * (4 + 1), 2 * (4 + 1)),  # of each network, a probability and whether the label is kept
    "gce_truncated": (1, 1),
    "NoisyStopping": (8, 8),
    "forward": (0, 0),
}


@pytest.fixture(autouse=True)
def _learning_briefly():
    with learning_briefly():  # of a mentor
        yield


def tables_alive() -> dict[int, int]:
    """Address -> bytes of each storage that holds a number a row or more."""
    gc.collect()
    found = [
        value
        for value in gc.get_objects()
        if torch.is_tensor(value) and ROWS <= max(value.shape, default=0) <= ROWS + 1
    ]
    return {value.untyped_storage().data_ptr(): value.untyped_storage().nbytes() for value in found}


def remembering() -> list[str]:
    return [name for name in large_memory.KEPT if large_memory.made(name, 1)]


@pytest.mark.parametrize("name", remembering())
def test_what_is_stated_is_what_the_tensors_take(name):
    (callback,) = large_memory.made(name, ROWS)
    context = large_memory.context_of(ROWS, CLASSES, callback.num_networks)
    before = tables_alive()
    callback.setup(context)
    measured = sum(size for place, size in tables_alive().items() if place not in before)
    stated = ROWS * sum(t[:1].numel() * t.element_size() for _, t in large_memory.tables(callback, context))
    held = [value.table if isinstance(value, PredictionChanges) else value for value in vars(callback).values()]
    memories = [value for value in held if isinstance(value, Memory)]
    spare = sum(memory.values[:1].numel() * memory.values.element_size() for memory in memories)  # their last rows
    assert measured == stated + spare


@pytest.mark.parametrize("name", BY_HAND)
def test_bytes_a_row_and_in_a_checkpoint(name):
    found = large_memory.measure(name, ROWS, CLASSES)
    assert (found["stated"], found["stored"]) == BY_HAND[name]
    if found["stored"]:
        assert ROWS * found["stored"] <= found["file"] < ROWS * found["stored"] + 1000


def test_every_method_that_remembers_rows_is_in_the_table():
    own = {cls for cls in subclasses(NoiseCallback) if cls.__module__.startswith("hf_noisy.") and "setup" in vars(cls)}
    own = {cls for cls in own if not cls.__module__.startswith("hf_noisy.benchmark.")}  # it measures, and is no method
    shown = {base for name in remembering() for base in type(large_memory.made(name, 1)[0]).__mro__}
    assert own <= shown
    assert set(METHODS) <= set(large_memory.KEPT)


def subclasses(cls: type) -> set[type]:
    return {cls}.union(*(subclasses(child) for child in cls.__subclasses__()))


def test_a_method_that_would_need_too_much_is_computed_and_not_run(monkeypatch, capsys):
    ran = []

    def in_child(name, rows, classes):
        ran.append(rows)
        return large_memory.measure(name, rows, classes) | {"start": 0, "most": 250}

    monkeypatch.setattr(large_memory, "in_child", in_child)
    monkeypatch.setattr(large_memory, "FEW", 100)
    monkeypatch.setattr(
        "sys.argv", ["", "--rows", "1000", "--classes", "3", "--names", "elr", "--most_gigabytes", "2e-4"]
    )
    large_memory.main()
    assert ran == [100]
    assert capsys.readouterr().out.splitlines()[-1].startswith("| elr | 12 |")
    assert "not run" in large_memory.line("elr", 1000, large_memory.measure("elr", 100, 3), None)


def test_tokens_are_rows_of_ids():
    assert np.array_equal(large_memory.Tokens(3)[1]["input_ids"][:2], [1, 2])
    assert len(large_memory.Tokens(3)) == 3


def test_a_large_dataset_is_written_in_parts_and_trained_on(monkeypatch, capsys):
    monkeypatch.setattr(large_dataset, "AT_ONCE", 150)
    monkeypatch.setattr(large_dataset, "STEPS", 2)
    monkeypatch.setattr("sys.argv", ["", "--rows", "400"])
    large_dataset.main()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("400 rows")
    assert [line.split("|")[2].strip() for line in lines[-4:]] == [
        "load and shuffle",
        "make the trainer",
        "2 steps",
        "report",
    ]
