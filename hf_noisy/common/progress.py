"""Progress bars and notes. Bars appear only on a terminal; `quietly` turns both off."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tqdm import tqdm

DELAY = 1.0  # seconds of work before a bar appears, so that quick work shows none
_quiet = False
_hides_dataset_bars = False  # whether a command has disabled the bars of `datasets`


def progress_bar(doing: str, items: Iterable[Any] | None = None, *, total: int | None = None, unit: str = "it") -> Any:
    """Return a bar of `tqdm` on stderr. It appears after a second of work and disappears at the end.

    If `shows_bars()` is False, nothing is shown. The items and their order are the same in both cases.

    Args:
        doing: what is being done, such as "Encoding texts".
        items: what to iterate over; None to call `update` on the bar instead.
        total: the number of items; None for `len(items)`.
        unit: what an item is.

    >>> list(progress_bar("Counting", range(3)))
    [0, 1, 2]
    """
    if not shows_bars():
        return _NoBar(() if items is None else items)
    return tqdm(items, desc=doing, total=total, unit=unit, delay=DELAY, leave=False)


class _NoBar:
    """Stands in for a bar that is not shown. Even a disabled bar of `tqdm` would start a thread."""

    def __init__(self, items: Iterable[Any]) -> None:
        self.items = items

    def __iter__(self) -> Iterator[Any]:
        return iter(self.items)

    def update(self, n: int = 1) -> None:
        """Show nothing."""

    def __enter__(self) -> _NoBar:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing was shown, so nothing is removed."""


def shows_bars() -> bool:
    """Whether bars appear: on a terminal, in the first of the launched processes, outside `quietly`."""
    return not _quiet and sys.stderr.isatty() and os.environ.get("RANK", "0") == "0"


def note(text: str) -> None:
    """Print a note on stdout at once, but not inside `quietly`. Bars do not run into the text."""
    if not _quiet:
        with bars_aside():
            print(text, flush=True)


def bars_aside() -> contextlib.AbstractContextManager[Any]:
    """Inside the context text can be printed: bars are removed first and drawn again at the end."""
    return tqdm.external_write_mode() if shows_bars() else contextlib.nullcontext()


@contextlib.contextmanager
def quietly(quiet: bool = True) -> Iterator[None]:
    """Inside the context this process shows no bars and prints no notes. With `quiet=False` nothing changes."""
    global _quiet
    before, _quiet = _quiet, _quiet or quiet
    try:
        yield
    finally:
        _quiet = before


@contextlib.contextmanager
def output_of_command(quiet: bool) -> Iterator[None]:
    """Put this around the work of a command. It hides bars of other libraries where ours are hidden.

    Bars of `datasets` are hidden on a terminal too, outside `dataset_bars`: a command maps many small tables.

    Args:
        quiet: whether the command was called with `--quiet`.
    """
    global _hides_dataset_bars
    import datasets
    from transformers.utils import logging

    before = _hides_dataset_bars
    with quietly(quiet), contextlib.ExitStack() as stack:
        if not datasets.are_progress_bars_disabled():
            _hides_dataset_bars = True
            stack.enter_context(_bars_of_datasets(False))
        if not shows_bars() and logging.is_progress_bar_enabled():
            logging.disable_progress_bar()
            stack.callback(logging.enable_progress_bar)
        try:
            yield
        finally:
            _hides_dataset_bars = before


@contextlib.contextmanager
def dataset_bars(in_commands: bool = False) -> Iterator[None]:
    """Inside the context bars of `datasets` appear only where ours do, and never if the user disabled them.

    Args:
        in_commands: whether they appear in commands too.
    """
    import datasets

    enabled = not datasets.are_progress_bars_disabled() or (in_commands and _hides_dataset_bars)
    with _bars_of_datasets(enabled and shows_bars()):
        yield


@contextlib.contextmanager
def _bars_of_datasets(shown: bool) -> Iterator[None]:
    import datasets

    before = not datasets.are_progress_bars_disabled()
    switch = {True: datasets.enable_progress_bars, False: datasets.disable_progress_bars}
    if shown != before:
        switch[shown]()
    try:
        yield
    finally:
        if shown != before:
            switch[before]()
