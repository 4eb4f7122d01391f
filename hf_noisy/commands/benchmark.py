"""Which method, for my labels? Every method on the same rows, encoder and budget, beside what it has to beat.

Appends a JSON line a run to a file and goes on where it stopped; `--report` writes tables and figures of what the file
holds, `--speed` measures what a step costs.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hf_noisy.benchmark import Settings, read_results, run_benchmark
from hf_noisy.commands.arguments import BenchmarkArguments
from hf_noisy.methods.registry import METHODS


def run(given: BenchmarkArguments) -> int:
    """Run what the file of results lacks, report on it, or measure the cost of a step.

    Args:
        given: what to compare. With `report` and without `data`, nothing is run.

    Returns:
        0, or 1 where a run failed; the others' lines are written.

    Raises:
        ValueError, FileNotFoundError, ImportError: as `run_benchmark`, or a report on a file that is not there.
    """
    only_report = given.report is not None and not given.data and not given.speed
    if only_report and not Path(given.output).is_file():
        raise FileNotFoundError(
            f"--output {given.output}: no such file, so there is nothing to report on. Name the file of results, or "
            "what to run with --data."
        )
    methods = given.methods
    if methods is None:
        methods = [name for name, method in METHODS.items() if given.speed or not method.reads_clean]
    if given.speed:
        measure_costs(given, methods)
        return 0
    settings = Settings(
        model=given.model,
        epochs=given.epochs,
        max_length=given.max_length,
        batch_size=given.batch_size,
        learning_rates=tuple(given.learning_rate),
        max_train_rows=given.max_train_rows,
        max_test_rows=given.max_test_rows,
        noise=given.noise,
        bf16=given.bf16,
    )
    failures = []
    if only_report:
        say(f"no --data, so nothing is run: a report on what {given.output} holds")
    else:
        failures = run_benchmark(
            given.data or ["reviews"],
            methods,
            given.seeds,
            given.output,
            settings,
            columns=given.columns,
            processes=given.processes,
            say=say,
        )
    if given.report:
        from hf_noisy.benchmark.report import write_report  # late: it needs matplotlib

        write_report(read_results(given.output), Path(given.report))
        say(f"wrote {given.report}")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def measure_costs(given: BenchmarkArguments, methods: list[str]) -> None:
    """Print what a step of each method costs against the stock Trainer's; into `report` too, where it is given."""
    from hf_noisy.benchmark.speed import measure_speed, render_speed

    costs = measure_speed(methods, given.model, rounds=given.speed_rounds, bf16=given.bf16, say=say)
    text = render_speed(costs, f"A step of 32 texts of 64 tokens, {given.speed_rounds} rounds")
    print(text)
    if given.report:
        Path(given.report).write_text(text, encoding="utf-8")


def say(text: str) -> None:
    """A line of progress, at once."""
    print(text, flush=True)
