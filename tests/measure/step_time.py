"""Measures whether a change makes steps slower, memory use larger or the import slower. Compares two checkouts.

    python tests/measure/step_time.py --before FOLDER --methods ce co_teaching auto

Both checkouts train the same encoder (random weights, 6 layers, width 384) on the same batches, each in its own process. The
processes alternate single steps, and the order alternates too, so that a busy machine slows both. Several such pairs run one
after the other. For each method it prints the median over pairs of the median ratio of step times (this checkout over the
one before) with a 95 % bootstrap interval over pairs and steps, the ratio of each pair, and the median ratio of peak memory.
Then it prints the ratio of import times, measured in fresh processes in turn. With an identical checkout as --before, it
shows the variation due to chance. With `--before stock`, the side before is the `Trainer` of Transformers, without a method.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parents[2]
THREADS = "STEP_TIME_THREADS"  # of each process; all cores without it, but one is steadier on a machine that others use
STOCK = Path("stock")  # in place of a checkout: the `Trainer` of Transformers
IMPORT = (
    "import time; start = time.perf_counter(); from hf_noisy import NoisyTrainer; print(time.perf_counter() - start)"
)


class Checkout:
    """A process that trains with one checkout, one step per request."""

    def __init__(self, folder: Path, method: str, steps: int, rows: int) -> None:
        stock = ["--stock"] if folder == STOCK else []
        words = [
            sys.executable,
            str(Path(__file__).resolve()),
            "--worker",
            method,
            "--steps",
            str(steps),
            "--rows",
            str(rows),
            *stock,
        ]
        self.process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment(folder)
        )

    def ask(self, what: str) -> float:
        """Send "step" or "finish". Returns the seconds of a step, or the peak memory in MiB."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{what}\n")
        self.process.stdin.flush()
        for line in self.process.stdout:
            if line.startswith("answer "):
                return float(line.split()[1])
        raise RuntimeError("the process ended; the reason stands above")


def environment(folder: Path) -> dict[str, str]:
    quiet = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONDONTWRITEBYTECODE": ""}
    return {**os.environ, **quiet, "PYTHONPATH": str(HERE if folder == STOCK else folder)}


def work(method: str, steps: int, rows: int, stock: bool) -> None:
    """Train `method`, or the stock Trainer, one step for each line on standard input."""
    import datasets
    import torch
    from transformers import BertConfig, BertForSequenceClassification, Trainer, TrainerCallback, set_seed

    from hf_noisy import NoisyTrainer, NoisyTrainingArguments

    class Turns(TrainerCallback):
        began: float | None = None

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if self.began is not None:
                print(f"answer {time.perf_counter() - self.began}", flush=True)
            if sys.stdin.readline().strip() == "finish":
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"answer {peak}", flush=True)
                os._exit(0)
            self.began = time.perf_counter()

    torch.set_num_threads(int(os.environ.get(THREADS) or os.cpu_count() or 1))
    set_seed(0)
    config = BertConfig(
        vocab_size=5000,
        hidden_size=384,
        num_hidden_layers=6,
        num_attention_heads=12,
        intermediate_size=1536,
        num_labels=3,
    )
    draw = np.random.default_rng(0)
    count = rows * (steps + 8)
    labels = draw.integers(0, 3, count)
    tokens = draw.integers(100, 5000, (count, 32))
    tokens[:, :6] = 10 + 10 * labels[:, None] + draw.integers(0, 10, (count, 6))  # tokens that depend on the class
    votes = np.where(draw.random((count, 4)) < 0.7, labels[:, None], draw.integers(0, 3, (count, 4)))
    votes[draw.random(votes.shape) < 0.3] = -1
    wrong = np.where(draw.random(count) < 0.2, (labels + 1) % 3, labels)
    table = {"input_ids": tokens.tolist(), "attention_mask": np.ones_like(tokens).tolist(), "labels": wrong.tolist()}
    table |= {"weak_labels": votes.tolist(), "text": [" ".join(map(str, row)) for row in tokens]}
    with tempfile.TemporaryDirectory() as folder:
        args = NoisyTrainingArguments(
            folder,
            noise_method=None if stock else method,
            per_device_train_batch_size=rows,
            num_train_epochs=2,
            learning_rate=1e-5,
            train_sampling_strategy="sequential",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            logging_steps=10_000,
            dataloader_pin_memory=False,
        )
        model = BertForSequenceClassification(config)
        kind: Any = Trainer if stock else NoisyTrainer
        kind(model, args, train_dataset=datasets.Dataset.from_dict(table), callbacks=[Turns()]).train()


def pair(before: Path, method: str, steps: int, rows: int) -> tuple[np.ndarray, float, float]:
    """Of one pair of processes: (steps,) ratios of step times, ratio of peak memory, and seconds per step before."""
    sides = {name: Checkout(folder, method, steps, rows) for name, folder in (("before", before), ("now", HERE))}
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    for turn in range(steps + 3):
        for name in list(sides) if turn % 2 else list(reversed(sides)):
            taken = sides[name].ask("step")
            if turn >= 3:  # the first steps warm up
                seconds[name].append(taken)
    memory = {name: side.ask("finish") for name, side in sides.items()}
    ratios = np.array(seconds["now"]) / np.array(seconds["before"])
    return ratios, memory["now"] / memory["before"], float(np.median(seconds["before"]))


def compare(before: Path, method: str, steps: int, rows: int, pairs: int) -> str:
    """A row of the table. Memory layout changes a process's speed, so the bootstrap draws pairs as well as steps."""
    found = [pair(before, method, steps, rows) for _ in range(pairs)]
    draw = np.random.default_rng(0)
    medians = np.array([np.median(ratios) for ratios, _, _ in found])
    draws = [
        np.median([np.median(draw.choice(found[k][0], steps)) for k in draw.integers(0, pairs, pairs)])
        for _ in range(2000)
    ]
    low, high = np.percentile(draws, [2.5, 97.5])
    return (
        f"| `{method}` | {1000 * np.median([one[2] for one in found]):.0f} | {np.median(medians):.3f} [{low:.3f}, {high:.3f}] "
        f"({', '.join(f'{value:.3f}' for value in medians)}) | {np.median([one[1] for one in found]):.3f} |"
    )


def import_ratio(before: Path, rounds: int) -> str:
    seconds: dict[str, list[float]] = {"before": [], "now": []}
    for turn in range(rounds + 1):
        for name, folder in (("before", before), ("now", HERE)):
            done = subprocess.run(
                [sys.executable, "-c", IMPORT],
                capture_output=True,
                text=True,
                check=True,
                env=environment(folder),
                cwd="/",
            )
            if turn:  # the first round warms the disk cache
                seconds[name].append(float(done.stdout.split()[-1]))
    ratio = np.median(np.array(seconds["now"]) / np.array(seconds["before"]))
    return f"import: {np.median(seconds['now']):.2f} s, {ratio:.3f} times the one before"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="another checkout of the repository, or the word stock")
    parser.add_argument("--methods", nargs="+", default=["ce", "co_teaching", "auto"])
    parser.add_argument("--steps", type=int, default=30, help="of each process")
    parser.add_argument("--pairs", type=int, default=5, help="of processes, for each method")
    parser.add_argument("--rows", type=int, default=16, help="of a batch")
    parser.add_argument("--rounds", type=int, default=7, help="of imports")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--stock", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given.steps, given.rows, given.stock)
        return
    if given.before is None or (given.before != STOCK and not (given.before / "hf_noisy").is_dir()):
        parser.error(f"--before {given.before}: expected a folder with another checkout of hf_noisy.")
    print(
        "| | before, ms a step | step time now / before [95 %] (of each pair) | peak memory now / before |\n|---|---|---|---|"
    )
    before = STOCK if given.before == STOCK else given.before.resolve()
    for method in given.methods:
        print(compare(before, method, given.steps, given.rows, given.pairs), flush=True)
    if before != STOCK:
        print(f"\n{import_ratio(before, given.rounds)}")


if __name__ == "__main__":
    main()
