"""Time and memory of a NoisyTrainer before and after its steps, with a shuffled training set on the disk.

    python tests/measure/large_dataset.py --rows 10000000 --output recipes/results/large_dataset.jsonl

writes rows of four tokens, a label of 20 classes and five votes to an Arrow file, maps it into memory, shuffles it, makes a
trainer of a tiny model with ELR, trains 20 steps and asks for the report on all rows. "Memory" is what the process holds of
its own; "mapped" are pages of the file, which the system takes back when it needs them.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import psutil
import pyarrow as pa
from reporting import Line, Results, add_output
from transformers import BertConfig, BertForSequenceClassification, PrinterCallback

from hf_noisy import NoisyTrainer, NoisyTrainingArguments
from hf_noisy.benchmark.cells import markdown_table

CLASSES, TOKENS, SOURCES, WORDS = 20, 4, 5, 40
AT_ONCE, STEPS = 100_000, 20


def write(path: Path, rows: int) -> None:
    """Rows by lot, never more than `AT_ONCE` in memory."""
    draw = np.random.default_rng(0)

    def lists(values: np.ndarray) -> pa.Array:
        offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
        return pa.ListArray.from_arrays(offsets, values.ravel())

    def part(count: int) -> pa.Table:
        return pa.table(
            {
                "input_ids": lists(draw.integers(1, WORDS, (count, TOKENS), dtype=np.int32)),
                "labels": draw.integers(0, CLASSES, count),
                "weak_labels": lists(draw.integers(-1, CLASSES, (count, SOURCES), dtype=np.int16)),
            }
        )

    with pa.OSFile(str(path), "wb") as file, pa.ipc.new_stream(file, part(1).schema) as stream:
        for start in range(0, rows, AT_ONCE):
            stream.write_table(part(min(AT_ONCE, rows - start)))


def held() -> tuple[float, float]:
    """Megabytes of this process: its own, and pages of files."""
    info = psutil.Process().memory_info()
    shared = getattr(info, "shared", 0)  # where the system says so
    return (info.rss - shared) / 1e6, shared / 1e6


def timed(lines: list[Line], name: str, call: Callable[[], Any]) -> Any:
    """Call, and add a line with seconds and memory."""
    before, start = held(), time.perf_counter()
    found = call()
    seconds, after = time.perf_counter() - start, held()
    lines.append({"part": name, "seconds": seconds, "memory": after[0] - before[0], "mapped": after[1] - before[1]})
    return found


def make_trainer(dataset: datasets.Dataset, folder: str) -> NoisyTrainer:
    config = BertConfig(
        vocab_size=WORDS, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16,
        num_labels=CLASSES,
    )  # fmt: skip
    args = NoisyTrainingArguments(
        folder, noise_method="elr", per_device_train_batch_size=32, max_steps=STEPS, logging_steps=STEPS, use_cpu=True,
        save_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(BertForSequenceClassification(config), args, train_dataset=dataset)
    trainer.remove_callback(PrinterCallback)
    return trainer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000)
    add_output(parser)
    given = parser.parse_args()
    line = Results(given.output).once({"rows": given.rows}, lambda: measure(given.rows))
    print(f"{given.rows:,} rows, {line['file']:.0f} MB on the disk\n\n{table([line])}")


def measure(rows: int) -> Line:
    """Size of the file, and each part."""
    parts: list[Line] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "rows.arrow")
        write(path, rows)
        size = path.stat().st_size / 1e6
        dataset = timed(parts, "load and shuffle", lambda: datasets.Dataset.from_file(str(path)).shuffle(seed=0))
        trainer = timed(parts, "make the trainer", lambda: make_trainer(dataset, folder))
        timed(parts, f"{STEPS} steps", trainer.train)
        report = timed(parts, "report", trainer.example_report)
        assert len(report) == rows
    return {"file": size, "parts": parts}


def table(lines: list[Line]) -> str:
    """A row per part."""
    return markdown_table(
        ["rows", "part", "seconds", "memory, MB", "mapped, MB"],
        [
            [
                f"{line['rows']:,}",
                part["part"],
                f"{part['seconds']:.1f}",
                f"{part['memory']:+.0f}",
                f"{part['mapped']:+.0f}",
            ]
            for line in lines
            for part in line["parts"]
        ],
    )


if __name__ == "__main__":
    main()
