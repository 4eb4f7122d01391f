"""The base class of criteria, which are per-example losses: `(log_probs, targets) -> losses`.

Shapes, for every criterion:

- `log_probs` (..., classes) log-probabilities, as `log_softmax` returns them. Half precision is computed in float32.
- `targets` (...) class ids, where a negative id abstains; or (..., classes) soft labels that broadcast against
  `log_probs`, where an all-zero row abstains.
- losses (...), one per example, never reduced. An abstained example has loss exactly 0 and no gradient.

With soft labels, every criterion is sum_k y_k loss(k). So a criterion only defines the loss of each class
(`Criterion.per_class`).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Real

import torch
from torch import Tensor

from hf_noisy.common.checks import check_choice

_MIN_LOG_PROB = -1e6  # replaces a log-probability of -inf: a target of 0 must give loss 0, and 0 x inf is NaN


class Criterion(ABC):
    """Base class of per-example losses. A subclass defines `per_class`; all shapes above then work.

    >>> class Focal(Criterion):
    ...     def per_class(self, log_probs):
    ...         return -((1 - log_probs.exp()) ** 2) * log_probs
    >>> Focal()(torch.tensor([[0.5, 0.5], [0.9, 0.1]]).log(), torch.tensor([0, -100]))
    tensor([0.1733, 0.0000])
    """

    def __repr__(self) -> str:  # stable, since a checkpoint stores it
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in sorted(vars(self).items()))})"

    @abstractmethod
    def per_class(self, log_probs: Tensor) -> Tensor:
        """(..., classes) finite log-probabilities -> (..., classes) loss of the example if that class is its label."""

    def __call__(self, log_probs: Tensor, targets: Tensor) -> Tensor:
        """The loss of each example. The module docstring gives the shapes."""
        log_probs = log_probs.to(torch.promote_types(log_probs.dtype, torch.float32))
        losses = self.per_class(log_probs.clamp_min(_MIN_LOG_PROB))
        if targets.is_floating_point():
            return (targets.to(losses.dtype) * losses).sum(-1)
        targets = targets.long().broadcast_to(losses.shape[:-1])  # gather would accept shorter targets silently
        chosen = losses.gather(-1, targets.clamp_min(0).unsqueeze(-1)).squeeze(-1)
        return chosen.masked_fill(targets < 0, 0)

    def _check_number(self, name: str, domain: str, accepts: Callable[[float], bool]) -> None:
        """Raise unless the field is a finite number that `accepts` allows. The error suggests the field's default."""
        value = getattr(self, name)
        problem = f"{name}={value!r}: expected a number {domain}. Did you mean {getattr(type(self), name)}?"
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(problem)
        if not (math.isfinite(value) and accepts(float(value))):
            raise ValueError(problem)

    def _check_choice(self, name: str, *choices: str) -> None:
        """Raise unless the field is one of `choices`."""
        check_choice(name, getattr(self, name), choices)
