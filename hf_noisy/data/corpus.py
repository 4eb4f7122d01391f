"""Loads weakly labeled text from wherever it is as a `Corpus`: the same columns in every split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.common.checks import check_fraction
from hf_noisy.data.corpus_splits import Corpus, split_of_columns
from hf_noisy.data.hub import hub_tables, wrench_repository
from hf_noisy.data.reading.options import ReadingOptions, listed
from hf_noisy.data.reading.sources import read_source
from hf_noisy.data.reading.table import Table
from hf_noisy.data.tables.classes import Labels, read_labels
from hf_noisy.data.tables.columns import Columns
from hf_noisy.data.tables.rows import Rows, rows_of
from hf_noisy.data.tables.values import LabelOptions
from hf_noisy.data.wrench import checked_names, wrench_corpus
from hf_noisy.weak.majority import hard_labels

if TYPE_CHECKING:
    from datasets import Dataset

READ = "read: "  # begins the notes on how a file was read; the others are on labels and rows
SHOWN_ROWS = 5  # ids of rows without a text that a note names

__all__ = ["Corpus", "hold_out", "load_corpus", "read_corpus"]


def load_corpus(
    source: Any,
    *,
    text_column: str = "text",
    label_column: str | None = None,
    votes_columns: Sequence[str] | None = None,
    gold_column: str | None = None,
    config: str | None = None,
    id_column: str = "id",
    class_columns: Sequence[str] | None = None,
    text_pair_column: str | None = None,
    separator: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    sheet: str | None = None,
    exact_labels: bool = False,
    na_is_class: bool = False,
    minus_one_is_class: bool = False,
    warn: bool = True,
) -> Corpus:
    """Reads texts, untrusted labels and, where known, gold labels into a `Corpus`.

    The source is the first of these that fits:

    1. A folder, or a dataset repository on the Hub, in the layout of the WRENCH benchmark. `label.json` maps class id
       to name. `train.json`, `valid.json` and `test.json` each map a row id to `{"label": gold or null, "data":
       {"text": ...}, "weak_labels": [one vote per source, -1 abstains]}`. Of the column arguments only `text_column`
       is used.
    2. A file: .csv, .tsv, .txt (a table, or lines of fastText), .json and .jsonl (records, columns or lines), .parquet,
       .arrow, .feather, .xlsx, .ods, each also as .gz, .bz2, .zst, .lz4 or .zip. "-" is the standard input.
    3. Several files: a pattern such as "part-*.csv", a list of paths, a folder with files named train, valid and test, or
       a mapping of these names to files. Files of no split are parts of one table.
    4. A folder that `save_to_disk` wrote of a `Dataset` or `DatasetDict`.
    5. Rows in memory: a `Dataset`, a `DatasetDict`, a data frame of pandas or polars, a pyarrow table, a list of
       dictionaries, a mapping of columns.
    6. The name of any dataset on the Hub that `datasets.load_dataset` reads without running code of the repository.

    In 2 to 6 each label column is one source of votes. Labels are read by what they mean and not by their type: 1, 1.0
    and "1" are one class in every column and split. A ClassLabel or a categorical names the classes. Without one they
    are the distinct values: numbers by size, then words by spelling. No label are an empty cell, what pandas reads as
    missing (NA, null, None, ...), -1 and -100. Words that differ only in case, outer spaces, quotes or final . , ; : !
    are one class. Cells such as "[0.2, 0.8]" or {"bad": 0.2, "good": 0.8} are soft labels. Rows without a text are left
    out. `Corpus.notes` says each of these that happened, and a warning those that change labels or rows.

    A column `id` is kept, as it is written; without one, rows are numbered from 0 in each file. A label column that
    `valid` or `test` lacks counts as empty there, and so does a gold column that any split lacks.

    Args:
        source: see above. A string that begins with `.`, `/` or `~`, or ends like a file, is never looked up on the Hub.
        text_column: column with the texts. A name fits also in other capitals.
        label_column: column with the untrusted labels. Without it: the first of labels, label, label_ids.
        votes_columns: columns of several sources, instead of `label_column`.
        gold_column: column with true labels, where there are any.
        config: configuration of a dataset on the Hub.
        id_column: column with an id for each row; "" numbers the rows.
        text_pair_column: column with the second text of a row, as in entailment or question answering.
        class_columns: one column a class, each with 0, 1 or a probability, instead of `label_column`. Without any label
            column, such columns are found.
        separator: the character between the cells of a CSV file, where it should not be found.
        encoding: of a text file, where it should not be found.
        header: whether the first row of a table holds names, where it should not be found.
        sheet: of a workbook; by default the first with content.
        exact_labels: whether spellings of one class are kept apart.
        na_is_class: whether NA, null, None and other such words are names of classes.
        minus_one_is_class: whether -1 and -100 are classes.
        warn: whether to warn of what changes labels or rows. `Corpus.notes` says it in any case.

    Returns:
        The corpus. Rows keep their order.

    Raises:
        FileNotFoundError: a file, folder or Hub dataset does not exist; the error names it.
        ValueError: an unknown column (the error suggests the nearest name), a malformed row (the error names its file
            and id), ids that occur twice, labels that look like scores or ids, or an encoding or separator that is not
            sure.
        ImportError: a workbook, and the package that reads it is not installed.

    Source: the layout is that of WRENCH (Zhang et al., NeurIPS 2021).

    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "comments.csv"
    ...     _ = path.write_text("text,label\\nsee http://a.b,spam\\nlovely song,ham\\nhm,\\n")
    ...     corpus = load_corpus(path, label_column="label")
    >>> corpus.class_names, corpus.train["weak_labels"][:]
    (('ham', 'spam'), [[1], [0], [-1]])
    """
    columns = Columns(text_column, label_column, votes_columns, gold_column, id_column, class_columns, text_pair_column)
    reading = ReadingOptions(separator, encoding, header, sheet, columns.named)
    labels = LabelOptions(exact_labels, na_is_class, minus_one_is_class)
    corpus = _read(source, columns, reading, labels, config)
    return _warn(corpus) if warn else corpus


read_corpus = partial(load_corpus, warn=False)  # for commands, which print the notes


def _warn(corpus: Corpus) -> Corpus:
    """Warn of the notes on labels and rows, and return the corpus."""
    from transformers.utils import logging  # late: looking at a table does not need it

    logger = logging.get_logger(__name__)
    for note in corpus.notes:
        if not note.startswith(READ):
            logger.warning(f"{corpus.name}: {note}")
    return corpus


def _read(source: Any, columns: Columns, reading: ReadingOptions, labels: LabelOptions, config: str | None) -> Corpus:
    if isinstance(source, list | tuple) and len(source) == 1 and isinstance(source[0], str | Path):
        source = source[0]
    if isinstance(source, str | Path) and source:
        path = Path(source).expanduser()
        if path.is_dir() and (path / "label.json").exists():
            return wrench_corpus(path.resolve().name, path, columns.text, columns.pair)
    found = read_source(source, reading)
    if found is not None:
        return corpus_of_tables(*found, columns, labels)
    folder = wrench_repository(source)
    if folder is not None:
        return wrench_corpus(source, folder, columns.text, columns.pair)
    return corpus_of_tables(source, hub_tables(source, config), columns, labels)


def corpus_of_tables(name: str, tables: Mapping[str, Table], columns: Columns, options: LabelOptions) -> Corpus:
    """Make a corpus of the tables of its splits.

    Raises:
        ValueError: see `load_corpus`.
    """
    tables, sources = columns.find(tables)
    gold = [columns.gold] if columns.gold is not None else []
    with ThreadPoolExecutor(1) as thread:  # pyarrow works without the interpreter's lock
        waiting = thread.submit(read_labels, list(tables.values()), [*sources, *gold], options)
        rows = {split: rows_of(table, columns.text, columns.id, columns.pair) for split, table in tables.items()}
        labels = waiting.result()
    checked_names(tables["train"].where, labels.names)
    if labels.soft and len(sources) > 1:
        raise ValueError(
            f"votes_columns={list(sources)}: some hold probabilities: expected one class a cell where there are several sources. "
            "Name one of them with label_column."
        )
    splits = {
        split: _split(number, table, rows[split], sources, columns.gold, labels)
        for number, (split, table) in enumerate(tables.items())
    }
    left_out = {split: found.blank for split, found in rows.items() if found.blank}
    return Corpus(
        name,
        labels.names,
        splits["train"],
        splits.get("valid"),
        splits.get("test"),
        notes=tuple(_notes(tables, left_out, labels)),
        left_out=left_out,
        sources=tuple(sources),
        columns={
            "texts": repr(columns.text) if columns.pair is None else f"{columns.text!r} and {columns.pair!r}",
            "labels": repr(sources[0]) if len(sources) == 1 else f"of {len(sources)} sources",
            **({"true labels": repr(columns.gold)} if gold else {}),
        },
    )


def _split(
    number: int, table: Table, rows: Rows, sources: Sequence[str], gold_column: str | None, labels: Labels
) -> Dataset:
    unknown = np.full(table.rows, -1)
    kept = slice(None) if rows.kept is None else rows.kept
    votes = np.stack([labels.ids.get((number, source), unknown)[kept] for source in sources], axis=1)
    gold = unknown if gold_column is None else labels.ids.get((number, gold_column), unknown)
    if gold_column is not None and (number, gold_column) in labels.soft:
        gold = hard_labels(labels.soft[number, gold_column])
    soft = None
    if any(column in sources for _, column in labels.soft):
        soft = labels.soft.get((number, sources[0]))
        if soft is None:
            soft = np.concatenate([np.eye(len(labels.names)), np.zeros((1, len(labels.names)))])[
                labels.ids.get((number, sources[0]), unknown)
            ]
        soft = soft[kept]
        votes = hard_labels(soft)[:, None]
    return split_of_columns(rows.ids, rows.texts, votes, gold[kept], soft, rows.pairs)


def _notes(tables: Mapping[str, Table], left_out: Mapping[str, Sequence[str]], labels: Labels) -> list[str]:
    """Return what was decided. Notes on how a file was read begin with `READ`."""
    read: dict[str, list[str]] = {}
    for split, table in tables.items():
        for note in table.notes:
            read.setdefault(note, []).append(split)
    notes = [
        f"{READ}{note}" if len(splits) == len(tables) else f"{READ}{note} ({', '.join(splits)})"
        for note, splits in read.items()
    ]
    for split, ids in left_out.items():
        notes.append(f"{len(ids):,} rows of {split} have no text and are left out: {listed(ids, SHOWN_ROWS)}")
    soft = list(labels.soft)
    if soft:
        notes.append(f"{READ}{soft[0][1]} holds probabilities of {len(labels.names)} classes: soft labels")
    return [*notes, *labels.notes]


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
