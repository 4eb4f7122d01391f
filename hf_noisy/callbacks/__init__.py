"""Methods as callbacks, one file each."""

from hf_noisy.callbacks.base import NoiseCallback
from hf_noisy.callbacks.co_teaching import CoTeaching
from hf_noisy.callbacks.co_teaching_plus import CoTeachingPlus
from hf_noisy.callbacks.dividemix import DivideMix
from hf_noisy.callbacks.dynamics import ExampleDynamics
from hf_noisy.callbacks.elr import EarlyLearningRegularization
from hf_noisy.callbacks.jocor import JoCoR
from hf_noisy.callbacks.mentornet import MentorNet
from hf_noisy.callbacks.selfmix import SelfMix
from hf_noisy.callbacks.supervision_record import SupervisionRecord
from hf_noisy.callbacks.truncated_gce import TruncatedGCE

__all__ = [
    "CoTeaching",
    "CoTeachingPlus",
    "DivideMix",
    "EarlyLearningRegularization",
    "ExampleDynamics",
    "JoCoR",
    "MentorNet",
    "NoiseCallback",
    "SelfMix",
    "SupervisionRecord",
    "TruncatedGCE",
]
