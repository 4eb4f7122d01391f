"""A classifier and the matrix by expectation-maximisation, from one label a row."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from hf_noisy.common.checks import check_not_negative
from hf_noisy.evidence.inference.heads import (
    PENALTY,
    Head,
    counted,
    fit_head,
    log_given,
    minimise,
    most_probable,
    principal,
)
from hf_noisy.evidence.matrices.estimate import RESAMPLES, LikelihoodEstimate, Solution, with_interval
from hf_noisy.evidence.matrices.inputs import head_inputs
from hf_noisy.evidence.matrices.matrices import row_shares

_HEAD_STEPS = 5  # of L-BFGS in a maximisation step; it need not reach the maximum
_GAIN = 1e-6  # of log likelihood a row, below which the steps end


def expectation_maximization(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    features: ArrayLike | None = None,
    penalty: float = PENALTY,
    steps: int = 60,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> LikelihoodEstimate:
    """Guesses each row's true class from a classifier and its label, learns classifier and T from the guesses, repeats.

    Expectation: q_ik proportional to p_k(x_i) T_k,label_i. Maximisation: T from the guessed counts, p by some steps of
    a linear head on q. A step of the head is kept only if it does not lower its part of the objective, so the penalised
    log likelihood, sum_i log (p(x_i) T)_label_i - penalty, never falls (generalised EM).

    Source: Raykar et al., "Learning From Crowds", JMLR 2010, with one annotator; for networks Bekker & Goldberger,
    "Training deep neural-networks based on unreliable labels", ICASSP 2016.

    Args:
        probs: (rows, classes) out-of-fold probabilities of the given label; their most probable class is the start.
        labels: (rows,) class ids; negative where a row has none, and is left out.
        features: (rows, width) of a frozen encoder; None lets the head see log(probs).
        penalty: of half the head's squared weights, against the sum of the rows' losses. Where it is too large the head
            is too blunt, where it is too small it learns labels by heart; both take noise from T.
        steps: at most so many; it ends before where a row gains less than 1e-6 nats.
        resamples: of the rows, for the interval; p stays, T takes a few steps from the one found, so the interval knows
            nothing of how uncertain p is, and is too narrow.
        seed: of the resamples; the fit itself draws nothing.

    Returns:
        with `log_likelihoods` (steps + 1,), of the start and after each step.

    Raises:
        ValueError, TypeError: bad probabilities, labels, features or steps.

    Close to `volminnet` where that has a small lambda, and surer to converge.
    """
    check_not_negative("penalty", penalty)
    if steps < 1:
        raise ValueError(f"steps={steps}: expected at least 1.")
    inputs, kept, found = head_inputs(probs, labels, features)
    x, y, predicted = principal(inputs), torch.as_tensor(found), most_probable(kept)
    given = torch.nn.functional.one_hot(y, predicted.shape[1]).double()
    head, matrix = fit_head(x, predicted, penalty), counted(predicted, y)
    log_likelihoods = [_objective(head, matrix, x, y)]
    for _ in range(steps):
        guessed = _guess(head.log_probs(x).detach().exp(), matrix, y)
        matrix = torch.as_tensor(row_shares((guessed.T @ given).numpy()))
        _improve(head, x, guessed)
        log_likelihoods.append(_objective(head, matrix, x, y))
        if log_likelihoods[-1] - log_likelihoods[-2] < _GAIN * len(x):
            break
    clean, final = head.log_probs(x).detach().exp().numpy(), matrix.numpy()
    estimate = with_interval(
        lambda weights: (final, clean.mean(0)),
        len(found),
        resamples,
        seed,
        again=lambda weights: likelihood_steps(clean, found, final, weights),
    )
    return LikelihoodEstimate(**vars(estimate), log_likelihoods=np.array(log_likelihoods))


def likelihood_steps(
    clean: np.ndarray, labels: np.ndarray, matrix: np.ndarray, weights: np.ndarray, steps: int = 3
) -> Solution:
    """Some steps of expectation-maximisation of the matrix alone, on weighted rows, and the prior.

    Args:
        clean: (rows, classes) probabilities of the true class, which stay.
        labels: (rows,) given.
        matrix: (classes, classes) to start from.
        weights: (rows,), how often each row counts.
        steps: of the matrix.
    """
    given = np.eye(len(matrix))[labels]
    for _ in range(steps):
        joint = clean * matrix[:, labels].T
        joint *= (weights / np.maximum(joint.sum(1), 1e-300))[:, None]
        matrix = row_shares(joint.T @ given)
    return matrix, weights @ clean / weights.sum()


def _guess(clean: Tensor, matrix: Tensor, labels: Tensor) -> Tensor:
    """(rows, classes) of the true class, given x and the label."""
    joint = clean * matrix[:, labels].T
    return joint / joint.sum(1, keepdim=True).clamp_min(1e-300)


def _improve(head: Head, inputs: Tensor, guessed: Tensor) -> None:
    """Some steps of the head towards the guesses; taken back where they lead away."""

    def loss() -> Tensor:
        return (-(guessed * head.log_probs(inputs)).sum() + head.cost()) / len(inputs)

    before, weight, bias = loss().item(), head.weight.detach().clone(), head.bias.detach().clone()
    minimise(loss, (head.weight, head.bias), _HEAD_STEPS)
    if not loss().item() <= before:
        with torch.no_grad():
            head.weight.copy_(weight)
            head.bias.copy_(bias)


def _objective(head: Head, matrix: Tensor, inputs: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float(log_given(head, matrix, inputs, labels).sum() - head.cost())
