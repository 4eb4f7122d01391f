"""Reads and writes the file of results: one JSON object per line, one line per run."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import EvalPrediction

from hf_noisy.benchmark.rows import Outcome, share_correct
from hf_noisy.benchmark.settings import Run, Settings
from hf_noisy.data.metrics import compute_metrics

KEYS = (
    "dataset",
    "method",
    "params",
    "seed",
    "epochs",
    "noise_rate",  # share of wrong given labels, by gold labels; null if these are unknown
    "estimated_noise_rate",  # by the method; null if it estimates none
    "accuracy_last",
    "accuracy_chosen",  # at the epoch of the stopping rule, which uses no gold labels
    "accuracy_best",  # at the epoch with the best test accuracy: only for the regret
    "f1_last",
    "f1_chosen",
    "f1_best",
    "train_seconds",  # without evaluation
    "cost",  # multiple of a `ce` run of the same corpus, seed and time, in train_seconds (on a CPU: processor_seconds)
    "peak_memory_mb",  # of the accelerator; of the whole process if there is none; null if runs share a process
    "train_rows",  # number of rows of the final training
    "reads_gold",  # whether gold labels of training or validation rows are used
    "versions",
    "learning_rate",  # chosen from the grid
    "settings",  # equal for all lines that may be compared
    "test_rows",
    "processor_seconds",  # of all threads; other load on the machine hardly affects it
    "correct_chosen",  # hex of packed bits: whether each test row is correct at the chosen epoch
    "ce_seconds",  # time of that `ce` run, not always that of the line of `ce`; cost * ce_seconds: time of this run
    "accuracy_by_rule",  # stopping rule -> accuracy at the epoch that it chooses; null without validation scores
    "given_correct",  # share of the labelled training rows whose given label is gold, where that is known
    "taught_correct",  # same, of the class taught in the last epoch: largest class of the target, ties shared; see TaughtLabels
    "choices",  # what the method decided automatically, as sentences, such as what `auto` took; null if nothing
)
OPTIONAL = ("accuracy_by_rule", "ce_seconds", "given_correct", "taught_correct", "choices")  # older lines lack them
CORRECT = ("given_correct", "taught_correct")  # left out where nothing is taught or no true label is known
_PACKAGES = ("hf_noisy", "torch", "transformers", "accelerate", "datasets", "snorkel")


def to_line(run: Run, settings: Settings, outcome: Outcome, data: Any, peak_memory_mb: float | None) -> dict[str, Any]:
    """Returns the line of a finished run, with an empty `cost`."""
    gold = data.test.gold
    line: dict[str, Any] = dict.fromkeys(key for key in KEYS if key not in CORRECT)
    line |= {
        "dataset": run.dataset,
        "method": run.method,
        "params": dict(run.params),
        "seed": run.seed,
        "epochs": len(outcome.predictions) if outcome.learning_rate is not None else 0,
        "noise_rate": _noise_rate(run, outcome, data),
        "estimated_noise_rate": outcome.estimated_noise_rate,
        "train_seconds": round(float(outcome.seconds[0]), 3),
        "processor_seconds": round(float(outcome.seconds[1]), 3),
        "peak_memory_mb": None if peak_memory_mb is None else round(peak_memory_mb, 1),
        "train_rows": outcome.train_rows,
        "reads_gold": run.reads_gold,
        "versions": versions(run),
        "learning_rate": outcome.learning_rate,
        "settings": settings.record(),
        "test_rows": len(gold),
        "choices": list(outcome.choices) or None,
    }
    if outcome.taught_correct is not None and outcome.labels is not None:
        given_correct = share_correct(outcome.labels, data.train.gold)
        line |= {"given_correct": given_correct, "taught_correct": outcome.taught_correct}
    if outcome.predictions:
        scores = [_score(found, gold, data.classes) for found in outcome.predictions]
        best = max(range(len(scores)), key=lambda epoch: scores[epoch]["accuracy"])
        for name, epoch in (("last", -1), ("chosen", outcome.chosen), ("best", best)):
            line[f"accuracy_{name}"], line[f"f1_{name}"] = scores[epoch]["accuracy"], scores[epoch]["f1"]
        at_rule = {rule: scores[epoch]["accuracy"] for rule, epoch in outcome.by_rule.items()}
        line["accuracy_by_rule"] = at_rule or None
        line["correct_chosen"] = np.packbits(outcome.predictions[outcome.chosen] == gold).tobytes().hex()
    return line


def identity(line: Mapping[str, Any]) -> str:
    """Returns a key that is equal for lines of the same run."""
    return json.dumps([line[key] for key in ("dataset", "method", "params", "seed", "settings")], sort_keys=True)


def read_results(path: str | Path) -> list[dict[str, Any]]:
    """Reads the lines of a file of results. Leaves out a last line that is incomplete because of an interruption.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: a line is not a run of this schema; the message gives its number and the difference.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    whole = text.split("\n")[:-1]  # text after the last line break is incomplete
    return [_parse(f"{path}, line {number}", line) for number, line in enumerate(whole, start=1) if line.strip()]


def open_results(path: Path) -> list[dict[str, Any]]:
    """Returns the lines of a file of results, and prepares the file for more lines.

    Raises:
        ValueError: as `read_results`; the file is not changed in this case.
    """
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return []
    lines = read_results(path)
    text = path.read_bytes()
    if text and not text.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(text.rfind(b"\n") + 1)
    return lines


def append(path: Path, lines: Iterable[Mapping[str, Any]]) -> None:
    """Appends lines, and returns when they are on the disk."""
    with path.open("a", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def versions(run: Run) -> dict[str, str]:
    """Returns the versions of packages and Python and the device, on which the results depend."""
    packages = (*_PACKAGES, "cleanlab") if run.method == "cleanlab" else _PACKAGES
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu"
    return {name: version(name) for name in packages} | {"python": platform.python_version(), "device": device}


def _parse(where: str, text: str) -> dict[str, Any]:
    fix = "Give --output another file, or remove this one."
    try:
        line = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"{where}: no JSON object ({error}). {fix}") from error
    if not isinstance(line, dict) or set(line) | set(OPTIONAL) != set(KEYS):
        found = set(line) if isinstance(line, dict) else set()
        missing, other = sorted(set(KEYS) - found - set(OPTIONAL)), sorted(found - set(KEYS))
        raise ValueError(
            f"{where}: of another schema: missing {', '.join(missing) or 'nothing'}; unknown "
            f"{', '.join(map(str, other)) or 'nothing'}. {fix}"
        )
    return line


def _noise_rate(run: Run, outcome: Outcome, data: Any) -> float | None:
    if outcome.labels is None:
        return None
    gold = data.clean.gold if run.method == "clean_valid" else data.train.gold
    correct = share_correct(outcome.labels, gold)
    return None if correct is None else 1 - correct


def _score(found: np.ndarray, gold: np.ndarray, classes: int) -> dict[str, float]:
    return compute_metrics(EvalPrediction(predictions=np.eye(classes)[found], label_ids=gold))
