"""The command `benchmark`: compares methods and baselines on the same rows, encoder and budget.

It appends one JSON line per run to a file, and an interrupted benchmark continues from that file. `--report` writes
tables and figures of the results in the file. `--speed` measures the cost of a step.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hf_noisy.benchmark import Settings, read_results, run_benchmark
from hf_noisy.benchmark.settings import FIXED
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
    if given.speed and given.frozen:
        raise ValueError("--speed measures steps of a whole encoder, and --frozen trains none. Leave one of them out.")
    methods = given.methods
    if methods is None:
        methods = [name for name, method in METHODS.items() if given.speed or not method.reads_clean]
        if given.frozen and not only_report:
            methods = applicable(methods)
    if given.speed:
        measure_costs(given, methods)
        return 0
    settings = settings_of(given)
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
            baselines=FIXED if given.baselines is None else given.baselines,
            columns=given.columns,
            processes=given.processes,
            vectors=given.vectors,
            say=note,
        )
    if given.report:
        from hf_noisy.benchmark.report import write_report  # late: it needs matplotlib

        write_report(read_results(given.output), Path(given.report))
        note(f"wrote {given.report}")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def settings_of(given: BenchmarkArguments) -> Settings:
    """Return the settings that the options name. Epochs and learning rates that are not set depend on `frozen`."""
    rates = None if given.learning_rate is None else tuple(given.learning_rate)
    budget: dict[str, Any] = {"epochs": given.epochs, "learning_rates": rates}
    return Settings(
        model=given.model,
        max_length=given.max_length,
        batch_size=given.batch_size,
        max_train_rows=given.max_train_rows,
        max_test_rows=given.max_test_rows,
        noise=given.noise,
        bf16=given.bf16,
        frozen=given.frozen,
        imbalance=given.imbalance,
        split_classes=given.split_classes,
        **{name: value for name, value in budget.items() if value is not None},
    )


def applicable(methods: list[str]) -> list[str]:
    """Return the methods that can run on a frozen encoder, and print why the others cannot."""
    from hf_noisy.benchmark.frozen import not_applicable

    reasons = {name: not_applicable(name) for name in methods}
    for reason in filter(None, reasons.values()):
        note(f"not applicable, so left out: {reason}")
    return [name for name, reason in reasons.items() if reason is None]


def measure_costs(given: BenchmarkArguments, methods: list[str]) -> None:
    """Print the cost of a step of each method relative to the Trainer of Transformers. Write it to `report` if set."""
    from hf_noisy.benchmark.speed import measure_speed, render_speed

    costs = measure_speed(methods, given.model, rounds=given.speed_rounds, bf16=given.bf16, say=note)
    text = render_speed(costs, f"A step of 32 texts of 64 tokens, {given.speed_rounds} rounds")
    print(text)
    if given.report:
        Path(given.report).write_text(text, encoding="utf-8")
