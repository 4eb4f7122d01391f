"""Linear classifier of the true class on features of a frozen encoder; everything in float64."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

_COMPONENTS = 64  # maximum number of principal components, unless another is asked for; a wider head learns the noise
PENALTY = 1.0  # of half the squared weights, as in scikit-learn; if larger, the head absorbs noise from T
_SMOOTHING = 0.1  # weight of the pseudo-counts of the initial T
_RATIO_BOUNDS = (1e-3, 0.95)  # bounds of off-diagonal entries of the initial T, relative to the diagonal
_JOINT_STEPS = 150  # L-BFGS steps
_MIN_SINGULAR_VALUE = 0.1  # bound on the geometric mean of T's singular values, which keeps T invertible


@dataclass(frozen=True)
class Head:
    """Weights and bias of log P(true class | x), up to a constant."""

    weight: Tensor  # (classes, width)
    bias: Tensor  # (classes,)
    penalty: float  # weight of half the squared weights, against the sum of losses over rows

    def log_probs(self, inputs: Tensor) -> Tensor:
        """Computes log-probabilities: (rows, width) -> (rows, classes)."""
        return torch.log_softmax(inputs @ self.weight.T + self.bias, -1)

    def cost(self) -> Tensor:
        """Returns the penalty of the weights, in nats."""
        return 0.5 * self.penalty * self.weight.square().sum()


def new_head(classes: int, width: int, penalty: float) -> Head:
    """Returns a head with all parameters zero, so that a fit does not depend on a seed."""
    weight = torch.zeros(classes, width, dtype=torch.float64, requires_grad=True)
    return Head(weight, torch.zeros(classes, dtype=torch.float64, requires_grad=True), penalty)


def principal(features: np.ndarray, components: int = _COMPONENTS) -> Tensor:
    """Returns (rows, at most `components`) principal components, all divided by one number: their mean variance is 1."""
    centred = features - features.mean(0)
    if centred.shape[1] > components:
        _, directions = np.linalg.eigh(centred.T @ centred)
        centred = centred @ directions[:, : -components - 1 : -1]
    return torch.as_tensor(centred / np.sqrt(centred.var(0).mean() + 1e-12))


def minimise(objective: Callable[[], Tensor], parameters: Iterable[Tensor], steps: int) -> None:
    """Runs at most `steps` steps of L-BFGS with a line search, on all rows at once."""
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
    """Fits a head by cross-entropy to soft targets (rows, classes)."""
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
    """Fits a head and a transition matrix that together predict the given labels, with a small volume of the matrix.

    The head is initialised by a fit to the predicted classes, and T by how often each of them has each label. If the
    head starts from zero, the fit often ends at T = identity, and the head alone has learned the noise.

    Args:
        inputs: (rows, width).
        labels: (rows,) given labels.
        predicted: (rows, classes) one-hot, the most probable class of each row out of fold.
        penalty: penalty of the head.
        volume_weight: weight of log det T in the loss; the other part of the loss is a mean over rows.

    Returns:
        The head, and T (classes, classes), without gradients.
    """
    classes = predicted.shape[1]
    head, start = fit_head(inputs, predicted, penalty), counted(predicted, labels)
    ratios = (start / start.diag()[:, None].clamp_min(1e-3)).clamp(_RATIO_BOUNDS[0], _RATIO_BOUNDS[1])
    raw = ratios.logit().requires_grad_()
    smallest = classes * math.log(_MIN_SINGULAR_VALUE)

    def loss() -> Tensor:
        matrix = dominant(raw)
        fit = (head.cost() - log_label_probability(head, matrix, inputs, labels).sum()) / len(inputs)
        return fit + volume_weight * torch.linalg.slogdet(matrix).logabsdet.clamp_min(smallest)

    minimise(loss, (head.weight, head.bias, raw), _JOINT_STEPS)
    return Head(head.weight.detach(), head.bias.detach(), penalty), dominant(raw.detach())


def most_probable(probs: np.ndarray) -> Tensor:
    """Returns the most probable class of each row as one-hot (rows, classes)."""
    return torch.nn.functional.one_hot(torch.as_tensor(probs.argmax(1)), probs.shape[1]).double()


def counted(predicted: Tensor, labels: Tensor) -> Tensor:
    """Estimates T (classes, classes) by the label shares of each predicted class. No entry is 0: some fits keep a 0."""
    classes = predicted.shape[1]
    counts = predicted.T @ torch.nn.functional.one_hot(labels, classes).double()
    counts = counts + _SMOOTHING * (torch.eye(classes) + 1 / classes)
    return counts / counts.sum(1, keepdim=True)


def dominant(raw: Tensor) -> Tensor:
    """Maps (K, K) real numbers to a transition matrix whose diagonal is the largest of its row.

    >>> dominant(torch.zeros(2, 2))
    tensor([[0.6667, 0.3333],
            [0.3333, 0.6667]])
    """
    eye = torch.eye(len(raw), dtype=raw.dtype)
    shares = torch.sigmoid(raw) * (1 - eye) + eye
    return shares / shares.sum(1, keepdim=True)


def log_label_probability(head: Head, matrix: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    """Computes log (p T)_label of each row, (rows,), from the head's p and the given labels."""
    given = (head.log_probs(inputs).exp() @ matrix).gather(1, labels[:, None])[:, 0]
    return given.clamp_min(1e-300).log()
