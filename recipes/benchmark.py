"""Compare methods and baselines on the same rows, encoder and budget.

    python recipes/benchmark.py --data my.csv --gold_column gold --methods auto gce --output results.jsonl
    python recipes/benchmark.py --output results.jsonl --report report.md

`hf-noisy benchmark` does the same. The first command appends one JSON line per run to results.jsonl: for the methods,
and always for the baselines majority_vote, label_model, ce, gold, clean_valid and cleanlab. Runs that the file holds
are skipped, so an interrupted benchmark continues. The second command writes tables and figures of the results.

Without --data, the recipe runs on generated reviews. Without --model, a small encoder is trained from scratch, which
needs `--learning_rate 1e-3 --epochs 8`. `--noise symmetric:0.2` trains on true labels with injected noise. The cost of
a training step, compared with the Trainer of Transformers:

    python recipes/benchmark.py --speed --methods gce sce
"""

from __future__ import annotations

import sys

from hf_noisy.commands.arguments import GROUPS, BenchmarkArguments
from hf_noisy.commands.benchmark import run
from hf_noisy.common.launching import parse_arguments
from hf_noisy.common.script import run_script


def main() -> int:
    (given,) = parse_arguments([BenchmarkArguments], description=__doc__, groups=GROUPS)
    return run(given)


if __name__ == "__main__":
    sys.exit(run_script(__file__, main))
