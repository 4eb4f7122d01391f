"""Labeling functions run as Snorkel runs them, only faster; votes become labels by rules checked by hand."""

from __future__ import annotations

import gc
import multiprocessing
import random
import subprocess
import sys
import threading
import time
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import datasets
import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from snorkel.labeling import LabelingFunction, PandasLFApplier, labeling_function
from snorkel.preprocess import preprocessor

from hf_noisy.weak import label_model as weak
from hf_noisy.weak.label_model import label_model_probabilities
from hf_noisy.weak.labeling_functions import apply_labeling_functions
from hf_noisy.weak.labels import labels_from_votes
from hf_noisy.weak.majority import hard_labels, majority_vote
from hf_noisy.weak.summary import summarize_votes
from hf_noisy.weak.votes import covered, votes_of

TEXTS = ["see http://a.b now", "a lovely song", "SUBSCRIBE to my song", "hm", "http song", "what a voice"] * 5


@labeling_function()
def lf_link(x):
    return 1 if "http" in x.text else -1


@labeling_function()
def lf_song(x):
    return 0 if "song" in x.text else -1


@labeling_function(resources={"words": {"subscribe", "voice"}})
def lf_resource(x, words):
    return 1 if words & set(x.text.lower().split()) else -1


@preprocessor(memoize=True)
def lowered(x):
    x.text = x.text.lower()
    return x


@labeling_function(pre=[lowered])
def lf_preprocessed(x):
    return 1 if x.text.startswith("subscribe") else -1


FUNCTIONS = [lf_link, lf_song, lf_resource, lf_preprocessed]


def comments(texts=TEXTS) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"text": list(texts), "number": list(range(len(texts)))})


def function_of(name, f) -> LabelingFunction:
    return LabelingFunction(name, f)


def random_votes(rows=300, sources=5, classes=3, seed=0) -> np.ndarray:
    """Votes of sources that are right on 70% of the rows on which they vote; the last ten rows have none."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(classes, size=(rows, 1))
    votes = np.where(generator.random((rows, sources)) < 0.7, truth, generator.integers(classes, size=(rows, sources)))
    votes[generator.random((rows, sources)) < 0.3] = -1
    votes[-10:] = -1
    return votes


# --- apply_labeling_functions ---


def test_votes_equal_those_of_snorkels_applier():
    expected = PandasLFApplier(FUNCTIONS).apply(comments().to_pandas(), progress_bar=False)
    labeled = apply_labeling_functions(comments(), FUNCTIONS, batch_size=7)
    assert np.array_equal(votes_of(labeled), expected)
    assert labeled.column_names == ["text", "number", "weak_labels"]
    assert labeled.features["weak_labels"] == datasets.List(datasets.Value("int16"))


def test_two_processes_give_the_votes_of_one():
    closure = {"word": "song"}
    functions = [*FUNCTIONS, function_of("lf_closure", lambda x: 0 if closure["word"] in x.text else -1)]
    one, two = (apply_labeling_functions(comments(), functions, num_proc=n) for n in (None, 2))
    assert one["weak_labels"][:] == two["weak_labels"][:]


@pytest.mark.parametrize("num_proc", [None, 2])
def test_a_function_that_raises_is_named_with_its_row(num_proc):
    function = function_of("lf_divide", lambda x: 1 // (x.number - 17))
    with pytest.raises(ValueError, match="'lf_divide' failed on row 17: ZeroDivisionError: integer division"):
        apply_labeling_functions(comments(), [lf_link, function], batch_size=4, num_proc=num_proc)


def test_a_function_that_runs_out_of_an_iterator_is_named_too():
    function = function_of("lf_next", lambda x: next(1 for word in x.text.split() if word == "song"))
    with pytest.raises(ValueError, match="'lf_next' failed on row 0: StopIteration"):
        apply_labeling_functions(comments(), [function])


def test_the_error_of_a_function_is_kept_as_the_cause():
    with pytest.raises(ValueError, match="failed on row 0") as caught:
        apply_labeling_functions(comments(), [function_of("lf_typo", lambda x: x.txet)])
    assert isinstance(caught.value.__cause__, AttributeError)


@pytest.mark.parametrize("vote", [None, "1", 1.0, True, -2, 40_000])
def test_a_vote_that_is_no_class_is_named_with_function_and_row(vote):
    function = function_of("lf_odd", lambda x: vote if x.number == 3 else 0)
    with pytest.raises(ValueError, match=rf"'lf_odd' voted {vote!r} on row 3: .*Return -1"):
        apply_labeling_functions(comments(), [function])


def test_numpy_integers_are_votes():
    labeled = apply_labeling_functions(comments(), [function_of("lf_numpy", lambda x: np.int64(x.number % 3))])
    assert votes_of(labeled)[:4, 0].tolist() == [0, 1, 2, 0]


def test_filtered_and_shuffled_datasets_are_labeled_in_their_order():
    dataset = comments().filter(lambda row: row["number"] % 2 == 0).shuffle(seed=1)
    labeled = apply_labeling_functions(dataset, [function_of("lf_number", lambda x: x.number)])
    assert votes_of(labeled)[:, 0].tolist() == labeled["number"][:] == dataset["number"][:]


def test_functions_see_plain_values_whatever_the_format_which_is_kept():
    dataset = comments().with_format("torch")
    labeled = apply_labeling_functions(dataset, [function_of("lf_type", lambda x: int(type(x.number) is int))])
    assert labeled.format["type"] == "torch"
    assert votes_of(labeled).all()


def test_a_memoised_preprocessor_runs_once_a_row():
    seen = []

    @preprocessor(memoize=True)
    def counting(x):
        seen.append(x.number)
        return x

    functions = [LabelingFunction(f"lf_{k}", lambda x: -1, pre=[counting]) for k in range(3)]
    apply_labeling_functions(comments(), functions)
    assert seen == list(range(30))


def test_a_subclass_with_its_own_call_is_called_by_it():
    class Always(LabelingFunction):
        def __call__(self, x):
            return 1

    assert votes_of(apply_labeling_functions(comments(), [Always("lf_always", lambda x: 0)])).all()


def test_functions_that_cannot_be_pickled_work_in_one_process():
    lock = threading.Lock()

    def locked(x):
        with lock:
            return 1

    assert votes_of(apply_labeling_functions(comments(), [function_of("lf_locked", locked)])).all()


def test_votes_never_come_from_a_cache(tmp_path):
    comments().save_to_disk(tmp_path / "data")
    dataset = datasets.load_from_disk(tmp_path / "data")
    words = tmp_path / "words.txt"
    function = function_of("lf_file", lambda x: 1 if words.read_text() in x.text else -1)
    labeled = []
    for word in ("song", "http", "http"):
        words.write_text(word)
        labeled.append(apply_labeling_functions(dataset, [function]))
    song, link, again = labeled
    assert not np.array_equal(votes_of(song), votes_of(link))
    assert song._fingerprint != link._fingerprint == again._fingerprint  # so that later maps are cached by the votes
    assert not list((tmp_path / "data").glob("cache-*"))


def test_no_functions_is_refused():
    with pytest.raises(ValueError, match="functions is empty"):
        apply_labeling_functions(comments(), [])


def test_a_single_function_outside_a_list_is_refused():
    with pytest.raises(TypeError, match=r"'lf_link': expected a list. Wrap it in \[...\]"):
        apply_labeling_functions(comments(), lf_link)


def test_a_plain_function_is_refused_with_the_decorator_to_use():
    with pytest.raises(TypeError, match=r"is a function: .* @labeling_function\(\)"):
        apply_labeling_functions(comments(), [lambda x: 1])


def test_two_functions_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"share the names \['lf_link'\]"):
        apply_labeling_functions(comments(), [lf_link, lf_song, lf_link])


def test_an_empty_dataset_is_refused():
    with pytest.raises(ValueError, match="dataset has 0 rows"):
        apply_labeling_functions(comments([]), FUNCTIONS)


def test_a_column_that_exists_is_not_overwritten():
    with pytest.raises(ValueError, match=r"column 'number' exists already: .*remove_columns\('number'\)"):
        apply_labeling_functions(comments(), FUNCTIONS, column="number")


@pytest.mark.parametrize("dataset", [datasets.DatasetDict(), pd.DataFrame({"text": TEXTS})])
def test_what_is_not_a_dataset_is_refused(dataset):
    with pytest.raises(TypeError, match=f"dataset is a {type(dataset).__name__}: expected one datasets.Dataset"):
        apply_labeling_functions(dataset, FUNCTIONS)


@pytest.mark.slow
def test_it_labels_at_least_five_times_the_rows_a_second_of_snorkels_applier():
    """A floor that holds on a busy machine; tests/measure/labeling_speed.py measures the real ratio, about 20."""
    dataset = comments(TEXTS * 200)
    frame = dataset.to_pandas()
    functions = [function_of(f"lf_{k}", lambda x: 1 if "song" in x.text else -1) for k in range(10)]
    apply_labeling_functions(dataset.select(range(10)), functions)  # imports outside the clock

    def fastest(label) -> float:
        seconds = []
        for _ in range(3):
            start = time.perf_counter()
            label()
            seconds.append(time.perf_counter() - start)
        return min(seconds)

    snorkel = fastest(partial(PandasLFApplier(functions).apply, frame, progress_bar=False))
    assert snorkel / fastest(partial(apply_labeling_functions, dataset, functions)) > 5


# --- votes_of, covered ---


def test_votes_are_read_as_one_array():
    assert votes_of(datasets.Dataset.from_dict({"weak_labels": [[1, -1], [0, 0]]})).tolist() == [[1, -1], [0, 0]]


def test_a_missing_votes_column_is_answered_with_the_nearest():
    with pytest.raises(ValueError, match=r"no column 'weak_label' .*Did you mean 'weak_labels'\?"):
        votes_of(datasets.Dataset.from_dict({"weak_labels": [[1]]}), column="weak_label")


def test_rows_with_unequal_numbers_of_votes_are_refused():
    with pytest.raises(ValueError, match=r"have \[1, 2\] votes: expected as many in every row"):
        votes_of(datasets.Dataset.from_dict({"weak_labels": [[1], [1, 0]]}))


def test_a_row_is_covered_when_any_source_votes():
    assert covered(np.array([[-1, 0], [-1, -1], [1, 1]])).tolist() == [True, False, True]


# --- majority_vote ---


@settings(deadline=None)
@given(st.integers(1, 6).flatmap(lambda m: st.lists(st.lists(st.integers(-1, 3), min_size=m, max_size=m), min_size=1)))
def test_majority_vote_agrees_with_a_naive_loop(votes):
    expected = np.zeros((len(votes), 4))
    for row, row_votes in enumerate(votes):
        counts = [row_votes.count(k) for k in range(4)]
        winners = [k for k in range(4) if counts[k] == max(counts) > 0]
        for k in winners:
            expected[row, k] = 1 / len(winners)
    soft = majority_vote(np.array(votes), 4)
    assert soft.dtype == np.float32
    np.testing.assert_allclose(soft, expected, rtol=1e-6)


def test_a_vote_outside_the_classes_is_named_with_row_and_source():
    with pytest.raises(ValueError, match=r"row 1, source 2 votes 3: expected a class from 0 to 2"):
        majority_vote(np.array([[0, 1, 2], [0, 1, 3]]), 3)


def test_a_vote_below_minus_one_is_named_with_row_and_source():
    with pytest.raises(ValueError, match=r"row 0, source 1 votes -100: expected a class >= 0, or -1 to abstain"):
        covered(np.array([[0, -100]]))


@pytest.mark.parametrize("votes", [np.array([0, 1]), np.zeros((3, 0), dtype=int)])
def test_votes_must_be_rows_by_sources(votes):
    with pytest.raises(ValueError, match=r"expected \(rows, sources\)"):
        majority_vote(votes, 2)


def test_votes_must_be_integers():
    with pytest.raises(TypeError, match="votes of type float64: expected integers"):
        majority_vote(np.array([[0.0, np.nan]]), 2)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="num_classes=1: expected 2 or more"):
        majority_vote(np.array([[0]]), 1)


# --- label_model_probabilities ---


def test_the_label_model_gives_what_snorkels_own_does_on_covered_rows():
    from snorkel.labeling.model import LabelModel

    votes = random_votes()
    model = LabelModel(cardinality=3, verbose=False)
    model.fit(votes, seed=3, n_epochs=100, progress_bar=False)
    probabilities = label_model_probabilities(votes, 3, seed=3)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities[:-10], model.predict_proba(votes)[:-10], atol=1e-5)


def test_the_label_model_leaves_uncovered_rows_unlabeled():
    assert not label_model_probabilities(random_votes(), 3)[-10:].any()
    assert not label_model_probabilities(np.full((4, 3), -1), 2).any()


def test_the_label_model_is_the_same_for_the_same_seed():
    votes = random_votes()
    first, again, other = (label_model_probabilities(votes, 3, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_the_label_model_leaves_all_global_generators_as_they_were():
    def states():
        return random.getstate(), np.random.get_state()[1:3], torch.get_rng_state()

    before = states()
    label_model_probabilities(random_votes(), 3)
    after = states()
    assert before[0] == after[0]
    assert np.array_equal(before[1][0], after[1][0])
    assert before[1][1] == after[1][1]
    assert torch.equal(before[2], after[2])


@pytest.mark.slow
def test_even_the_first_import_of_snorkels_model_draws_nothing():
    script = (
        "import numpy as np; from hf_noisy.weak import label_model_probabilities as fit; np.random.seed(7);"
        "expected = np.random.RandomState(7).random(); fit(np.zeros((5, 3), int), 2);"
        "assert np.random.random() == expected"
    )
    subprocess.run([sys.executable, "-c", script], check=True)


def test_sources_that_never_vote_and_classes_never_voted_do_no_harm():
    votes = np.where(random_votes(classes=2) == 0, 0, -1)
    votes[:, 1] = -1
    probabilities = label_model_probabilities(votes, 4)
    assert np.isfinite(probabilities).all()
    assert (probabilities[covered(votes)].argmax(axis=1) == 0).all()


def test_hundreds_of_sources_do_not_underflow():
    votes = np.repeat(np.array([[0, 1, 2, 0], [2, 0, 1, 1]]), 100, axis=1)
    model = SimpleNamespace(cardinality=3, get_conditional_probs=lambda: np.full((400, 4, 3), 1e-3))
    np.testing.assert_allclose(weak._posterior(model, votes), 1 / 3, rtol=1e-6)


def test_fewer_than_three_sources_are_sent_to_majority_vote():
    with pytest.raises(ValueError, match=r"votes has 2 sources: .*Use majority_vote"):
        label_model_probabilities(np.zeros((4, 2), dtype=int), 2)


def test_a_fit_that_diverges_says_so():
    with pytest.raises(ValueError, match=r"could not be fitted at learning_rate=1e\+30: Loss is NaN"):
        label_model_probabilities(random_votes(), 3, learning_rate=1e30)


def fit_on_rank(rank: int, folder: str) -> None:
    """What each of two processes does: fit, write the result; then meet an error of the first."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    assert torch.distributed.get_world_size() == 2
    if rank == 1:
        weak._fit_label_model = None  # the second process must not fit
    np.save(f"{folder}/{rank}.npy", label_model_probabilities(random_votes(), 3))
    try:
        label_model_probabilities(random_votes(), 3, learning_rate=1e30)
    except ValueError as error:
        Path(f"{folder}/{rank}.txt").write_text(str(error))
    torch.distributed.barrier()  # so that none of them goes while the other still waits for it
    gc.collect()
    torch.distributed.destroy_process_group()


@pytest.mark.slow
def test_two_ranks_share_one_fit_and_one_error(tmp_path):
    context = multiprocessing.get_context("spawn")
    ranks = [context.Process(target=fit_on_rank, args=(rank, str(tmp_path))) for rank in range(2)]
    for process in ranks:
        process.start()
    for process in ranks:
        process.join(timeout=120)
    assert [process.exitcode for process in ranks] == [0, 0]
    alone = label_model_probabilities(random_votes(), 3)
    for rank in range(2):
        np.testing.assert_allclose(np.load(tmp_path / f"{rank}.npy"), alone, atol=1e-5)
        assert "Loss is NaN" in (tmp_path / f"{rank}.txt").read_text()


# --- hard_labels ---


def test_hard_labels_break_ties_at_random_by_seed():
    soft = np.tile(np.array([[0.4, 0.4, 0.2]], dtype=np.float32), (2000, 1))
    labels = hard_labels(soft, seed=1)
    assert labels.dtype == np.int64
    assert np.array_equal(labels, hard_labels(soft, seed=1))
    assert not np.array_equal(labels, hard_labels(soft, seed=2))
    assert set(labels) == {0, 1}
    assert 0.45 < labels.mean() < 0.55


def test_hard_labels_take_the_most_probable_and_abstain_on_zero_rows():
    assert hard_labels(np.array([[0.1, 0.9], [0.0, 0.0], [0.6, 0.4]])).tolist() == [1, -1, 0]


@pytest.mark.parametrize("row", [[-1.0, 2.0], [np.nan, 0.0], [np.inf, 0.0]])
def test_what_are_no_probabilities_is_refused_with_its_row(row):
    with pytest.raises(ValueError, match=r"row 1 has probabilities .*expected finite numbers >= 0"):
        hard_labels(np.array([[0.5, 0.5], row]))


def test_probabilities_must_be_rows_by_classes():
    with pytest.raises(ValueError, match=r"probabilities of shape \(2,\): expected \(rows, classes\)"):
        hard_labels(np.array([0.5, 0.5]))


# --- labels_from_votes ---


def votes_dataset(votes) -> datasets.Dataset:
    return datasets.Dataset.from_dict({"number": list(range(len(votes))), "weak_labels": np.asarray(votes).tolist()})


VOTES = [[0, 0, 1], [1, 0, -1], [-1, -1, -1], [1, 1, 1]]


@pytest.mark.parametrize(
    ("abstain", "expected"),
    [
        ("unlabeled", [[1, 0], [0.5, 0.5], [0, 0], [0, 1]]),
        ("uniform", [[1, 0], [0.5, 0.5], [0.5, 0.5], [0, 1]]),
        ("drop", [[1, 0], [0.5, 0.5], [0, 1]]),
    ],
)
def test_examples_without_a_vote_follow_the_policy(abstain, expected):
    labeled = labels_from_votes(votes_dataset(VOTES), 2, abstain=abstain)
    assert labeled["labels"][:] == expected
    assert labeled.features["labels"] == datasets.List(datasets.Value("float32"))


def test_drop_removes_just_the_rows_that_nobody_covers():
    assert labels_from_votes(votes_dataset(VOTES), 2, abstain="drop")["number"][:] == [0, 1, 3]


def test_hard_labels_are_integers_and_abstain_by_minus_one():
    labeled = labels_from_votes(votes_dataset(VOTES), 2, hard=True)
    assert labeled.features["labels"] == datasets.Value("int64")
    assert [labeled["labels"][row] for row in (0, 2, 3)] == [0, -1, 1]
    assert labeled["labels"][1] in (0, 1)


def test_hard_and_uniform_draw_a_class_for_uncovered_examples():
    labels = labels_from_votes(votes_dataset([[-1]] * 200), 4, hard=True, abstain="uniform")["labels"][:]
    assert set(labels) == {0, 1, 2, 3}


def test_the_label_model_can_aggregate():
    votes = random_votes()
    labeled = labels_from_votes(votes_dataset(votes), 3, aggregate="label_model", seed=5)
    np.testing.assert_array_equal(
        np.array(labeled["labels"][:], dtype=np.float32), label_model_probabilities(votes, 3, seed=5)
    )


@pytest.mark.parametrize(
    ("argument", "value", "near"), [("aggregate", "majority", "majority_vote"), ("abstain", "dorp", "drop")]
)
def test_an_unknown_name_is_answered_with_the_nearest(argument, value, near):
    with pytest.raises(ValueError, match=f"{argument}='{value}': .*Did you mean '{near}'"):
        labels_from_votes(votes_dataset(VOTES), 2, **{argument: value})


def test_labels_that_exist_are_not_overwritten():
    with pytest.raises(ValueError, match="column 'labels' exists already"):
        labels_from_votes(votes_dataset(VOTES).add_column("labels", [0] * 4), 2)


# --- summarize_votes ---


def test_the_summary_is_as_counted_by_hand():
    votes = np.array([[0, 0, -1], [1, 0, -1], [1, -1, -1], [-1, -1, -1]])
    table = summarize_votes(votes, names=["a", "b", "never"], gold=np.array([0, 1, -1, 1]))
    assert list(table.index) == ["a", "b", "never"]
    assert table["coverage"].tolist() == [0.75, 0.5, 0]
    assert table["overlap"].tolist() == [0.5, 0.5, 0]
    assert table["conflict"].tolist() == [0.25, 0.25, 0]
    assert table["accuracy"][["a", "b"]].tolist() == [1.0, 0.5]  # the row of unknown gold does not count
    assert np.isnan(table["accuracy"]["never"])
    pd.testing.assert_frame_equal(summarize_votes(votes_dataset(votes)), summarize_votes(votes))


def test_without_gold_there_is_no_accuracy_and_sources_are_numbered():
    table = summarize_votes(np.array([[0], [-1]]))
    assert list(table.columns) == ["coverage", "overlap", "conflict"]
    assert list(table.index) == ["source_0"]


def test_a_summary_where_nobody_votes_is_all_zero():
    table = summarize_votes(np.full((3, 2), -1), gold=np.zeros(3, dtype=int))
    assert not table[["coverage", "overlap", "conflict"]].to_numpy().any()
    assert table["accuracy"].isna().all()


def test_as_many_names_as_sources_are_expected():
    with pytest.raises(ValueError, match="1 names for 2 sources"):
        summarize_votes(np.zeros((3, 2), dtype=int), names=["a"])


def test_as_many_gold_labels_as_rows_are_expected():
    with pytest.raises(ValueError, match=r"gold of shape \(2,\) for 3 rows"):
        summarize_votes(np.zeros((3, 2), dtype=int), gold=np.zeros(2, dtype=int))


def test_no_rows_cannot_be_summarized():
    with pytest.raises(ValueError, match="votes has 0 rows"):
        summarize_votes(np.zeros((0, 2), dtype=int))
