"""Files of results: one JSON object per line, one line per run, with the versions it was made with.

A script that is given `--output FILE` appends its runs to FILE and leaves out those that FILE holds, so that an interrupted
measurement continues where it stopped. The tables of the documentation are made from these files by the script's own
`table`.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

Line = dict[str, Any]
_PACKAGES = ("hf_noisy", "torch", "transformers")


def versions() -> dict[str, str]:
    """The versions of packages and Python, on which results depend."""
    return {name: version(name) for name in _PACKAGES} | {"python": platform.python_version()}


def add_corpora(parser: argparse.ArgumentParser) -> None:
    """Add the options that name corpora with gold labels, the encoder, the seeds, and how many rows and tokens to read."""
    parser.add_argument("--data", nargs="+", required=True, help="folders of corpora with gold labels")
    parser.add_argument("--model", required=True, help="a pretrained encoder")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--max_train_rows", type=int, default=1000)
    parser.add_argument("--max_length", type=int, default=48)


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add the option `--output`."""
    parser.add_argument("--output", type=Path, help="append a JSON line per run; runs that it holds are left out")


def read(path: Path | None) -> list[Line]:
    """The lines of a file; none if there is no file."""
    if path is None or not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


class Results:
    """The runs of one measurement, in the order in which they were asked for.

    Args:
        path: the file of earlier runs, to which new ones are appended; None keeps no file.
    """

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self.earlier = read(path)
        self.lines: list[Line] = []

    def once(self, about: Mapping[str, Any], measure: Callable[[], Mapping[str, Any]]) -> Line:
        """The line of the run that `about` describes: from the file, or measured now."""
        line = next((line for line in self.earlier if about.items() <= line.items()), None)
        if line is None:
            line = {**about, **measure(), "versions": versions()}
            if self.path is not None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                with self.path.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
        self.lines.append(line)
        return line


def values(lines: Iterable[Line], key: str, **about: Any) -> list[Any]:
    """The values of `key` in the lines that have it and agree with `about`."""
    return [line[key] for line in lines if about.items() <= line.items() and line.get(key) is not None]


def distinct(lines: Iterable[Line], key: str) -> list[Any]:
    """The values of `key`, each once, in order of first appearance."""
    return list(dict.fromkeys(line[key] for line in lines))


def spread(found: Sequence[float], places: int = 3) -> str:
    """
    >>> spread([0.5, 0.7]), spread([0.5]), spread([])
    ('0.600 ± 0.141', '0.500', '')
    """
    if not found:
        return ""
    deviation = f" ± {statistics.stdev(found):.{places}f}" if len(found) > 1 else ""
    return f"{statistics.mean(found):.{places}f}{deviation}"
