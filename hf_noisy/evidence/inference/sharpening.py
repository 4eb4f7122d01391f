"""Sharpening of predicted probabilities relative to the frequency of each class."""

from __future__ import annotations

import torch
from torch import Tensor


def frequency_normalised(probs: Tensor) -> Tensor:
    """Sharpens probabilities (rows, classes), in favour of classes that are rarely predicted.

    >>> frequency_normalised(torch.tensor([[0.5, 0.5], [0.9, 0.1]]))
    tensor([[0.3000, 0.7000],
            [0.9720, 0.0280]])
    """
    squared = probs.square() / probs.sum(0).clamp_min(torch.finfo(probs.dtype).tiny)
    return squared / squared.sum(-1, keepdim=True)
