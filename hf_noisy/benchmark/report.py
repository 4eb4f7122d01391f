"""The lines of a benchmark as a page of markdown: what was run, tables of what came out, two figures a section."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean, median, stdev

from hf_noisy.benchmark.figures import draw_accuracy, draw_cost
from hf_noisy.benchmark.gap import (
    MIN_GAP,
    REPLICATES,
    Choice,
    Estimate,
    Line,
    Section,
    chosen_elsewhere,
    combine,
    gap_recovered,
    mean,
    split_sections,
)
from hf_noisy.benchmark.settings import FIXED
from hf_noisy.methods.parts.stopping_rules import RULES

_UNMEASURED = "\N{EN DASH}"
_ROWS = f"""\
A row of a table is one way to use the same training rows. All rows share encoder, budget, seeds and test rows.

- `majority_vote`, `label_model`: nothing is trained; test rows take the vote of their sources, or Snorkel's label model.
- `ce`: cross-entropy on the labels as they are. This is what the others have to beat.
- `gold`†: cross-entropy on the gold labels of the same rows. This is what there is to win.
- `clean_valid`†: cross-entropy on the gold labels of the validation rows, and no other.
- `cleanlab`: cross-entropy without the rows that cleanlab takes for mislabelled.
- all others: methods of `hf_noisy`, on the labels as they are.

† reads gold labels of training or validation rows. "{_UNMEASURED}" could not be measured; an empty cell was not run. \
Accuracies are of the epoch that is best on the given, wrong labels of validation rows, the first of equals (`gold` goes by \
their gold labels; `clean_valid` takes the last epoch, as do methods that replace the labels, `truth_inference` and `auto`), \
unless a column says otherwise."""
_INTERVALS = (
    f"Brackets hold 95% bootstrap intervals: {REPLICATES:,} draws of seeds and test rows, the same draw for all rows of "
    "a table. With few seeds they are somewhat too narrow. They do not cover the choice of corpora."
)
_EPOCHS = """\
### Epochs and cost

Means over corpora and seeds. Regret is what the stopping rule lost against the epoch that was best on the test rows, in \
points. Cost is training time over that of `ce`: the median, the least and the most. Memory is the peak of the \
accelerator, or of the whole process where there is none."""
_REGRETS = """\
### Regret of stopping rules

What stopping by a rule lost against the epoch that was best on the test rows, in points: the mean over methods and seeds, \
of the runs that hold the epoch of each rule, those with † left out. "last" never stops early. "accuracy" is the rule of \
all other tables; "label_wave" stops at the first minimum of changed predictions on training rows, and reads no \
validation row; "both" takes the best noisy accuracy before those changes first rise."""
_ALT = ("accuracy by corpus, with intervals", "accuracy against cost")
_ONE_SEED = "one seed, so the interval covers test rows only."


def write_report(lines: Sequence[Line], path: str | Path) -> None:
    """Write the report to `path`, and beside it two figures for each section.

    Args:
        lines: what `read_results` gives.
        path: of the markdown file; report.md comes with report-accuracy.png and report-cost.png, and for a second
            section with report-accuracy-2.png and report-cost-2.png.

    Raises:
        ValueError: no lines, no line of `ce` or `gold` in a section, or a run that is there twice.
        ImportError: matplotlib is not installed.
    """
    path, sections = Path(path), split_sections(lines)
    text = _render(sections, path.stem)  # first, so that what is wrong with `lines` leaves no half a report
    path.parent.mkdir(parents=True, exist_ok=True)
    for number, section in enumerate(sections, start=1):
        order, (accuracy, cost) = ordered(section), _figures(path.stem, number)
        draw_accuracy(section, order, path.with_name(accuracy))
        draw_cost(section, order, path.with_name(cost))
    path.write_text(text, encoding="utf-8")


def render_report(lines: Sequence[Line], *, stem: str | None = None) -> str:
    """The markdown of the report.

    Args:
        lines: as `write_report`.
        stem: what the figures' file names begin with; without it none is shown.

    Raises:
        ValueError: as `write_report`.
    """
    return _render(split_sections(lines), stem)


def ordered(section: Section) -> list[str]:
    """The fixed rows as they are always ordered, then the methods, those first that recover most of the gap."""

    def rank(variant: str) -> tuple[int, float]:
        if section.methods[variant] in FIXED:
            return FIXED.index(section.methods[variant]), 0.0
        share = gap_recovered(section, variant).mean
        return len(FIXED), float("inf") if share is None else -share.value

    return sorted(section.methods, key=rank)


def _render(sections: Sequence[Section], stem: str | None) -> str:
    runs = sum(len(section.lines) for section in sections)
    parts = [f"# Benchmark\n\n{runs:,} runs.", _ROWS, _INTERVALS]
    for number, section in enumerate(sections, start=1):
        figures = (
            []
            if stem is None
            else [f"![{alt}]({name})" for alt, name in zip(_ALT, _figures(stem, number), strict=True)]
        )
        parts += [f"## {_title(section, sections)}", *_section(section, figures)]
    return "\n\n".join(parts) + "\n"


def _figures(stem: str, number: int) -> tuple[str, str]:
    """File names of a section's figures."""
    end = "" if number == 1 else f"-{number}"
    return f"{stem}-accuracy{end}.png", f"{stem}-cost{end}.png"


# ---- what a section says before its tables -------------------------------------------------------------------------


def _section(section: Section, figures: Sequence[str]) -> list[str]:
    order = ordered(section)
    return [
        *_missing(section),
        *_facts(section),
        "### Accuracy\n\nMean over seeds ± standard deviation.",
        _accuracies(section, order),
        "Difference to `ce`, points [95%]:",
        _differences(section, order),
        *figures[:1],
        *_gap_recovered(section, order),
        *_chosen_elsewhere(section),
        _EPOCHS,
        _epochs(section, order),
        *_epochs_by_corpus(section, order),
        *_regrets(section),
        *figures[1:],
    ]


def _title(section: Section, sections: Sequence[Section]) -> str:
    others = [other.settings for other in sections]
    differing = [
        f"{name} {value}"
        for name, value in section.settings.items()
        if name != "noise" and any(other.get(name) != value for other in others)
    ]
    return ", ".join([f"Results: {section.noise}", *differing])


def _missing(section: Section) -> list[str]:
    missing = section.missing()
    if not missing:
        return []
    corpora: dict[tuple[str, tuple[int, ...]], list[str]] = {}  # of a variant and seeds
    for (corpus, variant), seeds in missing.items():
        corpora.setdefault((variant, tuple(seeds)), []).append(corpus)
    variants: dict[tuple[tuple[str, ...], tuple[int, ...]], list[str]] = {}  # of the same corpora and seeds
    for (variant, same), where in corpora.items():
        variants.setdefault((tuple(where), same), []).append(f"`{variant}`")
    runs = "; ".join(
        f"{'every corpus' if set(where) == set(section.corpora) else ', '.join(where)}, {', '.join(names)}, "
        f"seed{'s' * (len(same) > 1)} {', '.join(map(str, same))}"
        for (where, same), names in variants.items()
    )
    number = sum(map(len, missing.values()))
    return [f"**{number} of the grid's runs {'is' if number == 1 else 'are'} missing:** {runs}."]


def _facts(section: Section) -> list[str]:
    settings = ", ".join(f"{name} {value}" for name, value in section.settings.items())
    found: dict[str, dict[str, None]] = {}
    for line in section.lines:
        for name, version in line["versions"].items():
            found.setdefault(name, {})[version] = None
    versions = ", ".join(f"{name} {' and '.join(of_package)}" for name, of_package in found.items())
    return [
        f"{len(section.lines):,} runs, seeds {', '.join(map(str, section.seeds))}.",
        f"- settings: {settings}\n- versions: {versions}",
        _corpora(section),
    ]


def _corpora(section: Section) -> str:
    forms = {"train_rows": "{:,.0f}", "test_rows": "{:,.0f}", "noise_rate": "{:.3f}"}
    rows = []
    for corpus in section.corpora:
        found = {key: section.over_seeds(corpus, section.ce, key) for key in forms}
        cells = [_UNMEASURED if found[key] is None else form.format(found[key]) for key, form in forms.items()]
        rows.append([corpus, *cells, _points(section.gain(corpus, section.gold), _UNMEASURED)])
    header = ["corpus", "training rows", "test rows", "noise rate", "`gold` less `ce`, points [95%]"]
    return _noted(section, _table(header, rows))


# ---- its tables ----------------------------------------------------------------------------------------------------


def _accuracies(section: Section, order: Sequence[str]) -> str:
    def cell(corpus: str, variant: str) -> str:
        found = list(section.accuracies(corpus, variant).values())
        if not found:
            return _absent(section, corpus, variant)
        return f"{fmean(found):.3f}" + (f" ± {stdev(found):.3f}" if len(found) > 1 else "")

    return _grid(section, order, section.corpora, cell)


def _differences(section: Section, order: Sequence[str]) -> str:
    rows = []
    for variant in (name for name in order if name != section.ce):
        gains = [section.gain(corpus, variant) for corpus in section.corpora]
        measured = [gain for gain in gains if gain is not None]
        average = mean(measured) if len(measured) == len(gains) else None
        cells = [
            _points(gain, _absent(section, corpus, variant))
            for corpus, gain in zip(section.corpora, gains, strict=True)
        ]
        rows.append([_name(section, variant), *cells, _points(average, _absent_anywhere(section, variant))])
    return _noted(section, _table(["", *section.corpora, "mean"], rows))


def _gap_recovered(section: Section, order: Sequence[str]) -> list[str]:
    title, points = "### Gap recovered", f"{100 * MIN_GAP:g} points"
    if not section.counted:
        return [title, f"No corpus has {points} or more between `ce` and `gold`, so there is no gap to recover."]
    left_out = [corpus for corpus in section.corpora if corpus not in section.counted]
    about = (
        "The share of the way from `ce`, 0, to `gold`, 1, clipped to [-1, 1]. Pooled is the sum of gains over the sum of "
        "gaps, unclipped. Methods stand in the order of the mean. Draws are clipped too, so the "
        "interval of a share near 1 or -1 leans towards 0."
    )
    if left_out:
        about += f" Left out, with less than {points} to win or none measured: {', '.join(left_out)}."
    rows = []
    for variant in (name for name in order if name not in (section.ce, section.gold)):
        found, absent = gap_recovered(section, variant), _absent_anywhere(section, variant)
        shares = [_share(found.per_corpus.get(corpus), _absent(section, corpus, variant)) for corpus in section.counted]
        rows.append([_name(section, variant), *shares, _share(found.mean, absent), _share(found.pooled, absent)])
    return [title, about, _noted(section, _table(["", *section.counted, "mean", "pooled"], rows))]


def _chosen_elsewhere(section: Section) -> list[str]:
    title, choices = "### Chosen on the other corpora", chosen_elsewhere(section)
    if not choices:
        return [title, f"It takes three corpora with a gap; here there are {len(section.counted)}."]
    about = (
        "The best row of a table was picked on the numbers that it shows, and is flattered by them. Here each corpus gets "
        "the method that recovered most on the others. Only `ce` and methods that read no gold labels stand for choice. "
        "The intervals hold the choice fixed."
    )
    header = ["corpus", "chosen", "accuracy", "`ce`", "difference to `ce`, points [95%]", "gap recovered"]
    rows = [_choice(section, choice) for choice in choices]
    rows.append(["mean", "", *_mean_choice(section, choices)])
    return [title, about, _noted(section, _table(header, rows))]


def _choice(section: Section, choice: Choice) -> list[str]:
    absent = _absent(section, choice.corpus, choice.variant)
    return [
        choice.corpus,
        f"`{choice.variant}`",
        _fraction(choice.accuracy, absent),
        _fraction(section.accuracy(choice.corpus, section.ce), absent),
        _points(choice.gain, absent),
        _share(choice.recovered, _UNMEASURED if choice.corpus not in section.counted else absent),
    ]


def _mean_choice(section: Section, choices: Sequence[Choice]) -> list[str]:
    """The last row: over all corpora, the gap recovered over those that count; empty where one of them is."""

    def over(found: Sequence[Estimate | None]) -> Estimate | None:
        known = [estimate for estimate in found if estimate is not None]
        return mean(known) if len(known) == len(found) else None

    return [
        _fraction(over([choice.accuracy for choice in choices]), ""),
        _fraction(over([section.accuracy(choice.corpus, section.ce) for choice in choices]), ""),
        _points(over([choice.gain for choice in choices]), ""),
        _share(over([choice.recovered for choice in choices if choice.corpus in section.counted]), ""),
    ]


def _epochs(section: Section, order: Sequence[str]) -> str:
    header = ["", "last epoch", "chosen", "best", "regret", "macro-F1, chosen", "cost", "memory, MB"]
    rows = []
    for variant in order:
        absent = _absent_anywhere(section, variant)
        keys = ("accuracy_last", "accuracy_chosen", "accuracy_best", "f1_chosen")
        last, chosen, best, f1 = (section.over_corpora(variant, key) for key in keys)
        regret = None if best is None or chosen is None else 100 * (best - chosen)
        shown = [absent if value is None else f"{value:.3f}" for value in (last, chosen, best, f1)]
        shown.insert(3, absent if regret is None else f"{regret:.1f}")
        rows.append([_name(section, variant), *shown, *_expense(section, variant)])
    return _table(header, rows)


def _epochs_by_corpus(section: Section, order: Sequence[str]) -> list[str]:
    if len(section.corpora) == 1:
        return []  # the table above says the same

    def cell(corpus: str, variant: str) -> str:
        keys = ("accuracy_last", "accuracy_chosen", "accuracy_best")
        found = [section.over_seeds(corpus, variant, key) for key in keys]
        if None in found:
            return _absent(section, corpus, variant)
        return " / ".join(f"{value:.3f}" for value in found)

    return ["By corpus, last / chosen / best epoch:", _grid(section, order, section.corpora, cell)]


def _regrets(section: Section) -> list[str]:
    rules = ("last", *RULES)
    found = {corpus: [section.regrets(rule, corpus) for rule in rules] for corpus in section.corpora}
    means = {
        corpus: [100 * fmean(regrets) for regrets in of_rules] for corpus, of_rules in found.items() if of_rules[0]
    }
    if not means:
        return []
    rows = [
        [corpus, str(len(found[corpus][0])), *(f"{regret:.2f}" for regret in of_rules)]
        for corpus, of_rules in means.items()
    ]
    if len(means) > 1:
        columns = zip(*means.values(), strict=True)
        rows.append(["mean", "", *(f"{fmean(regrets):.2f}" for regrets in columns)])
    return [_REGRETS, _table(["corpus", "runs", *rules], rows)]


def _expense(section: Section, variant: str) -> list[str]:
    costs, memory = section.values(variant, "cost"), section.values(variant, "peak_memory_mb")
    return [
        f"{median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f})" if costs else _UNMEASURED,
        f"{max(memory):,.0f}" if memory else _UNMEASURED,
    ]


# ---- cells ---------------------------------------------------------------------------------------------------------


def _grid(section: Section, order: Sequence[str], corpora: Sequence[str], cell: Callable[[str, str], str]) -> str:
    """A row for each variant, a column for each corpus."""
    rows = [[_name(section, variant), *(cell(corpus, variant) for corpus in corpora)] for variant in order]
    return _table(["", *corpora], rows)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """
    >>> print(_table(["", "youtube"], [["`ce`", "0.890"]]))
    | | youtube |
    |---|---|
    | `ce` | 0.890 |
    """
    written = [
        "|".join(["", *(f" {cell.replace('|', chr(92) + '|')} " if cell else " " for cell in row), ""])
        for row in (header, *rows)
    ]
    return "\n".join([written[0], "|---" * len(header) + "|", *written[1:]])


def _noted(section: Section, table: str) -> str:
    """`table`, and below it what ‡ means; without the marks where all cells would have one."""
    if len(section.seeds) == 1:
        return f"{table.replace('‡', '')}\n\nThere is {_ONE_SEED}"
    return f"{table}\n\n‡ {_ONE_SEED}" if "‡" in table else table


def _name(section: Section, variant: str) -> str:
    return f"`{variant}`" + "†" * (variant in section.reads_gold)


def _absent(section: Section, corpus: str, variant: str) -> str:
    """What stands for a number that is not there: run but not measured, or not run."""
    return _UNMEASURED if (corpus, variant) in section.runs else ""


def _absent_anywhere(section: Section, variant: str) -> str:
    return _UNMEASURED if all((corpus, variant) in section.runs for corpus in section.corpora) else ""


def _points(estimate: Estimate | None, absent: str) -> str:
    """A difference of accuracies, in points."""
    return absent if estimate is None else _with_interval(combine(lambda value: 100 * value, estimate), "+z.1f")


def _share(estimate: Estimate | None, absent: str) -> str:
    return absent if estimate is None else _with_interval(estimate, "z.2f")


def _fraction(estimate: Estimate | None, absent: str) -> str:
    return absent if estimate is None else f"{estimate.value:.3f}"


def _with_interval(estimate: Estimate, form: str) -> str:
    """
    >>> import numpy as np
    >>> _with_interval(Estimate(-0.001, np.array([-0.04, 0.06]), seeds=1), "+z.1f")
    '+0.0 [+0.0, +0.1]‡'
    """
    numbers = [estimate.value, *(estimate.interval or ())]
    value, *ends = (format(number, form) for number in numbers)
    return f"{value} [{', '.join(ends)}]" + "‡" * (estimate.seeds == 1) if ends else value
