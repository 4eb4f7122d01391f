"""Texts in scripts without spaces between words: words are found, and audits, rules and trainings use them."""

from __future__ import annotations

import logging

import datasets
import numpy as np
import pytest
from snorkel.labeling import labeling_function
from transformers.utils import logging as transformers_logging

from hf_noisy import NoisyTrainer, NoisyTrainingArguments, cli
from hf_noisy.audit import audit_labels
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data import words
from hf_noisy.data.corpus import read_corpus
from hf_noisy.data.splits import tokenize
from hf_noisy.data.words import has_no_spaces, note_on_words, spaced, word_spans
from hf_noisy.evidence import text_vectors
from hf_noisy.evidence.features.frozen import latent_semantic_vectors
from hf_noisy.evidence.features.tokens import word_vectors
from hf_noisy.evidence.rules.words import words_behind_votes

PARTS = {  # language -> what a sentence is about; what is said of it if it is good, and if it is bad
    "Chinese": (
        ["早餐", "房间", "司机", "花园", "阳台"],
        ["非常干净", "让人满意", "比想象的好"],
        ["又脏又旧", "令人失望", "根本不能用"],
    ),
    "Japanese": (
        ["朝食は", "部屋は", "運転手は", "庭は", "電車は"],
        ["とてもきれいだった", "思ったより良い", "みんなに勧めたい"],
        ["汚くて古い", "がっかりした", "二度と使わない"],
    ),
    "Thai": (
        ["อาหารเช้า", "ห้องพัก", "คนขับ", "สวน", "รถไฟ"],
        ["สะอาดมาก", "ดีกว่าที่คิด", "น่าประทับใจ"],
        ["สกปรกและเก่า", "น่าผิดหวัง", "ใช้ไม่ได้เลย"],
    ),
}
PACKAGES = {"Chinese": "jieba", "Japanese": "janome", "Thai": "pythainlp"}


def sentences(language: str, rows: int = 120) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Texts, given labels of which a seventh is wrong, and true labels."""
    rng = np.random.default_rng(0)
    subjects, good, bad = PARTS[language]
    gold = rng.integers(0, 2, rows)
    texts = [f"{rng.choice(subjects)}{rng.choice(good if label else bad)}{row % 7}" for row, label in enumerate(gold)]
    return texts, np.where(rng.random(rows) < 1 / 7, 1 - gold, gold), gold


@pytest.fixture(params=["a segmenter", "no segmenter"])
def segmenters(request, monkeypatch):
    """The segmenters that are installed, or none."""
    if request.param == "no segmenter":
        monkeypatch.setattr(words, "_PACKAGES", dict.fromkeys(PACKAGES))
    words._segmenter.cache_clear()
    yield request.param
    words._segmenter.cache_clear()


def need(segmenters: str, language: str) -> None:
    if segmenters == "a segmenter":
        pytest.importorskip(PACKAGES[language], reason=f"{PACKAGES[language]} is not installed")


@pytest.mark.parametrize("language", PARTS)
def test_a_text_is_split_and_it_is_said_how(segmenters, language):
    need(segmenters, language)
    texts, _, _ = sentences(language)
    assert all(map(has_no_spaces, texts))
    assert all(len(text.split()) >= 3 for text in spaced(texts))
    assert "".join(texts[0][begin:end] for begin, end in word_spans(texts[0])) == texts[0][:-1]  # all but the number
    said = note_on_words(texts)
    assert said.startswith(language)
    assert ("no segmenter is installed" in said) == (segmenters == "no segmenter")


def test_texts_with_spaces_stay_the_same_object_and_give_the_same_vectors():
    texts = ["a bright screen", "très bien", "хороший экран", "شاشة ممتازة", "a broken hinge"] * 4
    assert spaced(texts) is texts
    assert note_on_words(texts) == ""
    mixed = [*texts, "the 屏幕 is bright"]
    assert spaced(mixed)[:20] == texts
    assert latent_semantic_vectors(mixed).shape[0] == 21


@pytest.mark.parametrize("language", PARTS)
def test_an_audit_finds_wrong_labels_and_shows_no_whole_sentences_as_words(segmenters, language):
    need(segmenters, language)
    texts, labels, gold = sentences(language)
    content = audit_labels(texts, labels, ["bad", "good"], text_vectors(texts), folds=3, resamples=2, seed=0)
    wrong = labels != gold
    scores = content.rows.wrongness
    above = (scores[wrong][:, None] > scores[~wrong]).mean()
    assert above > 0.9  # the area under the curve; chance is 0.5


def test_the_words_behind_a_vote_are_words_and_not_sentences(segmenters):
    need(segmenters, "Chinese")

    @labeling_function()
    def clean(x):
        return 1 if "干净" in x.text else -1

    text = "房间非常干净1"
    (found,) = words_behind_votes([text], [clean])
    shown = [text[begin:end] for begin, end in found]
    assert set("干净") & set("".join(shown))
    assert len("".join(shown)) <= 4


@pytest.mark.parametrize("language", PARTS)
def test_auto_trains_on_pieces_of_the_tokenizer_and_says_so(segmenters, language, tmp_path, caplog):
    need(segmenters, language)
    transformers_logging.warning_once.cache_clear()
    texts, labels, _ = sentences(language, 60)
    model, tokenizer = small_encoder(texts, ["bad", "good"], seed=0, max_length=32)
    rows = tokenize(
        datasets.Dataset.from_dict({"text": texts, "labels": labels.tolist()}), tokenizer, 32, keep_text=True
    )
    assert np.mean([len(ids) for ids in rows["input_ids"]]) > 8  # and not one token a sentence
    args = NoisyTrainingArguments(str(tmp_path), noise_method="auto", max_steps=2, report_to="none", use_cpu=True)
    with caplog.at_level(logging.WARNING, logger="transformers"):
        NoisyTrainer(model, args, train_dataset=rows, processing_class=tokenizer).train()
        vectors = word_vectors("a test", rows)
    assert vectors.shape[0] == 60
    if segmenters == "no segmenter":
        assert "pieces of the model's tokenizer count as words" in caplog.text


def test_unknown_tokens_are_no_pieces():
    texts, _, _ = sentences("Thai", 40)
    rows = datasets.Dataset.from_dict({"text": texts, "input_ids": [[2, 1, 3]] * 40})  # a tokenizer that knows no Thai
    assert not np.allclose(word_vectors("a test", rows)[0], 0)


@pytest.mark.parametrize("language", PARTS)
def test_the_commands_say_how_words_are_found(language, tmp_path, capsys):
    texts, labels, _ = sentences(language)
    corpus = read_corpus({"text": texts, "label": labels})
    assert any(language in note for note in corpus.notes)
    corpus.train.select_columns(["text"]).add_column("label", labels).to_csv(tmp_path / "t.csv", index=False)
    assert cli.main(["look", str(tmp_path / "t.csv")]) == 0
    assert f"- {language}" in capsys.readouterr().out
