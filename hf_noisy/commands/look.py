"""The command `look`: prints what is understood of a table, before anything is trained."""

from __future__ import annotations

from hf_noisy.commands.arguments import LookArguments
from hf_noisy.data.look import look_at


def run(given: LookArguments) -> None:
    """Read the table and print what was understood.

    Args:
        given: the options.

    Raises:
        ValueError, FileNotFoundError: see `load_corpus`; also if no table is named.
    """
    if not given.data:
        raise ValueError("no table is named: expected a file, as in `hf-noisy look my.csv`.")
    print(look_at(given.read(given.data), max_length=given.max_length))
