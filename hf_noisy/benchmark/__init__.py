"""Every method on the same rows, encoder and budget: one JSON line a run, a report, and what a step costs."""

from hf_noisy.benchmark.results import read_results
from hf_noisy.benchmark.schedule import run_benchmark
from hf_noisy.benchmark.settings import Run, Settings

__all__ = ["Run", "Settings", "read_results", "run_benchmark"]
