"""Checks of a trainer's arguments before anything is set up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch.utils.data import DataLoader
from transformers import TrainerCallback, TrainingArguments

from hf_noisy.common.checks import check_not_negative
from hf_noisy.models.checks import check_model
from hf_noisy.trainer.naming import asked_for, with_any
from hf_noisy.trainer.sharding import check_processes


def check_trainer(model: Any, args: TrainingArguments, callbacks: Any, others: dict[str, Any]) -> None:
    """Refuse arguments that would fail later with an unclear message, or would be ignored.

    Args:
        model: the model; None if `model_init` makes it.
        args: the training arguments.
        callbacks: the callbacks that were passed.
        others: the other arguments of `Trainer`.

    Raises:
        ValueError, TypeError: the message gives the value, the expected value and the fix.
    """
    if not isinstance(callbacks, Sequence | None):
        raise TypeError(f"callbacks={callbacks!r}: expected a list of callbacks. Write callbacks=[...].")
    check_arguments(args, {**others, "callbacks": callbacks or ()})
    if model is not None:
        check_model(model)


def check_batches(args: TrainingArguments, dataloader: DataLoader[Any], rows: int) -> None:
    """Refuse a training set too small for one batch.

    Raises:
        ValueError: the rows do not fill a batch. The message says what to change.
    """
    if len(dataloader) == 0:
        raise ValueError(
            f"dataloader_drop_last=True, per_device_train_batch_size={args.per_device_train_batch_size}: the "
            f"{rows} rows fill no batch: expected at least one. Take smaller batches, or keep the last one."
        )


def check_precision(args: TrainingArguments) -> None:
    """Refuse a precision that the stock Trainer would silently ignore.

    Raises:
        ValueError: fp16 on a CPU. The message says what to use.
    """
    if args.fp16 and args.device.type == "cpu":
        raise ValueError(
            "fp16=True: on a CPU the Trainer trains in 32 bits and does not say so. Use bf16=True, or a GPU."
        )


def check_arguments(args: TrainingArguments, trainer_arguments: dict[str, Any]) -> None:
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
    methods = asked_for(args, trainer_arguments.get("callbacks", ()), trainer_arguments.get("criterion"))
    check_processes(args, methods)
    if "tokenizer" in trainer_arguments:
        raise TypeError("tokenizer=...: expected processing_class=..., as for the Trainer of Transformers 5.")
    if args.label_names is not None and len(args.label_names) != 1:
        raise ValueError(
            f"label_names={args.label_names}{with_any(methods)}: expected one name, since a row has one class. Write label_names=['labels'], or leave it out."
        )
