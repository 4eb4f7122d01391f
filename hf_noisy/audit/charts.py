"""Data of the report's charts: positions in percent of the plot, and labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hf_noisy.audit import numbers
from hf_noisy.audit.content import AuditContent, Curve, LossMixture

_BINS = 44  # of the histogram
_COVERED = 0.995  # share of losses that the axis must cover; losses beyond it are counted in the last bin
_MAX_COMPONENT = 1.25  # maximum height of a component relative to the tallest column; what is above is cut off


@dataclass(frozen=True)
class Tick:
    """A mark on an axis."""

    at: float  # position in percent of the axis
    text: str


@dataclass(frozen=True)
class Bar:
    """A given class, and how many of its labels are suspect."""

    name: str
    suspects: int
    labels: int
    share: str
    width: float  # percent of the plot


@dataclass(frozen=True)
class Bars:
    """The share of suspect labels by given class, largest first."""

    bars: list[Bar]
    ticks: list[Tick]
    all_at: float  # position of the share among all labels, in percent of the axis


@dataclass(frozen=True)
class Histogram:
    """The losses of all labelled rows, and the components of the mixture fitted to them."""

    columns: list[tuple[float, float, float, str]]  # x, width, height in percent; tooltip
    components: list[str]  # points of a line, in percent of the plot, y downwards
    x: list[Tick]
    y: list[Tick]
    beyond: int  # number of rows above the axis; they are counted in the last column


@dataclass(frozen=True)
class Line:
    """One curve."""

    name: str
    segments: list[str]  # points in percent of the plot, y downwards; a gap starts a new segment
    points: list[tuple[float, float, str]]  # x, y, tooltip
    last: str  # last known value


@dataclass(frozen=True)
class LineChart:
    """All curves with the same axis."""

    axis: str
    lines: list[Line]
    x: list[Tick]
    y: list[Tick]


def ticks(low: float, high: float, count: int = 4) -> tuple[float, list[float]]:
    """Returns a round step and its multiples that cover [low, high], in about `count` steps.

    >>> ticks(0, 0.37)
    (0.1, [0.0, 0.1, 0.2, 0.30000000000000004, 0.4])
    """
    span = high - low or abs(high) or 1.0
    rough = span / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1, 2, 5, 10), key=lambda times: abs(math.log(times * power / rough)))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return step, [k * step for k in range(first, last + 1)]


def class_bars(content: AuditContent) -> Bars:
    """Returns the bars of suspect labels by given class."""
    classes = len(content.class_names)
    labels = np.bincount(content.rows.labels, minlength=classes)
    suspects = np.bincount(content.rows.labels[content.suspect], minlength=classes)
    shares = suspects / np.maximum(labels, 1)
    step, marks = ticks(0, max(float(shares.max()), 0.01))
    bars = [
        Bar(
            content.class_names[k],
            int(suspects[k]),
            int(labels[k]),
            numbers.share(float(shares[k]), int(labels[k])),
            round(100 * float(shares[k]) / marks[-1], 2),
        )
        for k in np.argsort(-shares, kind="stable")
    ]
    axis = [Tick(round(100 * mark / marks[-1], 2), numbers.tick(100 * mark, 100 * step) + "%") for mark in marks]
    return Bars(bars, axis, round(100 * float(content.suspect.mean()) / marks[-1], 2))


def histogram(losses: np.ndarray, mixture: LossMixture | None) -> Histogram:
    """Returns the counts of `losses` (rows,) in equal bins, and the components at the same scale."""
    low, high = float(min(losses.min(), 0)), float(np.quantile(losses, _COVERED))
    step, marks = ticks(low, high if high > low else low + 1)
    low, high = marks[0], marks[-1]
    width = (high - low) / _BINS
    counts, edges = np.histogram(np.minimum(losses, high), bins=_BINS, range=(low, high))
    places = np.linspace(low, high, 161)
    heights = [] if mixture is None else _component_heights(mixture, places, len(losses) * width)
    peak = max([float(line.max()) for line in heights], default=0.0)
    top_step, tops = ticks(0, max(int(counts.max()), min(peak, _MAX_COMPONENT * int(counts.max()))))
    top = tops[-1]
    columns = [
        (
            round(100 * k / _BINS, 3),
            round(100 / _BINS, 3),
            round(100 * int(count) / top, 2),
            f"{edges[k]:.3g} to {edges[k + 1]:.3g}: {int(count):,} labels",
        )
        for k, count in enumerate(counts)
    ]
    lines = [_points(places, line, (low, high), (0, top)) for line in heights]
    return Histogram(columns, lines, _axis(marks, step), _axis(tops, top_step), int((losses > high).sum()))


def line_charts(curves: Sequence[Curve]) -> list[LineChart]:
    """Returns one chart for each axis, in the order of first appearance."""
    return [
        _line_chart(axis, [curve for curve in curves if curve.axis == axis])
        for axis in dict.fromkeys(curve.axis for curve in curves)
    ]


def _component_heights(mixture: LossMixture, places: np.ndarray, scale: float) -> list[np.ndarray]:
    components = zip(mixture.means, mixture.deviations, mixture.shares, strict=True)
    return [
        scale * part * np.exp(-0.5 * ((places - mean) / deviation) ** 2) / (deviation * math.sqrt(2 * math.pi))
        for mean, deviation, part in components
    ]


def _line_chart(axis: str, curves: Sequence[Curve]) -> LineChart:
    epochs = max(len(curve.values) for curve in curves)
    values = np.array([value for curve in curves for value in curve.values if math.isfinite(value)] or [0.0])
    step, marks = ticks(min(float(values.min()), 0.0), float(values.max()))
    span = (marks[0], marks[-1])
    lines = []
    for curve in curves:
        points = [
            (
                round(100 * epoch / max(epochs - 1, 1), 2),
                round(100 - 100 * (value - span[0]) / (span[1] - span[0]), 2),
                f"{curve.name}, epoch {epoch + 1}: {value:.3g}",
            )
            if math.isfinite(value)
            else None
            for epoch, value in enumerate(curve.values)
        ]
        known = [point for point in points if point is not None]
        last = next((f"{value:.2f}" for value in reversed(curve.values) if math.isfinite(value)), "")
        lines.append(Line(curve.name, _segments(points), known, last))
    every = max(1, math.ceil((epochs - 1) / 10))
    x = [Tick(round(100 * epoch / max(epochs - 1, 1), 2), str(epoch + 1)) for epoch in range(0, epochs, every)]
    return LineChart(axis, lines, x, _axis(marks, step))


def _segments(points: Sequence[tuple[float, float, str] | None]) -> list[str]:
    segments: list[list[str]] = [[]]
    for point in points:
        if point is None:
            segments.append([])
        else:
            segments[-1].append(f"{point[0]:g},{point[1]:g}")
    return [" ".join(segment) for segment in segments if len(segment) > 1]


def _points(x: np.ndarray, y: np.ndarray, across: tuple[float, float], up: tuple[float, float]) -> str:
    left = 100 * (x - across[0]) / (across[1] - across[0])
    down = 100 - 100 * (y - up[0]) / (up[1] - up[0])
    return " ".join(f"{a:.2f},{b:.2f}" for a, b in zip(left, down, strict=True))


def _axis(marks: Sequence[float], step: float) -> list[Tick]:
    span = marks[-1] - marks[0]
    return [Tick(round(100 * (mark - marks[0]) / span, 2), numbers.tick(mark, step)) for mark in marks]
