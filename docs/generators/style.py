"""The style of every figure of the site: one palette, one set of fonts, labels beside the data instead of legends.

The palette is that of Okabe and Ito ("Color Universal Design", 2008), which people with any form of colour blindness can
tell apart. The background is white, so a figure reads on a light and on a dark page. Files are SVG and the same at each
run: no date, and ids from a fixed salt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

INK, GREY, FAINT = "#1a1a1a", "#6b6b6b", "#d9d9d9"
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, YELLOW = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#F0E442",
)
PALETTE = (BLUE, RED, GREEN, ORANGE, PURPLE, SKY)  # in the order in which to use them
RIGHT, WRONG, TRUTH = BLUE, RED, GREEN  # right labels, wrong labels, gold labels: the same in every figure
TINTS = {BLUE: "#dcebf5", RED: "#fae5d9", GREEN: "#d9f0e8", ORANGE: "#fcf0d9", PURPLE: "#f7e8f0", GREY: "#f0f0f0"}
IN_TEXT = {ORANGE: "#9A6700", PURPLE: "#9C4F7C", SKY: "#1F77A8"}  # darker where a pale colour is that of a label

WIDTH = 7.2  # inches: the width of a page's text
RC: dict[str, Any] = {
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that the figures are the same everywhere
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": GREY,
    "axes.linewidth": 0.8,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": matplotlib.cycler(color=PALETTE),
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "figure.constrained_layout.h_pad": 0.07,  # inches around the axes
    "lines.linewidth": 2,
    "legend.frameon": False,
    "svg.hashsalt": "hf_noisy",
    "svg.fonttype": "path",
}


@contextmanager
def styled() -> Iterator[None]:
    """Matplotlib settings of the site, for figures that are drawn inside."""
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, **RC, "backend": "agg"}):
        yield


def figure(height: float, columns: int = 1, rows: int = 1, *, width: float = WIDTH, **grid: Any) -> tuple[Figure, Any]:
    """A figure and its axes: one, or an array of them as `Figure.subplots` returns it.

    Args:
        height: in inches.
        columns, rows: of the grid of axes.
        width: in inches.
        grid: arguments of `Figure.subplots`.
    """
    created = Figure(figsize=(width, height), layout="constrained")
    return created, created.subplots(rows, columns, **grid)


def save(created: Figure, path: Path) -> Path:
    """Write the figure as SVG, without a date. A path without a suffix gets `.svg`."""
    path = path.with_suffix(".svg") if not path.suffix else path
    path.parent.mkdir(parents=True, exist_ok=True)
    created.savefig(path, metadata={"Date": None, "Creator": None})
    if path.suffix == ".svg":  # no spaces at the ends of lines, and a line break at the end of the file
        lines = path.read_text(encoding="utf-8").splitlines()
        path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
    return path


def say(axes: Axes, x: float, y: float, text: str, color: str = INK, **options: Any) -> None:
    """Write a label beside the data, in the colour of what it names. The position is in data coordinates."""
    axes.text(x, y, text, color=IN_TEXT.get(color, color), **{"va": "center", "ha": "left", "fontsize": 9, **options})


def bare(axes: Axes) -> None:
    """Remove ticks and frame."""
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


# ---- diagrams: boxes and arrows in the units of the axes ---------------------------------------------------------------


def canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure whose axes fill it and count in inches from the lower left."""
    created = Figure(figsize=(width, height))
    axes = created.add_axes((0, 0, 1, 1))
    axes.set_xlim(0, width)
    axes.set_ylim(0, height)
    axes.axis("off")
    return created, axes


def box(
    axes: Axes,
    centre: tuple[float, float],
    size: tuple[float, float],
    text: str | Sequence[str],
    color: str = GREY,
    *,
    fontsize: float = 9.5,
) -> None:
    """A rounded box with a text. Of several texts the first is bold, and the others stand below it."""
    (x, y), (width, height) = centre, size
    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - height / 2),
            width,
            height,
            boxstyle="round,pad=0,rounding_size=0.06",
            facecolor=TINTS.get(color, "white"),
            edgecolor=color,
            linewidth=1.2,
        )
    )
    if isinstance(text, str):
        axes.text(x, y, text, ha="center", va="center_baseline", fontsize=fontsize, linespacing=1.35)
        return
    title, rest = text[0], "\n".join(text[1:])
    step = fontsize / 72 * 1.4
    lines = 1 + rest.count("\n") + 1
    top = y + step * (lines - 1) / 2
    axes.text(x, top, title, ha="center", va="center", fontsize=fontsize, fontweight="bold")
    below = y - step / 2
    axes.text(x, below, rest, ha="center", va="center", fontsize=fontsize - 1, color=INK, linespacing=1.4)


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str = "",
    *,
    color: str = GREY,
    bend: float = 0.0,
    at: tuple[float, float] | None = None,
    ha: str = "center",
) -> None:
    """An arrow, with a text at its middle or at `at`."""
    axes.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>,head_length=5,head_width=2.6",
            connectionstyle=f"arc3,rad={bend}",
            color=color,
            linewidth=1.3,
            shrinkA=0,
            shrinkB=0,
            mutation_scale=1,
        )
    )
    if text:
        x, y = at or ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
        axes.text(x, y, text, ha=ha, va="center", fontsize=9, color=INK)
