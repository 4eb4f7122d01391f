"""Cells of a report: numbers with intervals, and marks for missing numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hf_noisy.benchmark.gap import (
    Estimate,
    Section,
    combine,
)

UNMEASURED = "\N{EN DASH}"


ONE_SEED = "one seed, so the interval covers test rows only."


def grid(section: Section, order: Sequence[str], corpora: Sequence[str], cell: Callable[[str, str], str]) -> str:
    """A markdown table with a row per variant and a column per corpus."""
    rows = [[name_cell(section, variant), *(cell(corpus, variant) for corpus in corpora)] for variant in order]
    return markdown_table(["", *corpora], rows)


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """
    >>> print(markdown_table(["", "youtube"], [["`ce`", "0.890"]]))
    | | youtube |
    |---|---|
    | `ce` | 0.890 |
    """
    written = [
        "|".join(["", *(f" {cell.replace('|', chr(92) + '|')} " if cell else " " for cell in row), ""])
        for row in (header, *rows)
    ]
    return "\n".join([written[0], "|---" * len(header) + "|", *written[1:]])


def noted(section: Section, table: str) -> str:
    """`table` with a note below that explains ‡. If all cells would have the mark, the marks are removed."""
    if len(section.seeds) == 1:
        return f"{table.replace('‡', '')}\n\nThere is {ONE_SEED}"
    return f"{table}\n\n‡ {ONE_SEED}" if "‡" in table else table


def name_cell(section: Section, variant: str) -> str:
    return f"`{variant}`" + "†" * (variant in section.reads_gold)


def absent_cell(section: Section, corpus: str, variant: str) -> str:
    """The mark for a missing number: a dash if the run was not measured, empty if it was not run."""
    return UNMEASURED if (corpus, variant) in section.runs else ""


def absent_anywhere(section: Section, variant: str) -> str:
    return UNMEASURED if all((corpus, variant) in section.runs for corpus in section.corpora) else ""


def points_cell(estimate: Estimate | None, absent: str) -> str:
    """A difference of accuracies, in points."""
    return absent if estimate is None else with_interval(combine(lambda value: 100 * value, estimate), "+z.1f")


def share_cell(estimate: Estimate | None, absent: str) -> str:
    return absent if estimate is None else with_interval(estimate, "z.2f")


def fraction_cell(estimate: Estimate | None, absent: str) -> str:
    return absent if estimate is None else f"{estimate.value:.3f}"


def with_interval(estimate: Estimate, form: str) -> str:
    """
    >>> import numpy as np
    >>> with_interval(Estimate(-0.001, np.array([-0.04, 0.06]), seeds=1), "+z.1f")
    '+0.0 [+0.0, +0.1]‡'
    """
    numbers = [estimate.value, *(estimate.interval or ())]
    value, *ends = (format(number, form) for number in numbers)
    return f"{value} [{', '.join(ends)}]" + "‡" * (estimate.seeds == 1) if ends else value
