"""Runs the commands of README and docs that are marked `<!-- slow -->`, whole, as a reader would.

    python tests/measure/slow_commands.py --list
    python tests/measure/slow_commands.py --model MODEL --match known_noise

CI runs each of them shortened. All together take many hours: the benchmark alone is a day on two cores. A command that ended
well is noted in `output/slow_commands.log`, and left out when it is asked for again.
"""

from __future__ import annotations

import argparse
import shlex
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "docs")]
DONE = ROOT / "output" / "slow_commands.log"


def slow_commands() -> dict[str, list[str]]:
    """Page -> its slow commands."""
    from pages import PAGES, commands_of, is_slow, run_bash

    found = {}
    for path in sorted([ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]):
        if PAGES.should_parse(path):
            examples = [
                one for one in PAGES.parse(path).examples() if one.region.evaluator is run_bash and is_slow(one)
            ]
            commands = [command for example in examples for command in commands_of(example.parsed)]
            if commands:
                found[str(path.relative_to(ROOT))] = commands
    return found


def run(command: str, model: str) -> bool:
    words = [model if word == "MODEL" else word for word in shlex.split(command)]
    words[0] = sys.executable if words[0] == "python" else str(Path(sys.executable).parent / words[0])
    begun = time.monotonic()
    done = subprocess.run(words, cwd=ROOT, check=False)
    print(f"{time.monotonic() - begun:.0f} s, {'done' if done.returncode == 0 else 'FAILED'}: {command}", flush=True)
    return done.returncode == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", help="the folder or name that MODEL stands for")
    parser.add_argument("--match", default="", help="run only commands that contain this text")
    parser.add_argument("--list", action="store_true", help="print the commands and run none")
    given = parser.parse_args()
    DONE.parent.mkdir(exist_ok=True)
    already = set(DONE.read_text(encoding="utf-8").splitlines()) if DONE.exists() else set()
    failed = 0
    for page, commands in slow_commands().items():
        for command in commands:
            if given.match not in command:
                continue
            if given.list:
                print(f"{page}: {command}")
            elif "MODEL" in command.split() and given.model is None:
                parser.error(f"{command}: expected --model FOLDER")
            elif command in already:
                print(f"done before: {command}")
            elif run(command, given.model or ""):
                with DONE.open("a", encoding="utf-8") as file:
                    file.write(command + "\n")
            else:
                failed += 1
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
