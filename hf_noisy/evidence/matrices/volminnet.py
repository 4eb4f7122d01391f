"""VolMinNet: a classifier and a matrix learned together, of all matrices that fit the one of least volume."""

from __future__ import annotations

import torch
from numpy.typing import ArrayLike

from hf_noisy.common.checks import check_not_negative
from hf_noisy.evidence.inference.heads import PENALTY, fit_jointly, most_probable, principal
from hf_noisy.evidence.matrices.estimate import RESAMPLES, NoiseEstimate, with_interval
from hf_noisy.evidence.matrices.expectation_maximization import likelihood_steps
from hf_noisy.evidence.matrices.inputs import head_inputs


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
    """Learns p(true class | x) and T so that p T predicts the labels, and presses T to the smallest volume.

    The loss is -log (p T)_label + lambda log det T, with T_ij = s_ij / sum_j s_ij, s_ii = 1, the others sigmoids, so
    that the diagonal is the largest of its row. No anchor point is needed.

    Source: Li et al., "Provably End-to-end Label-noise Learning without Anchor Points", ICML 2021. There p is a deep
    network; here it is linear, on the 64 leading principal components.

    Args:
        probs: (rows, classes) out-of-fold probabilities of the given label; their most probable class is the start.
        labels: (rows,) class ids; negative where a row has none, and is left out.
        features: (rows, width) of a frozen encoder; None lets the head see log(probs).
        volume_weight: lambda in the paper.
        penalty: of half the head's squared weights, against the sum of the rows' losses. Where it is too large the head
            is too blunt, where it is too small it learns labels by heart; both take noise from T.
        resamples: of the rows, for the interval; p stays, T takes a few steps from the one found, so the interval knows
            nothing of how uncertain p is, and is too narrow.
        seed: of the resamples; the fit itself draws nothing.

    Raises:
        ValueError, TypeError: bad probabilities, labels or features.

    Good where a linear head can tell the classes apart; where it cannot, T takes the blame for what the head lacks, and
    where labels are wrong by a rule the head learns the rule.
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
