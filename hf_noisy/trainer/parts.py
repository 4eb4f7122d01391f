"""The parts of a `NoisyTrainer`, and the attributes that users read (`trainer.noise`)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import torch
from torch import Tensor

from hf_noisy.data.label_encoding import one_hot
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.models.batch import Batch
from hf_noisy.models.channels import Channel
from hf_noisy.models.context import Context
from hf_noisy.models.criterion import Criterion
from hf_noisy.models.networks import channels_of, deployed_network, networks_of
from hf_noisy.trainer.clean_rows import CleanDataset
from hf_noisy.trainer.evaluation import Evaluation
from hf_noisy.trainer.fresh_start import FreshStart
from hf_noisy.trainer.loss_override import LossOverride
from hf_noisy.trainer.method_set import MethodSet
from hf_noisy.trainer.own_loss import OwnLoss
from hf_noisy.trainer.progress import Progress
from hf_noisy.trainer.sampling import Sampling
from hf_noisy.trainer.state import fingerprint, token_fingerprint
from hf_noisy.trainer.training_rows import TrainingRows


@dataclass
class Parts:
    """All private state of a `NoisyTrainer`, so that a subclass may have attributes of any name."""

    rows: TrainingRows
    methods: MethodSet
    progress: Progress = field(default_factory=Progress)
    sampling: Sampling = field(default_factory=Sampling)
    evaluation: Evaluation = field(default_factory=Evaluation)
    override: LossOverride = field(default_factory=LossOverride)
    own_loss: OwnLoss = field(default_factory=OwnLoss)
    label_name: str = "labels"  # by which the model takes labels
    context: Context | None = None  # of the current or the last training
    step: Any = None  # a `Step`, of the current or the last training
    start: FreshStart | None = None  # of the current training, if batches may shrink
    saves_checkpoint: bool = False  # whether a checkpoint is being saved

    @classmethod
    def of(cls, criterion: Criterion | None, gold_column: str | None, clean_dataset: Any) -> Parts:
        """Make the parts of a new trainer from its arguments."""
        clean = None if clean_dataset is None else CleanDataset(clean_dataset)
        return cls(TrainingRows(gold_column, clean), MethodSet(criterion))

    @property
    def gold(self) -> np.ndarray | None:
        """(rows,) true classes, negative where unknown. Includes clean rows that are trained on."""
        clean = None if self.context is None else self.context.clean
        return self.rows.gold(None if clean is None else clean.labels)

    def batch(
        self,
        index: Tensor,
        labels: Tensor,
        real: Tensor | None,
        *,
        step: int,
        steps: int,
        accumulated: int,
        gather: Callable[[Tensor], Tensor],
    ) -> Batch:
        """Build the `Batch` that methods read.

        Args:
            index: (batch,) row numbers.
            labels: (batch,) or (batch, classes).
            real: (batch,) False where a sampler repeats a row; None for one process.
            step, steps: optimizer steps done, and steps of the whole training.
            accumulated: batches per optimizer step.
            gather: (batch, ...) -> (batch of all processes, ...).
        """
        context, progress = self.context, self.progress
        assert context is not None  # train() has begun
        progress.micro_step += 1
        return Batch(
            index=index,
            given=one_hot(labels, context.classes),
            votes=None if context.votes is None else context.votes[index],
            epoch=progress.epochs_done(accumulated),
            progress=step / steps,
            key=(context.seed, step, progress.micro_step),
            trusted=None if context.trusted is None else context.trusted[index],
            real=real,
            gathered_index=index if real is None else gather(torch.where(real, index, context.rows)),
            gather=gather,
        )

    def example_report(self) -> datasets.Dataset:
        """The table of `NoisyTrainer.example_report`."""
        if self.context is None:
            raise RuntimeError("example_report() before train(): nothing is known of the examples. Call train() first.")
        return self.methods.report(self.rows.labels, self.context.classes, self.rows.trusted)

    def identity(self, classes: int, dataset: Any) -> dict[str, str]:
        """The properties that a run must share with one that resumes from its checkpoint."""
        return {
            "methods": "+".join(type(callback).__name__ for callback in self.methods.callbacks),
            "criterion": repr(self.methods.criterion),
            "noise_kwargs": self.methods.parameters,
            "classes": str(classes),
            "rows": str(len(self.rows.labels)),
            "labels": fingerprint(self.rows.labels),
            "tokens": token_fingerprint(dataset),
        }

    @contextlib.contextmanager
    def fresh_start(self) -> Iterator[None]:
        """Context around a training. Its initial state is dropped at the end."""
        self.start = None
        try:
            yield
        finally:
            self.start = None

    def record_checkpoint(self, folder: Path) -> None:
        """Record a checkpoint that a fresh start would remove."""
        if self.start is not None:
            self.start.checkpoints.append(folder)


class TrainerNoise:
    """The labels, methods and networks of a `NoisyTrainer` (`trainer.noise`), read-only.

    It always shows the current state. A subclass may use any attribute name except `noise` and `_noise`.

    >>> TrainerNoise.labels.__doc__.splitlines()[0]
    '(rows,) int64, -100 where a row has no label; or (rows, classes) float32, zero rows for none. Checked.'
    """

    def __init__(self, trainer: Any) -> None:
        self._trainer = trainer

    @property
    def _parts(self) -> Parts:
        return self._trainer._noise

    @property
    def labels(self) -> np.ndarray:
        """(rows,) int64, -100 where a row has no label; or (rows, classes) float32, zero rows for none. Checked.

        The labels of the training set in row order, then those of clean rows that are trained on.
        """
        return self._parts.rows.labels

    @property
    def votes(self) -> Tensor | None:
        """(rows, sources) int16 votes of the column `weak_labels`, -1 abstains; None where there is none."""
        return self._parts.rows.votes

    @property
    def trusted(self) -> np.ndarray | None:
        """(rows,) bool, True for the rows of `clean_dataset` that are trained on; None where there are none."""
        return self._parts.rows.trusted

    @property
    def gold(self) -> np.ndarray | None:
        """(rows,) classes of `gold_column`, negative where unknown, for measuring only; None without the column."""
        return self._parts.gold

    @property
    def criterion(self) -> Criterion:
        """The per-example loss: the one that was passed, a method's own, or cross-entropy."""
        return self._parts.methods.criterion

    @property
    def callbacks(self) -> list[NoiseCallback]:
        """The methods in fold order: the example dynamics, the named ones, those passed, the record of supervision."""
        return self._parts.methods.callbacks

    @property
    def networks(self) -> list[Any]:
        """The trained networks, at least one."""
        return networks_of(self._trainer.model)

    @property
    def channels(self) -> list[Channel]:
        """The noise channels, one for each network, or none."""
        return channels_of(self._trainer.model)

    @property
    def deployed_model(self) -> Any:
        """The classifier that `save_model` writes. Of several networks, it is the best so far on validation labels."""
        return deployed_network(self._trainer.model)
