"""The seam: a method is a `TrainerCallback` with a few more events."""

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


AUTHOR = "author of the targets of labelled examples"
GUESSER = "guesser of missing labels"
VIEWER = "maker of second views"


class NoiseCallback(TrainerCallback):
    """Decides what each example is taught (target) and how hard (weight). Override the events that you need.

    Several callbacks fold in list order. An event that draws random numbers takes them from `batch.generator(purpose)`,
    and whatever it remembers goes into a `Memory` and into `state_dict`, or a resumed run differs from an unbroken one.

    A method in full, trusting an example by the probability that the model gives its label:

    >>> class TrustByProbability(NoiseCallback):
    ...     def supervise(self, supervision, predictions, batch):
    ...         believed = (predictions.probs * batch.given).sum(-1)
    ...         return replace(supervision, weights=supervision.weights * believed)
    """

    criterion: Criterion | None = None  # a method that needs a criterion of its own declares it here
    roles: tuple[str, ...] = ()  # two callbacks of one role do not go together
    num_networks: int = 1  # that learn together; the Trainer makes the others from the model that it was given
    needs_vectors: bool = False  # whether `Predictions.vectors` is to be kept
    skips_channel: bool = False  # all its targets speak of the true class, so it does not go with a noise channel
    trains_on_clean: bool = False  # the rows of `clean_dataset` are trained on, after those of the training set
    clean_epochs: int = 0  # the first epochs, on those rows only
    histories: tuple[str, ...] = ()  # what in `state_dict` has a first dimension that grows
    logged: Mapping[str, str] = MappingProxyType({})  # each name of `metrics` and `figures`, and what it is

    def make_channel(self, model: PreTrainedModel) -> Channel | None:
        """What a network's predictions pass through on the way to the given labels; asked once a network."""
        return None

    def setup(self, context: Context) -> None:
        """Once, before checkpoint state is loaded: allocate memory. Called again if training starts over."""

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey]) -> None:
        """Before epoch `epoch` (0 is the first). `survey()` costs a forward over the training set.

        A run that resumes inside an epoch does not see this event again for that epoch.
        """

    def peek(self, batch: Batch) -> bool:
        """Whether `supervise` must see the batch before the forward that is learned from, as mixing asks.

        Costs a forward without gradient and without dropout over the views that `views` gives while `batch.peeking`.
        """
        return False

    def views(self, inputs: dict[str, Tensor], batch: Batch) -> list[dict[str, Tensor]]:
        """Before the forward: the inputs that it sees, all of one shape; `[inputs, inputs]` adds a dropout view."""
        return [inputs]

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        """After the forward (or the peek), without gradient: change targets, weights and mixing."""
        return supervision

    def penalty(self, predictions: Predictions, supervision: Supervision, batch: Batch) -> Tensor | None:
        """After the forward, with gradient: a regulariser (batch,), or a scalar that counts once a row, or None.

        `predictions` and `supervision` are those that the criterion sees, mixed if the method mixes.
        """
        return None

    def deployed(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Around evaluation, prediction, survey and saving: swap in the weights that users will get."""
        return nullcontext()

    def metrics(self) -> dict[str, Tensor | float]:
        """What to log beside the loss; tensors are read only when the Trainer logs."""
        return {}

    def figures(self) -> dict[str, Figure]:
        """What to show at the end of an epoch, by name; asked only where a tracker of `report_to` takes pictures."""
        return {}

    def report(self) -> dict[str, np.ndarray]:
        """What was learned about each example: name -> (rows, ...), columns of `trainer.example_report()`."""
        return {}

    def state_dict(self) -> dict[str, Tensor]:
        """Everything that an exact resume needs, as tensors."""
        return {}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Take back what `state_dict` gave; `setup` has run."""
