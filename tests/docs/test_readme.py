"""README keeps its word: its commands run, its Python runs, its table of methods is the code's."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from chromium import BINARY
from conftest import make_trainer
from programs import run_program
from transformers import AutoModelForSequenceClassification

from hf_noisy import METHODS
from hf_noisy.benchmark.settings import parse_method
from hf_noisy.commands.arguments import BenchmarkArguments
from hf_noisy.common.launching import parse_arguments
from hf_noisy.corpora.small_encoder import small_encoder

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = [page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))]


def blocks_of(text: str) -> list[tuple[str, str]]:
    """Kind and text of each fenced block."""
    return re.findall(r"```(\w+)\n(.*?)```", text, flags=re.DOTALL)


def commands_of(text: str) -> list[str]:
    return [line for kind, block in blocks_of(text) if kind == "bash" for line in block.strip().splitlines()]


BLOCKS, COMMANDS = blocks_of(TEXT), commands_of(TEXT)
ELSEWHERE = sorted(
    {part for page in PAGES for line in commands_of(page) for part in line.split(" && ") if part.startswith("python ")}
)
SETUP = [line for line in COMMANDS if line.startswith("pip install")]  # as they stand: .ci/run and CONTRIBUTING
OTHERS = sorted({part for line in COMMANDS for part in line.split(" && ") if not part.startswith(("pip", "pytest"))})
RECIPES = ("sentiment", "topics", "llm_labels", "low_resource", "train")
# one process of `accelerate launch` is `python` after ten seconds of imports, so of those the first alone is launched
LAUNCHED = {
    "accelerate launch recipes/sentiment.py",
    *(part for part in OTHERS if "two_processes" in part or "--multi_gpu" in part),
}
LESSONS = [command for command in OTHERS if command.startswith("python examples/lessons/")]  # run by test_examples.py


def test_the_two_commands_are_there_and_ci_runs_the_second():
    assert SETUP == [
        'pip install -c constraints.txt -e ".[demo]" && accelerate launch recipes/sentiment.py',
        'pip install -c constraints.txt -e ".[test]" && pytest',
    ]
    script = (ROOT / ".ci" / "run").read_text()
    assert all(part in script for part in SETUP[1].replace("pip install", "").split(" && "))


@pytest.mark.parametrize("command", ELSEWHERE)
def test_each_command_of_the_other_pages_is_one_that_there_is(command):
    """They are README's with other settings, so they are read and not run."""
    _, script, *words = shlex.split(command)
    assert (ROOT / script).is_file()
    if script == "recipes/benchmark.py":
        (given,) = parse_arguments([BenchmarkArguments], arguments=words)
        for spec in given.methods or []:
            assert parse_method(spec)[0] == spec.partition(":")[0]


@pytest.fixture(scope="module")
def model(tmp_path_factory) -> Path:
    """In the place of the reader's pretrained encoder."""
    folder = tmp_path_factory.mktemp("encoder") / "model"
    for part in small_encoder(["a good day", "a bad day"], max_length=64):
        part.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def lines(tmp_path_factory) -> Path:
    """One file of results for all benchmarks: a run that two commands share is run once."""
    return tmp_path_factory.mktemp("benchmarks") / "results.jsonl"


@pytest.mark.slow
@pytest.mark.parametrize("command", [command for command in OTHERS if command not in LESSONS])
def test_each_command_runs(tmp_path, model, lines, command):
    words = [word.replace("../shared", str(ROOT.parent / "shared")) for word in shlex.split(command)]
    shared = [word for word in words if "shared" in word]
    if any(not Path(word).exists() for word in shared):
        pytest.skip("the real corpora are not beside this checkout (../shared/data)")
    words = [str(model) if word == "MODEL" else word for word in words]
    job = (
        words[1]
        if words[0] == "hf-noisy"
        else next((Path(word).stem for word in words if word.startswith("recipes/") and word.endswith(".py")), "")
    )
    if job in RECIPES:
        words += [
            "--max_train_rows",
            "64",
            "--max_test_rows",
            "64",
            "--num_train_epochs",
            "1",
            "--output_dir",
            str(tmp_path),
        ]
        words += ["--seeds", "0", "1"] if "--seeds" in words else []
    if "--speed" in words:
        words += ["--speed_rounds", "1", "--methods", "gce", "--report", str(tmp_path / "speed.md")]
    elif job == "benchmark" and "--data" in words:
        youtube = ROOT.parent / "shared" / "data" / "youtube"
        words += ["--data", str(youtube), "--methods", "gce", "--seeds", "0", "--epochs", "1", "--bf16", "False"]
        words += ["--max_train_rows", "64", "--max_test_rows", "32", "--max_length", "16", "--learning_rate", "1e-3"]
        words += ["--output", str(lines), "--report", str(tmp_path / "report.md")]
    elif job == "benchmark":
        words += ["--report", str(tmp_path / "report.md")]
    if "tests/measure/known_noise.py" in words:
        words += ["--seeds", "0", "--epochs", "1", "--methods", "co_teaching"]
    if "tests/measure/pseudo_labels.py" in words:
        words += ["--seeds", "5", "--epochs", "1", "--rows", "100"]
    if "tests/measure/noise_channels.py" in words:
        words += ["--seeds", "0", "--epochs", "1", "--methods", "noise_adaptation"]
    if "tests/measure/known_matrices.py" in words:
        words += ["--seeds", "0", "--rows", "200", "--classes", "2"]
    if job in ("estimate", "estimate_noise"):
        words += ["--max_rows", "200", "--resamples", "2"]
        words += ["--figure", str(tmp_path / "noise.png"), "--output", str(tmp_path / "noise.json")]
    if job == "audit":
        words += ["--max_rows", "200", "--resamples", "2", "--output", str(tmp_path / "audit")]
    if "tests/measure/inferred_classes.py" in words:
        words += ["--data", shared[0], "--seeds", "0", "--max_train_rows", "64"]
    if "tests/measure/finding_wrong_labels.py" in words:
        words += ["--data", str(ROOT.parent / "shared" / "data" / "youtube"), "--noise", "given", "--epochs", "1"]
        words += ["--max_train_rows", "40", "--max_test_rows", "30", "--max_length", "16"]
        words += ["--output", str(tmp_path / "audit.jsonl"), "--report", str(tmp_path / "audit.md")]
    if "tests/measure/report_picture.py" in words:
        if BINARY is None:
            pytest.skip("no chromium on PATH: apt-get install chromium")
        words += ["--max_rows", "200", "--output", str(tmp_path / "report.png")]
    if "tests/measure/labeling_speed.py" in words:
        words += ["--rows", "500", "--rounds", "1"]
    if {"--multi_gpu", "recipes/configs/accelerate/cpu_two_processes.yaml"} & set(words):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            words[2:2] = ["--main_process_port", str(free.getsockname()[1])]
    quick = {"HF_NOISY_QUICK": "1"}
    if words[0] == "accelerate" and command not in LAUNCHED:
        words[:2] = ["python"]
    done = launched(words, quick) if words[0] == "accelerate" else run_program(words, environment=quick)
    assert done.returncode == 0, done.stdout + done.stderr
    if "sentiment" in command:  # one table, however many processes there are
        assert done.stdout.count("cross-entropy on gold labels |") == 1
        assert (tmp_path / "model.safetensors").is_file()


def launched(words: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    program = str(Path(sys.executable).parent / words[0])
    variables = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run(
        [program, *words[1:]], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=400, check=False
    )


def test_the_method_of_your_own_runs(tmp_path):
    (code,) = (block for kind, block in BLOCKS if kind == "python" and "TrustByAverage" in block)
    namespace: dict = {}
    exec(code, namespace)
    method = namespace["TrustByAverage"]()
    make_trainer(tmp_path, callbacks=[method], noise_method="gce").train()
    assert (method.sums.values[:, 1] == 2).all()
    assert 0 < method.sums.values[:, 0].mean() < 2


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")  # of the defaults, on a CPU
def test_the_script_on_a_file_of_yours_trains_and_saves(tmp_path, monkeypatch):
    (code,) = (block for kind, block in BLOCKS if kind == "python" and "my.csv" in block)
    texts = [f"{word} thing number {k}" for k in range(40) for word in ("nice", "poor")]
    model, tokenizer = small_encoder(texts, ["bad", "good"])
    model.config.id2label = {0: "LABEL_0", 1: "LABEL_1"}
    model.config.label2id = {"LABEL_0": 0, "LABEL_1": 1}
    model.save_pretrained(tmp_path / "encoder")
    tokenizer.save_pretrained(tmp_path / "encoder")
    labels = ["" if row % 9 == 0 else "good" if text.startswith("nice") else "bad" for row, text in enumerate(texts)]
    lines = [f"{text},{label}" for text, label in zip(texts, labels, strict=True)]
    (tmp_path / "my.csv").write_text("\n".join(["text,label", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "README.md", "exec"), {"MODEL": str(tmp_path / "encoder")})
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "output")
    assert saved.config.id2label == {0: "bad", 1: "good"}


def test_the_other_python_blocks_are_python_and_import_what_exists():
    for kind, block in BLOCKS:
        if kind == "python":
            compile(block, "README.md", "exec")
            for line in block.splitlines():
                if line.startswith(("from hf_noisy", "import ")):
                    exec(line, {})


def test_the_table_of_methods_is_the_codes():
    """What it does, when to use it, what it costs, paper: of each, and of no other."""
    start = TEXT.index("| `noise_method` |")
    rows = [line.strip("|").split(" | ") for line in TEXT[start : TEXT.index("\n\n", start)].splitlines()[2:]]
    named = {name: row for row in rows for name in re.findall(r"`(\w+)`", row[0])}
    assert set(named) == set(METHODS)
    for name, (_, does, when, cost, _) in named.items():
        assert does, name
        assert when, name
        assert 1 <= float(cost) < 10, name
