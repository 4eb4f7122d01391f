"""The tables of a section: accuracy, gap recovered, chosen methods, epochs and stopping rules."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median, stdev

from hf_noisy.benchmark.cells import (
    UNMEASURED,
    absent_anywhere,
    absent_cell,
    fraction_cell,
    grid,
    markdown_table,
    name_cell,
    noted,
    points_cell,
    share_cell,
)
from hf_noisy.benchmark.choice import Choice, leave_one_corpus_out
from hf_noisy.benchmark.gap import MIN_GAP, Estimate, Section, gap_recovered, mean
from hf_noisy.benchmark.settings import MEASURED_RULES

_REGRETS = """\
### Regret of stopping rules

What stopping by a rule lost against the epoch that was best on the test rows, in points: the mean over methods and seeds, \
of the runs that hold the epoch of each rule, those with † left out. "last" never stops early. "accuracy" is the rule of \
all other tables; "label_wave" stops at the first minimum of changed predictions on training rows, and reads no \
validation row; "both" takes the best noisy accuracy before those changes first rise."""

_LABELS_RIGHT = """\
### Labels right

The share of labelled training rows whose label is the true class: given / taught, and the change in points. The taught label is \
the largest class of the target in the last epoch, ties shared; a row of weight 0 counts by its given label. True labels are \
for measuring only."""


def accuracies(section: Section, order: Sequence[str]) -> str:
    def cell(corpus: str, variant: str) -> str:
        found = list(section.accuracies(corpus, variant).values())
        if not found:
            return absent_cell(section, corpus, variant)
        return f"{fmean(found):.3f}" + (f" ± {stdev(found):.3f}" if len(found) > 1 else "")

    return grid(section, order, section.corpora, cell)


def differences(section: Section, order: Sequence[str]) -> str:
    rows = []
    for variant in (name for name in order if name != section.ce):
        gains = [section.gain(corpus, variant) for corpus in section.corpora]
        measured = [gain for gain in gains if gain is not None]
        average = mean(measured) if len(measured) == len(gains) else None
        cells = [
            points_cell(gain, absent_cell(section, corpus, variant))
            for corpus, gain in zip(section.corpora, gains, strict=True)
        ]
        rows.append([name_cell(section, variant), *cells, points_cell(average, absent_anywhere(section, variant))])
    return noted(section, markdown_table(["", *section.corpora, "mean"], rows))


def gap_table(section: Section, order: Sequence[str]) -> list[str]:
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
        found, absent = gap_recovered(section, variant), absent_anywhere(section, variant)
        shares = [
            share_cell(found.per_corpus.get(corpus), absent_cell(section, corpus, variant))
            for corpus in section.counted
        ]
        rows.append(
            [name_cell(section, variant), *shares, share_cell(found.mean, absent), share_cell(found.pooled, absent)]
        )
    return [title, about, noted(section, markdown_table(["", *section.counted, "mean", "pooled"], rows))]


def choice_table(section: Section) -> list[str]:
    title, choices = "### Chosen on the other corpora", leave_one_corpus_out(section)
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
    return [title, about, noted(section, markdown_table(header, rows))]


def _choice(section: Section, choice: Choice) -> list[str]:
    absent = absent_cell(section, choice.corpus, choice.variant)
    return [
        choice.corpus,
        f"`{choice.variant}`",
        fraction_cell(choice.accuracy, absent),
        fraction_cell(section.accuracy(choice.corpus, section.ce), absent),
        points_cell(choice.gain, absent),
        share_cell(choice.recovered, UNMEASURED if choice.corpus not in section.counted else absent),
    ]


def _mean_choice(section: Section, choices: Sequence[Choice]) -> list[str]:
    """The last row: means over all corpora, for the gap over the counted ones. A mean with a missing value is empty."""

    def over(found: Sequence[Estimate | None]) -> Estimate | None:
        known = [estimate for estimate in found if estimate is not None]
        return mean(known) if len(known) == len(found) else None

    return [
        fraction_cell(over([choice.accuracy for choice in choices]), ""),
        fraction_cell(over([section.accuracy(choice.corpus, section.ce) for choice in choices]), ""),
        points_cell(over([choice.gain for choice in choices]), ""),
        share_cell(over([choice.recovered for choice in choices if choice.corpus in section.counted]), ""),
    ]


def epochs(section: Section, order: Sequence[str]) -> str:
    header = ["", "last epoch", "chosen", "best", "regret", "macro-F1, chosen", "cost", "memory, MB"]
    rows = []
    for variant in order:
        absent = absent_anywhere(section, variant)
        keys = ("accuracy_last", "accuracy_chosen", "accuracy_best", "f1_chosen")
        last, chosen, best, f1 = (section.over_corpora(variant, key) for key in keys)
        regret = None if best is None or chosen is None else 100 * (best - chosen)
        shown = [absent if value is None else f"{value:.3f}" for value in (last, chosen, best, f1)]
        shown.insert(3, absent if regret is None else f"{regret:.1f}")
        rows.append([name_cell(section, variant), *shown, *_expense(section, variant)])
    return markdown_table(header, rows)


def epochs_by_corpus(section: Section, order: Sequence[str]) -> list[str]:
    if len(section.corpora) == 1:
        return []  # the table above says the same

    def cell(corpus: str, variant: str) -> str:
        keys = ("accuracy_last", "accuracy_chosen", "accuracy_best")
        found = [section.over_seeds(corpus, variant, key) for key in keys]
        if None in found:
            return absent_cell(section, corpus, variant)
        return " / ".join(f"{value:.3f}" for value in found)

    return ["By corpus, last / chosen / best epoch:", grid(section, order, section.corpora, cell)]


def regrets_table(section: Section) -> list[str]:
    rules = ("last", *MEASURED_RULES)
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
    return [_REGRETS, markdown_table(["corpus", "runs", *rules], rows)]


def labels_right(section: Section, order: Sequence[str]) -> list[str]:
    """The shares of right labels of the variants that change labels, and the names of the others; empty in old files."""
    shares: dict[tuple[str, str], tuple[float, float]] = {}
    for variant in order:
        for corpus in section.corpora:
            given, taught = (section.over_seeds(corpus, variant, key) for key in ("given_correct", "taught_correct"))
            if given is not None and taught is not None:
                shares[corpus, variant] = given, taught
    changed = [
        name for name in order if any(of == name and given != taught for (_, of), (given, taught) in shares.items())
    ]
    same = [name for name in order if name not in changed and any(of == name for _, of in shares)]

    def cell(corpus: str, variant: str) -> str:
        if (corpus, variant) not in shares:
            return absent_cell(section, corpus, variant)
        given, taught = shares[corpus, variant]
        return f"{given:.3f} / {taught:.3f} / {100 * (taught - given):+z.1f}"

    if not shares:
        return []
    tables = [grid(section, changed, section.corpora, cell)] if changed else []
    names = ", ".join(name_cell(section, name) for name in same)
    return [
        _LABELS_RIGHT,
        *tables,
        *([f"No change, as labels are kept, weighed or left out: {names}."] if same else []),
    ]


def _expense(section: Section, variant: str) -> list[str]:
    costs, memory = section.values(variant, "cost"), section.values(variant, "peak_memory_mb")
    return [
        f"{median(costs):.2f} ({min(costs):.2f} to {max(costs):.2f})" if costs else UNMEASURED,
        f"{max(memory):,.0f}" if memory else UNMEASURED,
    ]
