"""Reads the decisions that a reviewer made in the report and exported as a file."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hf_noisy.common.checks import nearest

FIELDS = ("id", "label", "label_name", "decision", "new_label", "new_label_name")
DECISIONS = ("keep", "change", "drop")
# At the start of a cell and after a separator, the report puts an apostrophe before text that a spreadsheet would run.
_ESCAPED = re.compile("(^|[;|,\t\r\n])'(?=['\" ]*[=+\\-@\t\r\n\uff1d\uff0b\uff0d\uff20])")
_EXPECTED = f"expected decisions as the report exports them, with {', '.join(FIELDS)}"


@dataclass(frozen=True)
class Decision:
    """One decision of the file."""

    where: str  # file and line, for error messages
    id: str
    label: tuple[int, str]  # class id and name at the time of the decision
    decision: str  # one of `DECISIONS`
    new_label: tuple[int, str] | None  # class id and name to change to; None if the label does not change

    @property
    def what(self) -> tuple[Any, ...]:
        """The values that must be equal in two decisions on the same row."""
        return self.label, self.decision, self.new_label


def read_decisions(file: str | Path) -> list[Decision]:
    """Reads a CSV or JSONL file that the report exported. Identical decisions on the same row count once.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: another file extension, another encoding than UTF-8, another schema, an unknown decision, or two
            different decisions with the same id. The message names the line.
    """
    path = Path(file)
    if not path.is_file():
        raise FileNotFoundError(f"{str(path)!r}: no such file. Check the path.")
    if path.suffix.lower() not in (".csv", ".jsonl"):
        raise ValueError(f"{path}: expected a file that ends in .csv or .jsonl, as the report exports it.")
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not in UTF-8: {error}. Save it in that encoding.") from error
    rows = _csv_rows(path, text) if path.suffix.lower() == ".csv" else _json_rows(path, text)
    found: dict[str, Decision] = {}
    for where, row in rows:
        decision = _decision(where, row)
        before = found.setdefault(decision.id, decision)
        if before.what != decision.what:
            raise ValueError(
                f"{decision.where}: id={decision.id!r} is decided differently in {before.where}: expected one decision a "
                "row. Delete one of the two."
            )
    return list(found.values())


def _csv_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    header = text.split("\n", 1)[0]
    delimiter = ";" if ";" in header and "," not in header else ","  # some spreadsheets save with semicolons
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=delimiter)
    _check_fields(str(path), reader.fieldnames or ())
    try:
        for row in reader:
            cells = {name: _original(row[name] or "") for name in FIELDS}
            yield f"{path}, line {reader.line_num}", {**cells, "new_label": cells["new_label"] or None}
    except csv.Error as error:
        raise ValueError(
            f"{path}, line {reader.line_num}: not a CSV file: {error}. Export the decisions again."
        ) from error


def _json_rows(path: Path, text: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        where = f"{path}, line {number}"
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{where}: not JSON: {error}; {_EXPECTED}.") from error
        _check_fields(where, row if isinstance(row, dict) else ())
        yield where, row


def _check_fields(where: str, found: Mapping[str, Any] | Sequence[str]) -> None:
    missing = [name for name in FIELDS if name not in found]
    if missing:
        hint = " This is a file of scores: decide in the report, and export from there." if "wrongness" in found else ""
        raise ValueError(f"{where}: has no {', '.join(missing)}: {_EXPECTED}.{hint}")


def _original(cell: str) -> str:
    """Removes the apostrophes that keep a spreadsheet from running the cell."""
    return _ESCAPED.sub(r"\1", cell)


def _decision(where: str, row: Mapping[str, Any]) -> Decision:
    decision = row["decision"]
    if decision not in DECISIONS:
        raise ValueError(f"{where}: decision={decision!r}: {nearest(decision, DECISIONS)}")
    if not isinstance(row["id"], str) or not row["id"]:
        raise ValueError(f"{where}: id={row['id']!r}: expected a string; {_EXPECTED}.")
    if (decision == "change") != (row["new_label"] is not None):
        raise ValueError(
            f"{where}: decision={decision!r} with new_label={row['new_label']!r}: expected a new label where the decision "
            "is 'change', and none elsewhere."
        )
    new = _class(where, row, "new_label") if decision == "change" else None
    return Decision(where, row["id"], _class(where, row, "label"), decision, new)


def _class(where: str, row: Mapping[str, Any], field: str) -> tuple[int, str]:
    number, name = row[field], row[f"{field}_name"]
    if isinstance(number, str) and number.isdecimal():
        number = int(number)
    if isinstance(number, bool) or not isinstance(number, int) or number < 0 or not isinstance(name, str):
        raise ValueError(
            f"{where}: {field}={row[field]!r}, {field}_name={name!r}: expected a class id from 0 on, and its name."
        )
    return number, name
