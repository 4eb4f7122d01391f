"""The share of the accuracy lost to wrong labels that a method recovers, with confidence intervals.

The *gain* of a method is its accuracy minus that of `ce`, cross-entropy on the labels as given. The *gap* of a corpus
is the gain of `gold`, cross-entropy on the true labels. The *gap recovered* is gain / gap: 0 for `ce`, 1 for `gold`.
All accuracies are measured at the epoch that the stopping rule chose without gold labels.

Intervals are percentile bootstraps over seeds and test rows. All methods of a corpus use the same draws, so common
difficulties cancel out of differences. With few seeds, intervals are somewhat too narrow. With one seed, they cover the
test rows only.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

Line = Mapping[str, Any]  # one run, as in results.jsonl

MIN_GAP = 0.03  # with a smaller gap, gain / gap is mostly noise
_FLOOR = MIN_GAP / 3  # minimum gap in a ratio; otherwise a replicate could divide by 0
REPLICATES = 2000
_PERCENTILES = (2.5, 97.5)
_SEED = 0
_CHUNK = 250  # replicates per chunk: 25 MB of counts with 25,000 test rows


@dataclass(frozen=True)
class Estimate:
    """A value, its bootstrap replicates over seeds and test rows, and its number of seeds."""

    value: float
    replicates: np.ndarray | None  # (REPLICATES,); None if it is unknown which test rows are correct
    seeds: int

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """The 95% interval."""
        if self.replicates is None:
            return None
        low, high = np.percentile(self.replicates, _PERCENTILES)
        return float(low), float(high)


def combine(formula: Callable[..., Any], *estimates: Estimate) -> Estimate:
    """Applies `formula` to the values, and to their replicates, draw by draw.

    >>> combine(max, Estimate(0.2, None, 5), Estimate(0.3, None, 4))
    Estimate(value=0.3, replicates=None, seeds=4)
    """
    replicates = [estimate.replicates for estimate in estimates if estimate.replicates is not None]
    return Estimate(
        float(formula(*(estimate.value for estimate in estimates))),
        formula(*replicates) if len(replicates) == len(estimates) else None,
        min(estimate.seeds for estimate in estimates),
    )


def mean(estimates: Sequence[Estimate]) -> Estimate:
    """Returns the unweighted mean."""
    return combine(lambda *values: sum(values) / len(values), *estimates)


class Section:
    """The runs with the same `settings`, by corpus, variant and seed. Runs of different settings are never compared.

    Args:
        lines: the runs, with the same settings.
        labels: name of the variant of each line (`variant_labels`).

    Raises:
        ValueError: no line of `ce` or `gold`, or a repeated run.
    """

    def __init__(self, lines: Sequence[Line], labels: Sequence[str]) -> None:
        self.lines = list(lines)
        self.settings: dict[str, Any] = dict(lines[0]["settings"])
        self.corpora = list(dict.fromkeys(line["dataset"] for line in lines))
        self.seeds = sorted({line["seed"] for line in lines})
        self.methods = {label: line["method"] for label, line in zip(labels, lines, strict=True)}
        self.reads_gold = {label for label, line in zip(labels, lines, strict=True) if line["reads_gold"]}
        self.runs: dict[tuple[str, str], dict[int, Line]] = {}
        for label, line in zip(labels, lines, strict=True):
            self._add(label, line)
        self.ce, self.gold = self._reference("ce"), self._reference("gold")
        self._draws: dict[str, dict[tuple[str, int], np.ndarray]] = {}

    @property
    def noise(self) -> str:
        """Description of the label noise."""
        noise = self.settings.get("noise")
        return "labels as given" if noise is None else f"{noise} noise"

    @cached_property
    def counted(self) -> list[str]:
        """The corpora whose gap is at least `MIN_GAP`; the same for all methods and all replicates."""
        gaps = {corpus: self.gain(corpus, self.gold) for corpus in self.corpora}
        return [corpus for corpus, gap in gaps.items() if gap is not None and gap.value >= MIN_GAP - 1e-9]

    def accuracies(self, corpus: str, variant: str) -> dict[int, float]:
        """Returns seed -> accuracy at the chosen epoch, for the seeds where it was measured."""
        runs = self.runs.get((corpus, variant), {})
        return {seed: run["accuracy_chosen"] for seed, run in runs.items() if run["accuracy_chosen"] is not None}

    def accuracy(self, corpus: str, variant: str, *shared_with: str) -> Estimate | None:
        """Returns the mean over seeds that the variant and all of `shared_with` have; None without such a seed."""
        wanted = [self.accuracies(corpus, name) for name in (variant, *shared_with)]
        seeds = sorted(set.intersection(*map(set, wanted)))
        if not seeds:
            return None
        value = float(np.mean([wanted[0][seed] for seed in seeds]))
        return Estimate(value, self._replicates(corpus, variant, seeds), len(seeds))

    def gain(self, corpus: str, variant: str, *shared_with: str) -> Estimate | None:
        """Returns the accuracy minus that of `ce`, over the seeds that both (and all of `shared_with`) have."""
        ours = self.accuracy(corpus, variant, self.ce, *shared_with)
        baseline = self.accuracy(corpus, self.ce, variant, *shared_with)
        return combine(np.subtract, ours, baseline) if ours is not None and baseline is not None else None

    def values(self, variant: str, key: str) -> list[float]:
        """Returns the values of `key` in all runs of the variant, without None."""
        found = (run[key] for corpus in self.corpora for run in self.runs.get((corpus, variant), {}).values())
        return [value for value in found if value is not None]

    def over_seeds(self, corpus: str, variant: str, key: str) -> float | None:
        """Returns the mean of `key` over seeds; None if no run has it."""
        values = [run.get(key) for run in self.runs.get((corpus, variant), {}).values()]
        found = [value for value in values if value is not None]
        return float(np.mean(found)) if found else None

    def over_corpora(self, variant: str, key: str) -> float | None:
        """Returns the mean over corpora of the mean over seeds; None unless every corpus has it."""
        means = [self.over_seeds(corpus, variant, key) for corpus in self.corpora]
        known = [value for value in means if value is not None]
        return float(np.mean(known)) if len(known) == len(means) else None

    def regrets(self, rule: str, corpus: str) -> list[float]:
        """Returns the accuracy lost by stopping by `rule`, or at the "last" epoch, against the best epoch on test rows.

        One value for each run that has the accuracy of every rule and reads no gold labels.
        """
        runs = (
            run
            for (name, variant), by_seed in self.runs.items()
            for run in by_seed.values()
            if name == corpus and variant not in self.reads_gold and run.get("accuracy_by_rule") is not None
        )
        return [run["accuracy_best"] - {"last": run["accuracy_last"], **run["accuracy_by_rule"]}[rule] for run in runs]

    def missing(self) -> dict[tuple[str, str], list[int]]:
        """Returns (corpus, variant) -> seeds of the full grid that the file does not have."""
        grid = {
            (corpus, variant): [seed for seed in self.seeds if seed not in self.runs.get((corpus, variant), {})]
            for corpus in self.corpora
            for variant in self.methods
        }
        return {cell: seeds for cell, seeds in grid.items() if seeds}

    def _add(self, label: str, line: Line) -> None:
        runs = self.runs.setdefault((line["dataset"], label), {})
        if line["seed"] in runs:
            run = f"{line['dataset']}, {label}, seed {line['seed']}"
            raise ValueError(f"{run}: 2 lines, expected 1. Delete the one that does not belong there.")
        runs[line["seed"]] = line

    def _reference(self, method: str) -> str:
        for label, name in self.methods.items():
            if name == method:
                return label
        raise ValueError(
            f"{method!r} is not among the {len(self.lines)} lines with {self.noise}: expected runs of 'ce' and 'gold', "
            f"since gains are measured from one and gaps by the other. Run the benchmark with {method!r} and the same settings."
        )

    def _replicates(self, corpus: str, variant: str, seeds: list[int]) -> np.ndarray | None:
        """Returns (REPLICATES,) accuracies on seeds and test rows drawn with replacement; None if rows are unknown."""
        if corpus not in self._draws:
            runs = {
                (name, seed): run
                for (c, name), by_seed in self.runs.items()
                if c == corpus
                for seed, run in by_seed.items()
            }
            self._draws[corpus] = _redraw_rows(corpus, runs)
        draws = self._draws[corpus]
        if any((variant, seed) not in draws for seed in seeds):
            return None
        right = np.stack([draws[variant, seed] for seed in seeds], axis=1)  # (replicates, seeds)
        times = _rng(corpus, *seeds).multinomial(len(seeds), np.full(len(seeds), 1 / len(seeds)), size=REPLICATES)
        rows = self.runs[corpus, variant][seeds[0]]["test_rows"]
        return (times * right).sum(axis=1) / (len(seeds) * rows)  # integers: equal runs stay exactly equal


def _rng(corpus: str, *seeds: int) -> np.random.Generator:
    """Returns a generator that depends only on corpus and seeds: all methods of a corpus get the same draws."""
    return np.random.default_rng([_SEED, zlib.crc32(corpus.encode()), *seeds])


def _redraw_rows(corpus: str, runs: Mapping[tuple[str, int], Line]) -> dict[tuple[str, int], np.ndarray]:
    """Returns (variant, seed) -> (REPLICATES,) number of correct rows among test rows drawn with replacement."""
    known = {key: run for key, run in runs.items() if run["correct_chosen"] is not None}
    sizes = sorted({run["test_rows"] for run in known.values()})
    if len(sizes) > 1:
        raise ValueError(
            f"{corpus}: test_rows={sizes}: expected one number. Runs on other test rows need other settings."
        )
    if not known:
        return {}
    rows, rng = sizes[0], _rng(corpus)
    right = np.stack([correct_rows(run) for run in known.values()], axis=1).astype(np.float32)  # (rows, runs)
    counts = (
        rng.multinomial(rows, np.full(rows, 1 / rows), size=_CHUNK).astype(np.float32)
        for _ in range(REPLICATES // _CHUNK)
    )
    drawn = np.concatenate([times @ right for times in counts])  # exact: float32 represents integers up to 2^24
    return {key: drawn[:, column].astype(np.int64) for column, key in enumerate(known)}


def correct_rows(run: Line) -> np.ndarray:
    """Returns (test_rows,) whether each test row is correct at the chosen epoch, as 0 or 1.

    >>> correct_rows({"test_rows": 3, "correct_chosen": "a0", "accuracy_chosen": 2 / 3})
    array([1, 0, 1], dtype=uint8)

    Raises:
        ValueError: the number of rows or of correct rows differs from that of the line.
    """
    rows, packed = run["test_rows"], np.frombuffer(bytes.fromhex(run["correct_chosen"]), dtype=np.uint8)
    if len(packed) != -(-rows // 8):
        raise ValueError(f"correct_chosen: {len(packed)} bytes, expected {-(-rows // 8)} for test_rows={rows}.")
    right, accuracy = np.unpackbits(packed, count=rows), run["accuracy_chosen"]
    if accuracy is None or abs(right.mean() - accuracy) > 0.5 / rows + 5e-4:  # 5e-4 allows for rounding
        raise ValueError(
            f"accuracy_chosen={accuracy}: expected {right.mean():.4f}, the share of right rows in correct_chosen. "
            "Write both at the same epoch."
        )
    return right


def split_sections(lines: Sequence[Line]) -> list[Section]:
    """Returns one section for each distinct `settings`, in order of first appearance.

    Raises:
        ValueError: no lines, or an error of `Section`.
    """
    if not lines:
        raise ValueError("lines=[]: expected at least one run. Run the benchmark first.")
    parts: dict[str, list[tuple[Line, str]]] = {}
    for line, label in zip(lines, variant_labels(lines), strict=True):
        parts.setdefault(json.dumps(line["settings"], sort_keys=True), []).append((line, label))
    return [Section(*map(list, zip(*part, strict=True))) for part in parts.values()]


def variant_labels(lines: Sequence[Line]) -> list[str]:
    """Returns the name of each line's variant: the method, and the parameters in which the method's variants differ.

    >>> gce = [{"method": "gce", "params": {"q": q, "k": 0.5}} for q in (0.5, 0.7)]
    >>> variant_labels([*gce, {"method": "sce", "params": {"alpha": 0.4}}])
    ['gce q=0.5', 'gce q=0.7', 'sce']
    """
    params = [{key: json.dumps(value).strip('"') for key, value in line["params"].items()} for line in lines]
    variants: dict[str, list[dict[str, str]]] = {}
    for line, given in zip(lines, params, strict=True):
        of_method = variants.setdefault(line["method"], [])
        if given not in of_method:
            of_method.append(given)
    return [_label(line["method"], given, variants[line["method"]]) for line, given in zip(lines, params, strict=True)]


def _label(method: str, params: Mapping[str, str], variants: Sequence[Mapping[str, str]]) -> str:
    differing = (name for name in params if any(other.get(name) != params[name] for other in variants))
    return " ".join([method, *(f"{name}={params[name]}" for name in differing)])


@dataclass(frozen=True)
class Recovered:
    """The share of the gap that a variant recovered."""

    per_corpus: Mapping[str, Estimate]  # for counted corpora with runs of the variant, clipped to [-1, 1]
    mean: Estimate | None  # over the counted corpora; None unless the variant was run on all of them
    pooled: Estimate | None  # sum of gains / sum of gaps, unclipped: larger gaps weigh more


def gap_recovered(section: Section, variant: str) -> Recovered:
    """Returns the share of the gap that `variant` recovers, over the seeds that it, `ce` and `gold` all have.

    Only corpora whose gap is at least `MIN_GAP` count. They are selected once, by the measured gap, and not again in
    each replicate. If a replicate's gap is below MIN_GAP / 3, the ratio uses MIN_GAP / 3. The replicates of a share are
    clipped like the share itself, so an interval near 1 or -1 is biased towards 0.
    """
    gains, gaps = {}, {}
    for corpus in section.counted:
        gain, gap = section.gain(corpus, variant, section.gold), section.gain(corpus, section.gold, variant)
        if gain is not None and gap is not None:
            gains[corpus], gaps[corpus] = gain, combine(lambda value: np.maximum(value, _FLOOR), gap)
    shares = {corpus: combine(_clipped_share, gains[corpus], gaps[corpus]) for corpus in gains}
    if not gains or len(gains) < len(section.counted):
        return Recovered(shares, None, None)
    pooled = combine(np.divide, mean(list(gains.values())), mean(list(gaps.values())))
    return Recovered(shares, mean(list(shares.values())), pooled)


def _clipped_share(gain: Any, gap: Any) -> Any:
    return np.clip(gain / gap, -1, 1)
