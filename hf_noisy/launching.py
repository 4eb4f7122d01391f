"""How a recipe starts and ends: arguments from YAML and the command line, processes that know of each other and part."""

from __future__ import annotations

import gc
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from accelerate import PartialState
from transformers import HfArgumentParser, TrainingArguments

from hf_noisy.domains import nearest


def parse_arguments(
    dataclass_types: Sequence[Any], *, description: str | None = None, arguments: Sequence[str] | None = None
) -> tuple[Any, ...]:
    """Dataclasses filled from the command line, and before it from the YAML file of `--config FILE`.

    The command line wins over the file. Dictionaries are JSON on the command line and mappings in the file.

    Args:
        dataclass_types: as for `HfArgumentParser`.
        description: for `--help`.
        arguments: instead of `sys.argv[1:]`.

    Raises:
        ValueError: a key of the file that no dataclass has (with the nearest name), or a file that is no mapping.
        FileNotFoundError: no such file.
    """
    parser = HfArgumentParser(list(dataclass_types), description=description)
    parser.add_argument("--config", help="a YAML file of arguments; the command line wins over it")
    known = {option.dest for option in parser._actions}
    given = list(sys.argv[1:] if arguments is None else arguments)
    files = [word.partition("=")[2] or given[at + 1] for at, word in enumerate(given) if _is_config(word, given, at)]
    from_file = [word for file in files for word in _words(Path(file), known)]
    *parsed, _ = parser.parse_args_into_dataclasses([*from_file, *given])
    return tuple(parsed)


def check_launched(args: TrainingArguments) -> None:
    """Refuse to run as one of several processes that do not know of each other and would write to one folder.

    Raises:
        RuntimeError: the launcher started more processes than training will use.
    """
    started = int(os.environ.get("WORLD_SIZE", "1"))
    if started != args.world_size:
        raise RuntimeError(
            f"WORLD_SIZE={started}, but each process trains alone (world size {args.world_size}): the copies would "
            "overwrite each other's files. On CPUs pass --use_cpu True to the script as well, as in "
            "`accelerate launch --multi_gpu --num_processes 2 SCRIPT --use_cpu True`."
        )


def leave_process_group() -> None:
    """Call this last in a script that may run as one of several processes; alone it does nothing.

    Destroying a process group drops one reference to it. A trainer that is garbage, but in a cycle not yet collected,
    holds another, and gloo's threads then meet an interpreter that is going away: the process aborts now and then,
    after all its work is done (https://github.com/pytorch/pytorch/pull/179291). Hence the collection first.
    """
    gc.collect()
    PartialState().destroy_process_group()


def _is_config(word: str, given: Sequence[str], at: int) -> bool:
    return word.startswith("--config=") or (word == "--config" and at + 1 < len(given))


def _words(file: Path, known: set[str]) -> list[str]:
    """A YAML file as the words of a command line."""
    settings = yaml.safe_load(file.read_text(encoding="utf-8"))
    if not isinstance(settings, dict):
        raise ValueError(f"{file}: holds {type(settings).__name__}: expected lines of `name: value`.")
    words = []
    for name, value in settings.items():
        if name not in known:
            raise ValueError(f"{file}: unknown key {name!r}. {nearest(str(name), sorted(known))}")
        if value is None:
            continue
        values = value if isinstance(value, list) else [value]
        words += [f"--{name}", *(json.dumps(v) if isinstance(v, dict) else str(v) for v in values)]
    return words
