"""The diagrams of the site: boxes and arrows. Names and thresholds are read from the code, so that they cannot drift."""

from __future__ import annotations

import tomllib
from pathlib import Path

import style
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from style import BLUE, GREEN, GREY, ORANGE, PURPLE, RED, arrow, box, canvas

from hf_noisy.evidence.choice import MIN_LABELS, MIN_MOVED
from hf_noisy.evidence.inference.combined_sources import CONFIDENT, CONFIDENT_RULES
from hf_noisy.evidence.inference.noise_model import KINDS

ROOT = Path(__file__).resolve().parents[2]
ROOMS = {
    "cli": "the command line",
    "recipe": "a corpus in, a classifier and a table out",
    "commands": "one module for each verb of hf-noisy",
    "benchmark": "all methods on the same rows",
    "trainer": "NoisyTrainer and its parts",
    "audit": "which labels look wrong",
    "methods": "one file for each method",
    "evidence": "what labels and texts say",
    "corpora": "the embedded corpora",
    "models": "networks, targets, weights",
    "data": "files, columns, labels, splits, injected noise",
    "weak": "labeling functions, votes, label models",
    "common": "parameter checks, random generators; nothing about labels",
}


def layers() -> list[list[str]]:
    """The rooms of each layer, the highest first: the contract that `lint-imports` checks."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contract = next(c for c in project["tool"]["importlinter"]["contracts"] if c["type"] == "layers")
    return [[room.strip() for room in layer.split("|")] for layer in contract["layers"]]


def rooms() -> Figure:
    """The rooms of the package, layer upon layer."""
    found = layers()
    step, width, left = 0.5, 6.0, 0.6
    created, axes = canvas(style.WIDTH, step * len(found) + 0.75)
    for number, layer in enumerate(reversed(found)):
        y = 0.35 + step * number
        axes.text(0.3, y, str(number), ha="center", va="center", fontsize=9, color=GREY)
        part = width / len(layer)
        for place, room in enumerate(layer):
            color = BLUE if room in ("trainer", "methods", "models") else GREY
            _room(axes, left + part * (place + 0.5), y, part - 0.08, room, color, alone=len(layer) == 1)
    top = 0.35 + step * len(found)
    axes.text(0.3, top - 0.02, "layer", ha="center", va="center", fontsize=9, color=GREY)
    axes.text(left + 0.04, top - 0.02, "blue: the way of one batch", ha="left", va="center", fontsize=9, color=BLUE)
    right = left + width + 0.28
    arrow(axes, (right, top - 0.4), (right, 0.4))
    axes.text(right + 0.16, top / 2, "may import", rotation=270, ha="center", va="center", fontsize=9, color=GREY)
    return created


def _room(axes: Axes, x: float, y: float, width: float, room: str, color: str, *, alone: bool) -> None:
    said = ROOMS[room]
    box(axes, (x, y), (width, 0.42), "", color)
    if alone:
        axes.text(x - width / 2 + 0.15, y, room, ha="left", va="center", fontsize=9.5, fontweight="bold")
        axes.text(x - width / 2 + 1.2, y, said, ha="left", va="center", fontsize=9)
        return
    axes.text(x, y + 0.09, room, ha="center", va="center", fontsize=9.5, fontweight="bold")
    axes.text(x, y - 0.1, said, ha="center", va="center", fontsize=8)


def seam() -> Figure:
    """One batch: from given labels and predictions to a loss."""
    created, axes = canvas(style.WIDTH, 3.5)
    high, low, size = 2.75, 0.85, (1.95, 1.0)
    first, second, third = 1.15, 3.6, 6.05
    box(axes, (first, high), size, ["batch", "texts, given labels,\nrow numbers"], GREY)
    box(axes, (second, high), size, ["views", "each method may add\na second view"], PURPLE)
    box(axes, (third, high), size, ["one forward", "all networks, all views,\nthe noise channel"], BLUE)
    box(axes, (first, low), size, ["start", "target = given label\nweight = 1"], GREY)
    box(axes, (second, low), size, ["supervise", "each method in turn:\ntarget, weight, trust"], PURPLE)
    box(axes, (third, low), size, ["loss", "weight \N{MULTIPLICATION SIGN} criterion\n+ penalties"], BLUE)
    half = size[0] / 2
    for y in (high, low):
        arrow(axes, (first + half, y), (second - half, y))
        arrow(axes, (second + half, y), (third - half, y))
    arrow(axes, (first, high - 0.5), (first, low + 0.5), "labels", at=(first + 0.1, 1.8), ha="left")
    arrow(axes, (third, high - 0.5), (third, low + 0.5), "with gradient", at=(third - 0.1, 1.8), ha="right")
    arrow(axes, (third - half + 0.1, high - 0.5), (second + half - 0.25, low + 0.5))
    axes.text(4.62, 1.8, "predictions, no gradient", ha="right", va="center", fontsize=9)
    axes.text(second, 0.14, "purple: what a method can change", ha="center", va="center", fontsize=9, color=GREY)
    return created


def auto() -> Figure:
    """The decisions of `auto`, in their order."""
    created, axes = canvas(style.WIDTH, 4.8)
    x, out, size, result = 2.3, 5.75, (3.7, 0.66), (2.3, 0.66)
    ys = [4.3, 3.2, 2.1, 1.05]
    box(axes, (x, ys[0]), size, ["1  Count the labels", f"at least {MIN_LABELS}?"], GREY)
    box(
        axes,
        (x, ys[1]),
        (size[0], 0.8),
        ["2  Choose text features", "pretrained encoder? several sources?\nsee the table below"],
        BLUE,
    )
    box(
        axes,
        (x, ys[2]),
        (size[0], 0.8),
        ["3  Infer the classes", "from the votes of several sources,\nor by models of the noise in labels"],
        BLUE,
    )
    box(axes, (x, ys[3]), size, ["4  Compare with the labels", f"would at least {MIN_MOVED:.0%} change?"], GREY)
    box(axes, (out, ys[1]), result, ["ce", "train on the given labels"], ORANGE)
    box(axes, (out, ys[2]), result, ["neighbours", "weigh the given labels"], ORANGE)
    box(axes, (out, 0.42), result, ["truth_inference", "train on the inferred classes"], GREEN)
    edge, far = x + size[0] / 2, out - result[0] / 2
    arrow(axes, (x, ys[0] - 0.33), (x, ys[1] + 0.4), "yes", at=(x + 0.1, 3.78), ha="left")
    arrow(axes, (x, ys[1] - 0.4), (x, ys[2] + 0.4))
    arrow(axes, (x, ys[2] - 0.4), (x, ys[3] + 0.33))
    arrow(axes, (edge, ys[0]), (out, ys[1] + 0.33), "no", bend=-0.35, at=(edge + 0.5, ys[0] + 0.05))
    arrow(axes, (edge, 1.12), (out, ys[2] - 0.33), "no", bend=0.35, at=(edge + 0.6, 1.06))
    arrow(axes, (out, ys[2] + 0.33), (out, ys[1] - 0.33), "if texts do not agree", at=(out - 0.1, 2.65), ha="right")
    arrow(axes, (x + 0.9, ys[3] - 0.33), (far, 0.42), "yes", bend=0.15, at=(x + 1.25, 0.42))
    return created


def inference() -> Figure:
    """How classes are inferred from several sources, and from labels alone."""
    created, axes = canvas(style.WIDTH, 3.0)
    size, columns = (2.15, 0.95), (1.2, 3.6, 6.0)
    named = ", ".join(KINDS[:2]) + ",\n" + ", ".join(KINDS[2:])
    rows = (
        (
            2.3,
            ["several sources", "their votes,\nand text features"],
            ["two models", "each: classifier of the text\n\N{MULTIPLICATION SIGN} matrix of each source"],
            ["mean", f"a label moves from {CONFIDENT:g} on\n({CONFIDENT_RULES:g} if sources are rules)"],
        ),
        (
            0.7,
            ["labels alone", "given labels,\nand text features"],
            ["models of the noise", named],
            ["weighted mean", "by the likelihood\nof held-out labels"],
        ),
    )
    half = size[0] / 2
    for y, start, models, mean in rows:
        for x, text, color in zip(columns, (start, models, mean), (GREY, BLUE, GREEN), strict=True):
            box(axes, (x, y), size, text, color)
        arrow(axes, (columns[0] + half, y), (columns[1] - half, y))
        arrow(axes, (columns[1] + half, y), (columns[2] - half, y))
    return created


def kinds_flow() -> Figure:
    """How the kind of noise is told, without gold labels."""
    created, axes = canvas(style.WIDTH, 2.6)
    box(axes, (1.25, 1.3), (2.1, 1.0), ["mistakes in easy texts", "as many as in\nall texts?"], GREY)
    box(axes, (4.0, 2.0), (2.0, 0.8), ["confusions even?", "over classes"], GREY)
    box(axes, (4.0, 0.6), (2.0, 0.8), ["labels from rules?", "votes, texts"], GREY)
    for y, name, color in (
        (2.3, "symmetric", BLUE),
        (1.7, "class-dependent", BLUE),
        (0.9, "structured by a rule", RED),
        (0.3, "instance-dependent", RED),
    ):
        box(axes, (6.25, y), (1.75, 0.44), name, color, fontsize=9)
    arrow(axes, (2.3, 1.5), (3.0, 2.0), "yes", at=(2.55, 1.88))
    arrow(axes, (2.3, 1.1), (3.0, 0.6), "no", at=(2.55, 0.72))
    arrow(axes, (5.0, 2.1), (5.37, 2.3), "yes", at=(5.14, 2.33))
    arrow(axes, (5.0, 1.9), (5.37, 1.7), "no", at=(5.14, 1.66))
    arrow(axes, (5.0, 0.7), (5.37, 0.9), "yes", at=(5.14, 0.93))
    arrow(axes, (5.0, 0.5), (5.37, 0.3), "no", at=(5.14, 0.26))
    return created
