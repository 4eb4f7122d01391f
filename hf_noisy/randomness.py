"""Random numbers that leave the training's own untouched."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def forked_generators() -> Iterator[None]:
    """Whatever is drawn inside, the global generators of Python, NumPy and torch (all devices) are as before.

    >>> torch.manual_seed(0) and None
    >>> with forked_generators():
    ...     _ = torch.rand(100)
    >>> float(torch.rand(())) == float(torch.rand((), generator=torch.Generator().manual_seed(0)))
    True
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # it warns when it has to guess
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)
