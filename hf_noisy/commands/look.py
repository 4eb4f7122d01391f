"""The command `look`: prints what is understood of a table, before anything is trained."""

from __future__ import annotations

from hf_noisy.commands.arguments import LookArguments
from hf_noisy.commands.column_arguments import ColumnArguments
from hf_noisy.data.corpus import Corpus, read_corpus
from hf_noisy.data.label_columns import LabelOptions
from hf_noisy.data.look import Look, look_at
from hf_noisy.data.reading.options import ReadingOptions
from hf_noisy.data.table_columns import Columns


def run(given: LookArguments) -> None:
    """Read the table and print what was understood.

    Args:
        given: the options.

    Raises:
        ValueError, FileNotFoundError: see `load_corpus`; also if no table is named.
    """
    if not given.data:
        raise ValueError("no table is named: expected a file, as in `hf-noisy look my.csv`.")
    print(looked_at(_corpus(given), given))


def looked_at(corpus: Corpus, given: ColumnArguments, max_length: int = 128) -> Look:
    """Describe a corpus that the options named."""
    labels = list(corpus.sources) or []
    columns = {"text": given.text_column}
    if labels:
        columns["labels"] = labels[0] if len(labels) == 1 else f"{len(labels)} columns"
    if given.gold_column:
        columns["gold"] = given.gold_column
    return look_at(corpus, columns=columns, max_length=getattr(given, "max_length", max_length))


def _corpus(given: LookArguments) -> Corpus:
    columns = Columns(
        given.text_column, given.label_column, given.votes_columns, given.gold_column, given.id_column, given.class_columns
    )
    reading = ReadingOptions(given.separator, given.encoding, given.header, given.sheet, columns.named)
    labels = LabelOptions(given.exact_labels, given.na_is_class, given.minus_one_is_class)
    return read_corpus(given.data, columns, reading, labels)
