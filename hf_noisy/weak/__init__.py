"""Weak supervision: labeling functions, their votes, label models, and labels from language models."""

from hf_noisy.weak.label_model import label_model_probabilities
from hf_noisy.weak.labeling_functions import apply_labeling_functions
from hf_noisy.weak.labels import labels_from_votes
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.summary import summarize_votes
from hf_noisy.weak.votes import covered, votes_of

__all__ = [
    "apply_labeling_functions",
    "covered",
    "hard_labels",
    "label_model_probabilities",
    "labels_from_votes",
    "majority_vote",
    "summarize_votes",
    "votes_of",
]
