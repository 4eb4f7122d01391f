"""Checks before and after classes are inferred: enough labels, rare classes that are lost, and how far the inferred classes doubt the given labels."""

from __future__ import annotations

from types import MappingProxyType

import numpy as np
from torch import Tensor

from hf_noisy.data.label_encoding import has_label

LOGGED = MappingProxyType(
    {
        "estimated_noise_rate": "estimated share of wrong labels",
        "noise_rate_low": "lower bound of the 80 % interval of this share, with several models",
        "noise_rate_high": "upper bound of the 80 % interval of this share, with several models",
    }
)
RARE = 0.05  # share of the labelled rows below which a class that is never inferred keeps its given labels


def check_labelled(method: str, labels: Tensor, least: int) -> None:
    """Raises ValueError unless `least` rows have a label, from which the others are inferred.

    Args:
        method: name of the method, for the message.
        labels: (rows,) class ids or (rows, classes) soft labels.
        least: number of rows.
    """
    labelled = int(has_label(labels).sum())
    if labelled < least:
        raise ValueError(
            f"{method}: {labelled} of {len(labels)} training rows have a label: expected at least {least}, "
            "from which it infers the others. Add labels or votes."
        )


def keep_rare_classes(found: np.ndarray, given: np.ndarray) -> tuple[np.ndarray, str | None]:
    """Returns `found`, in which rare classes that no row would have keep their given labels, and what was kept.

    Args:
        found: (rows, classes) inferred classes.
        given: (rows, classes) labels; a zero row has none.

    >>> found, given = np.tile([1.0, 0.0], (30, 1)), np.tile([1.0, 0.0], (30, 1))
    >>> given[7] = [0.0, 1.0]
    >>> kept, message = keep_rare_classes(found, given)
    >>> kept[7], message
    (array([0., 1.]), 'class 1 gets none of 30 inferred classes; the 1 rows that were given it keep their label')
    """
    counts, labelled = np.bincount(found.argmax(1), minlength=given.shape[1]), given.sum(0)
    lost = np.flatnonzero((counts == 0) & (labelled > 0) & (labelled < RARE * labelled.sum()))
    if not len(lost):
        return found, None
    mine = np.isin(given.argmax(1), lost) & (given.sum(1) > 0)
    named = f"class {lost[0]} gets" if len(lost) == 1 else f"classes {', '.join(map(str, lost))} get"
    message = (
        f"{named} none of {len(found)} inferred classes; the {int(mine.sum())} rows that were "
        f"given {'it' if len(lost) == 1 else 'them'} keep their label"
    )
    return np.where(mine[:, None], given, found), message


def doubt(given: Tensor, truth: Tensor) -> Tensor:
    """() 1 minus the mean inferred probability of the given labels; 0 without rows.

    Args:
        given, truth: (rows, classes) labels, and inferred classes.

    >>> import torch
    >>> doubt(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), torch.tensor([[0.9, 0.1], [0.5, 0.5]]))
    tensor(0.3000)
    """
    return ((given.sum(-1) - (given * truth).sum(-1)).sum() / max(len(given), 1)).clamp(0, 1)
