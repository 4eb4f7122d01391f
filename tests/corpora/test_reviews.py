"""The embedded corpus: reproducible, balanced, and its rules wrong for the reasons that it names."""

import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from hf_noisy.corpora.embedded import embedded_corpus, embedded_topics
from hf_noisy.corpora.review_phrases import CONSTRUCTIONS
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.corpora.topic_labels import distant_labels
from hf_noisy.data.splits import split_corpus

ROWS = 1_000
SEEDS = (0, 1, 2)
TRICKY = ("negation", "contrast", "irony")


def count_votes(reviews):
    """How many rules vote for each class: (rows, 2)."""
    rules = labeling_functions()
    votes = np.array([[rule(SimpleNamespace(text=text)) for rule in rules] for text in reviews["text"]])
    return np.stack([(votes == label).sum(1) for label in (0, 1)], axis=1)


@pytest.fixture(scope="module")
def voted():
    """For each seed: gold, reason, covered, and the chance that a majority vote with random ties is wrong."""
    table = {}
    for seed in SEEDS:
        reviews = generate_reviews(ROWS, seed)
        counts, gold = count_votes(reviews), np.array(reviews["gold"])
        margin = counts[np.arange(ROWS), gold] - counts[np.arange(ROWS), 1 - gold]
        error = np.where(margin > 0, 0.0, np.where(margin == 0, 0.5, 1.0))
        table[seed] = SimpleNamespace(reason=np.array(reviews["reason"]), covered=counts.any(1), error=error)
    return table


def test_the_same_seed_writes_the_same_reviews():
    assert generate_reviews(200, 7).to_dict() == generate_reviews(200, 7).to_dict()


def test_different_seeds_write_different_reviews():
    assert generate_reviews(200, 7)[:]["text"] != generate_reviews(200, 8)[:]["text"]


@pytest.mark.slow  # the first to import transformers
def test_no_global_random_generator_is_drawn_from():
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    generate_reviews(50, 3)
    small_encoder(["a short text"] * 4, seed=3)
    assert states == (random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist())


def test_ids_are_unique_and_no_slot_is_left_open():
    reviews = generate_reviews(ROWS, 0)
    assert len(set(reviews["id"])) == ROWS
    assert not [text for text in reviews["text"] if "{" in text or "}" in text or "|" in text]


@pytest.mark.parametrize("seed", SEEDS)
def test_classes_are_balanced_and_every_reason_occurs_in_both(seed):
    reviews = generate_reviews(ROWS, seed)
    gold = np.array(reviews["gold"])
    assert 0.45 < gold.mean() < 0.55
    assert reviews.features["gold"].names == list(CLASS_NAMES)
    for reason in ("plain", "descriptive", *CONSTRUCTIONS):
        assert len(set(gold[np.array(reviews["reason"]) == reason])) == 2


def test_train_and_test_share_few_texts():
    train, test = generate_reviews(3_000, 0)["text"], generate_reviews(ROWS, 1)["text"]
    assert len(set(train) & set(test)) <= 5
    assert len(set(train)) >= 2_990


@pytest.mark.slow  # imports snorkel and textblob
def test_there_are_rules_of_every_kind():
    names = [rule.name for rule in labeling_functions()]
    assert len(names) == len(set(names)) >= 8
    kinds = {"praise_words", "recommendation", "score", "lexicon_polarity", "negation", "exclamation", "long_story"}
    assert kinds <= set(names)


@pytest.mark.parametrize(
    ("rule", "text", "vote"),
    [
        ("score", "It was fine. 4 out of 5.", 1),
        ("score", "Two of 10 screws were in the bag.", 0),
        ("score", "1 star.", 0),
        ("score", "No score here.", -1),
        ("recommendation", "I would not recommend it to anyone.", 0),
        ("recommendation", "Highly recommended.", 1),
        ("lexicon_polarity", "An excellent lamp.", 1),
        ("lexicon_polarity", "A terrible lamp.", 0),
        ("long_story", "and so on " * 20, 0),
    ],
)
def test_a_rule_reads_what_it_is_named_after(rule, text, vote):
    rules = {each.name: each for each in labeling_functions()}
    assert rules[rule](SimpleNamespace(text=text)) == vote


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_majority_of_the_rules_is_wrong_on_a_quarter_of_what_it_covers(voted, seed):
    assert 0.80 <= voted[seed].covered.mean() <= 0.97
    assert 0.20 <= voted[seed].error[voted[seed].covered].mean() <= 0.35


@pytest.mark.slow
@pytest.mark.parametrize("reason", TRICKY)
def test_rules_are_wrong_more_often_where_the_reason_says_so(voted, reason):
    def error_of(name):
        return np.concatenate([t.error[t.covered & (t.reason == name)] for t in voted.values()]).mean()

    assert error_of(reason) > error_of("plain") + 0.1


def test_encoder_and_tokenizer_survive_saving(tmp_path):
    texts = generate_reviews(100, 0)[:]["text"]
    model, tokenizer = small_encoder(texts, seed=0, max_length=32)
    model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    loaded, again = (
        AutoModelForSequenceClassification.from_pretrained(tmp_path),
        AutoTokenizer.from_pretrained(tmp_path),
    )
    inputs = tokenizer(texts[:3], padding=True, truncation=True, return_tensors="pt")
    assert inputs["input_ids"].tolist() == again(texts[:3], padding=True, truncation=True)["input_ids"]
    assert inputs["input_ids"].shape[1] <= 32
    assert again.unk_token_id not in inputs["input_ids"]
    logits = model.eval()(**inputs).logits
    assert logits.shape == (3, 2)
    torch.testing.assert_close(loaded.eval()(**inputs).logits, logits)
    assert loaded.config.id2label == {0: "negative", 1: "positive"}


def test_the_encoder_is_the_same_for_the_same_seed():
    first, second, other = (small_encoder(["a short text"], seed=seed)[0].state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["classifier.weight"], other["classifier.weight"])


def test_of_an_embedded_corpus_only_the_rows_that_are_asked_for_are_voted_on():
    parts = {"max_train_rows": 40, "max_test_rows": 30}
    for corpus in (partial(embedded_topics, distant_labels(), train_rows=200), embedded_corpus):
        few, every = corpus(3, **parts), corpus(3)
        assert (len(few.train), len(few.test)) == (40, 30)
        for left, right in zip(split_corpus(few, 3, **parts), split_corpus(every, 3, **parts), strict=True):
            assert left.to_dict() == right.to_dict()
    with pytest.raises(ValueError, match="max_test_rows=0: expected at least 1"):
        embedded_corpus(3, max_test_rows=0)
