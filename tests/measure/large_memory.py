"""What methods remember of each training row, in bytes: as their tables say, as measured, and in a checkpoint.

    python tests/measure/large_memory.py --rows 10000000 --classes 20 --most_gigabytes 18 --report tests/tables/memory.md

sets up each method that remembers rows, in a process of its own and without a model, for 200,000 rows and then for all of
them. It writes its state as a checkpoint does and reads it again. A method that would need more than `--most_gigabytes` is not
run with all rows; its gigabytes are computed from those of 200,000. Two rows of the table are kept with every method. While it
looks at all rows before an epoch, a method holds 4 x classes x (networks + 1) bytes a row more.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import psutil
import torch
from torch import nn

from hf_noisy import (
    METHODS,
    ClassWeights,
    Context,
    CrossEntropy,
    LabelCorrection,
    Memory,
    NoiseCallback,
    NoisyStopping,
    PseudoLabeling,
    RuleMasking,
)
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods.parts.dynamics import ExampleDynamics
from hf_noisy.methods.parts.prediction_changes import PredictionChanges
from hf_noisy.methods.parts.supervision_record import SupervisionRecord
from hf_noisy.models.context import CleanRows
from hf_noisy.trainer.state import STATE_NAME, load_state, save_state

FEW, SOURCES, TOKENS = 200_000, 5, 16
ALWAYS: dict[str, Callable[[], NoiseCallback]] = {
    "always: dynamics": ExampleDynamics,
    "with a method: record": SupervisionRecord,
}
OPTIONS: dict[str, Callable[[], NoiseCallback]] = {
    "label_correction, hard": lambda: LabelCorrection("hard"),
    "pseudo_labeling, soft": lambda: PseudoLabeling(targets="soft"),
    "pseudo_labeling, average": lambda: PseudoLabeling(refresh="average"),
    "rule_masking, folds": lambda: RuleMasking([[0, 1]], folds="weight"),
    "NoisyStopping": lambda: NoisyStopping("label_wave"),
    "ClassWeights": ClassWeights,
}
HEAD = """\
Of `{command}`, on a CPU: {rows:,} rows, {classes} classes, {sources} sources,
{tokens} tokens.

- stated: bytes a row of a method's tables, by their shapes; measured: what its process grew by, a row; at most: at its peak,
  writing and reading included; GB: stated, for all rows.
- in a checkpoint: bytes a row of what is stored; seconds of writing and reading it; GB of the file.

Two rows of the table are kept with every method. Methods that are a loss alone remember nothing. `truth_inference` and
`auto` also hold the vectors of all texts while they infer, 4 x width bytes a row, and `rule_masking` the tokens while it looks
for those of rules."""
COLUMNS = (
    "| method | stated | measured | at most | GB | in a checkpoint | write, s | read, s | file, GB |",
    "|---|---|---|---|---|---|---|---|---|",
)
KEPT = (*ALWAYS, *METHODS, *OPTIONS)


class Tokens:
    """Training rows of `TOKENS` tokens, made when they are read."""

    def __init__(self, rows: int) -> None:
        self.rows = rows

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> dict[str, np.ndarray]:
        return {"input_ids": (row + np.arange(TOKENS, dtype=np.int32)) % 1000}


def made(name: str, rows: int) -> list[NoiseCallback]:
    """The callbacks of a row of the table; none of a method that is a loss alone."""
    if name == "rule_masking, folds":
        return [RuleMasking([np.ones(TOKENS, dtype=np.int8)] * rows, folds="weight")]
    build = {**ALWAYS, **OPTIONS}.get(name) or METHODS[name].build
    found = build()
    return [found] if isinstance(found, NoiseCallback) else []


def context_of(rows: int, classes: int, networks: int) -> Context:
    """What a trainer would tell them, of labels and votes by lot."""
    draw = np.random.default_rng(0)
    model = nn.Linear(4, classes)
    model.config = SimpleNamespace(num_labels=classes)  # type: ignore[assignment]
    each = torch.arange(classes).repeat(2)  # a row of each class that is labelled right, and one that is not
    clean, given = (
        one_hot(labels, classes) for labels in (each, (each + (torch.arange(len(each)) >= classes)) % classes)
    )
    return Context(
        rows=rows,
        classes=classes,
        networks=networks,
        labels=torch.from_numpy(draw.integers(0, classes, rows)),
        votes=torch.from_numpy(draw.integers(-1, classes, (rows, SOURCES), dtype=np.int16)),
        criterion=CrossEntropy(),
        epochs=3,
        seed=0,
        device=torch.device("cpu"),
        clean=CleanRows(clean, given, lambda: clean.log_softmax(-1).unsqueeze(0)),
        model=model,
        dataset=Tokens(rows),
    )


def tables(callback: NoiseCallback, context: Context) -> Iterator[tuple[str, torch.Tensor]]:
    """Name and values of whatever a callback holds for each row, but for the trainer's own labels and votes."""
    given = {context.labels.data_ptr(), context.votes.data_ptr() if context.votes is not None else 0}
    for name, value in vars(callback).items():
        value = value.table if isinstance(value, PredictionChanges) else value
        value = value.values if isinstance(value, Memory) else value
        value = torch.from_numpy(value) if isinstance(value, np.ndarray) else value
        if torch.is_tensor(value) and value.ndim and len(value) == context.rows and value.data_ptr() not in given:
            yield name, value


def measure(name: str, rows: int, classes: int) -> dict[str, Any]:
    """What one method costs, in this process."""
    callbacks = made(name, rows)
    if not callbacks:
        return {}
    (callback,) = callbacks
    context, before, most = context_of(rows, classes, callback.num_networks), resident(), peak()
    callback.setup(context)
    found = {
        "stated": sum(table[:1].numel() * table.element_size() for _, table in tables(callback, context)),
        "tables": {key: f"{table.dtype} {list(table.shape[1:])}" for key, table in tables(callback, context)},
        "measured": (resident() - before) / rows,
        "stored": sum(
            t[:1].numel() * t.element_size() for t in callback.state_dict().values() if t.shape[:1] == (rows,)
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        save_state(folder, callbacks, {}, 0)
        written = time.perf_counter()
        load_state(folder, callbacks, {})
        found |= {"write": written - start, "read": time.perf_counter() - written}
        found["file"] = Path(folder, STATE_NAME).stat().st_size
    return found | {"most": (peak() - max(before, most)) / rows, "start": max(before, most)}


def resident() -> int:
    return psutil.Process().memory_info().rss


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def in_child(name: str, rows: int, classes: int) -> dict[str, Any]:
    """`measure` in a process of its own, so that nothing is measured that another method left behind."""
    with multiprocessing.get_context("fork" if sys.platform == "linux" else "spawn").Pool(1) as pool:
        return pool.apply(measure, (name, rows, classes))


def line(name: str, rows: int, few: dict[str, Any], full: dict[str, Any] | None) -> str:
    """One row of the table; `full` is None where all rows would be too many."""
    found = full or few
    size = f"{found['stated']} | {found['measured']:.0f} | {found['most']:.0f} | {rows * found['stated'] / 1e9:.2f}"
    if full is None:
        return f"| {name} | {size} | {few['stored']} | not run | not run | {rows * few['stored'] / 1e9:.2f} |"
    times = f"{found['write']:.1f} | {found['read']:.1f}"
    return f"| {name} | {size} | {found['stored']} | {times} | {found['file'] / 1e9:.2f} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--classes", type=int, default=20)
    parser.add_argument("--most_gigabytes", type=float, default=6.0)
    parser.add_argument("--names", nargs="+", choices=KEPT, default=list(KEPT), metavar="NAME")
    parser.add_argument("--report", type=Path, help="write the table to this file")
    given = parser.parse_args()
    command = f"python tests/measure/large_memory.py --rows {given.rows} --classes {given.classes}"
    about = HEAD.format(command=command, rows=given.rows, classes=given.classes, sources=SOURCES, tokens=TOKENS)
    written = [about, "", *COLUMNS]
    print("\n".join(written))
    for name in given.names:
        few = in_child(name, min(FEW, given.rows), given.classes)
        if not few or not few["tables"]:
            continue
        needed = few["start"] + given.rows * few["most"]
        full = in_child(name, given.rows, given.classes) if needed < given.most_gigabytes * 1e9 else None
        written.append(line(name, given.rows, few, full))
        print(written[-1], flush=True)
    if given.report is not None:
        given.report.write_text("\n".join([*written, ""]), encoding="utf-8")


if __name__ == "__main__":
    main()
