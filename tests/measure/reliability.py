"""The long forms of the checks of reliability, and what each prints last.

    python tests/measure/reliability.py --output recipes/results/reliability.jsonl

runs every command of `CHECKS` that the file does not hold. All of them together take hours on two cores; `--checks NAME`
chooses some. pytest runs a sample of each.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
from pathlib import Path

from reporting import Line, Results, add_output

from hf_noisy.benchmark.cells import markdown_table

ROOT = Path(__file__).resolve().parents[2]
CHECKS = {  # name -> what holds, the command, options that make it short
    "kill_and_resume": (
        "A run that is killed anywhere (after a step, inside one, in a pass over the training set, while saving, with a file "
        "half written) resumes to the same bits: weights, optimizer, memory, metrics.",
        "python tests/kill_and_resume.py --kills 200 --methods all --seed 0",
        "--kills 1 --methods gce",
    ),
    "fuzz": (
        "Random sequences of methods on random data: finite losses, targets that are distributions, memory by row in any "
        "order, resumed to the same bits.",
        "python tests/fuzz.py --examples 2000 --seed 0",
        "--examples 5",
    ),
    "batch_size_finder": (
        "After `auto_find_batch_size` has made batches smaller, the training is the one that would have started with them.",
        "python tests/trainer/test_batch_size_finder.py",
        "",
    ),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", nargs="+", choices=list(CHECKS), default=list(CHECKS), metavar="NAME")
    parser.add_argument("--short", action="store_true", help="a short form of each, to see that it runs")
    add_output(parser)
    given = parser.parse_args()
    results = Results(given.output)
    for name in given.checks:
        _, command, short = CHECKS[name]
        command = f"{command} {short}".strip() if given.short else command
        results.once({"check": name, "command": command}, lambda command=command: last_line(command))
    print(table(results.lines))
    return 0


def last_line(command: str) -> Line:
    """Run a command and keep the last line that it prints.

    Raises:
        subprocess.CalledProcessError: it failed.
    """
    _, *words = shlex.split(command)
    done = subprocess.run([sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return {"found": done.stdout.strip().splitlines()[-1]}


def table(lines: list[Line]) -> str:
    """A row per check."""
    return markdown_table(
        ["what holds", "command", "found"],
        [[CHECKS[line["check"]][0], f"`{line['command']}`", line["found"]] for line in lines],
    )


if __name__ == "__main__":
    sys.exit(main())
