"""Noise adaptation layers (Goldberger and Ben-Reuven, ICLR 2017)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_noisy.common.checks import check_choice, check_fraction, check_not_negative
from hf_noisy.data.class_names import class_count
from hf_noisy.evidence.matrices.matrices import row_shares
from hf_noisy.methods.parts.label_channel import LabelChannel, Matrix, known_matrix
from hf_noisy.models.batch import Batch
from hf_noisy.models.channels import Channel, ComplexChannel, SimpleChannel, last_layer
from hf_noisy.models.configuration import config_of
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

_WEIGHTS = {
    "none": 0.0,
    "trace": 0.1,
    "volume": 1e-4,
}  # trace: chosen with tests/measure/noise_channels.py; volume: Li et al.
_DECAY = 0.9  # decay per step of the average of a complex layer's matrices
_JITTER, _MIN_SCALE = 1e-3, 0.1  # keep log |det T| finite: a singular matrix has no logarithm and no gradient
_ADAPTS_AFTER = 1 / 3  # share of the epochs after the warm-up, before the complex layer depends on the sentence


class NoiseAdaptation(LabelChannel):
    """Learns a noise matrix together with the classifier, so that the classifier need not fit the noise.

    A softmax layer maps the prediction of the true class to that of the given label. Training uses the latter,
    inference the former. "simple" has one matrix, "complex" a matrix for each sentence, computed from the input of the
    classifier's last layer. After a warm-up on the given labels, row i of the matrix starts as the distribution of the
    given labels among the examples that are predicted as class i. It is then trained with the classifier. The complex
    layer acts as the simple one for a while before it depends on the sentence.

    Source: Goldberger and Ben-Reuven, "Training deep neural-networks using a noise adaptation layer", ICLR 2017. The
    paper trains the three stages one after the other, each from scratch; here they are epochs of one training. The
    paper counts each example by its predicted probabilities, we by the predicted class: after a short warm-up on noisy
    labels, the probabilities contain the noise already, and would count it twice in the matrix.

    Args:
        layer: "simple" or "complex".
        matrix: (classes, classes) initial matrix instead, rows sum to 1; no warm-up by default.
        rate: alternatively, an initial share of wrong labels in [0, 1), spread over the other classes.
        warmup_epochs: whole epochs; None is a third of the training, 0 with a matrix or a rate.
        channel_learning_rate: learning rate of the layer, above 0, with the same schedule; without weight decay.
        regularizer: "none"; "trace", the mean of T_ii, which prevents the layer from staying the identity (Sukhbaatar
            et al., ICLR 2015 workshop); or "volume", log |det T| (Li et al., "Provably End-to-end Label-Noise Learning
            without Anchor Points", ICML 2021).
        regularizer_weight: at least 0; None is 0.1 for the trace, and Li et al.'s 1e-4 for the volume.

    Raises:
        ValueError, TypeError: a parameter outside its domain; a matrix and a rate; before the first step, a matrix for
            another number of classes.

    Costs next to nothing in time; classes^2 numbers, times the width of the sentence vector if complex. If the
    classifier has memorised the wrong labels, nothing is left for the layer to learn, so keep the warm-up short.

    >>> NoiseAdaptation().layer
    'simple'
    """

    adapts = False  # whether the complex layer depends on the sentence yet

    def __init__(
        self,
        layer: Literal["simple", "complex"] = "simple",
        matrix: Matrix | None = None,
        rate: float | None = None,
        warmup_epochs: int | None = None,
        channel_learning_rate: float = 1e-2,
        regularizer: Literal["none", "trace", "volume"] = "trace",
        regularizer_weight: float | None = None,
    ) -> None:
        check_choice("layer", layer, ("simple", "complex"))
        check_choice("regularizer", regularizer, tuple(_WEIGHTS))
        if matrix is not None and rate is not None:
            raise ValueError(f"matrix and rate={rate!r}: expected one of them. A rate is a matrix of equal shares.")
        self.layer, self.given_matrix = layer, matrix
        self.rate = None if rate is None else check_fraction("rate", rate, "[0, 1)")
        self.known = matrix is not None or rate is not None
        super().__init__(warmup_epochs)
        self.channel_learning_rate = check_not_negative("channel_learning_rate", channel_learning_rate)
        if not self.channel_learning_rate:
            raise ValueError(
                "channel_learning_rate=0: expected a number above 0. For a matrix that stays, use forward."
            )
        self.regularizer = regularizer
        weight = _WEIGHTS[regularizer] if regularizer_weight is None else regularizer_weight
        self.regularizer_weight = check_not_negative("regularizer_weight", weight)

    def make_channel(self, model: PreTrainedModel) -> Channel:
        classes = class_count(config_of(model))
        simple = self.layer == "simple"
        channel = SimpleChannel(classes) if simple else ComplexChannel(classes, last_layer(model).in_features)
        channel.learning_rate = self.channel_learning_rate
        return channel

    def setup(self, context: Context) -> None:
        super().setup(context)
        self.adapts_from = self.start + math.ceil(_ADAPTS_AFTER * (context.epochs - self.start))
        self._adapt(False)
        shape = (context.networks, context.classes, context.classes)
        self.average = torch.full(shape, torch.nan, device=context.device)  # of the complex layer's mean matrices
        if self.given_matrix is not None:
            known_matrix(self.given_matrix, context.classes)

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        super().begin_epoch(epoch, survey)
        self._adapt(self.adapts or epoch >= self.adapts_from)

    def _adapt(self, adapts: bool) -> None:
        self.adapts = adapts
        for channel in self.channels:
            if isinstance(channel, ComplexChannel):
                channel.adapts = adapts

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        if self.layer == "complex" and self.started and predictions.channel_matrix is not None:
            everywhere = batch.gather(predictions.channel_matrix.unsqueeze(0)).mean(0)  # equal on all processes
            known = ~self.average.isnan()
            self.average.copy_(torch.where(known, torch.lerp(everywhere, self.average, _DECAY), everywhere))
        return supervision

    def found(self) -> Tensor:
        return super().found() if bool(self.average.isnan().any()) else self.average

    def matrices(self, survey: Callable[[], Survey]) -> Tensor:
        if self.given_matrix is not None:
            return known_matrix(self.given_matrix, self.classes).expand(self.networks, -1, -1)
        if self.rate is not None:
            return uniform_noise_matrix(self.rate, self.classes).expand(self.networks, -1, -1)
        seen = survey()
        return torch.stack([confusion(log_probs, seen.given) for log_probs in seen.log_probs])

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor | None:
        matrix = predictions.channel_matrix  # (networks, classes, classes)
        if matrix is None or self.regularizer == "none" or not self.started:
            return None
        if self.regularizer == "trace":
            value = matrix.diagonal(dim1=-2, dim2=-1).mean(-1)
        else:
            identity = torch.eye(self.classes, device=matrix.device)
            volume = torch.linalg.slogdet(matrix + _JITTER * identity).logabsdet
            value = volume.clamp_min(self.classes * math.log(_MIN_SCALE))
        return self.regularizer_weight * value.sum()

    def state_dict(self) -> dict[str, Tensor]:
        return {**super().state_dict(), "adapts": torch.tensor(self.adapts), "average": self.average}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        super().load_state_dict(state)
        self._adapt(bool(state["adapts"]))
        self.average.copy_(state["average"])


def uniform_noise_matrix(rate: float, classes: int) -> Tensor:
    """(classes, classes) matrix that keeps a label with probability 1 - rate, else gives any other class alike.

    >>> uniform_noise_matrix(0.3, 3)
    tensor([[0.7000, 0.1500, 0.1500],
            [0.1500, 0.7000, 0.1500],
            [0.1500, 0.1500, 0.7000]])
    """
    return torch.full((classes, classes), rate / (classes - 1)).fill_diagonal_(1 - rate)


def confusion(log_probs: Tensor, given: Tensor) -> Tensor:
    """(classes, classes) shares of the given labels among the examples predicted as class i; rows sum to 1.

    A class that is never predicted keeps its own label.

    Args:
        log_probs: (rows, classes).
        given: (rows, classes) labels; zero rows abstain.
    """
    predicted = torch.nn.functional.one_hot(log_probs.argmax(-1), log_probs.shape[-1]).to(given.dtype)
    return torch.from_numpy(row_shares((predicted.T @ given).double().cpu().numpy())).float()
