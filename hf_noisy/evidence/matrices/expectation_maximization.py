"""Expectation-maximisation of a classifier and the transition matrix, from one label per row."""

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
    log_label_probability,
    minimise,
    most_probable,
    principal,
)
from hf_noisy.evidence.inputs import head_inputs
from hf_noisy.evidence.matrices.estimate import RESAMPLES, LikelihoodEstimate, Solution, with_interval
from hf_noisy.evidence.matrices.matrices import row_shares

_HEAD_STEPS = 5  # L-BFGS steps per maximisation, which need not reach the maximum
_GAIN = 1e-6  # gain in log likelihood per row below which EM stops


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
    """Alternates between posteriors of each row's true class and a fit of the classifier and T to these posteriors.

    Expectation: q_ik is proportional to p_k(x_i) T_k,label_i. Maximisation: T is the row-normalised expected counts; p
    is fitted to q by a few steps of a linear head. The steps of the head are kept only if they do not lower its part of
    the objective. The penalised log likelihood, sum_i log (p(x_i) T)_label_i - penalty, therefore never decreases
    (generalised EM).

    Source: Raykar et al., "Learning From Crowds", JMLR 2010, with one annotator; for networks Bekker & Goldberger,
    "Training deep neural-networks based on unreliable labels", ICASSP 2016.

    Args:
        probs: (rows, classes) out-of-fold probabilities of the given label; the fit starts from their most probable
            class.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.
        features: (rows, width) of a frozen encoder; with None the input of the head is log(probs).
        penalty: weight of half the head's squared weights, against the sum of the losses over rows. If it is too large
            the head underfits; if it is too small the head memorises the labels. In both cases T contains too little
            noise.
        steps: maximum number of steps. They stop earlier if the gain per row is less than 1e-6 nats.
        resamples: number of bootstrap resamples of the rows, for the interval. p stays fixed and T takes a few steps
            from the estimate. The interval ignores the uncertainty of p, so it is too narrow.
        seed: seed of the resamples; the fit itself is deterministic.

    Returns:
        The estimate with `log_likelihoods` (at most steps + 1,), of the start and after each step.

    Raises:
        ValueError, TypeError: bad probabilities, labels, features or steps.

    Close to `volminnet` with a small lambda, and converges more reliably.
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
        posteriors = _true_class_posteriors(head.log_probs(x).detach().exp(), matrix, y)
        matrix = torch.as_tensor(row_shares((posteriors.T @ given).numpy()))
        _update_head(head, x, posteriors)
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
    """Runs a few EM steps of the matrix alone on weighted rows; returns the matrix and the prior.

    Args:
        clean: (rows, classes) probabilities of the true class, which stay fixed.
        labels: (rows,) given labels.
        matrix: (classes, classes) initial matrix.
        weights: (rows,) how often each row counts.
        steps: number of steps.
    """
    given = np.eye(len(matrix))[labels]
    for _ in range(steps):
        joint = clean * matrix[:, labels].T
        joint *= (weights / np.maximum(joint.sum(1), 1e-300))[:, None]
        matrix = row_shares(joint.T @ given)
    return matrix, weights @ clean / weights.sum()


def _true_class_posteriors(clean: Tensor, matrix: Tensor, labels: Tensor) -> Tensor:
    """Computes the posteriors of the true class given x and the label, (rows, classes)."""
    joint = clean * matrix[:, labels].T
    return joint / joint.sum(1, keepdim=True).clamp_min(1e-300)


def _update_head(head: Head, inputs: Tensor, posteriors: Tensor) -> None:
    """Fits the head to the posteriors by a few steps; undoes them if they increase the loss."""

    def loss() -> Tensor:
        return (-(posteriors * head.log_probs(inputs)).sum() + head.cost()) / len(inputs)

    before, weight, bias = loss().item(), head.weight.detach().clone(), head.bias.detach().clone()
    minimise(loss, (head.weight, head.bias), _HEAD_STEPS)
    if not loss().item() <= before:
        with torch.no_grad():
            head.weight.copy_(weight)
            head.bias.copy_(bias)


def _objective(head: Head, matrix: Tensor, inputs: Tensor, labels: Tensor) -> float:
    with torch.no_grad():
        return float(log_label_probability(head, matrix, inputs, labels).sum() - head.cost())
