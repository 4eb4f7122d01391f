"""Train Hugging Face text classifiers on labels you cannot trust."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_noisy.public import *  # noqa: F403

__version__ = "0.3.0.dev0"
__all__ = [  # noqa: F405 (found in hf_noisy.public)
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


def __getattr__(name: str) -> Any:
    """Import torch and the Trainer when they are first needed, not for the help of a command."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import hf_noisy.public

    value = getattr(hf_noisy.public, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
