"""Loads weakly labeled text from a folder, a file or the Hub as a `Corpus`: the same four columns in every split."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.common.checks import check_encodable, check_fraction, nearest
from hf_noisy.data.pairs import check_pair_columns, label_columns_of, missing_text_hint
from hf_noisy.data.tables import READERS, Classes, Columns, Table, find_classes, read_json, read_table, table_of_dataset
from hf_noisy.weak.votes import votes_feature

if TYPE_CHECKING:
    from datasets import Dataset


WRENCH_FILES = ("label.json", "train.json", "valid.json", "test.json")
SPLIT_NAMES = {"train": ("train",), "valid": ("valid", "validation", "dev"), "test": ("test",)}


@dataclass(frozen=True)
class Corpus:
    """Texts with the votes of weak sources, and gold labels where they are known, which are for evaluation only."""

    name: str
    class_names: tuple[str, ...]
    # columns: id (str), text (str), weak_labels (list of int, -1 abstains), gold (int, -1 if unknown); after text,
    # text_pair (str) in all splits or none, the second text of a row
    train: Dataset
    valid: Dataset | None = None  # the same columns; None if the source has no such split
    test: Dataset | None = None

    @property
    def num_classes(self) -> int:
        """The number of classes."""
        return len(self.class_names)


def load_corpus(
    source: str | Path | Mapping[str, str | Path],
    *,
    text_column: str = "text",
    label_column: str | None = None,
    votes_columns: Sequence[str] | None = None,
    gold_column: str | None = None,
    config: str | None = None,
    text_pair_column: str | None = None,
) -> Corpus:
    """Reads texts, untrusted labels and, where known, gold labels into a `Corpus`.

    The source is the first of these that fits:

    1. A folder, or a dataset repository on the Hub, in the layout of the WRENCH benchmark. `label.json` maps class id
       to name. `train.json`, `valid.json` and `test.json` each map a row id to `{"label": gold or null, "data":
       {"text": ...}, "weak_labels": [one vote per source, -1 abstains]}`. Of the column arguments only `text_column`
       and `text_pair_column` are used, as keys of `data`.
    2. A `.csv`, `.jsonl`, `.json` (a list of objects) or `.parquet` file, which becomes `train`; a folder with `train`,
       `valid` and `test` in one of these formats; or a mapping of split name to file.
    3. The name of any dataset on the Hub that `datasets.load_dataset` reads without running code of the repository.

    In 2 and 3 each label column is one source of votes. An empty cell, None or -1 abstains. A ClassLabel names the
    classes. Without one, the classes are the sorted values: whole numbers by size, words by spelling. A column `id` is
    kept; without one, rows are numbered from 0 in each split. A label column that `valid` or `test` lacks counts as
    empty there, and so does a gold column that any split lacks.

    Args:
        source: a path or name. A string that begins with `.`, `/` or `~`, or ends like a file, is never looked up on
            the Hub.
        text_column: the column of texts.
        label_column: the column of one untrusted label; by default the first of labels, label, label_ids that exists.
        votes_columns: the columns of several sources of untrusted labels, instead of `label_column`.
        gold_column: the column of true labels, if there is one.
        config: the configuration of a Hub dataset that has several.
        text_pair_column: the column of second texts, if a row has two, such as a hypothesis beside its premise. Every
            split then has a column `text_pair`.

    Raises:
        FileNotFoundError: a file, folder or Hub dataset does not exist; the error names it.
        ValueError: an unknown column (the error suggests the nearest name), or a malformed row (the error names its
            file and id).

    Source: the layout is that of WRENCH (Zhang et al., NeurIPS 2021).

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "comments.csv"
    ...     _ = path.write_text("text,label\\nsee http://a.b,spam\\nlovely song,ham\\nhm,\\n")
    ...     corpus = load_corpus(path, label_column="label")
    >>> corpus.class_names, corpus.train["weak_labels"][:]
    (('ham', 'spam'), [[1], [0], [-1]])
    """
    columns = Columns(text_column, label_column, votes_columns, gold_column, text_pair_column)
    if not isinstance(source, str | Path | Mapping) or not source:
        raise TypeError(f"source={source!r}: expected a path, a name on the Hub, or {{'train': path, ...}}.")
    if isinstance(source, Mapping):
        return _plain_corpus("+".join(source), {split: Path(path) for split, path in source.items()}, columns)
    path = Path(source).expanduser()
    if path.is_dir() and (path / "label.json").exists():
        return _wrench_corpus(path.resolve().name, path, columns)
    if path.is_dir():
        return _plain_corpus(path.resolve().name, _split_files(path), columns)
    if path.is_file():
        return _plain_corpus(path.stem, {"train": path}, columns)
    if isinstance(source, Path) or _looks_like_a_path(source):
        raise FileNotFoundError(f"{str(source)!r}: no such file or folder, seen from {os.getcwd()}. Check the path.")
    return _hub_corpus(source, columns, config)


def hold_out(dataset: Dataset, fraction: float = 0.1, seed: int = 0) -> tuple[Dataset, Dataset]:
    """Splits off a random part of the examples, for a validation set with the same label noise as the training set.

    Args:
        dataset: at least two rows.
        fraction: the fraction of rows to split off, rounded, at least one row.
        seed: seed of the draw. The same seed and number of rows give the same split.

    Returns:
        The remaining training rows and the held-out rows, each in the original order.

    Raises:
        ValueError: a fraction outside (0, 1), or fewer than two rows.

    >>> import datasets
    >>> train, held = hold_out(datasets.Dataset.from_dict({"text": list("abcdefghij")}), fraction=0.2)
    >>> len(train), len(held)
    (8, 2)
    """
    check_fraction("fraction", fraction, "(0, 1)")
    rows = len(dataset)
    if rows < 2:
        raise ValueError(f"dataset has {rows} rows: expected at least 2 to set one aside.")
    size = min(max(round(rows * fraction), 1), rows - 1)
    order = np.random.default_rng(seed).permutation(rows)
    return dataset.select(np.sort(order[size:])), dataset.select(np.sort(order[:size]))


def _wrench_corpus(name: str, folder: Path, columns: Columns) -> Corpus:
    if columns.text_pair is not None:
        check_pair_columns(str(folder), [columns.text, columns.text_pair], columns.text, columns.text_pair, {})
    for file in WRENCH_FILES:
        if not (folder / file).exists():
            raise FileNotFoundError(f"{folder / file}: missing. Expected {', '.join(WRENCH_FILES)} side by side.")
    class_names = _wrench_classes(folder / "label.json")
    train = _wrench_split(folder / "train.json", len(class_names), columns, sources=None)
    sources = len(train[0]["weak_labels"])
    valid, test = (
        _wrench_split(folder / file, len(class_names), columns, sources) for file in ("valid.json", "test.json")
    )
    return Corpus(name, class_names, train, valid, test)


def _wrench_classes(path: Path) -> tuple[str, ...]:
    names = read_json(path)
    if not isinstance(names, dict) or len(names) < 2 or set(names) != {str(k) for k in range(len(names))}:
        raise ValueError(f'{path}: expected {{"0": name, "1": name, ...}} with two classes or more, found {names!r}.')
    found = tuple(str(names[str(k)]) for k in range(len(names)))
    return _checked_names(str(path), found)


def _checked_names(where: str, names: tuple[str, ...]) -> tuple[str, ...]:
    for number, name in enumerate(names):
        if names.index(name) < number:
            raise ValueError(
                f"{where}: classes {names.index(name)} and {number} are both {name!r}: expected a name each. Rename one."
            )
        check_encodable(f"{where}: the name of class {number}", name)
    return names


def _wrench_split(path: Path, num_classes: int, columns: Columns, sources: int | None) -> Dataset:
    rows = read_json(path)
    if not isinstance(rows, dict) or not rows:
        raise ValueError(f"{path}: expected an object of row id -> row, with at least one row.")
    texts, pairs, votes, gold = [], [], [], []
    for row_id, row in rows.items():
        where = f"{path}, row {row_id!r}"
        text, pair, row_votes, row_gold = _wrench_row(where, row, num_classes, columns)
        sources = len(row_votes) if sources is None else sources
        if len(row_votes) != sources:
            raise ValueError(
                f"{where}: {len(row_votes)} weak_labels, where the rows before have {sources}: expected one a source. "
                "Write -1 where a source abstains."
            )
        texts.append(text)
        pairs.append(pair)
        votes.append(row_votes)
        gold.append(row_gold)
    return _split(list(rows), texts, None if columns.text_pair is None else pairs, votes, gold)


def _wrench_row(where: str, row: Any, num_classes: int, columns: Columns) -> tuple[str, str, list[int], int]:
    """Return the text, the second text (empty if rows have one), the votes and the gold label."""
    for key in ("label", "data", "weak_labels"):
        if not isinstance(row, dict) or key not in row:
            raise ValueError(f"{where}: has no {key!r}: expected label (null where unknown), data and weak_labels.")
    data, votes, gold = row["data"], row["weak_labels"], row["label"]
    data = data if isinstance(data, dict) else {}
    text = _checked_text(where, data.get(columns.text), columns.text, missing_text_hint(list(data), columns.text))
    pair = "" if columns.text_pair is None else _checked_pair(where, data.get(columns.text_pair), columns.text_pair)
    if not isinstance(votes, list) or not votes:
        raise ValueError(f"{where}: weak_labels={votes!r}: expected a list with one vote a source, -1 to abstain.")
    for source, vote in enumerate(votes):
        _check_class(f"{where}: the vote of source {source}", vote, num_classes)
    gold = -1 if gold is None else gold
    _check_class(f"{where}: the gold label", gold, num_classes)
    return text, pair, votes, gold


def _check_class(what: str, value: Any, num_classes: int) -> None:
    if type(value) is not int or not -1 <= value < num_classes:
        raise ValueError(
            f"{what} is {value!r}: expected a class of label.json, 0 to {num_classes - 1}, or -1 where there is none."
        )


def _plain_corpus(name: str, files: Mapping[str, Path], columns: Columns) -> Corpus:
    for split in files:
        if split not in SPLIT_NAMES:
            raise ValueError(f"split {split!r}: unknown. {nearest(split, SPLIT_NAMES)}")
    if "train" not in files:
        raise ValueError(f"no split 'train' among {list(files)}: expected at least that one.")
    return _corpus_of_tables(name, {split: read_table(path) for split, path in files.items()}, columns)


def _split_files(folder: Path) -> dict[str, Path]:
    files = {}
    for split, names in SPLIT_NAMES.items():
        found = [path for name in names for ending in READERS if (path := folder / f"{name}{ending}").exists()]
        if len(found) > 1:
            raise ValueError(f"{folder}: both {found[0].name} and {found[1].name}: expected one file a split.")
        if found:
            files[split] = found[0]
    if "train" not in files:
        raise FileNotFoundError(
            f"{folder}: neither label.json (the WRENCH layout) nor train{', train'.join(READERS)}. "
            f"Found: {', '.join(sorted(path.name for path in folder.iterdir())[:10]) or 'nothing'}."
        )
    return files


def _corpus_of_tables(name: str, tables: Mapping[str, Table], columns: Columns) -> Corpus:
    _check_texts(tables, columns)
    sources = columns.check(tables)
    classes = find_classes(list(tables.values()), [*sources, *([columns.gold] if columns.gold is not None else [])])
    _checked_names(tables["train"].where, classes.names)
    splits = {split: _split_of_table(table, columns, sources, classes) for split, table in tables.items()}
    return Corpus(name, classes.names, splits["train"], splits.get("valid"), splits.get("test"))


def _check_texts(tables: Mapping[str, Table], columns: Columns) -> None:
    known = list(tables["train"].columns)
    labels = label_columns_of(known, columns.text, columns.label, columns.votes, columns.gold)
    for table in tables.values():
        check_pair_columns(table.where, list(table.columns), columns.text, columns.text_pair, labels)


def _split_of_table(table: Table, columns: Columns, sources: Sequence[str], classes: Classes) -> Dataset:
    if table.rows == 0:
        raise ValueError(f"{table.where}: has 0 rows: expected at least one.")
    texts = [
        _checked_text(table.row(number), text, columns.text) for number, text in enumerate(table.column(columns.text))
    ]
    pairs = None
    if columns.text_pair is not None:
        cells = enumerate(table.column(columns.text_pair))
        pairs = [_checked_pair(table.row(number), text, columns.text_pair) for number, text in cells]
    votes = [classes.encode(table, source) for source in sources]
    gold = [-1] * table.rows if columns.gold is None else classes.encode(table, columns.gold)
    return _split(table.ids, texts, pairs, [list(row) for row in zip(*votes, strict=True)], gold)


def _looks_like_a_path(source: str) -> bool:
    return source.startswith((os.sep, ".", "~")) or Path(source).suffix.lower() in READERS or source.endswith(os.sep)


def _hub_corpus(name: str, columns: Columns, config: str | None) -> Corpus:
    folder = _wrench_repository(name)
    if folder is not None:
        return _wrench_corpus(name, folder, columns)
    return _corpus_of_tables(name, dict(_hub_tables(name, config)), columns)


def _wrench_repository(name: str) -> Path | None:
    """Download a repository in the WRENCH layout and return its folder, or None if it has another layout."""
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError

    try:
        hf_hub_download(name, "label.json", repo_type="dataset")
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise _not_found(name) from error
    except EntryNotFoundError:  # also raised offline if the file is not cached; load_dataset has its own cache
        return None
    return Path(snapshot_download(name, repo_type="dataset", allow_patterns=list(WRENCH_FILES)))


def _hub_tables(name: str, config: str | None) -> Iterator[tuple[str, Table]]:
    import datasets

    try:
        splits = datasets.load_dataset(name, config)
    except (ConnectionError, FileNotFoundError) as error:
        raise _not_found(name) from error
    for split, names in SPLIT_NAMES.items():
        found = next((known for known in names if known in splits), None)
        if found is not None:
            yield split, table_of_dataset(f"{name}, split {found}", splits[found])
        elif split == "train":
            raise ValueError(f"{name}: no split 'train'. {nearest('train', splits)}")


def _not_found(name: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"{name!r}: no such file or folder, seen from {os.getcwd()}, and no such dataset within reach on the Hub. "
        "Check the name and the connection, or log in with `hf auth login` where the dataset is private."
    )


def _checked_text(where: str, text: Any, column: str, hint: str = "") -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(
            f"{where}: {column} is {text!r}: expected a text. Drop the row, or name another text_column.{hint}"
        )
    return check_encodable(f"{where}: {column}", text)


def _checked_pair(where: str, text: Any, column: str) -> str:
    if not isinstance(text, str) or not text.strip():
        raise ValueError(
            f"{where}: {column} is {text!r}: expected a text. Drop the row, or name another text_pair_column."
        )
    return check_encodable(f"{where}: {column}", text)


def _split(
    ids: list[str], texts: list[str], pairs: list[str] | None, votes: list[list[int]], gold: list[int]
) -> Dataset:
    from datasets import Dataset, Features, Value

    second = {} if pairs is None else {"text_pair": pairs}
    features = {"id": Value("string"), "text": Value("string"), **dict.fromkeys(second, Value("string"))}
    return Dataset.from_dict(
        {"id": ids, "text": texts, **second, "weak_labels": votes, "gold": gold},
        features=Features({**features, "weak_labels": votes_feature(), "gold": Value("int64")}),
    )
