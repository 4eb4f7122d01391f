"""Chinese, Japanese and Thai, which have no spaces between words: training, audit, `auto` and the words behind rules."""

from __future__ import annotations

import itertools
import json
import logging

import datasets
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score
from snorkel.labeling import LabelingFunction
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from hf_noisy import NoisyTrainer, NoisyTrainingArguments
from hf_noisy.audit import audit_labels, write_report
from hf_noisy.corpora.small_encoder import SPECIAL_TOKENS, small_encoder
from hf_noisy.evidence import text_vectors
from hf_noisy.evidence.features import segmenters, words
from hf_noisy.evidence.features.tokens import word_vectors
from hf_noisy.evidence.features.words import word_splitter
from hf_noisy.evidence.inference.infer_classes import infer_classes
from hf_noisy.evidence.rules.words import rule_token_mask, words_behind_votes

# language: openings, things, what is bad about them, what is good; each combination is a sentence
PARTS = {
    "Chinese": (
        ("我觉得", "说实话", "用了两天", "家人都说"),
        ("键盘", "耳机", "背包", "台灯", "水壶"),
        ("坏得太快", "做工粗糙", "让人失望", "根本没用"),
        ("非常好用", "做得精致", "令人满意", "物超所值"),
    ),
    "Japanese": (
        ("正直に言うと", "二日使って", "家族の意見では", "全体として"),
        ("キーボードは", "イヤホンは", "かばんは", "ランプは", "水筒は"),
        ("すぐに壊れた", "作りが雑だ", "期待外れだ", "役に立たない"),
        ("とても便利だ", "丁寧な作りだ", "満足できる", "買って良かった"),
    ),
    "Thai": (
        ("ฉันคิดว่า", "พูดตามตรง", "หลังจากสองวัน", "ทุกคนบอกว่า"),
        ("แป้นพิมพ์", "หูฟัง", "กระเป๋า", "โคมไฟ", "กระติกน้ำ"),
        ("เสียเร็วมาก", "งานหยาบ", "น่าผิดหวัง", "ไม่มีประโยชน์"),
        ("ใช้ดีมาก", "งานละเอียด", "น่าพอใจ", "คุ้มค่าเงิน"),
    ),
}
LANGUAGES = pytest.mark.parametrize("language", sorted(PARTS))
PACKAGES = {"Chinese": ("jieba",), "Japanese": ("fugashi", "unidic_lite"), "Thai": ("pythainlp",)}


def sentences(language: str) -> tuple[list[str], np.ndarray]:
    """80 different sentences of each class, in random order, and their classes: 0 bad, 1 good."""
    openings, things, bad, good = PARTS[language]
    made = [
        ("".join(parts), label)
        for label, said in enumerate((bad, good))
        for parts in itertools.product(openings, things, said)
    ]
    order = np.random.default_rng(0).permutation(len(made))
    return [made[row][0] for row in order], np.array([made[row][1] for row in order])


def flipped(gold: np.ndarray, rate: float, seed: int) -> np.ndarray:
    return np.where(np.random.default_rng(seed).random(len(gold)) < rate, 1 - gold, gold)


@pytest.fixture
def no_segmenter(monkeypatch):
    monkeypatch.setattr(segmenters.Segmenter, "installed", False)


@pytest.fixture
def logged(monkeypatch) -> list[str]:
    """What is warned of how texts are split, however often it was before."""
    said: list[str] = []
    monkeypatch.setattr(words.logger, "warning_once", said.append)
    return said


def subword_tokenizer(texts: list[str], size: int = 300) -> PreTrainedTokenizerFast:
    """Pieces of these texts, as a multilingual model has them: spaces are marked, words are not."""
    backend = Tokenizer(models.Unigram())
    backend.pre_tokenizer, backend.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
    special = list(SPECIAL_TOKENS.values())
    backend.train_from_iterator(
        texts,
        trainers.UnigramTrainer(vocab_size=size, special_tokens=special, unk_token="[UNK]", show_progress=False),
    )
    return PreTrainedTokenizerFast(tokenizer_object=backend, **SPECIAL_TOKENS)


@LANGUAGES
def test_auto_looks_at_words_which_tell_wrong_votes_apart(tmp_path, language, no_segmenter, logged):
    texts, gold = sentences(language)
    votes = np.stack([flipped(gold, 0.3, seed) for seed in (1, 2, 3)], 1)
    majority = (votes.sum(1) > 1).astype(int)
    model, tokenizer = small_encoder(texts, ("bad", "good"), max_length=32)
    assert len(tokenizer.tokenize(texts[0])) > 5  # a sentence is not one token
    rows = datasets.Dataset.from_dict(
        {"text": texts, "labels": majority.tolist(), "weak_labels": votes.tolist(), **tokenizer(texts, truncation=True)}
    )
    args = NoisyTrainingArguments(
        str(tmp_path),
        noise_method="auto",
        max_steps=2,
        report_to=[],
        save_strategy="no",
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = NoisyTrainer(model, args, train_dataset=rows, processing_class=tokenizer)
    assert np.isfinite(trainer.train().training_loss)
    assert len(logged) == 1  # by `auto`
    asked = trainer.train_dataset
    found = infer_classes(word_vectors("test", asked, tokenizer=tokenizer), majority, votes, 2).argmax(1)
    assert (found == gold).mean() > (majority == gold).mean() + 0.1  # votes alone know no more than their majority
    assert set(logged) == {logged[0]}
    assert f"in {language}, sequences of characters" in logged[0]
    assert "pip install hf_noisy[segmenters]" in logged[0]


@LANGUAGES
def test_an_audit_finds_wrong_labels_and_names_words_and_not_sentences(tmp_path, language, no_segmenter, logged):
    texts, gold = sentences(language)
    thing = PARTS[language][1][0]
    with_thing = np.array([thing in text for text in texts])
    hasty = np.where(np.random.default_rng(0).random(len(gold)) < 0.5, np.where(with_thing, 1 - gold, gold), -1)
    votes = np.stack([hasty, np.where(hasty < 0, flipped(gold, 0.1, seed=2), -1)], 1)
    labels = votes.max(1)  # of the one source that votes
    content = audit_labels(
        texts, labels, ("bad", "good"), text_vectors(texts), votes=votes, source_names=["hasty", "careful"], resamples=2
    )
    wrong = labels != gold
    assert roc_auc_score(wrong, content.rows.wrongness) > 0.8
    patterns = [pattern.text for pattern in content.sources[0].patterns]
    assert patterns
    assert all(pattern in thing for pattern in patterns)
    assert max(map(len, patterns)) < min(map(len, texts)) / 2
    assert any(f"in {language}, sequences of characters" in sentence for sentence in content.basis)
    assert logged
    write_report(content, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert f'<q dir="auto">{patterns[0]}</q>' in page
    data = json.loads(page.split('id="audit-data">')[1].split("</script>")[0])
    assert set(data["texts"]) == set(texts)


@LANGUAGES
def test_pieces_of_a_tokenizer_that_knows_the_language_are_words(language, no_segmenter, logged):
    texts, _ = sentences(language)
    splitter = word_splitter(texts, subword_tokenizer(texts))
    assert f"in {language}, pieces of the model's tokenizer" in splitter.said
    assert logged == [f"{splitter.said} {splitter.advice}"]
    terms = splitter.terms(texts[0], 1)
    assert "".join(terms) == texts[0]
    assert 1.2 <= len(texts[0]) / len(terms) < len(texts[0]) / 2
    other, _ = sentences("Thai" if language == "Chinese" else "Chinese")  # of another script: nothing is known
    stranger = word_splitter(texts, subword_tokenizer(other))
    assert f"in {language}, sequences of characters" in stranger.said


@LANGUAGES
def test_a_segmenter_is_taken_where_it_is_installed(language, logged):
    for package in PACKAGES[language]:
        pytest.importorskip(package)
    texts, _ = sentences(language)
    splitter = word_splitter(texts, subword_tokenizer(texts))
    assert f"in {language}, the words of {segmenters.SEGMENTERS[language].name}" in splitter.said
    assert splitter.advice is None
    assert logged == []
    assert {"Chinese": "失望", "Japanese": "イヤホン", "Thai": "กระเป๋า"}[language] in {
        term for text in texts for term in splitter.terms(text, 1)
    }


@pytest.mark.parametrize(("language", "keyword"), [("Chinese", "失望"), ("Japanese", "期待外れ"), ("Thai", "ผิดหวัง")])
def test_words_behind_a_rule_are_its_keyword_and_not_the_sentence(language, keyword, no_segmenter, logged):
    texts, _ = sentences(language)
    texts = [text for text in texts if keyword in text][:6]
    rule = LabelingFunction("keyword", lambda x: 0 if keyword in x.text else -1)
    for text, spans in zip(texts, words_behind_votes(texts, [rule]), strict=True):
        found = [text[begin:end] for begin, end in spans]  # its characters, wherever they stand
        assert all(character in keyword for character in found)
        assert keyword in "".join(found)
    _, tokenizer = small_encoder(texts)
    marked = rule_token_mask(texts, [rule], tokenizer)
    tokens = [tokenizer.convert_ids_to_tokens(ids) for ids in tokenizer(texts)["input_ids"]]
    for own, marks in zip(tokens, marked, strict=True):
        found = [token for token, mark in zip(own, marks, strict=True) if mark]
        assert all(token in keyword for token in found)
        assert keyword in "".join(found)


def test_texts_in_several_scripts_are_split_by_script(monkeypatch, logged):
    pairs = segmenters.Segmenter("pairs", (), lambda: lambda run: [run[k : k + 2] for k in range(0, len(run), 2)])
    monkeypatch.setattr(words, "SEGMENTERS", {"Chinese": pairs})
    splitter = word_splitter(["The screen is bright", "屏幕很亮", "新 iPhone电池坏了, very bad", "ใช้ดี"])
    assert splitter.terms("The screen is bright", 2) == [
        "the", "screen", "is", "bright", "the screen", "screen is", "is bright",
    ]  # fmt: skip
    assert splitter.terms("iPhone电池坏了, bad", 2) == [
        "iphone", "电池", "坏了", "bad", "iphone电池", "电池坏了", "坏了 bad",
    ]  # fmt: skip
    assert splitter.terms("ใช้ดี", 1) == ["ใช้", "ช้ดี", "ใช้ดี"]
    assert logged == [
        "Some texts are written without spaces between words. Taken as words: in Chinese, the words of pairs; in Thai, "
        "sequences of characters. For longer pieces, give a model whose tokenizer was trained on the language."
    ]


def test_texts_with_spaces_and_single_names_in_other_scripts_are_split_as_before(no_segmenter, logged):
    texts = ["The screen is bright", "Der Akku ist leer", "شاشة جيدة", "화면이 밝다", "Экран яркий", ""]
    assert word_splitter(texts) is None
    assert word_splitter([*texts * 20, "电池坏了"]) is None
    assert word_splitter([*texts, "电池坏了"]) is not None
    assert words.term_options(texts, 2) == {"ngram_range": (1, 2)}
    assert len(logged) == 1


def test_chinese_characters_beside_kana_are_japanese(monkeypatch, no_segmenter, caplog):
    japanese = word_splitter(["水筒は便利だ", "かばんは丁寧な作りだ", "満足"])
    assert list(japanese.ways) == ["Japanese"]
    both = word_splitter(["水筒は便利だ", "水壶很好", "背包坏了", "台灯好"])
    assert list(both.ways) == ["Japanese", "Chinese"]


def test_a_tone_mark_stays_with_its_letter_and_punctuation_is_no_word(no_segmenter, caplog):
    caplog.set_level(logging.INFO)
    splitter = word_splitter(["ก่อน・ปี่"])
    assert splitter.terms("ก่อน", 1) == ["ก่อ", "อน", "ก่อน"]
    chinese = word_splitter(["很好・好"])
    assert chinese.terms("很好・好。", 1) == ["很", "好", "很好", "好"]
