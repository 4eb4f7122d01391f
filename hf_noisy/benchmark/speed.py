"""Measures the time and memory of a step of each method, relative to the Trainer of Transformers."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from transformers import (
    AutoModelForSequenceClassification,
    PreTrainedModel,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)
from transformers.utils import logging

from hf_noisy.benchmark.processes import fresh_processes, peak_memory_mb
from hf_noisy.benchmark.settings import parse_method
from hf_noisy.common.progress import bars_aside, progress_bar, quietly
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.methods.registry import reads_clean
from hf_noisy.trainer.arguments import NoisyTrainingArguments
from hf_noisy.trainer.noisy_trainer import NoisyTrainer

STOCK, FLOOR = "Trainer", "forward and backward"
CLASSES, SOURCES = 4, 3
_DRAWS = 2000


@dataclass(frozen=True)
class StepCost:
    """The cost of one method, relative to the stock Trainer."""

    name: str
    ratio: float  # median over rounds of step time / mean of the stock steps before and after
    low: float  # 95 % bootstrap interval of that median
    high: float
    epoch_ratio: float  # ratio of the whole epoch, including the work of the method before it
    seconds: float  # median step
    memory_ratio: float  # ratio of peak memory
    networks: int = 1  # trained networks; a step needs at least one forward and backward for each


def measure_speed(
    methods: Sequence[str],
    model: str | None = None,
    *,
    rows: int = 32,
    length: int = 64,
    rounds: int = 40,
    bf16: bool = False,
    say: Callable[[str], None] = print,
) -> list[StepCost]:
    """Trains with each method and with the stock Trainer on the same batches, in alternating steps.

    Both sides run whole `train()` loops in separate processes. Only one process runs a step at a time. A step lasts
    from the end of the previous step to its own end. It includes data loading, clipping, optimizer and callbacks. The
    first epoch is not counted, because some methods warm up in it. A pass over the training set before the second epoch
    is part of `epoch_ratio`, but not of the median step. The first row is a bare forward and backward pass of one
    network on the same batches. Multiplied by the number of networks that a method trains, it is the floor of that
    method. Three sources vote on the rows. Methods that need trusted rows get as many as a batch has.

    Args:
        methods: specifications such as "gce" or "gce:q=0.5".
        model: name or folder of an encoder; None uses a small one.
        rows, length: texts per batch, and tokens per text.
        rounds: number of counted steps of each method.
        bf16: whether to use bfloat16 autocast.
        say: called with each line of progress.

    Raises:
        ValueError: an unknown method, or fewer than one round.
    """
    if rounds < 1:
        raise ValueError(f"rounds={rounds}: expected at least 1.")
    for spec in methods:
        parse_method(spec)
    batches = Batches(model, rows, length, rounds + 1, bf16)
    costs = []
    for name in progress_bar("Measuring steps", (FLOOR, *methods), unit="method"):
        cost = _against_stock(name, batches, rounds)
        with bars_aside():
            say(f"{name}: {cost.ratio:.3f} [{cost.low:.3f}, {cost.high:.3f}]")
        costs.append(cost)
    return costs


def render_speed(costs: Sequence[StepCost], title: str) -> str:
    """Returns the costs as a table in markdown."""
    (bare,) = (cost.ratio for cost in costs if cost.name == FLOOR)
    lines = [
        f"| {cost.name} | {cost.ratio:.3f} [{cost.low:.3f}, {cost.high:.3f}] | {cost.networks * bare:.2f} "
        f"| {cost.epoch_ratio:.2f} | {cost.memory_ratio:.2f} |"
        for cost in costs
    ]
    head = [
        "| against `Trainer` | step time, median ratio [95 %] | floor | epoch, ratio | peak memory, ratio |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([title, "", *head, *lines, ""])


@dataclass(frozen=True)
class Batches:
    """The encoder and the batches, the same for both sides."""

    model: str | None
    rows: int
    length: int
    steps: int
    bf16: bool

    def encoder(self) -> PreTrainedModel:
        """Returns the network, with a head for four classes."""
        set_seed(0)
        if self.model is None:
            return small_encoder(["a b c"], [str(k) for k in range(CLASSES)], max_length=max(self.length, 16))[0]
        return AutoModelForSequenceClassification.from_pretrained(
            self.model, num_labels=CLASSES, ignore_mismatched_sizes=True
        )

    def dataset(self, vocabulary: int) -> Dataset:
        """Returns random tokens, labels and votes; all texts have the same length."""
        return _drawn(self.steps * self.rows, self.length, vocabulary, 0)

    def trusted(self, vocabulary: int) -> Dataset:
        """Returns as many rows as a batch has, each with a trusted and an untrusted label."""
        rows = _drawn(self.rows, self.length, vocabulary, 1)
        untrusted = [votes[0] for votes in rows["weak_labels"]]
        return rows.remove_columns("weak_labels").add_column("given", untrusted)


def _drawn(rows: int, length: int, vocabulary: int, seed: int) -> Dataset:
    draw = np.random.default_rng(seed)
    ids = draw.integers(0, vocabulary, (rows, length))
    labels = draw.integers(0, CLASSES, rows)
    votes = draw.integers(-1, CLASSES, (rows, SOURCES))
    columns = {"input_ids": ids, "attention_mask": np.ones_like(ids), "labels": labels, "weak_labels": votes}
    return Dataset.from_dict({name: values.tolist() for name, values in columns.items()})


def _against_stock(name: str, batches: Batches, rounds: int) -> StepCost:
    context = fresh_processes()
    stock, other = _SteppedProcess(context, STOCK, batches), _SteppedProcess(context, name, batches)
    try:
        stocks, others = [stock.step()], []
        for _ in range(rounds):
            others.append(other.step())
            stocks.append(stock.step())
        (memory, networks), (of_stock, _) = other.finish(), stock.finish()
    finally:
        stock.process.kill()
        other.process.kill()
    ratios = np.array(others) / ((np.array(stocks[1:]) + np.array(stocks[:-1])) / 2)
    draws = np.random.default_rng(0).choice(ratios, (_DRAWS, rounds))
    low, high = np.percentile(np.median(draws, axis=1), (2.5, 97.5))
    epoch = float(np.mean(others) / np.mean(stocks))
    seconds = float(np.median(others))
    return StepCost(
        name, float(np.median(ratios)), float(low), float(high), epoch, seconds, memory / of_stock, networks
    )


class _SteppedProcess:
    """A process that runs one step on request."""

    def __init__(self, context: Any, name: str, batches: Batches) -> None:
        self.name = name
        self.connection, theirs = context.Pipe()
        self.process: Any = context.Process(target=_run_in_turns, args=(theirs, name, batches), daemon=True)
        self.process.start()
        theirs.close()

    def step(self) -> float:
        """Runs one step and returns its seconds."""
        return self._request("step")

    def finish(self) -> tuple[float, int]:
        """Returns the peak memory in MiB and the number of trained networks."""
        return self._request("finish")

    def _request(self, what: str) -> Any:
        try:
            self.connection.send(what)
            return self.connection.recv()
        except (EOFError, ConnectionError) as error:
            raise RuntimeError(f"{self.name}: its process died; the reason stands above, on stderr.") from error


def _run_in_turns(connection: Connection, name: str, batches: Batches) -> None:
    torch.set_num_threads(os.cpu_count() or 1)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    turns = Turns(connection)
    with quietly():  # the bar is that of the parent
        (_floor if name == FLOOR else _train)(name, batches, turns)


class Turns(TrainerCallback):
    """At the end of each step, sends the seconds that it took and waits for the next request."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.networks = 1
        self.began: float | None = None

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if state.global_step:  # second epoch; this callback runs before the method handles the event
            self.wait()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self.began is not None:
            self.wait()

    def wait(self) -> None:
        """Sends the seconds of the requested step, if any, then waits for the next request."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if self.began is not None:
            self.connection.send(time.perf_counter() - self.began)
        if self.connection.recv() == "finish":
            self.connection.send((peak_memory_mb(), self.networks))
            self.connection.recv()  # blocks until the process is killed
        self.began = time.perf_counter()


def _train(name: str, batches: Batches, turns: Turns) -> None:
    model = batches.encoder()
    with tempfile.TemporaryDirectory() as folder:
        common: dict[str, Any] = {
            "output_dir": folder,
            "num_train_epochs": 2,
            "per_device_train_batch_size": batches.rows,
            "learning_rate": 1e-5,
            "bf16": batches.bf16,
            "use_cpu": not torch.accelerator.is_available(),
            "train_sampling_strategy": "sequential",
            "save_strategy": "no",
            "report_to": "none",
            "disable_tqdm": True,
            "dataloader_pin_memory": False,
        }
        dataset = batches.dataset(model.config.vocab_size)
        if name == STOCK:
            dataset = dataset.remove_columns("weak_labels")
            Trainer(model, TrainingArguments(**common), train_dataset=dataset, callbacks=[turns]).train()
        else:
            method, params = parse_method(name)
            args = NoisyTrainingArguments(**common, noise_method=method, noise_kwargs=params)
            clean = batches.trusted(model.config.vocab_size) if reads_clean(method.split("+")) else None
            trainer = NoisyTrainer(model, args, train_dataset=dataset, clean_dataset=clean, callbacks=[turns])
            turns.networks = len(trainer.noise.networks)
            trainer.train()


def _floor(name: str, batches: Batches, turns: Turns) -> None:
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model: Any = batches.encoder()
    model.to(device).train()
    rows = batches.dataset(model.config.vocab_size).remove_columns("weak_labels").with_format("torch")
    turns.wait()
    for start in range(0, len(rows), batches.rows):
        batch = {key: value.to(device) for key, value in rows[start : start + batches.rows].items()}
        with torch.autocast(device, torch.bfloat16, enabled=batches.bf16):
            loss = model(**batch).loss
        loss.backward()
        model.zero_grad()
        turns.wait()
