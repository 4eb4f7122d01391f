"""Random generators that depend only on a key, and a context manager that restores the global generators."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


@contextmanager
def forked_generators() -> Iterator[None]:
    """Restore the global generators of Python, NumPy and torch (all devices) at the end of the block.

    >>> torch.manual_seed(0) and None
    >>> with forked_generators():
    ...     _ = torch.rand(100)
    >>> float(torch.rand(())) == float(torch.rand((), generator=torch.Generator().manual_seed(0)))
    True
    """
    python, numpy = random.getstate(), np.random.get_state()
    try:
        with torch.random.fork_rng(devices=range(torch.cuda.device_count())):  # without devices= it warns
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def keyed_generator(*key: int | str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a random generator that depends only on `key`: a resumed run draws the same as an uninterrupted run.

    >>> a, b = keyed_generator(0, 12, "word_dropout"), keyed_generator(0, 12, "word_dropout")
    >>> torch.equal(torch.rand(3, generator=a), torch.rand(3, generator=b))
    True
    """
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest, "big") >> 1)
