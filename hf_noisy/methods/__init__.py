"""The noise-robust training methods as callbacks, one per file."""

from hf_noisy.methods.auto import AutoMethod
from hf_noisy.methods.candidate_labels import CandidateLabels
from hf_noisy.methods.class_weights import ClassWeights
from hf_noisy.methods.co_teaching import CoTeaching
from hf_noisy.methods.co_teaching_plus import CoTeachingPlus
from hf_noisy.methods.consistency import ConsistencyRegularization
from hf_noisy.methods.dividemix import DivideMix
from hf_noisy.methods.elr import EarlyLearningRegularization
from hf_noisy.methods.gold_loss_correction import GoldLossCorrection
from hf_noisy.methods.jocor import JoCoR
from hf_noisy.methods.label_correction import LabelCorrection
from hf_noisy.methods.loss_correction import BackwardCorrection, ForwardCorrection, UniformNoise
from hf_noisy.methods.mentornet import MentorNet
from hf_noisy.methods.model_average import ModelAverage
from hf_noisy.methods.neighbours import Neighbours
from hf_noisy.methods.noise_adaptation import NoiseAdaptation
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.parts.dynamics import ExampleDynamics
from hf_noisy.methods.parts.supervision_record import SupervisionRecord
from hf_noisy.methods.pseudo_labeling import PseudoLabeling
from hf_noisy.methods.rule_masking import RuleMasking
from hf_noisy.methods.self_training import SelfTraining
from hf_noisy.methods.selfmix import SelfMix
from hf_noisy.methods.stopping import NoisyStopping
from hf_noisy.methods.truncated_gce import TruncatedGCE
from hf_noisy.methods.truth_inference import TruthInference

__all__ = [
    "AutoMethod",
    "BackwardCorrection",
    "CandidateLabels",
    "ClassWeights",
    "CoTeaching",
    "CoTeachingPlus",
    "ConsistencyRegularization",
    "DivideMix",
    "EarlyLearningRegularization",
    "ExampleDynamics",
    "ForwardCorrection",
    "GoldLossCorrection",
    "JoCoR",
    "LabelCorrection",
    "MentorNet",
    "ModelAverage",
    "Neighbours",
    "NoiseAdaptation",
    "NoiseCallback",
    "NoisyStopping",
    "PseudoLabeling",
    "RuleMasking",
    "SelfMix",
    "SelfTraining",
    "SupervisionRecord",
    "TruncatedGCE",
    "TruthInference",
    "UniformNoise",
]
