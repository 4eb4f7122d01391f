"""Draws the two figures of a section: accuracies with intervals, and accuracy against cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

from hf_noisy.benchmark.gap import Section
from hf_noisy.benchmark.settings import FIXED

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# From the colour-blind safe palette of Okabe and Ito. Hollow markers are for rows that read gold labels.
_METHOD, _FIXED, _CE, _GOLD = "#0072B2", "#555555", "#D55E00", "#009E73"
_WIDTH = 9.0  # inches: 900 pixels at 100 dpi; saved at twice the resolution
_PER_ROW = 5  # panels per row
_COLUMN = 0.19  # width of a column of names, as a share of the panel
_TRAINS = 0.1  # multiple of the cost of `ce`; cheaper rows train no model and would stretch the logarithmic axis


def draw_accuracy(section: Section, order: Sequence[str], path: Path) -> None:
    """Draws a panel for each corpus, with a dot and an interval for the accuracy of each variant in `order`.

    Raises:
        ImportError: matplotlib is not installed.
    """
    corpora = section.corpora
    columns = min(len(corpora), _PER_ROW)
    rows = -(-len(corpora) // columns)
    figure = _figure(rows * (0.7 + 0.21 * len(order)) + 0.5)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flatten().tolist()
    for corpus, axes in zip(corpora, panels, strict=False):
        _draw_panel(axes, section, corpus, order)
    for axes in panels[len(corpora) :]:
        axes.remove()
    panels[0].set_yticks(range(len(order)), [_name(section, variant) for variant in order])
    for label, variant in zip(panels[0].get_yticklabels(), order, strict=True):
        label.set_color(_marker(section, variant)["color"])
    panels[0].set_ylim(len(order) - 0.4, -0.6)
    figure.suptitle(f"Test accuracy and 95% interval, {section.noise}", fontsize=10, x=0.01, ha="left")
    notes = [
        "Dashed lines: ce (orange), gold (green).",
        "† and hollow: reads gold labels." * bool(section.reads_gold.intersection(order)),
    ]
    figure.supxlabel(" ".join(filter(None, notes)), fontsize=8, x=0.01, ha="left")
    _save(figure, path)


def draw_cost(section: Section, order: Sequence[str], path: Path) -> None:
    """Draws mean accuracy over corpora against median cost, for the variants with results on all corpora.

    Raises:
        ImportError: matplotlib is not installed.
    """
    points = {variant: _cost_and_accuracy(section, variant) for variant in order}
    known = {variant: point for variant, point in points.items() if point is not None}
    height = max(4.2, 0.17 * len(known) + 1.2)
    figure = _figure(height)
    axes = figure.subplots()
    axes.set_xscale("log")
    for variant, (cost, accuracy) in known.items():
        if cost < _TRAINS:
            axes.axhline(accuracy, color=_FIXED, linewidth=0.9, linestyle=":")
        else:
            axes.plot(cost, accuracy, "o", **_marker(section, variant))
    _fit_costs(axes, [cost for cost, _ in known.values() if cost >= _TRAINS])
    colors = {_name(section, variant): _marker(section, variant)["color"] for variant in known}
    _label(axes, {_name(section, variant): point for variant, point in known.items()}, colors, 0.15 / (height - 0.9))
    dotted = "; dotted: trains no model" if any(cost < _TRAINS for cost, _ in known.values()) else ""
    axes.set_title(f"Mean over corpora, {section.noise}{dotted}", fontsize=10, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_xlabel("training time, as a multiple of that of ce", fontsize=9)
    axes.set_ylabel("test accuracy", fontsize=9)
    axes.tick_params(labelsize=8)
    _save(figure, path)


def _figure(height: float) -> Figure:
    """Returns an empty figure with its own canvas, so that the plotting backend of the caller does not change."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError("the figures of a report need matplotlib: pip install hf_noisy[benchmark]") from error
    figure = Figure(figsize=(_WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure: Figure, path: Path) -> None:
    """Writes the figure. An SVG file gets no date, so that equal figures are equal files."""
    figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)


def _name(section: Section, variant: str) -> str:
    return variant + "†" * (variant in section.reads_gold)


def _marker(section: Section, variant: str) -> dict[str, Any]:
    """Returns the marker: fixed rows grey, `ce` and `gold` in line colours, methods blue; hollow if gold is read."""
    own = {section.ce: _CE, section.gold: _GOLD}
    color = own.get(variant, _FIXED if section.methods[variant] in FIXED else _METHOD)
    return {"color": color, "markerfacecolor": "white" if variant in section.reads_gold else color, "markersize": 5}


def _draw_panel(axes: Axes, section: Section, corpus: str, order: Sequence[str]) -> None:
    for variant, color in ((section.ce, _CE), (section.gold, _GOLD)):
        estimate = section.accuracy(corpus, variant)
        if estimate is not None:
            axes.axvline(estimate.value, color=color, linestyle="--", linewidth=1)
    for height, variant in enumerate(order):
        estimate = section.accuracy(corpus, variant)
        if estimate is None:
            continue
        marker = _marker(section, variant)
        if estimate.interval is not None:
            axes.hlines(height, *estimate.interval, colors=marker["color"], linewidth=1.3)
        axes.plot(estimate.value, height, "o", **marker)
    axes.set_title(corpus, fontsize=9)
    axes.locator_params(axis="x", nbins=3)
    axes.tick_params(axis="x", labelsize=7)
    axes.tick_params(axis="y", labelsize=8, length=0)
    axes.grid(axis="y", color="#eeeeee")
    axes.set_axisbelow(True)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _cost_and_accuracy(section: Section, variant: str) -> tuple[float, float] | None:
    costs, accuracy = section.values(variant, "cost"), section.over_corpora(variant, "accuracy_chosen")
    return (median(costs), accuracy) if costs and accuracy is not None else None


def _fit_costs(axes: Axes, costs: Sequence[float]) -> None:
    """Leaves room for names on the right. Ticks are round multiples of `ce`: powers of ten are too far apart."""
    low, high = min([*costs, 1.0]), max([*costs, 2.0])
    ticks = [tick for tick in (0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100) if low <= tick <= high]
    axes.set_xlim(low / (high / low) ** 0.04, high * (high / low) ** 0.22)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_ylim(axes.get_ylim())


def _label(axes: Axes, points: dict[str, tuple[float, float]], colors: Mapping[str, str], apart: float) -> None:
    """Writes a column of names beside each cluster of dots, and one in the margin for rows that train no model."""
    inside = axes.transScale + axes.transLimits  # from data to fractions of the panel
    at = {name: tuple(inside.transform(point)) for name, point in points.items()}
    margin = [name for name, (cost, _) in points.items() if cost < _TRAINS]
    _label_column(axes, {name: (1.0, at[name][1]) for name in margin}, colors, 1.01, apart)
    cluster: dict[str, tuple[float, float]] = {}
    for name in sorted(at.keys() - margin, key=lambda name: at[name]):
        if cluster and at[name][0] - max(cluster.values())[0] > _COLUMN:
            _label_column(axes, cluster, colors, max(cluster.values())[0] + 0.05, apart)
            cluster = {}
        cluster[name] = at[name]
    if cluster:
        _label_column(axes, cluster, colors, max(cluster.values())[0] + 0.05, apart)


def _label_column(
    axes: Axes, at: dict[str, tuple[float, float]], colors: Mapping[str, str], left: float, apart: float
) -> None:
    """Writes names at `left`, ordered by height, each with a line to its dot."""
    names = sorted(at, key=lambda name: at[name][1])
    for name, height in zip(names, spread([at[name][1] for name in names], apart), strict=True):
        line: dict[str, Any] = {
            "arrowstyle": "-",
            "color": "#b0b0b0",
            "linewidth": 0.6,
            "shrinkA": 0,
            "shrinkB": 3,
            "relpos": (0, 0.5),
        }
        place: dict[str, Any] = {
            "xycoords": "axes fraction",
            "textcoords": "axes fraction",
            "va": "center",
            "fontsize": 8,
            "color": colors[name],
        }
        axes.annotate(name, at[name], (left, height), arrowprops=line, **place)


def spread(heights: Sequence[float], apart: float) -> list[float]:
    """Moves ascending `heights` as little as needed to keep them in [0, 1] and at least `apart` from each other.

    >>> spread([0.5, 0.5, 0.9], apart=0.25)
    [0.375, 0.625, 0.9]
    """
    blocks: list[tuple[float, int]] = []  # adjacent heights that touch: (lowest height, number of heights)
    for place, height in enumerate(heights):
        lowest, size = height - place * apart, 1
        while blocks and blocks[-1][0] > lowest:
            other, others = blocks.pop()
            lowest, size = (lowest * size + other * others) / (size + others), size + others
        blocks.append((lowest, size))
    moved = [lowest for lowest, size in blocks for _ in range(size)]
    top = 1 - apart * (len(heights) - 1)
    return [min(max(lowest, 0), top) + place * apart for place, lowest in enumerate(moved)]
