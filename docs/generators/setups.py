"""What is known of methods on several devices, from the tables that tests write."""

from __future__ import annotations

import re

from evidence_stored import rows_of

_COMMAND = "python tests/trainer/test_distributed.py"


def by_support() -> str:
    """A table: which methods run on several processes, with FSDP 2 and with DataParallel, and which are refused."""
    groups: dict[tuple[str, str], list[str]] = {}
    for method, cells in rows().items():
        groups.setdefault((_said(cells["FSDP 2"]), _said(cells["DataParallel"])), []).append(f"`{method}`")
    lines = ["| methods | several processes | FSDP 2 | DataParallel | DeepSpeed |", "|---|---|---|---|---|"]
    for (fsdp, copies), names in sorted(groups.items(), key=lambda group: -len(group[1])):
        lines.append(f"| {', '.join(names)} | yes | {fsdp} | {copies} | no |")
    return "\n".join([*lines, "", f"Checked on every method by `{_COMMAND}`, in `tests/tables/parallel.md`."])


def ranks_in_a_batch() -> str:
    """The methods that decide by the rows of one forward, as a list in a sentence."""
    names = [f"`{name}`" for name, cells in rows().items() if cells["compared"] != "as it is"]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def rows() -> dict[str, dict[str, str]]:
    """The table's rows of single methods: name -> column -> cell.

    Raises:
        ValueError: a method does not run on several processes, or DeepSpeed is not refused; the page says otherwise.
    """
    found = {row["method"].strip("`"): row for row in rows_of("parallel") if "+" not in row["method"]}
    for name, row in found.items():
        if row["both ranks identical"] != "yes" or row["resume exact"] != "yes" or row["DeepSpeed"] != "refused":
            raise ValueError(
                f"tests/tables/parallel.md, {name}: {row}: expected identical ranks, an exact resume, and no DeepSpeed."
            )
    return found


def _said(cell: str) -> str:
    match = re.fullmatch(r"refused: (.+)", cell)
    return "yes" if match is None else f"no: {match[1]}"
