"""The figures of the concepts that need no training: they are drawn from the package's own functions."""

from __future__ import annotations

import numpy as np
import style
import torch
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, RED, say

from hf_noisy import Criterion, CrossEntropy, GeneralizedCrossEntropy, MeanAbsoluteError
from hf_noisy.data.noise import asymmetric, instance_dependent, pair, symmetric, weak_model

# ---- targets and weights -----------------------------------------------------------------------------------------------

NAMES = ("A", "B", "C")
GIVEN = np.array([1.0, 0.0, 0.0])  # the label is A
PREDICTED = np.array([0.2, 0.7, 0.1])  # the model predicts B
VOTED = np.array([1.0, 1.0, 0.0])  # one source votes for A, another for B


def targets() -> Figure:
    """What six methods make of one example: its target and its weight."""
    candidates = VOTED * PREDICTED
    panels = (
        ("ce", "uses the label", GIVEN, 1.0),
        ("co_teaching", "drops the row: its loss is large", GIVEN, 0.0),
        ("mentornet_pd", "lowers the weight", GIVEN, 0.3),
        ("label_correction", "moves the target to the prediction", (GIVEN + PREDICTED) / 2, 1.0),
        ("candidate_labels", "keeps the classes that have a vote", candidates / candidates.sum(), 1.0),
        ("truth_inference", "replaces the target", np.array([0.08, 0.9, 0.02]), 1.0),
    )
    created, grid = style.figure(3.9, columns=3, rows=2)
    for axes, (name, said, target, weight) in zip(grid.flat, panels, strict=True):
        _target(axes, target, weight)
        axes.set_title(name, fontfamily="DejaVu Sans Mono", fontsize=10, pad=20)
        axes.text(0, 1.06, said, transform=axes.transAxes, fontsize=8.5, color=GREY)
    return created


def _target(axes: Axes, target: np.ndarray, weight: float) -> None:
    """Bars of the target, and a bar of the weight below."""
    colors = [RED if k == GIVEN.argmax() else GREEN if k == PREDICTED.argmax() else GREY for k in range(3)]
    axes.bar(range(3), target, width=0.6, color=colors, alpha=0.25 + 0.75 * weight, linewidth=0)
    axes.set_xlim(-0.6, 4.4)
    axes.set_ylim(0, 1.08)
    axes.set_yticks([])
    axes.set_xticks([*range(3), 3.7], [*NAMES, "weight"])
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
    axes.bar([3.7], [1], width=0.6, facecolor="white", edgecolor=FAINT, linewidth=1)
    axes.bar([3.7], [weight], width=0.6, color=BLUE)
    axes.axvline(2.85, color=FAINT, linewidth=0.8)


# ---- kinds of noise ----------------------------------------------------------------------------------------------------

CONFUSED = np.array(
    [
        [0.90, 0.05, 0.05, 0.00],
        [0.30, 0.60, 0.05, 0.05],
        [0.00, 0.00, 0.95, 0.05],
        [0.05, 0.05, 0.40, 0.50],
    ]
)


def matrices() -> Figure:
    """The matrix of three kinds of noise: row true class, column label."""
    rows = np.repeat(np.arange(4), 20_000)
    found = (
        ("symmetric", symmetric(rows, 0.3, 4).transition),
        ("pair", pair(rows, 0.3, 4).transition),
        ("class-dependent", asymmetric(rows, CONFUSED).transition),
    )
    created, grid = style.figure(2.75, columns=3)
    shades = LinearSegmentedColormap.from_list("blue", ["white", BLUE])
    for axes, (name, matrix) in zip(grid, found, strict=True):
        axes.imshow(matrix, cmap=shades, vmin=0, vmax=1)
        for (i, j), value in np.ndenumerate(matrix.round(2)):
            axes.text(j, i, f"{value:.2f}".lstrip("0") if value else "0", ha="center", va="center", fontsize=8.5,
                      color="white" if value > 0.55 else INK, fontweight="bold" if i == j else "normal")  # fmt: skip
        style.bare(axes)
        axes.set_xticks(range(4), "ABCD")
        axes.set_yticks(range(4), "ABCD")
        axes.tick_params(length=0)
        axes.set_title(name)
        axes.set_xlabel("label")
    grid[0].set_ylabel("true class")
    return created


def points() -> Figure:
    """Points of three classes in the plane, and which labels are wrong under each kind of noise."""
    places, gold = _classes(36)
    rule = np.where((places[:, 1] > LINE) & (gold != 1), 1, gold)  # it votes for class 1 above a line
    distances = ((places[:, None] - _CENTRES) ** 2).sum(-1)
    probabilities = np.exp(-2.2 * distances)
    probabilities /= probabilities.sum(1, keepdims=True)
    kinds = (
        ("true classes", gold),
        ("symmetric", symmetric(gold, 0.25, 3, seed=1).labels),
        ("pair", pair(gold, 0.25, 3, seed=1).labels),
        ("by features", instance_dependent(gold, 0.25, places, 3, seed=4).labels),
        ("at hard points", weak_model(gold, 0.25, probabilities).labels),
        ("by a rule", rule),
    )
    created, grid = style.figure(4.9, columns=3, rows=2)
    for axes, (name, labels) in zip(grid.flat, kinds, strict=True):
        _scatter(axes, places, gold, labels)
        axes.set_title(name, fontsize=9.5)
    grid[1, 2].axhspan(LINE, 4, color=FAINT, alpha=0.5, linewidth=0, zorder=0)
    say(grid[1, 2], -2.6, 2.6, "the rule votes ▲ here", fontsize=8.5)
    return created


LINE = -0.45  # above it the rule of the last panel votes for class 1
_CENTRES = np.array([[-1.0, -0.7], [0.0, 1.1], [1.0, -0.7]])


def _classes(each: int) -> tuple[np.ndarray, np.ndarray]:
    draw, gold = np.random.default_rng(3), np.repeat(np.arange(3), each)
    return _CENTRES[gold] + draw.normal(0, 0.55, (len(gold), 2)), gold


def _scatter(axes: Axes, places: np.ndarray, gold: np.ndarray, labels: np.ndarray) -> None:
    """Colour and shape are the label; a dark edge marks a wrong one."""
    wrong = labels != gold
    for label, (color, marker) in enumerate(((BLUE, "o"), (ORANGE, "^"), (GREEN, "s"))):
        for rows, size, edge, alpha in ((~wrong, 20, "none", 0.45), (wrong, 34, INK, 1.0)):
            mine = rows & (labels == label)
            axes.scatter(*places[mine].T, s=size, c=color, marker=marker, alpha=alpha, edgecolors=edge, linewidths=1.1)
    axes.set_xlim(-2.8, 2.6)
    axes.set_ylim(-2.4, 3.0)
    axes.set_aspect("equal")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(True)
        spine.set_color(FAINT)


# ---- losses ------------------------------------------------------------------------------------------------------------


def pull() -> Figure:
    """How hard losses pull at a label, by the probability that the model gives it."""
    created, axes = style.figure(3.1)
    probability = np.linspace(0.001, 0.999, 200)
    lines = (
        ("ce", CrossEntropy(), 1.0, RED, (0.25, 0.8)),
        ("gce, q = 0.3", GeneralizedCrossEntropy(q=0.3), 1.0, ORANGE, (0.24, 0.545)),
        ("gce, q = 0.7", GeneralizedCrossEntropy(q=0.7), 1.0, BLUE, (0.38, 0.365)),
        ("mae, halved", MeanAbsoluteError(), 0.5, GREEN, (0.42, 0.2)),
    )
    for name, criterion, factor, color, place in lines:
        axes.plot(probability, factor * _gradient(criterion, probability), color=color)
        say(axes, *place, name, color=color)
    axes.set_xlabel("probability that the model gives to the label")
    axes.set_ylabel("pull of the label (gradient)")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1.02)
    axes.set_yticks([0, 0.5, 1])
    return created


def _gradient(criterion: Criterion, probability: np.ndarray) -> np.ndarray:
    """|d loss / d logit| of the label's class, one of two."""
    logits = torch.zeros(len(probability), 2, dtype=torch.float64)
    logits[:, 0] = torch.logit(torch.from_numpy(probability))
    logits.requires_grad_()
    criterion(logits.log_softmax(-1), torch.zeros(len(probability), dtype=torch.long)).sum().backward()
    assert logits.grad is not None
    return logits.grad[:, 0].abs().numpy()
