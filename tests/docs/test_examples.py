"""The lessons keep their word: each script and each notebook runs, on a few rows, and the two are the same code."""

from __future__ import annotations

import os
import runpy
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "examples" / "lessons").glob("*.py"))
LESSON = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
CELL_SECONDS = 120  # a cell takes a few, where nothing else runs


@pytest.fixture
def quick(monkeypatch, tmp_path) -> Path:
    """Few rows and epochs, and a folder of its own to write into."""
    monkeypatch.setenv("HF_NOISY_QUICK", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@LESSON
def test_a_notebook_is_its_script(lesson):
    notebook_of = runpy.run_path(str(ROOT / "examples" / "notebooks.py"))["notebook_of"]
    written = lesson.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert written == notebook_of(lesson), "run `python examples/notebooks.py`"


def test_there_is_no_notebook_without_a_script():
    notebooks = (ROOT / "examples").rglob("*.ipynb")
    assert sorted(path.with_suffix(".py") for path in notebooks) == LESSONS


@pytest.mark.slow
@LESSON
def test_a_script_runs_and_draws(lesson, quick):
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    runpy.run_path(str(lesson), run_name="__main__")
    plt.close("all")
    assert list((quick / "output" / "lessons").glob("*.png"))


@pytest.fixture(scope="module")
def kernel() -> Iterator:
    """One kernel for all notebooks, so that torch is imported once; each notebook starts without the names of the last."""
    from jupyter_client import KernelManager

    manager = KernelManager(kernel_name="python3")
    manager.start_kernel(env={**os.environ, "HF_NOISY_QUICK": "1", "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"})
    yield manager
    manager.shutdown_kernel(now=True)


@pytest.mark.slow
@LESSON
def test_a_notebook_runs_and_shows_its_figures(lesson, tmp_path, kernel):
    from nbclient import NotebookClient

    notebook = nbformat.read(lesson.with_suffix(".ipynb"), as_version=4)
    start = nbformat.v4.new_code_cell(f"%reset -f\n%cd -q {tmp_path}")
    notebook.cells.insert(0, start)
    client = NotebookClient(notebook, km=kernel, timeout=CELL_SECONDS)
    try:
        client.execute()
    finally:
        client.kc.stop_channels()  # left open for a kernel that is not the client's own
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert any("image/png" in output.get("data", {}) for output in outputs)
