"""The page of the command line: what each command's `--help` prints, as tables."""

from __future__ import annotations

import re
from argparse import Action

from hf_noisy import cli
from hf_noisy.common.options import written_default, written_help, written_names, written_value

_OPTION = re.compile(r"(?<![\w-])(--\w+)")


def commands() -> str:
    """The commands in a table."""
    rows = [f"| [`hf-noisy {name}`](#hf-noisy-{name}) | {command.summary} |" for name, command in cli.COMMANDS.items()]
    return "\n".join(["| command | what it does |", "|---|---|", *rows])


def verbs() -> str:
    """Each command: what it does, its usual calls, its options by group."""
    return "\n\n".join(map(verb, cli.COMMANDS))


def verb(name: str) -> str:
    """The section of one command."""
    command = cli.COMMANDS[name]
    usual = f"```bash\n{command.usual}\n```"
    details = _with_options_as_code(command.details)
    groups = command.parser(f"hf-noisy {name}").groups
    tables = [f"**{title}**\n\n{table(actions)}" for title, actions in groups.items()]
    return "\n\n".join(filter(None, [f"## hf-noisy {name}", command.summary, usual, details, *tables]))


def table(actions: list[Action]) -> str:
    """A row for each option: its names with the value, its default, its meaning."""
    rows = [
        f"| {_names(action)} | {_code(written_default(action))} | {_with_options_as_code(written_help(action))} |"
        for action in actions
    ]
    return "\n".join(["| option | default | meaning |", "|---|---|---|", *rows])


def _names(action: Action) -> str:
    first, *others = written_names(action) or [str(action.metavar)]
    value = written_value(action) if action.option_strings else ""
    return "<br>".join([_code(f"{first} {value}".strip()), *map(_code, others)])


def _code(text: str) -> str:
    """Markdown of what is typed; outside of code, a pipe would end the cell."""
    return f"`{text}`" if text else ""


def _with_options_as_code(text: str) -> str:
    parts = text.split("`")
    return "`".join(part if place % 2 else _OPTION.sub(r"`\1`", part) for place, part in enumerate(parts))
