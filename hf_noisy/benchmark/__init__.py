"""Benchmarks methods on the same rows, encoder and budget: one JSON line per run, a report, and the cost of a step."""

from hf_noisy.benchmark.results import read_results
from hf_noisy.benchmark.schedule import run_benchmark
from hf_noisy.benchmark.settings import Run, Settings

__all__ = ["Run", "Settings", "read_results", "run_benchmark"]
