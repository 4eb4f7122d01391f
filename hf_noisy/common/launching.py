"""Start and end of a script: arguments from YAML and the command line, check and clean-up of several processes."""

from __future__ import annotations

import gc
import json
import os
import sys
from argparse import SUPPRESS, ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter
from collections.abc import Container, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import yaml
from transformers import HfArgumentParser

from hf_noisy.common.checks import nearest

if TYPE_CHECKING:
    from transformers import TrainingArguments


LISTED = 40  # an error lists all known names if there are at most this many


def parse_arguments(
    dataclass_types: Sequence[Any],
    *,
    description: str | None = None,
    arguments: Sequence[str] | None = None,
    prog: str | None = None,
) -> tuple[Any, ...]:
    """Parse the command line, and the YAML file of `--config FILE`, into dataclasses.

    The command line overrides the file. Dictionaries are JSON on the command line and mappings in the file.

    Args:
        dataclass_types: as for `HfArgumentParser`.
        description: text for `--help`.
        arguments: used instead of `sys.argv[1:]`.
        prog: the name of the script in `--help`.

    Raises:
        ValueError: an unknown option or key of the file (the error suggests the nearest name), a value of the wrong
            type, or a file that does not hold a mapping.
        FileNotFoundError: the file does not exist.
    """
    parser = _Parser(
        list(dataclass_types),
        prog=prog,
        usage="%(prog)s [--config FILE] [--option value ...]",
        description=description,
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    parser.add_argument("--config", help="a YAML file of arguments; the command line wins over it")
    given = list(sys.argv[1:] if arguments is None else arguments)
    inherited = _inherited(dataclass_types)
    if inherited:
        parser.add_argument(
            "--help_all", action="help", help=f"show {len(inherited)} more options, those of Transformers"
        )
        if "--help_all" not in given:
            parser.hide(inherited)
    files = [word.partition("=")[2] or given[at + 1] for at, word in enumerate(given) if _is_config(word, given, at)]
    from_file = [word for file in files for word in _words(Path(file), parser.names)]
    *parsed, _, unknown = parser.parse_args_into_dataclasses(
        [*from_file, *given], return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        _refuse(unknown[0], parser.names)
    return tuple(parsed)


def check_launched(args: TrainingArguments) -> None:
    """Check that the launched processes train together. Otherwise each would train alone and write to the same folder.

    Raises:
        RuntimeError: the launcher started another number of processes than training will use.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != args.world_size:
        raise RuntimeError(
            f"WORLD_SIZE={started}, but each process trains alone (world size {args.world_size}): the copies would "
            "overwrite each other's files. On CPUs pass --use_cpu True to the script as well, as in "
            "`accelerate launch --multi_gpu --num_processes 2 SCRIPT --use_cpu True`."
        )


def leave_process_group() -> None:
    """Destroy the process group. Call this last in a script that may run in several processes.

    It does nothing in a single process. Destroying a process group drops one reference to it. An unused trainer in a
    reference cycle that is not yet collected holds another reference. Then gloo's threads still run while the
    interpreter shuts down, and the process sometimes aborts after all its work is done
    (https://github.com/pytorch/pytorch/pull/179291). Garbage is therefore collected first.
    """
    from accelerate import PartialState

    gc.collect()
    PartialState().destroy_process_group()


class _Formatter(ArgumentDefaultsHelpFormatter, RawDescriptionHelpFormatter):
    """Prints the description unchanged and adds the default to each option."""


class _Parser(HfArgumentParser):
    """Raises errors instead of printing them below the usage of 200 options. List options accept an empty list."""

    def add_argument(self, *names: Any, **settings: Any) -> Any:
        if settings.get("nargs") == "+" and not settings.get("required"):
            settings["nargs"] = "*"
        return super().add_argument(*names, **settings)

    def error(self, message: str) -> NoReturn:
        raise ValueError(f"{message}. `{self.prog} --help` lists the options.")

    def hide(self, names: Container[str]) -> None:
        """Hide these options from the help. They are still accepted."""
        for action in self._actions:
            if action.dest in names:
                action.help = SUPPRESS

    @property
    def names(self) -> list[str]:
        """The option names without dashes, which are the keys that a file may have."""
        return [
            word.removeprefix("--")
            for word, action in self._option_string_actions.items()
            if word.startswith("--") and "-" not in word[2:] and action.nargs != 0 and word != "--config"
        ]


def _inherited(dataclass_types: Sequence[Any]) -> set[str]:
    """Return the fields that the dataclasses inherit unchanged from Transformers."""
    bases = [base for kind in dataclass_types for base in kind.__mro__ if "__annotations__" in vars(base)]
    theirs, ours = set[str](), set[str]()
    for base in bases:
        (theirs if base.__module__.startswith("transformers.") else ours).update(vars(base)["__annotations__"])
    return theirs - ours


def _refuse(word: str, names: Sequence[str]) -> NoReturn:
    """Raise an error about a word of the command line that no option accepts."""
    if not word.startswith("--"):
        raise ValueError(f"{word!r}: belongs to no option. Expected --name value, as in --seed 1.")
    name = word[2:].partition("=")[0].replace("-", "_")
    options = [f"--{known}" for known in names]
    raise ValueError(f"unknown option --{name}. {_nearest(f'--{name}', options)}")


def _nearest(name: str, names: Sequence[str]) -> str:
    """Return the same as `nearest`, but leave out the list of all names if it would fill the screen."""
    hint, known, listed = nearest(name, names).partition("Known: ")
    return f"{hint}{known}{listed}" if len(names) <= LISTED else f"{hint}--help_all lists them all."


def _is_config(word: str, given: Sequence[str], at: int) -> bool:
    return word.startswith("--config=") or (word == "--config" and at + 1 < len(given))


def _words(file: Path, names: Sequence[str]) -> list[str]:
    """Convert a YAML file to the words of a command line."""
    if not file.is_file():
        raise FileNotFoundError(f"--config {file}: no such file, seen from {os.getcwd()}. Check the path.")
    try:
        settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{file}: expected YAML, lines of `name: value` ({error}).") from error
    if not isinstance(settings, dict):
        raise ValueError(f"{file}: holds {type(settings).__name__}: expected lines of `name: value`.")
    words = []
    for name, value in settings.items():
        if name not in names:
            raise ValueError(f"{file}: unknown key {name!r}. {_nearest(str(name), names)}")
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        words += [f"--{name}", *(json.dumps(v) if isinstance(v, dict) else str(v) for v in values)]
    return words
