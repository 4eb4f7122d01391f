"""Masking of rules: which words are a rule's, which positions are hidden, and what the other rules make of a label."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch
from by_hand import batch, context, predictions, supervise
from conftest import flat_weights, make_trainer, tiny_model, token_dataset, votes_on
from snorkel.labeling import labeling_function
from transformers import FNetConfig, FNetForSequenceClassification, TrainerCallback

from hf_noisy import CoTeaching, DivideMix, Supervision, apply_labeling_functions
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.evidence.rules import folds as folds_module
from hf_noisy.evidence.rules.associations import associated_tokens
from hf_noisy.evidence.rules.folds import rule_held_out_probabilities
from hf_noisy.evidence.rules.words import rule_token_mask, words_behind_votes
from hf_noisy.methods import rule_masking as module
from hf_noisy.methods.rule_masking import RuleMasking

ALL = {"hide": 1.0}


@labeling_function()
def praise(x):
    return 1 if set(x.text.lower().split()) & {"good", "great"} else -1


@labeling_function()
def phrase(x):
    return 0 if "check out" in x.text else -1


@labeling_function()
def twice(x):
    return 0 if x.text.lower().count("no") >= 2 else -1


@labeling_function()
def long(x):
    return 0 if len(x.text.split()) > 3 else -1


@labeling_function()
def asked(x):
    return 1 if "?" in x.text else -1


@labeling_function()
def starred(x):
    return 1 if x.stars > 3 and "day" in x.text else -1


def words(texts, *functions, **arguments):
    found = words_behind_votes(texts, list(functions), **arguments)
    written = texts["text"][:] if isinstance(texts, datasets.Dataset) else texts
    return [[text[begin:end] for begin, end in spans] for text, spans in zip(written, found, strict=True)]


# ---- words behind votes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "function", "expected"),
    [
        ("a good day", praise, ["good"]),
        ("Good or good enough", praise, ["Good", "good"]),  # all occurrences at once
        ("a good and great day", praise, ["good", "great"]),  # each suffices
        ("a day", praise, []),
        ("now check out this", phrase, ["check", "out"]),
        ("no day and no night", twice, ["no", "no"]),
        ("one two three four five", long, []),  # a rule about length is about no word
        ("is it?", asked, ["?"]),
        ("it's good, isn't it", praise, []),  # "good," is no word of this rule
    ],
)
def test_a_word_without_which_a_function_votes_otherwise_is_behind_its_vote(text, function, expected):
    assert words([text], function) == [expected]


def test_a_word_is_behind_the_votes_of_all_functions_and_of_a_text_only():
    texts = ["check out a good day", "", "a day", "good good good"]
    assert words(texts, praise, phrase, long) == [["check", "out", "good"], [], [], ["good"] * 3]


def test_a_new_vote_that_a_gap_makes_is_no_vote_of_the_text():
    @labeling_function()
    def silent(x):
        return 1 if "good" not in x.text else -1

    assert words(["a good day"], silent) == [[]]


def test_functions_see_the_other_columns_of_a_dataset_and_keep_to_their_rows():
    dataset = datasets.Dataset.from_dict({"text": ["a day", "a fine day", "two days"], "stars": [5, 1, 4]})
    assert words(dataset, starred) == [["day"], [], ["days"]]
    with pytest.raises(ValueError, match="text_column='body'.*stars"):
        words_behind_votes(dataset, [starred], text_column="body")
    with pytest.raises(TypeError, match="Wrap it in"):
        words_behind_votes("a day", [praise])


def test_more_texts_than_are_asked_about_at_once_keep_their_order(monkeypatch):
    monkeypatch.setattr("hf_noisy.evidence.rules.words._TEXTS", 2)
    texts = ["good day", "day", "bad day", "great", "so great"]
    assert words(texts, praise) == [["good"], [], [], ["great"], ["great"]]


@pytest.mark.slow
def test_blotting_out_what_was_found_undoes_every_vote_that_words_make():
    from hf_noisy.corpora.embedded import embedded_corpus
    from hf_noisy.corpora.review_rules import labeling_functions

    functions = [f for f in labeling_functions() if f.name in {"praise_words", "recommendation", "score", "negation"}]
    texts = embedded_corpus(0).train["text"][:30]
    found = words_behind_votes(texts, functions)
    for function in functions:
        spans = words_behind_votes(texts, [function])
        for text, own, every in zip(texts, spans, found, strict=True):
            blotted = list(text)
            for begin, end in own:
                blotted[begin:end] = "_" * (end - begin) if text[begin].isalnum() else " " * (end - begin)
            vote = function(SimpleNamespace(text=text))
            assert (vote == -1) == (function(SimpleNamespace(text="".join(blotted))) == vote)
            assert set(own) <= set(every)


# ---- tokens -----------------------------------------------------------------------------------------------------


def test_the_tokens_of_a_word_behind_a_vote_are_marked_and_special_ones_never():
    texts = ["a good day", "a day , a great day !"]
    tokenizer = small_encoder(texts * 20)[1]
    marks = rule_token_mask(texts, [praise], tokenizer, max_length=8)
    for text, mine in zip(texts, marks, strict=True):
        tokens = tokenizer.convert_ids_to_tokens(tokenizer(text, truncation=True, max_length=8)["input_ids"])
        assert [token for token, mark in zip(tokens, mine, strict=True) if mark] == [text.split()[-2 - ("!" in text)]]
    assert [len(row) for row in rule_token_mask(texts, [praise], tokenizer, max_length=4)] == [4, 4]


def test_a_tokenizer_that_does_not_know_where_its_tokens_stand_is_refused():
    with pytest.raises(TypeError, match="fast tokenizer"):
        rule_token_mask(["a"], [praise], SimpleNamespace(is_fast=False))


def ruled_rows(rows=60, seed=0, length=6):
    """Random tokens 10 to 29 between 1 and 2; source 0 votes 1 where there is a 5, source 1 votes 0 where 6 or 7 is."""
    generator = np.random.default_rng(seed)
    ids = generator.integers(10, 30, (rows, length))
    ids[:, 0], ids[:, -1] = 1, 2
    place = generator.integers(1, length - 1, rows)
    ids[np.arange(rows), place] = generator.choice([5, 6, 7, 8], rows)
    votes = np.stack([np.where((ids == 5).any(1), 1, -1), np.where(((ids == 6) | (ids == 7)).any(1), 0, -1)], 1)
    return ids, votes


def test_the_tokens_that_go_with_a_vote_are_those_of_the_rule_and_only_where_it_voted():
    ids, votes = ruled_rows()
    found = np.stack(associated_tokens(list(ids), votes))
    assert np.array_equal(found, (ids == 5) | (ids == 6) | (ids == 7))
    votes[3] = -1
    assert not associated_tokens(list(ids), votes)[3].any()


def test_association_is_that_of_a_naive_count():
    from scipy.stats import chi2, chi2_contingency

    ids, votes = ruled_rows(80, seed=3)
    noise = np.random.default_rng(0).random(80) < 0.05  # a rule that votes at times without its word
    votes[noise, 0] = 1
    found = associated_tokens(list(ids), votes, precision=0.3, min_count=4, level=0.2)
    often = [token for token in range(40) if (ids == token).any(1).sum() >= 4]
    tried = len(often) * 2
    for token in often:
        has = (ids == token).any(1)
        for source, vote in ((0, 1), (1, 0)):
            cast = votes[:, source] == vote
            table = [[(has & cast).sum(), (has & ~cast).sum()], [(~has & cast).sum(), (~has & ~cast).sum()]]
            goes = (
                not has.all()
                and cast[has].mean() >= 0.3
                and cast[has].mean() > cast.mean()
                and chi2_contingency(table, correction=False, lambda_="log-likelihood")[0] >= chi2.isf(0.2 / tried, 1)
            )
            for row in np.flatnonzero(has & cast & (votes[:, 1 - source] < 0)):
                assert (found[row][ids[row] == token]).all() == goes


def test_a_source_of_several_classes_has_words_for_each_of_them():
    ids, votes = ruled_rows()
    one = np.where(votes[:, 0] >= 0, 1, np.where(votes[:, 1] >= 0, 0, 2))[:, None]  # votes everywhere
    found = np.stack(associated_tokens(list(ids), one))
    assert np.array_equal(found, (ids == 5) | (ids == 6) | (ids == 7) | (ids == 8))


def test_words_too_rare_or_of_no_rule_go_with_no_vote():
    ids, votes = ruled_rows()
    assert not np.any(associated_tokens(list(ids), votes, min_count=40))
    lots = np.random.default_rng(0).integers(0, 2, (60, 3))
    assert not np.any(associated_tokens(list(ids), lots))
    assert not np.any(associated_tokens(list(ids), np.full((60, 2), -1)))


def test_a_token_counts_once_a_row_and_one_that_a_vote_avoids_does_not_go_with_it():
    rows = [np.array([1, 10 + row, 2]) for row in range(60)]
    rows[:4] = [np.array([1, 5, 5, 2])] * 4
    ten = np.where(np.arange(60)[:, None] < 10, 1, -1)
    assert not np.any(np.concatenate(associated_tokens(rows, ten, min_count=5)))  # in four rows, if eight times
    assert np.concatenate(associated_tokens(rows, ten, min_count=4)).sum() == 8
    most = np.where(np.arange(60)[:, None] < 50, 1, -1)
    for row in (0, 1, 2, 3, 4, 5, 6, *range(50, 60)):
        rows[row] = np.array([1, 6, 2])
    assert not np.any(np.concatenate(associated_tokens(rows, most, precision=0.3)))  # 7 of 17 where 50 of 60 are usual


# ---- hiding -----------------------------------------------------------------------------------------------------


def rows_of(ids, votes, masks=None, **changes):
    dataset = {"input_ids": [list(map(int, row)) for row in ids]}
    if masks is not None:
        dataset["attention_mask"] = masks
    given = None if votes is None else torch.as_tensor(votes, dtype=torch.int16)
    plain = context(len(ids), 3, labels=np.zeros(len(ids), dtype=int))
    return replace(plain, votes=given, dataset=datasets.Dataset.from_dict(dataset), **changes)


def hidden(method, ids, mask, index):
    (view,) = method.views({"input_ids": ids, "attention_mask": mask}, batch([0] * len(ids), 3, index=index))
    return mask.bool() & ~view["attention_mask"].bool()


def test_hidden_are_the_positions_of_rule_tokens_whatever_side_is_padded():
    ids, votes = ruled_rows()
    method = RuleMasking(**ALL)
    method.setup(rows_of(ids, votes))
    index = [7, 0, 11, 30]
    real, none = torch.as_tensor(ids[index]), torch.zeros(4, 3, dtype=torch.long)
    expected = (real == 5) | (real == 6) | (real == 7)
    assert expected.any()
    ones, zeros = torch.ones_like(real), torch.zeros_like(none)
    for side in (1, -1):
        padded = torch.cat([real, none][::side], 1)
        mask = torch.cat([ones, zeros][::side], 1)
        wanted = torch.cat([expected, none.bool()][::side], 1)
        assert torch.equal(hidden(method, padded, mask, index), wanted)
    assert (method.report()["rule_tokens"][index] == expected.sum(1).numpy()).all()


def test_without_an_attention_mask_every_token_is_real_and_one_is_made():
    ids, votes = ruled_rows()
    method = RuleMasking(**ALL)
    method.setup(rows_of(ids, votes))
    real = torch.as_tensor(ids[:4])
    (view,) = method.views({"input_ids": real}, batch([0] * 4, 3))
    assert torch.equal(view["attention_mask"] == 0, (real == 5) | (real == 6) | (real == 7))


def test_tokens_of_ones_own_are_taken_and_votes_are_not_needed():
    method = RuleMasking(tokens=[[0, 1, 0, 0], [1, 0, 1, 1], [0, 0]], **ALL)
    method.setup(rows_of([[1, 9, 9, 2], [1, 9, 9, 2], [1, 2]], None))
    ids, mask = torch.tensor([[1, 9, 9, 2], [1, 9, 9, 2]]), torch.ones(2, 4, dtype=torch.long)
    assert hidden(method, ids, mask, [1, 0]).int().tolist() == [[0, 0, 1, 0], [0, 1, 0, 0]]  # never first and last


def test_a_row_of_which_nothing_but_the_ends_would_be_left_is_not_hidden():
    method = RuleMasking(tokens=[[0, 1, 1, 0], [0, 1, 0, 0]], **ALL)
    method.setup(rows_of([[1, 9, 9, 2]] * 2, None))
    ids = torch.tensor([[1, 9, 9, 2]] * 2)
    assert hidden(method, ids, torch.ones_like(ids), [0, 1]).int().tolist() == [[0, 0, 0, 0], [0, 1, 0, 0]]


def test_rows_that_were_padded_when_tokenized_are_read_by_their_mask():
    ids, masks = [[0, 1, 9, 8, 2], [1, 9, 8, 7, 2]], [[0, 1, 1, 1, 1], [1, 1, 1, 1, 1]]
    for tokens in ([[0, 0, 0, 1, 0], [0, 0, 0, 1, 0]], [[0, 0, 1, 0], [0, 0, 0, 1, 0]]):
        method = RuleMasking(tokens=tokens, **ALL)
        method.setup(rows_of(ids, None, masks))
        found = hidden(method, torch.tensor(ids), torch.tensor(masks), [0, 1])
        assert found.int().tolist() == [[0, 0, 0, 1, 0], [0, 0, 0, 1, 0]]


def test_a_row_is_hidden_whole_or_not_at_all_and_in_another_step_otherwise():
    rows = 400
    method = RuleMasking(tokens=[[0, 1, 1, 0, 0]] * rows, hide=0.3)
    method.setup(rows_of([[1, 9, 9, 9, 2]] * rows, None))
    ids = torch.tensor([[1, 9, 9, 9, 2]] * rows)
    first = hidden(method, ids, torch.ones_like(ids), range(rows))
    assert torch.equal(first[:, 1], first[:, 2])
    assert float(first[:, 1].float().mean()) == pytest.approx(0.3, abs=0.07)
    assert torch.equal(first, hidden(method, ids, torch.ones_like(ids), range(rows)))  # the same step
    later = replace(batch([0] * rows, 3), key=(0, 1, 0))
    (view,) = method.views({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, later)
    assert not torch.equal(first, view["attention_mask"] == 0)


def test_what_another_method_hides_does_not_shift_the_rule_tokens():
    method = RuleMasking(tokens=[[0, 0, 0, 1, 0, 0]] * 2, **ALL)
    method.setup(rows_of([[1, 9, 8, 7, 6, 2]] * 2, None))
    ids = torch.tensor([[1, 9, 8, 7, 6, 2, 0], [0, 1, 9, 8, 7, 6, 2]])
    mask = torch.tensor([[1, 0, 1, 1, 1, 1, 0], [0, 1, 1, 0, 1, 1, 1]])
    assert hidden(method, ids, mask, [0, 1]).int().tolist() == [[0, 0, 0, 1, 0, 0, 0], [0, 0, 0, 0, 1, 0, 0]]


def test_clean_rows_of_which_no_source_was_asked_do_not_count_against_a_rule():
    ids, votes = ruled_rows()
    alone, joined = RuleMasking(**ALL), RuleMasking(**ALL)
    alone.setup(rows_of(ids, votes))
    voted = ids[votes.max(1) >= 0]
    clean = np.tile(voted, (2, 1))
    trusted = torch.arange(len(ids) + len(clean)) >= len(ids)
    blank = np.full((len(clean), votes.shape[1]), -1)
    joined.setup(rows_of([*ids, *clean], np.concatenate([votes, blank]), trusted=trusted))
    assert alone.rule.any()
    assert torch.equal(joined.rule[: len(ids)], alone.rule)
    assert not joined.rule[len(ids) :].any()


def test_a_model_that_reads_no_attention_mask_is_refused_and_takes_mask_tokens(tmp_path):
    model = FNetForSequenceClassification(
        FNetConfig(vocab_size=40, hidden_size=16, num_hidden_layers=1, intermediate_size=16, num_labels=3)
    )
    rows = token_dataset(20).add_column("weak_labels", votes_on(token_dataset(20)))
    tokenizer = SimpleNamespace(mask_token_id=4)
    trainer = make_trainer(tmp_path, rows, model=model, callbacks=[RuleMasking()])
    with pytest.raises(ValueError, match='how="attention": the model takes no attention_mask'):
        trainer.train()
    method = RuleMasking(how="mask_token")
    method.setup(rows_of([[1, 9, 9, 2]], [[0]], model=model, tokenizer=tokenizer))


def test_a_mask_token_stands_where_a_rule_token_stood_and_attention_stays():
    method = RuleMasking(tokens=[[0, 1, 0, 0]], how="mask_token", **ALL)
    method.setup(rows_of([[1, 9, 8, 2]], None, tokenizer=SimpleNamespace(mask_token_id=4)))
    ids = torch.tensor([[1, 9, 8, 2]])
    (view,) = method.views({"input_ids": ids, "attention_mask": torch.ones_like(ids)}, batch([0], 3))
    assert view["input_ids"].tolist() == [[1, 4, 8, 2]]
    assert (view["attention_mask"] == 1).all()
    assert ids.tolist() == [[1, 9, 8, 2]]


def test_a_look_before_the_forward_sees_whole_texts():
    method = RuleMasking(tokens=[[0, 1, 0, 0]], **ALL)
    method.setup(rows_of([[1, 9, 8, 2]], None))
    inputs = {"input_ids": torch.tensor([[1, 9, 8, 2]]), "attention_mask": torch.ones(1, 4, dtype=torch.long)}
    (view,) = method.views(inputs, replace(batch([0], 3), peeking=True))
    assert view is inputs


def test_where_no_word_goes_with_a_vote_that_is_said_and_nothing_is_hidden(monkeypatch):
    said = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    ids, votes = ruled_rows()
    method = RuleMasking(min_count=50)
    method.setup(rows_of(ids, votes))
    assert len(said) == 1
    assert "60 rows" in said[0]
    assert "2 sources (min_count=50, precision=0.9)" in said[0]
    assert (method.report()["rule_tokens"] == 0).all()


# ---- in training ------------------------------------------------------------------------------------------------


class Seen(TrainerCallback):
    """Which tokens the model could attend to, in training and in evaluation."""

    def __init__(self):
        self.tokens = {True: [], False: []}

    def watch(self, model):
        def keep(module, arguments, inputs):
            ids, mask = inputs["input_ids"], inputs["attention_mask"]
            self.tokens[module.training] += ids[mask.bool()].tolist()

        model.register_forward_pre_hook(keep, with_kwargs=True)
        return model


def voted_dataset(rows=40, classes=3):
    ids, votes = ruled_rows(rows)
    labels = np.where(votes[:, 0] >= 0, 1, np.where(votes[:, 1] >= 0, 0, -1)).tolist()
    columns = {"input_ids": ids.tolist(), "attention_mask": np.ones_like(ids).tolist(), "weak_labels": votes.tolist()}
    return datasets.Dataset.from_dict({**columns, "labels": labels})


def test_the_model_trains_without_the_rules_words_and_is_evaluated_with_them(tmp_path):
    seen, dataset = Seen(), voted_dataset()
    trainer = make_trainer(
        tmp_path, dataset, model=seen.watch(tiny_model()), eval_dataset=dataset, callbacks=[RuleMasking(**ALL)]
    )
    trainer.train()
    trainer.evaluate()
    trainer.survey()
    assert not {5, 6, 7} & set(seen.tokens[True])
    assert 8 in seen.tokens[True]
    assert {5, 6, 7} <= set(seen.tokens[False])
    plain = Seen()
    make_trainer(tmp_path, dataset, model=plain.watch(tiny_model())).train()
    assert {5, 6, 7} <= set(plain.tokens[True])


@pytest.mark.slow
def test_the_rest_of_the_sentence_is_learned_where_the_rules_word_misleads(tmp_path):
    generator = np.random.default_rng(0)
    gold = generator.integers(0, 2, 200)
    rule = np.where(generator.random(200) < 0.3, 1 - gold, gold)  # what the keyword says, wrong on 30 % of the rows
    rows = np.stack([np.ones(200), 5 + rule, 8 + gold, generator.integers(10, 30, 200), np.full(200, 2)], 1).astype(int)
    votes = [[int(vote), -1] if vote == 0 else [-1, int(vote)] for vote in rule]
    mask = np.ones_like(rows).tolist()
    train = {"input_ids": rows.tolist(), "attention_mask": mask, "labels": rule.tolist(), "weak_labels": votes}

    def right(*methods):
        trainer = make_trainer(
            tmp_path,
            datasets.Dataset.from_dict(train),
            model=tiny_model(2),
            num_train_epochs=4,
            per_device_train_batch_size=8,
            callbacks=list(methods),
        )
        trainer.train()
        return float((trainer.survey().probs.argmax(-1).numpy() == gold).mean())

    assert right() < 0.75  # it reads the keyword
    assert right(RuleMasking(hide=0.9, folds=None)) > 0.8


class StopAt(TrainerCallback):
    def __init__(self, step):
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = control.should_save = state.global_step == self.step


def run(folder, *more, folds, dataset, resume=None):
    trainer = make_trainer(
        folder,
        dataset,
        model=tiny_model(dropout=0.3),
        num_train_epochs=3,
        callbacks=[RuleMasking(folds=folds), *more],
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


@pytest.mark.slow
@pytest.mark.parametrize("step", [14, 20], ids=["in the middle of an epoch", "at its end"])
@pytest.mark.parametrize("folds", [None, "correct"])
def test_a_resumed_run_is_the_unbroken_run_to_the_bit(tmp_path, step, folds, monkeypatch):
    monkeypatch.setattr(folds_module, "_FEWEST", 1)
    dataset = many_rules_dataset() if folds else voted_dataset(40)
    whole = run(tmp_path / "whole", folds=folds, dataset=dataset)
    report = whole.example_report()
    assert np.isfinite(report["rule_judgement"][:]).any() if folds else sum(report["rule_tokens"][:]) > 5
    run(tmp_path / "broken", StopAt(step), folds=folds, dataset=dataset)
    checkpoint = str(tmp_path / "broken" / f"checkpoint-{step}")
    resumed = run(tmp_path / "broken", resume=checkpoint, folds=folds, dataset=dataset)
    assert torch.equal(flat_weights(whole.model), flat_weights(resumed.model))
    assert str(whole.example_report().to_dict()) == str(resumed.example_report().to_dict())


@pytest.mark.parametrize("arguments", [{}, {"folds": "weight"}, {"folds": "correct"}])
@pytest.mark.parametrize(("rows", "size"), [(3, 1), (20, 4)])
def test_it_trains_where_nothing_is_found(tmp_path, rows, size, arguments):
    votes = np.random.default_rng(0).integers(-1, 3, (rows, 3)).tolist()
    dataset = token_dataset(rows).add_column("weak_labels", votes)
    trainer = make_trainer(tmp_path, dataset, callbacks=[RuleMasking(**arguments)], per_device_train_batch_size=size)
    assert np.isfinite(trainer.train().training_loss)


@pytest.mark.slow
@pytest.mark.parametrize("other", [CoTeaching(forget_rate=0.2), DivideMix(warmup_epochs=1)])
def test_it_goes_with_two_networks_and_with_a_method_that_mixes(tmp_path, other):
    trainer = make_trainer(tmp_path, voted_dataset(20), callbacks=[other, RuleMasking(folds="weight")])
    assert np.isfinite(trainer.train().training_loss)


# ---- folds by rule ----------------------------------------------------------------------------------------------


def many_rules(rows=120, wrong=()):
    """Two far groups; each row is labelled by one or two of six rules, which vote as the label says."""
    generator = np.random.default_rng(0)
    gold = np.arange(rows) % 2
    vectors = generator.normal(0, 0.5, (rows, 3)) + np.where(gold[:, None] == 1, 2, -2)
    labels = gold.copy()
    labels[list(wrong)] = 1 - labels[list(wrong)]
    votes = np.full((rows, 6), -1)
    votes[np.arange(rows), generator.integers(0, 6, rows)] = labels
    votes[np.arange(rows), generator.integers(0, 6, rows)] = labels
    return vectors, labels, votes, gold


def many_rules_dataset():
    _, labels, votes, _ = many_rules(40)
    return token_dataset(40, labels.tolist()).add_column("weak_labels", votes.tolist())


def test_no_head_has_seen_a_row_that_shares_a_rule_with_those_that_it_judges(monkeypatch):
    vectors, labels, votes, _ = many_rules()
    seen = []
    plain = folds_module._Head.predicted

    def predicted(head, *arguments):
        seen.append(head)
        return plain(head, *arguments)

    monkeypatch.setattr(folds_module._Head, "predicted", predicted)
    for most in (32, 4):  # sets of rules of their own, and sets that share a head
        seen.clear()
        monkeypatch.setattr(folds_module, "_HEADS", most)
        judged = rule_held_out_probabilities(vectors, labels, votes, 2)
        heads = seen[len(folds_module.INVERSE_PENALTIES) :]
        assert len(heads) == min(most, len(np.unique(votes >= 0, axis=0)))
        asked = np.concatenate([head.asked for head in heads])
        assert len(asked) == len(set(asked.tolist())) == np.isfinite(judged[:, 0]).sum() > 0
        for head in heads:
            shared = (votes[head.asked] >= 0).astype(int) @ (votes[head.learned] >= 0).astype(int).T
            assert (shared == 0).all()


def test_a_wrong_label_is_found_by_the_rules_that_did_not_give_it():
    wrong = [3, 50, 77]
    vectors, labels, votes, gold = many_rules(wrong=wrong)
    judged = rule_held_out_probabilities(vectors, labels, votes, 2)
    assert np.allclose(judged.sum(1), 1)
    assert np.array_equal(judged.argmax(1), gold)
    assert np.flatnonzero(judged.argmax(1) != labels).tolist() == wrong


def test_soft_labels_that_are_sure_judge_as_hard_ones_and_unsure_ones_judge_too():
    vectors, labels, votes, gold = many_rules(wrong=[3])
    hard = rule_held_out_probabilities(vectors, labels, votes, 2)
    assert np.allclose(hard, rule_held_out_probabilities(vectors, np.eye(2)[labels], votes, 2))
    soft = 0.8 * np.eye(2)[labels] + 0.1
    assert np.array_equal(rule_held_out_probabilities(vectors, soft, votes, 2).argmax(1), gold)


def test_rows_without_a_label_or_vote_or_enough_other_rows_are_not_judged():
    vectors, labels, votes, _ = many_rules()
    labels[0], votes[1] = -1, -1
    votes[[2, 3]] = labels[[2, 3], None]  # every rule voted: no row is left
    judged = rule_held_out_probabilities(vectors, labels, votes, 3)
    assert np.flatnonzero(np.isnan(judged).any(1)).tolist() == [0, 1, 2, 3]
    assert np.allclose(judged[4:, 2], 1e-6)  # a class that no one has
    same = np.where(labels[:, None] == 1, [1, -1], [-1, 0])  # one rule a class: without it the class is unknown
    assert np.isnan(rule_held_out_probabilities(vectors, labels, same, 2)).all()


def test_a_rare_class_is_not_judged_and_does_not_keep_the_others_from_it():
    vectors, labels, votes, _ = many_rules()
    labels[10:13] = 2
    votes[10:13] = np.where(votes[10:13] >= 0, 2, -1)
    judged = rule_held_out_probabilities(vectors, labels, votes, 3)
    assert np.isnan(judged[10:13]).all()
    assert np.isfinite(np.delete(judged, [10, 11, 12], 0)).all()


def test_votes_of_other_rows_are_refused():
    vectors, labels, votes, _ = many_rules()
    with pytest.raises(ValueError, match="votes has 100 rows: expected 120"):
        rule_held_out_probabilities(vectors, labels, votes[:100], 2)
    with pytest.raises(ValueError, match="features has 100 rows"):
        rule_held_out_probabilities(vectors[:100], labels, votes, 2)


def judged_method(folds, judgement, labels, **arguments):
    method = RuleMasking(tokens=[[0, 1, 0]] * len(labels), folds=folds, **arguments)
    method.setup(rows_of([[1, 9, 2]] * len(labels), np.zeros((len(labels), 1), dtype=int)))
    method.judgement.values.copy_(torch.tensor(judgement))
    return method


NAN = float("nan")


def test_the_weight_is_the_labels_probability_by_the_likeliest():
    judgement = [[0.2, 0.5, 0.3], [NAN] * 3, [0.6, 0.1, 0.3], [0.6, 0.1, 0.3]]
    method = judged_method("weight", judgement, [0] * 4)
    rows = batch([0, 0, 0, 1], 3)
    supervision = supervise(method, predictions([[1 / 3] * 3] * 4), rows)
    assert torch.allclose(supervision.weights, torch.tensor([[0.4, 1, 1, 1 / 6]]))
    assert torch.equal(supervision.targets[0], rows.given)
    soft = batch(torch.tensor([[0.5, 0.5, 0]] * 4), 3)
    assert float(supervise(method, predictions([[1 / 3] * 3] * 4), soft).weights[0, 0]) == pytest.approx(0.7)


def test_a_corrected_target_lies_between_label_and_judgement_and_trusted_rows_stay():
    judgement = [[0.2, 0.5, 0.3], [NAN] * 3, [0.2, 0.5, 0.3]]
    method = judged_method("correct", judgement, [0] * 3, correction=0.25)
    rows = replace(batch([0, 2, 0], 3), trusted=torch.tensor([False, False, True]))
    seen = predictions([[1 / 3] * 3] * 3, [[1 / 3] * 3] * 3)
    given = Supervision(rows.given.expand(2, -1, -1), torch.ones(2, 3))
    found = method.supervise(given, seen, rows)
    expected = torch.tensor([[0.8, 0.125, 0.075], [0, 0, 1], [1, 0, 0]])
    assert torch.allclose(found.targets, expected.expand(2, -1, -1))
    assert torch.equal(found.weights, given.weights)
    assert torch.equal(
        judged_method("correct", judgement, [0] * 3, correction=0.0).supervise(given, seen, rows).targets, given.targets
    )


def test_judgements_are_made_once_from_the_encoder_and_taken_back_from_a_checkpoint():
    vectors, labels, votes, _ = many_rules(wrong=[3])
    asked = []

    def encode():
        asked.append(1)
        return torch.from_numpy(vectors)

    rows = rows_of([[1, 9, 2]] * 120, votes, labels=torch.from_numpy(labels), encode=encode, classes=2)
    method = RuleMasking(folds="weight")
    method.setup(rows)
    method.begin_epoch(0, survey=None)
    method.begin_epoch(1, survey=None)
    expected = rule_held_out_probabilities(vectors, labels, votes, 2)
    column = method.report()["rule_judgement"]
    assert len(asked) == 1
    assert np.allclose(column, expected[np.arange(120), labels], atol=1e-6)
    assert column[3] < 0.5
    fresh = RuleMasking(folds="weight")
    fresh.setup(rows)
    assert np.isnan(fresh.report()["rule_judgement"]).all()
    fresh.load_state_dict(method.state_dict())
    fresh.begin_epoch(1, survey=None)
    assert len(asked) == 1
    assert np.array_equal(fresh.report()["rule_judgement"], column)


def test_where_no_row_can_be_judged_that_is_said(monkeypatch):
    said = []
    monkeypatch.setattr(module.logger, "warning", said.append)
    method = RuleMasking(folds="weight", hide=0.0)
    votes, vectors = np.arange(6)[:, None] % 2, torch.arange(12.0).view(6, 2)
    labels = torch.arange(6) % 2
    method.setup(rows_of([[1, 9, 2]] * 6, votes, labels=labels, encode=lambda: vectors, classes=2))
    method.begin_epoch(0, survey=None)
    assert len(said) == 1
    assert "no row can be judged" in said[0]


# ---- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"how": "drop"}, "how='drop'"),
        ({"folds": "weights"}, "Did you mean 'weight'"),
        ({"hide": 50}, "Did you mean 0.5"),
        ({"precision": 0.0}, "precision=0.0"),
        ({"correction": 2}, "correction=2"),
        ({"min_count": 0}, "min_count=0"),
        ({"tokens": [[0, 1], [0, 2]]}, "tokens.1."),
    ],
)
def test_parameters_outside_their_domain_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        RuleMasking(**arguments)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "without votes.*apply_labeling_functions"),
        ({"tokens": [[0] * 6] * 20, "folds": "weight"}, "without votes"),
        ({"tokens": [[0] * 6] * 19}, "tokens has 19 rows: expected 20"),
        ({"tokens": [[0] * 6] * 19 + [[0] * 5]}, r"tokens\[19\] has 5 numbers: expected 6"),
        ({"tokens": [[0] * 6] * 20, "how": "mask_token"}, "no tokenizer with a mask token"),
    ],
)
def test_what_the_data_lack_is_said_before_the_first_step(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        make_trainer(tmp_path, callbacks=[RuleMasking(**arguments)]).train()


def test_two_of_them_and_a_second_author_of_targets_are_refused(tmp_path):
    with pytest.raises(ValueError, match="both are a masker of rule words"):
        make_trainer(tmp_path, voted_dataset(), callbacks=[RuleMasking(), RuleMasking()])
    with pytest.raises(ValueError, match="author of the targets"):
        make_trainer(tmp_path, voted_dataset(), callbacks=[DivideMix(), RuleMasking(folds="correct")])


def test_words_found_by_asking_train_a_real_tokenizer_end_to_end(tmp_path):
    texts = ["a good day", "check out this night", "a great night , good night", "this day"] * 4
    model, tokenizer = small_encoder(texts * 5)
    voted = apply_labeling_functions(datasets.Dataset.from_dict({"text": texts}), [praise, phrase])
    dataset = voted.map(lambda row: tokenizer(row["text"], truncation=True), batched=True).add_column(
        "labels", [1, 0, 1, 0] * 4
    )
    tokens = rule_token_mask(texts, [praise, phrase], tokenizer)
    for how in ("attention", "mask_token"):
        trainer = make_trainer(
            tmp_path,
            dataset,
            model=model,
            processing_class=tokenizer,
            callbacks=[RuleMasking(tokens=tokens, how=how)],
            num_train_epochs=1,
        )
        trainer.train()
        assert trainer.example_report()["rule_tokens"][:4] == [1, 2, 2, 0]
