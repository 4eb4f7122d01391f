"""Runs the code blocks and commands of README and docs, each page in a working folder of its own.

A page's `python` blocks share one namespace, in which `MODEL` is the folder of a small encoder. Each line of a `bash` block
is a command; the word MODEL stands for that folder. A block below the line `<!-- slow -->` is shortened here (`SHORTER`) and
run whole by `python tests/measure/slow_commands.py`; a `python` block below that line reads what a command wrote. Lines that
set up or test the project itself (`NOT_RUN`) are left out.
"""

from __future__ import annotations

import contextlib
import csv
import functools
import os
import shlex
import shutil
import socket
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import pytest
from programs import ROOT, run_program
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.integration.pytest import SybilItem
from sybil.parsers.markdown import CodeBlockParser, SkipParser

from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.weak.labeling_functions import apply_labeling_functions
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.votes import votes_of

ROWS, TRUSTED = 160, 40
SLOW = "<!-- slow -->\n"
NOT_RUN = ("pip ", "pytest", "mkdocs ", "bash ", "git ", "pre-commit ")
LINKED = ("recipes", "tests", "examples", "constraints.txt")  # of the checkout, in each working folder
HERE = "_working_folder"  # its name in the namespace of a page
# options that make a slow command take seconds; {here} is the working folder, {shared} the folder of the corpora
TRAINING = "--max_train_rows 64 --max_test_rows 64 --num_train_epochs 1 --max_length 16 --output_dir {here}/out"
BENCHMARK = (
    "--data {here}/with_gold.csv --gold_column gold --methods gce --seeds 0 --epochs 1 --bf16 False --max_train_rows 64 --max_test_rows 32 "
    "--max_length 16 --learning_rate 1e-3 --output {here}/lines.jsonl --report {here}/report.md"
)
SHORTER = {
    **dict.fromkeys(("train", "sentiment", "topics", "llm_labels", "low_resource"), TRAINING),
    "benchmark": BENCHMARK,
    "audit": "--max_rows 200 --resamples 2 --output {here}/audit",
    "estimate": "--max_rows 200 --resamples 2 --output {here}/noise.json",
    "estimate_noise": "--max_rows 200 --resamples 2 --output {here}/noise.json",
}


def commands_of(source: str) -> list[str]:
    """The commands of a `bash` block: a line each, a trailing backslash joins two, `&&` parts them."""
    lines = source.replace("\\\n", " ").strip().splitlines()
    parts = [part.strip() for line in lines for part in line.split(" && ")]
    return [part for part in parts if part and not part.startswith(("#", *NOT_RUN))]


def is_command(item: pytest.Item) -> bool:
    """Whether a test runs a `bash` block."""
    return isinstance(item, SybilItem) and item.example.region.evaluator is run_bash


def needs_command(item: pytest.Item) -> bool:
    """Whether a test runs a Python block that reads what a command of the page wrote: it stands below `<!-- slow -->`."""
    return isinstance(item, SybilItem) and is_slow(item.example)


def is_slow(example: Example) -> bool:
    return example.document.text[: example.start].endswith(SLOW)


# ---- the working folder of a page --------------------------------------------------------------------------------------


def enter(namespace: dict[str, Any]) -> None:
    """Make the folder in which the blocks of a page run."""
    folder = Path(tempfile.mkdtemp(prefix="page-")) / "work"
    folder.mkdir()
    for name, rows in tables().items():
        (folder / name).parent.mkdir(exist_ok=True)
        with (folder / name).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows(rows)
    for name in LINKED:
        (folder / name).symlink_to(ROOT / name)
    if (ROOT.parent / "shared").is_dir():
        (folder.parent / "shared").symlink_to(ROOT.parent / "shared")
    namespace.update({HERE: folder, "MODEL": str(encoder()), "__name__": "page"})


def leave(namespace: dict[str, Any]) -> None:
    shutil.rmtree(namespace[HERE].parent, ignore_errors=True)
    namespace.clear()


@functools.cache
def tables() -> dict[str, list[list[str]]]:
    """The CSV files of a working folder: embedded reviews, labelled by rules."""
    reviews = apply_labeling_functions(generate_reviews(ROWS + TRUSTED, seed=0), labeling_functions())
    votes = votes_of(reviews)
    labels = hard_labels(majority_vote(votes, len(CLASS_NAMES)), seed=0)
    names = ["", *CLASS_NAMES]  # -1 is no label

    texts = reviews["text"][:]
    given = [names[label + 1] for label in labels]
    gold = [names[label + 1] for label in reviews["gold"][:]]
    voted = [[names[vote + 1] for vote in row] for row in votes[:, busiest(votes)].tolist()]
    columns = {
        "my.csv": (["text", "label"], zip(texts, given, strict=True)),
        "part-0.csv": (["text", "label"], zip(texts, given, strict=True)),
        "splits/train.csv": (["text", "label"], zip(texts, given, strict=True)),
        "splits/test.csv": (["text", "label"], zip(texts[:30], given[:30], strict=True)),
        "with_gold.csv": (["text", "label", "gold"], zip(texts, given, gold, strict=True)),
        "votes.csv": (
            ["text", "rule_a", "rule_b", "rule_c"],
            ([t, *v] for t, v in zip(texts, voted, strict=True)),
        ),
    }
    found = {name: [header, *map(list, list(rows)[:ROWS])] for name, (header, rows) in columns.items()}
    said = {CLASS_NAMES[0]: ("坏了", "太慢", "不能用"), CLASS_NAMES[1]: ("很好", "很快", "好用")}
    pairs = [(word, name) for name, own in said.items() for word in own]
    chinese = [
        [f"{thing}{word}第{k}位", name] for k in range(4) for thing in ("键盘", "耳机", "台灯") for word, name in pairs
    ]
    found["chinese.csv"] = [["text", "label"], *chinese]
    hypotheses = {"": "", "positive": "The writer liked it.", "negative": "The writer did not like it."}
    claims = [hypotheses["positive" if row % 2 else "negative"] for row in range(ROWS)]
    agree = [
        "" if not label else "yes" if hypotheses[label] == claim else "no"
        for label, claim in zip(given, claims, strict=False)
    ]
    found["pairs.csv"] = [["premise", "hypothesis", "label"], *map(list, zip(texts, claims, agree, strict=False))]
    found["trusted.csv"] = [["text", "label"], *map(list, zip(texts[ROWS:], gold[ROWS:], strict=True))]
    return found


def busiest(votes: Any, sources: int = 3) -> Any:
    """The sources that vote most often."""
    return (votes >= 0).sum(0).argsort()[::-1][:sources]


@functools.cache
def encoder() -> Path:
    """A folder with an untrained encoder, in the place of the reader's pretrained one."""
    folder = Path(tempfile.mkdtemp(prefix="encoder-")) / "model"
    texts = [row[0] for name, rows in tables().items() if name != "pairs.csv" for row in rows[1:]]
    for part in small_encoder(texts, max_length=64):
        part.save_pretrained(folder)
    return folder


# ---- blocks ------------------------------------------------------------------------------------------------------------


def run_python(example: Example) -> None:
    with contextlib.chdir(example.namespace[HERE]), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the defaults on a CPU, as a reader's
        PythonEvaluator()(example)
    example.namespace.setdefault("__name__", "page")


def run_bash(example: Example) -> None:
    for command in commands_of(example.parsed):
        _run(command, example.namespace[HERE], shortened=is_slow(example))


def _run(command: str, folder: Path, *, shortened: bool) -> None:
    words = shlex.split(command)
    if "../shared" in command and not (folder.parent / "shared").exists():
        pytest.skip("the real corpora are not beside this checkout (../shared/data)")
    words = [str(encoder()) if word == "MODEL" else word for word in words]
    if shortened:
        words += _shorter(words, folder)
    if words[0] == "accelerate":
        if "two_processes" in command or "--num_processes" in command:
            done = _launched(words, folder)
        else:  # one process of `accelerate launch` is `python` after ten seconds of imports
            done = run_program(["python", *words[2:]], cwd=folder, environment={"HF_NOISY_QUICK": "1"})
    else:
        done = run_program(words, cwd=folder, environment={"HF_NOISY_QUICK": "1"})
    assert done.returncode == 0, f"{shlex.join(words)}\n{done.stdout}{done.stderr}"


def _shorter(words: list[str], folder: Path) -> list[str]:
    """Options that come after a command's own and win over them."""
    job = words[1] if words[0] == "hf-noisy" else next((Path(w).stem for w in words if w.endswith(".py")), "")
    text = SHORTER.get(job)
    if text is None:
        from shortened_scripts import SCRIPTS  # the measuring scripts, which evidence cites

        text = SCRIPTS[job]
    if job == "benchmark" and "--speed" in words:
        text = "--speed_rounds 1 --methods gce --report {here}/speed.md"
    if job == "benchmark" and "--data" not in words and "--speed" not in words:
        return []  # it writes a report of lines that are there
    if "{shared}" in text and not (folder.parent / "shared").exists():
        pytest.skip("the real corpora are not beside this checkout (../shared/data)")
    return text.format(here=folder, shared=folder.parent / "shared").split()


def _launched(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run `accelerate launch` as it stands, on a port that is free."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    program = str(Path(sys.executable).parent / words[0])
    return subprocess.run(
        [program, words[1], "--main_process_port", port, *words[2:]],
        cwd=folder, env={**os.environ, "HF_NOISY_QUICK": "1"}, capture_output=True, text=True, timeout=400, check=False,
    )  # fmt: skip


PAGES = Sybil(
    parsers=[
        CodeBlockParser(language="python", evaluator=run_python),
        CodeBlockParser(language="bash", evaluator=run_bash),
        SkipParser(),
    ],
    patterns=["README.md", "CONTRIBUTING.md", "docs/*.md", "docs/*/*.md", "docs/*/*/*.md"],
    excludes=[
        "docs/guides/common_errors.md",  # its own test types what it shows, and compares what comes back
        "docs/tutorials/*.md",  # the lessons are run themselves
    ],
    path=str(ROOT),
    setup=enter,
    teardown=leave,
)
