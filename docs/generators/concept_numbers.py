"""The stored measurements behind the concepts: recipes/results/concepts.json, and parts of the benchmark's files."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from hf_noisy.benchmark.gap import Section, split_sections
from hf_noisy.benchmark.results import read_results

RESULTS = Path(__file__).resolve().parents[2] / "recipes" / "results"
CONCEPTS = RESULTS / "concepts.json"
NOISES = {"random": "labels wrong at random", "rules": "labels wrong by rules"}
RANDOM = "symmetric:0.2"  # the noise of the benchmark that stands beside labels as given


@cache
def concepts() -> dict[str, Any]:
    """What `concept_runs.measure` stored."""
    return json.loads(CONCEPTS.read_text(encoding="utf-8"))


def over_runs(noise: str, name: str) -> np.ndarray:
    """(runs, epochs) of a curve."""
    return np.array([run[noise][name] for run in concepts()["runs"]])


def best_epochs(noise: str) -> list[int]:
    """For each run, the epoch after which the loss tells right from wrong labels best."""
    return over_runs(noise, "auroc").argmax(1).tolist()


def wrong_shares() -> Sequence[float]:
    """The share of wrong labels of each run."""
    return [run["wrong"] for run in concepts()["runs"]]


# ---- from the benchmark ------------------------------------------------------------------------------------------------


def _audits(noise: str | None) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (RESULTS / "audit.jsonl").read_text(encoding="utf-8").splitlines()]
    return [line for line in lines if line["settings"]["noise"] == noise]


def auroc_of(scorer: str, corpus: str, noise: str | None) -> float:
    """Mean over seeds of how well a score tells wrong labels from right ones."""
    return float(np.mean([line["auroc"][scorer] for line in _audits(noise) if line["dataset"] == corpus]))


def audited_corpora() -> list[str]:
    return list(dict.fromkeys(line["dataset"] for line in _audits(None)))


@cache
def benchmark() -> Section:
    """The runs on labels as given, with most seeds."""
    sections = split_sections(read_results(RESULTS / "h100.jsonl"))
    return next(section for section in sections if section.settings.get("noise") is None)
