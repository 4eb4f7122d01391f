"""What a method needs: word embeddings, a last linear layer, an encoder, trusted rows, votes. Checked when the trainer is made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn
from transformers import TrainingArguments

from hf_noisy.common.randomness import forked_generators
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.models.adapters import classifier
from hf_noisy.models.channels import last_layer
from hf_noisy.models.configuration import config_of
from hf_noisy.models.networks import head_modules
from hf_noisy.trainer.naming import name_of
from hf_noisy.trainer.training_rows import TrainingRows

_ROWS, _TOKENS = 2, 3


def check_requirements(model: Any, callbacks: Sequence[NoiseCallback], args: TrainingArguments | None = None) -> None:
    """Refuse a method that needs a part which the model does not have.

    Args:
        model: the model that was passed, before it is copied.
        callbacks: the methods.
        args: the training arguments, which may name the methods.

    Raises:
        ValueError: the message names the method, the model and what is missing.
    """
    for callback in callbacks:
        why = _missing(model, callback)
        if why is not None:
            raise ValueError(f"{name_of(callback, args)} with {type(classifier(model)).__name__}: {why}")


def check_rows(rows: TrainingRows, callbacks: Sequence[NoiseCallback], args: TrainingArguments) -> None:
    """Refuse a method that learns from trusted rows or from votes where there are none.

    Args:
        rows: of the training set that was passed.
        callbacks: the methods.
        args: the training arguments, which may name the methods.

    Raises:
        ValueError: the message names the method, what is missing and where to pass it.
    """
    for callback in callbacks:
        if callback.needs_clean and rows.clean is None:
            raise ValueError(
                f"{name_of(callback, args)} with clean_dataset=None: it learns from rows with trusted labels and there are none. "
                "Pass NoisyTrainer(clean_dataset=...), tokenized rows with true `labels`."
            )
        if callback.needs_votes and rows.votes is None:
            raise ValueError(
                f"{name_of(callback, args)} with a train_dataset without votes: it learns from the votes of sources. Expected a "
                "column weak_labels, one vote a source, -1 to abstain. Add it with hf_noisy.apply_labeling_functions."
            )


def _missing(model: Any, callback: NoiseCallback) -> str | None:
    if callback.needs_embeddings:
        why = _embeddings(model)
        if why is not None:
            return f"it mixes word embeddings, and {why}. Use a method that reads logits only, or selfmix."
    if callback.needs_encoder and not has_encoder(model):
        return (
            "it reads encoder vectors, and the model has no encoder that gives hidden states (base_model). Give vectors of your "
            "own: Neighbours(vectors=...)."
        )
    try:
        if callback.needs_vectors:
            last_layer(model)
        if callback.num_networks > 1:
            list(head_modules(model))
        callback.make_channel(model)  # that of a channel by sentence reads vectors
    except ValueError as error:
        return str(error)
    return None


def _embeddings(model: Any) -> str | None:
    """The reason why the word embeddings of a text cannot be replaced; None if they can."""
    network = classifier(model)
    try:
        table = network.get_input_embeddings()
    except (AttributeError, NotImplementedError):
        table = None
    if table is None:
        return "the model has no table of them (get_input_embeddings)"
    if getattr(config_of(network), "is_encoder_decoder", False):
        return "the model is an encoder-decoder, whose decoder embeds the text again, shifted by a token"
    shape = _embedded_shape(network, table)
    if shape is None or (
        len(shape) == 3 and shape[0] == _ROWS and shape[1] >= _TOKENS
    ):  # a model may pad to full windows of attention
        return None
    return f"the model embeds {_ROWS} rows of {_TOKENS} tokens as {shape or 'no tensor'}: expected ({_ROWS}, {_TOKENS}, width)"


def _embedded_shape(network: Any, table: nn.Module) -> tuple[int, ...] | None:
    """The shape of the embeddings of `_ROWS` rows of `_TOKENS` tokens; () if they are no tensor; None if it is not known."""
    seen: list[Any] = []
    handle = table.register_forward_hook(lambda module, given, output: seen.append(output))
    weight = next(network.parameters())
    ids = torch.ones(_ROWS, _TOKENS, dtype=torch.long, device=weight.device)
    was_training = network.training
    try:
        with torch.no_grad(), forked_generators():
            network.eval()
            network(input_ids=ids, attention_mask=torch.ones_like(ids))
    except Exception:  # it needs other inputs; the first batch will show
        return None
    finally:
        handle.remove()
        network.train(was_training)
    return None if not seen else tuple(seen[0].shape) if isinstance(seen[0], torch.Tensor) else ()


def has_encoder(model: Any) -> bool:
    """Whether the model has an encoder below its head, whose last hidden states `encode` reads."""
    network = classifier(model)
    return getattr(network, "base_model", network) is not network
