"""Tables that are stored as markdown: those kept from an earlier run, and those that checks write into tests/tables."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

from evidence_cells import listed, markdown_table

ROOT = Path(__file__).resolve().parents[2]
STORED, CHECKED = ROOT / "recipes" / "results", ROOT / "tests" / "tables"
_COMMENT = re.compile(r"\A<!-- (?P<command>.*?)\n(?P<run>.*?) -->\n+", re.DOTALL)


def table(name: str) -> str:
    """A table of recipes/results with the run that it is from.

    Raises:
        ValueError: the file does not begin with a comment that says which command printed it.
    """
    text = (STORED / f"{name}.md").read_text(encoding="utf-8")
    comment = _COMMENT.match(text)
    if comment is None:
        raise ValueError(
            f"{name}.md: expected a first line with the command and a second one with the run, in a comment."
        )
    return f"{text[comment.end() :].strip()}\n\n*`recipes/results/{name}.md`. {comment['run']}*"


def command_of(name: str) -> str:
    """The command that printed a stored table."""
    comment = _COMMENT.match((STORED / f"{name}.md").read_text(encoding="utf-8"))
    return "" if comment is None else comment["command"]


# ---- tests/tables --------------------------------------------------------------------------------------------------------


def rows_of(name: str) -> list[dict[str, str]]:
    """The rows of the last table of a file of tests/tables, by column."""
    lines = [line for line in (CHECKED / f"{name}.md").read_text(encoding="utf-8").splitlines() if line.startswith("|")]
    header, _, *rows = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]
    return [dict(zip(header, row, strict=True)) for row in rows]


def whole(name: str) -> str:
    """A file of tests/tables without its title, to fold away below a summary."""
    text = (CHECKED / f"{name}.md").read_text(encoding="utf-8")
    return re.sub(r"\A(<!--.*?-->\s*)?(# .*\n+)?", "", text).strip()


def folded(name: str, *title: str) -> str:
    """`whole`, folded."""
    body = "\n".join(f"    {line}" if line else "" for line in whole(name).splitlines())
    return f'??? note "{" ".join(title)}"\n\n{body}'


def parallel() -> str:
    """What the table of two processes says in short."""
    rows = rows_of("parallel")
    largest = max(float(row["gradient, 1 process and 2"]) for row in rows)
    other = [row["method"] for row in rows if row["compared"] != "as it is"]
    resumed = sum(row["both ranks identical"] == row["resume exact"] == "yes" for row in rows)
    fsdp, parallel = (_runs(row[column] for row in rows) for column in ("FSDP 2", "DataParallel"))
    return (
        f"Over {len(rows)} rows (methods and options), the gradient of two processes differs by at most {largest:.0e} from that of "
        f"one. {len(other)} rows are compared under settings in which they do not decide by the rows of one forward pass. In {resumed} of "
        f"{len(rows)} both processes are identical and resume to the same bits. FSDP 2 runs for {fsdp} and is refused, with the reason, "
        f"for {len(rows) - fsdp}; DataParallel runs for {parallel}; DeepSpeed is refused for all."
    )


def _runs(cells: object) -> int:
    return sum(not str(cell).startswith("refused") for cell in cells)  # type: ignore[attr-defined]


def gpu() -> str:
    """What the table of a GPU says in short."""
    rows = rows_of("gpu")
    parts = [f"{_runs(row[column] for row in rows)} in {column}" for column in ("float32", "bf16", "fp16")]
    resumed = sum(row["resumed"] == "to the bit" for row in rows)
    fsdp = _runs(row["NCCL, FSDP 2"] for row in rows)
    return (
        f"Of {len(rows)} methods, {listed(parts)} run on the GPU, and {resumed} resume to the same bits. FSDP 2 over NCCL, in a group of "
        f"one, runs for {fsdp} and is refused for {len(rows) - fsdp}. Several GPUs were not available."
    )


def precision() -> str:
    """What the table of adapters and precision says in short."""
    rows = rows_of("precision")
    columns = ("LoRA", "activation checkpointing", "`torch_compile`", "bf16")
    parts = [f"{column}: {_runs(row[column] for row in rows)}" for column in columns]
    return f"Number of methods, of {len(rows)}, that run with {listed(parts)}."


def bad_inputs() -> str:
    """How many inputs are refused, by what is wrong with."""
    groups = Counter(row["input"].partition(":")[0] for row in rows_of("bad_inputs"))
    parts = [[group, str(count)] for group, count in groups.most_common()]
    return f"{markdown_table(['what is wrong', 'inputs refused'], [*parts, ['all', str(sum(groups.values()))]])}"


def memory() -> str:
    """Bytes a row of what is always kept and of the methods, and the longest times of a checkpoint."""
    rows = rows_of("memory")
    always = sum(int(row["stated"]) for row in rows if row["method"].startswith(("always", "with a method")))
    own = {row["method"]: int(row["measured"]) for row in rows if not row["method"].startswith(("always", "with"))}
    most, second = sorted(own, key=lambda name: -own[name])[0], sorted(own.values(), reverse=True)
    written = [
        (float(row["write, s"]), float(row["read, s"]), row["method"]) for row in rows if row["write, s"] != "not run"
    ]
    longest = max(written)
    return (
        f"Every training keeps {always} bytes a row. Methods add between none and {own[most]} bytes a row (`{most}`; the median of those in "
        f"the table is {second[len(second) // 2]}). Checkpoints are written in at most {longest[0]:.0f} s and read in {longest[1]:.0f} s "
        f"(`{longest[2]}`)."
    )
