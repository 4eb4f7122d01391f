"""Functions behind the hooks of `NoisyTrainer`. They pass rows, networks, batches and the context on to its parts."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import EvalLoopOutput

from hf_noisy.common.progress import quietly
from hf_noisy.data.class_names import complete_names
from hf_noisy.data.columns import ROW
from hf_noisy.data.token_checks import check_tokens
from hf_noisy.models.checks import align_padding, check_head
from hf_noisy.models.configuration import config_of, give_config, is_plain_module
from hf_noisy.models.context import CleanRows, Context
from hf_noisy.models.networks import Networks, channels_of, deployed_network, networks_of, side_by_side
from hf_noisy.trainer import nonfinite
from hf_noisy.trainer.arguments import nonfinite_mode
from hf_noisy.trainer.checks import check_precision
from hf_noisy.trainer.evaluation import choose_deployed
from hf_noisy.trainer.evaluation_sets import label_evaluation_sets
from hf_noisy.trainer.fresh_start import all_rows_at_once
from hf_noisy.trainer.losses import check_losses, check_model_loss, gather_of, keeps_stock_metric
from hf_noisy.trainer.naming import asked_for
from hf_noisy.trainer.optimizing import check_complete, check_scheduler
from hf_noisy.trainer.parts import Parts
from hf_noisy.trainer.requirements import check_requirements, check_rows
from hf_noisy.trainer.sharding import check_placement, check_split
from hf_noisy.trainer.step import Step
from hf_noisy.trainer.streaming import check_no_stream, label_evaluation
from hf_noisy.trainer.survey import RowPass

# ---- when the trainer is made, and before each training --------------------------------------------------------------


def finish(trainer: Any, parts: Parts) -> None:
    """Check the model and the datasets of a new trainer, and build what its methods declare."""
    check_split(trainer, _named(trainer, parts))
    for name in trainer.args.label_names or ():
        parts.label_name = parts.rows.label_column = name
    _prepare_model(trainer.model, trainer, parts)
    check_head(trainer.model)
    _read_datasets(trainer, parts)
    parts.methods.bind(trainer.callback_handler)
    assemble(trainer, parts)
    if trainer.train_dataset is not None:
        check_precision(trainer.args)
        check_scheduler(trainer.optimizer, trainer.lr_scheduler, trainer.model, _named(trainer, parts))
        check_model_loss(trainer, parts)


def _named(trainer: Any, parts: Parts) -> str:
    """How error messages name the methods."""
    return asked_for(trainer.args, trainer.callback_handler.callbacks, parts.methods.passed_criterion)


def _prepare_model(model: Any, trainer: Any, parts: Parts) -> None:
    """Complete the configuration of a model that was passed or made by `model_init`, before it is copied."""
    give_config(model, trainer.train_dataset, parts.rows.config)
    complete_names(config_of(model))
    align_padding(config_of(model), trainer.processing_class)


def _read_datasets(trainer: Any, parts: Parts) -> None:
    """Check the labels and votes of the datasets that were passed, and number the training rows."""
    _read_rows(trainer, parts)
    check = partial(_check, trainer)
    trainer.eval_dataset = label_evaluation_sets(
        trainer.eval_dataset, config_of(trainer.model), check, parts.rows.label_column
    )


def _check(trainer: Any, dataset: Any, where: str) -> None:
    """Refuse rows that are not tokenized for a Transformers model. Rows of a module of one's own are unknown."""
    args = trainer.args
    if args.remove_unused_columns and not is_plain_module(
        deployed_network(trainer.model)
    ):  # else the collator may tokenize
        rows = args.train_batch_size if where == "train_dataset" else args.eval_batch_size
        check_tokens(dataset, trainer.model, trainer.data_collator, where=where, alone=rows == 1)


def labelled(trainer: Any, parts: Parts, dataset: Any, where: str) -> Any:
    """A dataset that was passed to `evaluate` or `predict`, with checked labels."""
    config = config_of(trainer.model)
    return label_evaluation(dataset, config, where=where, label_column=parts.rows.label_column)


def keep_row_numbers(trainer: Any) -> None:
    """Keep the column of row numbers in the batches."""
    if ROW not in trainer._signature_columns:
        trainer._signature_columns.append(ROW)


def assemble(trainer: Any, parts: Parts) -> None:
    """Build what the methods declare: networks, channels, and clean rows in the training set."""
    if trainer.model is not None:  # a hyperparameter search releases it after each trial; `model_init` makes the next
        trainer._set_signature_columns_if_needed()  # from the signature of the given model
        model = _networks(trainer.model, trainer.args, parts)
        if model is not trainer.model:
            trainer.model = trainer.model_wrapped = trainer.callback_handler.model = model
    _read_rows(trainer, parts)
    if parts.methods.is_bound:
        check_losses(trainer, parts)
        if trainer.train_dataset is not None:
            check_rows(parts.rows, parts.methods.callbacks, trainer.args)
    if trainer.train_dataset is not None:
        wanted, columns = parts.methods.clean_epochs is not None, trainer._signature_columns or ()
        check = partial(_check, trainer)
        trainer.train_dataset = parts.rows.join_clean(wanted, _config(trainer, parts), columns, check)


def new_model(model: Any, trainer: Any, parts: Parts) -> Any:
    """The model of `model_init`, with the class names of the labels, and the networks and channels of the methods."""
    if parts.methods.is_bound:  # else the trainer is being made, and `finish` follows
        _prepare_model(model, trainer, parts)
        parts.rows.name_classes(config_of(model))
    return _networks(model, trainer.args, parts)


def _networks(model: Any, args: TrainingArguments, parts: Parts) -> Any:
    """`model` with the further networks and the channels that the methods declare. Methods are rebuilt from `args`."""
    if not parts.methods.is_bound:  # the trainer is being made
        return model
    parts.methods.build(args)  # callbacks may have been added, or `args` changed, since they were built
    check_placement(args, model, parts.methods.callbacks)
    if not isinstance(model, Networks):  # else they were checked before they were made
        check_requirements(model, parts.methods.callbacks, args)
    channels = parts.methods.make_channels(deployed_network(model))
    return side_by_side(model, parts.methods.num_networks, channels, args.seed)


def _read_rows(trainer: Any, parts: Parts) -> None:
    """Read the training set, unless it was already read and not replaced since."""
    if parts.rows.is_replaced(trainer.train_dataset):
        check_no_stream(trainer.train_dataset, _named(trainer, parts))
        check = partial(_check, trainer)
        trainer.train_dataset = parts.rows.read(trainer.train_dataset, _config(trainer, parts), check)


def _config(trainer: Any, parts: Parts) -> Any:
    """The model's configuration. It is available even while a hyperparameter search has released the model."""
    return parts.rows.config if trainer.model is None else config_of(trainer.model)


def sampler(parts: Parts, args: TrainingArguments, stock: Callable[[], Any]) -> Any:
    """The sampler of the training rows: clean rows first if a method requests that, else the stock sampler."""
    own = parts.sampling.clean_first(parts.rows.trusted, parts.methods.clean_epochs, data_seed(args))
    return own if own is not None else parts.sampling.stock(stock())


def data_seed(args: TrainingArguments) -> int:
    """The seed of the order of rows."""
    return args.seed if args.data_seed is None else args.data_seed


@contextlib.contextmanager
def seeded_order(args: TrainingArguments) -> Iterator[None]:
    """Inside, `args.data_seed` is `args.seed` if it was None: else the order would depend on the global random state.

    Afterwards it is as before, so that the caller's arguments, perhaps used again with another seed, stay as they are.
    """
    asked = args.data_seed
    args.data_seed = data_seed(args)
    try:
        yield
    finally:
        args.data_seed = asked


@contextlib.contextmanager
def dropping_last(args: TrainingArguments, *, only_if: bool) -> Iterator[None]:
    """Inside, an incomplete last batch is dropped only if both `args.dataloader_drop_last` and `only_if` are True."""
    asked = args.dataloader_drop_last
    args.dataloader_drop_last = asked and only_if
    try:
        yield
    finally:
        args.dataloader_drop_last = asked


# ---- a training and its steps ----------------------------------------------------------------------------------------


def begin_training(
    trainer: Any, parts: Parts, args: TrainingArguments, dataloader: DataLoader[Any], values: tuple[Any, ...]
) -> None:
    """Set up progress, context, methods and step, once the number of steps is known.

    Args:
        trainer: a `NoisyTrainer`.
        parts: the trainer's parts.
        args: the training arguments.
        dataloader: of the training set.
        values: the result of the stock Trainer's `set_initial_training_values`.
    """
    whole_batch = trainer._train_batch_size * args.world_size
    parts.progress.begin_training(
        updates_per_epoch=values[1],
        rows=len(parts.rows.labels),
        drawn=len(dataloader) * whole_batch,
        batch=whole_batch,
    )
    assemble(trainer, parts)  # a hyperparameter search has changed `args` by now
    parts.context = context = _context(trainer, parts, args, epochs=values[-1] / values[1])
    if parts.rows.clean is not None:
        parts.methods.warn_of_unread_clean_rows()
    parts.methods.setup(context, parts.gold, compiled=args.torch_compile)
    parts.step = Step(
        parts.methods.criterion,
        parts.methods.callbacks,
        rows=context.rows,
        processes=args.world_size,
        nonfinite_loss=nonfinite_mode(args),
        count_skipped=parts.methods.dynamics.count_skipped,
    )


def _context(trainer: Any, parts: Parts, args: TrainingArguments, *, epochs: float) -> Context:
    rows, mode = parts.rows, nonfinite_mode(args)
    return Context(
        rows=len(rows.labels),
        classes=config_of(trainer.model).num_labels,
        networks=len(networks_of(trainer.model)),
        labels=torch.from_numpy(rows.labels),
        votes=None if rows.votes is None else rows.votes.to(args.device),
        criterion=parts.methods.criterion,
        epochs=epochs,
        seed=args.seed,
        device=args.device,
        clean=_clean_rows(trainer, parts, mode),
        channels=channels_of(trainer.model),
        trusted=None if rows.trusted is None else torch.from_numpy(rows.trusted).to(args.device),
        model=trainer.model,
        dataset=trainer.train_dataset,
        eval_dataset=trainer.eval_dataset,
        tokenizer=trainer.processing_class,
        encode=lambda: nonfinite.checked_vectors(trainer.encode(), mode),
    )


def _clean_rows(trainer: Any, parts: Parts, mode: str) -> CleanRows | None:
    clean, config = parts.rows.clean, config_of(trainer.model)
    if clean is None:
        return None
    labelled = clean.labelled(config, partial(_check, trainer))
    loader = Trainer.get_test_dataloader(trainer, labelled.dataset)  # the override drops row numbers
    rows = len(labelled.labels)

    def look() -> Tensor:
        return nonfinite.checked_log_probs(row_pass(trainer, parts).log_probs(loader, rows), mode, of="clean_dataset")

    return clean.for_methods(config, trainer.args.device, look)


def begin_epoch(trainer: Any, parts: Parts) -> None:
    """Count the epoch, and let the methods run predictions on all rows if they need them."""
    args = trainer.args
    check_complete(trainer.optimizer, trainer.model, _named(trainer, parts))
    accumulated = 0 if args.ignore_data_skip else args.gradient_accumulation_steps
    epoch = parts.progress.begin_epoch(trainer.state.global_step, accumulated)
    parts.sampling.begin_epoch(epoch, data_seed(args))
    if not trainer.control.should_training_stop:  # an earlier callback may have stopped it
        with quietly(args.disable_tqdm):
            parts.methods.begin_epoch(epoch, trainer.survey, nonfinite_mode(args))


def begin_step(
    trainer: Any, parts: Parts, samples: list[Any], rows: Any, device: torch.device
) -> tuple[list[Any], Any]:
    """The batches of a step, and the number of distinct rows in it over all processes."""
    first, args = parts.progress.begin_step(len(samples)), trainer.args
    if args.world_size == 1:
        return samples, rows
    return samples, parts.progress.mark_repetitions(
        samples,
        first,
        rank=args.process_index,
        processes=args.world_size,
        batch_size=trainer._train_batch_size,
        gather=trainer.accelerator.gather,
        device=device,
    )


def evaluate(
    trainer: Any,
    parts: Parts,
    stock: Callable[..., EvalLoopOutput],
    dataloader: DataLoader[Any],
    description: str,
    prediction_loss_only: bool | None = None,
    ignore_keys: list[str] | None = None,
    metric_key_prefix: str = "eval",
) -> EvalLoopOutput:
    """The stock evaluation loop with the deployed weights. Loss and accuracy are over all rows that have a label."""
    parts.evaluation.begin(trainer.args.device)
    with parts.methods.deployed(trainer.model):
        output = stock(dataloader, description, prediction_loss_only, ignore_keys, metric_key_prefix)
    right = parts.evaluation.end(output, metric_key_prefix, keeps_loss=keeps_stock_metric(trainer, parts))
    choose_deployed(trainer.model, right, metric_key_prefix, trainer.eval_dataset)
    return output


# ---- passes over all rows --------------------------------------------------------------------------------------------


def row_pass(trainer: Any, parts: Parts) -> RowPass:
    """A pass over rows with the deployed weights."""

    @contextlib.contextmanager
    def around() -> Iterator[None]:
        with parts.methods.deployed(trainer.model), all_rows_at_once(trainer.args):
            yield

    prepare, autocast = trainer._prepare_inputs, trainer.compute_loss_context_manager
    return RowPass(trainer.model, prepare, gather_of(trainer), autocast, around, quiet=trainer.args.disable_tqdm)
