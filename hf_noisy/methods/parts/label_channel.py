"""Base class of methods with a transition matrix: when the matrix takes effect, where it comes from, what is logged."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import logging

from hf_noisy.data.class_names import class_count
from hf_noisy.data.label_encoding import has_label, one_hot
from hf_noisy.evidence.matrices.figure import matrices_figure
from hf_noisy.evidence.matrices.matrices import check_matrix, noise_rate, prior_of
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.models.channels import Channel, FixedChannel
from hf_noisy.models.configuration import config_of
from hf_noisy.models.context import Context, Survey

if TYPE_CHECKING:
    from matplotlib.figure import Figure

logger = logging.get_logger(__name__)

_WARMUP = 1 / 3  # share of the epochs, if the matrix is estimated during training
Matrix = Sequence[Sequence[float]] | np.ndarray


class LabelChannel(NoiseCallback):
    """Puts a transition matrix between the classifier and the given labels. Base class of methods with such a matrix.

    The channel is inactive in the first `warmup_epochs`. The matrix is determined at their end. A matrix that is known
    from the start needs no warm-up. Each network has a channel of its own. Targets that refer to the true class
    (`Supervision.trusted`) skip the channel.

    Logged: `channel_diagonal`, the mean of T_ii, and `estimated_noise_rate`, the mean of 1 - T_ii over the true
    classes. Their frequencies follow from T and the given labels. `trainer.noise_matrix()` returns the matrix.

    Args:
        warmup_epochs: number of whole epochs. None is a third of the training, or 0 if the matrix is known.
    """

    roles = ("noise channel",)
    logged = MappingProxyType(
        {
            "channel_diagonal": "mean of the matrix's diagonal, the probability that a label is the true class",
            "estimated_noise_rate": "estimated share of wrong labels",
            "noise_matrix": "picture: the transition matrix, P(given label given true class)",
        }
    )
    has_channel = True
    known = False  # whether the matrix is known before training
    started = False  # whether the matrix is in effect

    def __init__(self, warmup_epochs: int | None = None) -> None:
        if warmup_epochs is not None and (
            isinstance(warmup_epochs, bool) or not isinstance(warmup_epochs, int) or warmup_epochs < 0
        ):
            raise ValueError(f"warmup_epochs={warmup_epochs!r}: expected a whole number of epochs, 0 or more, or None.")
        if warmup_epochs == 0 and not self.known:
            raise ValueError(
                "warmup_epochs=0: the matrix comes from what the warm-up learned. Expected 1 or more, or a given matrix."
            )
        self.warmup_epochs = warmup_epochs

    def make_channel(self, model: PreTrainedModel) -> Channel | None:
        return FixedChannel(class_count(config_of(model)))

    def setup(self, context: Context) -> None:
        self.channels, self.started = context.channels, False
        self.networks, self.classes, self.device = context.networks, context.classes, context.device
        self.model = context.model
        share = 0.0 if self.known else _WARMUP
        rest = context.epochs - self.clean_epochs
        self.start = self.clean_epochs + (math.ceil(share * rest) if self.warmup_epochs is None else self.warmup_epochs)
        if self.start >= context.epochs:
            logger.warning(
                f"{type(self).__name__}: the matrix comes into force after {self.start} of {context.epochs:g} epochs, so it is "
                "never used, and all labels are taken as correct. Train longer, or set warmup_epochs."
            )
        labels = context.labels if context.trusted is None else context.labels[~context.trusted.cpu()]
        given = one_hot(labels[has_label(labels)], context.classes).float()
        self.shares = given.mean(0).double().cpu().numpy()  # (classes,) shares of the given labels
        self._switch()

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        if not self.started and epoch >= self.start:  # only once: a learned matrix is kept
            self.use(self.matrices(survey).to(self.device, torch.float32))
            self.started = True
        self._switch()

    def matrices(self, survey: Callable[[], Survey]) -> Tensor:
        """(networks, classes, classes) initial matrix of each network's channel."""
        raise NotImplementedError

    def use(self, matrices: Tensor) -> None:
        """Sets the channels to `matrices` (networks, classes, classes)."""
        for channel, matrix in zip(self.channels, matrices, strict=True):
            channel.set_matrix(matrix)

    def _switch(self) -> None:
        for channel in self.channels:
            channel.active = self.started

    @property
    def matrix(self) -> Tensor | None:
        """(classes, classes) mean over the networks, detached. None before it takes effect."""
        return self.found().mean(0) if self.started else None

    def noise_matrix(self) -> Tensor | None:
        return self.matrix

    def found(self) -> Tensor:
        """(networks, classes, classes) current matrices."""
        return torch.stack([channel.mean_matrix() for channel in self.channels])

    def metrics(self) -> dict[str, Tensor | float]:
        matrix = self.matrix
        if matrix is None:
            return {}
        found = matrix.double().cpu().numpy()
        rate = noise_rate(found, prior_of(found, self.shares))
        return {"channel_diagonal": matrix.diagonal().mean(), "estimated_noise_rate": rate}

    def figures(self) -> dict[str, Figure]:
        matrix = self.matrix
        if matrix is None:
            return {}
        names = [str(config_of(self.model).id2label[k]) for k in range(self.classes)]
        return {"noise_matrix": matrices_figure({"noise channel": matrix.double().cpu().numpy()}, names)}

    def state_dict(self) -> dict[str, Tensor]:
        return {"started": torch.tensor(self.started)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.started = bool(state["started"])
        self._switch()


def known_matrix(matrix: Matrix, classes: int) -> Tensor:
    """A user's matrix as a tensor, checked against the number of classes."""
    return torch.from_numpy(check_matrix(matrix, classes)).float()
