"""Early stopping and choice of a checkpoint without trusted labels (Label Wave: Yuan et al., ICLR 2024)."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import Any, NamedTuple

import datasets
import torch
from torch import Tensor
from transformers.utils import logging

from hf_noisy.common.checks import check_choice
from hf_noisy.data.columns import columns_of
from hf_noisy.data.label_encoding import has_label
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.prediction_changes import PredictionChanges
from hf_noisy.methods.parts.stopping_rules import RULES, STOPPING_RULES, first_best, scores_by
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision

logger = logging.get_logger(__name__)

SCORE = "eval_stopping_score"


class Evaluation(NamedTuple):
    """The values of one evaluation that a rule uses."""

    step: int  # optimizer steps so far: `checkpoint-{step}` was evaluated
    epoch: float
    accuracy: float  # on the given labels of validation rows; NaN without an evaluation
    changes: float  # share of training rows whose predicted class changed; NaN before a second visit


class NoisyStopping(NoiseCallback):
    """Stops the training and chooses a checkpoint without trusted labels; does not change what examples are trained on.

    Rules, none of which uses a gold label:

    - "accuracy": the best accuracy on the given labels of validation rows (`eval_label_accuracy`), the first of equals.
      Reliable if wrong labels are equally common among all examples of a class and never a majority. If rules make the
      same mistakes in training and validation rows, a model that has learned these mistakes has the best accuracy.
    - "label_wave": the first minimum of the curve of prediction changes: the share of training rows, with a label or
      without, whose predicted class differs from that at their previous visit. It rises when the model begins to
      memorise wrong labels. A minimum is confirmed once a later point is higher. There is no point before the second
      epoch; among such evaluations the last is kept.
    - "both": the best accuracy among the evaluations before that curve first rises.

    Each evaluation's metrics get `eval_prediction_changes` and `eval_stopping_score`. The evaluation with the largest
    score, the first of equals, is the one to keep: `load_best_model_at_end=True` loads it, and `metric_for_best_model`
    is set to it. `history` holds all evaluations of this training, `chosen` the one that the rule keeps. Evaluations at
    the same step, with another prefix, of other rows, before (`eval_on_start`) or after training do not count.

    Source: Yuan et al., "Early Stopping Against Label Noise Without Validation Data", ICLR 2024. The paper's curve has
    a point per epoch of a long training; here every evaluation gives a point. Predictions are those of the training
    forward, so they cost nothing, but they are made with dropout and spread over the epoch. "both" is our own.

    Args:
        by: "accuracy", "label_wave" or "both".
        patience: number of evaluations without a better one after which training stops, 1 or more; None never stops and
            only chooses. With "both", each of the two rules must have waited that long.
        window: number of points over which the curve is averaged, or as many as there are at first; 1 or more.
        dataset: which evaluation set to use if they are a dictionary; None is the first.

    Raises:
        ValueError, TypeError: a parameter outside its domain; before the first step, there is no evaluation or no
            validation label although the rule needs them, `dataset` is unknown, or `metric_for_best_model` names
            another metric. The rows of a stream are checked at the first evaluation only.

    Combines with every method; no further pass, 8 bytes per row. "label_wave" needs no validation rows: without
    evaluations (`eval_strategy="no"`) it takes a point at the end of each epoch, and only stops. In three epochs the
    curve has two points, too few for the rule: prefer "accuracy" there. With several networks, the mean of their
    predictions is used.

    >>> NoisyStopping(by="both", patience=2).patience
    2
    """

    roles = ("rule of stopping",)
    histories = ("history",)
    logged = MappingProxyType(
        {
            "prediction_changes": "share of the examples seen twice whose predicted class changed at the last visit (Label Wave)",
        }
    )

    def __init__(
        self, by: str = "accuracy", patience: int | None = 1, window: int = 1, dataset: str | None = None
    ) -> None:
        check_choice("by", by, RULES)
        if patience is not None:
            _check_count("patience", patience, " of evaluations, 1 or more, or None")
        _check_count("window", window, " of points, 1 or more")
        self.by, self.patience, self.window, self.dataset = by, patience, window, dataset
        self._rule = STOPPING_RULES[by]
        self.history: list[Evaluation] = []
        self._in_training, self._prefix = False, "eval"

    @property
    def chosen(self) -> Evaluation | None:
        """The evaluation that the rule keeps of those so far; None before the first."""
        return self.history[self._choice(self.by)] if self.history else None

    # ---- training steps ----

    def setup(self, context: Context) -> None:
        self.seen = PredictionChanges(context)
        self.history, self._in_training = [], False
        self._check_rows(context.eval_dataset)

    def supervise(self, supervision: Supervision, predictions: Predictions, batch: Batch) -> Supervision:
        self.seen.note(predictions, batch)
        return supervision

    def metrics(self) -> dict[str, Tensor | float]:
        share = self._changes()
        return {} if math.isnan(share) else {"prediction_changes": share}

    def _changes(self) -> float:
        return self.seen.share()

    # ---- trainer events ----

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._by_epoch = args.eval_strategy == "no"
        if self._by_epoch and self._rule.reads_accuracy:
            raise ValueError(
                f'by={self.by!r} with eval_strategy="no": expected evaluations on validation rows, whose given labels it reads. '
                'Set eval_strategy="epoch" and pass eval_dataset, or use by="label_wave".'
            )
        if args.load_best_model_at_end:
            _set_best_metric(args)

    def on_epoch_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._in_training = True
        if self._by_epoch and state.global_step and float(state.epoch).is_integer():
            self._record(state, math.nan)  # a run resumed at the end of an epoch lacks its point
        control.should_training_stop |= self._should_stop()  # a run resumed where it stopped stops again

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if self._by_epoch:
            self._record(state, math.nan)
            control.should_training_stop |= self._should_stop()

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        metrics: dict[str, float] = kwargs["metrics"]
        timed = f"{self._prefix}_runtime"  # logged for these rows with or without labels
        if not self._in_training or timed not in metrics:
            return
        accuracy = metrics.get(f"{self._prefix}_label_accuracy", math.nan)
        if math.isnan(accuracy) and self._rule.reads_accuracy:
            raise ValueError(self._no_labels_message("the evaluation set"))
        self._record(state, accuracy)
        found = {SCORE: self._scores(self.by)[-1]}
        if not math.isnan(self.history[-1].changes):
            found["eval_prediction_changes"] = self.history[-1].changes
        metrics.update(found)
        if state.log_history and timed in state.log_history[-1]:  # logged before this event
            state.log_history[-1].update(found)
        control.should_training_stop |= self._should_stop()

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self._in_training = False

    def _check_rows(self, eval_dataset: Any) -> None:
        """Sets the prefix of the metrics to use, and raises if the rule cannot use the evaluation rows."""
        where, self._prefix = "eval_dataset", "eval"
        if isinstance(eval_dataset, dict):
            name = next(iter(eval_dataset)) if self.dataset is None else self.dataset
            if name not in eval_dataset:
                names = ", ".join(map(str, eval_dataset))
                raise ValueError(f"dataset={name!r}: expected a name of eval_dataset, which has: {names}.")
            where, self._prefix, eval_dataset = f"eval_dataset[{name!r}]", f"eval_{name}", eval_dataset[name]
        elif self.dataset is not None:
            raise ValueError(f"dataset={self.dataset!r}: eval_dataset is no dictionary of sets. Leave it out.")
        if self._rule.reads_accuracy and not _may_have_labels(eval_dataset):
            raise ValueError(self._no_labels_message(where))

    def _no_labels_message(self, where: str) -> str:
        return (
            f"by={self.by!r}: no row of {where} has a label. Give some of them labels, which may be wrong, or use "
            'by="label_wave".'
        )

    def _record(self, state: Any, accuracy: float) -> None:
        if not self.history or self.history[-1].step != state.global_step:
            self.history.append(Evaluation(state.global_step, float(state.epoch), accuracy, self._changes()))

    # ---- the rule ----

    def _scores(self, rule: str) -> list[float]:
        accuracies, changes = ([point[column] for point in self.history] for column in (2, 3))
        return scores_by(rule, accuracies, changes, self.window)

    def _choice(self, rule: str) -> int:
        return first_best(self._scores(rule))

    def _should_stop(self) -> bool:
        if not self.history:
            return False
        rules = self._rule.waits_for or (self.by,)
        waited = [len(self.history) - 1 - self._choice(rule) for rule in rules]
        return self.patience is not None and min(waited) >= self.patience

    # ---- checkpoints ----

    def state_dict(self) -> dict[str, Tensor]:
        history = torch.tensor(self.history, dtype=torch.float64).reshape(-1, len(Evaluation._fields))
        return {"seen": self.seen.state(), "history": history}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        self.seen.load(state["seen"])
        self.history = [Evaluation(int(step), *rest) for step, *rest in state["history"].tolist()]


def _may_have_labels(rows: Any) -> bool:
    """Returns whether an evaluation set has a label; True if only iterating over it could tell."""
    if rows is None or isinstance(rows, datasets.IterableDataset | torch.utils.data.IterableDataset):
        return True
    if "labels" not in columns_of(rows):
        return False
    if not isinstance(rows, datasets.Dataset):
        return True
    return bool(has_label(rows.with_format("numpy")["labels"][:]).any())


def _set_best_metric(args: Any) -> None:
    """Makes the Trainer keep the checkpoint with the best score."""
    if args.metric_for_best_model not in (None, "loss", SCORE, SCORE.removeprefix("eval_")):
        raise ValueError(
            f"metric_for_best_model={args.metric_for_best_model!r}: expected none, or {SCORE!r}: the rule of "
            "NoisyStopping chooses. Leave one of the two out."
        )
    if args.lr_scheduler_type in ("reduce_lr_on_plateau", "greedy"):
        raise ValueError(
            f"lr_scheduler_type={args.lr_scheduler_type.value!r}: it follows metric_for_best_model, which NoisyStopping sets. "
            "Expected another schedule, or load_best_model_at_end=False."
        )
    if args.metric_for_best_model != SCORE:
        logger.info(f"NoisyStopping: metric_for_best_model is now {SCORE!r}, and the greatest is best.")
    args.metric_for_best_model, args.greater_is_better = SCORE, True


def _check_count(name: str, value: int, expected: str) -> None:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{name}={value!r}: expected a whole number{expected}, got {type(value).__name__}.")
    if value < 1:
        raise ValueError(f"{name}={value!r}: expected a whole number{expected}.")
