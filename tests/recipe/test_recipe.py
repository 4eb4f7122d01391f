"""The main job, small: the table, the saved model, other corpora, a start gone wrong. Two processes: test_readme.py."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from programs import run_program
from transformers import AutoModelForSequenceClassification, pipeline

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[2]
RECIPE = ROOT / "recipes" / "sentiment.py"
SHARED = ROOT.parent / "shared" / "data"
FEW = ["--max_train_rows", "64", "--max_test_rows", "64", "--num_train_epochs", "1"]
SMALL = [*FEW, "--disable_tqdm", "True"]


def run(*words: object, launcher: tuple[str, ...] = (), check: bool = True) -> subprocess.CompletedProcess:
    command = [*launcher, str(RECIPE), *map(str, words)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    if launcher:
        done = subprocess.run(
            command, capture_output=True, text=True, env=environment, cwd=ROOT, timeout=400, check=False
        )
    else:
        done = run_program(["python", *command])
    assert not check or done.returncode == 0, done.stdout + done.stderr
    return done


def torchrun() -> tuple[str, ...]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    return (sys.executable, "-m", "torch.distributed.run", "--nproc_per_node=2", f"--master_port={port}")


def test_it_prints_the_table_and_saves_a_model_that_a_pipeline_loads(tmp_path):
    done = run(*FEW, "--output_dir", tmp_path, "--seeds", "0", "1")
    assert "%|" not in done.stderr  # bars of progress are for terminals
    rows = [
        "majority vote",
        "Snorkel's label model",
        "cross-entropy on weak labels",
        "on weak labels |",
        "cross-entropy on gold labels",
    ]
    assert all(row in done.stdout for row in rows)
    assert "coverage" in done.stdout
    assert "±" in done.stdout
    assert "gain over cross-entropy on weak labels: " in done.stdout
    table = json.loads((tmp_path / "results.json").read_text())
    assert set(table) == {"0", "1"}
    assert 0 < table["0"]["weak labels"]["error"] < 1
    assert 0 <= table["0"]["majority vote"]["f1"] <= 1
    found = pipeline("text-classification", model=str(tmp_path))("The screen is great.")
    assert found[0]["label"] in {"negative", "positive"}
    assert "noisy-labels" in (tmp_path / "README.md").read_text()


def test_a_csv_with_one_column_of_labels_and_a_config_file(tmp_path):
    rows = [
        f"{word} thing number {i},{label}" for i in range(30) for word, label in (("nice", "good"), ("poor", "bad"))
    ]
    csv = tmp_path / "labels.csv"
    csv.write_text("review,stars\n" + "\n".join(rows) + "\n")
    config = tmp_path / "config.yaml"
    config.write_text(
        f"dataset: {csv}\ntext_column: review\nlabel_column: stars\nnoise_method: sce\noutput_dir: {tmp_path / 'out'}\n"
        "num_train_epochs: 1\ndisable_tqdm: true\n"
    )
    done = run("--config", config)
    assert "sce on weak labels" in done.stdout
    assert "no gold labels" in done.stdout
    assert "| | agreement with test labels | macro-F1 |" in done.stdout
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "out")
    assert model.config.id2label == {0: "bad", 1: "good"}


@pytest.mark.skipif(not SHARED.is_dir(), reason="the real corpora are not beside this checkout (../shared/data)")
@pytest.mark.parametrize("corpus", ["youtube", "hausa"])
def test_a_folder_in_the_wrench_layout(tmp_path, corpus):
    done = run(*SMALL, "--dataset", SHARED / corpus, "--output_dir", tmp_path)
    assert "cross-entropy on gold labels" in done.stdout


def test_two_unconnected_copies_are_refused_before_anything_is_written(tmp_path):
    done = run(*SMALL, "--output_dir", tmp_path / "out", launcher=torchrun(), check=False)
    assert done.returncode != 0
    assert "--use_cpu True" in done.stderr
    assert not (tmp_path / "out" / "model.safetensors").exists()


def test_a_method_that_asks_for_trusted_rows_gets_those_of_validation_and_says_so(tmp_path):
    done = run(*SMALL, "--noise_method", "glc", "--output_dir", tmp_path)
    assert "glc reads the true labels of" in done.stdout
    assert "glc on weak labels" in done.stdout


def test_a_mistyped_method_ends_before_training_with_the_nearest_name(tmp_path):
    done = run("--noise_method", "gcee", "--output_dir", tmp_path, check=False)
    assert done.returncode == 2
    assert "Did you mean 'gce'" in done.stderr
    assert done.stderr.splitlines()[-1].startswith("sentiment.py: error: noise_method='gcee'")
    assert "Traceback" not in done.stderr


def test_a_missing_corpus_is_named(tmp_path):
    done = run("--dataset", "./nowhere", "--output_dir", tmp_path, check=False)
    assert done.returncode != 0
    assert "nowhere" in done.stderr.splitlines()[-1]
