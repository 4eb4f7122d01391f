"""Features from a frozen encoder or from words, and out-of-fold probabilities of the given label."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hf_noisy.common.progress import progress_bar
from hf_noisy.data.pairs import Text, all_texts, encode_texts, has_pairs, pair_up, text_length
from hf_noisy.evidence.features.pair_words import pair_words
from hf_noisy.evidence.features.words import term_options
from hf_noisy.evidence.inputs import check_features, check_labels, standardized

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0)  # scikit-learn's C, on standardised features
_LSA_WIDTH = 128  # width of the latent semantic analysis
_TEXTS_FOR_MIN_DF = 50  # with this many texts, a word must occur in two of them to be used
_FLOOR = 1e-6  # probability of a class that is absent from the training rows


@torch.no_grad()
def mean_vectors(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[Text],
    *,
    text_pairs: Sequence[str] | None = None,
    max_length: int = 128,
    batch_size: int = 32,
) -> np.ndarray:
    """Computes the mean of each text's last hidden states, without padding: (texts, width) float32, in the given order.

    Args:
        model: model as `AutoModel.from_pretrained` returns it. It is run in evaluation mode, on its current device.
        tokenizer: tokenizer of the model.
        texts: at least one text. A tuple (first, second) is encoded as one sequence of two segments.
        text_pairs: the second texts, if `texts` are the first ones.
        max_length: maximum number of tokens per text or pair, or the tokenizer's own maximum if that is smaller; longer texts are
            truncated.
        batch_size: number of texts per batch. Texts of similar length share a batch, which saves padding.

    Raises:
        ValueError: no texts, a size below 1, or another number of second texts.
    """
    texts = pair_up(texts, text_pairs)
    if len(texts) == 0 or max_length < 1 or batch_size < 1:
        raise ValueError(
            f"{len(texts)} texts, max_length={max_length}, batch_size={batch_size}: expected at least 1 of each."
        )
    order = sorted(range(len(texts)), key=lambda row: text_length(texts[row]))
    training = model.training
    model.eval()
    parts = []
    for begin in progress_bar("Encoding texts", range(0, len(order), batch_size), unit="batch"):
        batch = encode_texts(
            tokenizer,
            [texts[row] for row in order[begin : begin + batch_size]],
            truncation=True,
            max_length=min(max_length, tokenizer.model_max_length),
            padding=True,
            return_tensors="pt",
        ).to(model.device)
        mask = batch["attention_mask"][..., None].float()
        states = model(**batch).last_hidden_state.float()
        parts.append(((states * mask).sum(1) / mask.sum(1).clamp_min(1)).cpu().numpy())
    model.train(training)
    vectors = np.empty((len(texts), parts[0].shape[1]), dtype=np.float32)
    vectors[order] = np.concatenate(parts)
    return vectors


def text_vectors(
    texts: Sequence[Text],
    model: str | None = None,
    *,
    text_pairs: Sequence[str] | None = None,
    max_length: int = 128,
    seed: int = 0,
) -> np.ndarray:
    """Computes vectors (texts, width) with a pretrained encoder (`mean_vectors`), or from words if no encoder is given.

    Args:
        texts: at least three texts, or pairs of texts as tuples (first, second).
        model: name or folder for `AutoModel.from_pretrained`; None for a latent semantic analysis of words and word
            pairs, 128 wide.
        text_pairs: the second texts, if `texts` are the first ones.
        max_length: maximum number of tokens per text or pair; longer texts are truncated. It does not apply to words.
        seed: seed of the latent semantic analysis.
    """
    texts = pair_up(texts, text_pairs)
    if model is not None:
        from transformers import AutoModel, AutoTokenizer

        encoder, tokenizer = AutoModel.from_pretrained(model), AutoTokenizer.from_pretrained(model)
        return mean_vectors(encoder, tokenizer, texts, max_length=max_length)
    return latent_semantic_vectors(texts, seed)


def latent_semantic_vectors(
    texts: Sequence[Text], seed: int = 0, tokenizer: Any = None, **splitting: Any
) -> np.ndarray:
    """Computes word features by latent semantic analysis: (texts, at most 128) float64.

    They are the TF-IDF weights of words and word pairs, projected on their leading singular vectors. A text without
    words has a zero vector. So has a text among 50 or more that shares no word with another. Pairs of texts have the
    features of `pair_words`, of which the overlap is not projected: three columns more. What a word is in a text
    without spaces between words, `hf_noisy.evidence.features.words.word_splitter` decides.

    Args:
        texts: at least two texts, or pairs of texts.
        seed: seed of the singular vectors, which are approximate.
        tokenizer: of the model, for texts without spaces between words; None if there is none.
        splitting: options of the tokenization, passed to scikit-learn's `TfidfVectorizer`; the texts are then taken to
            have spaces between words.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    options: dict[str, Any] = {
        **{"ngram_range": (1, 2), "min_df": 2 if len(texts) >= _TEXTS_FOR_MIN_DF else 1, "sublinear_tf": True},
        **(splitting or term_options(all_texts(texts), 2, tokenizer)),
    }
    if "analyzer" in options:  # it makes the pairs of words itself
        options.pop("ngram_range")
    overlap = None
    try:
        if has_pairs(texts):
            words, overlap = pair_words(list(texts), **options)
        else:
            words = TfidfVectorizer(**options).fit_transform(texts)
    except ValueError as error:
        if "empty vocabulary" in str(error) or "no terms remain" in str(error):
            return np.zeros((len(texts), 1))
        raise
    if words.shape[1] < 2:
        return words.toarray()
    projected = TruncatedSVD(max(1, min(_LSA_WIDTH, min(words.shape) - 1)), random_state=seed).fit_transform(words)
    return projected if overlap is None else np.hstack([projected, overlap])


def out_of_fold_probabilities(
    features: ArrayLike,
    labels: ArrayLike,
    classes: int,
    folds: int = 5,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> np.ndarray:
    """Estimates P(given label | text) by logistic regressions, each row by one trained on other rows.

    The penalty is the one that maximises the likelihood of the given labels of the first fold. No gold label is used.

    Args:
        features: (rows, width) of a frozen encoder. They are standardised with the mean and deviation of all rows.
        labels: (rows,) class ids. A row with a negative label is not used for training; the model of the first fold
            predicts it.
        classes: number of classes.
        folds: number of folds, stratified by class. Each fold is predicted by a model trained on the others.
        seed: seed of the folds.
        weights: (rows,) weight of each label, above 0; None for 1.

    Returns:
        (rows, classes) float64. A class that is absent from the training rows of a model has probability 1e-6.

    Raises:
        ValueError, TypeError: bad features or labels, fewer than two folds or rows than folds, weights that are not
            above 0.
    """
    all_labels = np.asarray(labels)
    table = check_features(features, len(all_labels))
    found = check_labels(all_labels, len(table), "features")
    rows = np.flatnonzero(found >= 0)
    if folds < 2 or len(rows) < folds:
        raise ValueError(f"folds={folds} of {len(rows)} labelled rows: expected at least 2, and a row for each.")
    if found.max() >= classes:
        raise ValueError(f"label {found.max()}: expected a class in [0, {classes}). Mend the label or the class count.")
    table = standardized(table)
    parts = stratified_folds(found[rows], folds, seed)
    others = [rows[parts != fold] for fold in range(folds)]
    first = rows[parts == 0]
    row_weights = np.ones(len(table)) if weights is None else np.asarray(weights, dtype=np.float64)
    if row_weights.shape != (len(table),) or not (np.isfinite(row_weights) & (row_weights > 0)).all():
        raise ValueError(f"weights of shape {row_weights.shape}: expected {(len(table),)}, each finite and above 0.")

    def predict_rows(train: np.ndarray, asked: np.ndarray, inverse: float) -> np.ndarray:
        return logistic_probabilities(table[train], found[train], table[asked], classes, inverse, row_weights[train])

    def likelihood(inverse: float) -> float:
        predictions = predict_rows(others[0], first, inverse)
        return float((row_weights[first] * np.log(predictions[np.arange(len(first)), found[first]])).sum())

    inverse = max(progress_bar("Choosing a penalty", INVERSE_PENALTIES), key=likelihood)
    probabilities = np.empty((len(table), classes))
    probabilities[found < 0] = predict_rows(others[0], np.flatnonzero(found < 0), inverse)
    for fold in progress_bar("Predicting labels out of fold", range(folds), unit="fold"):
        asked = rows[parts == fold]
        probabilities[asked] = predict_rows(others[fold], asked, inverse)
    return probabilities


def stratified_folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """Returns the fold of each row (rows,). The rows of each class are shuffled and assigned to the folds in turn."""
    order = np.lexsort((np.random.default_rng(seed).random(len(labels)), labels))
    parts = np.empty(len(labels), dtype=np.int64)
    parts[order] = np.arange(len(labels)) % folds
    return parts


def logistic_probabilities(
    vectors: np.ndarray,
    labels: np.ndarray,
    asked: np.ndarray,
    classes: int,
    inverse: float,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """Fits a logistic regression and returns its predictions (asked, classes).

    A class that is absent from `labels` has probability 1e-6.

    Args:
        vectors: (rows, width) training vectors, standardised.
        labels: (rows,) class ids.
        asked: (asked, width) vectors to predict, standardised in the same way.
        classes: number of classes.
        inverse: inverse of the penalty; scikit-learn's C.
        weights: (rows,) sample weights; None for 1.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen, probabilities = np.unique(labels), np.zeros((len(asked), classes))
    if len(seen) == 1:
        probabilities[:, seen] = 1
    elif len(asked):
        with warnings.catch_warnings():  # after 200 steps the predictions hardly change
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=inverse, max_iter=200).fit(vectors, labels, sample_weight=weights)
        probabilities[:, model.classes_] = model.predict_proba(asked)
    probabilities = np.maximum(probabilities, _FLOOR)
    return probabilities / probabilities.sum(1, keepdims=True)
