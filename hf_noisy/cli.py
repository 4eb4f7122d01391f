"""`hf-noisy COMMAND`: the command line. It runs the same code as recipes/, and its help imports no heavy package."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hf_noisy import __version__
from hf_noisy.common.checks import nearest
from hf_noisy.common.script import DONE, complain, run_script

Words = Sequence[str]


def train(words: Words, prog: str) -> int:
    from hf_noisy.recipe import Recipe  # every command imports late, since torch is slow to import

    Recipe.main(words, description=COMMANDS["train"].describe(), prog=prog)
    return DONE


def benchmark(words: Words, prog: str) -> int:
    from hf_noisy.commands.arguments import BenchmarkArguments
    from hf_noisy.common.launching import parse_arguments

    (given,) = parse_arguments(
        [BenchmarkArguments], description=COMMANDS["benchmark"].describe(), arguments=words, prog=prog
    )
    from hf_noisy.commands.benchmark import run

    return run(given)


def audit(words: Words, prog: str) -> int:
    from hf_noisy.commands.arguments import AuditArguments
    from hf_noisy.common.launching import parse_arguments

    (given,) = parse_arguments([AuditArguments], description=COMMANDS["audit"].describe(), arguments=words, prog=prog)
    from hf_noisy.commands.audit import run

    run(given, shlex.join([*prog.split(), *words]))
    return DONE


def estimate(words: Words, prog: str) -> int:
    from hf_noisy.commands.arguments import EstimateArguments
    from hf_noisy.common.launching import parse_arguments

    (given,) = parse_arguments(
        [EstimateArguments], description=COMMANDS["estimate"].describe(), arguments=words, prog=prog
    )
    from hf_noisy.commands.estimate import run

    run(given)
    return DONE


def methods(words: Words, prog: str) -> int:
    if any(word in ("-h", "--help") for word in words):
        print(f"usage: {prog} [NAME ...] [--yaml]\n\n{COMMANDS['methods'].describe()}")
        return DONE
    names = [word for word in words if word != "--yaml"]
    unknown = [word for word in names if word.startswith("-")]
    if unknown:
        raise ValueError(f"unknown option {unknown[0]}. {nearest(unknown[0], ['--yaml', '--help'])}")
    from hf_noisy.commands.methods import config_of, method_in_full, table_of_methods

    if "--yaml" in words:
        if len(names) != 1:
            raise ValueError(f"--yaml with {len(names)} names: expected one method, as in `{prog} gce --yaml`.")
        print(config_of(names[0]), end="")
    else:
        print("\n\n".join(map(method_in_full, names)) if names else table_of_methods())
    return DONE


@dataclass(frozen=True)
class Command:
    """A command: a word after `hf-noisy`."""

    body: Callable[[Words, str], int]  # (the words after it, the name in messages) -> exit code
    summary: str
    details: str

    def describe(self) -> str:
        """Return the text above the options in `--help`."""
        return f"{self.summary}\n\n{self.details}"


_FILE = "Settings may come from a YAML file, --config FILE; the command line wins over it."
COMMANDS = {
    "train": Command(
        train,
        "Train on labels that are partly wrong, with and without protection, and save the protected model.",
        f"{_FILE}\nOn several processes: accelerate launch --multi_gpu -m hf_noisy train ...",
    ),
    "benchmark": Command(
        benchmark,
        "Compare methods and baselines on the same rows, encoder and budget.",
        f"{_FILE}\nRuns that are in the file of results already are skipped.",
    ),
    "audit": Command(
        audit,
        "Find labels that look wrong: writes a page to review them and a JSON line for each label.",
        f"{_FILE}\nGold labels are read only with --gold, to evaluate the result.",
    ),
    "estimate": Command(
        estimate,
        "Estimate how many labels are wrong, and which classes are confused.",
        f"{_FILE}\nGold labels are read only with --gold, to evaluate the result.",
    ),
    "methods": Command(
        methods,
        "List all methods, or describe the named methods in full.",
        "The names are values of --noise_method (train) and --methods (benchmark).\n"
        "NAME --yaml prints a file for --config.",
    ),
}


def main(words: Words | None = None, prog: str = "hf-noisy") -> int:
    """Run the command that the first word names.

    An error raised by this package says what was expected, so it is printed without a traceback. Any other error keeps
    its traceback.

    Args:
        words: used instead of `sys.argv[1:]`.
        prog: the name of the program in messages.

    Returns:
        0 on success, 1 if the work failed, 2 if the call was wrong.
    """
    name, *rest = list(sys.argv[1:] if words is None else words) or ["--help"]
    return run_script(f"{prog} {name}", lambda: _run(name, rest, prog))


def _run(name: str, words: Words, prog: str) -> int:
    if name in ("-h", "--help"):
        print(_help(prog))
        return DONE
    if name == "--version":
        print(f"hf_noisy {__version__}")
        return DONE
    if name not in COMMANDS:
        return complain(prog, f"unknown command {name!r}. {nearest(name, COMMANDS)}")
    return COMMANDS[name].body(words, f"{prog} {name}")


def _help(prog: str) -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:{width}}  {command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"usage: {prog} COMMAND [--config FILE] [--option value ...]",
            "",
            "Train Hugging Face text classifiers on labels you cannot trust.",
            "",
            *lines,
            "",
            f"`{prog} COMMAND --help` lists the options of a command.",
        ]
    )
