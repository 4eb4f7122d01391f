"""Which method, for my labels? Every method on the same rows, encoder and budget, beside what it has to beat.

    python recipes/benchmark.py --data PATH_OR_NAME ... --model PATH_OR_NAME --methods gce sce --output results.jsonl

appends one JSON line a run to results.jsonl: the methods, and always majority_vote, label_model, ce, gold, clean_valid and
cleanlab. Interrupted, it goes on where it stopped. `--report report.md` writes tables and figures of what the file holds:

    python recipes/benchmark.py --output results.jsonl --report report.md

Without --data it runs on the embedded reviews, without --model with a small encoder from scratch, which needs
`--learning_rate 1e-3 --epochs 8`. Gold labels replaced by known noise: `--noise symmetric:0.2`. What a step costs against
the Trainer of Transformers:

    python recipes/benchmark.py --speed --model PATH_OR_NAME --methods gce sce
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hf_noisy import METHODS
from hf_noisy.benchmark import Settings, read_results, run_benchmark


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", help="folders, files or names of corpora; by default reviews, embedded")
    parser.add_argument("--model", help="a pretrained encoder; by default a small one from scratch")
    parser.add_argument("--methods", nargs="*", help='as "gce" or "gce:q=0.5"; by default all that read no gold label')
    parser.add_argument("--seeds", nargs="*", type=int, default=[0, 1])
    parser.add_argument("--output", type=Path, default=Path("results.jsonl"))
    parser.add_argument("--report", type=Path, help="write tables here and figures beside it")
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--max_train_rows", type=int, help="train on a random part of this size")
    parser.add_argument("--max_test_rows", type=int, help="measure on a random part of this size, the same for all")
    parser.add_argument("--max_length", type=int, default=128, help="tokens of a text")
    parser.add_argument("--batch_size", type=int, default=32)
    parser.add_argument("--learning_rate", nargs="+", type=float, default=[1e-4], help="a grid, the same for all")
    parser.add_argument("--noise", help="gold labels made wrong instead of the given ones, as in symmetric:0.2")
    parser.add_argument("--bf16", action="store_true", help="under bfloat16 autocast")
    parser.add_argument("--processes", type=int, default=1, help="runs at once")
    parser.add_argument("--text_column", default="text", help="of plain files")
    parser.add_argument("--label_column", help="of plain files: the labels that are not trusted")
    parser.add_argument("--votes_columns", nargs="+", help="or one column a source")
    parser.add_argument("--gold_column", help="of plain files: true labels")
    parser.add_argument("--speed", action="store_true", help="measure the cost of a step instead")
    parser.add_argument("--speed_rounds", type=int, default=40, help="steps of each side, in turns")
    return parser.parse_args()


def main() -> int:
    given = arguments()
    methods = given.methods
    if methods is None:
        methods = [name for name, method in METHODS.items() if not method.reads_clean]
    if given.speed:
        return speed(given, methods)
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
    if given.data or not given.report:
        columns = {
            name: getattr(given, name) for name in ("text_column", "label_column", "votes_columns", "gold_column")
        }
        failures = run_benchmark(
            given.data or ["reviews"],
            methods,
            given.seeds,
            given.output,
            settings,
            columns=columns,
            processes=given.processes,
            say=say,
        )
    if given.report:
        from hf_noisy.benchmark.report import write_report  # late: it needs matplotlib

        write_report(read_results(given.output), given.report)
        say(f"wrote {given.report}")
    for failure in failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if failures else 0


def speed(given: argparse.Namespace, methods: list[str]) -> int:
    from hf_noisy.benchmark.speed import measure_speed, render_speed

    costs = measure_speed(methods, given.model, rounds=given.speed_rounds, bf16=given.bf16, say=say)
    text = render_speed(costs, f"A step of 32 texts of 64 tokens, {given.speed_rounds} rounds")
    print(text)
    if given.report:
        given.report.write_text(text, encoding="utf-8")
    return 0


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
