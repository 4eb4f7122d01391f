"""The figures of the concepts that show measurements: drawn from recipes/results, where the numbers are stored."""

from __future__ import annotations

import numpy as np
import style
from concept_numbers import (
    NOISES,
    RANDOM,
    audited_corpora,
    auroc_of,
    benchmark,
    best_epochs,
    concepts,
    over_runs,
)
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from style import BLUE, FAINT, GREEN, GREY, INK, ORANGE, RED, RIGHT, TRUTH, WRONG, say

from hf_noisy.benchmark.choice import leave_one_corpus_out
from hf_noisy.benchmark.gap import Estimate, Section


def _curve(axes: Axes, x: np.ndarray, values: np.ndarray, color: str) -> np.ndarray:
    """Each run as a thin line, their mean as a thick one, which is returned."""
    axes.plot(x, values.T, color=color, linewidth=0.7, alpha=0.4)
    axes.plot(x, values.mean(0), color=color)
    return values.mean(0)


def _share_axis(axes: Axes, label: str) -> None:
    axes.set_ylim(0, 1.03)
    axes.set_yticks([0, 0.5, 1], ["0 %", "50 %", "100 %"])
    axes.set_ylabel(label)


def _predictions(axes: Axes, noise: str) -> None:
    """What is predicted for rows with a wrong label, by epoch."""
    for name, color in (("fit_wrong", WRONG), ("true_wrong", TRUTH)):
        found = over_runs(noise, name)
        _curve(axes, np.arange(found.shape[1]), found, color)
    axes.set_xlabel("epochs")
    axes.set_xticks(range(0, found.shape[1], 5))


def memorisation() -> Figure:
    """Right labels are learned first, wrong ones later; test accuracy peaks in between."""
    created, (left, right) = style.figure(3.2, columns=2)
    _curve(left, np.arange(over_runs("random", "fit_right").shape[1]), over_runs("random", "fit_right"), RIGHT)
    _predictions(left, "random")
    _share_axis(left, "rows that are predicted so")
    left.set_title("training rows")
    say(left, 7.5, 0.91, "right label: as labelled", color=RIGHT)
    say(left, 8.4, 0.79, "wrong label: the true class", color=TRUTH)
    say(left, 8.4, 0.08, "wrong label: as labelled", color=WRONG)
    tested = over_runs("random", "test_accuracy")
    epochs = np.arange(1, tested.shape[1] + 1)
    mean = _curve(right, epochs, tested, INK)
    best = int(mean.argmax())
    right.plot(epochs[best], mean[best], "o", color=INK)
    say(right, epochs[best] + 0.7, mean[best] + 0.012, f"best: epoch {epochs[best]}", va="bottom")
    right.plot(epochs[-1], mean[-1], "o", color=INK)
    say(right, epochs[-1], mean[-1] - 0.06, "last", ha="right")
    right.set_title("accuracy on test rows")
    right.set_xlabel("epochs")
    right.set_xticks(range(0, len(epochs) + 1, 5))
    right.set_ylim(0.5, 1.05)
    right.set_yticks([0.5, 0.75, 1], ["50 %", "75 %", "100 %"])
    return created


def rule_curves() -> Figure:
    """What the model predicts for wrongly labelled rows, if they are wrong at random and if a rule is wrong."""
    created, panels = style.figure(3.0, columns=2, sharey=True)
    for axes, (noise, title) in zip(panels, NOISES.items(), strict=True):
        _predictions(axes, noise)
        axes.set_title(title)
        high, low = ("true class", "wrong label") if noise == "random" else ("wrong label", "true class")
        say(axes, 8.0, 0.86, f"predicts the {high}", color=TRUTH if noise == "random" else WRONG)
        say(axes, 8.0, 0.1, f"predicts the {low}", color=WRONG if noise == "random" else TRUTH)
    _share_axis(panels[0], "rows with a wrong label")
    return created


def loss_histograms() -> Figure:
    """The losses of rows with a right and a wrong label, when they are farthest apart."""
    created, panels = style.figure(2.9, columns=2)
    bins = np.array(concepts()["bins"])
    for axes, (noise, title) in zip(panels, NOISES.items(), strict=True):
        at = best_epochs(noise)
        for name, color in (("hist_right", RIGHT), ("hist_wrong", WRONG)):
            counts = sum(over_runs(noise, name)[run, epoch] for run, epoch in enumerate(at))
            axes.stairs(counts / counts.sum(), bins, color=color, fill=True, alpha=0.35, linewidth=0)
            axes.stairs(counts / counts.sum(), bins, color=color, linewidth=1.5)
        axes.set_title(title)
        axes.set_xlabel("loss of the given label")
        axes.set_xlim(0, 6.5)
    for axes in panels:
        axes.set_ylim(0, 0.68)
        axes.set_yticks([0, 0.2, 0.4, 0.6], ["0 %", "20 %", "40 %", "60 %"])
    panels[0].set_ylabel("share of the rows")
    for axes in panels:
        say(axes, 0.9, 0.5, "right labels", color=RIGHT)
        say(axes, 2.6, 0.25, "wrong labels", color=WRONG)
    return created


# ---- from the benchmark ------------------------------------------------------------------------------------------------


def real_losses() -> Figure:
    """On real corpora: how well the mean loss of a training tells wrong labels from right ones."""
    corpora = sorted(audited_corpora(), key=lambda corpus: auroc_of("mean loss", corpus, None))
    created, axes = style.figure(2.9)
    for row, corpus in enumerate(corpora):
        given, random = auroc_of("mean loss", corpus, None), auroc_of("mean loss", corpus, RANDOM)
        audit = auroc_of("audit, no training", corpus, None)
        axes.plot([given, random], [row, row], color=FAINT, linewidth=3, zorder=0, solid_capstyle="round")
        axes.plot(random, row, "o", color=BLUE, markersize=8)
        axes.plot(given, row, "o", color=RED, markersize=8)
        axes.plot(audit, row, "D", color=GREEN, markersize=7)
    axes.set_yticks(range(len(corpora)), corpora, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.axvline(0.5, color=GREY, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
    top = len(corpora) - 0.4
    _heads(axes, corpora[-1], top)
    axes.set_ylim(-0.6, top + 0.35)
    axes.set_xlim(0.25, 1.02)
    axes.set_xlabel("AUROC of finding wrong labels (0.5: chance)")
    return created


def _heads(axes: Axes, corpus: str, y: float) -> None:
    say(axes, 0.26, y, "● loss, labels as given", color=RED)
    say(axes, 0.53, y, "● loss, 20 % wrong at random", color=BLUE)
    say(axes, 0.82, y, "◆ audit, as given", color=GREEN)


def gap() -> Figure:
    """Cross-entropy, `auto` and gold labels on each corpus: what part of the gap is recovered."""
    section = benchmark()
    corpora = sorted(
        section.corpora, key=lambda corpus: _at(section, corpus, "gold").value - _at(section, corpus, "ce").value
    )
    created, axes = style.figure(2.9)
    for row, corpus in enumerate(corpora):
        ce, ours, gold = (_at(section, corpus, name) for name in ("ce", "auto", "gold"))
        assert ours.interval is not None
        axes.plot([ce.value, gold.value], [row, row], color=FAINT, linewidth=6, zorder=0, solid_capstyle="butt")
        axes.plot(ours.interval, [row, row], color=BLUE, linewidth=1.6)
        axes.plot(ours.value, row, "o", color=BLUE, markersize=7)
        for end, color in ((ce, RED), (gold, GREEN)):
            axes.plot(end.value, row, "|", color=color, markersize=14, markeredgewidth=2.4)
    axes.set_yticks(range(len(corpora)), corpora, color=INK)
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    top = len(corpora) - 0.4
    for name, text, color in (("ce", "ce", RED), ("auto", "auto", BLUE), ("gold", "gold labels", GREEN)):
        say(axes, _at(section, corpora[-1], name).value, top, text, color=color, ha="center")
    axes.set_ylim(-0.6, top + 0.3)
    axes.set_xlabel("test accuracy")
    return created


def _at(section: Section, corpus: str, variant: str) -> Estimate:
    """The accuracy on the seeds that all three have."""
    found = section.accuracy(corpus, variant, "ce", "auto", "gold")
    assert found is not None
    return found


def leave_one_out() -> Figure:
    """Each corpus in turn: the method is chosen on the others and reported on this one."""
    section = benchmark()
    chosen = leave_one_corpus_out(section)
    corpora = section.corpora
    created, axes = style.canvas(style.WIDTH, 0.44 * len(chosen) + 0.65)
    left, step, cell = 0.95, 0.44, 0.86
    top = 0.44 * len(chosen) + 0.4
    for place, corpus in enumerate(corpora):
        axes.text(left + cell * (place + 0.5), top, corpus, ha="center", va="center", fontsize=8.5)
    axes.text(left + cell * len(corpora) + 0.12, top, "chosen; gain on\nthe one left out", fontsize=8.5, va="center")
    for row, choice in enumerate(chosen):
        y = top - step * (row + 0.85)
        axes.text(left - 0.12, y, f"round {row + 1}", ha="right", va="center", fontsize=9, color=GREY)
        for place, corpus in enumerate(corpora):
            out = corpus == choice.corpus
            where = (left + cell * (place + 0.5), y)
            style.box(
                axes, where, (cell - 0.08, 0.34), "report" if out else "choose", ORANGE if out else BLUE, fontsize=8.5
            )
        said = "" if choice.gain is None else f"{100 * choice.gain.value:+.1f} points"
        x = left + cell * len(corpora) + 0.12
        axes.text(x, y, f"{choice.variant.split()[0]}  {said}", va="center", fontsize=8.5)
    return created
