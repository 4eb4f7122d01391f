"""A linear classifier of the true class, as light as features of a frozen encoder allow; everything in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_COMPONENTS = 64  # principal components that a head sees: wider ones learn the noise
PENALTY = 1.0  # of half the squared weights, as in scikit-learn; larger ones leave noise to the head, not to T
_SMOOTHING = 0.1  # of a row, in the counts of a start
_RATIOS = (1e-3, 0.95)  # of an entry of T to its diagonal, at the start
_JOINT_STEPS = 150  # of L-BFGS
_SMALLEST = 0.1  # geometric mean of singular values below which T is not pressed, or it would end without an inverse


@dataclass(frozen=True)
class Head:
    """Weights and bias of log P(true class | x), up to a constant."""

    weight: Tensor  # (classes, width)
    bias: Tensor  # (classes,)
    penalty: float  # of half the squared weights, against the sum of losses over rows

    def log_probs(self, inputs: Tensor) -> Tensor:
        """(rows, width) -> (rows, classes)."""
        return torch.log_softmax(inputs @ self.weight.T + self.bias, -1)

    def cost(self) -> Tensor:
        """The penalty of the weights, in nats."""
        return 0.5 * self.penalty * self.weight.square().sum()


def new_head(classes: int, width: int, penalty: float) -> Head:
    """All zero, so that a fit depends on no seed."""
    weight = torch.zeros(classes, width, dtype=torch.float64, requires_grad=True)
    return Head(weight, torch.zeros(classes, dtype=torch.float64, requires_grad=True), penalty)


def principal(features: np.ndarray) -> Tensor:
    """(rows, at most 64) principal components, all divided by one number so that their mean variance is 1."""
    centred = features - features.mean(0)
    if centred.shape[1] > _COMPONENTS:
        _, directions = np.linalg.eigh(centred.T @ centred)
        centred = centred @ directions[:, : -_COMPONENTS - 1 : -1]
    return torch.as_tensor(centred / np.sqrt(centred.var(0).mean() + 1e-12))


def minimise(objective: Callable[[], Tensor], parameters: Iterable[Tensor], steps: int) -> None:
    """At most `steps` steps of L-BFGS with a line search, on all rows at once."""
    optimizer = torch.optim.LBFGS(
        list(parameters), max_iter=steps, max_eval=2 * steps, line_search_fn="strong_wolfe", tolerance_change=1e-10
    )

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = objective()
        loss.backward()
        return loss

    optimizer.step(closure)


def fit_head(inputs: Tensor, targets: Tensor, penalty: float, steps: int = 50) -> Head:
    """Cross-entropy against soft targets (rows, classes)."""
    head = new_head(targets.shape[1], inputs.shape[1], penalty)
    minimise(
        lambda: (-(targets * head.log_probs(inputs)).sum() + head.cost()) / len(inputs),
        (head.weight, head.bias),
        steps,
    )
    return head


def fit_jointly(
    inputs: Tensor,
    labels: Tensor,
    predicted: Tensor,
    penalty: float,
    *,
    volume_weight: float = 1e-4,
) -> tuple[Head, Tensor]:
    """A head and a transition matrix that together predict the given labels, and the matrix of little volume.

    The head starts from the predicted classes, T from how often each of them has each label. From a head of zeros the
    fit often ends at T = identity, where the head alone has learned the noise.

    Args:
        inputs: (rows, width).
        labels: (rows,) given.
        predicted: (rows, classes) one-hot, the most probable class of each row out of fold.
        penalty: of the head.
        volume_weight: of log det T in the loss, whose other part is a mean over rows.

    Returns:
        the head, and T (classes, classes), without gradients.
    """
    classes = predicted.shape[1]
    head, start = fit_head(inputs, predicted, penalty), counted(predicted, labels)
    ratios = (start / start.diag()[:, None].clamp_min(1e-3)).clamp(_RATIOS[0], _RATIOS[1])
    raw = ratios.logit().requires_grad_()
    smallest = classes * math.log(_SMALLEST)

    def loss() -> Tensor:
        matrix = dominant(raw)
        fit = (head.cost() - log_given(head, matrix, inputs, labels).sum()) / len(inputs)
        return fit + volume_weight * torch.linalg.slogdet(matrix).logabsdet.clamp_min(smallest)

    minimise(loss, (head.weight, head.bias, raw), _JOINT_STEPS)
    return Head(head.weight.detach(), head.bias.detach(), penalty), dominant(raw.detach())


def most_probable(probs: np.ndarray) -> Tensor:
    """(rows, classes) one-hot, of the most probable class."""
    return torch.nn.functional.one_hot(torch.as_tensor(probs.argmax(1)), probs.shape[1]).double()


def counted(predicted: Tensor, labels: Tensor) -> Tensor:
    """(classes, classes) how often each predicted class has each label; no entry is 0, where some fits would stay."""
    classes = predicted.shape[1]
    counts = predicted.T @ torch.nn.functional.one_hot(labels, classes).double()
    counts = counts + _SMOOTHING * (torch.eye(classes) + 1 / classes)
    return counts / counts.sum(1, keepdim=True)


def dominant(raw: Tensor) -> Tensor:
    """(K, K) numbers -> a transition matrix whose diagonal is the largest of its row.

    >>> dominant(torch.zeros(2, 2))
    tensor([[0.6667, 0.3333],
            [0.3333, 0.6667]])
    """
    eye = torch.eye(len(raw), dtype=raw.dtype)
    shares = torch.sigmoid(raw) * (1 - eye) + eye
    return shares / shares.sum(1, keepdim=True)


def log_given(head: Head, matrix: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    """(rows,) log (p T)_label, of the head's p and the given labels."""
    given = (head.log_probs(inputs).exp() @ matrix).gather(1, labels[:, None])[:, 0]
    return given.clamp_min(1e-300).log()
