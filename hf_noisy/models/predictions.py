"""Predictions of one forward pass, and how examples are mixed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

from torch import Tensor

from hf_noisy.models.outputs import labelled_logits, logits_of


@dataclass(frozen=True)
class Predictions:
    """Predictions of one forward pass on the batch, before any supervision."""

    clean_log_probs: Tensor  # (networks, views, batch, classes) of the true class
    unmixed: Predictions | None = None  # if logits were mixed: the predictions before
    channelled: Tensor | None = None  # (networks, views, batch, classes) output of the channel, if there is one
    channel_matrix: Tensor | None = None  # (networks, classes, classes) the channel's T, with gradient
    vectors: Tensor | None = None  # (networks, views, batch, width) inputs of the last layer, if a method needs them

    @classmethod
    def from_outputs(cls, outputs: Any, views: int, rows: int, *, labelled: bool = False) -> Predictions:
        """Builds predictions from the outputs of a training forward, which was given labels if `labelled`."""
        clean = cls.from_logits(labelled_logits(outputs) if labelled else logits_of(outputs), views, rows)
        noisy = getattr(outputs, "noisy_log_probs", None)
        if noisy is None:
            return clean
        return replace(clean, channelled=noisy.view_as(clean.clean_log_probs), channel_matrix=outputs.channel_matrix)

    @classmethod
    def from_logits(cls, logits: Tensor, views: int, rows: int) -> Predictions:
        """Builds predictions from (views x rows, classes) logits, view by view, or from one such table per network.

        Raises:
            ValueError: logits of another shape.
        """
        if logits.ndim not in (2, 3) or logits.shape[-2] != views * rows:
            raise ValueError(
                f"the model gives logits of shape {tuple(logits.shape)}: expected ({views * rows}, classes). Use a model "
                "for sequence classification."
            )
        networks = len(logits) if logits.ndim == 3 else 1
        return cls(logits.float().log_softmax(-1).view(networks, views, rows, -1))

    @property
    def noisy_log_probs(self) -> Tensor:
        """(networks, views, batch, classes) of the given label: after the channel, if there is one."""
        return self.clean_log_probs if self.channelled is None else self.channelled

    def detached(self) -> Predictions:
        """A copy without gradient."""
        channelled, matrix, vectors = (
            None if value is None else value.detach() for value in (self.channelled, self.channel_matrix, self.vectors)
        )
        return Predictions(self.clean_log_probs.detach(), channelled=channelled, channel_matrix=matrix, vectors=vectors)

    def mixed(self, mix: Mix) -> Predictions:
        """Predictions for mixed vectors. The last layer is linear, so mixing its logits equals mixing its inputs.

        Raises:
            ValueError: the predictions passed a noise channel, which is not linear.
        """
        if self.channelled is not None:
            raise ValueError(
                'vectors are mixed behind a noise channel: expected Mix(where="embeddings"), or no channel.'
            )
        ratio = mix.ratio.view(-1, 1)
        logits = ratio * self.clean_log_probs + (1 - ratio) * self.clean_log_probs[:, :, mix.partner]
        return Predictions(logits.log_softmax(-1), unmixed=self)

    @property
    def probs(self) -> Tensor:
        """(batch, classes) probabilities of the first view, mean over networks."""
        return self.clean_log_probs[:, 0].exp().mean(0)


@dataclass(frozen=True)
class Mix:
    """The partner that each example of the batch is mixed with, and the mixing ratio."""

    partner: Tensor  # (batch,) positions in the batch
    ratio: Tensor  # (batch,) share of the example itself, in [0, 1]
    where: Literal["embeddings", "vectors"]  # of words; or inputs of the last linear layer, by their logits
