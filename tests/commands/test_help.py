"""Each command's help: what the command does, a call that works, and every option in a group with a text."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from programs import run_program

from hf_noisy import cli
from hf_noisy.audit import SCORERS
from hf_noisy.commands.arguments import GROUPS, AuditArguments, EstimateArguments
from hf_noisy.common import options
from hf_noisy.common.launching import TRANSFORMERS, parser_of
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.evidence.rates.report import ESTIMATORS

NAMED = "distilbert-base-uncased"  # the encoder of the examples, for which the tests take a small one
WITH_DATACLASSES = [name for name, command in cli.COMMANDS.items() if command.options is not None]
SHORT = {  # what is added to an example, so that it ends soon
    "train": ["--epochs", "1"],
    "audit": ["--resamples", "5"],
    "estimate": ["--resamples", "5"],
    "benchmark": ["--seeds", "0", "--epochs", "1", "--processes", "2"],
}


def help_of(name: str, capsys, word: str = "--help") -> str:
    with pytest.raises(SystemExit) as end:  # how argparse ends after the help
        cli.main([name, word])
    assert end.value.code == 0
    return capsys.readouterr().out


def parser_for(name: str, **settings) -> options.OptionParser:
    return parser_of(cli.COMMANDS[name].options(), prog=name, groups=GROUPS, **settings)


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_help_begins_with_what_the_command_does_and_its_usual_call(name, capsys):
    command = cli.COMMANDS[name]
    lines = help_of(name, capsys).splitlines()
    assert lines[0] == command.summary
    assert lines[2 : 2 + len(command.usual.splitlines())] == [f"  {line}" for line in command.usual.splitlines()]
    assert lines[2].startswith(f"  hf-noisy {name}")
    assert max(map(len, lines)) <= 120


@pytest.mark.slow
@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_usual_calls_of_the_help_work(name, tmp_path):
    rows = [
        f"{word} thing number {k},{'bad' if k % 7 == 0 else gold},{gold}"
        for k in range(40)
        for word, gold in (("nice", "good"), ("poor", "bad"))
    ]
    (tmp_path / "my.csv").write_text("text,label,gold\n" + "\n".join(rows) + "\n")
    (tmp_path / "decisions.csv").write_text("id,label,decision,new_label\n0,bad,change,good\n")
    for part in small_encoder(rows, ("bad", "good")):
        part.save_pretrained(tmp_path / NAMED)
    for line in cli.COMMANDS[name].usual.splitlines():
        done = run_program([*shlex.split(line), *SHORT.get(name, [])], cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert done.stdout
        assert "%|" not in done.stderr  # a bar of progress
    made = {"train": "my_model/model.safetensors", "audit": "audit/report.html", "estimate": "noise.png"}
    assert Path(tmp_path, {**made, "benchmark": "report.md"}.get(name, "my.csv")).is_file()


@pytest.mark.parametrize("name", WITH_DATACLASSES)
def test_every_option_stands_in_a_group_with_a_text_in_whole_sentences(name):
    groups = parser_for(name).groups
    assert options.OTHER not in groups  # of recipes only
    assert TRANSFORMERS not in groups
    assert next(iter(groups)) == "Data"
    assert list(groups)[-1] == options.GENERAL
    for action in (action for actions in groups.values() for action in actions):
        text = options.written_help(action)
        assert text.endswith((".", ".)")), text
        assert options.written_default(action) or action.default in (None, "==SUPPRESS=="), action
        if action.default is None and action.nargs != 0 and action.dest not in ("gold_column", "votes_columns"):
            assert "Without it" in text or action.dest in ("config", "figure", "report", "noise", "noise_kwargs"), text


@pytest.mark.parametrize("name", WITH_DATACLASSES)
def test_a_group_names_no_option_twice_and_the_help_shows_one_spelling(name, capsys):
    shown = help_of(name, capsys)
    assert "--text_column COLUMN " in shown
    assert "--text-column" not in shown  # accepted too
    listed = [option for names in GROUPS.values() for option in names]
    assert len(set(listed)) == len(listed)
    for title in parser_for(name).groups:
        assert f"\n{title}:\n" in shown


def test_options_of_transformers_stand_in_a_group_of_their_own(capsys):
    hidden = help_of("train", capsys, "--help_all").partition(f"\n{TRANSFORMERS}:\n")[2]
    assert "  --adam_beta1 X" in hidden
    assert "  --lr_scheduler_type VALUE" in hidden
    assert hidden.index("\nGeneral:\n") > hidden.index("--adam_beta1")


def test_names_that_an_option_accepts_are_those_of_the_code():
    fields = {kind: kind.__dataclass_fields__ for kind in (AuditArguments, EstimateArguments)}
    assert all(name in fields[AuditArguments]["scorers"].metadata["help"] for name in SCORERS)
    assert all(name in fields[EstimateArguments]["estimators"].metadata["help"] for name in ESTIMATORS)


def test_defaults_are_written_as_one_would_type_them(capsys):
    shown = help_of("benchmark", capsys)
    assert "(default: 0 1)" in shown
    assert "(default: None)" not in shown
    assert "--bf16 [True|False]" in shown


def test_a_recipe_lists_its_own_options_in_a_group(capsys):
    from dataclasses import dataclass, field

    from hf_noisy.recipe import RecipeArguments

    @dataclass
    class Own(RecipeArguments):
        shouting: bool = field(default=False, metadata={"help": "Write in capitals."})

    with pytest.raises(SystemExit):
        parser_of([Own], description="Shout.", groups=GROUPS).parse_args(["--help"])
    shown = capsys.readouterr().out
    assert shown.startswith("Shout.\n\nData:\n")
    assert f"\n{options.OTHER}:\n  --shouting [True|False]\n" in shown


def test_a_light_command_suggests_its_options_and_accepts_quiet(capsys):
    assert cli.main(["methods", "gce", "--quiet"]) == 0
    assert "gce" in capsys.readouterr().out
    assert cli.main(["env", "--quite"]) == 2
    assert "unknown option --quite. Did you mean '--quiet'?" in capsys.readouterr().err


@pytest.fixture
def generators(monkeypatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "docs" / "generators"))


@pytest.mark.usefixtures("generators")
@pytest.mark.parametrize("name", cli.COMMANDS)
def test_the_page_of_the_command_line_has_a_row_for_each_option(name):
    from command_line import commands, verb

    shown = verb(name)
    assert shown.startswith(f"## hf-noisy {name}\n\n{cli.COMMANDS[name].summary}\n\n```bash\n")
    assert f"(#hf-noisy-{name})" in commands()
    for title, actions in cli.COMMANDS[name].parser(name).groups.items():
        assert f"**{title}**\n\n| option |" in shown
        assert all(f"`{spelled}" in shown for action in actions for spelled in options.written_names(action))
    assert all(line.count("`") % 2 == 0 for line in shown.splitlines() if not line.startswith("```"))


@pytest.mark.usefixtures("generators")
def test_the_page_of_the_arguments_has_a_row_for_each_that_is_added():
    from arguments import defaults_of_commands, trainer_parameters, training_arguments

    fields = training_arguments()
    assert all(f"| `{name}` |" in fields for name in ("noise_method", "noise_kwargs", "save_all_networks"))
    assert "learning_rate" not in fields
    parameters = trainer_parameters()
    assert all(f"| `{name}` |" in parameters for name in ("gold_column", "clean_dataset", "criterion"))
    assert "| `learning_rate` | `5e-05` | `0.001` |" in defaults_of_commands()
