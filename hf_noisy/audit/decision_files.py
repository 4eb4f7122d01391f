"""Reads the decisions of a reviewer: the file that the report exports, a spreadsheet, or an export of Label Studio."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_noisy.common.checks import nearest
from hf_noisy.data.reading.json_files import read_json
from hf_noisy.data.reading.options import ReadingOptions
from hf_noisy.data.reading.sources import read_source
from hf_noisy.data.reading.table import Table, cells
from hf_noisy.data.tables.cells import meaning_of

FIELDS = ("id", "label", "label_name", "decision", "new_label", "new_label_name")
NEEDED = ("id", "label", "decision", "new_label")  # the names of classes may be missing, as in a table made by hand
DECISIONS = ("keep", "change", "drop")
# At the start of a cell and after a separator, the report puts an apostrophe before text that a spreadsheet would run.
_ESCAPED = re.compile("(^|[;|,\t\r\n])'(?=['\" ]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")
_EXPECTED = f"expected decisions as the report exports them, with {', '.join(FIELDS)}"
Pair = tuple[int | None, str | None]  # class id and name; one of them may be unknown


@dataclass(frozen=True)
class Decision:
    """One decision of the file."""

    where: str  # file and row, for error messages
    id: str
    label: Pair  # class id and name at the time of the decision; (None, None) if the file does not say it
    decision: str  # one of `DECISIONS`
    new_label: Pair | None  # class id and name to change to; None if the label does not change

    @property
    def what(self) -> tuple[Any, ...]:
        """The values that must be equal in two decisions on the same row."""
        return self.label, self.decision, self.new_label


def read_decisions(file: str | Path) -> list[Decision]:
    """Reads decisions. Identical decisions on the same row count once.

    The file is one that the report exported (CSV, JSONL), the same after a spreadsheet saved it (any separator and
    encoding, XLSX, numbers with a decimal point, empty columns), a table made by hand with the columns id, label,
    decision and new_label, or the JSON that Label Studio exports of the tasks of `write_label_studio`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: a file that cannot be read, another schema, an unknown decision, or two different decisions with
            the same id. The message names the row.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"{str(path)!r}: no such file. Check the path.")
    tasks = _label_studio_tasks(path)
    rows = _of_tasks(path, tasks) if tasks is not None else _of_table(path)
    found: dict[str, Decision] = {}
    for decision in rows:
        before = found.setdefault(decision.id, decision)
        if before.what != decision.what:
            raise ValueError(
                f"{decision.where}: id={decision.id!r} is decided differently in {before.where}: expected one decision a "
                "row. Delete one of the two."
            )
    return list(found.values())


def _of_table(path: Path) -> Iterator[Decision]:
    if not path.stat().st_size:
        if path.suffix.lower() == ".jsonl":  # nothing was decided
            return
        _check_fields(str(path), ())
    found = read_source(path, ReadingOptions(header=True if path.suffix.lower() not in (".json", ".jsonl") else None))
    table = found[1]["train"] if found is not None else Table(str(path), 0, {})
    if not table.rows and path.suffix.lower() == ".jsonl":
        return
    _check_fields(str(path), list(table.columns))
    apostrophes = path.suffix.lower() not in (".json", ".jsonl")
    columns = {name: cells(table.column(name)) for name in FIELDS}
    for number in range(table.rows):
        row = {name: columns[name][number] for name in FIELDS}
        if apostrophes:
            row = {name: _original(cell) if isinstance(cell, str) else cell for name, cell in row.items()}
        if all(cell is None or cell == "" for cell in row.values()):
            continue  # an empty line at the end of a spreadsheet
        yield _decision(f"{path}, row {table.place(number) + 1}", row)


def _check_fields(where: str, found: Sequence[str]) -> None:
    missing = [name for name in NEEDED if name not in found]
    if missing:
        hint = " This is a file of scores: decide in the report, and export from there." if "wrongness" in found else ""
        raise ValueError(f"{where}: has no {', '.join(missing)}: {_EXPECTED}.{hint}")


def _original(cell: str) -> str:
    """Removes the apostrophes that keep a spreadsheet from running the cell."""
    return _ESCAPED.sub(r"\1", cell)


def _decision(where: str, row: Mapping[str, Any]) -> Decision:
    decision = row["decision"].strip().lower() if isinstance(row["decision"], str) else row["decision"]
    if decision not in DECISIONS:
        raise ValueError(f"{where}: decision={row['decision']!r}: {nearest(str(row['decision']), DECISIONS)}")
    row_id = _id(row["id"])
    if not row_id:
        raise ValueError(f"{where}: id={row['id']!r}: expected the id of a row; {_EXPECTED}.")
    new_label = None if _is_empty(row["new_label"]) else row["new_label"]
    new_name = None if _is_empty(row["new_label_name"]) else str(row["new_label_name"])
    if (decision == "change") != (new_label is not None or new_name is not None):
        raise ValueError(
            f"{where}: decision={decision!r} with new_label={row['new_label']!r}: expected a new label where the decision "
            "is 'change', and none elsewhere."
        )
    new = _pair(where, "new_label", new_label, new_name) if decision == "change" else None
    name = None if _is_empty(row["label_name"]) else str(row["label_name"])
    return Decision(where, row_id, _pair(where, "label", row["label"], name), decision, new)


def _is_empty(cell: Any) -> bool:
    return cell is None or cell == "" or cell != cell


def _id(cell: Any) -> str:
    """Return an id as text: a whole number that a spreadsheet made a float is written as one."""
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell)


def _pair(where: str, field: str, value: Any, name: str | None) -> Pair:
    """Return class id and name. Beside a name, the value is its id; alone it may be either."""
    if _is_empty(value):
        return None, name
    cell = meaning_of(value)
    number = cell.value if cell.kind == "number" else None
    if name is not None and (number is None or number < 0):
        raise ValueError(
            f"{where}: {field}={value!r}, {field}_name={name!r}: expected a class id from 0 on, and its name."
        )
    if name is not None:
        return number, name
    return (number, None) if number is not None else (None, str(value).strip())


def _label_studio_tasks(path: Path) -> list[Mapping[str, Any]] | None:
    """Return the tasks of an export of Label Studio, or None if the file is none."""
    if path.suffix.lower() != ".json":
        return None
    found = read_json(path)
    if (
        isinstance(found, list)
        and found
        and all(isinstance(task, dict) and "data" in task and "annotations" in task for task in found)
    ):
        return found
    return None


def _of_tasks(path: Path, tasks: Sequence[Mapping[str, Any]]) -> Iterator[Decision]:
    for number, task in enumerate(tasks):
        where = f"{path}, task {task.get('id', number)}"
        data = task["data"] if isinstance(task["data"], dict) else {}
        row_id = data.get("row_id", data.get("id"))
        if row_id is None:
            raise ValueError(
                f"{where}: its data has no row_id: expected the tasks that write_label_studio wrote. Import those."
            )
        given = data.get("given_label")
        for annotation in task["annotations"]:
            if annotation.get("was_cancelled"):
                continue  # skipped by the annotator
            chosen = [
                choice
                for result in annotation.get("result", [])
                for choice in result.get("value", {}).get("choices", [])
            ]
            if len(chosen) > 1:
                raise ValueError(
                    f'{where}: has the choices {chosen}: expected one a text. Use choice="single" in the configuration.'
                )
            if chosen:
                same = given is not None and chosen[0] == given
                label = (None, None) if given is None else (None, str(given))
                yield Decision(
                    where, _id(row_id), label, "keep" if same else "change", None if same else (None, str(chosen[0]))
                )
