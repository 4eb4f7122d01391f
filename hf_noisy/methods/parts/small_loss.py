"""Base class of co-teaching and its variants: how many examples to drop, and which have small losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_fraction, check_not_negative, nearest
from hf_noisy.evidence.matrices.in_training import IN_TRAINING, estimated_rate
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.parts.selection import fit_loss_mixture, ramp, small_loss, small_loss_by_class
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

ForgetRate = float | Sequence[float] | Literal["auto", "anchor_points", "dual_t"]
_ESTIMATORS = ("auto", *IN_TRAINING)
_RAMP = 10 / 200  # share of the epochs; Han et al. (2018) use 10 of 200


class SmallLoss(NoiseCallback):
    """Trains two networks, each on the examples of a batch with small losses, whose labels are likely to be correct.

    Base class of `CoTeaching`, `CoTeachingPlus` and `JoCoR`. The share of dropped examples rises from 0 to
    `forget_rate` over the first `ramp_epochs`.

    Args:
        forget_rate: the share of wrong labels. Either a number in [0, 1), or one number for each class (examples are
            then ranked within their given class), or the name of an estimate that is made before each epoch from the
            second on. "auto" fits a mixture of two Gaussians to the latest training loss of each example and uses the
            weight of the upper component. It overestimates the rate on clean labels, since the mixture always finds an
            upper component. "anchor_points" and "dual_t" use the rate that this estimator's transition matrix implies,
            at the cost of a pass over the training set.
        ramp_epochs: epochs until the full rate; may be fractional. None is a twentieth of the training, like the 10 of
            200 epochs in the papers.

    Raises:
        ValueError, TypeError: a rate outside [0, 1), an unknown string, a negative ramp. Before the first step: a list
            of rates for another number of classes.
    """

    num_networks = 2
    roles = ("choice of small losses",)
    logged = MappingProxyType(
        {
            "forget_rate": "share of each batch that is left out after the ramp, mean over the classes",
            "estimated_noise_rate": "estimated share of wrong labels",
            "mixture_mean_clean": "mean of the lower of two normals fitted to the losses, on a scale of 0 to 1",
            "mixture_mean_noisy": "mean of the upper of two normals fitted to the losses, on a scale of 0 to 1",
        }
    )

    def __init__(self, forget_rate: ForgetRate = "auto", ramp_epochs: float | None = None) -> None:
        self.forget_rate = _checked_rate(forget_rate)
        self.ramp_epochs = None if ramp_epochs is None else check_not_negative("ramp_epochs", ramp_epochs)

    def setup(self, context: Context) -> None:
        self.criterion_used, self.seed, self.trusted = context.criterion, context.seed, context.trusted
        self.ramp_length = _RAMP * context.epochs if self.ramp_epochs is None else self.ramp_epochs
        self.losses = Memory(context.rows, fill=torch.nan, device=context.device)
        if isinstance(self.forget_rate, tuple) and len(self.forget_rate) != context.classes:
            raise ValueError(
                f"forget_rate={list(self.forget_rate)}: expected {context.classes} rates, one for each class, or one "
                "number."
            )
        rates = 0.0 if isinstance(self.forget_rate, str) else self.forget_rate
        self.rates = torch.as_tensor(rates, dtype=torch.float32).to(context.device)  # () or (classes,)
        self.means = torch.full((2,), torch.nan)

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if not isinstance(self.forget_rate, str) or epoch == 0:
            return
        rate = self._mixture_rate(epoch) if self.forget_rate == "auto" else self._matrix_rate(survey())
        if rate is not None:
            self.rates.fill_(min(rate, 0.99))

    def _mixture_rate(self, epoch: int) -> float | None:
        losses = self.losses.values[~self.losses.values.isnan()].cpu().numpy().astype(np.float64)
        mixture = fit_loss_mixture(losses, self.seed)
        if mixture is None:
            logger.warning(
                f"{type(self).__name__}: before epoch {epoch} all losses are equal; forget_rate stays as it is."
            )
            return None
        self.means = torch.tensor(mixture.means)
        return mixture.noise_rate

    def _matrix_rate(self, seen: Survey) -> float:
        given = seen.given if self.trusted is None else seen.given * ~self.trusted.unsqueeze(-1)
        return float(np.mean([estimated_rate(str(self.forget_rate), p.exp(), given) for p in seen.log_probs]))

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        losses = self.criterion_used(predictions.clean_log_probs, supervision.targets.unsqueeze(1)).mean(1)
        candidates = (supervision.weights > 0).all(0)
        trusted = torch.zeros_like(candidates) if batch.trusted is None else batch.trusted
        candidates = candidates & ~trusted  # trusted examples need no selection
        self.losses.write(batch, torch.where(batch.covered & ~trusted, losses.mean(0), torch.nan))
        kept = self.select(losses, candidates, predictions, batch)  # (networks, batch)
        scale = candidates.sum() / kept.sum(-1, keepdim=True).clamp_min(1)  # keeps the total weight
        return supervision.weighted(torch.where(trusted, 1.0, kept * scale))

    def select(self, losses: Tensor, candidates: Tensor, predictions: Predictions, batch: Batch) -> Tensor:
        """(networks, batch) bool. Whether each network learns from the example.

        Args:
            losses: (networks, batch).
            candidates: (batch,) bool.
            predictions: of the batch.
            batch: the rows.
        """
        raise NotImplementedError

    def small(self, losses: Tensor, candidates: Tensor, batch: Batch) -> Tensor:
        """(batch,) bool. True for the candidates with small losses."""
        rates = self.rates * ramp(batch.epoch, self.ramp_length)
        if rates.ndim:
            return small_loss_by_class(losses, candidates, rates, batch.given.argmax(-1))
        return small_loss(losses, candidates, rates)

    def exchange(self, losses: Tensor, candidates: Tensor, batch: Batch) -> Tensor:
        """(networks, batch) losses -> (networks, batch) bool. For each network, its peer's small-loss examples."""
        return torch.stack([self.small(peers, candidates, batch) for peers in losses.flip(0)])

    def metrics(self) -> dict[str, Tensor | float]:
        logs: dict[str, Tensor | float] = {"forget_rate": self.rates.mean()}
        if isinstance(self.forget_rate, str) and bool(self.rates.any()):
            logs["estimated_noise_rate"] = self.rates.mean()
        if not bool(self.means.isnan().any()):
            logs |= {"mixture_mean_clean": self.means[0], "mixture_mean_noisy": self.means[1]}
        return logs

    def state_dict(self) -> dict[str, Tensor]:
        return {"losses": self.losses.state(), "rates": self.rates, "means": self.means}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.losses.load(state["losses"])
        self.rates.copy_(state["rates"])
        self.means.copy_(state["means"])


def _checked_rate(forget_rate: ForgetRate) -> float | tuple[float, ...] | str:
    if isinstance(forget_rate, str):
        if forget_rate not in _ESTIMATORS:
            raise ValueError(
                f"forget_rate={forget_rate!r}: expected a number in [0, 1), one for each class, or a word. "
                f"{nearest(forget_rate, _ESTIMATORS)}"
            )
        return forget_rate
    if isinstance(forget_rate, Sequence):
        rates: Any = forget_rate
        return tuple(check_fraction(f"forget_rate[{k}]", rate, "[0, 1)") for k, rate in enumerate(rates))
    return check_fraction("forget_rate", forget_rate, "[0, 1)")
