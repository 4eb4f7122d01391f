"""Noise rates by every estimator of `hf-noisy estimate`, compared with gold labels.

    python tests/measure/estimates.py --data FOLDER ... --model MODEL --output recipes/results/estimates.jsonl

runs `hf-noisy estimate --gold True` on each corpus, and prints a row per estimator and a column per corpus: the estimated share
of wrong labels with its 95 % interval. The first row is the true share, by gold labels, which are used for nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import tempfile
from pathlib import Path

from reporting import Line, Results, add_output, distinct

from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.commands.arguments import EstimateArguments
from hf_noisy.commands.estimate import run

KEPT = ("rate", "low", "high")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", required=True, help="folders of corpora with gold labels")
    parser.add_argument("--model", required=True, help="a pretrained encoder")
    parser.add_argument("--max_rows", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--resamples", type=int, default=100)
    add_output(parser)
    given = parser.parse_args()
    results = Results(given.output)
    for source in given.data:
        settings = {"seed": given.seed, "max_rows": given.max_rows, "resamples": given.resamples}
        about = {"dataset": Path(source).name, **settings}
        results.once(about, lambda source=source, settings=settings: estimate(source, given.model, settings))
        print(about["dataset"], file=sys.stderr, flush=True)
    print(table(results.lines))
    return 0


def estimate(source: str, model: str, settings: dict[str, int]) -> Line:
    """What the command writes, without the matrices."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "noise.json")
        with contextlib.redirect_stdout(io.StringIO()):
            run(EstimateArguments(data=source, model=model, gold=True, output=str(file), **settings))
        found = json.loads(file.read_text(encoding="utf-8"))
    estimators = {name: {key: one[key] for key in KEPT} for name, one in found["estimators"].items()}
    line = {key: found[key] for key in ("rows", "true_rate", *KEPT, "kind")}
    return line | {"kind": line["kind"].split(":")[0], "estimators": estimators}


def table(lines: list[Line]) -> str:
    """A row per estimator, a column per corpus."""
    of = {line["dataset"]: line for line in lines}
    names = list(dict.fromkeys(name for line in lines for name in line["estimators"]))
    rows = [["true share", *(f"{line['true_rate']:.3f}" for line in of.values())]]
    rows += [[f"`{name}`", *(cell(line["estimators"].get(name)) for line in of.values())] for name in names]
    rows.append(["**reported rate**", *(cell(line) for line in of.values())])
    rows.append(["reported kind", *(line["kind"] for line in of.values())])
    return markdown_table(["", *distinct(lines, "dataset")], rows)


def cell(found: Line | None) -> str:
    return "" if found is None else f"{found['rate']:.3f} [{found['low']:.3f}, {found['high']:.3f}]"


if __name__ == "__main__":
    sys.exit(main())
