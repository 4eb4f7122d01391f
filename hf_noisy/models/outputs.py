"""What a model returns, in each of the forms that models have: an output with names, a tuple, or a tensor."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

NETWORK_LOGITS = "network_logits"  # in an evaluation of several networks
_NOT_PREDICTED = ("loss", NETWORK_LOGITS, "own_term")


def logits_of(outputs: Any) -> Tensor:
    """The logits of a forward without labels: (rows, classes), or (networks, rows, classes).

    Args:
        outputs: an output with names, in which they are `logits` or the first tensor that is no loss; a tuple, whose first
            tensor they are (`return_dict=False`); or the tensor itself.

    Raises:
        ValueError: there is no tensor in it.

    >>> logits_of((torch.zeros(2, 3), "hidden states")).shape
    torch.Size([2, 3])
    """
    if isinstance(outputs, Tensor):
        return outputs
    if isinstance(outputs, Mapping):
        named = outputs.get("logits")
        found = [named] if named is not None else [value for name, value in outputs.items() if name != "loss"]
    else:
        found = list(outputs) if isinstance(outputs, tuple | list) else [getattr(outputs, "logits", None)]
    tensor = next((value for value in found if isinstance(value, Tensor)), None)
    if tensor is None:
        raise ValueError(
            f"the model returns a {type(outputs).__name__} without a tensor: expected logits (rows, classes), as `logits` of an "
            "output, first of a tuple, or alone."
        )
    return tensor


def loss_of(outputs: Any) -> Tensor | None:
    """The loss of a forward with labels: `loss` of an output with names, or the first of a tuple; None without one."""
    if isinstance(outputs, Mapping):
        found = outputs.get("loss")
    else:
        found = outputs[0] if isinstance(outputs, tuple | list) and len(outputs) > 1 else getattr(outputs, "loss", None)
    return found if isinstance(found, Tensor) and found.ndim == 0 else None


def labelled_logits(outputs: Any) -> Tensor:
    """The logits of a forward with labels, whose outputs begin with a loss where they have no names."""
    return logits_of(outputs if isinstance(outputs, Mapping) else outputs[1:])


def with_loss(outputs: Any, loss: Tensor) -> Any:
    """The outputs of a forward without labels, as one with labels would return them: with a loss, before all others.

    The stock Trainer takes what is left without the loss for the predictions of an evaluation.
    """
    if isinstance(outputs, Mapping):
        return {"loss": loss, **{name: value for name, value in outputs.items() if name not in _NOT_PREDICTED}}
    return (loss, *outputs) if isinstance(outputs, tuple | list) else (loss, outputs)


def own_term(outputs: Any, labels: Tensor) -> Tensor:
    """() what the model adds to the mean cross-entropy in its own loss. Zero if it returns no loss.

    Args:
        outputs: of a forward with `labels`.
        labels: (rows,) class ids.
    """
    loss = loss_of(outputs)
    if loss is None:
        return torch.zeros((), device=labels.device)
    return loss - torch.nn.functional.cross_entropy(labelled_logits(outputs).float(), labels)


def term_of(outputs: Any, labels: Tensor) -> Tensor:
    """As `own_term`, also for the outputs of several networks, which hold the sum of their terms."""
    term = outputs.get("own_term") if isinstance(outputs, Mapping) else None
    return own_term(outputs, labels) if term is None else term
