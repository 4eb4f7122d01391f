"""An audit of rows with two texts: both are seen, shown apart, searched and exported."""

from __future__ import annotations

import csv
import json
import re
import xml.etree.ElementTree as ElementTree

import datasets
import numpy as np
import pytest
from audit_content import CLASSES, HOSTILE, make_content, make_rows
from chromium import BINARY, DRIVER, MISSING, Chromium
from conftest import make_trainer
from pair_rows import pair_rows
from transformers import AutoModelForSequenceClassification

from hf_noisy.audit import (
    apply_decisions,
    argilla_records,
    audit_labels,
    label_studio_config,
    label_studio_tasks,
    write_report,
)
from hf_noisy.audit.sources import describe_sources
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.pairs import pair_up, texts_of
from hf_noisy.data.splits import tokenize
from hf_noisy.evidence import text_vectors

ROWS = "#rows > tr"


def pair_content(rows: int = 12, seconds: tuple[str, ...] = ()):
    pairs = [*seconds, *(f"reply {number}" for number in range(rows))][:rows]
    return make_content(rows=make_rows(rows, text_pairs=pairs))


def test_second_texts_are_validated_like_first_ones():
    with pytest.raises(ValueError, match="text_pairs"):
        make_rows(5, text_pairs=["a"] * 4)
    with pytest.raises(TypeError, match=r"text_pairs\[1\] is a int: expected a string"):
        make_rows(3, text_pairs=["a", 1, "b"])


def test_an_audit_finds_wrong_labels_that_only_both_texts_show():
    table = pair_rows(120)
    labels = np.array([CLASSES_OF_PAIRS.index(name) for name in table["label"]])
    wrong = np.array([label != gold for label, gold in zip(table["label"], table["gold"], strict=True)])
    vectors = text_vectors(table["premise"], text_pairs=table["hypothesis"])
    content = audit_labels(
        table["premise"], labels, CLASSES_OF_PAIRS, vectors, text_pairs=table["hypothesis"], resamples=2
    )
    assert list(content.rows.texts) == table["premise"]
    assert list(content.rows.text_pairs) == table["hypothesis"]
    assert wrong[content.worst(int(wrong.sum()))].mean() > 0.7
    same = audit_labels(pair_up(table["premise"], table["hypothesis"]), labels, CLASSES_OF_PAIRS, vectors, resamples=2)
    assert (same.rows.wrongness == content.rows.wrongness).all()
    with pytest.raises(ValueError, match="text_pairs has 1 texts: expected 120"):
        audit_labels(table["premise"], labels, CLASSES_OF_PAIRS, vectors, text_pairs=["a"])


CLASSES_OF_PAIRS = ["different", "same"]


def test_the_words_on_which_a_source_errs_say_in_which_text_they_are():
    pairs = [("fine day", "no rain" if k % 4 == 0 else "some rain") for k in range(80)]
    judged = np.array([[0.9, 0.1] if second.startswith("no") else [0.1, 0.9] for _, second in pairs])
    source = describe_sources(np.ones((80, 1), dtype=int), ["s"], pairs, np.arange(80), judged)[0]
    assert (source.patterns[0].text, source.patterns[0].place) in {("no", "second text"), ("no rain", "second text")}
    single = describe_sources(
        np.ones((80, 1), dtype=int), ["s"], [second for _, second in pairs], np.arange(80), judged
    )[0]
    assert single.patterns[0].place == ""


def test_the_page_holds_both_texts_and_nothing_of_them_is_markup(tmp_path):
    write_report(pair_content(len(HOSTILE), HOSTILE), tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    data = json.loads(re.search(r'id="audit-data"[^>]*>(.*?)</script>', html, re.DOTALL)[1])
    assert data["pairs"] == list(HOSTILE)
    assert data["pairLengths"] == [len(text) for text in HOSTILE]
    assert html.count("<script") == 2


def test_exports_hold_both_texts():
    content = pair_content(3)
    task, record = label_studio_tasks(content)[0], argilla_records(content)[0]
    assert (task["data"]["text"], task["data"]["text_pair"]) == (content.rows.texts[0], "reply 0")
    assert record["fields"] == {"text": content.rows.texts[0], "text_pair": "reply 0"}
    shown = [text.get("value") for text in ElementTree.fromstring(label_studio_config(content)).iter("Text")]
    assert shown == ["$text", "$text_pair"]
    single = make_content(3)
    assert "text_pair" not in label_studio_tasks(single)[0]["data"]
    assert "text_pair" not in label_studio_config(single)


@pytest.mark.parametrize("kept", ["texts", "tokens", "first texts"])
def test_a_training_on_pairs_is_audited_with_both_texts(tmp_path, kept):
    table = pair_rows(40)
    labels = [CLASSES_OF_PAIRS.index(label) for label in table["label"]]
    rows = datasets.Dataset.from_dict({"text": table["premise"], "text_pair": table["hypothesis"], "labels": labels})
    for part in small_encoder(texts_of(rows), CLASSES_OF_PAIRS):
        part.save_pretrained(tmp_path / "encoder")
    tokenizer = small_encoder(texts_of(rows))[1]
    tokens = tokenize(rows, tokenizer, 48, keep_text=kept != "tokens")
    options = {}
    if kept == "first texts":
        tokens, options = tokens.remove_columns("text_pair"), {"text_pairs": table["hypothesis"]}
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "encoder")
    trainer = make_trainer(tmp_path / "out", tokens, model=model, processing_class=tokenizer, max_steps=1)
    trainer.train()
    content = trainer.audit(resamples=2, **options)
    assert list(content.rows.texts) == table["premise"]
    assert list(content.rows.text_pairs) == table["hypothesis"]


@pytest.mark.slow
@pytest.mark.skipif(not (BINARY and DRIVER), reason=MISSING)
def test_the_browser_shows_both_texts_apart_finds_and_exports_them(tmp_path):
    long = "b" * 6_000
    write_report(pair_content(12, (*HOSTILE[:2], long, "needle")), tmp_path / "report.html")
    page = Chromium()
    try:
        page.get(tmp_path / "report.html")
        parts = page.run(
            f"return [...document.querySelectorAll('{ROWS}:first-child .what > p')].slice(0, 4).map((p) => p.innerText)"
        )
        assert parts == ["first text", "message number 0, please subscribe", "second text", HOSTILE[0]]
        assert page.run("return window.ran") is None
        more = f"{ROWS}:nth-child(3) .more .link"
        assert "of 6,0" in page.run(f"return document.querySelector('{more}').innerText")
        for expected in (5_000, 6_000):
            page.click(more)
            found = f"return document.querySelectorAll('{ROWS}:nth-child(3) .text')[1].textContent.length"
            assert page.run(found) >= expected
        page.run(
            "find = document.getElementById('search'); find.value = 'NEEDLE'; find.dispatchEvent(new Event('change'))"
        )
        assert page.run(f"return [...document.querySelectorAll('{ROWS} .id')].map((id) => id.innerText)") == ["r3"]
        page.click(f"{ROWS} .choice.drop")
        page.click("#export-csv")
        path = page.downloaded("csv")
        lines = list(csv.DictReader(path.read_text(encoding="utf-8-sig").splitlines()))
        assert [(line["id"], line["text"], line["text_pair"]) for line in lines] == [
            ("r3", "message number 3, hello", "needle")
        ]
        dataset = datasets.Dataset.from_dict(
            {"id": [f"r{k}" for k in range(12)], "label": [CLASSES[k % 3] for k in range(12)]}
        )
        assert len(apply_decisions(dataset, path)) == 11
    finally:
        page.close()
