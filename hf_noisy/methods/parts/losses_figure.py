"""Draws a histogram of losses with the fitted probability that a label is clean."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from hf_noisy.common.drawing import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_BINS = 40
_KEPT, _TAKEN = "#0072B2", "#D55E00"  # from the colour-blind-safe palette of Okabe and Ito


def losses_figure(losses: np.ndarray, kept: np.ndarray, clean_probability: np.ndarray) -> Figure:
    """Draws a histogram of the losses for each network, and over it the probability of a clean label at each loss.

    Args:
        losses: (networks, rows) finite losses.
        kept: (networks, rows) bool. True where the example keeps its label.
        clean_probability: (networks, rows) probability of a clean label.

    Raises:
        ImportError: matplotlib is not installed.
    """
    figure = new_figure(4.5 * len(losses), 3)
    panels = figure.subplots(1, len(losses), squeeze=False)[0]
    for network, (axes, loss, keeps, clean) in enumerate(zip(panels, losses, kept, clean_probability, strict=True)):
        axes.hist([loss[keeps], loss[~keeps]], _BINS, stacked=True, color=[_KEPT, _TAKEN], label=["kept", "taken"])
        axes.set_xlabel("loss")
        axes.set_ylabel("labels")
        axes.set_title(f"network {network}" if len(losses) > 1 else "losses", fontsize=9)
        axes.legend(fontsize=7, loc="upper center")
        beside, order = axes.twinx(), np.argsort(loss)
        beside.plot(loss[order], clean[order], color="black", linewidth=1)
        beside.set_ylim(0, 1)
        beside.set_ylabel("probability of a clean label")
    return figure
