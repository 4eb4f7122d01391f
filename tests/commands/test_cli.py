"""`hf-noisy`: what it says when it is called wrongly, that it answers before torch is there, and that each command works."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest

import hf_noisy
from hf_noisy import METHODS, cli, public
from hf_noisy.commands import arguments
from hf_noisy.commands.arguments import BenchmarkArguments, RecipeArguments
from hf_noisy.commands.methods import method_in_full, needs
from hf_noisy.common.launching import parse_arguments
from hf_noisy.methods.guide import GUIDE
from hf_noisy.recipe import Recipe, RecipeTrainingArguments

ROOT = Path(__file__).resolve().parents[2]
TAKES_SETTINGS = ["train", "benchmark", "audit", "estimate"]


@pytest.fixture
def labels_csv(tmp_path) -> Path:
    """Eighty rows that a word decides, every seventh label wrong, with gold."""
    lines = [
        f"{word} thing number {k},{'bad' if k % 7 == 0 else gold},{gold}"
        for k in range(40)
        for word, gold in (("nice", "good"), ("poor", "bad"))
    ]
    path = tmp_path / "labels.csv"
    path.write_text("text,stars,gold\n" + "\n".join(lines) + "\n")
    return path


def columns(csv: Path) -> str:
    return f"label_column: stars\ngold_column: gold\n{{}}: {csv}\n"


# --- the call ---


def test_alone_it_lists_the_commands_and_ends_well(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    assert all(f"  {name}" in shown and command.summary in shown for name, command in cli.COMMANDS.items())
    assert cli.main(["--version"]) == 0
    assert hf_noisy.__version__ in capsys.readouterr().out


def test_an_unknown_command_names_the_nearest(capsys):
    assert cli.main(["trian"]) == 2
    assert "hf-noisy: error: unknown command 'trian'. Did you mean 'train'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", TAKES_SETTINGS)
def test_an_unknown_option_or_key_names_the_nearest(command, tmp_path, capsys):
    assert cli.main([command, "--gold_colum", "gold"]) == 2
    assert f"hf-noisy {command}: error: unknown option --gold_colum. Did you mean '--gold_column'?" in (
        capsys.readouterr().err
    )
    config = tmp_path / "settings.yaml"
    config.write_text("gold_colum: gold\n")
    assert cli.main([command, "--config", str(config)]) == 2
    assert "unknown key 'gold_colum'. Did you mean 'gold_column'?" in capsys.readouterr().err


def test_an_error_of_ours_is_one_line_and_another_keeps_its_traceback(monkeypatch, capsys):
    assert cli.main(["train", "--noise_method", "gcee"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("hf-noisy train: error: noise_method='gcee'")
    assert "Traceback" not in error

    def broken(words, prog):
        raise ValueError("from elsewhere")

    monkeypatch.setitem(cli.COMMANDS, "train", cli.Command(broken, "", ""))
    with pytest.raises(ValueError, match="from elsewhere"):
        cli.main(["train"])


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["train", "--num_train_epochs", "few"], "invalid float value: 'few'"),
        (["train", "--seed", "1", "gce"], "'gce': belongs to no option"),
        (["train", "gce"], "'gce': no such file or folder"),
        (["look"], "no table is named: expected a file, as in `hf-noisy look my.csv`"),
        (
            ["apply", "my.csv", "--output", "new.csv"],
            "--decisions is missing: expected a table, decisions and an output",
        ),
        (["train", "--noise_meth", "gce"], "unknown option --noise_meth. Did you mean '--noise_method'?"),
        (["train", "--data", "./nowhere"], "'./nowhere': no such file or folder"),
        (["train", "--model", "./nowhere"], "model_name_or_path='./nowhere': no such folder. Expected"),
        (["audit", "--model", "."], "model='.': the folder has no configuration of a model"),
        (["estimate", "--model", "no-such-model"], "no such folder here, and no model of that name"),
        (["benchmark", "--model", "./nowhere", "--methods", "ce"], "model='./nowhere': no such folder"),
        (["audit", "--config", "nowhere.yaml"], "--config nowhere.yaml: no such file"),
        (["audit", "--config"], "expected one argument"),
        (["estimate", "--folds", "two"], "invalid int value: 'two'"),
        (["benchmark", "--report", "r.md", "--output", "nowhere.jsonl"], "--output nowhere.jsonl: no such file"),
        (["benchmark", "--epochs", "0"], "epochs=0"),
        (["methods", "gcee"], "unknown method 'gcee'. Did you mean 'gce'?"),
        (["methods", "--yml"], "unknown option --yml. Did you mean '--yaml'?"),
        (["methods", "--yaml"], "--yaml with 0 names"),
    ],
)
def test_a_wrong_call_says_what_was_expected(words, complaint, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert cli.main(words) == 2
    assert complaint in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (
            ["--method", "glc"],
            "noise_method='glc': reads rows with true labels, and no validation row has a gold label.",
        ),
        (["--resume_from_checkpoint", "nowhere"], "Can't find a valid checkpoint at 'nowhere'"),
        (["--resume_from_checkpoint", "True"], "No valid checkpoint found in"),
    ],
)
def test_what_only_the_method_would_refuse_is_refused_before_the_baseline_trains(
    words, complaint, labels_csv, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(Recipe, "train", lambda *_, **__: pytest.fail("something was trained"))
    told = ["train", "--data", str(labels_csv), "--label_column", "stars", "--output", str(tmp_path / "out"), *words]
    assert cli.main(told) == 2
    assert complaint in capsys.readouterr().err


@pytest.mark.slow
def test_help_comes_before_torch():
    code = """
import sys
from hf_noisy.cli import main
for words in ([], ["--version"], ["methods", "--help"], ["env", "--help"], ["audit", "--help"], ["estimate", "--help"], ["benchmark", "--help"]):
    try:
        assert main(words) == 0
    except SystemExit as end:
        assert end.code == 0
    assert "torch" not in sys.modules, words
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--max_rows" in done.stdout


@pytest.mark.slow
def test_the_module_is_the_script():
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert scripts == {"hf-noisy": "hf_noisy.cli:main"}
    done = subprocess.run([sys.executable, "-m", "hf_noisy", "audti"], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "python -m hf_noisy: error: unknown command 'audti'. Did you mean 'audit'?" in done.stderr


def test_every_public_name_is_there_and_no_other():
    assert hf_noisy.__all__ == public.__all__
    assert all(getattr(hf_noisy, name) is getattr(public, name) for name in hf_noisy.__all__)
    assert set(hf_noisy.__all__) <= set(dir(hf_noisy))
    with pytest.raises(AttributeError, match="no attribute 'NoisyTrianer'"):
        _ = hf_noisy.NoisyTrianer


# --- settings ---


def test_the_command_line_wins_over_the_file_and_a_list_may_be_empty(tmp_path):
    config = tmp_path / "settings.yaml"
    config.write_text("methods: []\nseeds: [3, 4]\nepochs: 2\nbf16: true\nnoise: symmetric:0.2\n")
    words = ["--config", str(config), "--epochs", "5", "--seeds", "1"]
    (given,) = parse_arguments([BenchmarkArguments], arguments=words)
    assert (given.methods, given.seeds, given.epochs, given.bf16) == ([], [1], 5, True)
    assert given.noise == "symmetric:0.2"


def test_a_corpus_and_an_encoder_have_one_name_in_all_commands(tmp_path):
    config = tmp_path / "settings.yaml"
    config.write_text("data: here\nmodel: there\n")
    (given,) = parse_arguments([RecipeArguments], arguments=["--config", str(config)])
    assert (given.dataset, given.model_name_or_path) == (["here"], "there")


def test_training_and_comparing_have_one_name_for_a_budget():
    words = ["--data", "a", "--model", "b", "--epochs", "2", "--batch_size", "8", "--method", "gce"]
    given, args = parse_arguments([RecipeArguments, RecipeTrainingArguments], arguments=[*words, "--output", "out"])
    assert (given.dataset, given.model_name_or_path, args.output_dir) == (["a"], "b", "out")
    assert (args.num_train_epochs, args.per_device_train_batch_size, args.noise_method) == (2, 8, "gce")
    (compared,) = parse_arguments([BenchmarkArguments], arguments=words)
    assert (compared.data, compared.model, compared.epochs) == (["a"], "b", 2)
    assert (compared.batch_size, compared.methods) == (8, ["gce"])


def test_help_shows_our_options_and_all_of_them_on_demand(capsys):
    shown = {}
    for word in ("--help", "--help_all"):
        with pytest.raises(SystemExit):
            parse_arguments([RecipeArguments, RecipeTrainingArguments], arguments=[word], prog="train")
        shown[word] = capsys.readouterr().out
    short, full = shown["--help"], shown["--help_all"]
    assert all(
        f"  {name}" in short for name in ("--noise_method", "--learning_rate", "--num_train_epochs", "--help_all")
    )
    assert "--adam_beta1" in full
    assert "--adam_beta1" not in short
    assert len(short) < len(full) / 3
    _, args = parse_arguments([RecipeArguments, RecipeTrainingArguments], arguments=["--adam_beta1", "0.5"])
    assert args.adam_beta1 == 0.5  # not shown, but understood


def test_a_file_that_is_not_yaml_is_named(tmp_path):
    config = tmp_path / "settings.yaml"
    config.write_text("a: [1\n")
    with pytest.raises(ValueError, match=r"settings.yaml: expected YAML"):
        parse_arguments([RecipeArguments], arguments=["--config", str(config)])


def test_every_option_has_a_help_text():
    for kind in (arguments.RecipeArguments, arguments.AuditArguments, arguments.EstimateArguments, BenchmarkArguments):
        assert all(one.metadata["help"].endswith(".") for one in fields(kind)), kind


# --- methods ---


def test_the_table_holds_every_method_with_its_parameters_needs_and_paper(capsys):
    assert cli.main(["methods"]) == 0
    shown = " ".join(capsys.readouterr().out.split())
    for name, method in METHODS.items():
        assert f"{name} {method.summary} use it when {GUIDE[name].use}" in shown
        assert method.paper in shown
        assert all(f"{key}=" in shown for key in method.parameters)
    assert needs(METHODS["glc"]) == "needs clean rows (clean_dataset=)"
    assert needs(METHODS["rule_masking"]) == "needs votes (a column weak_labels)"
    assert needs(METHODS["consistency"]) == "learns from unlabeled rows (-1) too"
    assert needs(METHODS["gce"]) == ""


@pytest.mark.parametrize("name", METHODS)
def test_a_method_in_full_has_advice_formula_class_and_docstring(name, capsys):
    assert cli.main(["methods", name]) == 0
    shown = capsys.readouterr().out
    assert f"  use it when: {GUIDE[name].use}\n  not when: {GUIDE[name].avoid}\n" in shown
    assert all(f"    {line}\n" in shown for line in GUIDE[name].formula.splitlines())
    assert ("keep the last one" in shown) == METHODS[name].keeps_last
    assert "in code: hf_noisy." in shown
    assert "paper: " in shown
    assert all(f"noise_kwargs: {key}=" in shown for key in METHODS[name].parameters)


def test_a_method_may_be_printed_as_settings(capsys):
    assert cli.main(["methods", "co_teaching", "--yaml"]) == 0
    assert capsys.readouterr().out == (ROOT / "recipes" / "configs" / "co_teaching.yaml").read_text()


# --- each command works ---


@pytest.mark.slow
def test_train_prints_the_table_and_saves_the_model(labels_csv, tmp_path, capsys):
    config = tmp_path / "settings.yaml"
    config.write_text(columns(labels_csv).format("data") + "noise_method: gce\nnoise_kwargs: {q: 0.5}\nuse_cpu: true\n")
    words = ["--config", str(config), "--num_train_epochs", "1", "--noise_method", "sce", "--noise_kwargs", "{}"]
    assert cli.main(["train", *words, "--disable_tqdm", "True", "--output_dir", str(tmp_path / "out")]) == 0
    shown = capsys.readouterr().out
    assert "| sce on weak labels |" in shown
    assert "| cross-entropy on gold labels |" in shown
    assert (tmp_path / "out" / "model.safetensors").is_file()
    assert set(json.loads((tmp_path / "out" / "results.json").read_text())) == {"42"}


@pytest.mark.slow
def test_audit_writes_a_page_with_the_command_that_made_it(labels_csv, tmp_path, capsys):
    config = tmp_path / "settings.yaml"
    config.write_text(columns(labels_csv).format("data") + "resamples: 2\n")
    assert cli.main(["audit", "--config", str(config), "--gold", "--output", str(tmp_path / "out")]) == 0
    assert "by gold labels: " in capsys.readouterr().out
    assert "hf-noisy audit --config" in (tmp_path / "out" / "report.html").read_text()
    assert len((tmp_path / "out" / "audit.jsonl").read_text().splitlines()) == 80


@pytest.mark.slow
def test_estimate_writes_rates_into_a_folder_that_was_not_there(labels_csv, tmp_path, capsys):
    config = tmp_path / "settings.yaml"
    config.write_text(columns(labels_csv).format("data") + "resamples: 2\nestimators: [dual_t]\ngold: true\n")
    output = tmp_path / "new" / "noise.json"
    assert cli.main(["estimate", "--config", str(config), "--output", str(output)]) == 0
    assert list(json.loads(output.read_text())["estimators"]) == ["dual_t"]
    assert "true rate, by gold labels: " in capsys.readouterr().out


def test_benchmark_passes_everything_on_and_ends_with_1_where_a_run_failed(tmp_path, monkeypatch, capsys):
    from hf_noisy.commands import benchmark

    calls = []

    def run(*given, **named):
        calls.append((given, named))
        return ["votes ce seed 0: it died"]

    monkeypatch.setattr(benchmark, "run_benchmark", run)
    config = tmp_path / "settings.yaml"
    config.write_text("data: [one, two]\nmethods: ['gce:q=0.5']\nlearning_rate: [1.0e-3, 1.0e-4]\ngold_column: gold\n")
    assert cli.main(["benchmark", "--config", str(config), "--seeds", "7", "--output", "r.jsonl"]) == 1
    ((sources, methods, seeds, output, settings), named) = calls[0]
    assert (sources, methods, seeds, output) == (["one", "two"], ["gce:q=0.5"], [7], "r.jsonl")
    assert settings.learning_rates == (1e-3, 1e-4)
    assert named["columns"]["gold_column"] == "gold"
    assert capsys.readouterr().err == "failed: votes ce seed 0: it died\n"


@pytest.mark.parametrize("name", METHODS)
def test_a_method_in_full_says_what_each_parameter_means(name):
    text = method_in_full(name)
    for parameter in METHODS[name].parameters:
        assert re.search(rf"^ +(\w+, )*{parameter}(, \w+)*: (?!as in `)", text, flags=re.MULTILINE), parameter
