"""Runs lessons whole, as notebooks, and writes their pages of the site with what they print and plot.

    python tests/measure/tutorials.py
    python tests/measure/tutorials.py first_training crowd_labels

Without names it runs all of `examples/lessons/`. A lesson that takes more than two minutes fails, and its page stays as it was;
on a machine that does other work, give a higher `--limit`. A cell that draws has a text alternative, `# %% alt="..."`, which
stands on the page in place of the figure for those who cannot see it. Where only the prose of lessons has changed, and no code,
`--text` rewrites the pages with the outputs that they have.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
import textwrap
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from nbclient import NotebookClient

ROOT = Path(__file__).resolve().parents[2]
LESSONS, PAGES = ROOT / "examples" / "lessons", ROOT / "docs" / "tutorials"
IMAGES = ROOT / "docs" / "images" / "tutorials"
SUFFIXES = {"image/svg+xml": ".svg", "image/png": ".png"}
SECONDS = 120
WIDTH = 100  # characters of a line of output
# what a page shows below the code of a cell
OUTPUT = re.compile(r"\s*(?:```text\n.*?\n```\s*)?(?:!\[[^\]]+\]\(\.\./images/tutorials/\w+\.svg\)\s*)?", re.DOTALL)
# a page's figures look like those of the rest of the site, and are the same at each run
STYLE = f"""
import sys, matplotlib, tqdm.auto  # which warns where a notebook has no widgets
sys.path.insert(0, {str(ROOT / "docs" / "generators")!r})
import style
matplotlib.rcParams.update(style.RC)
get_ipython().run_line_magic("config", "InlineBackend.figure_formats = ['svg']")
get_ipython().run_line_magic(
    "config", "InlineBackend.print_figure_kwargs = {{'bbox_inches': None, 'metadata': {{'Date': None, 'Creator': None}}}}"
)
"""
CPU_SECONDS = "import time; print(time.process_time())"


def names() -> list[str]:
    return sorted(script.stem for script in LESSONS.glob("*.py"))


def script_of(name: str) -> Path:
    return LESSONS / f"{name}.py"


# ---- running -----------------------------------------------------------------------------------------------------------


def run(
    notebook: nbformat.NotebookNode, before: str = "", after: str = "pass", **options: Any
) -> tuple[float, list[Any]]:
    """Run the cells of a notebook in place, between two more. Returns the seconds, and the outputs of `after`.

    Args:
        notebook: cells to run; they get their outputs.
        before, after: code of the cells around them.
        options: of `NotebookClient`.
    """
    around = [nbformat.v4.new_code_cell(code) for code in (before, after)]
    whole = nbformat.v4.new_notebook(cells=[around[0], *notebook.cells, around[1]], metadata=notebook.metadata)
    client = NotebookClient(whole, **options)
    begun = time.monotonic()
    try:
        client.execute()
    finally:
        if "km" in options:
            client.kc.stop_channels()  # left open for a kernel that is not the client's own
    return time.monotonic() - begun, around[1].outputs


# ---- pages -------------------------------------------------------------------------------------------------------------


def page_of(name: str, notebook: nbformat.NotebookNode) -> tuple[str, dict[str, bytes]]:
    """The page of a notebook that was run, and its figures by file name.

    Raises:
        ValueError: a figure without a text alternative, two figures in a cell, or an output that a page cannot show.
    """
    parts, figures = [], {}
    for source, cell in zip(sources(name, notebook), notebook.cells, strict=True):
        parts.append(source)
        outputs = cell.get("outputs", [])
        printed = "".join(output["text"] for output in outputs if output["output_type"] == "stream")
        if printed.strip():
            parts.append(f"```text\n{printable(printed)}\n```")
        drawn = [output["data"] for output in outputs if output["output_type"] == "display_data"]
        if len(drawn) + sum(output["output_type"] == "stream" for output in outputs) != len(outputs) or len(drawn) > 1:
            raise ValueError(
                f"{name}: a cell shows a value or several figures. Print the value; draw one figure a cell."
            )
        if bool(drawn) != ("alt" in cell.metadata):
            raise ValueError(
                f'{name}: a cell has a figure, or a text alternative, and not both. Write `# %% alt="..."`.'
            )
        for data in drawn:
            kind = next(kind for kind in SUFFIXES if kind in data)
            file = f"{name}_{len(figures) + 1}{SUFFIXES[kind]}"
            figures[file] = picture(data[kind], kind)
            parts.append(f"![{cell.metadata['alt']}](../images/tutorials/{file})")
    return "\n\n".join([first_line(name), *parts]) + "\n", figures


def first_line(name: str) -> str:
    command = f"python tests/measure/tutorials.py {name}"
    return f"<!-- Written by `{command}` from examples/lessons/{name}.py. Edit that, not this page. -->"


def sources(name: str, notebook: nbformat.NotebookNode) -> list[str]:
    """What a page shows of each cell, without outputs. A link into docs becomes one from the page."""
    return [
        f"```python\n{cell.source}\n```"
        if cell.cell_type == "code"
        else cell.source.replace("../../docs/tutorials/", "").replace("../../docs/", "../")
        for cell in notebook.cells
    ]


def outputs_between(page: str, name: str, notebook: nbformat.NotebookNode) -> list[str]:
    """What stands on a page after each cell of its script: outputs only, if the page is up to date.

    Raises:
        ValueError: a cell of the script is not on the page, or not in its place.
    """
    rest, found = page, []
    for part in [first_line(name), *sources(name, notebook)]:
        before, separator, rest = rest.partition(f"{part}\n")
        if not separator:
            raise ValueError(
                f"{name}: {part[:60]!r} is not on its page. Run `python tests/measure/tutorials.py {name}`."
            )
        found.append(before)
    return [*found[2:], rest]


def with_new_text(page: str, name: str, notebook: nbformat.NotebookNode) -> str:
    """The page with the outputs that it has and the prose of its script.

    Raises:
        ValueError: the code has changed.
    """
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    after = outputs_between(page, name, nbformat.v4.new_notebook(cells=code))
    outputs = iter(OUTPUT.match(text)[0].strip() for text in after)  # type: ignore[index]
    parts = [first_line(name)]
    for source, cell in zip(sources(name, notebook), notebook.cells, strict=True):
        output = next(outputs) if cell.cell_type == "code" else ""
        if "alt" in cell.metadata:
            output = re.sub(r"!\[[^\]]+\]", lambda _, alt=cell.metadata["alt"]: f"![{alt}]", output)
        parts += [source, output] if output else [source]
    return "\n\n".join(parts) + "\n"


def printable(printed: str) -> str:
    """What was printed, in lines of at most 100 characters where words end. No line may name a folder of this machine."""
    lines = [line.rsplit("\r", 1)[-1].rstrip() for line in printed.strip("\n").splitlines()]
    for line in lines:
        if any(folder in line for folder in (str(ROOT), sys.prefix, tempfile.gettempdir(), str(Path.home()))):
            raise ValueError(f"a folder of this machine is in what is printed: {line!r}")
    wrapped = (textwrap.wrap(line, WIDTH, subsequent_indent="    ", break_long_words=False) for line in lines)
    return "\n".join(
        line if len(line) <= WIDTH else "\n".join(parts) for line, parts in zip(lines, wrapped, strict=True)
    )


def picture(data: Any, kind: str) -> bytes:
    """The bytes of a figure's file. SVG has no spaces at the ends of lines."""
    if kind == "image/png":
        from base64 import b64decode

        return b64decode(data)
    return ("\n".join(line.rstrip() for line in str(data).splitlines()) + "\n").encode()


def write(name: str, page: str, figures: dict[str, bytes]) -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    for old in IMAGES.iterdir():
        if re.fullmatch(rf"{name}_\d+", old.stem):
            old.unlink()
    for file, content in figures.items():
        (IMAGES / file).write_bytes(content)
    (PAGES / f"{name}.md").write_text(page, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"lessons, by default all: {', '.join(names())}")
    parser.add_argument("--text", action="store_true", help="run nothing: rewrite the prose, keep the outputs")
    parser.add_argument("--limit", type=float, default=SECONDS, help="the most seconds that a lesson may take")
    given = parser.parse_args(arguments)
    unknown = sorted(set(given.names) - set(names()))
    if unknown:
        parser.error(f"no lesson {', '.join(unknown)}: expected some of {', '.join(names())}")
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.environ.pop("HF_NOISY_QUICK", None)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # so small a model is no faster with two
    slow = 0
    for name in given.names or names():
        notebook = jupytext.read(script_of(name))
        if given.text:
            page = PAGES / f"{name}.md"
            page.write_text(with_new_text(page.read_text(encoding="utf-8"), name, notebook), encoding="utf-8")
            continue
        with tempfile.TemporaryDirectory() as folder:
            options = {"kernel_name": "python3", "resources": {"metadata": {"path": folder}}}
            seconds, outputs = run(notebook, STYLE, CPU_SECONDS, **options)
        cpu = float(outputs[0]["text"])
        print(f"{name}: {seconds:.0f} s, {cpu:.0f} s of all cores", flush=True)
        if seconds > given.limit:
            slow += 1
            print(f"{name}: expected at most {given.limit:.0f} s. Its page is not written.", flush=True)
        else:
            write(name, *page_of(name, notebook))
    return min(slow, 1)


if __name__ == "__main__":
    sys.exit(main())
