"""Methods as callbacks, one file each."""

from hf_noisy.callbacks.base import NoiseCallback
from hf_noisy.callbacks.dynamics import ExampleDynamics
from hf_noisy.callbacks.truncated_gce import TruncatedGCE

__all__ = ["ExampleDynamics", "NoiseCallback", "TruncatedGCE"]
