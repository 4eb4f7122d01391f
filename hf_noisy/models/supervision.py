"""The targets and weights of one batch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hf_noisy.models.criterion import Criterion
from hf_noisy.models.predictions import Mix, Predictions


@dataclass(frozen=True)
class Supervision:
    """What each example is taught and how hard. `dataclasses.replace` changes it."""

    targets: Tensor  # (networks, batch, classes)
    weights: Tensor  # (networks, batch); never renormalised: the step divides by its number of rows
    mix: Mix | None = None  # the Trainer mixes inputs and targets by it; weights are those of the example itself
    trusted: Tensor | None = None  # (networks, batch) such targets speak of the true class and skip the channel
    taught_views: int | None = None  # the criterion sees the first ones only, and penalties all; None for all

    def trusting(self, rows: Tensor) -> Supervision:
        """The same, where the targets of `rows`, (batch,) or (networks, batch), now speak of the true class."""
        rows = rows.expand_as(self.weights)
        return replace(self, trusted=rows if self.trusted is None else self.trusted | rows)

    def weighted(self, factor: Tensor | float) -> Supervision:
        """The same with every weight multiplied by `factor`: a number, (batch,) or (networks, batch)."""
        return replace(self, weights=self.weights * factor)

    def losses(self, criterion: Criterion, predictions: Predictions) -> Tensor:
        """(networks, batch) what each example costs, mean over views: through the channel unless it is trusted."""
        targets, taught = self.targets.unsqueeze(1), slice(self.taught_views)
        losses = criterion(predictions.noisy_log_probs[:, taught], targets).mean(1)
        if predictions.channelled is None or self.trusted is None:
            return losses
        return torch.where(self.trusted, criterion(predictions.clean_log_probs[:, taught], targets).mean(1), losses)

    def mixed(self) -> Supervision:
        """Targets mixed as the inputs are."""
        if self.mix is None:
            return self
        ratio = self.mix.ratio.unsqueeze(-1)
        return replace(self, targets=ratio * self.targets + (1 - ratio) * self.targets[:, self.mix.partner])

    def checked(self, changed: Supervision, by: str) -> Supervision:
        """`changed`, if it has the shapes of this one; else an error that names the callback."""
        if not isinstance(changed, Supervision):
            raise TypeError(
                f"{by}.supervise gives {type(changed).__name__}: expected a Supervision. Is a `return` missing?"
            )
        shapes = {"targets": self.targets.shape, "weights": self.weights.shape, "trusted": self.weights.shape}
        for name, expected in shapes.items():
            value = getattr(changed, name)
            if value is not None and value.shape != expected:
                raise ValueError(
                    f"{by}.supervise gives {name} of shape {tuple(value.shape)}: expected {tuple(expected)}."
                )
        return changed
