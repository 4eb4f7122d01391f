"""The argument parser of all commands: options in groups, and errors instead of exits. It imports no heavy package."""

from __future__ import annotations

import shutil
import textwrap
from argparse import SUPPRESS, Action, ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from hf_noisy.common.checks import nearest

OTHER = "This recipe"  # title of the options that no group names: those that a recipe adds
GENERAL = "General"
LISTED = 40  # an error lists all known names if there are at most this many
_COLUMN = 26  # where the text of an option begins
_VALUES = {int: "N", float: "X"}  # how a value is written in the help


class OptionParser(ArgumentParser):
    """Prints the description first, then the options in groups. Raises errors instead of printing a usage and exiting."""

    def __init__(self, *given: Any, groups: Mapping[str, Sequence[str]] | None = None, **settings: Any) -> None:
        """Pass everything but `groups` to `ArgumentParser`.

        Args:
            groups: title -> names of options, in the order of the help. The general options follow as the last group.
        """
        last = {OTHER: (), GENERAL: ("config", "quiet", "help_all", "help")}
        self._titles = {title: list(names) for title, names in {**(groups or {}), **last}.items()}
        super().__init__(*given, **{**settings, "add_help": False, "allow_abbrev": False})
        self.add_argument("-h", "--help", action="help", help="Print this text.")

    @property
    def groups(self) -> dict[str, list[Action]]:
        """Title -> the options of the group that are not hidden."""
        title_of = {
            name: title for title, names in self._titles.items() for name in names
        }  # the last one that names it
        found: dict[str, list[Action]] = {title: [] for title in self._titles}
        for action in self._actions:
            if action.help != SUPPRESS:
                found[title_of.get(action.dest, OTHER)].append(action)
        place = {name: place for names in self._titles.values() for place, name in enumerate(names)}
        return {title: sorted(of, key=lambda action: place.get(action.dest, 0)) for title, of in found.items() if of}

    def format_help(self) -> str:
        """Return the text of `--help`."""
        width = max(60, min(110, shutil.get_terminal_size((100, 24)).columns))
        blocks = [(self.description or "").strip()]
        for title, actions in self.groups.items():
            lines = [line for action in actions for line in _help_lines(action, width)]
            blocks.append("\n".join([f"{title}:", *lines]))
        return "\n\n".join(blocks) + "\n"

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}. `{self.prog} --help` lists the options.")

    def refuse(self, word: str) -> NoReturn:
        """Raise an error about a word of the command line that no option accepts."""
        if not word.startswith("--"):
            raise ValueError(f"{word!r}: belongs to no option. Expected --name value, as in --seed 1.")
        name = "--" + word[2:].partition("=")[0].replace("-", "_")
        raise ValueError(
            f"unknown option {name}. {nearest_option(name, [f'--{known}' for known, _ in self._long_options()])}"
        )

    @property
    def keys(self) -> list[str]:
        """The names of options with a value, without dashes: the keys that a file of settings may have."""
        return [name for name, action in self._long_options() if action.nargs != 0 and name != "config"]

    def _long_options(self) -> list[tuple[str, Action]]:
        options = self._option_string_actions.items()
        return [(word[2:], action) for word, action in options if word.startswith("--") and "-" not in word[2:]]


def written_names(action: Action) -> list[str]:
    """The names of an option in the help. `--max-rows` is left out beside `--max_rows`; both are accepted."""
    names = list(action.option_strings)
    return [name for name in names if "-" not in name[2:] or f"--{name[2:].replace('-', '_')}" not in names]


def written_value(action: Action) -> str:
    """The value of an option in the help, such as `N`, `FILE`, `[True|False]`; with dots if there may be several."""
    if action.nargs == 0:
        return ""
    if action.const is True:
        return "[True|False]"
    kind: Any = action.type
    value = str(action.metavar or _VALUES.get(kind, "VALUE"))
    return f"{value} ..." if action.nargs in ("*", "+") else value


def written_default(action: Action) -> str:
    """The default of an option as one would type it. Empty if it is None: the help says then what happens without it."""
    default = action.default
    if default is None or default == SUPPRESS or action.nargs == 0:
        return ""
    return " ".join(map(str, default)) if isinstance(default, list) else str(default)


def written_help(action: Action) -> str:
    """The text of an option, without its default."""
    return (action.help or "") % {"default": action.default}


def nearest_option(name: str, names: Sequence[str]) -> str:
    """Return the same as `nearest`, but leave out the list of all names if it would fill the screen."""
    hint, known, listed = nearest(name, names).partition("Known: ")
    return f"{hint}{known}{listed}" if len(names) <= LISTED else f"{hint}--help_all lists them all."


def _help_lines(action: Action, width: int) -> Iterator[str]:
    names = ", ".join(written_names(action))
    head = f"  {names} {written_value(action)}".rstrip() if names else f"  {action.metavar or action.dest}"
    default = written_default(action)
    text = written_help(action) + (f" (default: {default})" if default else "")
    lines = textwrap.wrap(text, width - _COLUMN, break_on_hyphens=False, break_long_words=False) or [""]
    if len(head) > _COLUMN - 2:
        yield head
        head = ""
    yield f"{head:{_COLUMN}}{lines[0]}"
    yield from (" " * _COLUMN + line for line in lines[1:])
