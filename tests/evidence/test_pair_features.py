"""Features of pairs of texts: the second text counts, in encoder vectors, in words and in token ids."""

from __future__ import annotations

import datasets
import numpy as np
import pytest
from pair_rows import pair_rows

from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.pairs import pair_up, texts_of
from hf_noisy.data.splits import tokenize
from hf_noisy.evidence import mean_vectors, out_of_fold_probabilities, text_vectors
from hf_noisy.evidence.features.pair_words import pair_words
from hf_noisy.evidence.features.tokens import second_segment, word_vectors

TABLE = pair_rows(120)
FIRSTS, SECONDS = TABLE["premise"], TABLE["hypothesis"]
SWAPPED = SECONDS[1:] + SECONDS[:1]


def test_an_encoder_sees_the_second_text_in_its_own_segment(tmp_path):
    model, tokenizer = small_encoder(pair_up(FIRSTS, SECONDS))
    found = mean_vectors(model.bert, tokenizer, FIRSTS[:5], text_pairs=SECONDS[:5])
    assert (np.abs(found - mean_vectors(model.bert, tokenizer, FIRSTS[:5])).max(1) > 1e-3).all()
    for row in range(5):
        batch = tokenizer(FIRSTS[row], SECONDS[row], return_tensors="pt")
        expected = model.bert.eval()(**batch).last_hidden_state.mean(1)[0].detach().numpy()
        np.testing.assert_allclose(found[row], expected, atol=1e-5)
    for part in (model, tokenizer):
        part.save_pretrained(tmp_path)
    vectors = text_vectors(FIRSTS[:5], str(tmp_path), text_pairs=SECONDS[:5])
    np.testing.assert_allclose(vectors, found, atol=1e-5)
    other = text_vectors(FIRSTS[:5], str(tmp_path), text_pairs=SECONDS[:5][::-1])
    assert np.abs(other - vectors).max() > 1e-3


def test_words_of_pairs_tell_a_label_that_neither_text_tells():
    labels = np.array([name == "same" for name in TABLE["gold"]]).astype(int)

    def accuracy(vectors: np.ndarray) -> float:
        return float((out_of_fold_probabilities(vectors, labels, 2).argmax(1) == labels).mean())

    assert accuracy(text_vectors(FIRSTS, text_pairs=SECONDS)) > 0.95
    assert accuracy(text_vectors(FIRSTS)) < 0.7
    swapped = text_vectors(FIRSTS, text_pairs=SWAPPED)
    assert not np.allclose(swapped, text_vectors(FIRSTS, text_pairs=SECONDS))


def test_words_are_counted_by_the_texts_that_have_them():
    words, overlap = pair_words([("red chair", "red table"), ("table", "red table")], use_idf=False, norm=None)
    # chair, red, table: of the first text only, of the second only, of both
    assert words.toarray().tolist() == [[1, 0, 0, 0, 0, 1, 0, 1, 0], [0, 0, 0, 0, 1, 0, 0, 0, 1]]
    assert overlap[:, 1:].tolist() == [[0.5, 0.5], [1.0, 0.5]]


def test_pairs_without_words_have_zero_vectors():
    assert not text_vectors(["!", "?", "."], text_pairs=[".", "!", "?"]).any()


@pytest.mark.parametrize("kept", ["texts", "tokens"])
def test_word_features_of_a_training_set_hold_the_second_texts(kept):
    def features(seconds: list[str]) -> np.ndarray:
        rows = datasets.Dataset.from_dict({"text": FIRSTS, "text_pair": seconds})
        tokenizer = small_encoder(pair_up(FIRSTS, SECONDS))[1]
        return word_vectors("test", tokenize(rows, tokenizer, 48, keep_text=kept == "texts"))

    assert features(SECONDS).shape == features(SWAPPED).shape
    assert not np.allclose(features(SECONDS), features(SWAPPED))


def test_second_segments_are_found_by_type_or_by_separator_and_not_in_single_texts():
    rows = datasets.Dataset.from_dict({"text": ["a b"], "text_pair": ["c"]})
    tokenizer = small_encoder(texts_of(rows))[1]
    tokens = tokenize(rows, tokenizer, 16, keep_text=True)
    by_type = second_segment(tokens)
    assert by_type[0].tolist() == [False] * 4 + [True] * 2
    without = tokens.remove_columns("token_type_ids")
    assert second_segment(without) is None
    assert second_segment(without, tokenizer.sep_token_id)[0].tolist() == [False] * 3 + [True] * 3
    assert second_segment(tokenize(rows.remove_columns("text_pair"), tokenizer, 16)) is None
