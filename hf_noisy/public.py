"""Imports every public name. `hf_noisy` imports this module when a public name is first used."""

from hf_noisy.data.corpus import Corpus, hold_out, load_corpus
from hf_noisy.data.metrics import compute_metrics
from hf_noisy.methods import (
    AutoMethod,
    BackwardCorrection,
    CandidateLabels,
    ClassWeights,
    ConsistencyRegularization,
    CoTeaching,
    CoTeachingPlus,
    DivideMix,
    EarlyLearningRegularization,
    ForwardCorrection,
    GoldLossCorrection,
    JoCoR,
    LabelCorrection,
    MentorNet,
    ModelAverage,
    Neighbours,
    NoiseAdaptation,
    NoiseCallback,
    NoisyStopping,
    PseudoLabeling,
    RuleMasking,
    SelfMix,
    SelfTraining,
    TruncatedGCE,
    TruthInference,
    UniformNoise,
)
from hf_noisy.methods.parts.losses import (
    ActivePassive,
    Bootstrapping,
    CrossEntropy,
    GeneralizedCrossEntropy,
    LabelSmoothing,
    MeanAbsoluteError,
    SymmetricCrossEntropy,
)
from hf_noisy.methods.parts.memory import Memory
from hf_noisy.methods.registry import METHODS
from hf_noisy.models.batch import Batch
from hf_noisy.models.context import Context, Survey
from hf_noisy.models.criterion import Criterion
from hf_noisy.models.predictions import Predictions
from hf_noisy.models.supervision import Supervision
from hf_noisy.trainer.arguments import NoisyTrainingArguments
from hf_noisy.trainer.noisy_trainer import NoisyTrainer
from hf_noisy.weak.label_model import label_model_probabilities
from hf_noisy.weak.labeling_functions import apply_labeling_functions
from hf_noisy.weak.labels import labels_from_votes
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.summary import summarize_votes

__all__ = [
    "METHODS",
    "ActivePassive",
    "AutoMethod",
    "BackwardCorrection",
    "Batch",
    "Bootstrapping",
    "CandidateLabels",
    "ClassWeights",
    "CoTeaching",
    "CoTeachingPlus",
    "ConsistencyRegularization",
    "Context",
    "Corpus",
    "Criterion",
    "CrossEntropy",
    "DivideMix",
    "EarlyLearningRegularization",
    "ForwardCorrection",
    "GeneralizedCrossEntropy",
    "GoldLossCorrection",
    "JoCoR",
    "LabelCorrection",
    "LabelSmoothing",
    "MeanAbsoluteError",
    "Memory",
    "MentorNet",
    "ModelAverage",
    "Neighbours",
    "NoiseAdaptation",
    "NoiseCallback",
    "NoisyStopping",
    "NoisyTrainer",
    "NoisyTrainingArguments",
    "Predictions",
    "PseudoLabeling",
    "RuleMasking",
    "SelfMix",
    "SelfTraining",
    "Supervision",
    "Survey",
    "SymmetricCrossEntropy",
    "TruncatedGCE",
    "TruthInference",
    "UniformNoise",
    "apply_labeling_functions",
    "compute_metrics",
    "hard_labels",
    "hold_out",
    "label_model_probabilities",
    "labels_from_votes",
    "load_corpus",
    "majority_vote",
    "summarize_votes",
]
