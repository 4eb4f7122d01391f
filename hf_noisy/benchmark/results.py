"""The file of results: one JSON object a line, one line a run."""

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

from hf_noisy.benchmark.rows import Outcome
from hf_noisy.benchmark.settings import Run, Settings
from hf_noisy.data.metrics import compute_metrics

KEYS = (
    "dataset",
    "method",
    "params",
    "seed",
    "epochs",
    "noise_rate",  # share of wrong labels among those given, by gold labels; null where these are unknown
    "estimated_noise_rate",  # by the method itself; null where it estimates none
    "accuracy_last",
    "accuracy_chosen",  # by the stopping rule, which reads no gold label
    "accuracy_best",  # by test accuracy: for the regret only
    "f1_last",
    "f1_chosen",
    "f1_best",
    "train_seconds",  # without what measuring took
    "cost",  # a multiple of `ce` on the same corpus and seed, run beside it: train_seconds; on a CPU processor_seconds
    "peak_memory_mb",  # of the accelerator; of the whole process where there is none
    "train_rows",  # that the final training saw
    "reads_gold",  # labels of training or validation rows
    "versions",
    "learning_rate",  # chosen from the grid
    "settings",  # equal for all lines that may be compared
    "test_rows",
    "processor_seconds",  # of all threads; hardly disturbed by what else the machine does
    "correct_chosen",  # hex of the packed bits: was each test row right at the chosen epoch
    "ce_seconds",  # of that `ce`: cost times this is what the run took; it may be another run of it than the line of `ce`
    "accuracy_by_rule",  # rule of stopping -> accuracy at the epoch that it picks; null where there is nothing to pick by
)
OPTIONAL = ("accuracy_by_rule", "ce_seconds")  # which older lines lack
_PACKAGES = ("hf_noisy", "torch", "transformers", "accelerate", "datasets", "snorkel")


def to_line(run: Run, settings: Settings, outcome: Outcome, data: Any, peak_memory_mb: float) -> dict[str, Any]:
    """The line of a finished run; `cost` is still to come."""
    gold = data.test.gold
    line: dict[str, Any] = dict.fromkeys(KEYS)
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
        "peak_memory_mb": round(peak_memory_mb, 1),
        "train_rows": outcome.train_rows,
        "reads_gold": run.reads_gold,
        "versions": versions(run),
        "learning_rate": outcome.learning_rate,
        "settings": settings.record(),
        "test_rows": len(gold),
    }
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
    """What makes two lines the same run."""
    return json.dumps([line[key] for key in ("dataset", "method", "params", "seed", "settings")], sort_keys=True)


def read_results(path: str | Path) -> list[dict[str, Any]]:
    """The lines of a file of results; a last line that an interruption cut short is left out.

    Raises:
        FileNotFoundError: no such file.
        ValueError: a line that is not a run of this schema, with its number and what differs.
    """
    path = Path(path)
    text = path.read_text(encoding="utf-8")
    whole = text.split("\n")[:-1]  # what follows the last line break was cut short
    return [_parse(f"{path}, line {number}", line) for number, line in enumerate(whole, start=1) if line.strip()]


def open_results(path: Path) -> list[dict[str, Any]]:
    """The runs that a file already holds; makes it ready for more.

    Raises:
        ValueError: as `read_results`; the file is then left as it was.
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
    """Adds runs, and returns when they are on the disk."""
    with path.open("a", encoding="utf-8") as file:
        for line in lines:
            file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())


def versions(run: Run) -> dict[str, str]:
    """Of what the figures depend on."""
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
    known = (outcome.labels >= 0) & (gold >= 0)
    return float((outcome.labels != gold)[known].mean()) if known.any() else None


def _score(found: np.ndarray, gold: np.ndarray, classes: int) -> dict[str, float]:
    return compute_metrics(EvalPrediction(predictions=np.eye(classes)[found], label_ids=gold))
