"""`NoisyTrainer`: the Trainer of Transformers, for labels that are partly wrong."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import datasets
import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput
from transformers.utils import logging

from hf_noisy import model_card
from hf_noisy.arguments import NoisyTrainingArguments
from hf_noisy.callbacks.base import NoiseCallback
from hf_noisy.callbacks.dynamics import ExampleDynamics
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
from hf_noisy.losses import Criterion, CrossEntropy
from hf_noisy.methods import build_methods, choose_criterion
from hf_noisy.randomness import forked_generators
from hf_noisy.state import STATE_NAME, fingerprint, load_state, save_state
from hf_noisy.supervision import Batch, Context, Predictions, Supervision, Survey, concatenate_views

logger = logging.get_logger(__name__)
_REAL = "real"  # (batch,) False where a distributed sampler repeats a row to fill its last batch


class NoisyTrainer(Trainer):
    """Trains each example on the target and with the weight that its methods choose; else it is a `Trainer`.

    Labels may be class ids, class names, a `ClassLabel`, or soft rows; -1, -100, an empty name and an all-zero row
    abstain: such a row has weight 0 unless a method gives it a target. The loss of a step is the weighted sum over its
    rows, divided by the number of distinct rows of the whole step, over all processes and accumulated batches, so that
    its gradient is the gradient of one large batch. The stock Trainer's is not, in 5.x, under accumulation
    (https://github.com/huggingface/transformers/issues/47688).

    Args:
        model, args, train_dataset, eval_dataset, callbacks, ...: as for `Trainer`. `args` may name a method
            (`NoisyTrainingArguments`); `callbacks` may hold `NoiseCallback`s, which fold after the named ones.
        criterion: per-example loss; cross-entropy by default. Not together with a method that brings one.

    Raises:
        ValueError, TypeError: labels, votes, a model or arguments that cannot be trained on; the message says the
            value, what was expected, and the fix.

    ```python
    trainer = NoisyTrainer(model, args, train_dataset=train, processing_class=tokenizer,
                           criterion=GeneralizedCrossEntropy(q=0.7))
    trainer.train()
    trainer.example_report()
    ```
    """

    model: Any  # a `PreTrainedModel` for sequence classification
    _signature_columns: Any

    def __init__(
        self,
        model: nn.Module | None = None,
        args: TrainingArguments | None = None,
        *,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        callbacks: Sequence[TrainerCallback] | None = None,
        criterion: Criterion | None = None,
        **trainer_arguments: Any,
    ) -> None:
        args = args if args is not None else NoisyTrainingArguments(output_dir="tmp_trainer")
        _check_arguments(args, trainer_arguments)
        if args.data_seed is None:
            args.data_seed = args.seed  # or a stray reseed would reorder the data
        self.labels = np.empty(0, dtype=np.int64)  # (rows,) or (rows, classes): the training labels, checked
        self._votes: Tensor | None = None
        self._criterion_argument = criterion
        self._class_names: list[str] | None = None
        self._named_callbacks: list[NoiseCallback] = []
        self._dynamics = ExampleDynamics()
        self._begun_epoch = -1
        self._updates_per_epoch, self._rows_per_epoch, self._micro_step = 1, 0, 0
        self._evaluated_share = 1.0  # of the rows being evaluated: those that have a label
        self._context: Context | None = None
        super().__init__(
            model,
            args,
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            callbacks=[*(callbacks or []), _EpochBegin(self)],
            **trainer_arguments,
        )
        self.label_names = ["labels"]
        self.model_accepts_loss_kwargs = True
        self.loss_is_scaled_for_ga = True
        check_head(self.model.config)
        self._label_datasets()
        self._build_methods()

    # ---- data ---------------------------------------------------------------------------------------------------

    def _label_datasets(self) -> None:
        """Check the labels and votes of the datasets that were passed, and number the training rows."""
        config = self.model.config
        if self.train_dataset is not None:
            if self.args.remove_unused_columns:  # else the collator may tokenize
                check_tokenized(self.train_dataset, self.model.main_input_name)
            labelled = label_dataset(self.train_dataset, config, where="train_dataset", with_index=True)
            labelled.check_covered("train_dataset")
            self._votes = read_votes(labelled.dataset, config.num_labels, where="train_dataset")
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

    # ---- methods ------------------------------------------------------------------------------------------------

    @property
    def noise_callbacks(self) -> list[NoiseCallback]:
        """In fold order: the dynamics, the named methods, those passed as `callbacks`."""
        known = [self._dynamics, *self._named_callbacks]
        passed = [c for c in self.callback_handler.callbacks if isinstance(c, NoiseCallback) and c not in known]
        return [*known, *passed]

    def _build_methods(self) -> None:
        """Build what `args` names; again before each training, since a hyperparameter search changes `args`."""
        for callback in self._named_callbacks:
            self.remove_callback(callback)
        named: list[Criterion | NoiseCallback] = []
        if isinstance(self.args, NoisyTrainingArguments):
            named = build_methods(self.args.noise_method, self.args.method_parameters)
        self._named_callbacks = [part for part in named if isinstance(part, NoiseCallback)]
        criteria = [part for part in named if not isinstance(part, NoiseCallback)]
        self.criterion = choose_criterion(self._criterion_argument, [*criteria, *self.noise_callbacks])
        for callback in self._named_callbacks:
            self.add_callback(callback)

    def set_initial_training_values(self, args: TrainingArguments, dataloader: DataLoader) -> tuple[Any, ...]:
        values = super().set_initial_training_values(args, dataloader)
        self._updates_per_epoch, max_steps = values[1], values[-1]
        repeated = len(dataloader) * self._train_batch_size * args.world_size - len(self.labels)
        own_sampler = not 0 <= repeated < self._train_batch_size * args.world_size  # then no row is a filler
        self._rows_per_epoch = sys.maxsize if own_sampler else len(self.labels)
        self._build_methods()
        self._context = Context(
            rows=len(self.labels),
            classes=self.model.config.num_labels,
            labels=torch.from_numpy(self.labels),
            votes=self._votes,
            criterion=self.criterion,
            epochs=max_steps / self._updates_per_epoch,
            seed=args.seed,
            device=args.device,
        )
        self._begun_epoch = -1
        for callback in self.noise_callbacks:
            callback.setup(self._context)
        return values

    def begin_epoch(self) -> None:
        """Let the methods look at all examples, unless they did before the checkpoint from which this epoch goes on."""
        epoch = self.state.global_step // self._updates_per_epoch
        if epoch == self._begun_epoch:
            return
        surveys: list[Survey] = []

        def survey() -> Survey:
            if not surveys:  # several methods share one pass
                surveys.append(self.survey())
            return surveys[0]

        for callback in self.noise_callbacks:
            callback.begin_epoch(epoch, survey)
        self._begun_epoch = epoch

    @torch.no_grad()
    def survey(self) -> Survey:
        """Log-probabilities and given labels of all training examples in row order, seen without dropout.

        Costs one forward over the training set; draws no random number that training would have drawn.
        """
        labels = one_hot(torch.from_numpy(self.labels), self.model.config.num_labels).to(self.args.device)
        log_probs = torch.zeros_like(labels)
        was_training = self.model.training
        self.model.eval()
        with forked_generators(), self._deployed():
            for inputs in self.get_test_dataloader(self.train_dataset):
                inputs = self._prepare_inputs(dict(inputs))
                index = inputs.pop(INDEX)
                inputs.pop("labels")
                with self.compute_loss_context_manager():
                    logits = self.model(**inputs).logits
                log_probs[self._gather(index)] = self._gather(logits.float().log_softmax(-1))
        self.model.train(was_training)
        return Survey(log_probs, labels)

    @contextlib.contextmanager
    def _deployed(self) -> Iterator[None]:
        with contextlib.ExitStack() as stack:
            for callback in self.noise_callbacks:
                stack.enter_context(callback.deployed(self.model))
            yield

    def example_report(self) -> datasets.Dataset:
        """What training showed of each example: one row an example, in the order of the training set.

        Columns: `index`, `label` (the given class, the likeliest of a soft label, None where abstained), those of
        `ExampleDynamics.report`, and what each method adds.

        Raises:
            RuntimeError: nothing has been trained yet.
        """
        if self._context is None:
            raise RuntimeError("example_report() before train(): nothing is known of the examples. Call train() first.")
        given = one_hot(torch.from_numpy(self.labels), self._context.classes)
        label = [int(k) if covered else None for k, covered in zip(given.argmax(-1), given.sum(-1) > 0, strict=True)]
        columns: dict[str, Any] = {INDEX: np.arange(len(label)), "label": label}
        for callback in self.noise_callbacks:
            columns |= {name: list(values) for name, values in callback.report().items()}
        return datasets.Dataset.from_dict(columns)

    # ---- one step -----------------------------------------------------------------------------------------------

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
            inputs[_REAL] = torch.arange(first, first + size) < self._rows_per_epoch
            rows += inputs[_REAL].sum()
        return samples, self._gather(rows.reshape(1)).sum()

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        """Rows, not labels: the parent counts a soft label once for each class."""
        return torch.tensor(sum(len(inputs["labels"]) for inputs in batch_samples), device=device)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        inputs = dict(inputs)
        labels, index, real = inputs.pop("labels"), inputs.pop(INDEX, None), inputs.pop(_REAL, None)
        if not model.training:
            return self._evaluation_loss(model, inputs, labels, return_outputs)
        if index is None:
            raise ValueError(
                f"the batch has no '{INDEX}' ({', '.join(inputs)}): the data collator dropped it, so no example can be "
                "told from another. Let the collator pass on every key that it does not know."
            )
        batch = self._batch(index, labels, real)
        views = [inputs]
        for callback in self.noise_callbacks:
            views = [view for given in views for view in callback.views(given, batch)]
        outputs = model(**(views[0] if len(views) == 1 else concatenate_views(views)))
        predictions = Predictions.from_logits(outputs.logits, len(views), len(index))
        loss = self._weighted_sum(predictions, batch, real)
        rows = num_items_in_batch if num_items_in_batch is not None else len(index) * self.args.world_size
        loss = loss / rows * self.args.world_size  # DDP averages over processes
        return (loss, outputs) if return_outputs else loss

    def _batch(self, index: Tensor, labels: Tensor, real: Tensor | None) -> Batch:
        context = self._context
        assert context is not None  # train() has begun
        epoch = self.state.global_step / self._updates_per_epoch
        everywhere = index if real is None else self._gather(torch.where(real, index, context.rows))
        self._micro_step += 1
        return Batch(
            index=index,
            given=one_hot(labels, context.classes),
            votes=None if context.votes is None else context.votes.to(index.device)[index],
            epoch=epoch,
            progress=epoch / context.epochs,
            key=(context.seed, self.state.global_step, self._micro_step),
            everywhere=everywhere,
            gather=self._gather,
        )

    def _weighted_sum(self, predictions: Predictions, batch: Batch, real: Tensor | None) -> Tensor:
        """The loss of the batch's rows, summed over rows and networks and averaged over views."""
        networks, _, _, _ = predictions.clean_log_probs.shape
        supervision = Supervision(
            targets=batch.given.expand(networks, -1, -1), weights=batch.covered.float().expand(networks, -1)
        )
        seen = Predictions(predictions.clean_log_probs.detach())
        with torch.no_grad():
            for callback in self.noise_callbacks:
                supervision = callback.supervise(supervision, seen, batch)
        losses = self.criterion(predictions.clean_log_probs, supervision.targets.unsqueeze(1)).mean(1)
        present = torch.ones_like(batch.index) if real is None else real
        total = (losses * supervision.weights * present).sum()
        for callback in self.noise_callbacks:
            penalty = callback.penalty(predictions, supervision, batch)
            if penalty is not None:
                total = total + (penalty * present).sum()  # a scalar counts once a row
        return total

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
        with self._deployed():
            return super().evaluation_loop(dataloader, *args, **kwargs)

    # ---- logs and files -----------------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            for callback in self.noise_callbacks:
                logs.update({name: float(value) for name, value in callback.metrics().items()})
        super().log(logs, *args, **kwargs)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        with self._deployed():
            super()._save(output_dir, state_dict)
        if self.args.should_save:
            model_card.write(self, output_dir or self.args.output_dir or ".")

    def create_model_card(self, *args: Any, **fields: Any) -> None:
        if self.is_world_process_zero():
            model_card.write(self, self.args.output_dir or ".", **fields)

    def _identity(self) -> dict[str, str]:
        return {
            "methods": "+".join(type(callback).__name__ for callback in self.noise_callbacks),
            "criterion": repr(self.criterion),
            "classes": str(self.model.config.num_labels),
            "rows": str(len(self.labels)),
            "labels": fingerprint(self.labels),
        }

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            save_state(output_dir, self.noise_callbacks, self._identity(), self._begun_epoch)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        if os.path.isfile(os.path.join(checkpoint, STATE_NAME)):
            self._begun_epoch = load_state(checkpoint, self.noise_callbacks, self._identity())
        else:
            logger.warning(
                f"{checkpoint} has no {STATE_NAME}: it is a plain Trainer's checkpoint. Weights and optimizer resume; "
                "what the methods remember of each example starts afresh."
            )


class _EpochBegin(TrainerCallback):
    """Passes the start of an epoch on to the trainer."""

    def __init__(self, trainer: NoisyTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        self.trainer.begin_epoch()


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
