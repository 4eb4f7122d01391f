"""Processes for runs: they start with the libraries loaded, and end with their parent."""

from __future__ import annotations

import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

_PRELOADED = ["hf_noisy", "hf_noisy.benchmark.rows", "hf_noisy.benchmark.results", "hf_noisy.data.accuracy_f1"]


class Workers:
    """Calls functions in other processes, one at a time for each calling thread. A context manager.

    Args:
        reuse: whether the next call of a thread uses the same process, which saves its start. A process that died is
            replaced. Otherwise each call has a process of its own.
    """

    def __init__(self, *, reuse: bool) -> None:
        self._reuse, self._kept = reuse, threading.local()
        self._pools: list[ProcessPoolExecutor] = []

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *raised: object) -> None:
        for pool in self._pools:
            pool.shutdown()

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Returns `function(*args)`, computed in a process.

        Raises:
            BrokenProcessPool: the process died.
        """
        if not self._reuse:
            with _one_process() as pool:
                return pool.submit(function, *args).result()
        if getattr(self._kept, "pool", None) is None:
            self._kept.pool = _one_process()
            self._pools.append(self._kept.pool)
        try:
            return self._kept.pool.submit(function, *args).result()
        except BrokenProcessPool:
            self._kept.pool = None
            raise


def _one_process() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, mp_context=fresh_processes(), initializer=end_with_parent)


def fresh_processes() -> Any:
    """Returns a `multiprocessing` context whose processes start with the libraries loaded and no other state."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    return context


def end_with_parent() -> None:
    """Ends this process when its parent ends for any reason, so that a killed benchmark leaves no processes behind."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def peak_memory_mb() -> float:
    """Returns the peak memory of this process in MiB, on its accelerator, or in main memory if it has none.

    On a CPU this includes the interpreter and its libraries.
    """
    import resource

    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)
