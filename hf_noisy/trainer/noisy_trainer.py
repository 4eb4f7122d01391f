"""`NoisyTrainer`: the Trainer of Transformers, for labels that are partly wrong. Each hook hands over to a part."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput, TrainOutput

from hf_noisy.data.columns import ROW, VOTES
from hf_noisy.models.configuration import config_of
from hf_noisy.models.context import Survey
from hf_noisy.models.criterion import Criterion
from hf_noisy.trainer import assembly, checkpoints, fresh_start, losses, model_card, network_files, optimizing
from hf_noisy.trainer.arguments import NoisyTrainingArguments, saves_all_networks
from hf_noisy.trainer.checks import check_batches, check_precision, check_trainer
from hf_noisy.trainer.collating import collating
from hf_noisy.trainer.epoch_events import EpochEvents
from hf_noisy.trainer.evaluation import ignored_outputs, objective
from hf_noisy.trainer.parts import Parts, TrainerNoise
from hf_noisy.trainer.progress import count_rows
from hf_noisy.trainer.records import describe, training_record
from hf_noisy.trainer.sharding import check_encoder

if TYPE_CHECKING:
    from hf_noisy.audit import AuditContent


class NoisyTrainer(Trainer):
    """A `Trainer` whose methods choose the target and the weight of each training example.

    Labels may be class ids, class names, a `ClassLabel`, or soft labels. -1, -100, an empty name and an all-zero row mean that
    a row has no label; its weight is 0, unless a method gives it a target. The loss of a step is the weighted sum over its
    rows, divided by the number of distinct rows of the whole step, over all processes and accumulated batches. Its gradient
    is that of one large batch; in 5.x that of the stock Trainer is not (github.com/huggingface/transformers/issues/47688).

    The arguments are those of `Trainer`, in its order, and three by name. `callbacks` may hold methods (`NoiseCallback`).

    Args:
        gold_column: column of `train_dataset` with true classes, -1 where unknown. It is used for measuring only: where a
            method selects examples, the precision and recall of its selection are logged.
        clean_dataset: tokenized rows with trusted `labels`, for methods that use a clean subset. A column `given` may hold
            the untrusted labels of the same rows.
        criterion: per-example loss, by default cross-entropy. It cannot be combined with a method that has its own.

    Raises:
        ValueError, TypeError: labels, votes, a model or arguments that cannot be trained on. The message gives the
            value, what was expected, and the fix.

    ```python
    NoisyTrainer(model, args, train_dataset=train, processing_class=tokenizer, criterion=GeneralizedCrossEntropy(q=0.7)).train()
    ```
    """

    model: Any  # a classifier of Transformers, or several side by side

    def __init__(
        self,
        model: nn.Module | None = None,
        args: TrainingArguments | None = None,
        data_collator: Any = None,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        processing_class: Any = None,
        model_init: Callable[..., nn.Module] | None = None,
        compute_loss_func: Callable[..., Any] | None = None,
        compute_metrics: Callable[..., dict[str, Any]] | None = None,
        callbacks: Sequence[TrainerCallback] | None = None,
        *others: Any,
        criterion: Criterion | None = None,
        gold_column: str | None = None,
        clean_dataset: Any = None,
        **named: Any,
    ) -> None:
        self._noise = Parts.of(criterion, gold_column, clean_dataset)  # all private state is in here
        args = NoisyTrainingArguments(output_dir="tmp_trainer") if args is None else args
        checked = {
            "data_collator": data_collator, "processing_class": processing_class, "criterion": criterion, **named
        }  # fmt: skip
        check_trainer(model, args, callbacks, {**checked, "compute_loss_func": compute_loss_func})
        super().__init__(
            model, args, data_collator, train_dataset, eval_dataset, processing_class, model_init,  # type: ignore[arg-type]
            compute_loss_func, compute_metrics, None if callbacks is None else [*callbacks], *others, **named,
        )  # fmt: skip
        self.callback_handler = EpochEvents(self)
        self.label_names = ["labels"]  # else evaluation would find no labels, and give neither loss nor metrics
        self._noise.override.begin(self, NoisyTrainer.compute_loss)  # the loss here is divided by rows already
        assembly.finish(self, self._noise)

    def create_accelerator_and_postprocess(self) -> None:
        with assembly.seeded_order(self.args):  # it takes the seed of the order of rows
            super().create_accelerator_and_postprocess()

    @property
    def noise(self) -> TrainerNoise:
        """The labels, votes, criterion, methods and networks of this trainer, read-only."""
        return TrainerNoise(self)

    def example_report(self) -> datasets.Dataset:
        """One row for each training example, in the order of the training set. RuntimeError before any training.

        Columns: `index`, `label` (the given class, the most probable one of a soft label, None without a label), the
        columns of `ExampleDynamics.report`, and those that each method adds.
        """
        return self._noise.example_report()

    def audit(self, vectors: ArrayLike | None = None, **options: Any) -> AuditContent:
        """Scores how wrong each training label looks, and suggests a class. Any method may have been trained.

        `hf_noisy.audit.write_report` and the exports write the result. Rows of `clean_dataset` are not audited. `vectors` are
        (rows, width) in row order; without them, those of the checkpoint that the model was loaded from. `options` are those of
        `hf_noisy.audit.audit_labels`. RuntimeError before any training; ValueError without texts or encoder, or as there.
        """
        from hf_noisy.audit.training import audit_training  # late: a training needs no page

        return audit_training(training_record(self, self._noise), vectors, **options)

    def noise_matrix(self) -> np.ndarray | None:
        """(classes, classes) P(given label | true class), mean over networks; None without a noise channel in force."""
        matrix = self._noise.methods.noise_matrix()
        return None if matrix is None else matrix.detach().double().cpu().numpy()

    def survey(self) -> Survey:
        """Log-probabilities and labels of all training examples in row order, without dropout: one pass over the rows."""
        labels = self._noise.rows.one_hot(config_of(self.model).num_labels).to(self.args.device)
        rows = self.get_test_dataloader(self.train_dataset)
        return Survey(assembly.row_pass(self, self._noise).log_probs(rows, len(labels)), labels)

    def encode(self) -> Tensor:
        """(rows, width) float32 mean of each example's last hidden states, padding left out, by the first network as it is.

        Raises ValueError where the model gives no hidden states, or its weights are split (FSDP).
        """
        check_encoder(self.args)
        loader, rows = self.get_test_dataloader(self.train_dataset), len(self._noise.rows.labels)
        return assembly.row_pass(self, self._noise).vectors(loader, rows, self.noise.networks[0])

    def _set_signature_columns_if_needed(self) -> None:
        super()._set_signature_columns_if_needed()
        assembly.keep_row_numbers(self)  # the stock Trainer drops all columns that the model does not read

    def get_train_dataloader(self) -> DataLoader[Any]:
        if self.train_dataset is not None:  # it, or what a method trains on, may have been changed since
            assembly.assemble(self, self._noise)
        self.accelerator.dataloader_config.data_seed = assembly.data_seed(self.args)  # the seed may have changed too
        return super().get_train_dataloader()

    def _get_train_sampler(self, train_dataset: Any = None) -> Any:
        # a method may begin with clean rows; length groups get a generator that a resumed run has again
        return assembly.sampler(self._noise, self.args, partial(super()._get_train_sampler, train_dataset))

    def get_eval_dataloader(self, eval_dataset: Any = None) -> DataLoader[Any]:
        if eval_dataset is not None and not isinstance(eval_dataset, str):  # one that was passed to `evaluate`
            eval_dataset = assembly.labelled(self, self._noise, eval_dataset, "eval_dataset")
        return super().get_eval_dataloader(eval_dataset)

    def get_test_dataloader(self, test_dataset: Any) -> DataLoader[Any]:
        if not self._noise.rows.is_numbered(test_dataset):  # the rows of a survey keep their numbers
            test_dataset = assembly.labelled(self, self._noise, test_dataset, "test_dataset")
        return super().get_test_dataloader(test_dataset)

    def _get_dataloader(self, dataset: Any, *args: Any, **kwargs: Any) -> DataLoader[Any]:
        # `dataloader_drop_last` is for training: a survey or an evaluation leaves no row out
        with assembly.dropping_last(self.args, only_if=kwargs.get("is_training", False)), collating(self, dataset):
            return super()._get_dataloader(dataset, *args, **kwargs)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: torch.device) -> tuple[list[Any], Any]:
        # rows are counted over all processes, without those that a distributed sampler repeats
        samples, rows = super().get_batch_samples(epoch_iterator, num_batches, device)
        return assembly.begin_step(self, self._noise, samples, rows, device)

    def _get_num_items_in_batch(self, batch_samples: list[Any], device: torch.device) -> Tensor:
        return count_rows(batch_samples, device)  # the stock one counts a soft label once for each class

    def train(self, resume_from_checkpoint: Any = None, *args: Any, **kwargs: Any) -> TrainOutput:
        """As the parent's; `resume_from_checkpoint=True` passes over checkpoints that are cut short, a named one raises."""
        whole = checkpoints.find_checkpoint(resume_from_checkpoint, self.args.output_dir)
        check_precision(self.args)
        assembly.assemble(self, self._noise)  # before a checkpoint is loaded into the networks
        with self._noise.fresh_start():
            return super().train(whole, *args, **kwargs)

    def call_model_init(self, trial: Any = None) -> nn.Module:
        return assembly.new_model(super().call_model_init(trial), self, self._noise)  # each trial has its methods

    def hyperparameter_search(
        self, hp_space: Any = None, compute_objective: Any = None, *args: Any, **kwargs: Any
    ) -> Any:
        """As the parent's, and by the same quantity: the evaluation loss, or the sum of what `compute_metrics` gives."""
        return super().hyperparameter_search(hp_space, compute_objective or objective, *args, **kwargs)

    def _inner_training_loop(self, batch_size: int | None = None, *args: Any, **kwargs: Any) -> TrainOutput:
        if self.args.auto_find_batch_size:  # the stock loop goes on from the state of the try that failed
            fresh_start.start_afresh(self, self._noise, batch_size, kwargs.get("resume_from_checkpoint"))
        return super()._inner_training_loop(batch_size, *args, **kwargs)

    def set_initial_training_values(self, args: TrainingArguments, dataloader: DataLoader[Any]) -> tuple[Any, ...]:
        check_batches(args, dataloader, len(self._noise.rows.labels))
        values = super().set_initial_training_values(args, dataloader)
        assembly.begin_training(self, self._noise, args, dataloader, values)  # the first hook that knows the steps
        return values

    def create_optimizer(self, model: Any = None) -> torch.optim.Optimizer:
        fresh_start.before_optimizer(self, self._noise)  # all networks are made by now, and nothing is learned yet
        optimizer = super().create_optimizer(model)
        optimizing.complete(optimizer, self.model, self.lr_scheduler)  # it may be one that was passed
        return optimizer

    def _run_epoch(self, *args: Any, **kwargs: Any) -> None:
        if not self.control.should_training_stop:  # a callback may end the training before an epoch's first step
            super()._run_epoch(*args, **kwargs)

    def compute_loss(
        self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        inputs, rows = self._noise.override.called(self, inputs, num_items_in_batch)
        loss, outputs = losses.batch_loss(self, self._noise, super().compute_loss, model, inputs, rows)
        return (loss, outputs) if return_outputs else loss

    def training_step(self, model: nn.Module, inputs: dict[str, Any], num_items_in_batch: Any = None) -> Tensor:
        """As the parent's; a loss that is not finite raises FloatingPointError, or is left out (`nonfinite_loss`)."""
        stock = partial(super().training_step, model)
        loss = losses.step_loss(self, self._noise, stock, inputs, num_items_in_batch)
        return self._noise.step.checked(loss, self.state.global_step + 1)

    def _clip_grad_norm(self, model: nn.Module) -> Any:
        return optimizing.clip(self, partial(super()._clip_grad_norm, model))  # each network by its own norm

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:  # beside each training loss stands what the methods measure
            logs.update(self._noise.methods.metrics())
        super().log(logs, *args, **kwargs)

    def prediction_step(self, model: Any, inputs: Any, prediction_loss_only: bool, ignore_keys: Any = None) -> Any:
        inputs = {name: value for name, value in inputs.items() if name not in (ROW, VOTES)}  # no model reads them
        ignored = ignored_outputs(self.model, ignore_keys)
        return super().prediction_step(model, inputs, prediction_loss_only, ignored)

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        # by the weights that users will get; `eval_loss` is a mean over rows with a label, not over batches
        return assembly.evaluate(self, self._noise, super().evaluation_loop, *args, **kwargs)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write the deployable classifier; with `save_all_networks=True` the other networks below it."""
        self._noise.saves_checkpoint = _internal_call
        super().save_model(output_dir, _internal_call)

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        folder = output_dir or self.args.output_dir or "."
        every = self._noise.saves_checkpoint or saves_all_networks(self.args)
        with self._noise.methods.deployed(self.model):  # each network alone: a wrapper's tied weights would be refused
            network_files.save(self, folder, state_dict, super()._save, every=every)
        if self.args.should_save:
            model_card.write(describe(self, self._noise), folder)

    def create_model_card(self, *args: Any, **fields: Any) -> None:
        if self.is_world_process_zero():  # the stock card knows nothing of labels and methods
            model_card.write(describe(self, self._noise), self.args.output_dir or ".", **fields)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        self.create_model_card()  # the parent takes the weights from the checkpoint, and its card not
        super()._push_from_checkpoint(checkpoint_folder)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = checkpoints.begin_saving(self, trial)  # it counts as whole only when all of it is written
        super()._save_checkpoint(model, trial)
        self._noise.record_checkpoint(folder)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()  # then the first one calls the checkpoint whole, and removes older ones

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)  # called on all ranks, before rotation and push
        checkpoints.save_methods(self, self._noise, output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)  # on all ranks, after `setup` and before the first step
        checkpoints.load_methods(self, self._noise, checkpoint)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        checkpoints.check_methods(self, self._noise, resume_from_checkpoint)  # before any weight is read
        stock, split = super()._load_from_checkpoint, self.is_fsdp_enabled
        network_files.load(self.model, resume_from_checkpoint, stock, split=split, into=model)

    def _load_best_model(self) -> None:
        best = str(self.state.best_model_checkpoint)  # the stock Trainer reads one network, and one adapter
        if network_files.is_read_here(self.model, split=self.is_deepspeed_enabled or self.is_fsdp_enabled):
            self._load_from_checkpoint(best)
        else:
            super()._load_best_model()
        checkpoints.load_channels(self._noise, best)  # the matrix that goes with these weights
