"""A Trainer whose training rows have checked labels and numbers, and whose step counts each of them once."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from datasets import Dataset
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_pt_utils import LengthGroupedSampler
from transformers.trainer_utils import EvalLoopOutput, default_compute_objective
from transformers.utils import logging

from hf_noisy.common.checks import check_not_negative
from hf_noisy.common.randomness import keyed_generator
from hf_noisy.data.class_names import class_count
from hf_noisy.data.columns import INDEX, LABEL_COLUMNS, VOTES
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.data.labels import label_dataset
from hf_noisy.data.token_checks import check_tokens
from hf_noisy.data.vote_column import read_votes
from hf_noisy.methods.parts.losses import CrossEntropy
from hf_noisy.models.checks import check_head, check_model
from hf_noisy.models.networks import network_logits
from hf_noisy.trainer.fresh_start import FreshStartTrainer
from hf_noisy.trainer.sharding import check_processes, check_split
from hf_noisy.trainer.streaming import label_evaluation

logger = logging.get_logger(__name__)

REAL = "real"  # (batch,) False where a distributed sampler repeats a row to fill its last batch


class LabelledTrainer(FreshStartTrainer):
    """What `NoisyTrainer` needs of data, evaluation and loss scaling, whatever its methods are.

    A batch holds `index`, the row numbers of its examples in the training set, beside `labels`. The loss of a subclass
    is a sum over rows, divided by `num_items_in_batch` (distinct rows of the whole step, over all processes and
    accumulated batches) and multiplied by the number of processes, over which gradients are averaged.
    """

    model: Any  # a `PreTrainedModel` for sequence classification
    _signature_columns: Any
    _by_length: LengthGroupedSampler | None = None  # the sampler, where it groups rows of like length

    def __init__(
        self,
        model: nn.Module | None,
        args: TrainingArguments,
        *,
        train_dataset: Any,
        eval_dataset: Any,
        **trainer_arguments: Any,
    ) -> None:
        _check_arguments(args, trainer_arguments)
        if model is not None:
            check_model(model)
        if args.data_seed is None:
            args.data_seed = args.seed  # or a stray reseed would reorder the data
        self.labels = np.empty(0, dtype=np.int64)  # (rows,) or (rows, classes): the training labels, checked
        self.votes: Tensor | None = None  # (rows, sources) of the training set, where it has them
        self._class_names: list[str] | None = None
        self._labelled_dataset: Any = None  # what `self.labels` and the row numbers belong to
        self._epoch: int | None = None  # None before the first one of this training
        self._updates_per_epoch, self._rows_per_epoch = 1, 0
        self._batches_done, self._micro_step = 0, 0  # in this epoch, in this step
        self._evaluated: Tensor | None = None  # sum of losses; rows: with a label, right, and right of each network
        super().__init__(model, args, train_dataset=train_dataset, eval_dataset=eval_dataset, **trainer_arguments)
        check_split(self)
        self.label_names = ["labels"]
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        check_head(self.model)
        self._label_datasets()

    # ---- data ---------------------------------------------------------------------------------------------------

    def _label_datasets(self) -> None:
        """Check the labels and votes of the datasets that were passed, and number the training rows."""
        if self.train_dataset is not None:
            self._label_training_set()
        config = self.model.config
        for where, dataset in _named_sets(self.eval_dataset):
            if self.args.remove_unused_columns:
                check_tokens(dataset, self.model, self.data_collator, where=where)
            if isinstance(dataset, Dataset) and len(dataset) and not set(LABEL_COLUMNS) & set(dataset.column_names):
                logger.warning(
                    f"{where} has no label column ({', '.join(LABEL_COLUMNS)}), so its evaluation gives neither loss nor "
                    "accuracy. If it has labels, rename their column to 'labels'."
                )
        if isinstance(self.eval_dataset, dict):
            self.eval_dataset = {
                name: label_evaluation(dataset, config, where=f"eval_dataset[{name!r}]")
                for name, dataset in self.eval_dataset.items()
            }
        elif self.eval_dataset is not None:
            self.eval_dataset = label_evaluation(self.eval_dataset, config, where="eval_dataset")

    def _label_training_set(self) -> None:
        config, where = self.model.config, "train_dataset"
        if self.args.remove_unused_columns:  # else the collator may tokenize
            check_tokens(self.train_dataset, self.model, self.data_collator, where=where)
        labelled = label_dataset(self.train_dataset, config, where=where, with_index=True)
        labelled.check_covered(where)
        self.votes = read_votes(self.train_dataset, class_count(config), where=where)
        self._class_names = labelled.class_names
        self._name_classes(self.model)
        self.labels, self.train_dataset, self._labelled_dataset = labelled.labels, labelled.dataset, labelled.dataset

    def _name_classes(self, model: Any) -> None:
        """Give the model the class names that the labels brought."""
        if self._class_names is not None:
            model.config.id2label = dict(enumerate(self._class_names))
            model.config.label2id = {name: k for k, name in enumerate(self._class_names)}

    def call_model_init(self, trial: Any = None) -> nn.Module:
        model: Any = super().call_model_init(trial)
        self._name_classes(model)
        return model

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        if INDEX not in self._signature_columns:
            self._signature_columns.append(INDEX)

    def get_train_dataloader(self) -> DataLoader[Any]:
        self._label_replaced_set()
        return super().get_train_dataloader()

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        sampler = super()._get_train_sampler(train_dataset)
        self._by_length = sampler if isinstance(sampler, LengthGroupedSampler) else None
        return sampler

    def _label_replaced_set(self) -> None:
        """Label the training set where it was replaced since the trainer was made."""
        if self.train_dataset is not None and self.train_dataset is not self._labelled_dataset:
            self._label_training_set()

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        if eval_dataset is not None and not isinstance(eval_dataset, str):
            eval_dataset = label_evaluation(eval_dataset, self.model.config, where="eval_dataset")
        return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        if test_dataset is not self.train_dataset:
            test_dataset = label_evaluation(test_dataset, self.model.config, where="test_dataset")
        return super().get_test_dataloader(test_dataset)

    # ---- one step -----------------------------------------------------------------------------------------------

    def set_initial_training_values(self, args: TrainingArguments, dataloader: DataLoader[Any]) -> tuple[Any, ...]:
        if len(dataloader) == 0:
            raise ValueError(
                f"dataloader_drop_last=True, per_device_train_batch_size={args.per_device_train_batch_size}: the "
                f"{len(self.labels)} rows fill no batch: expected at least one. Take smaller batches, or keep the last one."
            )
        values = super().set_initial_training_values(args, dataloader)
        self._epoch, self._updates_per_epoch = None, values[1]
        repeated = len(dataloader) * self._train_batch_size * args.world_size - len(self.labels)
        own_sampler = not 0 <= repeated < self._train_batch_size * args.world_size  # then no row is a filler
        self._rows_per_epoch = sys.maxsize if own_sampler else len(self.labels)
        return values

    def _start_epoch(self) -> None:
        """Know the epoch and how many of its batches a resumed training skips."""
        if self._epoch is not None:
            self._epoch, self._batches_done = self._epoch + 1, 0
        else:
            self._epoch, updates = divmod(self.state.global_step, self._updates_per_epoch)
            self._batches_done = 0 if self.args.ignore_data_skip else updates * self.args.gradient_accumulation_steps
        if self._by_length is not None:  # the parent lets it draw from the global generator: another order on resume
            self._by_length.generator = keyed_generator(self.args.data_seed or 0, self._epoch, "lengths")

    def _gather(self, values: Tensor) -> Tensor:
        """(batch, ...) of this process -> (batch of all processes, ...)."""
        return self.accelerator.gather(values) if self.args.world_size > 1 else values

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Any]:
        """The batches of one step, and the number of distinct rows in it over all processes."""
        samples, rows = super().get_batch_samples(epoch_iterator, num_batches, device)
        done, self._micro_step = self._batches_done, 0
        self._batches_done += len(samples)
        if self.args.world_size == 1:
            return samples, rows
        rows = torch.zeros((), dtype=torch.int64, device=device)
        for position, inputs in enumerate(samples, start=done):
            size = len(inputs["labels"])
            first = (position * self.args.world_size + self.args.process_index) * self._train_batch_size
            inputs[REAL] = torch.arange(first, first + size, device=device) < self._rows_per_epoch
            rows += inputs[REAL].sum()
        return samples, self._gather(rows.reshape(1)).sum()

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """Rows, not labels: the parent counts a soft label once for each class."""
        for inputs in batch_samples:
            if "labels" not in inputs:
                raise ValueError(
                    f"the batch has no 'labels' ({', '.join(inputs)}): the data collator dropped them. Expected one to "
                    "pass on every key that it does not know."
                )
        rows = sum(len(inputs["labels"]) for inputs in batch_samples)
        return torch.full((), rows, device=device)  # filled there: a copy would wait for the device

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def _evaluation_loss(self, model: nn.Module, inputs: dict[str, Any], labels: Tensor, return_outputs: bool) -> Any:
        """Plain cross-entropy over the rows that have a label; no state of training is touched."""
        outputs = model(**inputs)
        logits = outputs.logits
        targets = one_hot(labels, logits.shape[-1])
        losses = CrossEntropy()(logits.float().log_softmax(-1), targets)
        covered = (targets.sum(-1) > 0).to(losses.dtype)
        every = torch.cat([logits.unsqueeze(0), network_logits(outputs)])  # the vote's, then each network's
        right = (every.argmax(-1) == targets.argmax(-1)) * covered  # (1 + networks, batch)
        facts = torch.stack([losses, covered, *right], -1)  # (batch, 3 + networks)
        if self._evaluated is not None:
            self._evaluated = self._evaluated + self.accelerator.gather_for_metrics(facts).sum(0)  # no row twice
        loss, rows = facts[:, :2].sum(0)
        loss = loss / rows.clamp_min(1)
        return (loss, {"loss": loss, "logits": logits}) if return_outputs else loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs = {name: value for name, value in inputs.items() if name not in (INDEX, VOTES)}
        if "labels" in inputs:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        with torch.no_grad(), self.compute_loss_context_manager():
            return None, model(**self._prepare_inputs(inputs)).logits.detach(), None

    def evaluation_loop(
        self,
        dataloader: DataLoader[Any],
        description: str,
        prediction_loss_only: bool | None = None,
        ignore_keys: list[str] | None = None,
        metric_key_prefix: str = "eval",
    ) -> EvalLoopOutput:
        """As the parent's, but the loss is the mean over all rows with a label, not over the means of batches.

        `eval_label_accuracy` is the share of these rows whose label is predicted, whether that label is right or not.
        """
        self._evaluated = torch.zeros((), device=self.args.device)
        output = super().evaluation_loop(dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix)
        facts, self._evaluated = self._evaluated, None
        loss, rows, right, *of_each = facts.tolist() if facts.ndim else (0.0, 0.0, 0.0)  # without labels: nothing added
        self._note_evaluation(of_each, metric_key_prefix)
        if output.metrics is not None and f"{metric_key_prefix}_loss" in output.metrics:
            output.metrics[f"{metric_key_prefix}_loss"] = loss / rows if rows else float("nan")
            output.metrics[f"{metric_key_prefix}_label_accuracy"] = right / rows if rows else float("nan")
        return output

    def hyperparameter_search(
        self,
        hp_space: Any = None,
        compute_objective: Callable[[dict[str, float]], float] | None = None,
        *args: Any,
        **kwargs: Any,
    ) -> Any:
        """As the parent's, and by the same quantity: the evaluation loss, or the sum of what `compute_metrics` gives."""
        return super().hyperparameter_search(hp_space, compute_objective or _objective, *args, **kwargs)

    def _note_evaluation(self, right: list[float], prefix: str) -> None:
        """How many rows each network had right; empty where there were no labels."""


def _objective(metrics: dict[str, float]) -> float:
    """That of Transformers, which would take `eval_label_accuracy` for a metric of the user's."""
    return float(default_compute_objective({k: v for k, v in metrics.items() if not k.endswith("_label_accuracy")}))


def _named_sets(evaluation: Any) -> list[tuple[str, Any]]:
    """Each evaluation set, with what it is called in errors."""
    if isinstance(evaluation, dict):
        return [(f"eval_dataset[{name!r}]", dataset) for name, dataset in evaluation.items()]
    return [("eval_dataset", evaluation)]


def _check_arguments(args: TrainingArguments, trainer_arguments: dict[str, Any]) -> None:
    if not isinstance(args, TrainingArguments):
        raise TypeError(f"args={args!r}: expected TrainingArguments. Pass NoisyTrainingArguments(output_dir=...).")
    for name in ("learning_rate", "num_train_epochs"):
        check_not_negative(name, getattr(args, name))
    if args.gradient_accumulation_steps < 1:
        raise ValueError(f"gradient_accumulation_steps={args.gradient_accumulation_steps}: expected 1 or more.")
    for callback in trainer_arguments.get("callbacks", ()):
        if not isinstance(callback, TrainerCallback | type):
            raise TypeError(
                f"callbacks holds {callback!r}: expected callbacks. A method's name goes into noise_method."
            )
    tokenizer, collator = (trainer_arguments.get(name) for name in ("processing_class", "data_collator"))
    if isinstance(tokenizer, str):
        raise TypeError(
            f"processing_class={tokenizer!r}: expected a tokenizer. Load it with AutoTokenizer.from_pretrained(...)."
        )
    if collator is not None and not callable(collator):
        raise TypeError(f"data_collator={collator!r}: expected a function of a list of rows. Leave it out to pad.")
    check_processes(args)
    if "tokenizer" in trainer_arguments:
        raise TypeError("tokenizer=...: expected processing_class=..., as for the Trainer of Transformers 5.")
    if args.label_smoothing_factor:
        raise ValueError(
            f"label_smoothing_factor={args.label_smoothing_factor}: not used here. Name the method instead: "
            f'noise_method="label_smoothing", noise_kwargs={{"epsilon": {args.label_smoothing_factor}}}.'
        )
    if args.label_names not in (None, ["labels"]):
        raise ValueError(f"label_names={args.label_names}: expected the labels in the column 'labels'. Rename yours.")
    if trainer_arguments.get("compute_loss_func") is not None:
        raise ValueError("compute_loss_func: it sees neither the example nor its weight. Pass criterion=... instead.")
