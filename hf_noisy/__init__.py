"""Train Hugging Face text classifiers on labels you cannot trust."""

from hf_noisy.arguments import NoisyTrainingArguments
from hf_noisy.callbacks import (
    BackwardCorrection,
    CoTeaching,
    CoTeachingPlus,
    DivideMix,
    EarlyLearningRegularization,
    ForwardCorrection,
    GoldLossCorrection,
    JoCoR,
    MentorNet,
    NoiseAdaptation,
    NoiseCallback,
    SelfMix,
    TruncatedGCE,
    UniformNoise,
)
from hf_noisy.corpus import Corpus, hold_out, load_corpus
from hf_noisy.losses import (
    ActivePassive,
    Bootstrapping,
    Criterion,
    CrossEntropy,
    GeneralizedCrossEntropy,
    LabelSmoothing,
    MeanAbsoluteError,
    SymmetricCrossEntropy,
)
from hf_noisy.memory import Memory
from hf_noisy.methods import METHODS
from hf_noisy.metrics import compute_metrics
from hf_noisy.supervision import Batch, Context, Predictions, Supervision, Survey
from hf_noisy.trainer import NoisyTrainer
from hf_noisy.weak import (
    apply_labeling_functions,
    hard_labels,
    label_model_probabilities,
    labels_from_votes,
    majority_vote,
    summarize_votes,
)

__version__ = "0.1.0"
__all__ = [
    "METHODS",
    "ActivePassive",
    "BackwardCorrection",
    "Batch",
    "Bootstrapping",
    "CoTeaching",
    "CoTeachingPlus",
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
    "LabelSmoothing",
    "MeanAbsoluteError",
    "Memory",
    "MentorNet",
    "NoiseAdaptation",
    "NoiseCallback",
    "NoisyTrainer",
    "NoisyTrainingArguments",
    "Predictions",
    "SelfMix",
    "Supervision",
    "Survey",
    "SymmetricCrossEntropy",
    "TruncatedGCE",
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
