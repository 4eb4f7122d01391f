"""The methods of a trainer: those that its arguments name, and those that it was given."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Any

import datasets
import numpy as np
import torch
from torch import Tensor, nn
from transformers import TrainingArguments
from transformers.trainer_callback import CallbackHandler
from transformers.utils import logging

from hf_noisy.data.columns import INDEX
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods.building import build_methods, changed_parameters, check_roles, choose_criterion
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.dynamics import ExampleDynamics
from hf_noisy.methods.parts.losses import CrossEntropy
from hf_noisy.methods.parts.supervision_record import SupervisionRecord
from hf_noisy.methods.registry import METHODS, names_of, reads_clean
from hf_noisy.models.channels import Channel
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.criterion import Criterion
from hf_noisy.trainer import nonfinite
from hf_noisy.trainer.arguments import NoisyTrainingArguments

logger = logging.get_logger(__name__)


class MethodSet:
    """Builds the named methods, and passes the events of a training on to all of them.

    Args:
        criterion: that the trainer was given; None takes the methods' own, or cross-entropy.

    Raises:
        TypeError: `criterion` is no `Criterion`.
    """

    def __init__(self, criterion: Criterion | None = None) -> None:
        if criterion is not None and not isinstance(criterion, Criterion):
            raise TypeError(f"criterion={criterion!r}: expected a Criterion. Derive a class from hf_noisy.Criterion.")
        self.passed_criterion = criterion
        self.criterion: Criterion = criterion or CrossEntropy()
        self.parameters = "{}"  # of the named methods, as far as they are not the defaults
        self.dynamics, self.record = ExampleDynamics(), SupervisionRecord()
        self.begun_epoch = -1  # the last epoch that began
        self._named: list[NoiseCallback] = []
        self._handler: CallbackHandler | None = None

    def bind(self, handler: CallbackHandler) -> None:
        """Know the callbacks of the trainer: those that are `NoiseCallback`s are methods."""
        self._handler = handler

    @property
    def is_bound(self) -> bool:
        """Whether the trainer is made."""
        return self._handler is not None

    @property
    def callbacks(self) -> list[NoiseCallback]:
        """In fold order: the dynamics, the named methods, those passed as `callbacks`, a record if there is any."""
        methods = [*self._named, *self.passed]
        return [self.dynamics, *methods, *([self.record] if methods else [])]

    @property
    def passed(self) -> list[NoiseCallback]:
        """Those that were passed as `callbacks`, or added later."""
        found = [] if self._handler is None else self._handler.callbacks
        return [callback for callback in found if isinstance(callback, NoiseCallback) and callback not in self._named]

    def build(self, args: TrainingArguments) -> None:
        """Build what `args` names; again before each training, since a hyperparameter search changes `args`.

        Raises:
            ValueError: methods that do not go together, or two criteria.
        """
        assert self._handler is not None
        for callback in self._named:
            self._handler.remove_callback(callback)
        named: list[Criterion | NoiseCallback] = []
        if isinstance(args, NoisyTrainingArguments):
            named = build_methods(args.noise_method, args.method_parameters)
            self.parameters = changed_parameters(args.noise_method, args.method_parameters)
        self._named = [part for part in named if isinstance(part, NoiseCallback)]
        criteria = [part for part in named if not isinstance(part, NoiseCallback)]
        check_roles(self.callbacks)
        self.criterion = choose_criterion(self.passed_criterion, [*criteria, *self.callbacks])
        for callback in self._named:
            self._handler.add_callback(callback)

    # ---- what the methods declare ---------------------------------------------------------------------------------

    @property
    def num_networks(self) -> int:
        """How many networks the methods ask for."""
        return max(callback.num_networks for callback in self.callbacks)

    def make_channels(self, model: Any) -> list[Channel]:
        """A noise channel for each network, where a method declares one."""
        declared = ([callback.make_channel(model) for _ in range(self.num_networks)] for callback in self.callbacks)
        return next(([c for c in channels if c is not None] for channels in declared if channels[0] is not None), [])

    @property
    def clean_epochs(self) -> int | None:
        """For how many epochs the clean rows are trained on alone; None where they are not trained on at all."""
        return max((callback.clean_epochs for callback in self.callbacks if callback.trains_on_clean), default=None)

    def warn_of_unread_clean_rows(self) -> None:
        """Of trusted rows that no named method asks for; a callback of the user's may."""
        asked = reads_clean(name for part in self._named for name in names_of(part))
        if not asked and not self.passed:
            readers = ", ".join(name for name, method in METHODS.items() if method.reads_clean)
            logger.warning(f"clean_dataset is not read: no method asks for trusted rows. Those that do: {readers}.")

    # ---- the events of a training ---------------------------------------------------------------------------------

    def setup(self, context: Context, gold: np.ndarray | None, *, compiled: bool) -> None:
        """Before the first step: let each method allocate what it remembers.

        Args:
            context: of the training.
            gold: (rows,) true classes, negative where unknown, for measuring; None where they are not known.
            compiled: whether `torch_compile` is asked for.
        """
        self.begun_epoch, self.record.gold = -1, gold
        for callback in self.callbacks:
            callback.setup(context)
            if compiled and callback.needs_vectors:
                name = type(callback).__name__
                logger.warning(f"torch_compile=True: {name} reads vectors inside each forward, so no step is compiled.")

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey], mode: str) -> None:
        """Let the methods look at all examples, unless they did before the checkpoint from which this epoch goes on.

        Args:
            epoch: 0 is the first.
            survey: costs a pass over the rows; several methods share one.
            mode: "raise" or "skip", for predictions that are not finite.
        """
        if epoch == self.begun_epoch:
            return
        surveys: list[Survey] = []

        def shared() -> Survey:
            if not surveys:
                seen = survey()
                surveys.append(replace(seen, log_probs=nonfinite.checked_log_probs(seen.log_probs, mode)))
            return surveys[0]

        for callback in self.callbacks:
            callback.begin_epoch(epoch, shared)
        self.begun_epoch = epoch

    @contextlib.contextmanager
    def deployed(self, model: nn.Module) -> Iterator[None]:
        """Inside, the weights of `model` are those that users will get."""
        with contextlib.ExitStack() as stack:
            for callback in self.callbacks:
                stack.enter_context(callback.deployed(model))
            yield

    # ---- what the methods tell ------------------------------------------------------------------------------------

    def metrics(self) -> dict[str, float]:
        """What the methods log beside the loss."""
        found: dict[str, float] = {}
        for callback in self.callbacks:
            found.update({name: float(value) for name, value in callback.metrics().items()})
        return found

    def figures(self) -> dict[str, Any]:
        """What the methods draw, by name."""
        return {name: figure for callback in self.callbacks for name, figure in callback.figures().items()}

    def noise_matrix(self) -> Tensor | None:
        """(classes, classes) of the first method that has one."""
        matrices: Iterable[Tensor | None] = (callback.noise_matrix() for callback in self.callbacks)
        return next((matrix for matrix in matrices if matrix is not None), None)

    def report(self, labels: np.ndarray, classes: int, trusted: np.ndarray | None) -> datasets.Dataset:
        """What training showed of each example, as `NoisyTrainer.example_report` says.

        Args:
            labels: (rows,) or (rows, classes).
            classes: how many there are.
            trusted: (rows,) clean rows that are trained on; None where there are none.
        """
        given = one_hot(torch.from_numpy(labels), classes)
        label = [int(k) if covered else None for k, covered in zip(given.argmax(-1), given.sum(-1) > 0, strict=True)]
        columns: dict[str, Any] = {INDEX: np.arange(len(label)), "label": label}
        if trusted is not None:
            columns["trusted"] = trusted
        for callback in self.callbacks:
            columns |= {name: list(values) for name, values in callback.report().items()}
        return datasets.Dataset.from_dict(columns)

    def with_channel(self) -> dict[int, NoiseCallback]:
        """The methods with a noise channel, by their place in the fold: its matrix belongs to the weights."""
        return {place: callback for place, callback in enumerate(self.callbacks) if callback.has_channel}
