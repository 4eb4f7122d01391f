"""The command `benchmark`: compares methods and baselines on the same rows, encoder and budget.

It appends one JSON line per run to a file, and an interrupted benchmark continues from that file. `--report` writes
tables and figures of the results in the file. `--speed` measures the cost of a step.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hf_noisy.benchmark import Settings, read_results, run_benchmark
from hf_noisy.commands.arguments import BenchmarkArguments
from hf_noisy.common.progress import note, output_of_command
from hf_noisy.methods.registry import METHODS


def run(given: BenchmarkArguments) -> int:
    """Run what is missing in the file of results, write the report, or measure the cost of a step.

    Args:
        given: the options. With `report` and without `data`, nothing is run.

    Returns:
        0, or 1 if a run failed. The results of the other runs are still written.

    Raises:
        ValueError, FileNotFoundError, ImportError: see `run_benchmark`; also if the file to report on does not exist.
    """
    with output_of_command(given.quiet):
        return _run(given)


def _run(given: BenchmarkArguments) -> int:
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
        note(f"no --data, so nothing is run: a report on what {given.output} holds")
    else:
        failures = run_benchmark(
            given.data or ["reviews"],
            methods,
            given.seeds,
            given.output,
            settings,
            columns=given.columns,
            processes=given.processes,
            say=note,
        )
    if given.report:
        from hf_noisy.benchmark.report import write_report  # late: it needs matplotlib

        write_report(read_results(given.output), Path(given.report))
        note(f"wrote {given.report}")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def measure_costs(given: BenchmarkArguments, methods: list[str]) -> None:
    """Print the cost of a step of each method relative to the Trainer of Transformers. Write it to `report` if set."""
    from hf_noisy.benchmark.speed import measure_speed, render_speed

    costs = measure_speed(methods, given.model, rounds=given.speed_rounds, bf16=given.bf16, say=note)
    text = render_speed(costs, f"A step of 32 texts of 64 tokens, {given.speed_rounds} rounds")
    print(text)
    if given.report:
        Path(given.report).write_text(text, encoding="utf-8")
