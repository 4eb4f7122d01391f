"""The report of an audit without a browser: what is in the file, its figures, and the exports of scores."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser
from importlib.resources import files

import numpy as np
import pytest
from audit_content import CLASSES, HOSTILE, SCRIPT, make_content, make_rows

from hf_noisy.audit import (
    Curve,
    LossMixture,
    Noise,
    Pattern,
    Recommendation,
    Reproduction,
    Source,
    argilla_records,
    charts,
    label_studio_config,
    label_studio_tasks,
    report,
    score_rows,
    write_argilla,
    write_label_studio,
    write_report,
    write_scores,
)
from hf_noisy.audit.heat_map import heat_map

HOSTILE_NAME = "\"><img src=x onerror='window.ran = 1'>" + SCRIPT


class Page(HTMLParser):
    """Tags, attributes and texts of a page, as a parser of HTML sees them."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags, self.attributes, self.contents, self._inside = [], [], {}, None
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag in ("script", "style"):
            self._inside = (tag, dict(attributes).get("id"))
            self.contents[self._inside] = ""

    def handle_endtag(self, tag):
        self._inside = None if tag in ("script", "style") else self._inside

    def handle_data(self, data):
        if self._inside:
            self.contents[self._inside] += data
        else:
            self.words += data


def page_of(content, path, **options) -> Page:
    write_report(content, path / "report.html", **options)
    return Page((path / "report.html").read_text())


def data_of(page: Page) -> dict:
    return json.loads(page.contents["script", "audit-data"])


def test_hostile_texts_and_names_make_no_element_and_are_all_there(tmp_path):
    harmless = page_of(make_content(), tmp_path)
    names = (HOSTILE_NAME, "=1+1", "</title>")
    content = make_content(
        texts=HOSTILE,
        title=HOSTILE_NAME,
        class_names=names,
        sources=[Source(HOSTILE_NAME, 0.5, 0.5, 0.5, [Pattern(SCRIPT, 3, 0.5)])] * 2,
        noise=dataclasses.replace(make_content().noise, evidence=[SCRIPT]),
        recommendation=Recommendation(SCRIPT, SCRIPT, {SCRIPT: SCRIPT}),
        reproduction=Reproduction(SCRIPT, 0, {SCRIPT: SCRIPT}),
        basis=[SCRIPT],
        loss_name=SCRIPT,
        curves=[Curve(SCRIPT, [1.0, 2.0], SCRIPT)] * 2,
    )
    page = page_of(content, tmp_path)
    assert page.tags.count("script") == harmless.tags.count("script") == 2
    assert "img" not in page.tags
    assert "b" not in page.tags
    assert not [name for name, _ in page.attributes if name.startswith("on") or name == "style"]
    data = data_of(page)
    assert data["texts"][: len(HOSTILE)] == list(HOSTILE)
    assert data["classes"] == list(names)
    assert page.words.count(SCRIPT) > 8  # shown, as text


def test_the_policy_allows_this_script_and_style_and_nothing_else(tmp_path):
    page = page_of(make_content(), tmp_path)
    html = (tmp_path / "report.html").read_text()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace("&#39;", "'")
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules.pop("default-src") == rules.pop("base-uri") == rules.pop("form-action") == "'none'"
    assert set(rules) == {"script-src", "style-src"}
    for kind, allowed in rules.items():
        content = page.contents[kind.removesuffix("-src"), None]
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert allowed == f"'sha256-{digest}'"


def test_the_page_names_no_address_to_load_from(tmp_path):
    page = page_of(make_content(), tmp_path)
    assert not {"link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert {value[0] for name, value in page.attributes if name in ("src", "href")} == {"#"}
    assert "url(" not in page.contents["style", None]
    assert "@import" not in page.contents["style", None]


def test_scripts_put_data_into_the_page_as_text_only():
    for path in (files("hf_noisy.audit") / "templates").iterdir():
        if path.name.endswith(".js"):
            text = path.read_text()
            assert not re.search(
                r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|Function\(|</script", text
            )


def test_the_worst_rows_are_embedded_and_counted(tmp_path):
    wrongness = np.zeros(50)
    wrongness[[3, 30, 31, 4]] = 0.9, 1.0, 0.9, 0.2
    content = make_content(50, rows=make_rows(50, wrongness=wrongness))
    assert write_report(content, tmp_path / "report.html", worst=3) == 3
    page = Page((tmp_path / "report.html").read_text())
    assert data_of(page)["ids"] == ["r30", "r3", "r31"]
    assert "The 3 most suspect of 50 labels" in page.words
    assert write_report(content, tmp_path / "report.html", worst=90) == 50
    assert "All 50 labelled rows" in Page((tmp_path / "report.html").read_text()).words


@pytest.mark.parametrize("worst", [0, -1, 2.5, True])
def test_a_number_of_rows_that_is_none_is_refused(tmp_path, worst):
    with pytest.raises(ValueError, match="worst=.*expected a whole number of rows, 1 or more"):
        write_report(make_content(), tmp_path / "report.html", worst=worst)


def test_one_long_text_is_whole_and_many_are_cut_evenly(tmp_path, monkeypatch):
    long = "a" * 999_999 + "!"
    assert data_of(page_of(make_content(texts=(long,)), tmp_path))["texts"][0] == long
    monkeypatch.setattr(report, "_TEXT_BUDGET", 5_000)
    data = data_of(page_of(make_content(4, ("b" * 9_000, "c" * 8_000, "short")), tmp_path))
    assert sum(map(len, data["texts"])) <= 5_000
    assert len(data["texts"][0]) == len(data["texts"][1]) == data["limit"] > 2_400
    assert data["texts"][2] == "short"
    assert data["lengths"][:2] == [9_000, 8_000]


def test_figures_are_of_all_rows_and_not_of_the_embedded(tmp_path):
    page = page_of(make_content(9_000), tmp_path, worst=10)
    assert "1,500 of 3,000" in page.words  # suspects given "ham": half of a third
    assert "about 2,100 of 9,000 labels" in page.words
    assert "estimated noise rate 23%, 80% interval 19 to 27%" in page.words.lower()


def test_an_audit_without_votes_losses_curves_and_matrix_is_reported_too(tmp_path):
    rows = make_rows(votes=None, losses=None, reasons=[[]] * 120)
    noise = Noise(0.0, 0.0, 0.0, "undecided")
    content = make_content(
        rows=rows,
        sources=None,
        mixture=None,
        curves=(),
        basis=(),
        noise=noise,
        recommendation=Recommendation("ce", "Few."),
    )
    page = page_of(content, tmp_path)
    assert "The sources of the labels" not in page.words
    assert "What the training showed" not in page.words
    assert "of what kind the errors are is undecided" in page.words
    assert data_of(page)["votes"] is None
    assert data_of(page)["losses"] is None


def test_a_report_is_the_same_twice_and_its_key_is_of_ids_and_labels(tmp_path):
    for name in "ab":
        write_report(make_content(), tmp_path / name)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    key = make_content().key
    assert make_content(rows=make_rows(wrongness=np.zeros(120))).key == key
    assert make_content(rows=make_rows(labels=np.zeros(120))).key != key
    assert make_content(title="other").key != key


def test_bars_count_suspects_by_the_label_that_was_given():
    rows = make_rows(6, labels=[0, 0, 0, 0, 1, 2], wrongness=[0.5, 0.49, 1, 0, 0.9, 0])
    bars = charts.class_bars(make_content(6, rows=rows))
    assert [(bar.name, bar.suspects, bar.labels, bar.share) for bar in bars.bars] == [
        ("spam", 1, 1, "100%"),
        ("ham", 2, 4, "50%"),
        ("unsure", 0, 1, "0%"),
    ]
    assert bars.bars[1].width == 50
    assert bars.all_at == 50


def test_the_histogram_counts_every_loss_and_components_have_their_share():
    generator = np.random.default_rng(0)
    losses = np.concatenate([generator.normal(1, 0.1, 3_000), generator.normal(3, 0.2, 1_000), [50.0]])
    found = charts.histogram(losses, LossMixture((1.0, 3.0), (0.1, 0.2), (0.75, 0.25)))
    counts = [int(title.split(": ")[1].removesuffix(" labels").replace(",", "")) for *_, title in found.columns]
    assert sum(counts) == 4_001
    assert found.beyond >= 1
    # both are drawn at one scale: under a component there is its share of the area of the columns
    area = sum(width * height for _, width, height, _ in found.columns)
    for points, share in zip(found.components, (0.75, 0.25), strict=True):
        x, y = np.array([point.split(",") for point in points.split()], dtype=float).T
        assert np.trapezoid(100 - y, x) / area == pytest.approx(share, rel=0.02)


def test_losses_that_are_all_alike_are_drawn():
    assert sum(height > 0 for _, _, height, _ in charts.histogram(np.zeros(5), None).columns) == 1


def test_a_gap_parts_a_curve_and_curves_of_one_axis_share_a_chart():
    curves = [
        Curve("a", [1.0, 0.0, float("nan"), 0.5, 0.25], "share"),
        Curve("b", [0.5] * 5, "share"),
        Curve("c", [7.0], "loss"),
    ]
    shares, losses = charts.line_charts(curves)
    assert [line.name for line in shares.lines] == ["a", "b"]
    assert losses.axis == "loss"
    assert shares.lines[0].segments == ["0,0 25,100", "75,50 100,75"]
    assert len(shares.lines[0].points) == 4
    assert len(losses.lines[0].points) == 1


def test_the_heat_map_has_true_classes_as_rows():
    matrix = np.array([[0.8, 0.2, 0.0], [0.05, 0.9, 0.05], [0.4, 0.1, 0.5]])
    drawn = heat_map(matrix, CLASSES)
    cell = next(cell for cell in drawn.cells if (cell.row, cell.column) == (2, 0))
    assert cell.probability == 0.4
    assert cell.title == "true class unsure, given label ham: 40 of 100"
    assert drawn.confusions[0] == ("unsure", "ham", "40")
    assert len(drawn.confusions) == 5


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ids": ["a"] * 120}, "ids.1.='a': expected a string that no other row has"),
        ({"ids": list(range(120))}, "ids.0.=0: expected a string"),
        ({"ids": []}, "ids is empty"),
        ({"labels": [0]}, "labels has 1 entries: expected 120"),
        ({"wrongness": [1.5] * 120}, r"wrongness\[0\]=1.5: expected a number in \[0, 1\]"),
        ({"wrongness": [float("nan")] * 120}, "wrongness.0.=nan"),
        ({"losses": [float("inf")] * 120}, "losses.0.=inf: expected a finite number"),
        ({"votes": {"rule": [0]}}, "votes.'rule'. has 1 entries"),
    ],
)
def test_rows_that_do_not_fit_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_rows(**changes)


def test_a_reason_that_is_a_string_is_refused():
    with pytest.raises(TypeError, match="reasons.0.='never learned': expected a list of strings"):
        make_rows(reasons=["never learned"] * 120)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"class_names": ("ham", "spam")}, r"labels\[2\]=2: expected a class id from 0 to 1"),
        ({"class_names": ("ham", "ham", "spam")}, "each once"),
        ({"threshold": 0}, "threshold=0"),
        ({"rows": make_rows(votes={"rule": np.full(120, 3)})}, r"votes\['rule'\]\[0\]=3: .* or -1 to abstain"),
        ({"rows": make_rows(losses=None)}, "mixture without rows.losses"),
        ({"noise": Noise(0.1, 0.1, 0.1, "symmetric", matrix=np.eye(2))}, r"noise.matrix of shape \(2, 2\)"),
    ],
)
def test_content_that_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_content(**changes)


def test_noise_outside_its_interval_or_of_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="expected 0 <= low <= rate <= high <= 1"):
        Noise(0.3, 0.1, 0.2, "symmetric")
    with pytest.raises(ValueError, match="Did you mean 'symmetric'"):
        Noise(0.1, 0.1, 0.2, "symetric")


def test_scores_are_one_json_line_a_labelled_row_in_the_order_of_the_dataset(tmp_path):
    content = make_content(3, rows=make_rows(3, wrongness=[0.25, 1, 0], ids=["z", "é\u2028", "a"]))
    assert write_scores(content, tmp_path / "audit.jsonl") == 3
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert lines == list(score_rows(content))
    assert [line["id"] for line in lines] == ["z", "é\u2028", "a"]
    assert lines[0] == {
        "id": "z",
        "label": 0,
        "wrongness": 0.25,
        "suggested_label": 1,
        "suggested_probability": 0.5,
        "reasons": ["never learned", "neighbours say otherwise: 0 of 10"],
    }


def test_argilla_records_have_fields_a_suggestion_and_metadata(tmp_path):
    content = make_content(texts=HOSTILE)
    assert write_argilla(content, tmp_path / "records.json", worst=20) == 20
    record = json.loads((tmp_path / "records.json").read_text())[0]
    assert record == argilla_records(content, worst=1)[0]
    assert record["id"] == "r0"
    assert record["fields"] == {"text": SCRIPT}
    assert record["suggestions"] == {"label": {"value": "spam", "score": 0.5, "agent": "hf_noisy audit"}}
    assert record["metadata"]["given_label"] == "ham"
    assert record["metadata"]["wrongness"] == 0.999
    assert record["metadata"]["loss"] == 4
    assert "never learned" in record["metadata"]["suspect_reasons"]
    assert argilla_records(content, worst=1, texts=False)[0]["fields"] is None


def test_label_studio_tasks_have_a_prediction_that_fits_the_configuration(tmp_path):
    content = make_content(class_names=("a<b", '"q"', "ü"))
    write_label_studio(content, tmp_path / "tasks.json", text="review", from_name="sentiment", to_name="shown")
    tasks = json.loads((tmp_path / "tasks.json").read_text())
    config = ElementTree.fromstring(label_studio_config(content, text="review", from_name="sentiment", to_name="shown"))
    choices, shown = config.find("Choices"), config.find("Text")
    assert len(tasks) == 120
    assert shown.get("value") == "$review"
    assert tasks[0]["data"]["row_id"] == "r0"
    result = tasks[0]["predictions"][0]["result"][0]
    assert (
        (result["from_name"], result["to_name"])
        == (choices.get("name"), choices.get("toName"))
        == ("sentiment", "shown")
    )
    assert result["value"]["choices"] == ['"q"']
    assert result["type"] == "choices"
    assert [choice.get("value") for choice in choices] == ["a<b", '"q"', "ü"]
    assert len({task["predictions"][0]["result"][0]["id"] for task in tasks}) == 120
    assert [task["data"]["wrongness"] for task in tasks] == sorted(
        (task["data"]["wrongness"] for task in tasks), reverse=True
    )
    assert label_studio_tasks(content, worst=2)[1]["data"]["row_id"] == "r1"
