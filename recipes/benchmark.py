"""Compare methods and baselines on the same rows, encoder and budget.

    python recipes/benchmark.py --data PATH_OR_NAME ... --model PATH_OR_NAME --methods gce sce --output results.jsonl

appends one JSON line per run to results.jsonl: the methods, and always the baselines majority_vote, label_model, ce,
gold, clean_valid and cleanlab. An interrupted benchmark continues where it stopped. `--report report.md` writes tables
and figures of the results in the file:

    python recipes/benchmark.py --output results.jsonl --report report.md

Without --data it runs on the embedded reviews. Without --model it trains a small encoder from scratch, which needs
`--learning_rate 1e-3 --epochs 8`. `--noise symmetric:0.2` trains on gold labels with injected noise. The cost of a step
compared with the Trainer of Transformers:

    python recipes/benchmark.py --speed --model PATH_OR_NAME --methods gce sce

`--config FILE` reads settings from a file. `hf-noisy benchmark` does the same.
"""

from __future__ import annotations

import sys

from hf_noisy.commands.arguments import BenchmarkArguments
from hf_noisy.commands.benchmark import run
from hf_noisy.common.launching import parse_arguments
from hf_noisy.common.script import run_script


def main() -> int:
    (given,) = parse_arguments([BenchmarkArguments], description=__doc__)
    return run(given)


if __name__ == "__main__":
    sys.exit(run_script(__file__, main))
