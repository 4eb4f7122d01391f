"""Decisions carried out on a dataset: what changes, what stays, and what is refused before anything is changed."""

from __future__ import annotations

import csv
import json

import datasets
import numpy as np
import pytest

from hf_noisy.audit import apply_decisions, read_decisions
from hf_noisy.audit.decision_files import FIELDS

NAMES = ["ham", "spam", "unsure"]
IDS = ["a", "b", "=c", "d"]
GIVEN = [0, 1, 0, 2]
CLASS_LABEL = datasets.ClassLabel(names=NAMES)


def record(row_id, label, decision, new=None, names=NAMES) -> dict:
    new_name = None if new is None else names[new]
    values = (row_id, label, names[label], decision, new, new_name)
    return dict(zip(FIELDS, values, strict=True))


DECIDED = [record("a", 0, "change", 1), record("b", 1, "keep"), record("=c", 0, "drop"), record("d", 2, "change", 0)]


def write(path, records, *, name="decisions.jsonl"):
    """A file of decisions as the page writes it."""
    target = path / name
    if name.endswith(".jsonl"):
        target.write_text("".join(json.dumps(row) + "\n" for row in records))
        return target
    with target.open("w", newline="", encoding="utf-8-sig") as file:
        writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
        writer.writerow([*FIELDS, "text"])
        for row in records:
            cells = ["" if row[field] is None else str(row[field]) for field in FIELDS]
            writer.writerow([*("'" + cell if cell.startswith("=") else cell for cell in cells), "a text, for reading"])
    return target


def dataset_of(labels=GIVEN, feature=None, **columns) -> datasets.Dataset:
    features = datasets.Features(
        {"text": datasets.Value("string"), "label": feature or datasets.Value("int64"), "id": datasets.Value("string")}
    )
    made = datasets.Dataset.from_dict({"text": list("wxyz"), "label": labels, "id": IDS}, features=features)
    for name, values in columns.items():
        made = made.add_column(name, values)
    return made


@pytest.mark.parametrize("name", ["decisions.jsonl", "decisions.csv"])
@pytest.mark.parametrize(
    ("feature", "labels", "expected"),
    [
        (datasets.Value("int64"), [0, 1, 0, 2], [1, 1, 0]),
        (datasets.Value("int8"), [0, 1, 0, 2], [1, 1, 0]),
        (datasets.Value("string"), ["ham", "spam", "ham", "unsure"], ["spam", "spam", "ham"]),
        (CLASS_LABEL, [0, 1, 0, 2], [1, 1, 0]),
        (datasets.ClassLabel(names=["unsure", "spam", "ham"]), [2, 1, 2, 0], [1, 1, 2]),  # by name, not by number
    ],
    ids=["ids", "small ids", "names", "ClassLabel", "ClassLabel in another order"],
)
def test_labels_change_rows_drop_and_the_old_labels_stay(tmp_path, name, feature, labels, expected):
    dataset = dataset_of(labels, feature)
    corrected = apply_decisions(dataset, write(tmp_path, DECIDED, name=name))
    assert corrected.column_names == ["text", "label", "id", "original_label"]
    assert corrected["label"][:] == expected
    assert corrected["original_label"][:] == [labels[0], labels[1], labels[3]]
    assert corrected["id"][:] == ["a", "b", "d"]
    assert corrected["text"][:] == ["w", "x", "z"]
    assert corrected.features["label"] == corrected.features["original_label"] == feature
    assert dataset["label"][:] == labels  # its own are not changed


def test_the_result_is_saved_and_loaded_as_any_dataset(tmp_path):
    corrected = apply_decisions(dataset_of(feature=CLASS_LABEL), write(tmp_path, DECIDED))
    corrected.save_to_disk(tmp_path / "saved")
    loaded = datasets.load_from_disk(tmp_path / "saved")
    assert type(loaded) is datasets.Dataset
    assert loaded.features == corrected.features
    assert loaded[:] == corrected[:]
    corrected.to_parquet(tmp_path / "shard.parquet")  # what push_to_hub uploads
    uploaded = datasets.Dataset.from_parquet(str(tmp_path / "shard.parquet"), cache_dir=str(tmp_path))
    assert uploaded.features == corrected.features


def test_rows_are_found_by_number_where_there_are_no_ids(tmp_path):
    file = write(tmp_path, [record("2", 0, "change", 2), record("0", 0, "drop")])
    for dataset, asked in ((dataset_of().remove_columns("id"), "id"), (dataset_of(), None)):
        corrected = apply_decisions(dataset, file, id_column=asked)
        assert corrected["label"][:] == [1, 2, 2]
        assert corrected["original_label"][:] == [1, 0, 2]


def test_ids_that_are_numbers_and_another_column_of_ids_are_matched(tmp_path):
    dataset = dataset_of(key=[70, 80, 90, 100])
    corrected = apply_decisions(dataset, write(tmp_path, [record("90", 0, "change", 1)]), id_column="key")
    assert corrected["label"][:] == [0, 1, 1, 2]


def test_rows_are_found_after_a_shuffle(tmp_path):
    shuffled = dataset_of().select([3, 1, 0, 2])
    corrected = apply_decisions(shuffled, write(tmp_path, DECIDED))
    assert corrected["id"][:] == ["d", "b", "a"]
    assert corrected["label"][:] == [0, 1, 1]


def test_a_column_that_spells_its_classes_in_numbers_is_read_by_name(tmp_path):
    stars = ["1", "2", "3"]  # classes 0, 1, 2 of the audit
    file = write(tmp_path, [record("a", 0, "change", 2, stars), record("b", 1, "keep", None, stars)])
    assert apply_decisions(dataset_of([1, 2, 1, 3]), file)["label"][:] == [3, 2, 1, 3]


def test_abstained_rows_are_left_as_they_are(tmp_path):
    file = write(tmp_path, [record("a", 0, "change", 1)])
    assert apply_decisions(dataset_of([0, -1, 1, 1]), file)["label"][:] == [1, -1, 1, 1]
    assert apply_decisions(dataset_of([0, None, 1, 1], CLASS_LABEL), file)["label"][:] == [1, None, 1, 1]


def test_the_format_and_the_other_label_columns_stay(tmp_path):
    dataset = dataset_of(stars=[5, 6, 7, 8])
    corrected = apply_decisions(
        dataset.with_format("numpy"), write(tmp_path, DECIDED), label_column="label", original_column="before"
    )
    assert isinstance(corrected[0]["stars"], np.integer)
    assert corrected[:]["stars"].tolist() == [5, 6, 8]
    assert corrected[:]["before"].tolist() == [0, 1, 2]


def test_the_same_decision_twice_counts_once(tmp_path):
    assert len(read_decisions(write(tmp_path, [DECIDED[0], DECIDED[0]]))) == 1
    assert apply_decisions(dataset_of(), write(tmp_path, [DECIDED[0]] * 2))["label"][:] == [1, 1, 0, 2]


def test_a_file_without_decisions_changes_nothing(tmp_path):
    assert apply_decisions(dataset_of(), write(tmp_path, []))["label"][:] == GIVEN
    assert apply_decisions(dataset_of(), write(tmp_path, [], name="decisions.csv"))["label"][:] == GIVEN


@pytest.mark.parametrize(
    ("written", "cell"),
    [
        ("'=1+1", "=1+1"),
        ("''=1", "'=1"),
        ("' -2", " -2"),
        ("'\uff1d1", "\uff1d1"),
        ("'\t1", "\t1"),
        ("a;'=b", "a;=b"),
        ("a;''=b|'@c", "a;'=b|@c"),
        ("'plain", "'plain"),
        ("it's a-b", "it's a-b"),
        ("a;'b", "a;'b"),
    ],
)
def test_a_cell_that_was_made_harmless_is_read_as_it_was(tmp_path, written, cell):
    target = tmp_path / "decisions.csv"
    with target.open("w", newline="") as file:
        csv.writer(file).writerows([FIELDS, [written, "0", "ham", "keep", "", ""]])
    assert read_decisions(target)[0].id == cell


def test_a_spreadsheet_may_save_it_with_semicolons(tmp_path):
    target = write(tmp_path, DECIDED, name="decisions.csv")
    rows = list(csv.reader(target.read_text(encoding="utf-8-sig").splitlines()))
    with target.open("w", newline="") as file:
        csv.writer(file, delimiter=";").writerows(rows)
    assert [decision.id for decision in read_decisions(target)] == IDS


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([record("nobody", 0, "keep")], r"row 1: id='nobody' is unknown .1 of 1 decisions.: .*name its id_column"),
        ([record("a", 0, "keep"), record("a", 0, "drop")], r"row 2: id='a' is decided differently in .*row 1"),
        ([record("a", 1, "keep")], r"id='a' now has label='0', where the decision saw 'spam' \(1\)"),
        ([record("a", 0, "change", 3, [*NAMES, "other"])], r"new_label_name='other' \(new_label=3\) is a class that"),
        ([{**record("a", 0, "keep"), "decision": "chnage"}], "decision='chnage': Did you mean 'change'"),
        ([{**record("a", 0, "keep"), "new_label": 1}], "decision='keep' with new_label=1: expected a new label where"),
        (
            [{**record("a", 0, "change", 1), "new_label": None, "new_label_name": ""}],
            "decision='change' with new_label=None",
        ),
        ([{**record("a", 0, "keep"), "label": -1}], "label=-1, label_name='ham': expected a class id from 0 on"),
        ([{**record("a", 0, "keep"), "id": None}], "id=None: expected the id of a row"),
        (
            [{"id": "a", "label": 0, "wrongness": 0.5}],
            "has no decision, new_label: expected decisions .* This is a file of scores",
        ),
        ([["a"]], "row 0 is .*: expected a list of objects"),
    ],
)
def test_decisions_that_cannot_be_carried_out_are_refused(tmp_path, records, message):
    with pytest.raises(ValueError, match=message):
        apply_decisions(dataset_of(), write(tmp_path, records))


def test_a_class_that_no_row_has_is_known_by_its_name(tmp_path):
    file = write(tmp_path, [record("a", 0, "change", 2)])
    for labels, feature in (([0, 1, 0, 1], None), (["ham", "spam", "ham", "spam"], datasets.Value("string"))):
        with pytest.raises(ValueError, match="Name all classes with class_names="):
            apply_decisions(dataset_of(labels, feature), file)
        corrected = apply_decisions(dataset_of(labels, feature), file, class_names=NAMES)
        assert corrected["label"][0] in (2, "unsure")
    assert apply_decisions(dataset_of([0, 1, 0, 1], CLASS_LABEL), file)["label"][0] == 2


def test_a_stale_row_is_named_as_its_dataset_names_it(tmp_path):
    file = write(tmp_path, [record("a", 1, "keep")])
    with pytest.raises(ValueError, match=r"id='a' now has label='ham', where the decision saw 'spam' \(1\)"):
        apply_decisions(dataset_of(feature=CLASS_LABEL), file)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"label_column": "lable"}, "label_column='lable': no such column. Did you mean 'label'"),
        ({"id_column": "key"}, "id_column='key': no such column"),
        ({"original_column": "text"}, "original_column='text': the dataset has such a column"),
    ],
)
def test_columns_that_are_missing_or_taken_are_refused(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        apply_decisions(dataset_of(), write(tmp_path, DECIDED), **options)


def test_a_dataset_without_labels_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no label column: expected one of labels, label, label_ids, found text, id"):
        apply_decisions(dataset_of().remove_columns("label"), write(tmp_path, DECIDED))


def test_an_id_that_several_rows_have_is_refused_where_it_is_decided_on(tmp_path):
    twice = datasets.concatenate_datasets([dataset_of(), dataset_of()])
    with pytest.raises(ValueError, match="id='a': several rows of the dataset have it"):
        apply_decisions(twice, write(tmp_path, [DECIDED[0]]))


@pytest.mark.parametrize(
    ("feature", "labels"),
    [(datasets.List(datasets.Value("float32")), [[0.5, 0.5]] * 4), (datasets.Value("float32"), [0.5, 1.0, 0.0, 2.0])],
)
def test_labels_that_are_neither_ids_nor_names_are_refused(tmp_path, feature, labels):
    with pytest.raises(TypeError, match="expected class ids, class names or a ClassLabel"):
        apply_decisions(dataset_of(labels, feature), write(tmp_path, DECIDED))


def test_only_one_split_at_a_time_is_corrected(tmp_path):
    with pytest.raises(TypeError, match="Pass one split of it"):
        apply_decisions(datasets.DatasetDict(train=dataset_of()), write(tmp_path, DECIDED))
    with pytest.raises(TypeError, match="expected a datasets.Dataset"):
        apply_decisions(dataset_of().to_iterable_dataset(), write(tmp_path, DECIDED))


def test_files_that_hold_no_decisions_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match="no such file"):
        read_decisions(tmp_path / "none.csv")
    (tmp_path / "decisions.txt").write_text("")
    with pytest.raises(ValueError, match="has no id, label, decision, new_label: expected decisions"):
        read_decisions(tmp_path / "decisions.txt")
    (tmp_path / "broken.jsonl").write_text(json.dumps(DECIDED[0]) + '\n{"id": ')
    with pytest.raises(ValueError, match="line 2: not JSON"):
        read_decisions(tmp_path / "broken.jsonl")
    (tmp_path / "other.csv").write_text("id,text\n1,a\n")
    with pytest.raises(ValueError, match="other.csv: has no label, decision, .*: expected decisions as the report"):
        read_decisions(tmp_path / "other.csv")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match="has no id"):
        read_decisions(tmp_path / "empty.csv")
