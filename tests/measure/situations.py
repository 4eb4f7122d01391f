"""Labels, accuracy and estimated noise rates in many situations: as given, true, wrong at random, imbalanced, few rows, many classes.

    python tests/measure/situations.py --data ../shared/data --model MODEL --output recipes/results/situations.jsonl

Each run trains a linear head on stored vectors (`hf-noisy benchmark --frozen`). A situation that a corpus does not have, such as 4,000 rows, is
left out, and the reason is written into the file. Runs that two situations share are measured once. `--again auto` measures `auto` again and
keeps all other lines. To use several cores, start the command once for each seed, with the same file.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import datasets
import torch
from reporting import Line, Results, add_output, read
from situation_tables import BASES, table
from transformers.utils import logging

from hf_noisy.benchmark import Run, Settings
from hf_noisy.benchmark.data import Data, load, prepare
from hf_noisy.benchmark.derived import check_derivable
from hf_noisy.benchmark.results import to_line
from hf_noisy.benchmark.rows import run_row
from hf_noisy.benchmark.settings import parse_method
from hf_noisy.data.corpus import Corpus
from hf_noisy.data.splits import split_corpus

CORPORA = (
    "youtube", "trec", "imdb", "agnews_human", "hausa", "massive18", "slurp_asr", "ledgar_gpt", "claude9", "spouse", "norec",
    "mr_chatgpt", "fpb_llms", "abtbuy_crowd", "movie_crowd",
)  # fmt: skip
MOST = 4000  # training rows
ROWS_PER_CLASS = 10  # fewer are no sensible corpus of many classes
METHODS = ("auto", "cleanlab", "neighbours")


@dataclass(frozen=True)
class Situation:
    """What is changed in a corpus.

    Args:
        rows: training rows, which the corpus must have; None takes what there is, up to a limit.
        many: whether that limit is `MOST`; otherwise the option `--max_train_rows`.
        classes: about as many classes, by splitting each; None keeps the classes.
        settings: of the benchmark.
    """

    rows: int | None = None
    many: bool = False
    classes: int | None = None
    settings: Mapping[str, Any] = field(default_factory=dict)


SITUATIONS = {
    "given": Situation(many=True),
    "gold": Situation(settings={"noise": "symmetric:0"}),
    "symmetric_20": Situation(settings={"noise": "symmetric:0.2"}),
    "symmetric_40": Situation(settings={"noise": "symmetric:0.4"}),
    "pair_40": Situation(settings={"noise": "pair:0.4"}),
    "commonest_30": Situation(settings={"noise": "commonest:0.3"}),
    "imbalanced": Situation(settings={"imbalance": 10}),
    "rows_200": Situation(rows=200),
    "rows_1000": Situation(rows=1000),
    "rows_4000": Situation(rows=4000),
    "classes_30": Situation(classes=30, settings={"noise": "symmetric:0.4"}),
    "classes_150": Situation(many=True, classes=150, settings={"noise": "symmetric:0.4"}),
}


class AbsentError(Exception):
    """A corpus does not have a situation; the message says why."""


# ---- runs ----------------------------------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="the folder of the corpora")
    parser.add_argument("--model", help="a pretrained encoder; without it, word features")
    parser.add_argument("--corpora", nargs="+", default=list(CORPORA), metavar="NAME")
    parser.add_argument("--situations", nargs="+", default=list(SITUATIONS), choices=list(SITUATIONS), metavar="NAME")
    parser.add_argument("--methods", nargs="+", default=list(METHODS), metavar="NAME", help="beside ce and gold")
    parser.add_argument(
        "--again",
        nargs="+",
        default=[],
        metavar="NAME",
        help="methods to measure again, while no other process writes the file",
    )
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1])
    parser.add_argument("--max_train_rows", type=int, default=1000, help="where a situation says nothing of rows")
    parser.add_argument("--max_test_rows", type=int, default=1000)
    parser.add_argument("--max_length", type=int, default=48)
    parser.add_argument("--vectors", type=Path, help="folder of stored vectors; without it, beside the output")
    add_output(parser)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(1)
    if given.output is not None:
        forget(given.output, given)
    settings = Settings(
        model=given.model,
        max_length=given.max_length,
        max_train_rows=given.max_train_rows,
        max_test_rows=given.max_test_rows,
        frozen=True,
    )
    vectors = given.vectors or (None if given.output is None else given.output.with_suffix(".vectors"))
    bench = Situations(settings, vectors, Results(given.output), [*BASES, *given.methods])
    for seed in given.seeds:
        for corpus in given.corpora:
            for name in given.situations:
                bench.run(str(given.data / corpus), name, seed)
    print(table(bench.results.lines))
    for failure in bench.failures:
        print(f"failed: {failure}", file=sys.stderr)
    return 1 if bench.failures else 0


def forget(path: Path, given: argparse.Namespace) -> None:
    """Takes the lines of the methods `again` out of a file, in the corpora, situations and seeds that are asked for."""

    def asked(line: Line) -> bool:
        places = (
            (given.again, "method"),
            (given.corpora, "dataset"),
            (given.situations, "situation"),
            (given.seeds, "seed"),
        )
        return all(line.get(key) in names for names, key in places)

    lines = read(path)
    kept = [line for line in lines if not asked(line)]
    if len(kept) < len(lines):
        path.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")


class Situations:
    """Runs methods on corpora in situations, and keeps their lines.

    Args:
        settings: the budget; its `max_train_rows` holds where a situation says nothing of rows.
        vectors: folder of stored vectors; each corpus has a folder in it.
        results: the lines.
        methods: names with parameters, as `ce` or `gce:q=0.5`.
    """

    def __init__(self, settings: Settings, vectors: Path | None, results: Results, methods: Sequence[str]) -> None:
        self.settings, self.vectors, self.results, self.methods = settings, vectors, results, methods
        self.failures: list[str] = []
        self.known: dict[str, Line] = {}  # run and settings -> what was measured, since situations share runs
        self._corpus, self._data = (
            lru_cache(1)(lambda source, seed: load(source, seed, {})),
            lru_cache(1)(self._prepared),
        )

    def run(self, source: str, situation: str, seed: int) -> None:
        """Runs all methods, but those that the lines hold."""
        about = {"dataset": Run(source, "ce", seed).dataset, "situation": situation}
        try:
            settings = settings_for(SITUATIONS[situation], self._corpus(source, seed), self.settings, seed)
        except AbsentError as reason:
            self.results.once({**about, "absent": str(reason)}, dict)
            return
        for spec in self.methods:
            run = Run(source, *order(spec, seed))
            began = time.perf_counter()
            whole = {**about, "seed": seed, "method": spec, "model": settings.record()["model"]}
            whole["limit"] = settings.max_train_rows
            try:
                line = self._once(whole, run, settings)
            except Exception as error:  # the other runs go on, as in the benchmark
                self.failures.append(
                    f"{whole['dataset']}, {situation}, {spec}, seed {seed}: {type(error).__name__}: {error}"
                )
                continue
            if time.perf_counter() - began > 0.2:
                print(
                    f"{line['dataset']}, {situation}, {spec}, seed {seed}: {line['accuracy']}",
                    file=sys.stderr,
                    flush=True,
                )

    def _once(self, about: Line, run: Run, settings: Settings) -> Line:
        """The line of a run: from the file, from another situation that shares it, or measured now."""
        record = settings.record()
        if run.method == "gold" and settings.noise is not None:
            record["noise"] = "any"  # it trains on true labels
        key = json.dumps([run.source, about["method"], run.seed, record])
        line = self.results.once(about, lambda: self.known.get(key) or self._measure(run, settings))
        self.known.setdefault(key, {name: line[name] for name in line if name not in {*about, "versions"}})
        return line

    def _measure(self, run: Run, settings: Settings) -> Line:
        data = self._data(run.source, run.seed, settings)
        with warnings.catch_warnings():  # cleanlab warns of each class with few rows
            warnings.filterwarnings("ignore", "May not flag all label issues")
            outcome = run_row(run, settings, data, self._folder(run))
        line = to_line(run, settings, outcome, data, None)
        took = re.search(r"took `(\w+)`", " ".join(line["choices"] or ()))
        found = {
            "rows": int((data.train.labels >= 0).sum()),
            "classes": data.classes,
            "accuracy": line["accuracy_chosen"],
            "given": line["given_correct"],
            "taught": line["taught_correct"],
            "rate": line["noise_rate"],
            "estimated": line["estimated_noise_rate"],
            "took": took[1] if took else None,
            "seconds": line["train_seconds"],
        }
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in found.items()}

    def _prepared(self, source: str, seed: int, settings: Settings) -> Data:
        run = Run(source, "ce", seed)
        return prepare(run, settings, {}, self._folder(run), corpus=self._corpus(source, seed))

    def _folder(self, run: Run) -> Path | None:
        return None if self.vectors is None else self.vectors / run.dataset


def order(spec: str, seed: int) -> tuple[str, int, dict[str, Any]]:
    """The method, the seed and the parameters, as `Run` takes them."""
    method, params = parse_method(spec)
    return method, seed, params


def settings_for(situation: Situation, corpus: Corpus, settings: Settings, seed: int) -> Settings:
    """The settings of a situation of a corpus. A limit of rows that the corpus does not reach is None.

    Raises:
        AbsentError: the corpus does not have this situation.
    """
    there = len(split_corpus(corpus, seed)[0])
    rows = situation.rows or (MOST if situation.many else settings.max_train_rows)
    if situation.rows is not None and there < situation.rows:
        raise AbsentError(f"{there:,} training rows")
    found = replace(settings, max_train_rows=rows if rows is not None and rows < there else None, **situation.settings)
    if situation.classes is not None:
        parts = round(situation.classes / corpus.num_classes)
        size = there if found.max_train_rows is None else found.max_train_rows
        if parts < 2:
            raise AbsentError(f"{corpus.num_classes} classes")
        if size < ROWS_PER_CLASS * parts * corpus.num_classes:
            raise AbsentError(f"{size:,} training rows, fewer than {ROWS_PER_CLASS} a class")
        found = replace(found, split_classes=parts)
    try:
        check_derivable(corpus, found)
    except ValueError as error:
        raise AbsentError(str(error).partition(": ")[2].partition(". ")[0]) from error
    return found


if __name__ == "__main__":
    sys.exit(main())
