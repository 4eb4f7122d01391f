"""Methods on rows of two texts: words of each text are its own, and separators and segments are left alone."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
import torch
from conftest import make_trainer
from snorkel.labeling import labeling_function

from hf_noisy.common.randomness import keyed_generator
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.pairs import texts_of
from hf_noisy.data.splits import tokenize
from hf_noisy.evidence.rules.words import rule_token_mask
from hf_noisy.methods.parts.augmentation import Vocabulary, token_masking, word_dropout
from hf_noisy.methods.rule_masking import RuleMasking, _maskable
from hf_noisy.models.batch import Batch


def pairs_of_rows():
    """Thirty pairs whose vote the word "no" of the second text decides; in the first text it means nothing."""
    rows = datasets.Dataset.from_dict(
        {
            "text": [f"{'no' if k % 2 else 'one'} dog w{k % 7}" for k in range(30)],
            "text_pair": [f"{'no' if k % 3 == 0 else 'a'} cat v{k % 5}" for k in range(30)],
            "labels": [int(k % 3 == 0) for k in range(30)],
            "weak_labels": [[1 if k % 3 == 0 else -1] for k in range(30)],
        }
    )
    model, tokenizer = small_encoder(texts_of(rows))
    return tokenize(rows, tokenizer, 48, keep_text=True), model, tokenizer


@labeling_function()
def denied(x):
    return 1 if "no" in x.text_pair.split() else -1


@pytest.mark.parametrize("segments", ["token_type_ids", "separator"])
@pytest.mark.parametrize("how", ["attention", "mask_token"])
def test_a_rule_word_of_the_second_text_is_hidden_there_only(tmp_path, segments, how):
    tokens, model, tokenizer = pairs_of_rows()
    if segments == "separator":
        tokens = tokens.remove_columns("token_type_ids")
    method = RuleMasking(hide=1.0, how=how)
    trainer = make_trainer(tmp_path, tokens, model=model, processing_class=tokenizer, callbacks=[method], max_steps=1)
    trainer.train()
    no, sep = tokenizer.convert_tokens_to_ids(["no", "[SEP]"])
    for row, marks in enumerate(method.rule.tolist()):
        ids = tokens[row]["input_ids"]
        hidden = [place for place, mark in enumerate(marks) if mark]
        assert [ids[place] for place in hidden] == [no] * (row % 3 == 0)
        assert all(place > ids.index(sep) for place in hidden)
    inputs = {name: torch.tensor([tokens[0][name]]) for name in tokens.column_names if name.endswith(("_ids", "_mask"))}
    seen = method.views(inputs, Batch.from_labels(torch.tensor([1]), 2))[0]
    kept = "input_ids" if how == "attention" else "attention_mask"
    assert torch.equal(seen[kept], inputs[kept])
    if segments == "token_type_ids":
        assert torch.equal(seen["token_type_ids"], inputs["token_type_ids"])


def test_if_all_words_of_a_pair_would_be_hidden_none_is():
    marks, separator = np.array([1, 1, 0, 1, 1], dtype=bool), np.array([0, 0, 1, 0, 1], dtype=bool)
    assert not _maskable(marks, separator).any()
    assert _maskable(marks & [1, 1, 0, 0, 1], separator).tolist() == [False, True, False, False, False]


def test_the_words_behind_votes_are_marked_in_the_text_that_the_function_reads():
    rows = datasets.Dataset.from_dict({"text": ["no dog", "a dog"], "text_pair": ["no cat", "no cat"]})
    tokenizer = small_encoder(texts_of(rows))[1]

    marks = rule_token_mask(rows, [denied], tokenizer, text_pair_column="text_pair")
    tokens = tokenize(rows, tokenizer, 48)
    for row in range(2):
        ids = tokenizer.convert_ids_to_tokens(tokens[row]["input_ids"])
        assert [(place, ids[place]) for place, mark in enumerate(marks[row]) if mark] == [(4, "no")]
    assert rule_token_mask(rows, [denied], tokenizer) == [[0, 0, 0, 0]] * 2  # the first texts alone


@pytest.mark.parametrize("augment", [word_dropout, token_masking])
def test_separators_and_segments_of_a_pair_survive_augmentation(augment):
    tokens, _, tokenizer = pairs_of_rows()
    names = ("input_ids", "token_type_ids", "attention_mask")
    inputs = {name: torch.tensor([tokens[0][name]]) for name in names}
    special = torch.tensor([[number in tokenizer.all_special_ids for number in tokens[0]["input_ids"]]])
    found = augment(inputs, 0.99, keyed_generator(0), Vocabulary.of(tokenizer))
    changed = (found["input_ids"] != inputs["input_ids"]) | (found["attention_mask"] != inputs["attention_mask"])
    assert changed[0, 1:6].tolist() == (~special[0, 1:6]).tolist()
    assert changed[inputs["token_type_ids"] == 1].any()
    assert not changed[special].any()
    assert torch.equal(found["token_type_ids"], inputs["token_type_ids"])


@pytest.mark.parametrize("method", ["consistency", "co_teaching", "dividemix", "truth_inference", "neighbours", "auto"])
def test_methods_train_on_pairs(tmp_path, method):
    tokens, model, tokenizer = pairs_of_rows()
    trainer = make_trainer(tmp_path, tokens, model=model, processing_class=tokenizer, noise_method=method, max_steps=2)
    trainer.train()
    assert trainer.state.global_step == 2
    assert all(np.isfinite(log["loss"]) for log in trainer.state.log_history if "loss" in log)
