"""Cells and sentences of the evidence pages: numbers from sections of the benchmark, with their intervals."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import cache
from statistics import fmean, median, stdev
from typing import Any

import method_results as results

from hf_noisy.benchmark.cells import UNMEASURED, markdown_table
from hf_noisy.benchmark.gap import Estimate, Recovered, Section, gap_recovered, mean, split_sections

__all__ = ["UNMEASURED", "markdown_table"]
NUMBERS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


# ---- sections ------------------------------------------------------------------------------------------------------


def section_of(file: str, noise: str | None = None) -> Section:
    """The section of a file with this noise; None stands for labels as given."""
    return next(one for one in results.sections(f"{file}.jsonl") if one.settings.get("noise") == noise)


@cache
def of_seeds(file: str, *seeds: int) -> Section:
    """The section of labels as given, with these seeds alone."""
    lines = [line for line in results.lines_of(f"{file}.jsonl") if line["seed"] in seeds]
    return next(one for one in split_sections(lines) if one.settings.get("noise") is None)


def corpora_of(section: Section) -> list[str]:
    """Its corpora in the order of all tables."""
    return sorted(section.corpora, key=lambda name: (*results.ORDER, name).index(name))


def gain_of(section: Section, variant: str) -> Estimate | None:
    """The mean gain over the corpora; None unless all were measured."""
    gains = [section.gain(corpus, variant) for corpus in section.corpora]
    known = [gain for gain in gains if gain is not None]
    return mean(known) if known and len(known) == len(gains) else None


@cache
def gap_of(section: Section, variant: str) -> Recovered:
    """The shares of the gap that the variant recovers."""
    return gap_recovered(section, variant)


def variants_of(section: Section, method: str) -> list[str]:
    """Its variants of a method."""
    return [variant for variant, name in section.methods.items() if name == method]


def differing(section: Section, variant: str) -> dict[str, Any]:
    """The parameters of a variant that are not the defaults of the version that measured it."""
    (method, corpora) = section.methods[variant], section.corpora
    params = next(iter(section.runs[next(c for c in corpora if (c, variant) in section.runs), variant].values()))[
        "params"
    ]
    defaults = results.defaults_of(method, params)
    return {name: value for name, value in params.items() if name in defaults and defaults[name] != value}


def variant_name(section: Section, variant: str) -> str:
    """The method, and the parameters that are not the defaults."""
    method = section.methods[variant]
    others = ", ".join(
        f"{name}={json.dumps(value).strip(chr(34))}" for name, value in differing(section, variant).items()
    )
    return f"`{method}`" + (f", `{others}`" if others else "") + reads_gold(section, variant)


def reads_gold(section: Section, variant: str) -> str:
    return " †" if variant in section.reads_gold else ""


# ---- cells ---------------------------------------------------------------------------------------------------------


def accuracy_cell(section: Section, corpus: str, variant: str, *, deviation: bool = False) -> str:
    """The mean over seeds at the chosen epoch; a dash if it could not be measured, empty if it was not run."""
    found = list(section.accuracies(corpus, variant).values())
    if not found:
        return UNMEASURED if (corpus, variant) in section.runs else ""
    return f"{fmean(found):.3f}" + (f" ± {stdev(found):.3f}" if deviation and len(found) > 1 else "")


def mean_cell(section: Section, variant: str, key: str) -> str:
    """The mean of a number over seeds and corpora; empty unless every corpus has it."""
    found = section.over_corpora(variant, key)
    return "" if found is None else f"{found:.3f}"


def points_cell(gain: Estimate | None) -> str:
    """A gain in points, as "+6.4 [+4.7, +8.1]"; empty if it was not measured."""
    return results.points_with_interval(gain)


def share_cell(share: Estimate | None) -> str:
    """A share of the gap in percent, as "39 [30, 48]"; empty if it was not measured."""
    if share is None:
        return ""
    return f"{100 * share.value:z.0f}" + _interval(share, "z.0f")


def cost_cell(section: Section, variant: str) -> str:
    """The median cost as a multiple of cross-entropy."""
    costs = section.values(variant, "cost")
    return f"{median(costs):.2f}" if costs else ""


def seeds_cell(section: Section, variant: str) -> str:
    """The largest number of seeds of a corpus."""
    return str(max(len(section.runs.get((corpus, variant), {})) for corpus in section.corpora))


def noise_row(section: Section, name: str = "*wrong labels*") -> list[str]:
    """The share of wrong labels by corpus, as the first cells of a row."""
    rates = [section.over_seeds(corpus, section.ce, "noise_rate") for corpus in corpora_of(section)]
    return [name, *("" if rate is None else f"*{100 * rate:.0f} %*" for rate in rates)]


# ---- sentences -----------------------------------------------------------------------------------------------------


def said_points(gain: Estimate | None) -> str:
    """
    >>> import numpy as np
    >>> said_points(Estimate(0.064, np.array([0.047, 0.081]), seeds=5))
    '6.4 points [4.8, 8.0]'
    """
    if gain is None:
        return "an unknown number of points"
    scaled = Estimate(100 * gain.value, None if gain.replicates is None else 100 * gain.replicates, gain.seeds)
    return f"{scaled.value:z.1f} points{_interval(scaled, 'z.1f', 1)}"


def said_share(share: Estimate | None) -> str:
    """
    >>> import numpy as np
    >>> said_share(Estimate(0.39, np.array([0.3, 0.48]), seeds=5))
    '39 % [30, 48]'
    """
    return "an unknown share" if share is None else f"{100 * share.value:z.0f} %{_interval(share, 'z.0f')}"


def _interval(estimate: Estimate, form: str, scale: float = 100) -> str:
    if estimate.interval is None:
        return ""
    low, high = (scale * end for end in estimate.interval)
    return f" [{low:{form}}, {high:{form}}]"


def is_above_zero(gain: Estimate | None) -> bool:
    """Whether the whole interval is above zero."""
    return gain is not None and gain.interval is not None and gain.interval[0] > 0


def is_below_zero(gain: Estimate | None) -> bool:
    """Whether the whole interval is below zero."""
    return gain is not None and gain.interval is not None and gain.interval[1] < 0


def listed(names: Iterable[str], none: str = "none") -> str:
    """
    >>> listed(["a", "b", "c"]), listed(["a"]), listed([])
    ('a, b and c', 'a', 'none')
    """
    found = list(names)
    return " and ".join(filter(None, [", ".join(found[:-1]), *found[-1:]])) or none


def code(names: Sequence[str]) -> list[str]:
    return [f"`{name}`" for name in names]


def number(count: int) -> str:
    """A small number in words."""
    return NUMBERS[count] if count < len(NUMBERS) else str(count)
