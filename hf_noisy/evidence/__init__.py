"""Noise estimation: estimators of the noise rate and of the matrix P(given label | true class), one function each.

Start with `estimate_noise`. It runs several estimators and reports when none of them is reliable.
"""

from hf_noisy.evidence.features.frozen import mean_vectors, out_of_fold_probabilities, text_vectors
from hf_noisy.evidence.matrices.anchors import anchor_points, dual_t
from hf_noisy.evidence.matrices.confident_joint import confident_joint
from hf_noisy.evidence.matrices.dawid_skene import dawid_skene, label_model_confusion
from hf_noisy.evidence.matrices.estimate import LikelihoodEstimate, NoiseEstimate, VotesEstimate
from hf_noisy.evidence.matrices.expectation_maximization import expectation_maximization
from hf_noisy.evidence.matrices.figure import draw_matrices
from hf_noisy.evidence.matrices.matrices import (
    check_invertible,
    check_matrix,
    clean_posterior,
    noise_rate,
    prior_of,
    total_variation,
)
from hf_noisy.evidence.matrices.neighbours import neighbours
from hf_noisy.evidence.matrices.t_revision import t_revision
from hf_noisy.evidence.matrices.volminnet import volminnet
from hf_noisy.evidence.rates.kinds import KINDS
from hf_noisy.evidence.rates.noise_report import NoiseReport
from hf_noisy.evidence.rates.report import ESTIMATORS, estimate_noise

__all__ = [
    "ESTIMATORS",
    "KINDS",
    "LikelihoodEstimate",
    "NoiseEstimate",
    "NoiseReport",
    "VotesEstimate",
    "anchor_points",
    "check_invertible",
    "check_matrix",
    "clean_posterior",
    "confident_joint",
    "dawid_skene",
    "draw_matrices",
    "dual_t",
    "estimate_noise",
    "expectation_maximization",
    "label_model_confusion",
    "mean_vectors",
    "neighbours",
    "noise_rate",
    "out_of_fold_probabilities",
    "prior_of",
    "t_revision",
    "text_vectors",
    "total_variation",
    "volminnet",
]
