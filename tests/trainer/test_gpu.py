"""What each method does on a GPU.

`python tests/trainer/test_gpu.py --table` asks every method and writes `tests/tables/gpu.md`; pytest, where there is a GPU, a few.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # where pytest finds conftest; for the script

import pytest
import torch
import transformers
from accelerate.state import AcceleratorState
from conftest import Gradients, StopAt, flat_weights, relative_difference, tiny_model
from test_precision import train

from hf_noisy import METHODS

TABLE = Path(__file__).resolve().parents[1] / "tables" / "gpu.md"
COMMAND = "python tests/trainer/test_gpu.py --table"
SAMPLE = ["ce", "co_teaching", "dividemix", "noise_adaptation_complex", "truth_inference"]
RESUME_AT = 7
DRAWS = {  # on the device: the heads of other networks, or which rows are dropped
    "co_teaching",
    "co_teaching_plus",
    "jocor",
    "dividemix",
    "mentornet_pd",
    "mentornet_dd",
}
PROCESSES = 8  # of the table
TOGETHER = 5  # methods that a process of it asks
PORT = 21000  # and those above it, of groups

os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # deterministic algorithms ask for it
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")


# ---- one function a column: what a cell says, or an AssertionError --------------------------------------------------


def single(folder: Path, method: str) -> str:
    """The first gradient is the CPU's but for rounding."""
    on_cpu, on_gpu = Gradients(), Gradients()
    train(folder / "cpu", method, model=tiny_model(), callbacks=[on_cpu])
    trainer = train(folder / "gpu", method, model=tiny_model(), callbacks=[on_gpu], use_cpu=False)
    assert {parameter.device.type for parameter in trainer.model.parameters()} == {"cuda"}
    assert torch.isfinite(flat_weights(trainer.model)).all()
    if method in DRAWS:
        return "runs, with draws of the GPU's own"
    apart = relative_difference(on_gpu.steps[0].cpu(), on_cpu.steps[0])
    assert apart < 1e-4, apart
    return f"runs, {apart:.0e} from the CPU's"


def half(folder: Path, method: str) -> str:
    """bfloat16: the first gradient is near that of 32 bits, and what is kept of examples and weights has 32 bits."""
    return _sixteen_bits(folder, method, bf16=True)


def scaled(folder: Path, method: str) -> str:
    """float16 with a scaled loss, likewise."""
    return _sixteen_bits(folder, method, fp16=True)


def _sixteen_bits(folder: Path, method: str, **precision: bool) -> str:
    watch, trainer = [Gradients(), Gradients()], None
    for name, callback, arguments in zip(("whole", "half"), watch, ({}, precision), strict=True):
        trainer = train(folder / name, method, model=tiny_model(), callbacks=[callback], use_cpu=False, **arguments)
    for callback in trainer.noise.callbacks:
        for key, value in callback.state_dict().items():
            assert value.dtype not in (torch.bfloat16, torch.float16), key
            assert not value.is_floating_point() or not torch.isinf(value).any(), key
    sums = trainer._noise.methods.dynamics.sums.values  # its last columns are probabilities, summed over epochs
    assert (sums[:, -3:].sum(-1) / sums[:, 0] - 1).abs().max() < 1e-5
    assert trainer.model.dtype == torch.float32
    assert torch.isfinite(flat_weights(trainer.model)).all()
    apart = relative_difference(watch[1].steps[0], watch[0].steps[0])
    assert 0 < apart < 0.1, apart
    return f"runs, {apart:.1%} apart"


def resumed(folder: Path, method: str) -> str:
    """Cut at a step, with dropout, and resumed: the weights of the unbroken run to the bit."""
    whole = train(folder / "whole", method, use_cpu=False)
    train(folder / "cut", method, callbacks=[StopAt(RESUME_AT)], use_cpu=False)
    again = train(folder / "cut", method, resume=str(folder / "cut" / f"checkpoint-{RESUME_AT}"), use_cpu=False)
    for one, other in zip(whole.noise.networks, again.noise.networks, strict=True):
        assert torch.equal(flat_weights(one), flat_weights(other))
    return "to the bit"


def split(folder: Path, method: str) -> str:
    """FSDP 2 over NCCL, in a group of one: the weights are those without, or one sentence refuses it."""
    sharded = {"fsdp": True, "fsdp_config": {"version": 2, "transformer_layer_cls_to_wrap": ["BertLayer"]}}
    plain = torch.load(folder.with_suffix(".pt"))
    try:
        trainer = train(folder, method, model=tiny_model(), use_cpu=False, optim="sgd", **sharded)
    except ValueError as error:
        return f"refused: {str(error).partition(': ')[2].partition('. ')[0]}"
    assert torch.distributed.get_backend() == "nccl"
    weights = [weight.detach().full_tensor().flatten() for weight in trainer.model.parameters()]
    apart = float((torch.cat(weights).cpu() - plain).abs().max())
    assert apart < 1e-5, apart
    return "runs, no difference" if apart == 0 else f"runs, difference {apart:.0e}"


COLUMNS: dict[str, Callable[[Path, str], str]] = {
    "float32": single,
    "bf16": half,
    "fp16": scaled,
    "resumed": resumed,
    "NCCL, FSDP 2": split,
}


def ask(column: str, methods: list[str], port: int) -> list[str]:
    """A cell of each method; what goes wrong becomes its text. `port`: of a group, if the column wants one."""
    torch.use_deterministic_algorithms(True)  # else sums of the embedding's gradient differ from run to run
    said, fill = [], COLUMNS[column]
    with tempfile.TemporaryDirectory() as folder:
        for method in methods if fill is split else ():
            plain = train(Path(folder, "plain"), method, model=tiny_model(), use_cpu=False, optim="sgd")
            torch.save(flat_weights(plain.model).cpu(), Path(folder, f"{method}.pt"))
        if fill is split:
            AcceleratorState._reset_state(reset_partial_state=True)
            os.environ |= {"RANK": "0", "WORLD_SIZE": "1", "LOCAL_RANK": "0"}
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        for method in methods:
            try:
                said.append(fill(Path(folder, method), method))
            except Exception as error:  # all cells are wanted
                said.append(f"FAILED: {type(error).__name__}: {' '.join(str(error).split())}")
    return said


# ---- the table ------------------------------------------------------------------------------------------------------


def table(methods: list[str], processes: int) -> list[str]:
    """A line a method; a process asks for a column of a few methods."""
    parts = [methods[at : at + TOGETHER] for at in range(0, len(methods), TOGETHER)]
    asked = [(column, part) for column in reversed(COLUMNS) for part in parts]
    cells: dict[tuple[str, str], str] = {}
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, mp_context=context, max_tasks_per_child=1) as pool:
        found = [pool.submit(ask, *one, PORT + at) for at, one in enumerate(asked)]
        for (column, part), said in zip(asked, found, strict=True):
            cells |= {(method, column): cell for method, cell in zip(part, said.result(), strict=True)}
    return [f"| `{name}` | {' | '.join(cells[name, column] for column in COLUMNS)} |" for name in methods]


def introduction() -> list[str]:
    versions = f"torch {torch.__version__}, Transformers {transformers.__version__}, Python {platform.python_version()}"
    return [
        f"Written by `{COMMAND}` on a {torch.cuda.get_device_name()}, {versions}. 16 rows, 12 steps, a tiny BERT.",
        "",
        "- float32: the relative difference of the first step's gradient, without dropout, from a CPU's.",
        "- bf16, fp16: from that of 32 bits; what is remembered of examples has 32 bits, and no number is infinite.",
        f"- resumed: the weights of all networks, with dropout, cut at step {RESUME_AT} and resumed, against the unbroken run;",
        "  torch's deterministic algorithms.",
        "- NCCL, FSDP 2: a group of one process, plain SGD: weights against those without a group, or why it is refused.",
        "",
    ]


def test_the_stored_table_has_a_row_for_each_method():
    lines = [line for line in TABLE.read_text(encoding="utf-8").splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == sorted(METHODS)
    assert not any("FAILED" in line for line in lines)


@needs_gpu
@pytest.mark.parametrize("column", COLUMNS)
def test_a_few_methods_do_what_the_table_says(column):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        cells = pool.submit(ask, column, SAMPLE, PORT).result()
    assert all(cell.startswith(("runs, ", "refused: ", "to the bit")) for cell in cells), cells


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--table", action="store_true", required=True, help="ask every method, and write the table")
    parser.add_argument("--processes", type=int, default=PROCESSES, help="at once")
    given = parser.parse_args()
    head = ["method", *COLUMNS]
    lines = table(sorted(METHODS), given.processes)
    whole = [*introduction(), f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *lines, ""]
    print("\n".join(whole))
    TABLE.write_text("\n".join(whole), encoding="utf-8")


if __name__ == "__main__":
    main()
