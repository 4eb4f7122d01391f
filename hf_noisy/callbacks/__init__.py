"""Methods as callbacks, one file each."""

from hf_noisy.callbacks.auto import AutoMethod
from hf_noisy.callbacks.base import NoiseCallback
from hf_noisy.callbacks.candidate_labels import CandidateLabels
from hf_noisy.callbacks.class_weights import ClassWeights
from hf_noisy.callbacks.co_teaching import CoTeaching
from hf_noisy.callbacks.co_teaching_plus import CoTeachingPlus
from hf_noisy.callbacks.consistency import ConsistencyRegularization
from hf_noisy.callbacks.dividemix import DivideMix
from hf_noisy.callbacks.dynamics import ExampleDynamics
from hf_noisy.callbacks.elr import EarlyLearningRegularization
from hf_noisy.callbacks.gold_loss_correction import GoldLossCorrection
from hf_noisy.callbacks.jocor import JoCoR
from hf_noisy.callbacks.label_correction import LabelCorrection
from hf_noisy.callbacks.loss_correction import BackwardCorrection, ForwardCorrection, UniformNoise
from hf_noisy.callbacks.mentornet import MentorNet
from hf_noisy.callbacks.model_average import ModelAverage
from hf_noisy.callbacks.neighbours import Neighbours
from hf_noisy.callbacks.noise_adaptation import NoiseAdaptation
from hf_noisy.callbacks.pseudo_labeling import PseudoLabeling
from hf_noisy.callbacks.rule_masking import RuleMasking
from hf_noisy.callbacks.self_training import SelfTraining
from hf_noisy.callbacks.selfmix import SelfMix
from hf_noisy.callbacks.stopping import NoisyStopping
from hf_noisy.callbacks.supervision_record import SupervisionRecord
from hf_noisy.callbacks.truncated_gce import TruncatedGCE
from hf_noisy.callbacks.truth_inference import TruthInference

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
