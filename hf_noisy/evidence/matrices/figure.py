"""Heat maps of transition matrices, next to the true one if it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from hf_noisy.common.drawing import new_figure
from hf_noisy.evidence.matrices.matrices import check_matrix

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.image import AxesImage


_NUMBERED = 10  # maximum number of classes for which cells show their values
_NAMED = 60  # maximum number of classes for which axes show class names
_NAME = 18  # maximum number of characters of a class name
_PER_ROW = 4  # panels per row


def draw_matrices(
    matrices: Mapping[str, ArrayLike], class_names: Sequence[str], path: str | Path, *, true: ArrayLike | None = None
) -> None:
    """Writes a PNG with a heat map of each matrix, the true one first; all share one scale from 0 to 1.

    Args:
        matrices: title -> (classes, classes), row i = P(given label = j | true class = i).
        class_names: (classes,), in the order of the class ids.
        path: path of the PNG.
        true: (classes, classes), if gold labels are known.

    Raises:
        ValueError: no matrix, or one that is not a transition matrix of these classes.
        ImportError: matplotlib is not installed.
    """
    matrices_figure(matrices, class_names, true=true).savefig(Path(path), dpi=150, format="png")


def matrices_figure(
    matrices: Mapping[str, ArrayLike], class_names: Sequence[str], *, true: ArrayLike | None = None
) -> Figure:
    """Returns the figure that `draw_matrices` writes; its arguments and errors are the same."""
    wanted = {**({} if true is None else {"true": true}), **matrices}
    if not wanted:
        raise ValueError("matrices is empty: expected at least one to draw.")
    panels = {title: check_matrix(matrix, len(class_names)) for title, matrix in wanted.items()}
    columns = min(len(panels), _PER_ROW)
    rows = -(-len(panels) // columns)
    side = 1.5 + 0.28 * max(5, min(len(class_names), 30))  # inches
    figure = new_figure(side * columns + 0.9, side * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    names = [name if len(name) <= _NAME else name[: _NAME - 1] + "…" for name in class_names]
    for place, (axes, (title, matrix)) in enumerate(zip(grid.flat, panels.items(), strict=False)):
        image = _draw(axes, title, matrix, names, named=place % columns == 0)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    figure.colorbar(image, ax=figure.axes, shrink=0.8, label="P(given label | true class)")
    return figure


def _draw(axes: Axes, title: str, matrix: np.ndarray, names: Sequence[str], *, named: bool) -> AxesImage:
    image = axes.imshow(matrix, cmap="Blues", vmin=0, vmax=1)
    places = range(len(names) if len(names) <= _NAMED else 0)  # more names would overlap
    axes.set_title(title, fontsize=9)
    axes.set_xticks(places, names[: len(places)], rotation=90, fontsize=7)
    axes.set_yticks(places, names[: len(places)] if named else [""] * len(places), fontsize=7)
    axes.set_xlabel("given label", fontsize=8)
    if named:
        axes.set_ylabel("true class", fontsize=8)
    if len(names) <= _NUMBERED:
        for i, row in enumerate(matrix):
            for j, share in enumerate(row):
                color = "white" if share > 0.55 else "black"
                axes.text(j, i, f"{share:.2f}", ha="center", va="center", fontsize=6.5, color=color)
    return image
