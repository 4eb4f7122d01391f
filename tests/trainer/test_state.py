"""The file in which methods remember: one of another run, of another version or made to do harm raises and touches nothing."""

from __future__ import annotations

import ast
import json
import pickle
import pickletools
import shutil
import struct
import zipfile
from pathlib import Path

import pytest
import torch
from conftest import make_trainer, tiny_model
from safetensors import safe_open
from safetensors.torch import save_file

import hf_noisy
from hf_noisy import NoiseCallback, NoisyTrainer
from hf_noisy.trainer.state import STATE_NAME, load_state, save_state

ELR, RECORD = "1.EarlyLearningRegularization", "2.SupervisionRecord"
Trained = tuple[NoisyTrainer, Path]


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Trained:
    """A trainer after its only epoch, and its checkpoint."""
    folder = tmp_path_factory.mktemp("trained")
    trainer = make_trainer(
        folder, model=tiny_model(), noise_method="elr", save_strategy="steps", save_steps=5, num_train_epochs=1
    )
    trainer.train()
    return trainer, folder / "checkpoint-5"


def contents(checkpoint: Path) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    with safe_open(checkpoint / STATE_NAME, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118


def memories(trainer: NoisyTrainer) -> list[torch.Tensor]:
    return [tensor.clone() for callback in trainer.noise.callbacks for tensor in callback.state_dict().values()]


def refused(trainer: NoisyTrainer, folder: Path, message: str) -> None:
    """Its state is refused, and everything that is remembered stays as it was."""
    before = memories(trainer)
    assert all(tensor.numel() for tensor in before)
    with pytest.raises(ValueError, match=message):
        load_state(
            folder,
            trainer.noise.callbacks,
            trainer._noise.identity(trainer.model.config.num_labels, trainer.train_dataset),
        )
    assert all(torch.equal(one, other) for one, other in zip(before, memories(trainer), strict=True))


TENSOR_CRAFTS = {
    "a tensor is missing": (lambda t, m: t.pop(f"{ELR}.targets"), "lacks 'targets'"),
    "all tensors are missing": (lambda t, m: t.clear(), "lacks 'sums'"),
    "fewer rows": (lambda t, m: t.update({f"{RECORD}.facts": torch.zeros(19, 5, 1)}), r"of shape \(19, 5, 1\)"),
    "other dimensions": (lambda t, m: t.update({"0.ExampleDynamics.sums": torch.zeros(20)}), r"of shape \(20,\)"),
    "whole numbers for fractions": (
        lambda t, m: t.update({f"{ELR}.targets": torch.zeros(20, 1, 3, dtype=torch.int64)}),
        "'targets' of whole numbers: expected fractions",
    ),
    "fractions for whole numbers": (
        lambda t, m: t.update({"0.ExampleDynamics.skipped": torch.zeros(20)}),
        "'skipped' of fractions: expected whole numbers",
    ),
    "truth values for whole numbers": (
        lambda t, m: t.update({"0.ExampleDynamics.skipped": torch.zeros(20, dtype=torch.bool)}),
        "'skipped' of truth values",
    ),
    "a negative counter": (
        lambda t, m: t.update({"0.ExampleDynamics.skipped_batches": torch.tensor(-1)}),
        "skipped_batches=-1: expected a count, 0 or more",
    ),
    "another version": (lambda t, m: m.update(version="0"), "version '0'"),
    "no version": (lambda t, m: m.pop("version"), "version None"),
    "a path for a method": (lambda t, m: m.update(methods="../../../etc/passwd"), "methods '../../../etc/passwd'"),
    "other classes": (lambda t, m: m.update(classes="4"), "classes '4', this run has '3'"),
    "other texts": (lambda t, m: m.update(tokens="0"), "tokens '0', this run has .*other texts"),
    "code for an epoch": (lambda t, m: m.update(epoch="__import__('os')"), "epoch .*: expected a whole number"),
    "an epoch below -1": (lambda t, m: m.update(epoch="-2"), "epoch '-2': expected a whole number"),
    "an epoch twice negative": (lambda t, m: m.update(epoch="--3"), "epoch '--3': expected a whole number"),
    "an epoch that is NaN": (lambda t, m: m.update(epoch="NaN"), "epoch 'NaN': expected a whole number"),
    "an epoch that is infinite": (lambda t, m: m.update(epoch="Infinity"), "epoch 'Infinity': expected a whole"),
    "an epoch of 5000 digits": (lambda t, m: m.update(epoch="9" * 5000), "expected a whole number"),
    "no epoch": (lambda t, m: m.pop("epoch"), "epoch None: expected a whole number"),
    "no metadata": (lambda t, m: m.clear(), "version None"),
}


@pytest.mark.parametrize(("craft", "message"), TENSOR_CRAFTS.values(), ids=TENSOR_CRAFTS.keys())
def test_a_crafted_state_raises_and_touches_nothing(trained, tmp_path, craft, message):
    trainer, checkpoint = trained
    tensors, metadata = contents(checkpoint)
    craft(tensors, metadata)
    save_file(tensors, tmp_path / STATE_NAME, metadata=metadata)
    refused(trainer, tmp_path, message)


def header(value: bytes | dict, size: int | None = None) -> bytes:
    value = json.dumps(value).encode() if isinstance(value, dict) else value
    return struct.pack("<Q", len(value) if size is None else size) + value


def tensor(dtype: str, shape: list, begin: int, end: int) -> dict:
    return {"0.ExampleDynamics.sums": {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}}


BYTE_CRAFTS = {
    "nothing": b"",
    "a huge header": header(b"{}", size=1 << 62),
    "a header longer than the file": header(b"{}", size=1000),
    "a pickle for a header": header(b"\x80\x04cos\nsystem\n"),
    "a header nested without end": header(b'{"a":' * 100_000),
    "a header of NaN": header(b'{"__metadata__":{},"a":NaN}'),
    "a size that is infinite": header(tensor("F32", [float("inf")], 0, 36)),
    "metadata that are no words": header({"__metadata__": {"version": 2, "epoch": [0]}}),
    "offsets beyond the file": header(tensor("F32", [9], 0, 36)),
    "offsets backwards": header(tensor("F32", [1], 4, 0)) + b"\0" * 4,
    "a negative size": header(tensor("F32", [-1], 0, 4)) + b"\0" * 4,
    "a size that overflows": header(tensor("F32", [1 << 62, 1 << 62], 0, 4)) + b"\0" * 4,
    "a type of its own": header(tensor("OBJECT", [1], 0, 4)) + b"\0" * 4,
}


@pytest.mark.parametrize("content", BYTE_CRAFTS.values(), ids=BYTE_CRAFTS.keys())
def test_a_file_that_is_no_state_raises_and_touches_nothing(trained, tmp_path, content):
    (tmp_path / STATE_NAME).write_bytes(content)
    refused(trained[0], tmp_path, f"its {STATE_NAME} cannot be read")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_a_state_that_is_cut_short_raises_and_touches_nothing(trained, tmp_path, share):
    whole = (trained[1] / STATE_NAME).read_bytes()
    (tmp_path / STATE_NAME).write_bytes(whole[: int(share * len(whole))])
    refused(trained[0], tmp_path, f"its {STATE_NAME} cannot be read")


def test_a_whole_state_comes_back(trained):
    trainer, checkpoint = trained
    expected = memories(trainer)
    for callback in trainer.noise.callbacks:
        callback.load_state_dict({name: torch.zeros_like(value) for name, value in callback.state_dict().items()})
    assert not all(torch.equal(one, other) for one, other in zip(expected, memories(trainer), strict=True))
    assert (
        load_state(
            checkpoint,
            trainer.noise.callbacks,
            trainer._noise.identity(trainer.model.config.num_labels, trainer.train_dataset),
        )
        == 0
    )
    assert all(torch.equal(one, other) for one, other in zip(expected, memories(trainer), strict=True))


class Remembers(NoiseCallback):
    """One number; it refuses one above 9."""

    def __init__(self, number: float) -> None:
        self.number = torch.tensor(number)

    def state_dict(self):
        return {"number": self.number}

    def load_state_dict(self, state):
        self.number.copy_(state["number"])
        if self.number > 9:
            raise KeyError("above 9")


def test_where_one_method_refuses_its_state_all_are_as_they_were(tmp_path):
    save_state(tmp_path, [Remembers(5.0), Remembers(10.0)], {}, epoch=0)
    now = [Remembers(1.0), Remembers(2.0)]
    with pytest.raises(ValueError, match=r"Remembers cannot take its state \(KeyError\('above 9'\)\). Resume"):
        load_state(tmp_path, now, {})
    assert [float(callback.number) for callback in now] == [1.0, 2.0]
    save_state(tmp_path, [Remembers(5.0), Remembers(9.0)], {}, epoch=3)
    assert load_state(tmp_path, now, {}) == 3
    assert [float(callback.number) for callback in now] == [5.0, 9.0]


# ---- no code from data ----

PEERS = "co_teaching+noise_adaptation"
PICKLES_OF_THE_STOCK_TRAINER = {"optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin"}


class Opens:
    """Unpickled, it writes a file."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self):
        return open, (self.path, "w")


def is_pickle(path: Path) -> bool:
    if zipfile.is_zipfile(path):
        return True  # as torch.save writes it
    try:
        return any(operation.name == "STOP" for operation, _, _ in pickletools.genops(path.read_bytes()))
    except (ValueError, UnicodeDecodeError):
        return False


@pytest.fixture(scope="module")
def peers(tmp_path_factory) -> Path:
    """A checkpoint with all that we write: a second network, a noise channel, what methods remember."""
    folder = tmp_path_factory.mktemp("peers")
    make_trainer(folder, noise_method=PEERS, max_steps=2, save_strategy="steps", save_steps=2).train()
    return folder / "checkpoint-2"


def test_what_we_write_into_a_checkpoint_is_no_pickle(peers):
    files = {str(path.relative_to(peers)): path for path in peers.rglob("*") if path.is_file()}
    assert {STATE_NAME, "channel.safetensors", "network-1/model.safetensors"} <= set(files)
    pickles = {name for name, path in files.items() if is_pickle(path)}
    assert {Path(name).name for name in pickles} == PICKLES_OF_THE_STOCK_TRAINER
    assert {Path(name).suffix for name in set(files) - pickles} == {".json", ".safetensors", ".md"}


@pytest.mark.parametrize("name", sorted(PICKLES_OF_THE_STOCK_TRAINER))
def test_a_pickle_in_a_checkpoint_runs_nothing(peers, tmp_path, name):
    harm, checkpoint = tmp_path / "harm", tmp_path / "checkpoint-2"
    shutil.copytree(peers, checkpoint)
    torch.save(Opens(harm), checkpoint / name)
    trainer = make_trainer(tmp_path, noise_method=PEERS, max_steps=3)
    if name == "training_args.bin":  # never read
        trainer.train(resume_from_checkpoint=str(checkpoint))
    else:
        with pytest.raises(pickle.UnpicklingError, match="weights_only"):
            trainer.train(resume_from_checkpoint=str(checkpoint))
    assert not harm.exists()
    torch.load(checkpoint / name, weights_only=False).close()  # what would have been
    assert harm.exists()


RUN_WHAT_THEY_READ = {
    "pickle",
    "_pickle",
    "cPickle",
    "dill",
    "cloudpickle",
    "joblib",
    "marshal",
    "shelve",
    "imp",
    "code",
}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
CALLS = {
    *(
        "torch.load",
        "torch.jit.load",
        "torch.hub.load",
        "numpy.load",
        "pandas.read_pickle",
        "yaml.load",
        "yaml.load_all",
    ),
    *("yaml.unsafe_load", "yaml.unsafe_load_all", "yaml.full_load", "yaml.full_load_all", "importlib.import_module"),
    *("runpy.run_path", "runpy.run_module", "os.system", "os.popen"),
}
ARGUMENTS = {"trust_remote_code", "allow_pickle", "shell"}


def runs_data(source: str) -> list[str]:
    """What in a Python file could run code that it reads; each with its line."""
    tree, real, found = ast.parse(source), {}, []
    for node in ast.walk(tree):  # first what names stand for
        if isinstance(node, ast.Import):
            real |= {name.asname: name.name for name in node.names if name.asname}
            found += [f"{node.lineno}: {n.name}" for n in node.names if n.name.split(".")[0] in RUN_WHAT_THEY_READ]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            real |= {name.asname or name.name: f"{node.module}.{name.name}" for name in node.names}
            if str(node.module).split(".")[0] in RUN_WHAT_THEY_READ:
                found.append(f"{node.lineno}: {node.module}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BUILT_IN:
            found.append(f"{node.lineno}: {node.id}")
        if isinstance(node, ast.keyword) and node.arg in ARGUMENTS and not is_false(node.value):
            found.append(f"{node.value.lineno}: {node.arg}")
        if isinstance(node, ast.Name | ast.Attribute):
            first, _, rest = dotted(node).partition(".")
            called = f"{real.get(first, first)}{'.' * bool(rest)}{rest}"
            found += [f"{node.lineno}: {called}"] if called in CALLS else []
    return found


def dotted(node: ast.AST) -> str:
    """`a.b.c` of an attribute of a name, "" of one of anything else."""
    if isinstance(node, ast.Attribute):
        return f"{before}.{node.attr}" if (before := dotted(node.value)) else ""
    return node.id if isinstance(node, ast.Name) else ""


def is_false(value: ast.expr) -> bool:
    return isinstance(value, ast.Constant) and value.value is False


@pytest.mark.parametrize(
    "line",
    [
        "import pickle",
        "import dill as d",
        "from joblib import load",
        "import torch as t\nt.load('x')",
        "from torch import load as read\nread('x')",
        "import torch\nread = torch.load",
        "import torch\ntorch.load('x', weights_only=True)",
        "import numpy as np\nnp.load('x', allow_pickle=True)",
        "import numpy as np\nnp.load('x')",
        "import yaml\nyaml.load(text, Loader=yaml.SafeLoader)",
        "from yaml import unsafe_load\nunsafe_load(text)",
        "import pandas\npandas.read_pickle('x')",
        "eval('1')",
        "run = exec",
        "__import__('os')",
        "import importlib\nimportlib.import_module(name)",
        "load_dataset(name, trust_remote_code=True)",
        "load_dataset(name, trust_remote_code=trust)",
    ],
)
def test_the_search_for_code_that_runs_data_finds(line):
    assert runs_data(line)


def test_the_search_finds_no_more_than_that():
    harmless = """
import re, torch, yaml
from importlib.metadata import version
model.eval(); re.compile("x"); yaml.safe_load(text); load_state(folder); AutoModel.from_pretrained(name, trust_remote_code=False)
from hf_noisy.trainer.state import load_state
"""
    assert runs_data(harmless) == []


def test_nothing_of_ours_runs_code_that_it_reads():
    package = Path(hf_noisy.__file__).parent
    files = sorted(
        [
            *package.rglob("*.py"),
            *package.parent.glob("recipes/*.py"),
            *package.parent.glob("examples/*.py"),
            *package.parent.glob("tests/measure/*.py"),
        ]
    )
    for name in (
        "stock_trainer_tests",
        "stock_clients",
        "stock_files",
    ):  # they run tests and programs that their user names
        files.remove(package.parent / "tests" / "measure" / f"{name}.py")
    assert len(files) > 80
    assert {str(path): found for path in files if (found := runs_data(path.read_text(encoding="utf-8")))} == {}
