"""What is released: a wheel and an archive that hold what the package reads, and a README that an index can show."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path

import pytest
import yaml
from packaging.version import Version

import hf_noisy

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
SOURCES = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "hf_noisy").rglob("*")
    if path.is_file() and "__pycache__" not in path.parts
)


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder with the wheel and the archive of this checkout."""
    copy = tmp_path_factory.mktemp("checkout") / "hf_noisy"
    ignore = shutil.ignore_patterns(".git", "__pycache__", "*.egg-info", "build", "dist", "results", ".*_cache")
    shutil.copytree(ROOT, copy, ignore=ignore)
    done = subprocess.run(
        [sys.executable, "-m", "build", "--no-isolation"], cwd=copy, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return copy / "dist"


@pytest.mark.slow
def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(built):
    assert {"hf_noisy/py.typed", "hf_noisy/audit/templates/review.html.j2"} <= set(SOURCES)
    (wheel,) = built.glob("*-py3-none-any.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
        (metadata,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        told = message_from_bytes(archive.read(metadata))
    assert held == set(SOURCES)
    assert told["Version"] == PROJECT["version"] == hf_noisy.__version__
    assert told["Description-Content-Type"] == "text/markdown"
    assert told["License-Expression"] == "Apache-2.0"


@pytest.mark.slow
def test_the_archive_holds_what_a_wheel_is_built_from(built):
    (archive,) = built.glob("*.tar.gz")
    with tarfile.open(archive) as files:
        held = {name.partition("/")[2] for name in files.getnames()}
    assert {
        *SOURCES,
        "README.md",
        "LICENSE",
        "CHANGELOG.md",
        "pyproject.toml",
        "docs/reference/logged_names.md",
    } <= held
    assert not any(name.startswith(("tests", "recipes")) for name in held)


VERBS = """
import sys
from pathlib import Path

import hf_noisy
from hf_noisy.cli import main

assert Path(hf_noisy.__file__).is_relative_to(sys.argv[1]), hf_noisy.__file__
calls = ["--help", "--version", "env", "methods gce", "estimate --data my.csv --resamples 2", "audit --data my.csv --resamples 2"]
calls += ["train --data my.csv --num_train_epochs 1 --learning_rate 1e-3 --output_dir classifier"]
calls += ["benchmark --data my.csv --gold_column gold --methods gce --seeds 0 --epochs 1 --learning_rate 1e-3"]
codes = {call: main(call.split()) for call in calls}
assert not any(codes.values()), codes
"""


@pytest.mark.slow
def test_the_wheel_runs_its_verbs_without_the_repository(built, tmp_path):
    (wheel,) = built.glob("*-py3-none-any.whl")
    installed = tmp_path / "installed"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    here = tmp_path / "elsewhere"
    here.mkdir()
    lines = [
        f"{word} thing number {k},{name},{name}"
        for k in range(60)
        for word, name in (("nice", "good"), ("poor", "bad"))
    ]
    (here / "my.csv").write_text("\n".join(["text,label,gold", *lines]) + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", VERBS, str(installed)],
        cwd=here, env={**os.environ, "PYTHONPATH": str(installed)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    made = {"classifier/model.safetensors", "audit/report.html", "audit/audit.jsonl", "noise.json", "results.jsonl"}
    assert all((here / name).is_file() for name in made)


@pytest.mark.slow
def test_a_script_beside_an_editable_clone_imports_the_package(tmp_path):
    """The folder of the clone has the package's name: by a finder of its own it would be found too late."""
    build = "import sys; from hatchling.build import build_editable; print(build_editable(sys.argv[1]))"
    done = subprocess.run(
        [sys.executable, "-c", build, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    with zipfile.ZipFile(tmp_path / done.stdout.strip()) as archive:
        (path_file,) = (name for name in archive.namelist() if name.endswith(".pth"))
        assert Path(archive.read(path_file).decode().strip()) == ROOT
    (tmp_path / "hf_noisy").mkdir()
    script = f"import sys; sys.path[:] = [{str(tmp_path)!r}, *sys.path, {str(ROOT)!r}]; import hf_noisy; print(hf_noisy.__version__)"
    shown = subprocess.run([sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == hf_noisy.__version__


def test_readme_renders_as_an_index_shows_it():
    from readme_renderer import markdown

    page = markdown.render((ROOT / "README.md").read_text(encoding="utf-8"))
    assert page is not None
    assert page.count("<table>") > 1
    assert "noise_method" in page


def test_each_requirement_has_a_version_that_is_tested():
    def plain(requirement: str) -> str:
        return re.split(r"[=>\[]", requirement)[0].lower().replace("_", "-")

    frozen = {plain(line) for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()}
    asked = {plain(line) for part in (PROJECT["dependencies"], *EXTRAS.values()) for line in part}
    assert asked - frozen == {"hf-noisy"}


def test_the_citation_is_of_this_version():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == PROJECT["version"]
    assert citation["license"] == PROJECT["license"]
    assert str(citation["date-released"]) in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_changelog_has_the_usual_form():
    heads = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert heads[0] == "[Unreleased]"
    released, here = Version(heads[1].split("]")[0].strip("[")), Version(PROJECT["version"])
    assert released < here if here.is_devrelease else released == here
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d{2}-\d{2}", head) for head in heads[1:])


def test_the_hooks_run_what_ci_runs():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"][0]["hooks"]
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {hook["entry"].split()[0] for hook in hooks} == {"ruff", "mypy", "lint-imports"}
    assert all(hook["entry"].split()[0] in script for hook in hooks)


def test_the_bug_form_asks_for_what_env_prints():
    form = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text(encoding="utf-8")
    assert "hf-noisy env" in form
    assert yaml.safe_load(form)["body"]
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text(encoding="utf-8"))
    commands = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert any(".ci/run" in command for command in commands)
    assert "mkdocs build --strict" in commands
