"""Tables as people have them: what is read, what is said, what is refused. Each input stands for its kind."""

from __future__ import annotations

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path

import datasets
import numpy as np
import pandas
import pyarrow as pa
import pytest

from hf_noisy import cli
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.corpus import hold_out, load_corpus, read_corpus
from hf_noisy.data.look import first_lines, look_at
from hf_noisy.data.splits import cut_share, split_corpus

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "generators"))
import table_formats

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"
TEXTS = ["the tram was late", "a calm ride", "two doors stuck", "new seats", "no heating", "friendly driver"]


def table(labels, texts=TEXTS, **columns) -> dict:
    return {"text": list(texts[: len(labels)]), "label": list(labels), **columns}


def written(folder: Path, content: str | bytes, name: str = "table.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def votes(corpus) -> list[int]:
    return [vote for (vote,) in corpus.train["weak_labels"][:]]


def said(corpus, words: str) -> bool:
    return any(words in note for note in corpus.notes)


# --- formats ---


@pytest.mark.parametrize("form", table_formats.FORMATS)
def test_each_format_holds_each_kind_of_label(form):
    outcomes = {kind: table_formats.outcome(form, kind) for kind in table_formats.KINDS}
    assert set(outcomes.values()) <= {"yes", "holds words only"}, outcomes


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "cp1252"])
def test_separator_and_encoding_are_found_and_said(tmp_path, separator, encoding):
    rows = [("text", "label"), ("café, très bon; oui|non", "fine"), ("naïve\tgarçon", "poor"), ("plain", "fine")]
    text = "".join(separator.join(f'"{cell}"' for cell in row) + "\r\n" for row in rows)
    corpus = read_corpus(written(tmp_path, text.encode(encoding)))
    assert corpus.train["text"][:] == [row[0] for row in rows[1:]]
    assert votes(corpus) == [0, 1, 0]
    assert said(corpus, "separator") == (separator != ",")
    assert said(corpus, "encoding") == (encoding not in ("utf-8", "utf-8-sig"))


def test_each_guess_can_be_set(tmp_path):
    path = written(tmp_path, "text/label\ngrößer/ja\nzu klein/nein\n".encode("cp850"))
    corpus = read_corpus(path, separator="/", encoding="cp850")
    assert (corpus.train["text"][:], corpus.class_names) == (["größer", "zu klein"], ("ja", "nein"))
    with pytest.raises(ValueError, match="separator='ab': expected one character"):
        read_corpus(path, separator="ab")
    with pytest.raises(ValueError, match="encoding='nonsense': unknown"):
        read_corpus(path, encoding="nonsense")


def test_an_encoding_that_is_not_sure_shows_the_first_rows_in_each(tmp_path):
    path = written(tmp_path, "text,label\n明るい画面,良い\n壊れた,悪い\n".encode("cp932"))
    with pytest.raises(ValueError, match=r"its encoding is not sure(.|\n)*cp932: 明るい画面,良い(.|\n)*encoding="):
        read_corpus(path)
    assert read_corpus(path, encoding="cp932").class_names == ("悪い", "良い")


def test_separators_that_fit_equally_show_the_first_rows_with_both(tmp_path):
    path = written(tmp_path, "a;b,c;d\nx;y,z;w\nu;v,s;t\n")
    with pytest.raises(ValueError, match=r"several separators fit(.|\n)*semicolon: .*\n.*comma: .*\n.*separator="):
        read_corpus(path)


def test_bytes_of_another_encoding_far_down_are_found(tmp_path):
    lines = ["text,label", *(f"plain row {row},{'ab'[row % 2]}" for row in range(40_000)), "garçon,a"]
    corpus = read_corpus(written(tmp_path, "\n".join(lines).encode("cp1252")))
    assert corpus.train["text"][-1] == "garçon"
    assert said(corpus, "Windows-1252")


@pytest.mark.parametrize(
    "header", ["Text,Label", " text , label ", "TEXT,LABEL", "\ufefftext,label", '"text","label"', "'text','label'"]
)
def test_a_header_may_have_capitals_spaces_quotes_and_a_mark(tmp_path, header):
    quote = "'" if header.startswith("'") else ""
    rows = "".join(f"{quote}{text}{quote},{quote}{label}{quote}\n" for text, label in zip(TEXTS, "abab", strict=False))
    corpus = read_corpus(written(tmp_path, f"{header}\n{rows}"))
    assert (corpus.train["text"][:], votes(corpus)) == (TEXTS[:4], [0, 1, 0, 1])


def test_a_table_without_a_header_is_recognised(tmp_path):
    rows = "".join(f"{label},{text}\n" for text, label in zip(TEXTS, ["fine", "poor"] * 3, strict=True))
    corpus = read_corpus(written(tmp_path, rows))
    assert (len(corpus.train), corpus.train["text"][0], corpus.class_names) == (6, TEXTS[0], ("fine", "poor"))
    assert said(corpus, "no header: the columns are taken as label, text")
    with pytest.raises(ValueError, match="no column 'text'"):
        read_corpus(written(tmp_path, rows), header=True)


def test_an_index_column_is_no_data_and_repeated_headers_are_no_rows(tmp_path):
    path = tmp_path / "table.csv"
    frame = pandas.DataFrame(table(["a", "b", "a", "b"]))
    frame.to_csv(path)
    path.write_text(path.read_text() + path.read_text())
    corpus = read_corpus(path)
    assert (len(corpus.train), corpus.class_names) == (8, ("a", "b"))
    assert corpus.train["id"][:] == [str(row) for row in (0, 1, 2, 3, 5, 6, 7, 8)]  # places in the file
    assert said(corpus, "1 lines repeat the header")


def test_several_files_a_pattern_and_a_list_are_one_table(tmp_path):
    for part, labels in enumerate((["a", "b"], ["b", "a"])):
        pandas.DataFrame(table(labels)).to_csv(tmp_path / f"part-{part}.csv", index=False)
    paths = sorted(tmp_path.glob("*.csv"))
    for source in (str(tmp_path / "part-*.csv"), paths, list(map(str, paths)), tmp_path):
        corpus = read_corpus(source)
        assert (votes(corpus), corpus.train["id"][:]) == ([0, 1, 1, 0], ["0", "1", "2", "3"])
    with pytest.raises(FileNotFoundError, match=r"'.*none-\*.csv': no file fits this pattern"):
        read_corpus(str(tmp_path / "none-*.csv"))


def test_an_error_in_one_of_several_files_names_that_file(tmp_path):
    written(tmp_path, "text,label\na,0\nb,1\n", "p0.csv")
    written(tmp_path, "text,label\nc,1\nd,-7\n", "p1.csv")
    with pytest.raises(ValueError, match=r"p1.csv, row '3': label is '-7'"):
        read_corpus(str(tmp_path / "p*.csv"))


def test_splits_come_from_names_of_files_sheets_and_folders(tmp_path):
    pytest.importorskip("openpyxl")
    frames = {
        name: pandas.DataFrame(table(labels)) for name, labels in (("train", "abab"), ("dev", "ab"), ("test", "ba"))
    }
    (tmp_path / "files").mkdir()
    for name, frame in frames.items():
        frame.to_csv(tmp_path / "files" / f"{name}-00000-of-00001.csv.gz", index=False)
    with pandas.ExcelWriter(tmp_path / "book.xlsx") as book:
        for name, frame in frames.items():
            frame.to_excel(book, sheet_name=name, index=False)
    splits = datasets.DatasetDict({name: datasets.Dataset.from_pandas(frame) for name, frame in frames.items()})
    splits.save_to_disk(tmp_path / "saved")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, frame in frames.items():
            archive.writestr(f"inside/{name}.jsonl", frame.to_json(orient="records", lines=True))
    for source in (
        tmp_path / "files",
        tmp_path / "book.xlsx",
        tmp_path / "saved",
        tmp_path / "all.zip",
        splits,
        frames,
    ):
        corpus = read_corpus(source)
        assert [len(rows) for rows in corpus.splits.values()] == [4, 2, 2], source
        assert corpus.test["weak_labels"][:] == [[1], [0]]


def test_standard_input_is_a_table(monkeypatch):
    for content in (
        b"text,label\na,x\nb,y\n",
        b'{"text": "a", "label": "x"}\n{"text": "b", "label": "y"}\n',
        gzip_free(),
    ):
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
        assert read_corpus("-").class_names == ("x", "y")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"")))
    with pytest.raises(ValueError, match="the standard input is empty"):
        read_corpus("-")


def gzip_free() -> bytes:
    """A parquet file: its first bytes say what it is."""
    sink = io.BytesIO()
    pandas.DataFrame({"text": ["a", "b"], "label": ["x", "y"]}).to_parquet(sink)
    return sink.getvalue()


def test_json_of_every_shape_whatever_the_suffix(tmp_path):
    rows = [{"text": text, "label": label} for text, label in zip(TEXTS, "abab", strict=False)]
    frame = pandas.DataFrame(rows)
    shapes = [frame.to_json(orient=orient) for orient in ("records", "columns", "index", "split", "table")]
    shapes += ["\n".join(map(json.dumps, rows)), json.dumps({"data": rows}), json.dumps(rows, indent=4)]
    shapes += [json.dumps({name: list(frame[name]) for name in frame})]
    for shape in shapes:
        for name in ("t.json", "t.jsonl", "t.ndjson"):
            assert votes(read_corpus(written(tmp_path, shape, name))) == [0, 1, 0, 1], shape[:40]


# --- labels ---


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        ([1.0, 0.0, np.nan, 10.0], ("0", "1", "10"), [1, 0, -1, 2]),
        (["1", "1.0", "2", "10"], ("1", "2", "10"), [0, 0, 1, 2]),
        ([True, "true", "False", None], ("False", "True"), [1, 1, 0, -1]),
        ([True, 0, "False", 1], ("False", "True"), [1, 0, 0, 1]),
        ([["a"], "['b']", '["a"]', []], ("a", "b"), [0, 1, 0, -1]),
        (["x", "NA", "null", "y"], ("x", "y"), [0, -1, -1, 1]),
        ([1, -100, 0, -1], ("0", "1"), [1, -1, 0, -1]),
        (["1", "2", "other", "1"], ("1", "2", "other"), [0, 1, 2, 0]),
        (
            [0.5, 0.5, 1.5, 1.5, 2, 2, 2, 0.5, 1.5, 0.5, 1.5, 2],
            ("0.5", "1.5", "2"),
            [0, 0, 1, 1, 2, 2, 2, 0, 1, 0, 1, 2],
        ),
    ],
)
def test_labels_are_read_by_what_they_mean(labels, names, expected):
    texts = [f"{TEXTS[row % 6]} {row}" for row in range(len(labels))]
    corpus = read_corpus(table(labels, texts))
    assert (corpus.class_names, votes(corpus)) == (names, expected)


def test_a_class_is_the_same_in_every_split_whatever_its_type_there(tmp_path):
    named = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["poor", "fine"])})
    turned = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["fine", "poor"])})
    corpus = read_corpus(
        {
            "train": datasets.Dataset.from_dict(table([0, 1]), features=named),
            "valid": datasets.Dataset.from_dict(table([0, 1]), features=turned),
            "test": pandas.DataFrame(table(["fine", "Poor "])),
        }
    )
    assert corpus.class_names == ("poor", "fine")
    assert [rows["weak_labels"][:] for rows in corpus.splits.values()] == [[[0], [1]], [[1], [0]], [[1], [0]]]
    numbers = {"train": pandas.DataFrame(table([1.0, np.nan, 0.0])), "test": pandas.DataFrame(table(["0", "1"]))}
    corpus = read_corpus(numbers)
    assert (corpus.class_names, corpus.test["weak_labels"][:]) == (("0", "1"), [[0], [1]])


def test_a_categorical_declares_classes_and_their_order():
    frame = pandas.DataFrame(table(["low", "high", None]))
    frame["label"] = pandas.Categorical(frame["label"], categories=["low", "mid", "high"], ordered=True)
    assert read_corpus(frame).class_names == ("low", "mid", "high")
    corpus = read_corpus(pa.Table.from_pandas(frame))
    assert (corpus.class_names, votes(corpus)) == (("low", "mid", "high"), [0, 2, -1])


@pytest.mark.parametrize(
    "cells",
    [
        ["[0.2, 0.8]", "[0.9, 0.1]", "", "1"],
        [[0.2, 0.8], (0.9, 0.1), None, 1],
        ['{"0": 0.2, "1": 0.8}', '{"1": 0.1, "0": 0.9}', "NA", '{"0": 0, "1": 1}'],
    ],
)
def test_probabilities_are_soft_labels(cells):
    corpus = read_corpus(table(cells))
    assert corpus.class_names == ("0", "1")
    assert np.allclose(corpus.train["soft_labels"][:], [[0.2, 0.8], [0.9, 0.1], [0, 0], [0, 1]])
    assert votes(corpus) == [1, 0, -1, 1]


def test_one_column_a_class_is_found_or_named():
    columns = {"text": TEXTS[:4], "fine": [1, 0, 0, 1], "poor": [0, 1, 0, 0], "other": ["", "0", "0", 0]}
    corpus = read_corpus(columns, class_columns=["fine", "poor"])
    assert (corpus.class_names, votes(corpus)) == (("fine", "poor"), [0, 1, -1, 0])
    found = read_corpus({name: cells for name, cells in columns.items() if name != "other"})
    assert votes(found) == votes(corpus)
    assert said(found, "labels from the columns fine, poor")
    shares = read_corpus(
        {**columns, "fine": [0.7, 0.2, 0, 1], "poor": [0.3, 0.8, 0, 0]}, class_columns=["fine", "poor"]
    )
    assert np.allclose(shares.train["soft_labels"][:], [[0.7, 0.3], [0.2, 0.8], [0, 0], [1, 0]])
    with pytest.raises(ValueError, match=r"row '0': fine, poor are \[1.0, 1.0\]: expected a sum of 1"):
        read_corpus({**columns, "poor": [1, 1, 0, 0]}, class_columns=["fine", "poor"])


def test_spellings_of_a_class_are_merged_and_said_and_can_be_kept_apart():
    answers = ["Fine.", "fine ", '"FINE"', "poor", "poor", "Poor!", "C#", "C++", "C"]
    texts = [f"{text} {row}" for row, text in enumerate(TEXTS * 2)]
    corpus = read_corpus(table(answers, texts))
    assert corpus.class_names == ("C", "C#", "C++", "fine", "poor")
    assert said(
        corpus,
        "spellings of one class are merged: poor ('poor' 2, 'Poor!' 1); fine ('\"FINE\"' 1, 'Fine.' 1, 'fine' 1)",
    )
    exact = read_corpus(table(answers, texts), exact_labels=True)
    assert len(exact.class_names) == 8
    assert not said(exact, "merged")


def test_odd_words_and_near_misses_are_pointed_at_and_stay_classes():
    labels = ["positive"] * 6 + ["positve"] + ["negative"] * 6 + ["unknown", "-"]
    corpus = read_corpus(table(labels, [f"text {row}" for row in range(15)]))
    assert set(corpus.class_names) == {"positive", "positve", "negative", "unknown", "-"}
    assert said(corpus, "'-' (1), 'unknown' (1): may mean that there is no label")
    assert said(corpus, "'positve' (1) and 'positive' (6)")


def test_missing_words_and_minus_one_are_counted_and_can_be_classes():
    labels = ["NA", "x", "y", "-1", "x", ""]
    corpus = read_corpus(table(labels))
    assert said(corpus, "no label in 2 of 6 label cells, of these NA 1")
    assert said(corpus, "-1 in 1 of 6 label cells, 17%")
    assert read_corpus(table(labels), na_is_class=True).class_names == ("NA", "x", "y")
    assert read_corpus(table(labels), minus_one_is_class=True).class_names == ("-1", "x", "y")
    stance = [-1, 0, 1, -2, -1, 1]
    with pytest.raises(ValueError, match="label is -2: .*set minus_one_is_class"):
        read_corpus(table(stance))
    assert read_corpus(table(stance), minus_one_is_class=True).class_names == ("-2", "-1", "0", "1")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([row / 30 for row in range(30)], "looks like a score .* 30 distinct values in 30 labelled rows, such as 0.03"),
        (
            [f"u{row}" for row in range(30)],
            "looks like ids or texts .* 30 distinct values in 30 labelled rows, such as 'u0'",
        ),
        (list(range(1000, 1030)), "looks like ids or texts"),
        ([[0, 1, 1]] * 30, r"expected probabilities that sum to 1.*Several classes a row are not supported"),
        ([["a", "b"]] * 30, "Several classes a row are not supported"),
        (["[0.5, 0.7]"] * 30, "expected probabilities that sum to 1"),
        ([[0.5, 0.5], [0.2, 0.3, 0.5]] * 15, "expected 2 probabilities, as in"),
        ([float("inf"), 0] * 15, "label is inf: expected a class"),
    ],
)
def test_what_is_no_class_is_refused_with_the_reason(labels, message):
    with pytest.raises(ValueError, match=message):
        read_corpus(table(labels, [f"text {row}" for row in range(30)]))


def test_numbers_in_one_source_and_words_in_another_are_refused():
    columns = {"text": TEXTS[:2], "a": ["0", "1"], "b": ["bad", "good"]}
    with pytest.raises(ValueError, match="words and numbers are mixed: .*row '0': a is '0'; .*b is 'bad'"):
        read_corpus(columns, votes_columns=["a", "b"])


# --- rows ---


def test_blank_texts_are_left_out_counted_and_keep_their_places(tmp_path):
    path = written(tmp_path, 'text,label\na,x\n ,y\n"",x\nb,y\n\u3000,x\n')
    corpus = read_corpus(path)
    assert (corpus.train["id"][:], corpus.left_out) == (["0", "3"], {"train": ("1", "2", "4")})
    assert said(corpus, "3 rows of train have no text and are left out: 1, 2, 4")


def test_ids_stay_as_they_are_written_and_repeated_ones_are_refused(tmp_path):
    path = written(tmp_path, "id,text,label\n001,a,x\n010,b,y\n1e5,c,x\n")
    assert read_corpus(path).train["id"][:] == ["001", "010", "1e5"]
    path = written(tmp_path, "id,text,label\n7,a,x\n8,b,y\n7,c,x\n7,d,y\n")
    with pytest.raises(ValueError, match=r"id '7' is repeated, in rows 0, 2, 3 .*id_column=''"):
        read_corpus(path)
    assert read_corpus(path, id_column="").train["id"][:] == ["0", "1", "2", "3"]
    with pytest.raises(ValueError, match="row 1: has no id: expected an id in every row"):
        read_corpus(written(tmp_path, "id,text,label\n7,a,x\n,b,y\n"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('text,label\n"a,x\nb,y\n', "line 2: a quote opens and never closes"),
        ("text,label\na,x\nb,y,z\n", "line 3: has 3 cells, where the header has 2 names"),
        (b"", "the file is empty"),
        (b"\x00\x01\x02\xff\xfe\x80" * 50, "encoding|no column|empty"),
    ],
)
def test_a_broken_table_is_refused_with_its_line(tmp_path, content, message):
    with pytest.raises(ValueError, match=message):
        read_corpus(written(tmp_path, content))


def test_a_short_row_is_filled_and_a_null_byte_a_formula_and_a_huge_cell_are_text(tmp_path):
    large = "word " * 2_000_000
    path = written(tmp_path, f'text,label\n=HYPERLINK("x"),a\nnull \x00 byte,b\nshort\n"{large}",a\n')
    corpus = read_corpus(path)
    assert corpus.train["text"][:] == ['=HYPERLINK("x")', "null \x00 byte", "short", large]
    assert votes(corpus) == [0, 1, -1, 0]


def test_ten_thousand_columns_are_read(tmp_path):
    names = ["text", "label", *(f"c{column}" for column in range(10_000))]
    rows = [",".join([text, label, *["0"] * 10_000]) for text, label in zip(TEXTS, "abab", strict=False)]
    assert votes(read_corpus(written(tmp_path, "\n".join([",".join(names), *rows])))) == [0, 1, 0, 1]


def test_truncated_compressed_files_are_refused(tmp_path):
    whole = gzip.compress(("text,label\n" + "a,x\nb,y\n" * 2000).encode())
    with pytest.raises(ValueError, match="not a whole gzip file"):
        read_corpus(written(tmp_path, whole[: len(whole) // 2], "t.csv.gz"))
    with pytest.raises(ValueError, match=r"not a whole .zip"):
        read_corpus(written(tmp_path, b"PK\x03\x04", "t.zip"))
    with pytest.raises(ValueError, match="not a whole workbook"):
        read_corpus(written(tmp_path, b"PK\x03\x04 xl/workbook.xml", "t.xlsx"))


# --- what is said ---


def test_load_corpus_warns_of_what_changes_labels_and_rows(tmp_path, caplog):
    path = written(tmp_path, "text;label\na;Fine\nb;fine.\n;poor\nc;poor\n")
    load_corpus(path)
    assert "spellings of one class are merged" in caplog.text
    assert "1 rows of train have no text" in caplog.text
    assert "separator" not in caplog.text  # nothing is changed by it
    assert "- separator semicolon" in first_lines(read_corpus(path))


def test_a_look_tells_rows_classes_sources_repeats_and_what_is_odd(tmp_path):
    rows = ["same text,a,b", "same text,b,b", "another,a,", "more,a,a", *(f"row {row},a,a" for row in range(6))]
    written(tmp_path, "text,s,t\n" + "\n".join(rows), "train.csv")
    written(tmp_path, "text,s,t\nanother,a,b\n", "test.csv")
    shown = str(look_at(read_corpus(tmp_path, votes_columns=["s", "t"])))
    for words in (
        "train 10, test 1 rows; texts 'text', labels of 2 sources",
        "2 classes: a 9, b 1",
        "s: 100%, 10%",
        "t: 90%, 11%",
        "repeated texts: 1 training rows, 1 texts with different labels",
        "odd: 1 of 1 test rows have a text of the training rows",
        "odd: classes with fewer than 5 training rows: b (1)",
    ):
        assert words in shown, shown


EXPECTED = {  # what must become of the shared cases: classes, rows that abstain, rows
    "missing_integer.csv": (("0", "1"), 1, 24),
    "eleven_classes_one_missing.csv": (tuple(map(str, range(11))), 1, 24),
    "minus_one_and_missing.csv": (("0", "1"), 2, 24),
    "probabilities_as_words.csv": (("0", "1"), 0, 24),
    "model_answers.csv": (("bad", "good", "unknown"), 2, 24),
    "truth_values.csv": (("False", "True"), 1, 24),
    "zero_padded_ids.csv": (("bad", "good"), 0, 24),
    "blank_texts.csv": (("bad", "good"), 0, 21),
    "trailing_spaces.csv": (("bad", "good"), 0, 24),
    **dict.fromkeys(
        [
            "semicolons_of_a_spreadsheet.csv",
            "tabs.tsv",
            "latin_1.csv",
            "workbook.xlsx",
            "lines_named_json.json",
            "records.json",
            "saved_dataset",
            "fasttext.txt",
        ],
        (("bad", "good"), 0, 24),
    ),
    "saved_splits": (("bad", "good"), 0, 16),
    "chinese.csv": (("0", "1"), 0, 24),
    "thai.csv": (("0", "1"), 0, 24),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_the_shared_cases_become_what_they_must(name):
    if not CASES.exists():
        pytest.skip(f"{CASES} is not here: the cases are kept outside the repository")
    names, missing, rows = EXPECTED[name]
    corpus = read_corpus(CASES / name)
    assert (corpus.class_names, votes(corpus).count(-1), len(corpus.train)) == (names, missing, rows)


def test_the_shared_cases_that_are_refused_or_have_several_sources():
    if not CASES.exists():
        pytest.skip(f"{CASES} is not here: the cases are kept outside the repository")
    with pytest.raises(ValueError, match="looks like a score"):
        read_corpus(CASES / "scores_not_classes.csv")
    with pytest.raises(ValueError, match="id '0' is repeated, in rows 0, 1"):
        read_corpus(CASES / "repeated_ids.csv")
    corpus = read_corpus(CASES / "votes_of_mixed_kind.csv", votes_columns=["crowd_1", "crowd_2", "crowd_3"])
    table = np.array(corpus.train["weak_labels"][:])
    assert (corpus.class_names, (table < 0).sum(0).tolist()) == (("0", "1"), [0, 12, 8])
    both = {"train": CASES / "missing_integer.csv", "test": CASES / "complete_integers.csv"}
    assert read_corpus(both).class_names == ("0", "1")


def test_a_repeated_text_is_in_one_part_only():
    texts = [f"text {row % 30}" for row in range(60)]
    corpus = read_corpus(table(["a", "b"] * 30, texts))
    parts = [set(rows["text"][:]) for rows in split_corpus(corpus, 0)]
    assert sum(map(len, parts)) == 30
    alone = read_corpus(table(["a", "b"] * 30, [f"text {row}" for row in range(60)]))
    train, test = hold_out(alone.train, 0.2, 0)
    train, valid = hold_out(train, 0.1, 0)
    for rows, expected in zip(split_corpus(alone, 0), (train, valid, test), strict=True):
        assert rows["id"][:] == expected["id"][:]  # without repeats nothing changes


def test_texts_that_are_cut_are_counted():
    corpus = read_corpus(table(["a", "b"] * 3))
    _, tokenizer = small_encoder(corpus.train["text"][:], corpus.class_names, seed=0, max_length=32)
    assert cut_share(corpus.train, tokenizer, 5) == 1 / 6  # [CLS] and [SEP] count
    assert cut_share(corpus.train, tokenizer, 32) == 0


def test_the_report_of_an_audit_lists_blank_rows_merged_labels_and_texts_that_contradict_themselves(tmp_path):
    rows = [f"text {row},{'Fine' if row % 2 else 'poor'}" for row in range(40)]
    written(tmp_path, "\n".join(["text,label", *rows, "text 1,poor", "text 3,fine.", ",poor"]), "t.csv")
    assert cli.main(["audit", str(tmp_path / "t.csv"), "--output", str(tmp_path / "audit"), "--resamples", "2"]) == 0
    page = (tmp_path / "audit" / "report.html").read_text()
    assert "1 rows of train have no text and are left out: 42" in page
    assert "spellings of one class are merged" in page
    assert "1 texts occur several times with different labels, in 2 rows" in page
    lines = [json.loads(line) for line in (tmp_path / "audit" / "audit.jsonl").read_text().splitlines()]
    assert [line["id"] for line in lines if "same text, other label: 1 of 2 rows" in line["reasons"]] == ["1", "40"]
