"""`hf-noisy COMMAND`: the command line. It runs the same code as recipes/, and its help imports no heavy package."""

from __future__ import annotations

import shlex
import sys
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from hf_noisy import __version__
from hf_noisy.common.checks import nearest
from hf_noisy.common.options import OptionParser
from hf_noisy.common.script import DONE, complain, run_script

Words = Sequence[str]
_WIDTH = 110  # of the text above the options


def train(words: Words, prog: str) -> int:
    from hf_noisy.recipe import Recipe  # every command imports late, since torch is slow to import

    Recipe.main(_named(words), description=COMMANDS["train"].describe(), prog=prog)
    return DONE


def benchmark(words: Words, prog: str) -> int:
    given = _parsed("benchmark", words, prog)
    from hf_noisy.commands.benchmark import run

    return run(given)


def audit(words: Words, prog: str) -> int:
    given = _parsed("audit", words, prog)
    from hf_noisy.commands.audit import run

    run(given, shlex.join([*prog.split(), *words]))
    return DONE


def estimate(words: Words, prog: str) -> int:
    given = _parsed("estimate", words, prog)
    from hf_noisy.commands.estimate import run

    run(given)
    return DONE


def look(words: Words, prog: str) -> int:
    given = _parsed("look", words, prog)
    from hf_noisy.commands.look import run

    run(given)
    return DONE


def apply(words: Words, prog: str) -> int:
    given = _parsed("apply", words, prog)
    from hf_noisy.commands.apply import run

    run(given)
    return DONE


def methods(words: Words, prog: str) -> int:
    given = _parsed("methods", words, prog)
    if given.yaml and len(given.names) != 1:
        raise ValueError(f"--yaml with {len(given.names)} names: expected one method, as in `{prog} gce --yaml`.")
    from hf_noisy.commands.methods import config_of, method_in_full, table_of_methods

    if given.yaml:
        print(config_of(given.names[0]), end="")
    else:
        print("\n\n".join(map(method_in_full, given.names)) if given.names else table_of_methods())
    return DONE


def env(words: Words, prog: str) -> int:
    given = _parsed("env", words, prog)
    from hf_noisy.commands.env import environment

    print(environment(given.method))
    return DONE


def _parsed(name: str, words: Words, prog: str) -> Any:
    """Parse the words after the command `name`.

    Raises:
        ValueError, FileNotFoundError: see `parse_arguments`.
    """
    command = COMMANDS[name]
    if command.options is not None:
        from hf_noisy.commands.arguments import GROUPS
        from hf_noisy.common.launching import parse_arguments

        (given,) = parse_arguments(
            command.options(), description=command.describe(), arguments=_named(words), prog=prog, groups=GROUPS
        )
        return given
    parser = command.parser(prog)
    given, unknown = parser.parse_known_args(words)
    if unknown:
        parser.refuse(unknown[0])
    return given


def _named(words: Words) -> list[str]:
    """Put `--data` before the words that no option precedes: `look my.csv` is `look --data my.csv`.

    >>> _named(["a.csv", "b.csv", "--seed", "1"]), _named(["-"]), _named(["--quiet"])
    (['--data', 'a.csv', 'b.csv', '--seed', '1'], ['--data', '-'], ['--quiet'])
    """
    first = next((k for k, word in enumerate(words) if word.startswith("-") and word != "-"), len(words))
    return ["--data", *words] if first else list(words)


@dataclass(frozen=True)
class Command:
    """A command: a word after `hf-noisy`."""

    body: Callable[[Words, str], int]  # (the words after it, the name in messages) -> exit code
    summary: str  # what it does
    usual: str  # the most common calls, a line each
    details: str = ""
    options: Callable[[], list[type]] | None = None  # imports the dataclasses of its options
    arguments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)  # name -> settings, without `options`

    def describe(self) -> str:
        """Return the text above the options in `--help`."""
        details = textwrap.fill(self.details, _WIDTH, break_on_hyphens=False, break_long_words=False)
        return "\n\n".join(filter(None, [self.summary, textwrap.indent(self.usual, "  "), details]))

    def parser(self, prog: str) -> OptionParser:
        """Return the parser of its words."""
        if self.options is not None:
            from hf_noisy.commands.arguments import GROUPS
            from hf_noisy.common.launching import parser_of

            return parser_of(self.options(), description=self.describe(), prog=prog, groups=GROUPS)
        groups = {"Arguments": [name.removeprefix("--") for name in self.arguments]}
        parser = OptionParser(prog=prog, description=self.describe(), groups=groups)
        for name, settings in self.arguments.items():
            parser.add_argument(name, **settings)
        return parser


def _train_options() -> list[type]:
    from hf_noisy.recipe import RecipeArguments, RecipeTrainingArguments

    return [RecipeArguments, RecipeTrainingArguments]


def _audit_options() -> list[type]:
    from hf_noisy.commands.arguments import AuditArguments

    return [AuditArguments]


def _estimate_options() -> list[type]:
    from hf_noisy.commands.arguments import EstimateArguments

    return [EstimateArguments]


def _benchmark_options() -> list[type]:
    from hf_noisy.commands.arguments import BenchmarkArguments

    return [BenchmarkArguments]


def _look_options() -> list[type]:
    from hf_noisy.commands.arguments import LookArguments

    return [LookArguments]


def _apply_options() -> list[type]:
    from hf_noisy.commands.arguments import ApplyArguments

    return [ApplyArguments]


_QUIET = {"--quiet": {"action": "store_true", "help": "Accepted as in all commands. It changes nothing here."}}
_FILE = "Options may also come from a YAML file, `--config FILE`. The command line overrides the file."
COMMANDS = {
    "look": Command(
        look,
        "Print what is understood of a table: rows, columns, classes, sources, and what looks odd.",
        "hf-noisy look my.csv\nhf-noisy look my.csv --text_column text --label_column label",
        f"Nothing is trained and nothing is written. {_FILE}",
        options=_look_options,
    ),
    "train": Command(
        train,
        "Train a classifier on labels that are partly wrong, compare it with plain training, and save it.",
        "hf-noisy train my.csv --output my_model\nhf-noisy train my.csv --model distilbert-base-uncased",
        "my.csv has a column `text` and a column `label`. The trained model is saved, with a table of its test accuracy "
        "beside that of plain cross-entropy. Without true labels (--gold_column) the table shows agreement with the given "
        "test labels, which are as noisy as those of training. On several GPUs: `accelerate launch --multi_gpu -m hf_noisy "
        f"train ...`. {_FILE}",
        options=_train_options,
    ),
    "audit": Command(
        audit,
        "Find labels that look wrong. Writes a page to review them, and a file with a score for each label.",
        "hf-noisy audit my.csv --output audit\nhf-noisy audit my.csv --model distilbert-base-uncased --output audit",
        "Open audit/report.html in a browser. True labels are never needed; --gold uses them to measure the result. "
        f"{_FILE}",
        options=_audit_options,
    ),
    "estimate": Command(
        estimate,
        "Estimate how many labels are wrong, and which classes are confused.",
        "hf-noisy estimate my.csv\nhf-noisy estimate my.csv --model distilbert-base-uncased --figure noise.png",
        "Prints the rate by several estimators and the kind of noise. True labels are never needed; --gold shows the true "
        f"rate beside the estimates. {_FILE}",
        options=_estimate_options,
    ),
    "benchmark": Command(
        benchmark,
        "Compare methods and baselines on the same rows, encoder and budget.",
        "hf-noisy benchmark my.csv --gold_column gold --methods auto gce --output results.jsonl\n"
        "hf-noisy benchmark --output results.jsonl --report report.md",
        "Needs true labels in the test rows, here in a column `gold`. Runs that the file of results holds are skipped, so "
        f"an interrupted benchmark continues. {_FILE}",
        options=_benchmark_options,
    ),
    "apply": Command(
        apply,
        "Apply the decisions of a review to the table that was audited, and write it in the same format.",
        "hf-noisy apply my.csv --decisions decisions.csv --output corrected.csv",
        "Rows that no decision names stay as they are. The former label of each row is kept in a column original_label. "
        f"{_FILE}",
        options=_apply_options,
    ),
    "methods": Command(
        methods,
        "List all methods, or describe some of them in full.",
        "hf-noisy methods\nhf-noisy methods gce\nhf-noisy methods gce --yaml",
        "The names are values of --noise_method (train) and --methods (benchmark).",
        arguments={
            "names": {
                "nargs": "*",
                "metavar": "NAME",
                "help": "Methods to describe in full. Without it: all, in short.",
            },
            "--yaml": {"action": "store_true", "help": "Print a file for --config that trains with the named method."},
            **_QUIET,
        },
    ),
    "env": Command(
        env,
        "Print versions, platform and device, for a bug report.",
        "hf-noisy env\nhf-noisy env gce",
        arguments={
            "method": {
                "nargs": "?",
                "metavar": "NAME",
                "help": "The method that the report is about, as in --noise_method: gce, co_teaching+gce.",
            },
            **_QUIET,
        },
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
    usual = COMMANDS["train"].usual.splitlines()[0]
    return "\n".join(
        [
            "Train text classifiers of Hugging Face Transformers on labels that are partly wrong.",
            "",
            f"  {usual}",
            "",
            "Commands:",
            *lines,
            "",
            f"`{prog} COMMAND --help` prints the options of a command, `{prog} --version` the version.",
        ]
    )
