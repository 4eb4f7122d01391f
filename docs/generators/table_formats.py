"""Which kinds of labels each kind of file holds, by writing and reading one of each."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import datasets
import pandas

from hf_noisy.data.corpus import read_corpus

TEXTS = [
    "The tram was on time.",
    "Nobody cleaned the stop.",
    "A calm ride home.",
    "Two doors were stuck.",
    "The seats are new.",
]
Labels = Sequence[Any]
KINDS: dict[str, tuple[Labels, list[str], list[int]]] = {  # what is written -> the classes, and the class of each row
    "words": (["fine", "poor", "fine", "poor", None], ["fine", "poor"], [0, 1, 0, 1, -1]),
    "whole numbers, one missing": ([1, 10, 2, 10, None], ["1", "2", "10"], [0, 2, 1, 2, -1]),
    "truth values": ([True, False, True, False, None], ["False", "True"], [1, 0, 1, 0, -1]),
    "-1 for no label": ([1, 0, 1, 0, -1], ["0", "1"], [1, 0, 1, 0, -1]),
    "answers of a language model": (["Fine.", "poor", "fine ", "POOR", "N/A"], ["fine", "poor"], [0, 1, 0, 1, -1]),
    "probabilities": ([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.1, 0.9], None], ["0", "1"], [0, 1, 0, 1, -1]),
    "a list of one class": ([["fine"], ["poor"], ["fine"], ["poor"], None], ["fine", "poor"], [0, 1, 0, 1, -1]),
    "codes with zeros": (["007", "012", "007", "012", None], ["007", "012"], [0, 1, 0, 1, -1]),
}


def _cells(labels: Labels) -> list[Any]:
    """Return labels as a text file holds them: lists as JSON."""
    return [json.dumps(label) if isinstance(label, list) else label for label in labels]


def _frame(labels: Labels) -> pandas.DataFrame:
    series = pandas.Series(list(labels), dtype=object)
    numbers = [label for label in labels if label is not None]
    if all(isinstance(label, int) and not isinstance(label, bool) for label in numbers):
        series = pandas.Series(labels, dtype=float if len(numbers) < len(labels) else int)
    return pandas.DataFrame({"text": TEXTS, "label": series})


def _csv(path: Path, labels: Labels, **options: Any) -> None:
    _frame(_cells(labels)).to_csv(path, index=False, **options)


def _zip(path: Path, labels: Labels) -> None:
    text = io.StringIO()
    _frame(_cells(labels)).to_csv(text, index=False)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("table.csv", text.getvalue())


def _fasttext(path: Path, labels: Labels) -> None:
    words = ["" if label is None else str(label).strip() for label in labels]
    path.write_text("".join(f"__label__{word} {text}\n" for word, text in zip(words, TEXTS, strict=True)))


def _rows(labels: Labels) -> list[dict[str, Any]]:
    return [{"text": text, "label": label} for text, label in zip(TEXTS, labels, strict=True)]


FORMATS: dict[str, tuple[str, Callable[[Path, Labels], Any]]] = {
    ".csv": ("t.csv", _csv),
    ".csv, semicolons, Windows-1252": ("t.csv", lambda path, labels: _csv(path, labels, sep=";", encoding="cp1252")),
    ".tsv": ("t.tsv", lambda path, labels: _csv(path, labels, sep="\t")),
    ".csv.gz": ("t.csv.gz", _csv),
    ".csv.zst": ("t.csv.zst", _csv),
    ".zip": ("t.zip", _zip),
    ".txt of fastText": ("t.txt", _fasttext),
    ".xlsx": ("t.xlsx", lambda path, labels: _frame(_cells(labels)).to_excel(path, index=False)),
    ".ods": ("t.ods", lambda path, labels: _frame(_cells(labels)).to_excel(path, index=False, engine="odf")),
    ".json, records": ("t.json", lambda path, labels: path.write_text(json.dumps(_rows(labels)))),
    ".json, columns": (
        "t.json",
        lambda path, labels: path.write_text(json.dumps({"text": TEXTS, "label": list(labels)})),
    ),
    ".jsonl": ("t.jsonl", lambda path, labels: path.write_text("\n".join(map(json.dumps, _rows(labels))))),
    ".parquet": ("t.parquet", lambda path, labels: _frame(labels).to_parquet(path)),
    ".feather": ("t.feather", lambda path, labels: _frame(labels).to_feather(path)),
    "`save_to_disk`": ("t", lambda path, labels: datasets.Dataset.from_list(_rows(labels)).save_to_disk(str(path))),
    "`Dataset`": ("", lambda path, labels: datasets.Dataset.from_list(_rows(labels))),
    "data frame of pandas": ("", lambda path, labels: _frame(labels)),
    "list of dictionaries": ("", lambda path, labels: _rows(labels)),
}


def outcome(form: str, kind: str) -> str:
    """Write a table and read it back: "yes", or why it is refused.

    Raises:
        AssertionError: it is read as something else.
    """
    labels, classes, votes = KINDS[kind]
    name, write = FORMATS[form]
    if write is _fasttext and any(isinstance(label, list) for label in labels):
        return "holds words only"
    with TemporaryDirectory() as folder:
        path = Path(folder, name)
        made = write(path, labels)
        try:
            corpus = read_corpus(path if name else made)
        except (ValueError, TypeError) as error:
            return f"no: {str(error).rpartition(': ')[2]}"
    found = [vote for (vote,) in corpus.train["weak_labels"][:]]
    assert (list(corpus.class_names), found) == (classes, votes), (form, kind, corpus.class_names, found)
    return "yes"


def table() -> str:
    """Return the table in Markdown."""
    lines = ["| | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    lines += [f"| {form} | " + " | ".join(outcome(form, kind) for kind in KINDS) + " |" for form in FORMATS]
    return "\n".join(lines)


if __name__ == "__main__":
    print(table())
