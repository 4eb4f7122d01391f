"""T-revision: the matrix of anchor points plus a learned slack."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hf_noisy.common.checks import check_not_negative
from hf_noisy.evidence.inference.heads import PENALTY, Head, log_label_probability, minimise, new_head, principal
from hf_noisy.evidence.inputs import head_inputs
from hf_noisy.evidence.matrices.anchors import PERCENTILE, anchor_matrix, check_percentile
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate, Solution, with_interval

_FORWARD_STEPS = 60  # L-BFGS steps of the classifier, before the slack is learned
_REVISION_STEPS = 100  # Adam steps
_LEARNING_RATE = 5e-3


def t_revision(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    features: ArrayLike | None = None,
    percentile: float = PERCENTILE,
    penalty: float = PENALTY,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NoiseEstimate:
    """Takes T from anchor points, fits a classifier with it, then updates both by the reweighted loss.

    The loss is the cross-entropy of p, weighted by p_label / (p T)_label, which is large if the label is probably
    correct. The gradient of the slack comes only from the weight; the classifier has no gradient through the weight.
    The rows of T are projected onto the simplex after each step. A fifth of the rows is held out, and the step with the
    largest likelihood of their labels is returned.

    Source: Xia et al., "Are Anchor Points Really Indispensable in Label-Noise Learning?", NeurIPS 2019. There the
    classifier is a deep network, the step is chosen by accuracy on noisy validation labels, and T is not projected.

    Args:
        probs: (rows, classes) out-of-fold probabilities of the given label.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.
        features: (rows, width) of a frozen encoder; with None the input of the head is log(probs).
        percentile: percentile of the anchors, as in `anchor_points`.
        penalty: weight of half the head's squared weights, against the sum of the losses over rows. If it is too large
            the head underfits; if it is too small the head memorises the labels. In both cases T contains too little
            noise.
        resamples: number of bootstrap resamples of the rows, for the interval. The anchors are recomputed, the slack
            stays fixed.
        seed: seed of the resamples; the fit itself is deterministic.

    Raises:
        ValueError, TypeError: bad probabilities, labels or features.

    Changes the anchor matrix only a little, in the direction that fits the labels. An estimate that starts far from the
    truth stays far from it.
    """
    check_not_negative("penalty", penalty)
    inputs, kept, found = head_inputs(probs, labels, features)
    check_percentile(percentile)
    x, y, order = principal(inputs), torch.as_tensor(found), kept.argsort(0, kind="stable")
    start = anchor_matrix(kept, order, np.ones(len(kept)), percentile)
    matrix, clean = _revise(x, y, torch.as_tensor(start), penalty)
    slack = matrix - start

    def again(weights: np.ndarray) -> Solution:
        moved = torch.as_tensor(anchor_matrix(kept, order, weights, percentile) + slack)
        return on_simplex(moved).numpy(), weights @ clean / weights.sum()

    return with_interval(lambda weights: (matrix, clean.mean(0)), len(found), resamples, seed, again=again)


def on_simplex(table: Tensor) -> Tensor:
    """Projects each row onto the probability simplex, that is to the nearest distribution.

    Source: Duchi et al., "Efficient Projections onto the l1-Ball", ICML 2008.

    >>> on_simplex(torch.tensor([[1.2, 0.0], [0.6, 0.6]]))
    tensor([[1.0000, 0.0000],
            [0.5000, 0.5000]])
    """
    ordered = table.sort(-1, descending=True).values
    excess = (ordered.cumsum(-1) - 1) / torch.arange(1, table.shape[-1] + 1, dtype=table.dtype)
    kept = (ordered > excess).sum(-1, keepdim=True)
    return (table - excess.gather(-1, kept - 1)).clamp_min(0)


def _revise(inputs: Tensor, labels: Tensor, start: Tensor, penalty: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the revised matrix (classes, classes) and the classifier's clean probabilities (rows, classes)."""
    classes, held = len(start), torch.arange(len(inputs)) % 5 == 4
    head, matrix = new_head(classes, inputs.shape[1], penalty), start.clone().requires_grad_()
    x, y = inputs[~held], labels[~held]
    minimise(
        lambda: (-log_label_probability(head, start, x, y).sum() + head.cost()) / len(x),
        (head.weight, head.bias),
        _FORWARD_STEPS,
    )
    optimizer = torch.optim.Adam([head.weight, head.bias, matrix], lr=_LEARNING_RATE)
    best, chosen = -torch.inf, (start, head.log_probs(inputs).detach())
    for step in range(_REVISION_STEPS + 1):
        with torch.no_grad():
            if step:
                matrix.copy_(on_simplex(matrix))
            score = float(log_label_probability(head, matrix, inputs[held], labels[held]).mean())
            if score > best:
                best, chosen = score, (matrix.detach().clone(), head.log_probs(inputs))
        optimizer.zero_grad()
        (_reweighted(head, matrix, x, y).mean() + head.cost() / len(x)).backward()
        optimizer.step()
    return chosen[0].numpy(), chosen[1].exp().numpy()


def _reweighted(head: Head, matrix: Tensor, inputs: Tensor, labels: Tensor) -> Tensor:
    """Computes the losses (rows,), each weighted by p_label / (p T)_label."""
    log_clean = head.log_probs(inputs)
    clean = log_clean.detach().exp()
    right = clean.gather(1, labels[:, None])[:, 0]
    weights = right / (clean @ matrix).gather(1, labels[:, None])[:, 0].clamp_min(1e-6)
    return -weights * log_clean.gather(1, labels[:, None])[:, 0]
