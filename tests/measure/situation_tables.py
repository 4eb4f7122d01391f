"""Tables of the lines of situations.py: means over seeds, and over corpora, of which those with the same texts count as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from statistics import fmean

from reporting import Line, distinct

from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.benchmark.gap import MIN_GAP

SAME_TEXTS = ("massive18", "slurp_asr")
BASES = ("ce", "gold")
TITLES = {
    "given": "labels as given",
    "gold": "true labels",
    "symmetric_20": "20 % symmetric noise",
    "symmetric_40": "40 % symmetric noise",
    "pair_40": "40 % pair noise",
    "commonest_30": "30 % of other classes become the commonest",
    "imbalanced": "labels as given, classes cut to 10 : 1",
    "rows_200": "labels as given, 200 rows",
    "rows_1000": "labels as given, 1,000 rows",
    "rows_4000": "labels as given, 4,000 rows",
    "classes_30": "each class split, about 30 classes, 40 % symmetric noise",
    "classes_150": "each class split, about 150 classes, 40 % symmetric noise",
}


@dataclass(frozen=True)
class Cell:
    """One method on one corpus in one situation: means over seeds."""

    corpus: str
    rows: int
    classes: int
    given: float  # share of the labelled training rows whose given label is right
    taught: float
    accuracy: float
    ce: float
    gold: float
    rate: float  # true share of wrong labels
    estimated: float | None
    took: tuple[str, ...]
    runs: int

    @property
    def change(self) -> float:
        """In points."""
        return 100 * (self.taught - self.given)

    @property
    def gain(self) -> float:
        """Over `ce`, in points."""
        return 100 * (self.accuracy - self.ce)

    @property
    def recovered(self) -> float | None:
        """The share of the gap between `ce` and `gold`; None if that is small."""
        gap = self.gold - self.ce
        return (self.accuracy - self.ce) / gap if gap >= MIN_GAP else None

    @property
    def error(self) -> float | None:
        """Distance of the estimated rate to the true one, in points; None without an estimate."""
        return None if self.estimated is None else 100 * abs(self.estimated - self.rate)


def cells(lines: Iterable[Line], situation: str, method: str) -> list[Cell]:
    """A cell per corpus, the worst first: by the change in right labels, then by the gain."""
    runs: dict[str, dict[tuple[str, int], Line]] = {}
    for line in lines:
        if line["situation"] == situation and "method" in line:
            runs.setdefault(line["dataset"], {})[line["method"], line["seed"]] = line
    found = []
    for corpus, of in runs.items():
        seeds = [seed for name, seed in of if name == method and all((base, seed) in of for base in BASES)]
        if seeds:
            found.append(_cell(corpus, *([of[name, seed] for seed in seeds] for name in (method, *BASES))))
    return sorted(found, key=lambda cell: (cell.change, cell.gain))


def _cell(corpus: str, lines: list[Line], ce: list[Line], gold: list[Line]) -> Cell:
    estimates = [line["estimated"] for line in lines if line["estimated"] is not None]
    return Cell(
        corpus,
        *(round(fmean(line[name] for line in ce)) for name in ("rows", "classes")),
        *(fmean(line[name] for line in lines) for name in ("given", "taught", "accuracy")),
        *(fmean(line["accuracy"] for line in of) for of in (ce, gold)),
        fmean(line["rate"] for line in ce),
        fmean(estimates) if estimates else None,
        tuple(distinct([line for line in lines if line["took"]], "took")),
        len(lines),
    )


def over_corpora(found: Iterable[Cell], value: Callable[[Cell], float | None]) -> float | None:
    """The mean over corpora that have the value; corpora with the same texts count as one."""
    values = {cell.corpus: number for cell in found if (number := value(cell)) is not None}
    groups: dict[str, list[float]] = {}
    for corpus, number in values.items():
        groups.setdefault(SAME_TEXTS[0] if corpus in SAME_TEXTS else corpus, []).append(number)
    return fmean(map(fmean, groups.values())) if groups else None


def count(found: Iterable[Cell]) -> int:
    """The number of corpora, those with the same texts as one."""
    return len({SAME_TEXTS[0] if cell.corpus in SAME_TEXTS else cell.corpus for cell in found})


def measured_situations(lines: Iterable[Line]) -> list[str]:
    there = {line["situation"] for line in lines if "method" in line}
    return [name for name in TITLES if name in there]


def methods_of(lines: Iterable[Line]) -> list[str]:
    return [name for name in distinct([line for line in lines if "method" in line], "method") if name not in BASES]


def table(lines: list[Line]) -> str:
    """The summary: a row per situation. Labels and rates first, then accuracies."""
    return f"{labels_table(lines)}\n\n{accuracy_table(lines)}"


def labels_table(lines: list[Line]) -> str:
    """What `auto` teaches, and estimated rates."""
    methods = [name for name in methods_of(lines) if any(line["estimated"] is not None for line in _of(lines, name))]
    header = [
        "situation",
        "corpora",
        "runs of `auto`",
        "labels right",
        "taught right",
        "change, points",
        "worst change",
    ]
    header += [f"rate of `{name}`: error, points" for name in methods]
    rows = []
    for situation in measured_situations(lines):
        found = cells(lines, situation, "auto")
        if not found:
            continue
        row = [TITLES[situation], str(count(found)), str(sum(cell.runs for cell in found))]
        row += [f"{over_corpora(found, value):.3f}" for value in (lambda cell: cell.given, lambda cell: cell.taught)]
        row += [
            f"{over_corpora(found, lambda cell: cell.change):+z.1f}",
            f"{found[0].change:+z.1f} (`{found[0].corpus}`)",
        ]
        rows.append(row + [_written(over_corpora(cells(lines, situation, name), _error), ".1f") for name in methods])
    return markdown_table(header, rows)


def accuracy_table(lines: list[Line]) -> str:
    """What methods gain over `ce`."""
    methods = methods_of(lines)
    header = ["situation", "`ce`", "`gold`", *(f"gain of `{name}`, points" for name in methods)]
    header += [*(f"worst gain of `{name}`" for name in methods if name == "auto"), "corpora with a gap"]
    header += [f"gap recovered by `{name}`" for name in methods]
    rows = []
    for situation in measured_situations(lines):
        found = {name: cells(lines, situation, name) for name in methods}
        most = max(found.values(), key=len, default=[])
        row = [TITLES[situation]]
        row += [_written(over_corpora(most, value), ".3f") for value in (lambda cell: cell.ce, lambda cell: cell.gold)]
        row += [_written(over_corpora(found[name], lambda cell: cell.gain), "+z.1f") for name in methods]
        if "auto" in found:
            worst = min(found["auto"], key=lambda cell: cell.gain, default=None)
            row.append("" if worst is None else f"{worst.gain:+z.1f} (`{worst.corpus}`)")
        row.append(str(count(cell for cell in most if cell.recovered is not None)))
        rows.append(
            row + [_written(over_corpora(found[name], lambda cell: cell.recovered), "z.2f") for name in methods]
        )
    return markdown_table(header, rows)


def corpora_table(lines: list[Line], situation: str) -> str:
    """A row per corpus of one situation, the worst first."""
    header = [
        "corpus", "rows", "classes", "labels right", "taught right", "change, points", "`ce`", "`auto`", "`gold`", "gain, points",
        "gap recovered", "took", "wrong labels", "by `auto`", "by `cleanlab`",
    ]  # fmt: skip
    cleanlab = {cell.corpus: cell.estimated for cell in cells(lines, situation, "cleanlab")}
    return markdown_table(header, list(_corpus_rows(cells(lines, situation, "auto"), cleanlab)))


def _corpus_rows(found: Iterable[Cell], cleanlab: dict[str, float | None]) -> Iterator[list[str]]:
    for cell in found:
        yield [
            f"`{cell.corpus}`",
            f"{cell.rows:,}",
            str(cell.classes),
            *(f"{value:.3f}" for value in (cell.given, cell.taught)),
            f"{cell.change:+z.1f}",
            *(f"{value:.3f}" for value in (cell.ce, cell.accuracy, cell.gold)),
            f"{cell.gain:+z.1f}",
            _written(cell.recovered, "z.2f"),
            ", ".join(f"`{name}`" for name in cell.took),
            *(_written(value, ".3f") for value in (cell.rate, cell.estimated, cleanlab.get(cell.corpus))),
        ]


def _of(lines: Iterable[Line], method: str) -> list[Line]:
    return [line for line in lines if line.get("method") == method]


def _error(cell: Cell) -> float | None:
    return cell.error


def _written(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
