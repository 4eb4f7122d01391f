"""Reads corpora in the layout of the WRENCH benchmark (Zhang et al., NeurIPS 2021)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.common.checks import check_encodable
from hf_noisy.data.corpus_splits import Corpus, split_of_columns
from hf_noisy.data.pairs import check_pair_columns, missing_text_hint
from hf_noisy.data.reading.json_files import read_json

if TYPE_CHECKING:
    from datasets import Dataset

WRENCH_FILES = ("label.json", "train.json", "valid.json", "test.json")


def wrench_corpus(name: str, folder: Path, text_column: str, pair_column: str | None = None) -> Corpus:
    """Read a folder in this layout.

    Raises:
        FileNotFoundError: a file of the layout is missing.
        ValueError: a malformed row; the message names its file and id.
    """
    for file in WRENCH_FILES:
        if not (folder / file).exists():
            raise FileNotFoundError(f"{folder / file}: missing. Expected {', '.join(WRENCH_FILES)} side by side.")
    class_names = _classes(folder / "label.json")
    columns = [text_column, *([] if pair_column is None else [pair_column])]
    check_pair_columns(str(folder), columns, text_column, pair_column, {})
    train, blank = _rows(folder / "train.json", len(class_names), columns, sources=None)
    left_out = {"train": blank}
    sources = len(train[0]["weak_labels"])
    others = {}
    for split in ("valid", "test"):
        others[split], left_out[split] = _rows(folder / f"{split}.json", len(class_names), columns, sources)
    notes = [f"{split}: {len(ids):,} rows have no text and are left out" for split, ids in left_out.items() if ids]
    return Corpus(
        name, class_names, train, **others, notes=tuple(notes), left_out={k: v for k, v in left_out.items() if v}
    )


def _classes(path: Path) -> tuple[str, ...]:
    names = read_json(path)
    if not isinstance(names, dict) or len(names) < 2 or set(names) != {str(k) for k in range(len(names))}:
        raise ValueError(f'{path}: expected {{"0": name, "1": name, ...}} with two classes or more, found {names!r}.')
    return checked_names(str(path), tuple(str(names[str(k)]) for k in range(len(names))))


def checked_names(where: str, names: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names of classes.

    Raises:
        ValueError: two classes have one name, or a name cannot be written in UTF-8.
    """
    for number, name in enumerate(names):
        if names.index(name) < number:
            raise ValueError(
                f"{where}: classes {names.index(name)} and {number} are both {name!r}: expected a name each. Rename one."
            )
        check_encodable(f"{where}: the name of class {number}", name)
    return names


def _rows(path: Path, num_classes: int, columns: list[str], sources: int | None) -> tuple[Dataset, tuple[str, ...]]:
    rows = read_json(path)
    if not isinstance(rows, dict) or not rows:
        raise ValueError(f"{path}: expected an object of row id -> row, with at least one row.")
    ids, texts, votes, gold, blank = [], [], [], [], []
    for row_id, row in rows.items():
        where = f"{path}, row {row_id!r}"
        row_texts, row_votes, row_gold = _row(where, row, num_classes, columns)
        sources = len(row_votes) if sources is None else sources
        if len(row_votes) != sources:
            raise ValueError(
                f"{where}: {len(row_votes)} weak_labels, where the rows before have {sources}: expected one a source. "
                "Write -1 where a source abstains."
            )
        if not all(text.strip() for text in row_texts):
            blank.append(row_id)
            continue
        ids.append(row_id)
        texts.append(row_texts)
        votes.append(row_votes)
        gold.append(row_gold)
    if not texts:
        raise ValueError(f"{path}: {columns[0]} is blank in all {len(rows)} rows: expected texts.")
    first, *second = (list(column) for column in zip(*texts, strict=True))
    found = split_of_columns(ids, first, np.array(votes), np.array(gold), pairs=second[0] if second else None)
    return found, tuple(blank)


def _row(where: str, row: Any, num_classes: int, columns: list[str]) -> tuple[list[str], list[int], int]:
    for key in ("label", "data", "weak_labels"):
        if not isinstance(row, dict) or key not in row:
            raise ValueError(f"{where}: has no {key!r}: expected label (null where unknown), data and weak_labels.")
    data, votes, gold = row["data"], row["weak_labels"], row["label"]
    texts: list[str] = []
    for option, column in zip(("text_column", "text_pair_column"), columns, strict=False):
        text = data.get(column) if isinstance(data, dict) else None
        if not isinstance(text, str):
            raise ValueError(
                f"{where}: {column} is {text!r}: expected a text. Drop the row, or name another {option}."
                f"{missing_text_hint(list(data) if isinstance(data, dict) else [], columns[0])}"
            )
        texts.append(check_encodable(f"{where}: {column}", text))
    if not isinstance(votes, list) or not votes:
        raise ValueError(f"{where}: weak_labels={votes!r}: expected a list with one vote a source, -1 to abstain.")
    for source, vote in enumerate(votes):
        _check_class(f"{where}: the vote of source {source}", vote, num_classes)
    gold = -1 if gold is None else gold
    _check_class(f"{where}: the gold label", gold, num_classes)
    return texts, votes, gold


def _check_class(what: str, value: Any, num_classes: int) -> None:
    if type(value) is not int or not -1 <= value < num_classes:
        raise ValueError(
            f"{what} is {value!r}: expected a class of label.json, 0 to {num_classes - 1}, or -1 where there is none."
        )
