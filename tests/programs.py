"""Runs a script of this project as a program, in a process that need not import torch and Transformers first.

The process is forked from a server that has imported them and done nothing else: five seconds less a command.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from subprocess import CompletedProcess, TimeoutExpired

ROOT = Path(__file__).resolve().parents[1]
PRELOADED = (
    "torch",
    "transformers.trainer",
    "sklearn.linear_model",
    "hf_noisy.trainer.noisy_trainer",
    "hf_noisy.recipe",
)


def run_program(
    words: Sequence[str | Path], *, environment: Mapping[str, str] | None = None, cwd: Path = ROOT, seconds: float = 400
) -> CompletedProcess[str]:
    """What `python SCRIPT ...` or `hf-noisy ...` prints, and how it ends; Hub and other threads are off.

    Args:
        words: "python" and a script, or "hf-noisy", and what they are told.
        environment: in addition to this process's.
        cwd: where it runs.
        seconds: after which it is killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(PRELOADED))
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **(environment or {})}
    with tempfile.TemporaryDirectory() as folder:
        out, err = Path(folder, "out"), Path(folder, "err")
        process = context.Process(target=_become, args=([str(word) for word in words], variables, cwd, out, err))
        process.start()
        process.join(seconds)
        if process.is_alive():
            process.kill()
            process.join()
            raise TimeoutExpired(list(map(str, words)), seconds, out.read_text(), err.read_text())
        assert process.exitcode is not None
        return CompletedProcess(list(map(str, words)), process.exitcode, out.read_text(), err.read_text())


def _become(words: list[str], environment: dict[str, str], cwd: Path, out: Path, err: Path) -> None:
    for path, number in ((out, 1), (err, 2)):
        file = os.open(path, os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
        os.close(file)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environment)
    import torch

    torch.set_num_threads(int(environment["OMP_NUM_THREADS"]))
    if words[0] == "hf-noisy":
        from hf_noisy.cli import main

        sys.argv = words
        sys.exit(main())
    script = cwd / words[1]
    sys.argv, sys.path[0] = words[1:], str(script.parent)
    runpy.run_path(str(script), run_name="__main__")
