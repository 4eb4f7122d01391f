"""Base class of methods: a `TrainerCallback` with a few more events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor, nn
from transformers import PreTrainedModel, TrainerCallback

from hf_noisy.models.batch import Batch
from hf_noisy.models.channels import Channel
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.criterion import Criterion
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

if TYPE_CHECKING:
    from matplotlib.figure import Figure


LABEL_TARGETS = "author of the targets of labelled examples"
PSEUDO_LABELS = "guesser of missing labels"
SECOND_VIEW = "maker of second views"


class NoiseCallback(TrainerCallback):
    """Decides the target and the weight of each example in training. Override the events that you need.

    Several callbacks are applied in list order. An event that draws random numbers must take them from
    `batch.generator(purpose)`. Whatever it stores must go into a `Memory` and into `state_dict`. Otherwise a resumed
    run differs from an uninterrupted one.

    A complete method, which weighs an example by the predicted probability of its label:

    >>> class TrustByProbability(NoiseCallback):
    ...     def supervise(self, supervision, predictions, batch):
    ...         probability = (predictions.probs * batch.given).sum(-1)
    ...         return replace(supervision, weights=supervision.weights * probability)
    """

    criterion: Criterion | None = None  # for a method that needs a criterion of its own
    roles: tuple[str, ...] = ()  # two callbacks with the same role cannot be combined
    num_networks: int = 1  # trained together; the Trainer creates the others from the given model
    needs_vectors: bool = False  # whether it reads `Predictions.vectors`
    needs_embeddings: bool = False  # whether it mixes word embeddings
    needs_encoder: bool = False  # whether it reads the vectors of `Context.encode`
    needs_clean: bool = False  # whether it learns from the rows of `NoisyTrainer(clean_dataset=...)`
    needs_votes: bool = False  # whether it learns from the votes of the column `weak_labels`
    needs_tokens: bool = False  # whether it hides or replaces single tokens of a text
    skips_channel: bool = False  # all its targets refer to the true class, so it excludes a noise channel
    trains_on_clean: bool = False  # whether the rows of `clean_dataset` are appended to the training set
    clean_epochs: int = 0  # number of epochs at the start that use only those rows
    has_channel: bool = False  # a noise channel follows the classifier; its state is loaded with the best weights
    histories: tuple[str, ...] = ()  # entries of `state_dict` whose first dimension grows
    logged: Mapping[str, str] = MappingProxyType({})  # each name of `metrics` and `figures` -> its description

    def make_channel(self, model: PreTrainedModel) -> Channel | None:
        """Returns the channel between a network's predictions and the given labels, if any. Called once per network."""
        return None

    def may_encode(self, model: PreTrainedModel) -> bool:
        """Whether it may call `Context.encode` for this model. FSDP excludes such a method."""
        return self.needs_encoder

    def setup(self, context: Context) -> None:
        """Called once, before checkpoint state is loaded: allocate memory. Called again if training starts over."""

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        """Called before epoch `epoch` (0 is the first). `survey()` costs a forward over the training set.

        A run that resumes inside an epoch does not get this event again for that epoch.
        """

    def peek(self, batch: Batch) -> bool:
        """Whether `supervise` must run before the training forward, as mixing requires.

        This costs a forward without gradient and dropout, over the views that `views` returns while `batch.peeking`.
        """
        return False

    def views(self, inputs: dict[str, Tensor], batch: Batch) -> list[dict[str, Tensor]]:
        """Called before the forward. Returns its inputs, all of one shape. `[inputs, inputs]` adds a dropout view."""
        return [inputs]

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        """Called after the forward (or the peek), without gradient. Returns changed targets, weights and mixing."""
        return supervision

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor | None:
        """Called after the forward, with gradient. Returns a regulariser (batch,), or a scalar to add per row, or None.

        `predictions` and `supervision` are those that the criterion gets, mixed if the method mixes.
        """
        return None

    def deployed(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Context around evaluation, prediction, survey and saving. Swap in the weights that users will get."""
        return nullcontext()

    def metrics(self) -> dict[str, Tensor | float]:
        """Values to log with the loss. Tensors are read only when the Trainer logs."""
        return {}

    def figures(self) -> dict[str, Figure]:
        """Figures to show at the end of an epoch, by name. Called only if a tracker of `report_to` accepts pictures."""
        return {}

    def report(self) -> dict[str, np.ndarray]:
        """Results for each example: name -> (rows, ...). They are columns of `trainer.example_report()`."""
        return {}

    def noise_matrix(self) -> Tensor | None:
        """(classes, classes) P(given label | true class), if the method has such a matrix in effect; else None."""
        return None

    @property
    def left_labels(self) -> bool:
        """Whether the method decided to teach the labels as they are, so that an epoch can be chosen by given labels."""
        return False

    def choices(self) -> list[str]:
        """Decisions that the method made automatically, as sentences for the model card."""
        return []

    def state_dict(self) -> dict[str, Tensor]:
        """All tensors that an exact resume needs."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Restores what `state_dict` returned. `setup` has run before."""
