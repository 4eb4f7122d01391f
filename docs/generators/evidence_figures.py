"""The figures of the evidence pages, drawn from the files of results. `draw` writes all of them."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean, stdev

import evidence_audit as audit
import evidence_measured as measured
import method_results as results
from evidence_cells import gain_of, is_above_zero, is_below_zero, section_of
from matplotlib.axes import Axes
from style import BLUE, FAINT, GREY, INK, RED, figure, save, say, styled

from hf_noisy.benchmark.figures import draw_accuracy
from hf_noisy.benchmark.gap import Estimate
from hf_noisy.benchmark.report import ordered
from hf_noisy.methods.registry import METHODS

BASELINES = ("gold", "clean_valid", "cleanlab")
NAMED = (
    "truth_inference",
    "neighbours",
    "cleanlab",
    "dividemix",
    "co_teaching",
    "consistency",
    "jocor",
    "selfmix",
    "sce",
    "mae",
)

SAME = {"truth_inference": "truth_inference, which auto chooses"}


def draw(folder: Path) -> list[Path]:
    """Write every figure into `folder` and return the files."""
    with styled():
        return [
            gains(folder / "benchmark_gains.svg"),
            accuracy(folder / "benchmark_accuracy.svg"),
            cost(folder / "benchmark_cost.svg"),
            known_noise(folder / "known_noise.svg"),
            finding(folder / "finding_wrong_labels.svg"),
        ]


def mean_gains() -> dict[str, Estimate]:
    """Method or baseline -> its mean gain over the five corpora."""
    main = section_of("h100")
    found = {name: gain_of(main, name) for name in BASELINES}
    for name in METHODS:
        one = results.measured(name)
        if name != "ce" and one is not None:
            found[name] = one.mean_gain
    return {name: gain for name, gain in found.items() if gain is not None}


def gains(path: Path) -> Path:
    """The mean gain of each method with its interval, the largest first."""
    found = mean_gains()
    order = sorted(found, key=lambda name: -found[name].value)
    drawn, axes = figure(0.19 * len(order) + 0.9)
    axes.axvline(0, color=INK, linewidth=1)
    for height, name in enumerate(order):
        gain, color = found[name], color_of(name, found[name])
        if gain.interval is not None:
            axes.hlines(height, *(100 * end for end in gain.interval), colors=color, linewidth=1.8)
        axes.plot(100 * gain.value, height, "o", color=color, markersize=4.5)
    axes.set_yticks(range(len(order)), order, fontsize=8.5)
    for label, name in zip(axes.get_yticklabels(), order, strict=True):
        label.set_color(color_of(name, found[name]))
    axes.set_ylim(len(order) - 0.4, -0.8)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel("points of test accuracy over ce, mean of five corpora, 95 % interval")
    axes.grid(axis="y", color=FAINT, linewidth=0.5)
    axes.set_axisbelow(True)
    right = axes.get_xlim()[1]
    for height, text, color in (
        (len(order) * 0.62, "blue: gains", BLUE),
        (len(order) * 0.62 + 1.3, "orange: loses", RED),
        (len(order) * 0.62 + 2.6, "grey: not told from zero,\nor a baseline", GREY),
    ):
        say(axes, right, height, text, color, ha="right", va="top")
    return save(drawn, path)


def color_of(name: str, gain: Estimate) -> str:
    if name in BASELINES:
        return GREY
    return BLUE if is_above_zero(gain) else RED if is_below_zero(gain) else GREY


def accuracy(path: Path) -> Path:
    """Accuracy on each corpus, by the report's own figure."""
    section = section_of("h100")
    path.parent.mkdir(parents=True, exist_ok=True)
    draw_accuracy(section, ordered(section), path)
    lines = path.read_text(encoding="utf-8").splitlines()
    path.write_text("\n".join(line.rstrip() for line in lines) + "\n", encoding="utf-8")
    return path


def cost(path: Path) -> Path:
    """The mean gain against the cost of a training."""
    points = {
        name: (found.times, 100 * gain.value)
        for name, gain in mean_gains().items()
        if name not in ("gold", "clean_valid", "auto") and (found := results.cost(name)) is not None
    }
    drawn, axes = figure(3.6)
    axes.axhline(0, color=INK, linewidth=1)
    for name, (times, gain) in points.items():
        color = color_of(name, mean_gains()[name])
        axes.plot(times, gain, "o", color=color, markersize=5)
        if name in NAMED:
            say(axes, times * 1.025, gain, SAME.get(name, name), color)
    axes.set_xscale("log")
    axes.set_xticks([1, 1.5, 2, 3, 5], ["1", "1.5", "2", "3", "5"])
    axes.set_xticks([], minor=True)
    axes.set_xlim(0.88, 6.5)
    axes.set_xlabel("time of a training, as a multiple of ce")
    axes.set_ylabel("mean gain over ce, points")
    return save(drawn, path)


def known_noise(path: Path) -> Path:
    """The gain of each method on random and on pair noise."""
    lines, module = measured.lines_of("known_noise"), measured.script("known_noise")
    noises = list(dict.fromkeys(line["noise"] for line in lines))
    found = {
        name: {noise: [100 * gain for gain in module.gains_of(lines, noise, name)] for noise in noises}
        for name in dict.fromkeys(line["method"] for line in lines)
        if name != "ce"
    }
    complete = {name: of for name, of in found.items() if all(of.values())}
    order = sorted(complete, key=lambda name: -sum(map(fmean, complete[name].values())))
    drawn, panels = figure(0.19 * len(order) + 0.9, columns=len(noises), sharey=True)
    for axes, noise in zip(panels, noises, strict=True):
        axes.axvline(0, color=INK, linewidth=1)
        for height, name in enumerate(order):
            _dot(axes, height, complete[name][noise])
        axes.set_title(f"{noise} noise")
        axes.set_xlabel("points over ce, mean ± deviation")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="y", color=FAINT, linewidth=0.5)
        axes.set_axisbelow(True)
    panels[0].set_yticks(range(len(order)), order, fontsize=8.5)
    panels[0].set_ylim(len(order) - 0.4, -0.8)
    return save(drawn, path)


def _dot(axes: Axes, height: int, values: list[float]) -> None:
    middle, deviation = fmean(values), stdev(values) if len(values) > 1 else 0.0
    color = BLUE if middle > deviation else RED if middle < -deviation else GREY
    axes.hlines(height, middle - deviation, middle + deviation, colors=color, linewidth=1.8)
    axes.plot(middle, height, "o", color=color, markersize=4.5)


def finding(path: Path) -> Path:
    """Average precision of the audit and of cleanlab, corpus by corpus."""
    noises = {"given": "labels as given", "symmetric:0.2": "20 % random noise"}
    drawn, panels = figure(2.3, columns=len(noises), sharey=True, sharex=True)
    for axes, (noise, title) in zip(panels, noises.items(), strict=True):
        corpora = audit.corpora_of(noise)
        for height, corpus in enumerate(corpora):
            lines = [line for line in audit.lines_of(noise) if line["dataset"] == corpus]
            ours, other = (
                fmean(line["average_precision"][key] for line in lines) for key in (audit.UNTRAINED, audit.CLEANLAB)
            )
            axes.hlines(height, other, ours, colors=FAINT, linewidth=3)
            axes.plot(other, height, "o", color=RED, markersize=6)
            axes.plot(ours, height, "o", color=BLUE, markersize=6)
            if not height:
                say(axes, ours, height - 0.42, "audit", BLUE, ha="center")
                say(
                    axes,
                    other,
                    height - 0.42 if abs(ours - other) > 0.12 else height + 0.45,
                    "cleanlab",
                    RED,
                    ha="center",
                )
        axes.set_yticks(range(len(corpora)), corpora)
        axes.set_ylim(len(corpora) - 0.5, -0.8)
        axes.set_title(title)
        axes.set_xlabel("average precision")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    return save(drawn, path)


if __name__ == "__main__":
    print(*draw(Path(__file__).resolve().parents[1] / "images"), sep="\n")
