"""Which method, for my labels? Every method on the same rows, encoder and budget, beside what it has to beat.

    python recipes/benchmark.py --data PATH_OR_NAME ... --model PATH_OR_NAME --methods gce sce --output results.jsonl

appends one JSON line a run to results.jsonl: the methods, and always majority_vote, label_model, ce, gold, clean_valid and
cleanlab. Interrupted, it goes on where it stopped. `--report report.md` writes tables and figures of what the file holds:

    python recipes/benchmark.py --output results.jsonl --report report.md

Without --data it runs on the embedded reviews, without --model with a small encoder from scratch, which needs
`--learning_rate 1e-3 --epochs 8`. Gold labels replaced by known noise: `--noise symmetric:0.2`. What a step costs against
the Trainer of Transformers:

    python recipes/benchmark.py --speed --model PATH_OR_NAME --methods gce sce

Settings from a file: `--config FILE`. `hf-noisy benchmark` does the same.
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
