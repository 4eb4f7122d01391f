"""The targets and weights of one batch."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from hf_noisy.models.criterion import Criterion
from hf_noisy.models.predictions import Mix, Predictions


@dataclass(frozen=True)
class Supervision:
    """Target and weight of each example of a batch. Use `dataclasses.replace` to change them."""

    targets: Tensor  # (networks, batch, classes)
    weights: Tensor  # (networks, batch), never renormalised: the loss is divided by the step's number of rows
    mix: Mix | None = None  # how the Trainer mixes inputs and targets; weights are not mixed
    trusted: Tensor | None = (
        None  # (networks, batch) bool. True where the target refers to the true class and skips the channel
    )
    trained_views: int | None = None  # the criterion uses only the first ones, penalties use all; None for all

    def trusting(self, rows: Tensor) -> Supervision:
        """A copy in which the targets of `rows`, bool (batch,) or (networks, batch), refer to the true class."""
        rows = rows.expand_as(self.weights)
        return replace(self, trusted=rows if self.trusted is None else self.trusted | rows)

    def weighted(self, factor: Tensor | float) -> Supervision:
        """A copy with every weight multiplied by `factor`: a number, (batch,) or (networks, batch)."""
        return replace(self, weights=self.weights * factor)

    def losses(self, criterion: Criterion, predictions: Predictions) -> Tensor:
        """(networks, batch) loss of each example, mean over views. Trusted targets skip the channel."""
        targets, taught = self.targets.unsqueeze(1), slice(self.trained_views)
        losses = criterion(predictions.noisy_log_probs[:, taught], targets).mean(1)
        if predictions.channelled is None or self.trusted is None:
            return losses
        return torch.where(self.trusted, criterion(predictions.clean_log_probs[:, taught], targets).mean(1), losses)

    def mixed(self) -> Supervision:
        """A copy with targets mixed like the inputs."""
        if self.mix is None:
            return self
        ratio = self.mix.ratio.unsqueeze(-1)
        return replace(self, targets=ratio * self.targets + (1 - ratio) * self.targets[:, self.mix.partner])

    def checked(self, changed: Supervision, by: str) -> Supervision:
        """`changed`, if it has the shapes of this one. Otherwise raises an error that names the callback `by`."""
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
