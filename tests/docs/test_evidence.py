"""The evidence pages: numbers are those of the files of results, and the commands beside them are those that made the files."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from statistics import fmean

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "docs" / "generators"), str(ROOT / "tests" / "measure")]

import benchmark_files  # noqa: E402 (after the lines that make them importable)
import evidence  # noqa: E402
import evidence_audit  # noqa: E402
import evidence_measured  # noqa: E402
import evidence_negative  # noqa: E402
import evidence_stored  # noqa: E402
import evidence_tables  # noqa: E402
import hooks  # noqa: E402
import method_results  # noqa: E402
import shortened_scripts  # noqa: E402
from method_results import FORMER  # noqa: E402

from hf_noisy.benchmark.settings import FIXED, parse_method  # noqa: E402
from hf_noisy.commands.arguments import BenchmarkArguments  # noqa: E402
from hf_noisy.commands.benchmark import settings_of  # noqa: E402
from hf_noisy.common.launching import parse_arguments  # noqa: E402

PAGES = sorted((ROOT / "docs" / "evidence").glob("*.md"))
RESULTS = ROOT / "recipes" / "results"
TABLES = ("tests/tables/", "recipes/results/")


def lines_of(name: str) -> list[dict]:
    return [json.loads(line) for line in (RESULTS / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def cells_of(table: str, first: str) -> list[str]:
    """The cells of the row that begins with `first`."""
    (row,) = [line for line in table.splitlines() if line.startswith(f"| {first} |")]
    return [cell.strip() for cell in row.strip("|").split("|")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_generated_part_of_a_page_can_be_made(page):
    made = hooks.generated(page.read_text(encoding="utf-8"))
    assert "<!-- generated" not in made
    assert "nan" not in re.findall(r"[a-z]+", made)
    for line in made.splitlines():
        if line.startswith("| "):
            assert line.endswith(" |"), line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_no_measured_number_is_typed_into_a_page(page):
    """An accuracy, a difference with a sign or an interval stands in a generated part alone."""
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert not re.findall(r"\b0\.\d{3}\b|[+±-]\d+\.\d|\[\d+\.?\d*, \d+", text)


def test_a_cell_of_the_main_table_is_the_mean_of_its_lines():
    found = [
        line["accuracy_chosen"]
        for line in lines_of("h100")
        if (line["dataset"], line["method"], line["settings"]["noise"]) == ("trec", "auto", None)
    ]
    assert len(found) == 5
    assert cells_of(evidence.main_table(), "`auto`")[1] == f"{fmean(found):.3f}"


def test_a_gain_of_the_main_table_is_the_mean_difference_by_corpus():
    lines = [line for line in lines_of("h100") if line["settings"]["noise"] is None and line["seed"] in (0, 1)]
    accuracy = {(line["dataset"], line["method"], line["seed"]): line["accuracy_chosen"] for line in lines}
    by_corpus = [
        fmean(accuracy[corpus, "neighbours", seed] - accuracy[corpus, "ce", seed] for seed in (0, 1))
        for corpus in method_results.ORDER
    ]
    assert cells_of(evidence.main_table(), "`neighbours`")[6].startswith(f"{100 * fmean(by_corpus):+.1f} [")


def test_the_small_table_of_readme_is_the_generated_one():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    between = readme.split("<!-- results -->")[1].split("<!-- end of results -->")[0]
    assert between.strip() == evidence.small_table(), "put what docs/generators/evidence.py's small_table returns there"


def test_a_share_of_what_did_not_help_is_that_of_the_report():
    report = (RESULTS / "doubted.md").read_text(encoding="utf-8").split("### Gap recovered")[1].split("###")[0]
    share = float(cells_of(report, "`pseudo_labeling`")[-2].split("[")[0])
    (ours,) = [line for line in evidence_negative.table().splitlines() if "`pseudo_labeling`" in line]
    assert f" {100 * share:.0f} % [" in ours


def test_a_part_of_truth_inference_is_named_by_what_is_changed():
    table = evidence_tables.parts_table("h100_ablation")
    found = [
        line["accuracy_chosen"]
        for line in lines_of("h100_ablation")
        if line["dataset"] == "imdb" and line["method"] == "truth_inference" and line["params"]["sharpen"] is False
    ]
    assert cells_of(table, "without sharpening (`sharpen=false`)")[4] == f"{fmean(found):.3f}"


def test_a_precision_of_the_audit_is_the_mean_of_its_lines():
    found = [
        line["average_precision"]["audit"]
        for line in lines_of("audit")
        if line["dataset"] == "imdb" and line["settings"]["noise"] is None
    ]
    assert cells_of(evidence_audit.finding("given"), "average precision, **audit**")[4] == f"{fmean(found):.3f}"


def test_a_gain_on_known_noise_is_over_cross_entropy_of_the_same_seeds():
    lines = [line for line in lines_of("known_noise") if line["noise"] == "pair"]
    ours, base = (
        {line["seed"]: line["accuracy"] for line in lines if line["method"] == name} for name in ("gce", "ce")
    )
    gain = 100 * fmean(ours[seed] - base[seed] for seed in ours)
    assert cells_of(evidence_measured.table("known_noise"), "`gce`")[5] == f"{gain:+.1f}"


def test_every_method_that_needs_no_votes_was_measured_on_known_noise():
    known_noise = evidence_measured.script("known_noise")
    measured = {(line["noise"], line["method"]) for line in lines_of("known_noise")}
    assert measured == {(noise, name) for noise in known_noise.NOISES for name in known_noise.MEASURED}


def of_version(file: str, method: str, params: str) -> tuple[str, str]:
    """The method, and the parameters as version 0.2.0 had them, if the file was measured with it."""
    lines = [line for line in lines_of(file) if line["method"] == method]
    if method not in FORMER or any(FORMER[method][0] in line["params"] for line in lines):
        return method, params
    former = {key: value for key, value in json.loads(params).items() if key in lines[0]["params"]}
    if former.get("refine", False) is None:
        former["refine"] = True
    return method, json.dumps(former, sort_keys=True)


@pytest.mark.parametrize("name", benchmark_files.RUNS)
def test_the_commands_of_a_file_are_those_of_its_lines(name):
    """Methods with parameters, seeds and settings; but for the baselines, which are not run with everything."""
    wanted, keys = set(), ("noise", "epochs", "max_length", "max_train_rows", "bf16", "frozen")
    for command in benchmark_files.commands(name):
        (given,) = parse_arguments([BenchmarkArguments], arguments=command.split()[2:])
        asked = settings_of(given).record()
        settings = (*(asked.get(key) for key in keys), *asked["learning_rates"])
        asked_for = [parsed(spec) for spec in given.methods if parsed(spec)[0] not in FIXED]
        wanted |= {(*of_version(name, *one), seed, settings) for one in asked_for for seed in given.seeds}
    found = {
        (
            *of_version(name, line["method"], json.dumps(line["params"], sort_keys=True)),
            line["seed"],
            (*(line["settings"].get(key) for key in keys), *line["settings"]["learning_rates"]),
        )
        for line in lines_of(name)
        if line["method"] not in FIXED
    }
    assert found == wanted


def parsed(spec: str) -> tuple[str, str]:
    method, params = parse_method(spec)
    return method, json.dumps(params, sort_keys=True)


def test_every_table_of_a_script_stands_below_its_command():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for name in re.findall(r"<!-- generated: evidence_measured\.table (\w+)", text):
            assert f"python tests/measure/{name}.py" in text, f"{page.name}: {name}"
            assert f"--output recipes/results/{name}.jsonl" in text, f"{page.name}: {name}"
            assert name in shortened_scripts.SCRIPTS


def test_a_table_that_is_kept_says_so():
    text = evidence_stored.table("speed_methods")
    assert "`dividemix`" in text
    assert text.endswith("Not run again since.*") or "speed_methods.md`.*" in text


def test_a_summary_of_a_table_of_the_tests_counts_its_rows():
    rows = evidence_stored.rows_of("bad_inputs")
    assert cells_of(evidence_stored.bad_inputs(), "all") == ["all", str(len(rows))]
    assert f"Of {len(evidence_stored.rows_of('gpu'))} methods" in evidence_stored.gpu()
