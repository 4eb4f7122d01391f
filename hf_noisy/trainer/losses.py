"""The loss of a batch: that of the methods, or that of the stock Trainer where there is no method."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from hf_noisy.data.columns import ROW
from hf_noisy.data.label_encoding import IGNORED, one_hot
from hf_noisy.methods.parts.losses import CrossEntropy, LabelSmoothing
from hf_noisy.models.batch import Batch, of_one_process
from hf_noisy.models.configuration import config_of
from hf_noisy.models.networks import network_logits, networks_of
from hf_noisy.models.outputs import labelled_logits, logits_of, loss_of, term_of, with_loss
from hf_noisy.models.predictions import Predictions
from hf_noisy.trainer.arguments import nonfinite_mode
from hf_noisy.trainer.naming import asked_for
from hf_noisy.trainer.own_loss import LOSS, TERM, OwnLoss
from hf_noisy.trainer.parts import Parts
from hf_noisy.trainer.progress import REAL
from hf_noisy.trainer.sharding import splits_weights

Stock = Callable[..., Any]  # `compute_loss` of the stock Trainer


def check_losses(trainer: Any, parts: Parts) -> None:
    """Refuse a loss of the stock Trainer beside a method or a criterion: it would be ignored, or the method would.

    Raises:
        ValueError: `compute_loss_func` or `label_smoothing_factor` beside a method; smoothing beside soft labels; noise in
            the embeddings beside several networks.
    """
    factor = trainer.args.label_smoothing_factor
    if factor and parts.rows.labels.ndim == 2:
        raise ValueError(
            f"label_smoothing_factor={factor} with soft labels: the stock Trainer smooths class ids only. Expected 0; name the "
            f'method instead: noise_method="label_smoothing", noise_kwargs={{"epsilon": {factor}}}.'
        )
    if parts.methods.is_plain:
        return
    alpha, networks = trainer.args.neftune_noise_alpha, parts.methods.num_networks
    if alpha and networks > 1:
        raise ValueError(
            f"neftune_noise_alpha={alpha} with {_methods(trainer, parts)}: only the first of {networks} networks would get the noise. "
            "Expected None, or a method of one network."
        )
    if trainer.compute_loss_func is not None:
        raise ValueError(
            f"compute_loss_func with {_methods(trainer, parts)}: it sees neither the target nor the weight that a method gives a "
            "row. Pass the loss as criterion=..., a hf_noisy.Criterion, or train without a method."
        )
    if factor:
        raise ValueError(
            f"label_smoothing_factor={factor} with {_methods(trainer, parts)}: a method sets the targets, so they are not smoothed "
            f"again. Expected 0{_smoothed_instead(parts, factor)}."
        )


def _smoothed_instead(parts: Parts, factor: float) -> str:
    """What a user can do who wants smoothed labels beside the methods."""
    criterion = parts.methods.criterion
    if isinstance(criterion, LabelSmoothing):
        return f'; its own parameter smooths: noise_kwargs={{"epsilon": {factor}}}'
    if type(criterion) is not CrossEntropy or parts.methods.passed_criterion is not None:
        return f", since {type(criterion).__name__} is a loss of its own, which takes the labels as they are"
    return (
        '; combine the methods instead, noise_method="label_smoothing+...", with '
        f'noise_kwargs={{"label_smoothing": {{"epsilon": {factor}}}, ...}}'
    )


def _methods(trainer: Any, parts: Parts) -> str:
    return asked_for(trainer.args, parts.methods.passed, parts.methods.passed_criterion)


def is_stock_loss(trainer: Any, parts: Parts, inputs: dict[str, Any]) -> bool:
    """Whether the loss is computed as in the stock Trainer: by a function, by label smoothing, or by the model itself.

    Args:
        trainer: a `NoisyTrainer`.
        parts: of the trainer.
        inputs: of a batch. From the first one it is found out what the model's own loss holds.

    Raises:
        TypeError: the model's own loss is another than cross-entropy, and there is a method, or labels are soft.
    """
    own = parts.own_loss
    if own.kind is None or not own.knows(trainer.model):
        tensors = {name: value for name, value in inputs.items() if name not in ("labels", ROW, REAL)}
        with trainer.compute_loss_context_manager():
            own.look(
                trainer.model, trainer._prepare_inputs(tensors), config_of(trainer.model).num_labels, parts.label_name
            )
        if own.kind == LOSS:
            _check_own_loss(trainer, parts, own)
    return _is_stock(trainer, parts)


def check_model_loss(trainer: Any, parts: Parts) -> None:
    """Refuse a model whose own loss a method would ignore, where two short rows show it: when the trainer is made.

    A model that cannot read such rows is left to the first batch (`is_stock_loss`).

    Raises:
        TypeError: the model's own loss is another than cross-entropy, and there is a method.
    """
    network = networks_of(trainer.model)[0]
    if parts.methods.is_plain or splits_weights(trainer.args) or parts.override.overridden:
        return
    ids = torch.ones(2, 3, dtype=torch.long, device=next(network.parameters()).device)
    rows = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    own = OwnLoss()
    if own.look(network, rows, config_of(network).num_labels, parts.label_name) == LOSS:
        _check_own_loss(trainer, parts, own)


def _is_stock(trainer: Any, parts: Parts) -> bool:
    given = trainer.compute_loss_func is not None or bool(trainer.args.label_smoothing_factor)
    return parts.methods.is_plain and (given or parts.own_loss.kind == LOSS)


def _check_own_loss(trainer: Any, parts: Parts, own: OwnLoss) -> None:
    model = type(networks_of(trainer.model)[0]).__name__
    if not parts.methods.is_plain and not parts.override.overridden:
        if own.is_term:
            raise TypeError(
                f"{model}, which takes labels by the name {parts.label_name!r} (label_names), with {_methods(trainer, parts)}: it adds "
                "a term to its loss, which a method keeps for a model that takes them by the name 'labels'. Rename the argument "
                "of its forward, or train without a method."
            )
        raise TypeError(
            f"{model} with {_methods(trainer, parts)}: the model's own loss is not cross-entropy, and a method would ignore it. "
            "Pass that loss as criterion=..., a hf_noisy.Criterion, or train without a method."
        )
    if parts.methods.is_plain and parts.rows.labels.ndim == 2:
        raise TypeError(
            f"{model}: its own loss is not cross-entropy, and takes class ids, while the labels are soft. Give each row one class."
        )


def step_loss(trainer: Any, parts: Parts, stock: Callable[..., Tensor], inputs: dict[str, Any], rows: Any) -> Tensor:
    """The stock training step on a batch.

    Args:
        trainer: a `NoisyTrainer`.
        parts: of the trainer.
        stock: the stock `training_step`, of inputs and number of rows.
        inputs: of the batch.
        rows: number of distinct rows in the whole step.
    """
    is_stock = is_stock_loss(trainer, parts, inputs)
    return parts.override.step(trainer, parts.methods, stock, inputs, rows, is_stock=is_stock)


def batch_loss(
    trainer: Any, parts: Parts, stock: Stock, model: Any, inputs: dict[str, Any], rows: Any
) -> tuple[Tensor, Any]:
    """The loss of a batch, and the outputs of the forward.

    Args:
        trainer: a `NoisyTrainer`.
        parts: of the trainer.
        stock: `compute_loss` of the stock Trainer.
        model: the model, perhaps wrapped.
        inputs: of the batch, with labels and, in training, row numbers.
        rows: number of distinct rows in the whole step.
    """
    if not model.training:
        return _evaluation_loss(trainer, parts, stock, model, inputs, rows)
    labels = inputs.pop("labels")
    batch = _take_batch(trainer, parts, inputs, labels)
    if not parts.override.is_stock:
        return parts.step.loss(trainer.model, inputs, batch, rows, model, keeps_term=parts.own_loss.kind == TERM)
    loss, outputs, logits = _stock_loss(trainer, parts, stock, model, inputs, labels, rows)
    parts.step.supervise(Predictions.from_logits(logits.detach(), 1, len(batch.index)), batch)  # for the example report
    return loss, outputs


def _stock_loss(
    trainer: Any, parts: Parts, stock: Stock, model: Any, inputs: dict[str, Any], labels: Tensor, rows: Any
) -> tuple[Tensor, Any, Tensor]:
    """The loss of the stock Trainer, the outputs of the forward, and its logits. Rows without a label have -100."""
    known = labels if labels.ndim == 2 else labels.masked_fill(labels < 0, IGNORED)
    by_model = trainer.compute_loss_func is None and not trainer.args.label_smoothing_factor
    with parts.override.as_stock(trainer):
        loss, outputs = stock(model, {**inputs, parts.label_name if by_model else "labels": known}, True, rows)
    return loss, outputs, labelled_logits(outputs) if by_model else logits_of(outputs)


def _take_batch(trainer: Any, parts: Parts, inputs: dict[str, Any], labels: Tensor) -> Batch:
    """Remove the row numbers from `inputs`, and build the `Batch` that methods read.

    Raises:
        ValueError: the data collator dropped the row numbers.
    """
    index, real = inputs.pop(ROW, None), inputs.pop(REAL, None)
    if index is None:
        raise ValueError(
            f"the batch has no '{ROW}' ({', '.join(inputs)}): the data collator dropped it, so no example can be "
            "told from another. Let the collator pass on every key that it does not know."
        )
    args, methods = trainer.args, parts.methods
    parts.step.follow(methods.criterion, methods.callbacks, nonfinite_mode(args))  # a callback may have changed them
    return parts.batch(
        index,
        labels,
        real,
        step=trainer.state.global_step,
        steps=trainer.state.max_steps,
        accumulated=args.gradient_accumulation_steps,
        gather=gather_of(trainer),
    )


def _evaluation_loss(
    trainer: Any, parts: Parts, stock: Stock, model: nn.Module, inputs: dict[str, Any], rows: Any
) -> tuple[Tensor, Any]:
    """The loss over the rows of a batch that have a label, and the outputs as a stock model returns them with labels.

    It is plain cross-entropy, with the model's own term; or the loss of the stock Trainer where the training has that.
    """
    labels, _, _ = inputs.pop("labels"), inputs.pop(ROW, None), inputs.pop(REAL, None)
    gather = trainer.accelerator.gather_for_metrics
    if is_stock_loss(trainer, parts, inputs):
        loss, outputs, logits = _stock_loss(trainer, parts, stock, model, inputs, labels, rows)
        parts.evaluation.count(logits, logits.unsqueeze(0), labels, gather)
        return loss, outputs if loss_of(outputs) is not None else with_loss(outputs, loss)
    term: Tensor | float = 0.0
    if parts.own_loss.kind == TERM:
        ids = one_hot(labels, config_of(trainer.model).num_labels).argmax(-1)
        outputs = model(**inputs, labels=ids)
        logits, term = labelled_logits(outputs), term_of(outputs, ids)
        outputs = outputs if isinstance(outputs, Mapping) else outputs[1:]
    else:
        outputs = model(**inputs)
        logits = logits_of(outputs)
    loss = parts.evaluation.count(logits, network_logits(outputs), labels, gather) + term
    return loss, with_loss(outputs, loss)


def gather_of(trainer: Any) -> Callable[[Tensor], Tensor]:
    """(batch, ...) of this process -> (batch of all processes, ...)."""
    return trainer.accelerator.gather if trainer.args.world_size > 1 else of_one_process


def keeps_stock_metric(trainer: Any, parts: Parts) -> bool:
    """Whether `eval_loss` is the mean over batches that the stock loop computes, and not over rows with a label."""
    return parts.override.overridden or _is_stock(trainer, parts) or parts.own_loss.kind == TERM
