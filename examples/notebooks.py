"""Writes the notebooks of `examples/lessons/`: one beside each script, from its `# %%` cells, without outputs.

    python examples/notebooks.py

The scripts are the source: edit those, never the notebooks. A test fails where the two differ.
`python tests/measure/tutorials.py` runs a lesson and writes its page of the site.
"""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbformat

LESSONS = Path(__file__).parent / "lessons"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def notebook_of(script: Path) -> str:
    """The text of the notebook of a script; equal scripts give equal notebooks. Cells keep the text alternative of a figure."""
    notebook = jupytext.read(script)
    notebook.metadata = nbformat.NotebookNode(kernelspec=KERNEL, language_info={"name": "python"})
    for place, cell in enumerate(notebook.cells):
        cell.id = f"cell-{place}"  # a random id would change with every call
        cell.metadata = nbformat.NotebookNode({key: cell.metadata[key] for key in ("alt",) if key in cell.metadata})
    return nbformat.writes(notebook) + "\n"


def main() -> None:
    for script in sorted(LESSONS.glob("*.py")):
        script.with_suffix(".ipynb").write_text(notebook_of(script), encoding="utf-8")
        print(script.with_suffix(".ipynb"))


if __name__ == "__main__":
    main()
