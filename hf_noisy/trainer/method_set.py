"""The methods of a trainer: those named in its arguments, and those passed as objects."""

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

from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods.building import build_methods, changed_parameters, check_roles, choose_criterion
from hf_noisy.methods.logged_names import ALWAYS
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
    """Builds the named methods, and forwards the events of a training to all methods.

    Args:
        criterion: the criterion that was passed to the trainer. None: a method's own criterion, or cross-entropy.

    Raises:
        TypeError: `criterion` is not a `Criterion`.
    """

    def __init__(self, criterion: Criterion | None = None) -> None:
        if criterion is not None and not isinstance(criterion, Criterion):
            raise TypeError(f"criterion={criterion!r}: expected a Criterion. Derive a class from hf_noisy.Criterion.")
        self.passed_criterion = criterion
        self.criterion: Criterion = criterion or CrossEntropy()
        self.parameters = "{}"  # of the named methods, where they differ from the defaults
        self.dynamics, self.record = ExampleDynamics(), SupervisionRecord()
        self.begun_epoch = -1  # the last epoch that began
        self._named: list[NoiseCallback] = []
        self._handler: CallbackHandler | None = None

    def bind(self, handler: CallbackHandler) -> None:
        """Store the callback handler of the trainer. Its `NoiseCallback`s are methods."""
        self._handler = handler

    @property
    def is_bound(self) -> bool:
        """Whether the trainer has been constructed."""
        return self._handler is not None

    @property
    def callbacks(self) -> list[NoiseCallback]:
        """In fold order: example dynamics, named methods, those passed as `callbacks`, and a record if there is a method."""
        methods = [*self._named, *self.passed]
        return [self.dynamics, *methods, *([self.record] if methods else [])]

    @property
    def is_plain(self) -> bool:
        """Whether there is neither a method nor a criterion: the loss is that of the stock Trainer."""
        return self.callbacks == [self.dynamics] and type(self.criterion) is CrossEntropy and not self.passed_criterion

    @property
    def passed(self) -> list[NoiseCallback]:
        """Those that were passed as `callbacks`, or added later."""
        found = [] if self._handler is None else self._handler.callbacks
        return [callback for callback in found if isinstance(callback, NoiseCallback) and callback not in self._named]

    def build(self, args: TrainingArguments) -> None:
        """Build the methods named in `args`. Called again before each training, as a hyperparameter search changes `args`.

        Raises:
            ValueError: methods cannot be combined, or there are two criteria.
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
        """The number of networks that the methods need."""
        return max(callback.num_networks for callback in self.callbacks)

    def make_channels(self, model: Any) -> list[Channel]:
        """A noise channel for each network if a method declares one; else an empty list."""
        declared = ([callback.make_channel(model) for _ in range(self.num_networks)] for callback in self.callbacks)
        return next(([c for c in channels if c is not None] for channels in declared if channels[0] is not None), [])

    @property
    def clean_epochs(self) -> int | None:
        """The number of epochs on clean rows alone; None if clean rows are not trained on at all."""
        return max((callback.clean_epochs for callback in self.callbacks if callback.trains_on_clean), default=None)

    def warn_of_unread_clean_rows(self) -> None:
        """Warn if no named method reads the trusted rows. No warning with a user's own callback, which may read them."""
        asked = reads_clean(name for part in self._named for name in names_of(part))
        if not asked and not self.passed:
            readers = ", ".join(name for name, method in METHODS.items() if method.reads_clean)
            logger.warning(f"clean_dataset is not read: no method asks for trusted rows. Those that do: {readers}.")

    # ---- the events of a training ---------------------------------------------------------------------------------

    def setup(self, context: Context, gold: np.ndarray | None, *, compiled: bool) -> None:
        """Let each method allocate its state before the first step.

        Args:
            context: of the training.
            gold: (rows,) true classes, negative where unknown, for measuring only; None if there are none.
            compiled: whether `torch_compile` is on.

        Raises:
            TypeError: a method has state that it would not read back.
        """
        self.begun_epoch, self.record.gold = -1, gold
        for callback in self.callbacks:
            _check_restores(type(callback))
            callback.setup(context)
            if compiled and callback.needs_vectors:
                name = type(callback).__name__
                logger.warning(f"torch_compile=True: {name} reads vectors inside each forward, so no step is compiled.")

    def begin_epoch(self, epoch: int, survey: Callable[[], Survey], mode: str) -> None:
        """Start an epoch in all methods, unless a resumed checkpoint was written after they had started it.

        Args:
            epoch: 0 is the first.
            survey: predicts all rows in one pass; all methods share its result.
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
        """Inside, `model` has the deployed weights."""
        with contextlib.ExitStack() as stack:
            for callback in self.callbacks:
                stack.enter_context(callback.deployed(model))
            yield

    # ---- results of the methods -----------------------------------------------------------------------------------

    def metrics(self) -> dict[str, float]:
        """The metrics that the methods log in addition to the loss. Of equal names the last method's is logged.

        Raises:
            TypeError, ValueError: a metric is no number, or has the name of one that the Trainer logs.
        """
        found: dict[str, float] = {}
        for callback in self.callbacks:
            for name, value in callback.metrics().items():
                found[name] = _metric(type(callback).__name__, name, value)
        return found

    def figures(self) -> dict[str, Any]:
        """The figures of the methods, by name."""
        return {name: figure for callback in self.callbacks for name, figure in callback.figures().items()}

    def noise_matrix(self) -> Tensor | None:
        """(classes, classes) P(given label | true class) of the first method that estimates it; None without one."""
        matrices: Iterable[Tensor | None] = (callback.noise_matrix() for callback in self.callbacks)
        return next((matrix for matrix in matrices if matrix is not None), None)

    def report(self, labels: np.ndarray, classes: int, trusted: np.ndarray | None) -> datasets.Dataset:
        """The table of all examples, as `NoisyTrainer.example_report` describes it.

        Args:
            labels: (rows,) or (rows, classes).
            classes: number of classes.
            trusted: (rows,) bool, True for clean rows that are trained on; None if there are none.
        """
        given = one_hot(torch.from_numpy(labels), classes)
        label = [int(k) if covered else None for k, covered in zip(given.argmax(-1), given.sum(-1) > 0, strict=True)]
        columns: dict[str, Any] = {"index": np.arange(len(label)), "label": label}
        if trusted is not None:
            columns["trusted"] = trusted
        for callback in self.callbacks:
            columns |= {name: list(values) for name, values in callback.report().items()}
        return datasets.Dataset.from_dict(columns)

    def with_channel(self) -> dict[int, NoiseCallback]:
        """The methods with a noise channel, by position in fold order. Their channel matrix belongs to the weights."""
        return {place: callback for place, callback in enumerate(self.callbacks) if callback.has_channel}


def _check_restores(method: type[NoiseCallback]) -> None:
    """Refuse a class whose state would be written and never read: a resumed run would forget it without a word."""
    writes = method.state_dict is not NoiseCallback.state_dict
    if writes and method.load_state_dict is NoiseCallback.load_state_dict:
        raise TypeError(
            f"{method.__name__} has a state_dict() and no load_state_dict(), so a resumed run would forget its state. Write "
            "`def load_state_dict(self, state): ...`."
        )


def _metric(method: str, name: str, value: Any) -> float:
    if name in ALWAYS:
        raise ValueError(f"{method}.metrics(): {name!r} is logged by the Trainer. Take another name.")
    try:
        return float(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{method}.metrics(), {name!r}: expected a number, found {value!r}.") from error
