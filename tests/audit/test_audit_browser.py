"""The report of an audit in Chromium: what it loads, shows, filters, keeps and exports, by mouse and by keyboard."""

from __future__ import annotations

import csv
import json
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import datasets
import numpy as np
import pytest
from audit_content import CLASSES, HOSTILE, make_content, make_rows
from chromium import BINARY, DRIVER, MISSING, Chromium, wait

from hf_noisy.audit import Noise, Pattern, Source, apply_decisions, read_decisions, write_report

pytestmark = [pytest.mark.slow, pytest.mark.skipif(not (BINARY and DRIVER), reason=MISSING)]
ROWS = "#rows > tr"
FIRST = f"{ROWS}:nth-child(1)"


@pytest.fixture(scope="module")
def chromium():
    browser = Chromium()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    write_report(make_content(texts=("a" * 6_000,)), path)
    return path


@pytest.fixture
def page(chromium, report):
    """The report, open, with nothing decided."""
    chromium.forget()
    chromium.get(report)
    return chromium


def shown(page) -> list[str]:
    """Ids of the rows on the page, in order."""
    return page.run(f"return [...document.querySelectorAll('{ROWS} .id')].map((id) => id.innerText)")


def ids(numbers) -> list[str]:
    return [f"r{k}" for k in numbers][:50]


def current(page) -> str:
    """Id of the row that has the focus, or of what else has it."""
    return page.run(
        "const at = document.activeElement; return at.id || at.closest('tr').querySelector('.id').innerText"
    )


def decided(page) -> list[str]:
    """What is decided on the first rows of the page."""
    return page.run(f"return [...document.querySelectorAll('{ROWS}')].slice(0, 5).map((row) => row.dataset.decided)")


def exported(page, kind: str):
    page.click(f"#export-{kind}")
    return page.downloaded(kind)


def test_it_opens_without_an_error_and_asks_for_nothing_but_itself(page, report):
    assert page.requested() == [report.as_uri()]
    assert page.logged() == []
    assert len(shown(page)) == 50


@pytest.fixture
def server():
    """Its address, and the paths that it was asked for."""
    asked = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_error(404)

        def log_message(self, *_):
            pass

    made = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{made.server_port}", asked
    made.shutdown()
    thread.join()
    made.server_close()


ASK = """
const [address, tag] = arguments;
if (tag === 'fetch') return fetch(address + '/fetch').then(() => {}, () => {});
const made = Object.assign(document.createElement(tag), {src: `${address}/${tag}`, data: `${address}/${tag}`});
return new Promise((done) => { made.onload = made.onerror = done; setTimeout(done, 300); document.body.append(made); });
"""


def test_the_policy_stops_whatever_asks_for_more_and_whatever_would_run(page, report, server, tmp_path):
    address, asked = server
    tags = ("img", "script", "iframe", "object", "fetch")
    (tmp_path / "other.html").write_text("<body>")
    for path in (tmp_path / "other.html", report):
        page.get(path)
        for tag in tags:
            page.run(ASK, address, tag)
        page.run(
            "const late = document.createElement('script'); late.textContent = 'ran = 1'; document.body.append(late)"
        )
        if path != report:  # a page without the policy asks, and runs
            assert asked == [f"/{tag}" for tag in tags]
            assert page.run("return window.ran") == 1
            asked.clear()
    assert asked == []
    assert page.run("return window.ran") is None


def test_hostile_texts_and_names_are_inert_and_seen(chromium, tmp_path):
    names = ("<img src=x onerror='window.ran = 1'>", "=1+1", "</select><script>window.ran = 1</script>")
    rows = make_rows(30, HOSTILE, reasons=[["<b>bold</b>: <script>window.ran = 1</script>"]] * 30)
    write_report(make_content(rows=rows, class_names=names), tmp_path / "report.html")
    chromium.get(tmp_path / "report.html")
    texts = chromium.run(
        f"return [...document.querySelectorAll('{ROWS} .text')].map((text) => text.textContent.toWellFormed())"
    )
    assert texts[: len(HOSTILE)] == [text.replace("\ud83d", "\ufffd") for text in HOSTILE]
    assert chromium.run("return window.ran") is None
    with pytest.raises(RuntimeError, match="no such alert"):
        chromium.dismiss()
    made = "document.querySelectorAll('main img, main script, main b, main iframe').length"
    assert chromium.run(f"return {made}") == 0
    visible = chromium.run(
        f"return [...document.querySelectorAll('{ROWS} .text')].every((text) => text.offsetHeight > 10)"
    )
    assert visible
    assert names[0] in chromium.text("#where")
    assert chromium.run("return document.querySelector('#by-label option:nth-child(4)').innerText").startswith(
        names[2][:40]
    )
    assert chromium.logged() == []
    # what turns the direction of writing around does so within its own text only
    assert chromium.run(f"return getComputedStyle(document.querySelectorAll('{ROWS} .text')[10]).direction") == "rtl"
    assert chromium.run(f"return getComputedStyle(document.querySelectorAll('{ROWS} .text')[11]).direction") == "ltr"


FROM_THE_RIGHT = {
    "arabic": ("شكوى!", "لم تصل (البطارية) بعد، وهذا سيئ!", "البطارية (الثانية)!"),
    "hebrew": ("תלונה!", "הסוללה (השנייה) של iPhone לא הגיעה, וזה רע!", "הסוללה (השנייה)!"),
}
PLACES = """
const [selector, word] = arguments;
const walker = document.createTreeWalker(document.querySelector(selector), NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const at = walker.currentNode.data.indexOf(word);
  if (at < 0 || walker.currentNode.parentNode.tagName === 'title') continue;
  return [at, at + word.length - 1].map((k) => {
    const range = document.createRange();
    range.setStart(walker.currentNode, k);
    range.setEnd(walker.currentNode, k + 1);
    return range.getBoundingClientRect().left;
  });
}
return null;
"""


@pytest.mark.parametrize("language", sorted(FROM_THE_RIGHT))
def test_what_is_read_from_the_right_begins_at_the_right_and_ends_with_its_punctuation(chromium, tmp_path, language):
    name, text, phrase = FROM_THE_RIGHT[language]
    reasons = [[f"inferred otherwise: 0.04, {name} is likelier"]] * 30
    rows = make_rows(30, (text, "The screen is bright!"), reasons=reasons)
    sources = [Source("a", 0.5, 0.1, 0.5, [Pattern(phrase, 9, 0.5)])]
    write_report(
        make_content(rows=rows, class_names=(name, "spam", "unsure"), sources=sources), tmp_path / "report.html"
    )
    chromium.get(tmp_path / "report.html")
    for selector, word in (
        (f"{FIRST} .text", text),
        (f"{FIRST} .given", name),
        (f"{FIRST} .reason", name),
        ("#where svg.bars", name),
        ("#where svg.heat", name),
        ("#sources .pattern", phrase),
    ):
        begin, end = chromium.run(PLACES, selector, word)
        assert end < begin, selector
    begin, end = chromium.run(PLACES, f"{ROWS}:nth-child(2) .text", "The screen is bright!")
    assert begin < end
    assert (
        chromium.run("return document.querySelector('#by-label option:nth-child(2)').text")
        == f"\u2068{name}\u2069 (10)"
    )
    assert chromium.run("return document.querySelector('#by-label option:nth-child(3)').text") == "spam (10)"
    chromium.type("#search", name[:3])
    assert chromium.run("return getComputedStyle(document.getElementById('search')).direction") == "rtl"


def test_a_long_text_is_cut_and_opens_in_steps(chromium, tmp_path):
    write_report(make_content(texts=("a" * 999_999 + "!",)), tmp_path / "report.html")
    chromium.get(tmp_path / "report.html")
    length = f"return document.querySelector('{FIRST} .text').textContent.length"
    assert chromium.run(length) < 400
    assert "of 1,000,000 characters" in chromium.text(f"{FIRST} .more")
    chromium.click(f"{FIRST} .more button")
    assert chromium.run(length) == 5_001
    chromium.click(f"{FIRST} .more button")
    assert chromium.text(f"{FIRST} .text").endswith("a!")
    assert chromium.run(f"return document.querySelector('{FIRST}').offsetHeight") < 1_200  # it scrolls within itself
    chromium.click(f"{FIRST} .more button")
    assert chromium.run(length) < 400


def test_a_short_text_opens_to_its_votes(page):
    page.click(f"{ROWS}:nth-child(2) .foot button")
    details = page.run(f"return [...document.querySelectorAll('{ROWS} .vote')].map((vote) => vote.innerText)")
    assert details == ["looks_for_links: spam", "<b>shouts</b>: unsure", "loss 3.97"]
    assert current(page) == "r1"
    page.click(f"{ROWS}:nth-child(3) .foot button")
    assert "looks_for_links" not in page.text(f"{ROWS}:nth-child(3) .details")  # it abstains on row 2
    page.click(f"{ROWS}:nth-child(2) .foot button")
    assert page.run(f"return document.querySelectorAll('{ROWS} .details').length") == 1


def test_the_search_finds_texts_and_ids_whatever_their_case(page):
    page.type("#search", "PLEASE Sub")
    wait(lambda: len(shown(page)) < 50)
    assert shown(page) == ids(range(1, 120, 5))  # message 0 is on row 1
    page.run("document.getElementById('search').value = ''")
    page.type("#search", "r117")
    wait(lambda: shown(page) == ["r117"])
    page.type("#search", "7")
    wait(lambda: shown(page) == [])
    assert "No row matches" in page.text("#nothing")
    page.click("#reset")
    assert len(shown(page)) == 50


@pytest.mark.parametrize(
    ("box", "value", "expected"),
    [
        ("#by-label", "1", [k for k in range(120) if k % 3 == 1]),
        ("#by-suggested", "0", [k for k in range(120) if (k % 3 + (k % 10 != 9)) % 3 == 0]),
        ("#by-reason", "0", [k for k in range(120) if k % 2 == 0]),  # never learned
        ("#by-reason", "1", [k for k in range(120) if k % 3 == 0]),  # neighbours say otherwise, whatever they say
    ],
)
def test_each_filter_filters(page, box, value, expected):
    page.choose(box, value)
    assert shown(page) == ids(expected)
    assert f"of {len(expected)}" in page.text("#page")


def test_filters_combine(page):
    page.choose("#by-label", "1")
    page.choose("#by-reason", "1")
    assert shown(page) == []
    page.choose("#by-label", "0")
    assert shown(page) == ids(range(0, 120, 3))


def test_the_decision_filter_filters_and_a_decided_row_stays_until_then(page):
    page.click(f"{FIRST} .keep")
    page.choose("#by-decision", "none")
    assert shown(page)[0] == "r1"
    page.click(f"{FIRST} .drop")
    assert shown(page)[0] == "r1"
    page.choose("#by-decision", "drop")
    assert shown(page) == ["r1"]
    page.choose("#by-decision", "keep")
    assert shown(page) == ["r0"]


def test_sorting_sorts_both_ways_and_says_so(page):
    order = "return document.querySelector('th:has([data-sort=wrongness])').getAttribute('aria-sort')"
    assert page.run(order) == "descending"
    page.click("[data-sort=wrongness]")
    assert shown(page) == ids(range(119, 0, -1))
    assert page.run(order) == "ascending"
    page.choose("#sort", "id")
    assert shown(page) == ids(range(120))  # r2 before r10
    page.click("#direction")
    assert shown(page) == ids(range(119, 0, -1))
    page.choose("#sort", "probability")
    assert shown(page) == ids(sorted(range(120), key=lambda k: -(k % 7)))  # ties as they were
    assert page.run(order) == "none"


def test_pages_follow_each_other(page):
    page.click("#next")
    assert shown(page) == ids(range(50, 120))
    page.click("#next")
    assert shown(page) == ids(range(100, 120))
    assert page.text("#page") == "101 to 120 of 120"
    assert page.run("return document.getElementById('next').disabled")
    page.click("#previous")
    assert shown(page)[0] == "r50"


def test_the_mouse_decides_chooses_another_class_and_takes_back(page):
    page.click(f"{FIRST} .change")
    page.choose(f"{ROWS}:nth-child(2) .target", "0")
    page.click(f"{ROWS}:nth-child(3) .drop")
    page.click(f"{ROWS}:nth-child(4) .keep")
    page.click(f"{ROWS}:nth-child(4) .keep")
    assert decided(page) == ["change", "change", "drop", "", ""]
    pressed = page.run(
        f"return [...document.querySelectorAll('{FIRST} .choice')].map((b) => b.getAttribute('aria-pressed'))"
    )
    assert pressed == ["false", "true", "false"]
    assert page.text("#tally") == "3 decided: 0 keep, 2 change, 1 drop."
    made = read_decisions(exported(page, "jsonl"))
    assert [(d.id, d.decision, d.new_label) for d in made] == [
        ("r0", "change", (1, "spam")),  # as suggested
        ("r1", "change", (0, "ham")),  # as chosen
        ("r2", "drop", None),
    ]


def test_the_keyboard_decides_and_moves_on(page):
    page.press("j", "y", "c", "d")
    assert decided(page) == ["keep", "change", "drop", "", ""]
    assert current(page) == "r3"
    page.press("1")
    assert "r3: keep" in page.text("#status")  # r3 is ham, which is class 1
    page.press("up", "u", "down")
    assert decided(page) == ["keep", "change", "drop", "", ""]
    page.press("3")
    assert "r4: change to unsure" in page.text("#status")
    assert current(page) == "r5"
    page.press("p", "n")
    assert (current(page), shown(page)[0]) == ("r50", "r50")
    page.press("k")
    assert (current(page), shown(page)[0]) == ("r49", "r0")
    page.press("j")
    assert current(page) == "r50"


def test_the_keyboard_opens_a_text_and_goes_to_the_search_and_back(page):
    page.press("j", "o")
    assert page.run(f"return document.querySelector('{FIRST} .text').textContent.length") == 5_001
    assert current(page) == "r0"
    page.press("o", "o", "/")
    assert current(page) == "search"
    page.press("j", "y")  # letters of the search, no shortcuts
    assert page.run("return document.getElementById('search').value") == "jy"
    wait(lambda: shown(page) == [])
    page.click("#reset")
    assert decided(page) == [""] * 5
    page.press("/", "escape")
    assert current(page) == "r0"


def test_letters_are_no_shortcuts_where_they_are_switched_off(page):
    page.click(".keys summary")
    page.click("#letters")
    page.press("j", "y")
    assert decided(page) == [""] * 5
    page.run(f"document.querySelector('{FIRST}').focus()")
    page.press("down")
    assert current(page) == "r1"


def test_focus_is_seen(page):
    page.press("j")
    outline = f"getComputedStyle(document.querySelector('{FIRST}')).outlineStyle"
    assert page.run(f"return {outline}") == "solid"
    page.press("j")
    assert page.run(f"return {outline}") == "none"


def test_a_row_without_another_suggestion_asks_for_a_class(page):
    page.run("document.querySelectorAll('#rows > tr')[9].focus()")  # r9: its given label is suggested
    page.press("c")
    assert page.run("return document.activeElement.className") == "target"
    assert page.run("return document.querySelectorAll('#rows > tr')[9].dataset.decided") == ""


def test_a_csv_runs_nothing_in_a_spreadsheet_and_comes_back_whole(chromium, tmp_path):
    row_ids = [f"{text[:30]} {k}" for k, text in enumerate(HOSTILE[:-1])]
    content = make_content(
        rows=make_rows(len(row_ids), HOSTILE, ids=row_ids), class_names=("=ham()", "+spam", "'@unsure")
    )
    write_report(content, tmp_path / "report.html")
    chromium.get(tmp_path / "report.html")
    chromium.press("j", *"c" * 9, "y", *"c" * 4)
    chromium.run("document.querySelectorAll('#rows > tr')[9].querySelector('.choice.drop').click()")
    path = exported(chromium, "csv")
    text = path.read_bytes().decode("utf-8-sig")
    rows = list(csv.reader(text.splitlines(keepends=True)))
    assert len(rows) == 1 + len(row_ids)
    for delimiter in ",;|\t":
        cells = [cell for row in csv.reader(text.splitlines(keepends=True), delimiter=delimiter) for cell in row]
        assert not [cell for cell in cells if re.match(r"[\s\"]*[=+\-@]", cell)], delimiter
    assert [decision.id for decision in read_decisions(path)] == row_ids
    assert {decision.label[1] for decision in read_decisions(path)} == {"=ham()", "+spam", "'@unsure"}
    lines = read_decisions(exported(chromium, "jsonl"))
    assert [line.what for line in lines] == [decision.what for decision in read_decisions(path)]


def test_what_is_exported_corrects_the_dataset(page):
    page.press("j", "c", "d", "y")
    rows = make_rows()
    dataset = datasets.Dataset.from_dict(
        {"id": list(rows.ids), "label": rows.labels.tolist()},
        features=datasets.Features({"id": datasets.Value("string"), "label": datasets.ClassLabel(names=list(CLASSES))}),
    )
    corrected = apply_decisions(dataset, exported(page, "csv"))
    assert len(corrected) == 119
    assert corrected["label"][:3] == [1, 2, 0]
    assert corrected["original_label"][:3] == [0, 2, 0]
    assert corrected["id"][:3] == ["r0", "r2", "r3"]


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_decisions_are_imported_again(page, kind):
    page.press("j", "c", "d", "y")
    path = exported(page, kind)
    page.click("#clear")
    assert decided(page)[:3] == ["change", "drop", "keep"]  # it asks first
    page.click("#clear")
    assert decided(page) == [""] * 5
    page.type("#import-file", str(path))
    wait(lambda: decided(page)[:3] == ["change", "drop", "keep"])
    assert "3 decisions imported" in page.text("#status")
    before = path.read_bytes()
    assert exported(page, kind).read_bytes() == before


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"id": "r0"}', "line 1 has no id and decision"),
        ("{", "line 1 is not JSON"),
        ("null", "line 1 has no id and decision"),
        ('{"id": "r0", "label": 0, "label_name": "spam", "decision": "keep"}', "its label is no class of this report"),
        (
            '{"id": "r0", "label": 0, "label_name": "ham", "decision": "change", "new_label": 9, "new_label_name": "x"}',
            "its new_label is no class",
        ),
    ],
)
def test_a_file_of_another_kind_is_refused_whole(page, tmp_path, text, message):
    good = {"id": "r1", "label": 1, "label_name": "spam", "decision": "keep", "new_label": None, "new_label_name": None}
    (tmp_path / "other.jsonl").write_text(text + "\n" + json.dumps(good))
    page.type("#import-file", str(tmp_path / "other.jsonl"))
    wait(lambda: message in page.text("#alert"))
    assert "Nothing was imported" in page.text("#alert")
    assert decided(page) == [""] * 5


def test_imported_decisions_that_saw_another_label_are_left_out_and_others_are_kept(page, tmp_path):
    base = {"decision": "drop", "new_label": None, "new_label_name": None}
    records = [
        {"id": "r0", "label": 1, "label_name": "spam", **base},
        {"id": "elsewhere", "label": 1, "label_name": "spam", **base},
        {"id": "r2", "label": 2, "label_name": "unsure", **base},
    ]
    (tmp_path / "some.jsonl").write_text("\n".join(map(json.dumps, records)))
    page.type("#import-file", str(tmp_path / "some.jsonl"))
    wait(lambda: decided(page)[:3] == ["", "", "drop"])
    assert "1 left out: they saw another label" in page.text("#alert")
    assert "1 on rows that are not in this table" in page.text("#tally")
    assert [decision.id for decision in read_decisions(exported(page, "jsonl"))] == ["r2", "elsewhere"]


def test_a_reload_keeps_the_decisions_of_this_report_only(page, report, tmp_path):
    page.press("j", "c", "d")
    page.get(report)
    assert decided(page) == ["change", "drop", "", "", ""]
    write_report(make_content(title="another"), tmp_path / "other.html")
    page.get(tmp_path / "other.html")
    assert decided(page) == [""] * 5


def test_without_storage_it_works_and_says_that_nothing_is_kept(page, report):
    refuse = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('refused'); } });"
    script = page.devtools("Page.addScriptToEvaluateOnNewDocument", source=refuse)
    try:
        page.get(report)
        page.press("j", "c")
        assert decided(page)[0] == "change"
        assert "This browser keeps no decisions" in page.text("#tally")
        assert page.logged() == []
        page.press("k", "u")  # nothing decided: leaving asks nothing
    finally:
        page.devtools("Page.removeScriptToEvaluateOnNewDocument", identifier=script["identifier"])


CONTRAST = """
const parts = (color) => color.match(/[\\d.]+/g).map(Number);
const light = ([r, g, b]) => [r, g, b].map((v) => v / 255).map((v) => v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4)
  .reduce((sum, v, k) => sum + v * [.2126, .7152, .0722][k], 0);
const ratio = (a, b) => (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
const fill = (element) => parts(getComputedStyle(element).fill);
return [...document.querySelectorAll('.heat .cell')].map((cell) => {
  const over = cell.querySelector('.over'), share = over.getAttribute('fill-opacity') * getComputedStyle(over).opacity;
  const under = fill(cell.querySelector('.under'));
  const mixed = fill(over).map((v, k) => share * v + (1 - share) * under[k]);
  return ratio(light(mixed), light(fill(cell.querySelector('text'))));
});
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_numbers_of_the_heat_map_are_readable_at_any_share_in_light_and_dark(chromium, tmp_path, scheme):
    diagonal = np.linspace(0.02, 0.98, 13)
    matrix = np.full((13, 13), 0.0)
    for k, share in enumerate(diagonal):
        matrix[k, k], matrix[k, (k + 1) % 13] = share, 1 - share
    content = make_content(
        class_names=[f"class {k}" for k in range(13)], noise=Noise(0.5, 0.4, 0.6, "symmetric", [], matrix)
    )
    write_report(content, tmp_path / "report.html")
    chromium.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    try:
        chromium.get(tmp_path / "report.html")
        ratios = chromium.run(CONTRAST)
    finally:
        chromium.devtools("Emulation.setEmulatedMedia", features=[])
    assert len(ratios) == 169
    assert min(ratios) >= 4.5


def test_dark_follows_the_system_and_the_button_and_is_kept(page, report):
    background = "return getComputedStyle(document.body).backgroundColor"
    light = page.run(background)
    page.devtools("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    dark = wait(lambda: (now := page.run(background)) != light and now)
    page.click("#theme")
    assert page.run(background) == light
    page.get(report)
    assert page.run(background) == light  # chosen, against the system
    page.devtools("Emulation.setEmulatedMedia", features=[])
    page.click("#theme")
    assert page.run(background) == dark
    assert page.run("return document.getElementById('theme').getAttribute('aria-pressed')") == "true"


def test_a_phone_scrolls_in_one_direction_only(chromium, tmp_path):
    names = tuple(f"a class whose name is rather long, number {k}" for k in range(20))
    rows = make_rows(40, ("w" * 3_000, *HOSTILE), ids=[f"{'i' * 90}{k}" for k in range(40)], reasons=[["r" * 200]] * 40)
    noise = Noise(0.5, 0.4, 0.6, "symmetric", ["x" * 300], np.eye(20))
    sources = [Source("s" * 200, 0.5, 0.5, 0.5, [Pattern("p" * 200, 3, 0.5)])]
    content = make_content(
        rows=rows, class_names=names, noise=noise, sources=sources, title="t" * 100, loss_name="l" * 40
    )
    write_report(content, tmp_path / "report.html")
    chromium.devtools("Emulation.setDeviceMetricsOverride", width=360, height=740, deviceScaleFactor=1, mobile=True)
    try:
        chromium.get(tmp_path / "report.html")
        chromium.press("j", "o", "c")
        assert chromium.run("return [document.documentElement.scrollWidth, innerWidth]") == [360, 360]
        chromium.run("window.scrollTo(500, 0)")
        assert chromium.run("return window.scrollX") == 0
        narrow = "return Math.min(...[...document.querySelectorAll('.choice')].map((button) => button.offsetHeight))"
        assert chromium.run(narrow) >= 44  # a finger hits it
    finally:
        chromium.devtools("Emulation.clearDeviceMetricsOverride")


def test_a_hundred_thousand_rows_stay_usable(chromium, tmp_path):
    content = make_content(100_000)
    assert write_report(content, tmp_path / "some.html") == 2_000
    chromium.get(tmp_path / "some.html")
    assert "The 2,000 most suspect of 100,000 labels" in chromium.text("#review")
    assert write_report(content, tmp_path / "all.html", worst=100_000) == 100_000
    chromium.get(tmp_path / "all.html")
    chromium.click("[data-sort=wrongness]")
    assert shown(chromium) == [f"r{k}" for k in range(99_999, 99_949, -1)]
    chromium.type("#search", "number 77777")
    wait(lambda: shown(chromium) == ["r77777"])
    chromium.press("escape", "c")
    assert "1 decided" in chromium.text("#tally")
    assert chromium.run("return document.querySelectorAll('*').length") < 5_000
