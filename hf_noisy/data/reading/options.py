"""How a table is read where its file does not say it, and the names of splits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

SPLIT_NAMES = {
    "train": ("train", "training"),
    "valid": ("valid", "validation", "dev", "val", "eval"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True)
class ReadingOptions:
    """What the reader of a file shall take instead of what it would find. None: found from the file.

    Args:
        separator: the character between two cells of a CSV file, such as ";" or a tab ("tab" and "\\t" mean a tab).
        encoding: of a text file, by a name that Python knows, such as "utf-8", "latin-1" or "utf-16".
        header: whether the first row of a CSV file or spreadsheet holds the names of columns.
        sheet: the name of the sheet of a workbook.
        needed: the names of columns that the caller asks for. A first row that has one of them is a header.
    """

    separator: str | None = None
    encoding: str | None = None
    header: bool | None = None
    sheet: str | None = None
    needed: frozenset[str] = field(default_factory=frozenset)

    def __post_init__(self) -> None:
        separator = {"tab": "\t", "\\t": "\t"}.get(self.separator or "", self.separator)
        object.__setattr__(self, "separator", separator)
        if separator is not None and len(separator) != 1:
            raise ValueError(f"separator={separator!r}: expected one character, such as ';', ',' or 'tab'.")
        if self.encoding is not None:
            try:
                "".encode(self.encoding)
            except LookupError as error:
                raise ValueError(
                    f"encoding={self.encoding!r}: unknown. Expected a name that Python knows, such as 'utf-8' or 'latin-1'."
                ) from error


def split_of(name: str) -> str | None:
    """Return the split that a file, sheet or folder of this name holds: "train", "valid", "test" or None.

    >>> split_of("validation"), split_of("train-00000-of-00002"), split_of("training_notes"), split_of("trainer")
    ('valid', 'train', 'train', None)
    """
    word = name.lower()
    for split, names in SPLIT_NAMES.items():
        if any(word == known or (word.startswith(known) and not word[len(known)].isalnum()) for known in names):
            return split
    return None


def listed(names: Iterable[str], most: int = 10) -> str:
    """Join names for a message, and say how many are left out.

    >>> listed(["a", "b", "c"], most=2)
    'a, b, ... (3 in all)'
    """
    found = list(names)
    return ", ".join(found[:most]) + (f", ... ({len(found)} in all)" if len(found) > most else "")
