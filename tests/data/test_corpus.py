"""Every form of weakly labeled text becomes the same four columns; a malformed row is named with its file."""

from __future__ import annotations

import json
from pathlib import Path

import datasets
import huggingface_hub
import numpy as np
import pytest
from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError

from hf_noisy.data.corpus import hold_out, load_corpus

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ROWS = {
    "7": {"label": 1, "data": {"text": "see http://a.b"}, "weak_labels": [1, -1]},
    "8": {"label": None, "data": {"text": "lovely song"}, "weak_labels": [-1, 0]},
}
CSV = "text,label,gold\nsee http://a.b,spam,spam\nlovely song,ham,\nhm,,ham\n"


@pytest.fixture
def wrench(tmp_path) -> Path:
    folder = tmp_path / "comments"
    folder.mkdir()
    (folder / "label.json").write_text('{"0": "HAM", "1": "SPAM"}')
    for split in ("train", "valid", "test"):
        (folder / f"{split}.json").write_text(json.dumps(ROWS))
    return folder


def change(folder: Path, key: str, value) -> None:
    """Writes one malformed row, the second of valid.json."""
    rows = json.loads(json.dumps(ROWS))
    rows["8"][key] = value
    (folder / "valid.json").write_text(json.dumps(rows))


def csv_file(folder: Path, text: str = CSV, name: str = "comments.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def contents(dataset: datasets.Dataset) -> dict:
    return {column: dataset[column][:] for column in dataset.column_names}


# --- the WRENCH layout ---


def test_a_wrench_folder_becomes_three_splits_of_four_columns(wrench):
    corpus = load_corpus(wrench)
    assert (corpus.name, corpus.class_names, corpus.num_classes) == ("comments", ("HAM", "SPAM"), 2)
    expected = {
        "id": ["7", "8"],
        "text": ["see http://a.b", "lovely song"],
        "weak_labels": [[1, -1], [-1, 0]],
        "gold": [1, -1],
    }
    assert contents(corpus.train) == contents(corpus.valid) == contents(corpus.test) == expected
    assert corpus.train.features["weak_labels"] == datasets.List(datasets.Value("int16"))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "classes", "sizes", "sources"),
    [
        ("youtube", 2, (1686, 120, 250), 10),
        ("trec", 6, (5033, 500, 500), 68),
        ("imdb", 2, (2188, 312, 2500), 1),
        ("agnews_human", 4, (9000, 1000, 7600), 1),
        ("hausa", 5, (2045, 290, 582), 1),
    ],
)
def test_the_five_real_corpora_load(name, classes, sizes, sources):
    if not DATA.exists():
        pytest.skip(f"{DATA} is not here: the real corpora are kept outside the repository")
    corpus = load_corpus(str(DATA / name))
    splits = (corpus.train, corpus.valid, corpus.test)
    assert corpus.num_classes == classes
    assert tuple(map(len, splits)) == sizes
    for split in splits:
        assert {len(votes) for votes in split["weak_labels"]} == {sources}
        assert min(split["gold"]) >= 0


@pytest.mark.parametrize("file", ["train.json", "valid.json", "test.json"])
def test_a_missing_file_of_the_layout_is_named(wrench, file):
    (wrench / file).unlink()
    with pytest.raises(FileNotFoundError, match=f"{file}: missing. Expected label.json"):
        load_corpus(wrench)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("data", {"txet": "a"}, "text is None: expected a text"),
        ("data", {"text": 5}, "text is 5: expected a text"),
        ("data", "a", "text is None: expected a text"),
        ("weak_labels", [1], "1 weak_labels, where the rows before have 2"),
        ("weak_labels", [], r"weak_labels=\[\]: expected a list with one vote a source"),
        ("weak_labels", [0, 2], r"the vote of source 1 is 2: expected a class of label.json, 0 to 1, or -1"),
        ("weak_labels", [0, "1"], "the vote of source 1 is '1'"),
        ("weak_labels", [None, 1], "the vote of source 0 is None"),
        ("label", 2, "the gold label is 2"),
        ("label", True, "the gold label is True"),
    ],
)
def test_a_malformed_row_is_named_with_its_file_and_id(wrench, key, value, message):
    change(wrench, key, value)
    with pytest.raises(ValueError, match=rf"valid.json, row '8': {message}"):
        load_corpus(wrench)


@pytest.mark.parametrize("key", ["label", "data", "weak_labels"])
def test_a_row_without_a_key_is_named(wrench, key):
    rows = json.loads(json.dumps(ROWS))
    del rows["7"][key]
    (wrench / "test.json").write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=f"test.json, row '7': has no '{key}'"):
        load_corpus(wrench)


def test_every_split_has_the_sources_of_train(wrench):
    rows = {"7": {**ROWS["7"], "weak_labels": [1, 0, 1]}}
    (wrench / "test.json").write_text(json.dumps(rows))
    with pytest.raises(ValueError, match="test.json, row '7': 3 weak_labels, where the rows before have 2"):
        load_corpus(wrench)


def test_a_file_that_is_no_json_is_named_with_the_line(wrench):
    (wrench / "train.json").write_text('{"0": \n {"label": 1,,}}')
    with pytest.raises(ValueError, match=r"train.json: not JSON: .*line 2 column"):
        load_corpus(wrench)


@pytest.mark.parametrize("content", ["[]", "{}"])
def test_a_split_that_is_no_object_of_rows_is_named(wrench, content):
    (wrench / "train.json").write_text(content)
    with pytest.raises(ValueError, match=r"train.json: expected an object of row id -> row"):
        load_corpus(wrench)


@pytest.mark.parametrize("names", ['{"1": "A", "2": "B"}', '{"0": "A"}', '["A", "B"]'])
def test_class_ids_that_do_not_count_from_zero_are_refused(wrench, names):
    (wrench / "label.json").write_text(names)
    with pytest.raises(ValueError, match=r'label.json: expected {"0": name, "1": name, ...}'):
        load_corpus(wrench)


# --- tables ---


def test_a_csv_file_becomes_the_train_split(tmp_path):
    corpus = load_corpus(csv_file(tmp_path), label_column="label", gold_column="gold")
    assert (corpus.name, corpus.class_names, corpus.valid, corpus.test) == ("comments", ("ham", "spam"), None, None)
    assert contents(corpus.train) == {
        "id": ["0", "1", "2"],
        "text": ["see http://a.b", "lovely song", "hm"],
        "weak_labels": [[1], [0], [-1]],
        "gold": [1, -1, 0],
    }


def test_csv_cells_stay_as_they_are_written(tmp_path):
    path = csv_file(tmp_path, '\ufeffid,text,label\n007,2024,NA\n008,"a, b\nc", None \n009,x,NA\n')
    corpus = load_corpus(path, label_column="label", na_is_class=True)
    assert corpus.class_names == ("NA", "None")
    assert corpus.train["id"][:] == ["007", "008", "009"]
    assert corpus.train["text"][:] == ["2024", "a, b\nc", "x"]


def test_numbers_keep_their_order_and_minus_one_abstains(tmp_path):
    path = csv_file(tmp_path, "text,label\na,10\nb,9\nc,-1\nd,\n")
    corpus = load_corpus(path, label_column="label")
    assert corpus.class_names == ("9", "10")
    assert corpus.train["weak_labels"][:] == [[1], [0], [-1], [-1]]


def test_several_columns_are_several_sources(tmp_path):
    path = csv_file(tmp_path, "text,a,b\nx,spam,ham\ny,,spam\n")
    corpus = load_corpus(str(path), votes_columns=["b", "a"])
    assert corpus.train["weak_labels"][:] == [[0, 1], [1, -1]]


ROWS_OF_A_TABLE = [{"text": "a", "label": 2}, {"text": "b", "label": 0}, {"text": "c", "label": None}, {"text": "d"}]


@pytest.mark.parametrize("ending", [".jsonl", ".json", ".parquet"])
def test_json_lines_json_lists_and_parquet_read_alike(tmp_path, ending):
    path = tmp_path / f"rows{ending}"
    if ending == ".jsonl":
        path.write_text("\n".join(json.dumps(row) for row in ROWS_OF_A_TABLE) + "\n\n")
    elif ending == ".json":
        path.write_text(json.dumps(ROWS_OF_A_TABLE))
    else:
        datasets.Dataset.from_list(ROWS_OF_A_TABLE).to_pandas().to_parquet(path)  # pandas makes the labels floats
    corpus = load_corpus(path, label_column="label")
    assert corpus.class_names == ("0", "2")
    assert corpus.train["weak_labels"][:] == [[1], [0], [-1], [-1]]


def test_a_class_label_names_the_classes_and_their_order(tmp_path):
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["spam", "ham", "never"])}
    )
    path = tmp_path / "rows.parquet"
    datasets.Dataset.from_dict({"text": ["a", "b", "c"], "label": [1, 0, -1]}, features=features).to_parquet(path)
    corpus = load_corpus(path, label_column="label")
    assert corpus.class_names == ("spam", "ham", "never")
    assert corpus.train["weak_labels"][:] == [[1], [0], [-1]]


def test_a_folder_of_files_gives_three_splits_and_gold_may_be_in_one(tmp_path):
    csv_file(tmp_path, "text,label\na,spam\nb,ham\n", "train.csv")
    csv_file(tmp_path, "text,label\na,spam\n", "validation.csv")
    (tmp_path / "test.jsonl").write_text('{"text": "c", "gold": "other"}')
    corpus = load_corpus(tmp_path, label_column="label", gold_column="gold")
    assert corpus.class_names == ("ham", "other", "spam")
    assert corpus.train["gold"][:] == [-1, -1]
    assert corpus.valid["weak_labels"][:] == [[2]]
    assert (corpus.test["weak_labels"][:], corpus.test["gold"][:]) == ([[-1]], [1])


def test_a_mapping_names_a_file_for_each_split(tmp_path):
    path = csv_file(tmp_path)
    corpus = load_corpus({"train": path, "test": str(path)}, label_column="label")
    assert contents(corpus.train) == contents(corpus.test)
    assert corpus.valid is None


def test_the_first_of_the_usual_columns_holds_the_labels_unless_it_holds_something_else(tmp_path):
    path = csv_file(tmp_path, "text,label_ids,label,labels\na,0,p,x\nb,1,q,y\n")
    assert load_corpus(path).class_names == ("x", "y")
    assert load_corpus(path, text_column="labels").class_names == ("p", "q")
    gold = csv_file(tmp_path, "text,label,labels\na,p,q\nb,q,p\n", "gold.csv")
    assert load_corpus(gold, gold_column="labels").train["weak_labels"][:] == [[0], [1]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"gold_column": "label"},
            r"has no column labels or label or label_ids, and its columns are text, label, gold",
        ),
        ({"label_column": "lable"}, r"no column 'lable'. Did you mean 'label'\?"),
        ({"label_column": "label", "text_column": "txt"}, r"no column 'txt'. Did you mean 'text'\?"),
        ({"label_column": "label", "gold_column": "glod"}, r"no column 'glod'. Did you mean 'gold'\?"),
        ({"votes_columns": ["label", "golf"]}, r"no column 'golf'. Did you mean 'gold'\?"),
        ({"label_column": "label", "votes_columns": ["gold"]}, "expected one of them"),
        ({"votes_columns": []}, r"votes_columns=\[\]: expected a list of at least one"),
        ({"votes_columns": "label"}, "votes_columns='label': expected a list"),
    ],
)
def test_columns_that_do_not_fit_are_refused(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        load_corpus(csv_file(tmp_path), **arguments)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("text,label\n ,x\n,y\n", r"comments.csv, row '0': text is ' ', and no row has a text"),
        ("text,label\na,x\nb,x\n", "label: all labels are 'x': expected two classes or more"),
        ("text,label\na,1\nb,-2\n", r"row '1': label is '-2': expected a word or a whole number >= 0"),
        ("text,label\na,\nb,-100\n", "label: no row has a label"),
        ("text,label\n", "comments.csv: has 0 rows"),
        ("", "comments.csv: the file is empty: expected a header"),
        ("text,label\na,x\nb,y,z\n", "line 3: has 3 cells, where the header has 2 names"),
        ("text,label\na,x,1\nb,y,2\n", "line 2: has 3 cells, where the header has 2 names"),
    ],
)
def test_a_malformed_table_is_named_with_the_row(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        load_corpus(csv_file(tmp_path, text), label_column="label")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (
            [{"text": "a", "label": 1}, {"text": "b", "label": 0.5}],
            "label looks like a score .* 2 distinct values .* 0.5",
        ),
        ([{"text": "a", "label": 1}, {"text": "b", "label": ["x", "y"]}], r"row '1': label is .*: expected a class"),
        ([{"text": ["a"], "label": 1}, {"text": "b", "label": 0}], r"row '0': text is \['a'\]: expected a text"),
        ([1, 2], "row 0 is '1': expected a list of objects"),
        ({"text": ["a", "b"], "label": [1]}, "its columns have .* cells: expected as many in each"),
        ("a text", "expected a list of objects"),
    ],
)
def test_malformed_json_rows_are_named(tmp_path, rows, message):
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))
    with pytest.raises(ValueError, match=message):
        load_corpus(path, label_column="label")


def test_a_line_that_is_no_json_is_named_with_its_number(tmp_path):
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "a", "label": 1}\n{"text": "b" "label": 0}\n')
    with pytest.raises(ValueError, match=r"rows.jsonl, line 2: not JSON"):
        load_corpus(path, label_column="label")


def test_a_file_that_is_no_parquet_is_refused(tmp_path):
    path = tmp_path / "rows.parquet"
    path.write_text("text")
    with pytest.raises(ValueError, match="rows.parquet: not a parquet file"):
        load_corpus(path, label_column="label")


def test_a_value_outside_a_class_label_is_named(tmp_path):
    features = datasets.Features({"text": datasets.Value("string"), "gold": datasets.ClassLabel(names=["ham", "spam"])})
    dataset = datasets.Dataset.from_dict({"text": ["a", "b"], "gold": [1, 0]}, features=features)
    path = tmp_path / "rows.parquet"
    dataset.add_column("label", ["ham", "spma"]).to_parquet(path)
    with pytest.raises(ValueError, match=r"row '1': label is 'spma': .*Did you mean 'spam'\?"):
        load_corpus(path, label_column="label", gold_column="gold")


def test_class_labels_that_differ_are_refused(tmp_path):
    features = datasets.Features(
        {
            "text": datasets.Value("string"),
            "a": datasets.ClassLabel(names=["ham", "spam"]),
            "b": datasets.ClassLabel(names=["yes", "no"]),
        }
    )
    path = tmp_path / "rows.parquet"
    datasets.Dataset.from_dict({"text": ["a"], "a": [1], "b": [0]}, features=features).to_parquet(path)
    with pytest.raises(ValueError, match=r"name different classes: .*Cast them to one ClassLabel"):
        load_corpus(path, votes_columns=["a", "b"])


def test_a_split_without_rows_is_refused(tmp_path):
    csv_file(tmp_path, "text,label\na,x\nb,y\n", "train.csv")
    csv_file(tmp_path, "text,label\n", "test.csv")
    with pytest.raises(ValueError, match=r"test.csv: has 0 rows"):
        load_corpus(tmp_path, label_column="label")


def test_two_files_for_one_split_are_refused(tmp_path):
    csv_file(tmp_path, name="train.csv")
    csv_file(tmp_path, name="train.json")
    with pytest.raises(ValueError, match=r"both train.csv and train.json: expected one file a split"):
        load_corpus(tmp_path, label_column="label")


def test_an_unknown_or_missing_split_in_a_mapping_is_named(tmp_path):
    path = csv_file(tmp_path)
    with pytest.raises(ValueError, match=r"split 'trian': unknown. Did you mean 'train'\?"):
        load_corpus({"trian": path}, label_column="label")
    with pytest.raises(ValueError, match=r"no split 'train' among \['test'\]"):
        load_corpus({"test": path}, label_column="label")


def test_an_unknown_ending_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"cannot read '.tsw'. Did you mean '.tsv'\?"):
        load_corpus(csv_file(tmp_path, name="rows.tsw"), label_column="label")


# --- where it comes from ---


@pytest.fixture
def no_hub(monkeypatch):
    def refuse(*arguments, **options):
        raise AssertionError("went to the Hub")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", refuse)
    monkeypatch.setattr(datasets, "load_dataset", refuse)


@pytest.mark.parametrize(
    "source", ["./absent", "/absent/folder", "../absent", "~/absent", "absent.csv", Path("absent")]
)
def test_a_path_that_does_not_exist_is_not_looked_up_on_the_hub(no_hub, source):
    with pytest.raises(FileNotFoundError, match="no such file or folder"):
        load_corpus(source, label_column="label")


def test_a_missing_file_of_a_mapping_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="absent.csv': no such file"):
        load_corpus({"train": tmp_path / "absent.csv"}, label_column="label")


def test_a_folder_without_a_known_layout_says_what_it_found(tmp_path, no_hub):
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(FileNotFoundError, match=r"neither label.json .* nor train.csv, .*Found: notes.txt"):
        load_corpus(tmp_path)


def test_a_hub_repository_in_the_wrench_layout_is_downloaded(monkeypatch, wrench):
    asked = []
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", lambda *a, **k: asked.append((a, k)))
    monkeypatch.setattr(huggingface_hub, "snapshot_download", lambda *a, **k: asked.append((a, k)) or str(wrench))
    corpus = load_corpus("someone/comments")
    assert corpus.name == "someone/comments"
    assert contents(corpus.train)["id"] == ["7", "8"]
    assert asked == [
        (("someone/comments", "label.json"), {"repo_type": "dataset"}),
        (
            ("someone/comments",),
            {"repo_type": "dataset", "allow_patterns": ["label.json", "train.json", "valid.json", "test.json"]},
        ),
    ]


def raising(error):
    def raise_it(*arguments, **options):
        raise error

    return raise_it


@pytest.fixture
def plain_hub(monkeypatch):
    """A Hub whose repositories lack label.json, and what load_dataset is asked."""
    asked = []
    features = datasets.Features({"text": datasets.Value("string"), "label": datasets.ClassLabel(names=["neg", "pos"])})
    split = datasets.Dataset.from_dict({"text": ["a", "b"], "label": [1, -1]}, features=features)

    def load_dataset(*arguments, **options):
        asked.append((arguments, options))
        return datasets.DatasetDict({"train": split, "validation": split, "unsupervised": split})

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", raising(EntryNotFoundError("no label.json")))
    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return asked


def test_any_other_hub_dataset_is_read_without_running_its_code(plain_hub):
    corpus = load_corpus("someone/films", label_column="label", config="small")
    assert plain_hub == [(("someone/films", "small"), {})]  # and nothing like trust_remote_code
    assert corpus.class_names == ("neg", "pos")
    assert corpus.train["weak_labels"][:] == corpus.valid["weak_labels"][:] == [[1], [-1]]
    assert corpus.test is None


def test_a_hub_dataset_without_a_train_split_is_refused(plain_hub, monkeypatch):
    monkeypatch.setattr(
        datasets, "load_dataset", lambda *a: datasets.DatasetDict({"trian": datasets.Dataset.from_dict({})})
    )
    with pytest.raises(ValueError, match=r"someone/films: no split 'train'. Did you mean 'trian'\?"):
        load_corpus("someone/films", label_column="label")


@pytest.mark.parametrize(
    "error", [HFValidationError("a/b/c"), RepositoryNotFoundError.__new__(RepositoryNotFoundError)]
)
def test_a_name_that_is_neither_here_nor_on_the_hub_says_both(monkeypatch, error):
    monkeypatch.setattr(huggingface_hub, "hf_hub_download", raising(error))
    with pytest.raises(FileNotFoundError, match=r"no such file or folder, .* and no such dataset within reach"):
        load_corpus("data/comments")


def test_a_name_that_cannot_be_reached_offline_says_so():
    with pytest.raises(FileNotFoundError, match="'data/comments': no such file or folder"):
        load_corpus("data/comments", label_column="label")


# --- hold_out ---


def numbers(rows: int) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"number": list(range(rows))})


def test_hold_out_splits_every_row_once_and_keeps_the_order():
    train, held = hold_out(numbers(50), fraction=0.2, seed=3)
    assert (len(train), len(held)) == (40, 10)
    assert sorted(train["number"][:] + held["number"][:]) == list(range(50))
    assert train["number"][:] == sorted(train["number"][:])
    assert held["number"][:] == sorted(held["number"][:])


def test_hold_out_depends_on_the_seed_alone():
    np.random.seed(0)
    first = hold_out(numbers(50), seed=1)[1]["number"][:]
    np.random.seed(1)
    assert first == hold_out(numbers(50), seed=1)[1]["number"][:]
    assert first != hold_out(numbers(50), seed=2)[1]["number"][:]


@pytest.mark.parametrize(("rows", "fraction"), [(2, 0.01), (2, 0.99)])
def test_hold_out_leaves_at_least_one_row_on_each_side(rows, fraction):
    assert tuple(map(len, hold_out(numbers(rows), fraction))) == (1, 1)


@pytest.mark.parametrize("fraction", [0, 1, 20])
def test_hold_out_refuses_what_is_no_fraction(fraction):
    with pytest.raises(ValueError, match=rf"fraction={fraction}: expected a number in \(0, 1\)"):
        hold_out(numbers(10), fraction)


def test_hold_out_refuses_a_single_row():
    with pytest.raises(ValueError, match="dataset has 1 rows: expected at least 2"):
        hold_out(numbers(1))
