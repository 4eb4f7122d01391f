"""What a model's own loss holds beside cross-entropy: nothing, a term that is kept, or another loss."""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator
from typing import Any

import torch
from accelerate.utils.memory import should_reduce_batch_size
from torch import Tensor, nn

from hf_noisy.common.randomness import forked_generators
from hf_noisy.models.adapters import classifier
from hf_noisy.models.networks import networks_of
from hf_noisy.models.outputs import labelled_logits, loss_of, own_term

NONE, TERM, LOSS = "none", "term", "loss"
_ROUNDING = {torch.float16: 4e-3, torch.bfloat16: 2e-2}  # of a loss in that precision; 1e-5 in others


class OwnLoss:
    """What a model's own loss holds beside cross-entropy. It is found once, from the first batch, with other labels.

    The classifiers of Transformers are known to compute cross-entropy, and are not tried.

    - "none": it is the mean cross-entropy of the logits, or the model computes none. Labels are not passed to the model.
    - "term": it adds a term that does not depend on the labels, such as the orthogonal regularisation of AdaLoRA or the
      load-balancing loss of a mixture of experts. The term is kept, with every method.
    - "loss": it depends on the labels in another way, such as by class weights. Without a method it is the loss, as in the
      stock Trainer. A method sets the target of each row, so with one it is refused.
    """

    def __init__(self) -> None:
        self.kind: str | None = None  # not looked at yet
        self.is_term = False  # whether the loss is cross-entropy with a term
        self._model: Any = None

    def knows(self, model: Any) -> bool:
        """Whether the kind was found for this model. A hyperparameter search makes another for each trial."""
        return self.kind is not None and self._model is networks_of(model)[0]

    def look(self, model: Any, inputs: dict[str, Any], classes: int, label_name: str = "labels") -> str:
        """Find the kind, from two forwards of the first network without gradient. Random state, buffers and other state stay.

        Args:
            model: the trained model.
            inputs: of a batch, without labels.
            classes: number of classes.
            label_name: the argument by which the model takes labels.
        """
        first = networks_of(model)[0]
        self._model, self.kind = first, NONE
        if _takes(first, label_name) and not _has_stock_forward(first):
            self.kind = self._compare(first, inputs, classes, label_name)
        self.is_term = self.kind == TERM
        if self.is_term and label_name != "labels":
            self.kind = LOSS  # several networks take labels by one name
        return self.kind

    def _compare(self, model: nn.Module, inputs: dict[str, Any], classes: int, label_name: str) -> str:
        twin = _with_own_state(model)
        like = next(value for value in inputs.values() if isinstance(value, Tensor) and value.ndim)
        found = []
        for shift in (0, 1):
            labels = (torch.arange(len(like), device=like.device) + shift) % classes
            with forked_generators(), _as_in_training(model), _as_in_training(twin), torch.no_grad():
                torch.manual_seed(0)
                try:
                    outputs = twin(**inputs, **{label_name: labels})
                except Exception as error:  # it computes no loss of class ids, so there is nothing to keep
                    if should_reduce_batch_size(error):
                        raise
                    return NONE
            if loss_of(outputs) is None:
                return NONE
            found.append(_beside_cross_entropy(outputs, labels))
        (first, tolerance), (second, _) = found
        if first == second == 0:
            return NONE
        return TERM if abs(first - second) <= tolerance else LOSS


def _beside_cross_entropy(outputs: Any, labels: Tensor) -> tuple[float, float]:
    """What the loss has beside the mean cross-entropy, 0 within rounding; and the size of rounding."""
    logits, loss = labelled_logits(outputs), loss_of(outputs)
    assert loss is not None
    tolerance = max(_ROUNDING.get(kind, 1e-5) for kind in (logits.dtype, loss.dtype)) * (1 + float(loss.abs()))
    as_computed = loss - torch.nn.functional.cross_entropy(logits, labels)  # in the precision of the logits
    term = min(float(own_term(outputs, labels)), float(as_computed), key=abs)
    return (term if abs(term) > tolerance else 0.0), tolerance


def _with_own_state(model: nn.Module) -> nn.Module:
    """A copy with the same parameters, but with buffers and other state of its own, such as a sampler's place in its samples.

    The model itself where it cannot be copied, as when FSDP holds its weights.
    """
    shared = {id(parameter): parameter for parameter in model.parameters()}
    own = {id(buffer): buffer.detach().clone() for buffer in model.buffers()}
    try:
        return copy.deepcopy(model, {**shared, **own})
    except Exception:  # a lock, a handle, or a module that refuses to be copied
        return model


@contextlib.contextmanager
def _as_in_training(model: nn.Module) -> Iterator[None]:
    """Inside, the model is in training mode. Afterwards its mode and its buffers are as before."""
    modes = [(module, module.training) for module in model.modules()]
    buffers = [
        (module, name, buffer, buffer.clone())
        for module in model.modules()
        for name, buffer in module._buffers.items()
        if buffer is not None
    ]
    model.train()
    try:
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for module, name, buffer, before in buffers:  # a forward may write into a buffer, or put another in its place
            module._buffers[name] = buffer
            buffer.copy_(before)


def _has_stock_forward(model: Any) -> bool:
    """Whether the forward is that of a classifier of Transformers, whose loss is cross-entropy: no need to run it."""
    replaced = "forward" in vars(model) and "_original_forward" not in vars(
        model
    )  # Accelerate keeps the original there
    return type(model).forward.__module__.startswith("transformers.models.") and not replaced


def _takes(model: Any, name: str) -> bool:
    """Whether the forward takes an argument of that name, or any. An adapted model hands it on to its base."""
    parameters = inspect.signature(classifier(model).forward).parameters
    return name in parameters or any(each.kind is each.VAR_KEYWORD for each in parameters.values())
