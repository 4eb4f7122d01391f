"""`NoisyTrainer`: the Trainer of Transformers, for labels that are partly wrong."""

from __future__ import annotations

import contextlib
import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datasets
import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, EvalLoopOutput, TrainOutput
from transformers.utils import logging

from hf_noisy.data.columns import INDEX
from hf_noisy.data.label_encoding import one_hot
from hf_noisy.data.labels import read_gold
from hf_noisy.methods.building import build_methods, changed_parameters, check_roles, choose_criterion
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.dynamics import ExampleDynamics
from hf_noisy.methods.parts.label_channel import LabelChannel
from hf_noisy.methods.parts.mixing import mixed_embeddings, mixed_inputs
from hf_noisy.methods.parts.supervision_record import SupervisionRecord
from hf_noisy.methods.registry import METHODS, names_of, reads_clean
from hf_noisy.models.batch import Batch, concatenate_views
from hf_noisy.models.channels import Channel, sentence_vectors
from hf_noisy.models.context import CleanRows, Context, Survey
from hf_noisy.models.criterion import Criterion
from hf_noisy.models.networks import network_logits
from hf_noisy.models.predictions import Mix, Predictions
from hf_noisy.models.supervision import Supervision
from hf_noisy.trainer import checkpoints, model_card, nonfinite, trackers
from hf_noisy.trainer.arguments import NoisyTrainingArguments
from hf_noisy.trainer.clean_rows_trainer import CleanRowsTrainer
from hf_noisy.trainer.labelled_trainer import REAL
from hf_noisy.trainer.sharding import check_placement
from hf_noisy.trainer.state import (
    STATE_NAME,
    check_identity,
    fingerprint,
    load_some,
    load_state,
    save_state,
    token_fingerprint,
)

if TYPE_CHECKING:
    from hf_noisy.audit import AuditContent

logger = logging.get_logger(__name__)


class NoisyTrainer(CleanRowsTrainer):
    """Trains each example on the target and with the weight that its methods choose; else it is a `Trainer`.

    Labels may be class ids, class names, a `ClassLabel`, or soft rows; -1, -100, an empty name and an all-zero row
    abstain: such a row has weight 0 unless a method gives it a target. The loss of a step is the weighted sum over its
    rows, divided by the number of distinct rows of the whole step, over all processes and accumulated batches, so that
    its gradient is the gradient of one large batch. The stock Trainer's is not, in 5.x, under accumulation
    (https://github.com/huggingface/transformers/issues/47688).

    Args:
        model, args, train_dataset, eval_dataset, callbacks, ...: as for `Trainer`. `args` may name a method
            (`NoisyTrainingArguments`); `callbacks` may hold `NoiseCallback`s, which fold after the named ones.
        gold_column: of `train_dataset`, true classes, -1 where unknown: for measuring only. Where a method chooses
            examples, the precision and recall of its choice are logged.
        clean_dataset: tokenized rows with trusted `labels` and, where known, the untrusted labels of the same rows in a
            column `given`; for methods that read a clean subset.
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

    def __init__(
        self,
        model: nn.Module | None = None,
        args: TrainingArguments | None = None,
        *,
        train_dataset: Any = None,
        eval_dataset: Any = None,
        callbacks: Sequence[TrainerCallback] | None = None,
        criterion: Criterion | None = None,
        gold_column: str | None = None,
        clean_dataset: Any = None,
        **trainer_arguments: Any,
    ) -> None:
        if criterion is not None and not isinstance(criterion, Criterion):
            raise TypeError(f"criterion={criterion!r}: expected a Criterion. Derive a class from hf_noisy.Criterion.")
        if not isinstance(callbacks, Sequence | None):
            raise TypeError(f"callbacks={callbacks!r}: expected a list of callbacks. Write callbacks=[...].")
        self.passed_criterion = criterion
        self._named_callbacks: list[NoiseCallback] = []
        self._parameters = "{}"  # of the named methods, as far as they are not the defaults
        self._dynamics = ExampleDynamics()
        self._record = SupervisionRecord()
        self._gold_column, self._clean_dataset = gold_column, clean_dataset
        self._gold: np.ndarray | None = None  # (rows,) of the training set that was passed
        self._begun_epoch = -1
        self._context: Context | None = None
        self._looked_at: tuple[Tensor, Tensor] | None = None  # row numbers of this batch, and whether each is finite
        self._left_out = False  # the batch of this moment, since its loss is not finite
        self._made = False
        super().__init__(
            model,
            args if args is not None else NoisyTrainingArguments(output_dir="tmp_trainer"),
            train_dataset=train_dataset,
            eval_dataset=eval_dataset,
            callbacks=[*(callbacks or []), _Epochs(self)],
            **trainer_arguments,
        )
        self._made = True
        self._make_networks()

    def _label_training_set(self) -> None:
        super()._label_training_set()
        self._gold = None
        if self._gold_column is not None:
            self._gold = read_gold(self.train_dataset, self._gold_column, self.model.config)

    # ---- methods ------------------------------------------------------------------------------------------------

    @property
    def noise_callbacks(self) -> list[NoiseCallback]:
        """In fold order: the dynamics, the named methods, those passed as `callbacks`, a record if there is any."""
        methods = [*self._named_callbacks, *self.passed_callbacks]
        return [self._dynamics, *methods, *([self._record] if methods else [])]

    @property
    def passed_callbacks(self) -> list[NoiseCallback]:
        """Those that were passed as `callbacks`, or added later."""
        named, found = self._named_callbacks, self.callback_handler.callbacks
        return [callback for callback in found if isinstance(callback, NoiseCallback) and callback not in named]

    def _settled_clean_rows(self) -> CleanRows | None:
        clean = self._clean_rows()
        if clean is None:
            return None
        look = clean.survey
        return replace(clean, survey=lambda: nonfinite.settled_look(look(), self._nonfinite, of="clean_dataset"))

    @property
    def _nonfinite(self) -> str:
        return self.args.nonfinite_loss if isinstance(self.args, NoisyTrainingArguments) else nonfinite.RAISE

    def _build_methods(self) -> None:
        """Build what `args` names; again before each training, since a hyperparameter search changes `args`."""
        for callback in self._named_callbacks:
            self.remove_callback(callback)
        named: list[Criterion | NoiseCallback] = []
        if isinstance(self.args, NoisyTrainingArguments):
            named = build_methods(self.args.noise_method, self.args.method_parameters)
            self._parameters = changed_parameters(self.args.noise_method, self.args.method_parameters)
        self._named_callbacks = [part for part in named if isinstance(part, NoiseCallback)]
        criteria = [part for part in named if not isinstance(part, NoiseCallback)]
        check_roles(self.noise_callbacks)
        self.criterion = choose_criterion(self.passed_criterion, [*criteria, *self.noise_callbacks])
        for callback in self._named_callbacks:
            self.add_callback(callback)

    def _count_networks(self) -> int:
        if not self._made:
            return 1
        self._build_methods()  # callbacks may have been added, or `args` changed, since they were built
        check_placement(self.args, self.model, self.noise_callbacks)
        return max(callback.num_networks for callback in self.noise_callbacks)

    def _make_channels(self, model: Any, count: int) -> list[Channel]:
        if not self._made:
            return []
        declared = ([callback.make_channel(model) for _ in range(count)] for callback in self.noise_callbacks)
        return next(([c for c in channels if c is not None] for channels in declared if channels[0] is not None), [])

    def _clean_epochs(self) -> int | None:
        takers = [callback.clean_epochs for callback in self.noise_callbacks if callback.trains_on_clean]
        return max(takers, default=None)

    def set_initial_training_values(self, args: TrainingArguments, dataloader: DataLoader[Any]) -> tuple[Any, ...]:
        values = super().set_initial_training_values(args, dataloader)
        max_steps = values[-1]
        self._make_networks()  # a hyperparameter search has changed `args` by now
        self._context = Context(
            rows=len(self.labels),
            classes=self.model.config.num_labels,
            networks=len(self.networks),
            labels=torch.from_numpy(self.labels),
            votes=None if self.votes is None else self.votes.to(args.device),
            criterion=self.criterion,
            epochs=max_steps / self._updates_per_epoch,
            seed=args.seed,
            device=args.device,
            clean=self._settled_clean_rows(),
            channels=self.channels,
            trusted=None if self.trusted is None else torch.from_numpy(self.trusted).to(args.device),
            model=self.model,
            dataset=self.train_dataset,
            eval_dataset=self.eval_dataset,
            tokenizer=self.processing_class,
            encode=lambda: nonfinite.checked_vectors(self.encode(), self._nonfinite),
        )
        self._record.gold = self._gold
        if self._gold is not None and self._context.clean is not None and self.trusted is not None:
            clean = self._context.clean.labels
            self._record.gold = np.concatenate([self._gold, clean.argmax(-1).cpu().numpy()])
        self._begun_epoch = -1
        self._say_unread_clean_rows()
        for callback in self.noise_callbacks:
            callback.setup(self._context)
            if args.torch_compile and callback.needs_vectors:
                name = type(callback).__name__
                logger.warning(f"torch_compile=True: {name} reads vectors inside each forward, so no step is compiled.")
        return values

    def _say_unread_clean_rows(self) -> None:
        """Of trusted rows that no method asks for; a callback of yours may."""
        asked = reads_clean(name for part in self._named_callbacks for name in names_of(part))
        if self._clean_dataset is not None and not asked and not self.passed_callbacks:
            readers = ", ".join(name for name, method in METHODS.items() if method.reads_clean)
            logger.warning(f"clean_dataset is not read: no method asks for trusted rows. Those that do: {readers}.")

    def begin_epoch(self) -> None:
        """Let the methods look at all examples, unless they did before the checkpoint from which this epoch goes on."""
        self._start_epoch()
        epoch = self._epoch or 0
        if epoch == self._begun_epoch or self.control.should_training_stop:  # a callback before it may have said so
            return
        surveys: list[Survey] = []

        def survey() -> Survey:
            if not surveys:  # several methods share one pass
                seen = self.survey()
                surveys.append(replace(seen, log_probs=nonfinite.settled_look(seen.log_probs, self._nonfinite)))
            return surveys[0]

        for callback in self.noise_callbacks:
            callback.begin_epoch(epoch, survey)
        self._begun_epoch = epoch

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
        if self.trusted is not None:
            columns["trusted"] = self.trusted
        for callback in self.noise_callbacks:
            columns |= {name: list(values) for name, values in callback.report().items()}
        return datasets.Dataset.from_dict(columns)

    def audit(self, vectors: ArrayLike | None = None, **options: Any) -> AuditContent:
        """Says of each training label how wrong it looks and what it should be, after any training.

        Scores go by `hf_noisy.audit.audit_labels`, on vectors of an encoder that never saw the labels; the epochs in which
        the model disagreed, and the losses, are those of this training. Rows of `clean_dataset` are not audited.

        Args:
            vectors: (rows, width) in row order; by default those of the checkpoint that the model was loaded from, which
                takes one pass over the texts.
            options: of `audit_labels`, as `title`, `source_names` or `ids` (by default the column `id`).

        Returns:
            what `hf_noisy.audit.write_report` and the exports write.

        Raises:
            RuntimeError: nothing has been trained yet.
            ValueError: no texts or no encoder to be had, or as `audit_labels`.

        ```python
        trainer.train()
        write_report(trainer.audit(), "report.html")
        ```
        """
        from hf_noisy.audit.training import audit_training  # late: a training needs no page

        return audit_training(self, vectors, **options)

    def noise_matrix(self) -> np.ndarray | None:
        """(classes, classes) how the labels are confused, as the noise channel now has it; None without a channel.

        Row i is P(given label | true class i), the mean over networks; also None while the channel's warm-up lasts.
        """
        for callback in self.noise_callbacks:
            if isinstance(callback, LabelChannel) and self._context is not None:
                matrix = callback.matrix
                return None if matrix is None else matrix.detach().double().cpu().numpy()
        return None

    # ---- one step -----------------------------------------------------------------------------------------------

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        inputs = dict(inputs)
        labels, index, real = inputs.pop("labels"), inputs.pop(INDEX, None), inputs.pop(REAL, None)
        if not model.training:
            return self._evaluation_loss(model, inputs, labels, return_outputs)
        if index is None:
            raise ValueError(
                f"the batch has no '{INDEX}' ({', '.join(inputs)}): the data collator dropped it, so no example can be "
                "told from another. Let the collator pass on every key that it does not know."
            )
        batch = self._batch(index, labels, real)
        supervision = None
        if any(callback.peek(batch) for callback in self.noise_callbacks):
            supervision = self._supervise(self._peek(inputs, batch), batch)
        views = self._views(inputs, batch)
        predictions, outputs = self._forward(model, views, batch, supervision.mix if supervision is not None else None)
        if supervision is None:
            supervision = self._supervise(predictions.detached(), batch)
            if supervision.mix is not None and supervision.mix.where == "embeddings":
                raise ValueError("a method mixes embeddings after the forward: expected `peek` to ask for one before.")
        if supervision.mix is not None and supervision.mix.where == "vectors":
            predictions = predictions.mixed(supervision.mix)
        loss = self._weighted_sum(predictions, supervision.mixed(), batch, real)
        rows = num_items_in_batch if num_items_in_batch is not None else len(index) * self.args.world_size
        loss = loss / rows * self.args.world_size  # DDP averages over processes
        if self._nonfinite == nonfinite.SKIP:
            loss = self._left_out_if_not_finite(loss, batch)
        return (loss, outputs) if return_outputs else loss

    def _left_out_if_not_finite(self, loss: Tensor, batch: Batch) -> Tensor:
        """`loss`, or zero with a zero gradient; each process decides for its own rows, and all count."""
        not_finite = ~loss.detach().isfinite()
        self._dynamics.count_skipped(batch, not_finite)
        self._left_out = bool(not_finite)
        if not self._left_out:
            return loss
        logger.warning(f"step {self.state.global_step + 1}: a batch is left out, since its loss is {loss.item()}.")
        return nonfinite.no_gradient(self.model.parameters())

    def _suspects(self) -> str:
        """The rows of this batch of which the model predicts no finite numbers; if it does of all, the whole batch."""
        assert self._looked_at is not None
        index, finite = self._looked_at
        return nonfinite.advice(~finite if not finite.all() else finite, index)

    def training_step(self, *args: Any, **kwargs: Any) -> Tensor:
        """As the parent's.

        Raises:
            FloatingPointError: the loss is not finite, and `nonfinite_loss` is "raise"; no weight has been changed by it.
        """
        loss = super().training_step(*args, **kwargs)
        if self._nonfinite == nonfinite.SKIP:  # the parent's mean of losses leaves out what is not finite
            return torch.full_like(loss, torch.nan) if self._left_out else loss
        if not loss.isfinite():  # where the parent waits for the loss anyway
            raise FloatingPointError(f"loss={loss.item()} at step {self.state.global_step + 1}, {self._suspects()}")
        return loss

    def _batch(self, index: Tensor, labels: Tensor, real: Tensor | None) -> Batch:
        context = self._context
        assert context is not None  # train() has begun
        updates = math.ceil(self._batches_done / self.args.gradient_accumulation_steps) - 1  # before this one
        epoch = (self._epoch or 0) + updates / self._updates_per_epoch
        everywhere = index if real is None else self._gather(torch.where(real, index, context.rows))
        self._micro_step += 1
        return Batch(
            index=index,
            given=one_hot(labels, context.classes),
            votes=None if context.votes is None else context.votes[index],
            epoch=epoch,
            progress=self.state.global_step / self.state.max_steps,
            key=(context.seed, self.state.global_step, self._micro_step),
            trusted=None if context.trusted is None else context.trusted[index],
            real=real,
            everywhere=everywhere,
            gather=self._gather,
        )

    def _remembering(self, batch: Batch, finite: Tensor) -> Batch:
        """`batch`, of which methods remember only the `finite` rows."""
        assert self._context is not None
        past_the_end = self._context.rows
        own = batch.index if batch.real is None else torch.where(batch.real, batch.index, past_the_end)
        return replace(batch, everywhere=self._gather(torch.where(finite, own, past_the_end)))

    def _views(self, inputs: dict[str, Any], batch: Batch) -> list[dict[str, Any]]:
        views = [inputs]
        for callback in self.noise_callbacks:
            views = [view for given in views for view in callback.views(given, batch)]
        return views

    def _forward(
        self, model: nn.Module, views: list[dict[str, Any]], batch: Batch, mix: Mix | None
    ) -> tuple[Predictions, Any]:
        """One forward over all views, of mixed embeddings if `mix` says so; with vectors if a method needs them."""
        inputs = views[0] if len(views) == 1 else concatenate_views(views)
        found: list[list[Tensor]] = []
        for channel in self.channels:
            channel.present = None if batch.real is None else batch.real.repeat(len(views))
        with contextlib.ExitStack() as stack:
            if any(callback.needs_vectors for callback in self.noise_callbacks):
                mask = inputs.get("attention_mask")
                found = [stack.enter_context(sentence_vectors(network, mask)) for network in self.networks]
            if mix is not None and mix.where == "embeddings":
                name = self.model.main_input_name
                stack.enter_context(mixed_embeddings(self.networks, inputs, mix, len(views), name))
                inputs = concatenate_views([mixed_inputs(view, mix, name) for view in views])
            outputs = model(**inputs)
        predictions = Predictions.from_outputs(outputs, len(views), len(batch.index))
        if found:
            vectors = torch.stack([seen[-1].float() for seen in found])
            predictions = replace(predictions, vectors=vectors.unflatten(1, (len(views), len(batch.index))))
        return predictions, outputs

    @torch.no_grad()
    def _peek(self, inputs: dict[str, Any], batch: Batch) -> Predictions:
        """What the networks say of the batch without dropout."""
        views = self._views(inputs, replace(batch, peeking=True))
        self.model.eval()
        logits = network_logits(self.model(**concatenate_views(views)))
        self.model.train()
        return Predictions.from_logits(logits, len(views), len(batch.index))

    @torch.no_grad()
    def _supervise(self, seen: Predictions, batch: Batch) -> Supervision:
        """What the methods make of the given labels, one after the other."""
        networks = len(seen.clean_log_probs)
        finite = nonfinite.finite_rows(seen)
        self._looked_at = batch.index, finite
        seen, batch = nonfinite.settled(seen, finite), self._remembering(batch, finite)
        taught = batch.covered if batch.real is None else batch.covered & batch.real
        supervision = Supervision(
            targets=batch.given.expand(networks, -1, -1),
            weights=taught.float().expand(networks, -1),
            trusted=None if batch.trusted is None else batch.trusted.expand(networks, -1),
        )
        for callback in self.noise_callbacks:
            supervision = supervision.checked(callback.supervise(supervision, seen, batch), type(callback).__name__)
        return supervision

    def _weighted_sum(
        self, predictions: Predictions, supervision: Supervision, batch: Batch, real: Tensor | None
    ) -> Tensor:
        """The loss of the batch's rows, summed over rows and networks and averaged over views."""
        losses = supervision.losses(self.criterion, predictions)
        present = torch.ones_like(batch.index) if real is None else real
        total = (losses * supervision.weights * present).sum()
        for callback in self.noise_callbacks:
            penalty = callback.penalty(predictions, supervision, batch)
            if penalty is not None:
                total = total + (penalty * present).sum()  # a scalar counts once a row
        return total

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        with self._deployed():
            return super().evaluation_loop(*args, **kwargs)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        best = str(self.state.best_model_checkpoint)
        if os.path.isfile(os.path.join(best, STATE_NAME)):
            channels = {n: c for n, c in enumerate(self.noise_callbacks) if isinstance(c, LabelChannel)}
            load_some(best, channels)  # the matrix that goes with these weights

    # ---- logs and files -----------------------------------------------------------------------------------------

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        if "loss" in logs:
            for callback in self.noise_callbacks:
                logs.update({name: float(value) for name, value in callback.metrics().items()})
        super().log(logs, *args, **kwargs)

    def show_figures(self) -> None:
        """Show what the methods draw, where `report_to` names a tracker that takes pictures."""
        if self.is_world_process_zero():
            figures = (callback.figures for callback in self.noise_callbacks)
            trackers.show(
                self.callback_handler.callbacks,
                lambda: {name: figure for draw in figures for name, figure in draw().items()},
                self.state.global_step,
            )

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        with self._deployed():
            super()._save(output_dir, state_dict)
        if self.args.should_save:
            model_card.write(self, output_dir or self.args.output_dir or ".")

    def create_model_card(self, *args: Any, **fields: Any) -> None:
        if self.is_world_process_zero():
            model_card.write(self, self.args.output_dir or ".", **fields)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        self.create_model_card()  # the parent takes the weights from the checkpoint, and its card not
        super()._push_from_checkpoint(checkpoint_folder)

    def _identity(self) -> dict[str, str]:
        return {
            "methods": "+".join(type(callback).__name__ for callback in self.noise_callbacks),
            "criterion": repr(self.criterion),
            "noise_kwargs": self._parameters,
            "classes": str(self.model.config.num_labels),
            "rows": str(len(self.labels)),
            "labels": fingerprint(self.labels),
            "tokens": token_fingerprint(self.train_dataset),
        }

    def train(
        self, resume_from_checkpoint: str | os.PathLike[str] | bool | None = None, *args: Any, **kwargs: Any
    ) -> TrainOutput:
        """As the parent's; `resume_from_checkpoint=True` passes over a checkpoint whose writing was cut short.

        Raises:
            ValueError: the named checkpoint, or every one in `output_dir`, was cut short.
        """
        whole = checkpoints.find_checkpoint(resume_from_checkpoint, self.args.output_dir)
        return super().train(whole, *args, **kwargs)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        if os.path.isfile(os.path.join(resume_from_checkpoint, STATE_NAME)):
            check_identity(resume_from_checkpoint, self._identity())  # before any weight is read
        super()._load_from_checkpoint(resume_from_checkpoint, model)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        if self.args.should_save:
            folder = Path(self._get_output_dir(trial), f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}")
            checkpoints.begin(folder, self.args.save_total_limit)
        self.accelerator.wait_for_everyone()
        super()._save_checkpoint(model, trial)

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        self.accelerator.wait_for_everyone()  # then the first one calls the checkpoint whole, and removes older ones

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        super()._save_optimizer_and_scheduler(output_dir)
        if self.args.should_save:
            # where each node saves for itself, it is not known which processes write beside it
            processes = 1 if self.args.save_on_each_node else self.args.world_size
            save_state(output_dir, self.noise_callbacks, self._identity(), self._begun_epoch, processes)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is None:
            return
        if os.path.isfile(os.path.join(checkpoint, STATE_NAME)):
            self._begun_epoch = load_state(checkpoint, self.noise_callbacks, self._identity())
        else:
            logger.warning(
                f"{checkpoint} has no {STATE_NAME}: it is a plain Trainer's checkpoint, or one with the model only. What it "
                "has resumes; what the methods remember of each example starts afresh."
            )


class _Epochs(TrainerCallback):
    """Passes the start and the end of an epoch on to the trainer."""

    def __init__(self, trainer: NoisyTrainer) -> None:
        self.trainer = trainer

    def on_epoch_begin(self, *args: Any, **kwargs: Any) -> None:
        self.trainer.begin_epoch()

    def on_epoch_end(self, *args: Any, **kwargs: Any) -> None:
        self.trainer.show_figures()
