"""Truncated generalized cross-entropy (Zhang & Sabuncu, NeurIPS 2018)."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_fraction
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.losses import GeneralizedCrossEntropy
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)


class TruncatedGCE(NoiseCallback):
    """Leaves out an example while the model gives its label a probability of `k` or less; trains on the rest with GCE.

    This is the paper's alternating search: after a warm-up, all examples are predicted every few epochs. Those whose
    loss exceeds the loss at probability `k` get weight 0 until the next pass. A clamp inside the loss would not work:
    at the start of training nearly every example lies below `k` and would have no gradient.

    Source: Zhang & Sabuncu, "Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels",
    NeurIPS 2018. The paper warms up for 40 of 120 epochs and makes a pass every 10; here both are shares of the
    training, and there is at most one pass per epoch.

    Args:
        q: of the generalized cross-entropy, in (0, 1].
        k: probability of the label below which an example is left out, in [0, 1).
        warmup: share of the epochs before the first pass, in [0, 1].
        every: share of the epochs between passes, in (0, 1].

    Raises:
        ValueError: a parameter outside its domain.

    Prefer it to plain GCE if many labels are wrong and training runs for at least three epochs. If no example would be
    kept, all are, with a warning. Has its own criterion, so it does not combine with another one.

    >>> TruncatedGCE(k=0.5).criterion
    GeneralizedCrossEntropy(q=0.7)
    """

    def __init__(self, q: float = 0.7, k: float = 0.5, warmup: float = 1 / 3, every: float = 1 / 12) -> None:
        self.criterion = GeneralizedCrossEntropy(q)
        self.k = check_fraction("k", k, "[0, 1)")
        self.warmup = check_fraction("warmup", warmup, "[0, 1]")
        self.every = check_fraction("every", every, "(0, 1]")

    def setup(self, context: Context) -> None:
        self.first_look = math.ceil(self.warmup * context.epochs)
        self.looks_every = max(1, round(self.every * context.epochs))
        self.trusted = context.trusted
        self.kept = Memory(context.rows, dtype=torch.bool, fill=True, device=context.device)

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if epoch < self.first_look or (epoch - self.first_look) % self.looks_every:
            return
        seen = survey()
        label_probability = (seen.given * seen.probs).sum(-1)
        covered = seen.given.sum(-1) > 0
        kept = (label_probability > self.k) & covered
        if self.trusted is not None:
            kept = kept | self.trusted
        if not kept.any():
            logger.warning(
                f"TruncatedGCE: before epoch {epoch} no label has a probability above k={self.k}; all examples are kept."
            )
            kept = covered
        self.kept.values.copy_(kept)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        return supervision.weighted(self.kept.read(batch.index))

    def report(self) -> dict[str, np.ndarray]:
        return {"kept": self.kept.values.cpu().numpy()}

    def state_dict(self) -> dict[str, Tensor]:
        return {"kept": self.kept.state()}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.kept.load(state["kept"])
