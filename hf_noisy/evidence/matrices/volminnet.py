"""VolMinNet: joint fit of a classifier and the matrix of least volume among those that fit."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike

from hf_noisy.common.checks import check_not_negative
from hf_noisy.evidence.inference.heads import PENALTY, fit_jointly, most_probable, principal
from hf_noisy.evidence.inputs import head_inputs
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate, with_interval
from hf_noisy.evidence.matrices.expectation_maximization import likelihood_steps


def volminnet(
    probs: ArrayLike,
    labels: ArrayLike,
    *,
    features: ArrayLike | None = None,
    volume_weight: float = 1e-4,
    penalty: float = PENALTY,
    resamples: int = RESAMPLES,
    seed: int = 0,
) -> NoiseEstimate:
    """Fits p(true class | x) and T so that p T predicts the labels, with a penalty on the volume of T.

    The loss is -log (p T)_label + lambda log det T. T_ij = s_ij / sum_j s_ij with s_ii = 1 and the others sigmoids, so
    that the diagonal is the largest of its row. No anchor point is needed.

    Source: Li et al., "Provably End-to-end Label-noise Learning without Anchor Points", ICML 2021. There p is a deep
    network; here it is linear, on the 64 leading principal components.

    Args:
        probs: (rows, classes) out-of-fold probabilities of the given label; the fit starts from their most probable
            class.
        labels: (rows,) class ids; a row with a negative id has no label and is left out.
        features: (rows, width) of a frozen encoder; with None the input of the head is log(probs).
        volume_weight: lambda in the paper.
        penalty: weight of half the head's squared weights, against the sum of the losses over rows. If it is too large
            the head underfits; if it is too small the head memorises the labels. In both cases T contains too little
            noise.
        resamples: number of bootstrap resamples of the rows, for the interval. p stays fixed and T takes a few steps
            from the estimate. The interval ignores the uncertainty of p, so it is too narrow.
        seed: seed of the resamples; the fit itself is deterministic.

    Raises:
        ValueError, TypeError: bad probabilities, labels or features.

    Works well if a linear head can separate the classes. If it cannot, T absorbs the errors of the head. If labels are
    wrong by a rule, the head learns the rule.
    """
    check_not_negative("volume_weight", volume_weight)
    check_not_negative("penalty", penalty)
    inputs, kept, found = head_inputs(probs, labels, features)
    x, y, predicted = principal(inputs), torch.as_tensor(found), most_probable(kept)
    head, transition = fit_jointly(x, y, predicted, penalty, volume_weight=volume_weight)
    clean, matrix = head.log_probs(x).exp().numpy(), transition.numpy()
    return with_interval(
        lambda weights: (matrix, clean.mean(0)),
        len(found),
        resamples,
        seed,
        again=lambda weights: likelihood_steps(clean, found, matrix, weights),
    )
