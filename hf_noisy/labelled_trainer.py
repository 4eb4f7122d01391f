"""A Trainer whose training rows have checked labels and numbers, and whose step counts each of them once."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from hf_noisy.labels import (
    INDEX,
    VOTES,
    check_head,
    check_tokenized,
    covered_share,
    label_dataset,
    label_evaluation,
    one_hot,
    read_votes,
)
from hf_noisy.losses import CrossEntropy

REAL = "real"  # (batch,) False where a distributed sampler repeats a row to fill its last batch


class LabelledTrainer(Trainer):
    """What `NoisyTrainer` needs of data, evaluation and loss scaling, whatever its methods are.

    A batch holds `index`, the row numbers of its examples in the training set, beside `labels`. The loss of a subclass
    is a sum over rows, divided by `num_items_in_batch` (distinct rows of the whole step, over all processes and
    accumulated batches) and multiplied by the number of processes, over which gradients are averaged.
    """

    model: Any  # a `PreTrainedModel` for sequence classification
    _signature_columns: Any

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
        if args.data_seed is None:
            args.data_seed = args.seed  # or a stray reseed would reorder the data
        self.labels = np.empty(0, dtype=np.int64)  # (rows,) or (rows, classes): the training labels, checked
        self.votes: Tensor | None = None  # (rows, sources) of the training set, where it has them
        self._class_names: list[str] | None = None
        self._updates_per_epoch, self._rows_per_epoch, self._micro_step = 1, 0, 0
        self._evaluated_share = 1.0  # of the rows being evaluated: those that have a label
        super().__init__(model, args, train_dataset=train_dataset, eval_dataset=eval_dataset, **trainer_arguments)
        self.label_names = ["labels"]
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        check_head(self.model.config)
        self._label_datasets()

    # ---- data ---------------------------------------------------------------------------------------------------

    def _label_datasets(self) -> None:
        """Check the labels and votes of the datasets that were passed, and number the training rows."""
        config = self.model.config
        if self.train_dataset is not None:
            if self.args.remove_unused_columns:  # else the collator may tokenize
                check_tokenized(self.train_dataset, self.model.main_input_name)
            labelled = label_dataset(self.train_dataset, config, where="train_dataset", with_index=True)
            labelled.check_covered("train_dataset")
            self.votes = read_votes(labelled.dataset, config.num_labels, where="train_dataset")
            self._class_names = labelled.class_names
            self._name_classes(self.model)
            self.labels, self.train_dataset = labelled.labels, labelled.dataset
        if isinstance(self.eval_dataset, dict):
            self.eval_dataset = {
                name: label_evaluation(dataset, config, where=f"eval_dataset[{name!r}]")
                for name, dataset in self.eval_dataset.items()
            }
        elif self.eval_dataset is not None:
            self.eval_dataset = label_evaluation(self.eval_dataset, config, where="eval_dataset")

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

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader:
        if eval_dataset is not None and not isinstance(eval_dataset, str):
            eval_dataset = label_evaluation(eval_dataset, self.model.config, where="eval_dataset")
        return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader:
        if test_dataset is not self.train_dataset:
            test_dataset = label_evaluation(test_dataset, self.model.config, where="test_dataset")
        return super().get_test_dataloader(test_dataset)

    # ---- one step -----------------------------------------------------------------------------------------------

    def set_initial_training_values(self, args: TrainingArguments, dataloader: DataLoader) -> tuple[Any, ...]:
        values = super().set_initial_training_values(args, dataloader)
        self._updates_per_epoch = values[1]
        repeated = len(dataloader) * self._train_batch_size * args.world_size - len(self.labels)
        own_sampler = not 0 <= repeated < self._train_batch_size * args.world_size  # then no row is a filler
        self._rows_per_epoch = sys.maxsize if own_sampler else len(self.labels)
        return values

    def _gather(self, values: Tensor) -> Tensor:
        """(batch, ...) of this process -> (batch of all processes, ...)."""
        return self.accelerator.gather(values) if self.args.world_size > 1 else values

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], Tensor]:
        """The batches of one step, and the number of distinct rows in it over all processes."""
        samples, _ = super().get_batch_samples(epoch_iterator, num_batches, device)
        self._micro_step = 0
        if self.args.world_size == 1:
            return samples, self._get_num_items_in_batch(samples, device)
        done = self.state.global_step % self._updates_per_epoch * self.args.gradient_accumulation_steps
        rows = torch.zeros((), dtype=torch.int64, device=device)
        for position, inputs in enumerate(samples, start=done):
            size = len(inputs["labels"])
            first = (position * self.args.world_size + self.args.process_index) * self._train_batch_size
            inputs[REAL] = torch.arange(first, first + size) < self._rows_per_epoch
            rows += inputs[REAL].sum()
        return samples, self._gather(rows.reshape(1)).sum()

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """Rows, not labels: the parent counts a soft label once for each class."""
        return torch.tensor(sum(len(inputs["labels"]) for inputs in batch_samples), device=device)

    # ---- evaluation ---------------------------------------------------------------------------------------------

    def _evaluation_loss(self, model: nn.Module, inputs: dict[str, Any], labels: Tensor, return_outputs: bool) -> Any:
        """Plain cross-entropy; no state is touched. Its mean over all rows is the mean over those with a label."""
        logits = model(**inputs).logits
        losses = CrossEntropy()(logits.float().log_softmax(-1), one_hot(labels, logits.shape[-1]))
        loss = losses.mean() / self._evaluated_share
        return (loss, {"loss": loss, "logits": logits}) if return_outputs else loss

    def prediction_step(
        self, model: nn.Module, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        inputs = {name: value for name, value in inputs.items() if name not in (INDEX, VOTES)}
        if "labels" in inputs:
            return super().prediction_step(model, inputs, prediction_loss_only, ignore_keys)
        with torch.no_grad(), self.compute_loss_context_manager():
            return None, model(**self._prepare_inputs(inputs)).logits.detach(), None

    def evaluation_loop(self, dataloader: DataLoader, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        self._evaluated_share = covered_share(dataloader.dataset)
        return super().evaluation_loop(dataloader, *args, **kwargs)


def _check_arguments(args: TrainingArguments, trainer_arguments: dict[str, Any]) -> None:
    if args.label_smoothing_factor:
        raise ValueError(
            f"label_smoothing_factor={args.label_smoothing_factor}: not used here. Name the method instead: "
            f'noise_method="label_smoothing", noise_kwargs={{"epsilon": {args.label_smoothing_factor}}}.'
        )
    if trainer_arguments.get("compute_loss_func") is not None:
        raise ValueError("compute_loss_func: it sees neither the example nor its weight. Pass criterion=... instead.")
    if args.world_size > 1 and args.train_sampling_strategy == "batch_rebalance":
        raise ValueError(
            'train_sampling_strategy="batch_rebalance": processes get batches of different sizes, which memory cannot '
            'be kept for. Use "group_by_length" or "random".'
        )
