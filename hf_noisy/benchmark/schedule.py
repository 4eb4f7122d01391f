"""Executes every run that is not yet in a file of results, in other processes."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hf_noisy.benchmark.data import Data, load, prepare
from hf_noisy.benchmark.derived import check_derivable
from hf_noisy.benchmark.frozen import not_applicable
from hf_noisy.benchmark.processes import Workers, peak_memory_mb
from hf_noisy.benchmark.results import append, identity, open_results, to_line
from hf_noisy.benchmark.rows import run_row
from hf_noisy.benchmark.settings import FIXED, READS_GOLD, Run, Settings, dataset_name, plan
from hf_noisy.benchmark.training import distinct_texts
from hf_noisy.benchmark.vectors import VectorStore
from hf_noisy.common.progress import bars_aside, progress_bar, quietly
from hf_noisy.data.look import first_lines
from hf_noisy.data.noise_spec import check_spec
from hf_noisy.data.pairs import Text
from hf_noisy.models.pretrained import check_pretrained


def run_benchmark(
    sources: Sequence[str],
    methods: Sequence[str],
    seeds: Sequence[int],
    output: str | Path,
    settings: Settings,
    *,
    baselines: Sequence[str] = FIXED,
    columns: Mapping[str, Any] | None = None,
    processes: int = 1,
    vectors: str | Path | None = None,
    say: Callable[[str], None] = print,
) -> list[str]:
    """Measures `baselines` and `methods` on each corpus with each seed, and appends one line per run to `output`.

    Runs that are already in `output` are skipped, so an interrupted benchmark resumes where it stopped. Injected noise
    does not affect `gold` and `clean_valid`: under a second injected noise, their lines are copied from the first one.
    Only `ce` is run again if lines are added to its corpus and seed later, to measure their cost. Each run has its own
    process, so that its peak memory is measured separately. Frozen runs take seconds; they share processes, and their
    memory is not measured. If a process dies, the other runs continue.

    Args:
        sources: folders, files or names of corpora (`load_corpus`), or "reviews", the corpus of the package.
        methods: names of `METHODS`, with parameters as in "gce:q=0.5".
        seeds: seeds of the splits, the head, dropout and the order of rows.
        output: a file of JSON lines.
        settings: the training budget, the same for all runs.
        baselines: which of `FIXED` to run beside the methods. `ce` always runs, since costs are multiples of its time.
        columns: how to read plain files (`load_corpus`).
        processes: number of parallel runs; each gets an equal share of the cores.
        vectors: with `settings.frozen`, folder in which the vectors of texts are stored and found again. None is the
            folder `STEM.vectors` beside `output`.
        say: called with each line of progress.

    Returns:
        The failed runs, each with its error. They have no line in `output`.

    Raises:
        ValueError, FileNotFoundError: something cannot be run, such as a method that hides words of a text with
            `settings.frozen`; raised before the first run starts.
        ImportError: cleanlab is not installed.
    """
    columns = dict(columns or {})
    runs = plan(sources, methods, seeds, baselines)
    if processes < 1:
        raise ValueError(f"processes={processes}: expected at least 1.")
    if any(run.method == "cleanlab" for run in runs) and find_spec("cleanlab") is None:
        raise ImportError("the row `cleanlab` needs the package of that name: pip install hf_noisy[benchmark]")
    if settings.frozen:
        _check_applicable(runs)
    check_pretrained("model", settings.model)
    for source in sources:
        _check_corpus(source, settings, columns, say)
    output = Path(output)
    vectors = output.with_suffix(".vectors") if vectors is None else Path(vectors)
    lines = open_results(output)
    done = {identity(line) for line in lines}
    todo = [run for run in runs if _identity(run, settings) not in done]
    say(f"{len(runs) - len(todo)} of {len(runs)} runs are in {output}")
    if not todo:
        return []
    known = _lines_under_other_noise(todo, settings, lines)
    if known:
        append(output, [line for _, line in known])
    taken = [run for run, _ in known]
    to_run = [run for run in todo if run not in taken]
    again = _ce_runs_to_repeat(to_run, runs)
    started = [*again, *to_run]
    if settings.frozen:
        _encode_texts(started, settings, columns, vectors, say)
    writer = _ResultsWriter(output, started, again, processes, say)
    with Workers(reuse=settings.frozen) as workers, ThreadPoolExecutor(processes) as threads:
        shared = (settings, columns, processes, vectors)
        futures = {threads.submit(_in_a_process, workers, run, *shared): run for run in started}
        _collect(futures, writer)
    return writer.failures()


def _check_applicable(runs: Sequence[Run]) -> None:
    reasons = dict.fromkeys(not_applicable(run.method, run.params) for run in runs if run.method not in FIXED)
    if any(reasons):
        raise ValueError(f"{'; '.join(filter(None, reasons))}. Leave it out of the methods, or run without `frozen`.")


def _encode_texts(
    runs: Sequence[Run], settings: Settings, columns: dict[str, Any], vectors: Path, say: Callable[[str], None]
) -> None:
    """Encodes the texts of all runs before the first one, so that parallel runs find them."""
    texts: dict[str, dict[Text, None]] = {}  # of each corpus
    for source, seed in dict.fromkeys((run.source, run.seed) for run in runs if run.weight):
        data = prepare(Run(source, "ce", seed), settings, columns, vectors)
        texts.setdefault(source, {}).update(dict.fromkeys(distinct_texts(data)))
    for source, found in texts.items() if settings.model is not None else ():
        began = time.perf_counter()
        VectorStore(vectors, settings.model, settings.max_length).vectors(list(found))
        say(f"{dataset_name(source)}: vectors of {len(found):,} texts, {time.perf_counter() - began:.0f} s")


def _ce_runs_to_repeat(to_run: Sequence[Run], runs: Sequence[Run]) -> list[Run]:
    """Returns the runs of `ce` that are in the file already, for each corpus and seed to which lines are added.

    The speed of a machine changes over time. A cost is therefore a multiple of the time of a `ce` run at the same time
    as the run itself. `ce` is repeated only to measure this time.
    """
    measured = {(run.dataset, run.seed) for run in to_run if run.method == "ce"}
    wanted = {(run.dataset, run.seed) for run in to_run} - measured
    return [run for run in runs if run.method == "ce" and (run.dataset, run.seed) in wanted]


def _lines_under_other_noise(
    todo: Sequence[Run], settings: Settings, lines: Sequence[Mapping[str, Any]]
) -> list[tuple[Run, dict[str, Any]]]:
    """Returns runs of `gold` and `clean_valid` that `lines` hold under another injected noise, with their lines.

    Their training data do not depend on the injected noise. This is not true between injected noise and labels as
    given, where rows on which every source abstains are left out.
    """
    if settings.noise is None:
        return []

    def apart_from_noise(key: str) -> str:
        *rest, of_line = json.loads(key)
        return json.dumps([*rest, {**of_line, "noise": None}], sort_keys=True)

    injected = {
        apart_from_noise(identity(line)): line
        for line in lines
        if line["method"] in READS_GOLD and line["settings"]["noise"] is not None
    }
    found = [(run, injected.get(apart_from_noise(_identity(run, settings)))) for run in todo]
    return [(run, {**line, "settings": settings.record()}) for run, line in found if line is not None]


def _collect(futures: dict[Future[dict[str, Any]], Run], writer: _ResultsWriter) -> None:
    waiting = set(futures)
    try:
        with progress_bar("Benchmark", total=len(futures), unit="run") as bar:
            while waiting:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    error = future.exception()
                    if error is None:
                        writer.finished(futures[future], future.result())
                    else:
                        writer.failed(futures[future], error)
                bar.update(len(finished))
    finally:
        for future in waiting:
            future.cancel()


def execute(
    run: Run, settings: Settings, columns: Mapping[str, Any], threads: int, vectors: Path | None = None
) -> dict[str, Any]:
    """Executes one run and returns its line of results, with an empty `cost`."""
    import datasets
    import torch
    from transformers.utils import logging

    torch.set_num_threads(threads)
    datasets.disable_progress_bars()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    with quietly():  # the bar is that of the parent
        if settings.frozen:  # the next run of this process often has the same rows
            data = _prepared(run.source, run.seed, settings, json.dumps(columns), vectors)
        else:
            data = prepare(run, settings, dict(columns))
        outcome = run_row(run, settings, data, vectors)
    return to_line(run, settings, outcome, data, None if settings.frozen else peak_memory_mb())


@lru_cache(maxsize=1)
def _prepared(source: str, seed: int, settings: Settings, columns: str, vectors: Path | None) -> Data:
    return prepare(Run(source, "ce", seed), settings, json.loads(columns), vectors)


def _in_a_process(
    workers: Workers, run: Run, settings: Settings, columns: dict[str, Any], processes: int, vectors: Path
) -> dict[str, Any]:
    threads = 1 if settings.frozen else max(1, (os.cpu_count() or 1) // processes)  # a linear layer needs no more
    return workers.call(execute, run, settings, columns, threads, vectors)


def _identity(run: Run, settings: Settings) -> str:
    return identity(
        {
            "dataset": run.dataset,
            "method": run.method,
            "params": dict(run.params),
            "seed": run.seed,
            "settings": settings.record(),
        }
    )


def _check_corpus(source: str, settings: Settings, columns: dict[str, Any], say: Callable[[str], None]) -> None:
    corpus = load(source, 0, columns)
    if corpus.notes:
        say("\n".join(first_lines(corpus)))
    rows = corpus.test if corpus.test is not None else corpus.train
    if max(rows["gold"][:]) < 0:
        raise ValueError(f"{source}: no gold label in the test rows: nothing can be measured. Name a gold_column.")
    wanted = {name: getattr(settings, name) for name in ("noise", "imbalance") if getattr(settings, name) is not None}
    if wanted and max(corpus.train["gold"][:]) < 0:
        name, value = next(iter(wanted.items()))
        raise ValueError(f"{source}: no gold label in the training rows, which {name}={value!r} starts from.")
    check_derivable(corpus, settings)
    if settings.noise is not None:
        check_spec(settings.noise, corpus.num_classes * (settings.split_classes or 1))


def spent(line: Mapping[str, Any]) -> float:
    """Returns the seconds of a run by which costs are compared: processor time on a CPU, else wall time."""
    # processor time does not measure the work of an accelerator
    return line["processor_seconds"] if line["versions"]["device"] == "cpu" else line["train_seconds"]


class _ResultsWriter:
    """Writes lines as soon as the time of their `ce` run is known, and reports progress."""

    def __init__(
        self, output: Path, todo: Sequence[Run], again: Sequence[Run], processes: int, say: Callable[[str], None]
    ) -> None:
        self.output, self.processes, self.say = output, processes, say
        self.again = again  # `ce` runs whose lines are in the file: only their time is used
        self.unit: dict[tuple[str, int], float] = {}  # (corpus, seed) -> seconds of `ce`
        self.held: dict[tuple[str, int], list[dict[str, Any]]] = {}  # lines that wait for these seconds
        self.left = list(todo)
        self.total = len(todo)
        self.errors: dict[str, str] = {}
        self.began = time.perf_counter()
        self.done_weight = 0.0

    def finished(self, run: Run, line: dict[str, Any]) -> None:
        group = (run.dataset, run.seed)
        if run.method == "ce":
            self.unit[group] = spent(line)
        waiting = self.held.setdefault(group, [])
        if run not in self.again:
            waiting.append(line)
        if group in self.unit:
            ready = self.held.pop(group)
            for line_ in ready:
                line_["cost"] = round(spent(line_) / self.unit[group], 4)
                line_["ce_seconds"] = self.unit[group]
            append(self.output, ready)
        accuracy = line["accuracy_chosen"]
        found = "cannot be measured here" if accuracy is None else f"accuracy {accuracy:.3f}"
        self._progress(run, f"{found}, {line['train_seconds']:.0f} s")

    def failed(self, run: Run, error: BaseException) -> None:
        self.errors[str(run)] = f"{type(error).__name__}: {error}"
        self._progress(run, f"FAILED: {self.errors[str(run)]}")

    def failures(self) -> list[str]:
        """Returns the runs that were not written: failed runs, and runs without a cost because their `ce` failed."""
        for lines in self.held.values():
            for line in lines:
                name = f"{line['dataset']} {line['method']} seed {line['seed']}"
                self.errors[name] = "not written: `ce` on the same rows failed, so that its cost is unknown"
        return [f"{name}: {error}" for name, error in self.errors.items()]

    def _progress(self, run: Run, text: str) -> None:
        self.left.remove(run)
        self.done_weight += run.weight
        spent = time.perf_counter() - self.began
        left = sum(other.weight for other in self.left)
        end = ""
        if self.done_weight and left:
            minutes = spent * left / self.done_weight / 60
            end = f"; about {minutes:.0f} min left" if minutes >= 1 else "; under a minute left"
        with bars_aside():
            self.say(f"[{self.total - len(self.left)}/{self.total}] {run}: {text}{end}")
