"""What was measured of a method: gains over cross-entropy by corpus, on known noise, and cost; read from recipes/results.

The other generators print it. A method that a file does not hold was not measured there; a missing file counts as empty.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from statistics import median, stdev
from typing import Any

from hf_noisy.benchmark.gap import Estimate, Section, gap_recovered, mean, split_sections
from hf_noisy.methods.registry import METHODS

RESULTS = Path(__file__).resolve().parents[2] / "recipes" / "results"
ACCURACY = ("h100.jsonl", "results.jsonl", "doubted.jsonl")  # the first that holds a method is shown
COST = (
    "float32.jsonl",
    "results.jsonl",
    "doubted.jsonl",
    "peers.jsonl",
    "h100.jsonl",
)  # CPU first: nothing ran beside it
KNOWN_NOISE = "known_noise.jsonl"
FORMER_VERSION = "0.2.0"
# defaults of parameters that 0.2.0 had, where they differ, by method; a line that lacks the named parameter is of 0.2.0
FORMER: dict[str, tuple[str, dict[str, Any]]] = {
    "truth_inference": ("models", {"refine": True}),
    "auto": ("class_prior", {}),
}
ORDER = ("trec", "hausa", "youtube", "imdb", "agnews_human")


@dataclass(frozen=True)
class Measured:
    """A method in one section of a file of results."""

    file: str
    section: Section
    variant: str

    @property
    def corpora(self) -> list[str]:
        """The corpora in the order of all tables."""
        return sorted(self.section.corpora, key=lambda name: (*ORDER, name).index(name))

    @property
    def seeds(self) -> list[int]:
        """The seeds that were run on some corpus."""
        return sorted({seed for (_, name), runs in self.section.runs.items() if name == self.variant for seed in runs})

    @property
    def device(self) -> str:
        """The device of the first run: "cpu", or the name of a GPU."""
        runs = next(runs for (_, name), runs in self.section.runs.items() if name == self.variant)
        return str(next(iter(runs.values()))["versions"]["device"])

    @property
    def params(self) -> dict[str, Any]:
        """The parameters of the first run."""
        runs = next(runs for (_, name), runs in self.section.runs.items() if name == self.variant)
        return dict(next(iter(runs.values()))["params"])

    @property
    def mean_gain(self) -> Estimate | None:
        """The mean gain over the corpora; None unless all were measured."""
        gains = [self.section.gain(corpus, self.variant) for corpus in self.corpora]
        known = [gain for gain in gains if gain is not None]
        return mean(known) if len(known) == len(gains) else None

    @property
    def gap(self) -> Estimate | None:
        """The mean share of the gap to gold labels that is recovered."""
        return gap_recovered(self.section, self.variant).mean


@dataclass(frozen=True)
class Cost:
    """How long a training takes, as a multiple of the same training with cross-entropy."""

    times: float
    file: str
    device: str

    @property
    def is_rough(self) -> bool:
        """Whether other trainings ran beside it on the same device."""
        return self.device != "cpu"


@dataclass(frozen=True)
class Known:
    """Accuracy on noise of a known kind, over seeds."""

    accuracy: tuple[float, ...]
    ce: tuple[float, ...]  # of the same seeds
    parameters: Mapping[str, Any]  # those that differ from the defaults

    @property
    def gain(self) -> float:
        """Mean gain over cross-entropy, in points."""
        return 100 * sum(ours - base for ours, base in zip(self.accuracy, self.ce, strict=True)) / len(self.ce)

    @property
    def deviation(self) -> float | None:
        """Standard deviation of the gain over seeds, in points; None with one seed."""
        gains = [100 * (ours - base) for ours, base in zip(self.accuracy, self.ce, strict=True)]
        return stdev(gains) if len(gains) > 1 else None


def lines_of(file: str) -> list[dict[str, Any]]:
    """The lines of a file of results, an empty list if it does not exist."""
    path = RESULTS / file
    if not path.is_file():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


@cache
def sections(file: str) -> list[Section]:
    lines = lines_of(file)
    return split_sections(lines) if lines else []


def noises(file: str) -> list[str]:
    """The kinds of noise in a file, without labels as given: symmetric noise first, then by rate."""
    found = {str(section.settings["noise"]) for section in sections(file) if section.settings.get("noise")}
    return sorted(found, key=lambda noise: (not noise.startswith("symmetric"), noise))


def measured(name: str, noise: str | None = None) -> Measured | None:
    """The method with its default parameters, from the first file that holds it."""
    for file in ACCURACY:
        for section in sections(file):
            if section.settings.get("noise") == noise:
                variant = _default_variant(section, name)
                if variant is not None:
                    return Measured(file, section, variant)
    return None


def _default_variant(section: Section, name: str) -> str | None:
    """The variant of a method whose parameters are the defaults: today's, else those of the version of the lines."""
    found = {
        variant: next(iter(runs.values()))["params"]
        for (_, variant), runs in section.runs.items()
        if section.methods[variant] == name
    }
    defaults = [variant for variant, params in found.items() if params == defaults_of(name, params)]
    return min(defaults, key=lambda variant: _is_former(name, found[variant]), default=None)


def defaults_of(name: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults of a method in the version that wrote `params`; a baseline has no parameters."""
    defaults = json.loads(json.dumps(METHODS[name].parameters)) if name in METHODS else {}
    if not _is_former(name, params):
        return dict(defaults)
    return {key: value for key, value in {**defaults, **FORMER[name][1]}.items() if key in params}


def _is_former(name: str, params: Mapping[str, Any]) -> bool:
    return name in FORMER and FORMER[name][0] not in params


def former_inference(*names: str) -> str:
    """Says that these methods, `truth_inference` and `auto` if none are named, were measured with the former inference.

    Empty as soon as the stored lines are of today's inference.
    """
    former = []
    for name in names or ("auto", "truth_inference"):
        found = measured(name)
        if found is not None and _is_former(name, found.params):
            former.append(f"`{name}`")
    if not former:
        return ""
    many = "rows" if len(former) > 1 else "row"
    verb = "were" if len(former) > 1 else "was"
    return (
        f"The {many} of {' and '.join(former)} {verb} measured with version {FORMER_VERSION}, whose inference is "
        '`models="one"` of `truth_inference` now.'
    )


def cost(name: str) -> Cost | None:
    """The median cost on labels as given."""
    for file in COST:
        for section in sections(file):
            variant = _default_variant(section, name)
            if section.settings.get("noise") is None and variant is not None:
                device = Measured(file, section, variant).device
                return Cost(median(section.values(variant, "cost")), file, device)
    return None


def known_noise(name: str, noise: str) -> Known | None:
    """The method on noise of a kind, "symmetric" or "pair"; None if it, or cross-entropy, was not measured."""
    lines = [line for line in lines_of(KNOWN_NOISE) if line["noise"] == noise]
    ours, base = ({line["seed"]: line for line in lines if line["method"] == method} for method in (name, "ce"))
    seeds = sorted(ours.keys() & base.keys())
    if not seeds:
        return None
    return Known(
        tuple(ours[seed]["accuracy"] for seed in seeds),
        tuple(base[seed]["accuracy"] for seed in seeds),
        ours[seeds[0]].get("parameters", {}),
    )


def points(value: float) -> str:
    """A gain in points, as "+6.4"."""
    return f"{value:+.1f}"


def points_with_interval(gain: Estimate | None) -> str:
    """A gain in points with its 95 % interval, as "+6.4 [4.7, 8.1]"; empty if it was not measured."""
    if gain is None:
        return ""
    interval = gain.interval
    low_high = "" if interval is None else f" [{100 * interval[0]:.1f}, {100 * interval[1]:.1f}]"
    return f"{points(100 * gain.value)}{low_high}"
