"""The generated pages of the methods: one each, true to the registry; and the table, which can be sorted and filtered."""

from __future__ import annotations

import ast
import json
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path

import markdown
import pytest
import yaml
from chromium import BINARY, DRIVER, MISSING, Chromium
from conftest import tiny_model, token_dataset

from hf_noisy import METHODS, NoisyTrainingArguments
from hf_noisy.commands.arguments import RecipeArguments
from hf_noisy.common.launching import parse_arguments
from hf_noisy.methods.guide import FAMILIES, GUIDE
from hf_noisy.recipe import RecipeTrainingArguments

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "docs" / "generators"))

import method_pages  # noqa: E402 (below the line that makes it importable)
import method_results  # noqa: E402
import method_table  # noqa: E402

NAMES = pytest.mark.parametrize("name", METHODS)


def block(page: str, kind: str, number: int = 0) -> str:
    """The text of a fenced block, as in its tab or outside of one."""
    return re.findall(rf"^( *)```{kind}[^\n]*\n(.*?)\n\1```", page, flags=re.DOTALL | re.MULTILINE)[number][1]


def as_json(value: object) -> object:
    return json.loads(json.dumps(value))


def test_each_method_has_a_page_and_the_index_names_it():
    paths = {path for _, path in method_pages.PAGES}
    assert paths == {f"reference/methods/{name}.md" for name in [*METHODS, "index"]}
    index = method_pages.page("reference/methods/index.md")
    assert all(f"- [`{name}`]({name}.md) {METHODS[name].summary}." in index for name in METHODS)
    assert all(f"\n## {family[0].upper()}{family[1:]}\n" in index for family in FAMILIES)


@NAMES
def test_a_page_says_what_the_guide_and_the_registry_say(name):
    page = method_pages.page(f"reference/methods/{name}.md")
    assert page.startswith(f"# {name}\n\n`{name}` {METHODS[name].summary}.\n")
    assert GUIDE[name].formula in page
    assert METHODS[name].paper[1:] in page
    assert ("Keep the last epoch." in page) == METHODS[name].keeps_last
    assert ("clean_dataset=trusted" in page) == METHODS[name].reads_clean
    assert ("column weak_labels" in block(page, "python")) == METHODS[name].reads_votes


@NAMES
def test_parameters_on_the_page_are_those_of_the_registry(name):
    text = method_pages.parameters(name)
    shown = re.findall(r"^- \*\*`(\w+)`\*\*, default `(.+?)`: (.+)$", text, flags=re.MULTILINE)
    assert [key for key, _, _ in shown] == list(METHODS[name].parameters)
    for key, default, meaning in shown:
        assert eval(default) == METHODS[name].parameters[key]
        assert len(meaning.split()) > 2
        assert "as in `Base" not in meaning
        assert not meaning.startswith("as in")


@NAMES
def test_each_tab_sets_the_parameters_to_their_defaults(name):
    page, defaults = method_pages.page(f"reference/methods/{name}.md"), METHODS[name].parameters
    calls = [node for node in ast.walk(ast.parse(_dedent(block(page, "python")))) if isinstance(node, ast.Call)]
    keywords = {keyword.arg: keyword.value for call in calls for keyword in call.keywords}
    given = eval(ast.unparse(keywords["noise_kwargs"])) if defaults else {}
    assert (ast.literal_eval(keywords["noise_method"]), given) == (name, dict(defaults))

    command = shlex.split(block(page, "bash"))
    assert command[:2] == ["hf-noisy", "train"]
    words = command[2:]
    recipe, training = parse_arguments([RecipeArguments, RecipeTrainingArguments], arguments=[*words, "--use_cpu"])
    assert training.noise_method == name
    assert (training.noise_kwargs or {}) == as_json(defaults)
    assert recipe.model_name_or_path == "MODEL"
    assert (recipe.gold_column is not None) == METHODS[name].reads_clean
    assert (recipe.votes_columns is not None) == METHODS[name].reads_votes

    settings = yaml.safe_load(_dedent(block(page, "yaml")))
    assert settings["noise_method"] == name
    assert settings.get("noise_kwargs", {}) == as_json(defaults)


def _dedent(text: str) -> str:
    return "\n".join(line.removeprefix("    ") for line in text.splitlines())


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*pin_memory.*:UserWarning")  # of the defaults, on a CPU
@NAMES
def test_the_python_of_a_page_trains(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    rows = token_dataset(20, [0, 1, 2, 0, 1] * 4)
    if METHODS[name].reads_votes:
        rows = rows.add_column("weak_labels", [[label, label] for label in rows["labels"][:]])
    names = {"model": tiny_model(), "tokenizer": None, "train": rows, "trusted": token_dataset(6, [0, 1, 2] * 2)}
    exec(compile(_dedent(block(method_pages.page(f"reference/methods/{name}.md"), "python")), name, "exec"), names)
    assert isinstance(names["args"], NoisyTrainingArguments)
    assert names["trainer"].state.global_step > 0


def test_the_table_has_a_row_for_each_method():
    rows = [line for line in method_table.table().splitlines() if line.startswith("| [`")]
    assert sorted(re.findall(r"\[`(\w+)`\]\(\.\./reference/methods/(\w+)\.md\)", "\n".join(rows))) == sorted(
        (name, name) for name in METHODS
    )
    assert {line.count("|") for line in rows} == {len(method_table.COLUMNS) + 1}


def test_gains_on_a_page_are_those_of_the_files():
    found = method_results.measured("truth_inference")
    assert found.file == "h100.jsonl"
    cell = method_results.points_with_interval(found.mean_gain)
    assert f"| **mean** |  |  |  | **{cell}** |" in method_pages.page("reference/methods/truth_inference.md")
    assert cell in method_table.table()
    assert found.mean_gain.interval[0] > 0


def test_what_was_not_measured_is_called_so(tmp_path, monkeypatch):
    monkeypatch.setattr(method_results, "RESULTS", tmp_path)
    method_results.sections.cache_clear()
    page, row = method_pages.page("reference/methods/gce.md"), method_table.row("gce", "")
    method_results.sections.cache_clear()
    assert page.count("Not measured.") == 2
    assert "- **Measured:** not measured." in page
    assert row[4:8] == ["–"] * 4  # noqa: RUF001


def test_known_noise_is_compared_seed_by_seed(tmp_path, monkeypatch):
    runs = [("ce", 0, 0.5), ("ce", 1, 0.6), ("gce", 0, 0.7), ("gce", 1, 0.7), ("gce", 2, 0.1)]
    lines = [{"noise": "pair", "method": method, "seed": seed, "accuracy": value} for method, seed, value in runs]
    (tmp_path / "known_noise.jsonl").write_text("\n".join(map(json.dumps, lines)))
    monkeypatch.setattr(method_results, "RESULTS", tmp_path)
    known = method_results.known_noise("gce", "pair")
    assert known.gain == pytest.approx(15)  # 20 and 10 points; the third seed has no cross-entropy
    assert known.deviation == pytest.approx(50**0.5)
    assert method_results.known_noise("gce", "symmetric") is None


# ---- the table in a browser -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def table(tmp_path_factory) -> Iterator[Chromium]:
    if BINARY is None or DRIVER is None:
        pytest.skip(MISSING)
    body = markdown.markdown(method_table.table(), extensions=["tables", "md_in_html"])
    script = (ROOT / "docs" / "javascripts" / "method_table.js").read_text(encoding="utf-8")
    path = tmp_path_factory.mktemp("table") / "table.html"
    path.write_text(f"<!DOCTYPE html><meta charset='utf-8'>{body}<script>{script}</script>", encoding="utf-8")
    browser = Chromium()
    browser.get(path)
    yield browser
    browser.close()


def shown(browser: Chromium) -> list[str]:
    """The methods of the rows that are shown, in their order."""
    rows = browser.run("return [...document.querySelectorAll('tbody tr')].map(r => [r.hidden, r.cells[0].textContent])")
    return [name.strip() for hidden, name in rows if not hidden]


@pytest.mark.slow
def test_a_click_or_a_key_on_a_header_sorts_by_its_column(table):
    column = method_table.COLUMNS.index("gain: labels as given") + 1
    button = f"th:nth-child({column}) button"
    order = "return document.querySelector(arguments[0]).getAttribute('aria-sort')"
    table.click(button)
    assert table.run(order, f"th:nth-child({column})") == "ascending"
    assert shown(table)[-2:] == ["auto", "truth_inference"]
    table.press("enter")  # the header that was clicked has the focus
    assert table.run(order, f"th:nth-child({column})") == "descending"
    assert shown(table)[:2] == ["auto", "truth_inference"]
    table.click("th:first-child button")
    assert shown(table) == sorted(METHODS)
    assert table.run(order, f"th:nth-child({column})") == "none"


@pytest.mark.slow
def test_rows_are_filtered_by_words_and_by_what_a_method_uses(table):
    table.type("input[name=words]", "loss")
    losses = {name for name, guide in GUIDE.items() if guide.family == "loss"}
    assert losses <= set(shown(table)) < set(METHODS)
    table.run("const i = document.querySelector('input'); i.value = ''; i.dispatchEvent(new Event('input'))")
    table.choose("select[name=needs]", "votes")
    assert {"auto", "candidate_labels", "rule_masking"} <= set(shown(table))
    assert table.text("output") == f"{len(shown(table))} of {len(METHODS)} methods"
    table.choose("select[name=needs]", "trusted")
    assert set(shown(table)) == {name for name, method in METHODS.items() if method.reads_clean}
    table.choose("select[name=needs]", "unlabeled")
    assert set(shown(table)) == {name for name, method in METHODS.items() if method.reads_unlabeled}
    table.choose("select[name=needs]", "")
    assert set(shown(table)) == set(METHODS)
