"""What each method costs: time of a training and peak memory, as multiples of cross-entropy."""

from __future__ import annotations

from statistics import median

import method_results as results
from evidence_cells import markdown_table, section_of

from hf_noisy.benchmark.gap import Section
from hf_noisy.methods.registry import METHODS

LAYER, TWICE = 1.05, 1.5  # bounds of the groups in `groups`


def table() -> str:
    """A row per method: cost, peak memory and the files that they are from."""
    rows = []
    for name in ("cleanlab", *METHODS):
        cost, found = results.cost(name), results.measured(name)
        memory = None if found is None else memory_ratio(found.section, found.variant)
        rows.append(
            [
                f"`{name}`",
                "" if cost is None else f"{'~' * cost.is_rough}{cost.times:.2f}",
                "" if cost is None else f"`{cost.file.removesuffix('.jsonl')}`",
                "" if memory is None else f"{memory:.2f}",
                "" if found is None else f"`{found.file.removesuffix('.jsonl')}`",
            ]
        )
    return markdown_table(["method", "time, multiple of `ce`", "file", "peak memory, multiple of `ce`", "file "], rows)


def memory_ratio(section: Section, variant: str) -> float | None:
    """The median over runs of peak memory, divided by that of `ce` on the same corpus and seed."""
    ratios = []
    for corpus in section.corpora:
        base = section.runs.get((corpus, section.ce), {})
        for seed, run in section.runs.get((corpus, variant), {}).items():
            if seed in base and run["peak_memory_mb"] and base[seed]["peak_memory_mb"]:
                ratios.append(run["peak_memory_mb"] / base[seed]["peak_memory_mb"])
    return median(ratios) if ratios else None


def groups() -> str:
    """How many methods cost about as much as cross-entropy, up to half more, and more than that."""
    costs = {name: cost.times for name in METHODS if name != "ce" and (cost := results.cost(name)) is not None}
    same = [name for name, times in costs.items() if times <= LAYER]
    more = [name for name, times in costs.items() if LAYER < times <= TWICE]
    twice = sorted((name for name in costs if costs[name] > TWICE), key=lambda name: costs[name])
    dear = ", ".join(f"`{name}` ({costs[name]:.1f})" for name in twice)
    return (
        f"{len(same)} of {len(costs)} methods cost at most {100 * (LAYER - 1):.0f} % more than `ce`, {len(more)} others at most "
        f"{100 * (TWICE - 1):.0f} % more. The rest: {dear}."
    )


def runs_beside() -> str:
    """The device of the rough costs."""
    return str(section_of("h100").lines[0]["versions"]["device"])
