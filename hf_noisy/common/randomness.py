"""Random generators that depend on a key only, and blocks that leave the global generators as they were."""

from __future__ import annotations

import hashlib
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


def keyed_generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """A random generator that depends on nothing but `key`, so that a resumed run draws what the unbroken run drew.

    >>> a, b = keyed_generator(0, 12, "word_dropout"), keyed_generator(0, 12, "word_dropout")
    >>> torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
    True
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big") >> 1)
