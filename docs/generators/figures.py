"""Draws every figure of the site into docs/images.

    python docs/generators/figures.py

takes seconds: what was measured is read from recipes/results. `--measure` first repeats the trainings behind the figures of
the concepts, some minutes on two cores, and writes recipes/results/concepts.json.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

import concept_measured as measured
import concept_numbers as stored
import concept_plots as plots
import diagrams
import style
from matplotlib.figure import Figure

IMAGES = Path(__file__).resolve().parents[1] / "images"
OTHERS = "evidence_figures"  # the module that draws the figures of the benchmark
FIGURES: dict[str, Callable[[], Figure]] = {
    "rooms": diagrams.rooms,
    "seam": diagrams.seam,
    "targets": plots.targets,
    "noise_matrices": plots.matrices,
    "noise_points": plots.points,
    "noise_kinds": diagrams.kinds_flow,
    "memorisation": measured.memorisation,
    "auto": diagrams.auto,
    "inference": diagrams.inference,
    "loss_pull": plots.pull,
    "rule_curves": measured.rule_curves,
    "loss_histograms": measured.loss_histograms,
    "loss_on_real_labels": measured.real_losses,
    "gap": measured.gap,
    "leave_one_out": measured.leave_one_out,
}


def draw(folder: Path, names: Iterable[str] = FIGURES) -> list[Path]:
    """Draw these figures of the concepts into `folder`, as NAME.svg. Returns the paths."""
    with style.styled():
        return [style.save(FIGURES[name](), folder / name) for name in names]


def measure() -> None:
    """Repeat the trainings and store their numbers."""
    from concept_runs import measure as measured_now

    stored.CONCEPTS.write_text(json.dumps(measured_now()) + "\n", encoding="utf-8")
    stored.concepts.cache_clear()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--measure", action="store_true", help="repeat the trainings first")
    parser.add_argument("--folder", type=Path, default=IMAGES, help="where the figures go; by default docs/images")
    given = parser.parse_args()
    if given.measure:
        measure()
    for path in draw(given.folder):
        print(path)
    if importlib.util.find_spec(OTHERS) is not None:
        importlib.import_module(OTHERS).draw(given.folder)


if __name__ == "__main__":
    main()
