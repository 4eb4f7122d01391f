"""The options by which a command reads its table. This module does not import torch, so that `--help` is fast."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hf_noisy.data.corpus import Corpus

_READING = (  # the options that `load_corpus` has under the same names
    *("text_column", "text_pair_column", "label_column", "votes_columns", "gold_column", "class_columns", "id_column"),
    *("exact_labels", "na_is_class", "minus_one_is_class", "separator", "encoding", "header", "sheet"),
)


def described(text: str, *aliases: str, metavar: str | None = None) -> dict[str, Any]:
    """Return the metadata of a dataclass field that is an option of a command.

    Args:
        text: what the option does, in whole sentences.
        aliases: further names, such as "--model".
        metavar: what stands for the value in the help; None for N (a whole number) or X (a number).
    """
    return {"help": text, "aliases": list(aliases), **({} if metavar is None else {"metavar": metavar})}


@dataclass
class ColumnArguments:
    """The columns of plain files and datasets, and an option that all commands have."""

    text_column: str = field(default="text", metadata=described("Column with the texts.", metavar="COLUMN"))
    text_pair_column: str | None = field(
        default=None,
        metadata=described(
            "Column with the second text of a row, as the hypothesis of an entailment or the answer to a question. Without it: one "
            "text a row.",
            metavar="COLUMN",
        ),
    )
    label_column: str | None = field(
        default=None,
        metadata=described(
            "Column with the untrusted labels. An empty cell is a row without a label. Without it: the first of labels, label, "
            "label_ids.",
            metavar="COLUMN",
        ),
    )
    votes_columns: list[str] | None = field(
        default=None,
        metadata=described(
            "Columns with the labels of several sources, one column per source, instead of --label_column. An empty cell "
            "abstains.",
            metavar="COLUMN",
        ),
    )
    gold_column: str | None = field(
        default=None,
        metadata=described(
            "Column with true labels, where there are any. They measure the results. In train, methods that need true labels, such as glc, read those of validation rows.",
            metavar="COLUMN",
        ),
    )
    class_columns: list[str] | None = field(
        default=None,
        metadata=described(
            "One column per class, each with 0, 1 or a probability, instead of --label_column. Without it: found if there is no "
            "column of labels.",
            metavar="COLUMN",
        ),
    )
    id_column: str = field(
        default="id",
        metadata=described(
            "Column with an id for each row. Without such a column, or with '', rows are numbered.", metavar="COLUMN"
        ),
    )
    exact_labels: bool = field(
        default=False,
        metadata=described("Keep spellings of a class apart that differ in case, outer spaces, quotes or final marks."),
    )
    na_is_class: bool = field(
        default=False,
        metadata=described("Take NA, null, None and other such words as names of classes, not as no label."),
    )
    minus_one_is_class: bool = field(default=False, metadata=described("Take -1 and -100 as classes, not as no label."))
    separator: str | None = field(
        default=None,
        metadata=described("Separator of a CSV file, as ';' or tab. Without it: found.", metavar="CHARACTER"),
    )
    encoding: str | None = field(
        default=None, metadata=described("Encoding of a text file, as latin-1. Without it: found.", metavar="NAME")
    )
    header: bool | None = field(
        default=None,
        metadata=described(
            "Whether the first row of a table holds the names of its columns. Without it: found.", metavar="BOOL"
        ),
    )
    sheet: str | None = field(
        default=None, metadata=described("Sheet of a workbook. Without it: the first with content.", metavar="NAME")
    )
    quiet: bool = field(
        default=False, metadata=described("Print results, warnings and errors only: no progress bars and no notes.")
    )

    @property
    def source_names(self) -> list[str] | None:
        """The names of the sources of labels, or None if no option names them."""
        return self.votes_columns or ([self.label_column] if self.label_column else None)

    def read(self, source: Any) -> Corpus:
        """Read the corpus that the options describe. Nothing is warned of: what was decided is in its notes.

        Raises:
            ValueError, FileNotFoundError: see `load_corpus`.
        """
        from hf_noisy.data.corpus import read_corpus  # late, so that `--help` is fast

        return read_corpus(source, **self.columns)

    @property
    def columns(self) -> dict[str, Any]:
        """The columns as arguments of `load_corpus`."""
        return {name: getattr(self, name) for name in _READING}


def corpus_of(given: ColumnArguments, source: Any, seed: int, *, max_train_rows: int | None = None) -> Corpus:
    """Read the corpus of a command and say what was understood, or generate the embedded reviews if `source` is None.

    Args:
        given: the options on columns and files.
        source: as for `load_corpus`, or None.
        seed: seed of the reviews.
        max_train_rows: keep only the reviews that `training_subset` would choose, so that the labeling functions do
            not run on the others.

    Raises:
        ValueError, FileNotFoundError: see `load_corpus`.
    """
    from hf_noisy.common.progress import note
    from hf_noisy.corpora.embedded import embedded_corpus
    from hf_noisy.data.look import first_lines

    if source is None:
        return embedded_corpus(seed, max_train_rows=max_train_rows)
    corpus = given.read(source)
    note("\n".join(first_lines(corpus)))
    return corpus
