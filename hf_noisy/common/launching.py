"""Start and end of a script: arguments from YAML and the command line, check and clean-up of several processes."""

from __future__ import annotations

import gc
import json
import os
import sys
from argparse import SUPPRESS, Namespace
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from transformers import HfArgumentParser

from hf_noisy.common.options import OptionParser, nearest_option

if TYPE_CHECKING:
    from transformers import TrainingArguments


TRANSFORMERS = "Options of Transformers (TrainingArguments)"


def parse_arguments(
    dataclass_types: Sequence[Any],
    *,
    description: str | None = None,
    arguments: Sequence[str] | None = None,
    prog: str | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    defaults: Callable[[Namespace], Mapping[str, Any]] | None = None,
) -> tuple[Any, ...]:
    """Parse the command line, and the YAML file of `--config FILE`, into dataclasses.

    The command line overrides the file. Dictionaries are JSON on the command line and mappings in the file.

    Args:
        dataclass_types: as for `HfArgumentParser`.
        description: text for `--help`.
        arguments: used instead of `sys.argv[1:]`.
        prog: the name of the script in messages.
        groups: title -> names of options, for `--help`.
        defaults: from the options as they were read, the defaults of fields that replace those of the dataclasses.

    Raises:
        ValueError: an unknown option or key of the file (the error suggests the nearest name), a value of the wrong
            type, or a file that does not hold a mapping.
        FileNotFoundError: the file does not exist.
    """
    given = list(sys.argv[1:] if arguments is None else arguments)
    parser = parser_of(
        dataclass_types, description=description, prog=prog, groups=groups, hide_inherited="--help_all" not in given
    )
    files = [word.partition("=")[2] or given[at + 1] for at, word in enumerate(given) if _is_config(word, given, at)]
    words = [*(word for file in files for word in _words(Path(file), parser.keys)), *given]
    if defaults is not None:
        read, _ = parser.parse_known_args(words)
        parser.set_defaults(**defaults(read))
    *parsed, _, unknown = parser.parse_args_into_dataclasses(
        words, return_remaining_strings=True, look_for_args_file=False
    )
    if unknown:
        parser.refuse(unknown[0])
    return tuple(parsed)


def parser_of(
    dataclass_types: Sequence[Any],
    *,
    description: str | None = None,
    prog: str | None = None,
    groups: Mapping[str, Sequence[str]] | None = None,
    hide_inherited: bool = True,
) -> DataclassParser:
    """Return the parser of `parse_arguments`. `hide_inherited` leaves the options of Transformers out of the help."""
    inherited = _inherited(dataclass_types)
    parser = DataclassParser(
        list(dataclass_types), prog=prog, description=description, groups={**(groups or {}), TRANSFORMERS: inherited}
    )
    parser.add_argument(
        "--config", metavar="FILE", help="A YAML file with lines of `name: value`. The command line overrides it."
    )
    if inherited:
        parser.add_argument(
            "--help_all",
            action="help",
            help=f"Print this text with {len(inherited)} more options, those of Transformers.",
        )
        if hide_inherited:
            parser.hide(inherited)
    return parser


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


class DataclassParser(OptionParser, HfArgumentParser):
    """Makes an option of each field of the dataclasses. List options accept an empty list."""

    def add_argument(self, *names: Any, **settings: Any) -> Any:
        if settings.get("nargs") == "+" and not settings.get("required"):
            settings["nargs"] = "*"
        if settings.get("action") == "store_false":  # --no_NAME, which says no more than --NAME False
            settings["help"] = SUPPRESS
        return super().add_argument(*names, **settings)

    def hide(self, names: Sequence[str]) -> None:
        """Hide these options from the help. They are still accepted."""
        for action in self._actions:
            if action.dest in names:
                action.help = SUPPRESS


def _inherited(dataclass_types: Sequence[Any]) -> list[str]:
    """Return the names of the fields that the dataclasses inherit unchanged from Transformers, in order."""
    bases = [base for kind in dataclass_types for base in kind.__mro__ if "__annotations__" in vars(base)]
    theirs, ours = dict[str, Any](), dict[str, Any]()
    for base in bases:
        (theirs if base.__module__.startswith("transformers.") else ours).update(vars(base)["__annotations__"])
    return [name for name in theirs if name not in ours]


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
            raise ValueError(f"{file}: unknown key {name!r}. {nearest_option(str(name), names)}")
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        words += [f"--{name}", *(json.dumps(v) if isinstance(v, dict) else str(v) for v in values)]
    return words
