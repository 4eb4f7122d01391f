"""Each lesson runs on a few rows, its notebook is its script, and its page of the site shows the script's code and text."""

from __future__ import annotations

import importlib.util
import os
import re
import runpy
from collections.abc import Iterator
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).resolve().parents[2]
LESSONS = sorted((ROOT / "examples" / "lessons").glob("*.py"))
LESSON = pytest.mark.parametrize("lesson", LESSONS, ids=lambda path: path.stem)
PAGES, IMAGES = ROOT / "docs" / "tutorials", ROOT / "docs" / "images" / "tutorials"
SPEC = importlib.util.spec_from_file_location("tutorials", ROOT / "tests" / "measure" / "tutorials.py")
tutorials = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(tutorials)
CELL_SECONDS = 120  # a cell takes a few, where nothing else runs


@LESSON
def test_a_notebook_is_its_script(lesson):
    notebook_of = runpy.run_path(str(ROOT / "examples" / "notebooks.py"))["notebook_of"]
    written = lesson.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert written == notebook_of(lesson), "run `python examples/notebooks.py`"


def test_there_is_no_notebook_without_a_script():
    notebooks = (ROOT / "examples").rglob("*.ipynb")
    assert sorted(path.with_suffix(".py") for path in notebooks) == LESSONS


@LESSON
def test_a_page_is_its_script_with_outputs(lesson):
    page, notebook = (PAGES / f"{lesson.stem}.md").read_text(encoding="utf-8"), jupytext.read(lesson)
    assert page.startswith(f"{tutorials.first_line(lesson.stem)}\n\n# ")
    outputs = tutorials.outputs_between(page, lesson.stem, notebook)
    assert all(tutorials.OUTPUT.fullmatch(output) for output in outputs), (
        "the page has something that its script has not"
    )
    for cell, output in zip(notebook.cells, outputs, strict=True):
        alternatives = [cell.metadata["alt"]] if "alt" in cell.metadata else []
        assert re.findall(r"!\[([^\]]+)\]", output) == alternatives


def test_the_text_of_a_page_is_renewed_without_running_it():
    notebook = jupytext.reads("# %% [markdown]\n# New.\n\n# %%\nprint(1)\n", fmt="py:percent")
    page = f"{tutorials.first_line('one')}\n\nOld.\n\n```python\nprint(1)\n```\n\n```text\n1\n```\n"
    assert tutorials.with_new_text(page, "one", notebook) == page.replace("Old.", "New.")
    with pytest.raises(ValueError, match="is not on its page"):
        tutorials.with_new_text(page.replace("print(1)", "print(2)"), "one", notebook)


def test_every_lesson_has_a_page_its_figures_and_a_row_of_the_index():
    lessons = {lesson.stem for lesson in LESSONS}
    assert {page.stem for page in PAGES.glob("*.md")} == {*lessons, "index"}
    index = (PAGES / "index.md").read_text(encoding="utf-8")
    assert set(re.findall(r"\]\((\w+)\.md\)", index)) >= lessons
    shown = {
        name for page in PAGES.glob("*.md") for name in re.findall(r"images/tutorials/([\w.]+)\)", page.read_text())
    }
    assert shown == {path.name for path in IMAGES.iterdir()}


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
    notebook = nbformat.read(lesson.with_suffix(".ipynb"), as_version=4)
    tutorials.run(notebook, f"%reset -f\n%cd -q {tmp_path}\nimport tqdm.auto", km=kernel, timeout=CELL_SECONDS)
    page, figures = tutorials.page_of(lesson.stem, notebook)
    assert figures
    assert page.count("](../images/tutorials/") == len(figures)
    assert len(list((tmp_path / "output" / "lessons").glob("*.png"))) == len(figures), "a figure is not saved"


def test_a_figure_without_a_text_alternative_is_refused():
    cell = nbformat.v4.new_code_cell("draw()")
    cell.outputs = [nbformat.v4.new_output("display_data", {"image/svg+xml": "<svg/>"})]
    with pytest.raises(ValueError, match="a text alternative"):
        tutorials.page_of("lesson", nbformat.v4.new_notebook(cells=[cell]))


def test_a_page_names_no_folder_of_the_machine_that_wrote_it():
    assert tutorials.printable("a line\n") == "a line"
    with pytest.raises(ValueError, match="a folder of this machine"):
        tutorials.printable(f"{ROOT}/file.py: a warning")
