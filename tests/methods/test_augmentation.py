"""Whole words are hidden and tokens masked, and what must stay stays, whatever the vocabulary's marker."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from hf_noisy.common.randomness import keyed_generator
from hf_noisy.methods.parts.augmentation import Vocabulary, token_masking, word_dropout

SPECIAL = {
    "pad_token": "[PAD]",
    "unk_token": "[UNK]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}
# each: "unbelievable day good film", the first word in three pieces
PIECES = {
    "wordpiece": ["un", "##believ", "##able", "day", "good", "fil", "##m"],
    "byte-level": ["un", "believ", "able", "Ġday", "Ġgood", "Ġfil", "m"],
    "sentencepiece": ["▁un", "believ", "able", "▁day", "▁good", "▁fil", "m"],
}
EVERY_MARKER = pytest.mark.parametrize("marker", sorted(PIECES))


def tokenizer_of(tokens: list[str], **special: str) -> PreTrainedTokenizerFast:
    special = special or SPECIAL
    ids = {token: number for number, token in enumerate([*special.values(), *tokens])}
    backend = Tokenizer(models.WordLevel(ids, unk_token=special.get("unk_token")))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(tokenizer_object=backend, **special)


def text(tokenizer, *rows: list[str]) -> dict[str, torch.Tensor]:
    """The tokens of each row as they are, padded on the right."""
    longest = max(map(len, rows))
    ids = [tokenizer.convert_tokens_to_ids(row + ["[PAD]"] * (longest - len(row))) for row in rows]
    mask = [[1] * len(row) + [0] * (longest - len(row)) for row in rows]
    return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask)}


@EVERY_MARKER
def test_a_word_is_hidden_with_all_its_pieces_or_not_at_all(marker):
    tokenizer = tokenizer_of(PIECES[marker])
    inputs = text(tokenizer, ["[CLS]", *PIECES[marker], "[SEP]"])
    words = [[1, 2, 3], [4], [5], [6, 7]]
    found = torch.cat(
        [
            word_dropout(inputs, 0.5, keyed_generator(seed), Vocabulary.of(tokenizer))["attention_mask"]
            for seed in range(400)
        ]
    )
    assert (found[:, [0, 8]] == 1).all()
    for word in words:
        assert (found[:, word] == found[:, word[:1]]).all()
        assert 0.4 < float(1 - found[:, word[0]].float().mean()) < 0.6  # a long word is not hidden more often
    assert not (found[:, 1] == found[:, 4]).all()  # words fall apart from each other


def test_without_a_tokenizer_every_token_is_its_own_word():
    tokenizer = tokenizer_of(PIECES["wordpiece"])
    inputs = text(tokenizer, ["[CLS]", *PIECES["wordpiece"], "[SEP]"])
    found = torch.cat([word_dropout(inputs, 0.5, keyed_generator(seed))["attention_mask"] for seed in range(100)])
    assert not (found[:, 1] == found[:, 2]).all()
    assert (found[:, [0, 8]] == 1).all()


@pytest.mark.parametrize("side", ["right", "left"])
def test_special_tokens_and_both_ends_of_a_text_stay_whatever_the_padding(side):
    tokenizer = tokenizer_of(["a", "b", "c"])
    inputs = text(tokenizer, ["[CLS]", "a", "b", "[SEP]", "c", "a", "[SEP]"], ["a", "b", "c"])
    if side == "left":
        inputs = {name: values.flip(-1) for name, values in inputs.items()}
    lost = torch.zeros_like(inputs["input_ids"])
    masked = torch.zeros_like(lost)
    for seed in range(60):
        vocabulary = Vocabulary.of(tokenizer)
        lost += (
            inputs["attention_mask"] - word_dropout(inputs, 0.9, keyed_generator(seed), vocabulary)["attention_mask"]
        )
        replaced = token_masking(inputs, 0.9, keyed_generator(seed), vocabulary)["input_ids"]
        assert (replaced[replaced != inputs["input_ids"]] == tokenizer.mask_token_id).all()
        masked += replaced != inputs["input_ids"]
    expected = torch.tensor([[0, 1, 1, 0, 1, 1, 0], [0, 1, 0, 0, 0, 0, 0]]).bool()
    expected = expected.flip(-1) if side == "left" else expected
    assert torch.equal(lost > 0, expected)
    assert torch.equal(masked > 0, expected)


def test_a_first_word_without_a_special_token_before_it_stays_whole():
    tokenizer = tokenizer_of(PIECES["byte-level"], eos_token="[PAD]")  # as GPT-2, which begins with the text
    inputs = text(tokenizer, PIECES["byte-level"])
    for seed in range(60):
        found = word_dropout(inputs, 0.9, keyed_generator(seed), Vocabulary.of(tokenizer))["attention_mask"][0]
        assert found[:3].tolist() == [1, 1, 1]
        assert found[5:].tolist() == [1, 1]


def test_a_word_after_a_special_token_or_after_padding_begins_anew():
    """Byte-level vocabularies do not mark the first word of a text, so it must not join what stands before it."""
    tokenizer = tokenizer_of(["Ġday", "un", "able"])
    row = ["[CLS]", "un", "able", "Ġday", "[SEP]", "able", "Ġday", "[SEP]"]
    inputs = text(tokenizer, row)
    found = torch.cat(
        [
            word_dropout(inputs, 0.5, keyed_generator(seed), Vocabulary.of(tokenizer))["attention_mask"]
            for seed in range(100)
        ]
    )
    assert (found[:, 1] == found[:, 2]).all()
    assert 0.3 < float(found[:, 1].float().mean()) < 0.7  # not kept as [CLS] is
    assert 0.3 < float(found[:, 5].float().mean()) < 0.7
    assert not (found[:, 5] == found[:, 3]).all()


def test_the_marker_is_the_one_that_the_vocabulary_uses():
    """RoBERTa's vocabulary has '##' as a word, and BERT's may have a lone marker of SentencePiece."""
    roberta = Vocabulary.of(tokenizer_of(["##", "####", "Ġa", "Ġb", "Ġc", "d"]))
    assert roberta.continues.tolist() == [False] * 5 + [True, True, False, False, False, True]
    bert = Vocabulary.of(tokenizer_of(["▁", "##a", "##b", "c"]))
    assert bert.continues.tolist() == [False] * 5 + [False, True, True, False]
    words = Vocabulary.of(tokenizer_of(["▁", *(f"w{k}" for k in range(100))]))
    assert not words.continues.any()
    assert words.special.nonzero().flatten().tolist() == [0, 1, 2, 3, 4]
    assert words.mask_id == 4


@pytest.mark.parametrize(
    ("tokens", "continues"),
    [
        (["▁day", "▁good", "▁电池", "很", "好", "ly"], [0, 0, 0, 0, 0, 1]),
        (["▁day", "▁บาน", "พับ", "です", "ing"], [0, 0, 0, 0, 1]),
        # byte-level: 电 in two tokens, 好 in one, a Thai letter in two, "ly"
        (["Ġday", "Ġgood", "çĶ", "µ", "å¥½", "à\u00b8", "ģ", "ly"], [0, 0, 0, 1, 0, 0, 1, 1]),
        # WordPiece splits before each Chinese character by itself, and Japanese models split words before it
        (["day", "##ly", "##ing", "บาน", "##พับ", "##て"], [0, 1, 1, 0, 0, 1]),
    ],
)
def test_a_marker_of_spaces_makes_no_word_of_a_sentence_without_spaces(tokens, continues):
    vocabulary = Vocabulary.of(tokenizer_of(tokens))
    assert vocabulary.continues.tolist()[len(SPECIAL) :] == [bool(mark) for mark in continues]


def test_draws_depend_on_the_generator_alone_and_inputs_stay_as_they_were():
    tokenizer = tokenizer_of([f"w{k}" for k in range(30)])
    inputs = text(tokenizer, ["[CLS]", *(f"w{k}" for k in range(30)), "[SEP]"])
    inputs["token_type_ids"] = torch.zeros_like(inputs["input_ids"])
    before = {name: values.clone() for name, values in inputs.items()}
    vocabulary = Vocabulary.of(tokenizer)
    for augmented, column in ((word_dropout, "attention_mask"), (token_masking, "input_ids")):
        once, again, other = (augmented(inputs, 0.3, keyed_generator(k), vocabulary) for k in ("a", "a", "b"))
        assert torch.equal(once[column], again[column])
        assert not torch.equal(once[column], other[column])
        assert once.keys() == inputs.keys()
        assert 3 <= int((once[column] != inputs[column]).sum()) <= 16  # 9 of 30 on average
    assert all(torch.equal(before[name], inputs[name]) for name in inputs)


def test_ids_beyond_the_tokenizers_do_not_fail():
    vocabulary = Vocabulary.of(tokenizer_of(["a"]))
    inputs = {"input_ids": torch.tensor([[2, 99, 98, 3]]), "attention_mask": torch.ones(1, 4, dtype=torch.int64)}
    assert token_masking(inputs, 0.99, keyed_generator(0), vocabulary)["input_ids"].tolist() == [[2, 4, 4, 3]]
    assert word_dropout(inputs, 0.99, keyed_generator(0), vocabulary)["attention_mask"].tolist() == [[1, 0, 0, 1]]


def test_word_dropout_without_an_attention_mask_is_refused_and_masking_counts_every_token():
    vocabulary = Vocabulary.of(tokenizer_of(["a"]))
    inputs = {"input_ids": torch.tensor([[2, 5, 5, 3]])}
    with pytest.raises(ValueError, match="hides words by the attention_mask, and the inputs have none .input_ids"):
        word_dropout(inputs, 0.5, keyed_generator(0), vocabulary)
    assert token_masking(inputs, 0.99, keyed_generator(0), vocabulary)["input_ids"].tolist() == [[2, 4, 4, 3]]
