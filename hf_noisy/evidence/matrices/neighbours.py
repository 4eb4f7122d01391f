"""HOC: estimates T from how often a row and its nearest neighbours have the same labels."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hf_noisy.common.progress import progress_bar
from hf_noisy.evidence.inputs import check_classes, check_features, check_labels
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate, Solution, interval, resampled
from hf_noisy.evidence.matrices.matrices import noise_rate

_STEPS = 600  # Adam steps from the initial values
_RESAMPLE_STEPS = 25  # Adam steps from the solution, per resample
_BLOCK = 1000  # rows whose similarities are computed at once
_SHARES_AT_ONCE = 2_000_000  # shares of triples held at once, over resamples


def neighbours(
    features: ArrayLike,
    labels: ArrayLike,
    *,
    classes: int | None = None,
    steps: int = _STEPS,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NoiseEstimate:
    """Counts the labels of each row and its two nearest neighbours, and fits T and the prior to the counts.

    If a row and its neighbours have the same true class, their labels are three draws from one row of T, so

        P(j) = sum_i prior_i T_ij,  P(j, k) = sum_i prior_i T_ij T_ik,  P(j, k, l) = sum_i prior_i T_ij T_ik T_il.

    Adam minimises the squared differences to the counted shares, over logits of T and of the prior. The true classes
    are then ordered so that the diagonal is largest. Neighbours are nearest by cosine similarity. Of rows with equal
    vectors only the first is used: a rule or a person gives copies of a text the same label, so their agreement does
    not show how often it is correct.

    Source: Zhu et al., "Clusterability as an Alternative to Anchor Points When Learning with Noisy Labels" (HOC), ICML
    2021. There the neighbours are searched in random subsets of the rows, many times; here once among all rows.

    Args:
        features: (rows, width) of a frozen encoder that was not trained on the labels.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.
        classes: number of classes; by default one more than the largest label.
        steps: number of Adam steps.
        resamples: number of bootstrap resamples of the rows, for the interval. Each row keeps its neighbours, and T
            takes a few steps from the estimate.
        seed: seed of the resamples; the fit itself is deterministic.

    Raises:
        ValueError, TypeError: bad features or labels; fewer than three different rows.

    Needs no model of the labels, but neighbours of one class. If classes overlap, the overlap counts as noise and the
    rate is too high. Its time grows with the square of the rows.
    """
    every = np.asarray(labels)
    vectors = check_features(features, len(every))
    found = check_labels(every, len(vectors), "features")
    vectors, found = vectors[found >= 0], found[found >= 0]
    size = int(found.max(initial=0)) + 1 if classes is None else classes
    check_classes(found, max(size, 2))
    if steps < 1:
        raise ValueError(f"steps={steps}: expected at least 1.")
    triples = label_triples(vectors, found)
    draws = list(resampled(len(triples), resamples, seed))
    wanted = torch.as_tensor(triple_shares(triples, np.ones(len(triples)), size))
    logits, prior_logits = _fit(wanted[None], *_initial_logits(size), steps, learning_rate=0.1)
    rates: list[float] = []
    at_once = max(1, _SHARES_AT_ONCE // size**3)
    for begin in progress_bar("Resampling rows", range(0, resamples, at_once), unit="part"):
        part = draws[begin : begin + at_once]
        shares = torch.as_tensor(np.stack([triple_shares(triples, weights, size) for weights in part]))
        starts = (logits.expand(len(part), -1, -1), prior_logits.expand(len(part), -1))
        rates += [noise_rate(*pair) for pair in _solutions(*_fit(shares, *starts, _RESAMPLE_STEPS, learning_rate=0.03))]
    ((matrix, prior),) = _solutions(logits, prior_logits)
    rate = noise_rate(matrix, prior)
    return NoiseEstimate(matrix, prior, rate, *interval(np.array(rates), rate))


def label_triples(features: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns the labels of each different row and of its two nearest rows by cosine: (different rows, 3).

    Raises:
        ValueError: fewer than three different rows.

    >>> angles = np.array([0, 10, 25, 0, 90]) * np.pi / 180
    >>> label_triples(np.stack([np.cos(angles), np.sin(angles)], 1), np.array([0, 1, 2, 3, 4]))
    array([[0, 1, 2],
           [1, 0, 2],
           [2, 1, 0],
           [4, 2, 1]])
    """
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    units = (features / np.where(lengths > 0, lengths, 1)).astype(np.float32)
    _, first = np.unique(units.round(5), axis=0, return_index=True)
    first = np.sort(first)
    if len(first) < 3:
        raise ValueError(f"features hold {len(first)} different rows: expected at least 3, a row and two neighbours.")
    units, labels = units[first], labels[first]
    nearest = np.empty((len(units), 2), dtype=np.int64)
    for begin in progress_bar("Searching neighbours", range(0, len(units), _BLOCK), unit="block"):
        rows = np.arange(begin, min(begin + _BLOCK, len(units)))
        similarity = units[rows] @ units.T
        similarity[rows - begin, rows] = -np.inf  # no row is its own neighbour
        for place in range(2):
            nearest[rows, place] = similarity.argmax(1)
            similarity[rows - begin, nearest[rows, place]] = -np.inf
    return np.concatenate([labels[:, None], labels[nearest]], 1)


def triple_shares(triples: np.ndarray, weights: np.ndarray, classes: int) -> np.ndarray:
    """Computes the share of rows with each ordered triple of labels: (classes, classes, classes)."""
    places = np.ravel_multi_index(tuple(triples.T), (classes,) * 3)
    return np.bincount(places, weights, minlength=classes**3).reshape((classes,) * 3) / weights.sum()


def consensus(matrix: Tensor, prior: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Computes the shares of labels, pairs and triples that T and the prior imply.

    Args:
        matrix: (n, K, K).
        prior: (n, K).

    Returns:
        (n, K), (n, K, K) and (n, K, K, K).

    >>> first, second, _ = consensus(torch.tensor([[[0.8, 0.2], [0.2, 0.8]]]), torch.tensor([[0.5, 0.5]]))
    >>> second
    tensor([[[0.3400, 0.1600],
             [0.1600, 0.3400]]])
    """
    joint = prior[..., None] * matrix
    pairs = matrix[..., :, :, None] * matrix[..., :, None, :]  # (n, K true, K, K)
    count, classes = matrix.shape[:2]
    second = (prior[..., None, None] * pairs).sum(1)
    third = torch.bmm(joint.transpose(1, 2), pairs.reshape(count, classes, classes**2))
    return joint.sum(1), second, third.reshape(count, classes, classes, classes)


def _initial_logits(classes: int) -> tuple[Tensor, Tensor]:
    """Returns the logits of a matrix with 0.8 on its diagonal, and of a uniform prior."""
    return (
        float(np.log(4 * (classes - 1))) * torch.eye(classes, dtype=torch.float64)[None],
        torch.zeros(1, classes, dtype=torch.float64),
    )


def named(matrix: np.ndarray, prior: np.ndarray) -> Solution:
    """Reorders the true classes of a solution so that the diagonal of the matrix is as large as possible.

    The counts determine the rows of T, but not which row belongs to which class.

    >>> named(np.array([[0.4, 0.6], [0.9, 0.1]]), np.array([0.3, 0.7]))
    (array([[0.9, 0.1],
           [0.4, 0.6]]), array([0.7, 0.3]))
    """
    from scipy.optimize import linear_sum_assignment

    rows, classes = linear_sum_assignment(-matrix)
    order = rows[np.argsort(classes)]
    return matrix[order], prior[order]


def _solutions(logits: Tensor, prior_logits: Tensor) -> list[Solution]:
    matrices, priors = torch.softmax(logits, -1).numpy(), torch.softmax(prior_logits, -1).numpy()
    return [named(*pair) for pair in zip(matrices, priors, strict=True)]


def _fit(
    shares: Tensor, logits: Tensor, prior_logits: Tensor, steps: int, learning_rate: float
) -> tuple[Tensor, Tensor]:
    """Returns the logits after some Adam steps that fit the shares of triples (n, K, K, K), for n problems at once."""
    wanted = (shares.sum((2, 3)), (shares.sum(3) + shares.sum(2)) / 2, shares)  # pairs: mean over the two neighbours
    parameters = [logits.clone().requires_grad_(), prior_logits.clone().requires_grad_()]
    optimizer = torch.optim.Adam(parameters, lr=learning_rate)
    for _ in range(steps):
        found = consensus(torch.softmax(parameters[0], -1), torch.softmax(parameters[1], -1))
        errors = [(ours - theirs).square().sum() for ours, theirs in zip(found, wanted, strict=True)]
        scale = float(shares.shape[-1])  # shares of labels, pairs and triples are of order 1 / K, 1 / K^2, 1 / K^3
        loss = errors[0] * scale + errors[1] * scale**2 + errors[2] * scale**3
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return parameters[0].detach(), parameters[1].detach()
