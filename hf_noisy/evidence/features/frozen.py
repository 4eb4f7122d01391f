"""What estimators are fed from a frozen encoder: a vector for each text, and out-of-fold probabilities of its label."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import ArrayLike

from hf_noisy.evidence.matrices.inputs import check_features, check_labels, standardized

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


INVERSE_PENALTIES = (0.001, 0.01, 0.1, 1.0)  # scikit-learn's C, on standardised features
_WORDS = 128  # width of a latent semantic analysis
_MANY = 50  # texts, from which a word must be in two of them to count
_FLOOR = 1e-6  # probability of a class that a fold never saw


@torch.no_grad()
def mean_vectors(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    max_length: int = 128,
    batch_size: int = 32,
) -> np.ndarray:
    """The mean of a text's last hidden states, padding left out: (texts, width) float32, in the order of the texts.

    Args:
        model: what `AutoModel.from_pretrained` gives; it is asked in evaluation mode, on the device where it is.
        tokenizer: its own.
        texts: at least one.
        max_length: tokens of a text; the rest is cut.
        batch_size: texts at once. Texts of like length share a batch, which spares padding.

    Raises:
        ValueError: no texts, or a size below 1.
    """
    if len(texts) == 0 or max_length < 1 or batch_size < 1:
        raise ValueError(
            f"{len(texts)} texts, max_length={max_length}, batch_size={batch_size}: expected at least 1 of each."
        )
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    training = model.training
    model.eval()
    parts = []
    for begin in range(0, len(order), batch_size):
        batch = tokenizer(
            [texts[row] for row in order[begin : begin + batch_size]],
            truncation=True,
            max_length=max_length,
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


def text_vectors(texts: Sequence[str], model: str | None = None, *, max_length: int = 128, seed: int = 0) -> np.ndarray:
    """(texts, width) of a pretrained encoder, by `mean_vectors`, or without one of the words of the texts.

    Args:
        texts: at least three.
        model: name or folder for `AutoModel.from_pretrained`; None is a latent semantic analysis of words and pairs of
            words, 128 wide.
        max_length: tokens of a text; the rest is cut. Words are not.
        seed: of the analysis of words.
    """
    if model is not None:
        from transformers import AutoModel, AutoTokenizer

        encoder, tokenizer = AutoModel.from_pretrained(model), AutoTokenizer.from_pretrained(model)
        return mean_vectors(encoder, tokenizer, texts, max_length=max_length)
    return latent_semantic_vectors(texts, seed)


def latent_semantic_vectors(texts: Sequence[str], seed: int = 0, **splitting: Any) -> np.ndarray:
    """(texts, at most 128) float64: weighted counts of words and pairs of words, in their first principal directions.

    Texts that share no word, or have none, are zeros.

    Args:
        texts: at least two.
        seed: of the directions, which are approximate.
        splitting: how a text becomes words, as scikit-learn's `TfidfVectorizer` takes it.
    """
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    fewest = 2 if len(texts) >= _MANY else 1
    try:
        words = TfidfVectorizer(ngram_range=(1, 2), min_df=fewest, sublinear_tf=True, **splitting).fit_transform(texts)
    except ValueError as error:
        if "empty vocabulary" in str(error) or "no terms remain" in str(error):
            return np.zeros((len(texts), 1))
        raise
    if words.shape[1] < 2:
        return words.toarray()
    return TruncatedSVD(max(1, min(_WORDS, min(words.shape) - 1)), random_state=seed).fit_transform(words)


def out_of_fold_probabilities(
    features: ArrayLike,
    labels: ArrayLike,
    classes: int,
    folds: int = 5,
    seed: int = 0,
    weights: ArrayLike | None = None,
) -> np.ndarray:
    """P(given label | text) of each row, by a logistic regression that never saw the row: (rows, classes) float64.

    The penalty is the one that gives the given labels of the first fold the largest likelihood; no gold label is read.

    Args:
        features: (rows, width) of a frozen encoder; standardised here, with the mean and deviation of all rows.
        labels: (rows,) class ids; a row with a negative one trains nothing, and is predicted as the first fold is.
        classes: how many there are.
        folds: each is predicted by what was trained on the others; every class is spread evenly over them.
        seed: of the folds.
        weights: (rows,) above 0, how much each label counts; None for 1.

    Returns:
        a class that was absent where a row's model was trained has probability 1e-6.

    Raises:
        ValueError, TypeError: bad features or labels, fewer than two folds or rows than folds, weights that are not above 0.
    """
    every = np.asarray(labels)
    table = check_features(features, len(every))
    found = check_labels(every, len(table), "features")
    rows = np.flatnonzero(found >= 0)
    if folds < 2 or len(rows) < folds:
        raise ValueError(f"folds={folds} of {len(rows)} labelled rows: expected at least 2, and a row for each.")
    if found.max() >= classes:
        raise ValueError(f"label {found.max()}: expected a class in [0, {classes}). Mend the label or the class count.")
    table = standardized(table)
    parts = _folds(found[rows], folds, seed)
    others = [rows[parts != fold] for fold in range(folds)]
    first = rows[parts == 0]
    counts = np.ones(len(table)) if weights is None else np.asarray(weights, dtype=np.float64)
    if counts.shape != (len(table),) or not (np.isfinite(counts) & (counts > 0)).all():
        raise ValueError(f"weights of shape {counts.shape}: expected {(len(table),)}, each finite and above 0.")

    def predicted(train: np.ndarray, asked: np.ndarray, inverse: float) -> np.ndarray:
        return logistic_probabilities(table[train], found[train], table[asked], classes, inverse, counts[train])

    def likelihood(inverse: float) -> float:
        shares = predicted(others[0], first, inverse)
        return float((counts[first] * np.log(shares[np.arange(len(first)), found[first]])).sum())

    inverse = max(INVERSE_PENALTIES, key=likelihood)
    probabilities = np.empty((len(table), classes))
    probabilities[found < 0] = predicted(others[0], np.flatnonzero(found < 0), inverse)
    for fold in range(folds):
        asked = rows[parts == fold]
        probabilities[asked] = predicted(others[fold], asked, inverse)
    return probabilities


def _folds(labels: np.ndarray, folds: int, seed: int) -> np.ndarray:
    """(rows,) the fold of each row: classes in random order, dealt round."""
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
    """(asked, classes) of a logistic regression; a class that `labels` lack has probability 1e-6.

    Args:
        vectors: (rows, width), standardised.
        labels: (rows,) class ids.
        asked: (asked, width), likewise standardised.
        classes: how many there are.
        inverse: of the penalty; scikit-learn's C.
        weights: (rows,) of the rows; None for 1.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    seen, probabilities = np.unique(labels), np.zeros((len(asked), classes))
    if len(seen) == 1:
        probabilities[:, seen] = 1
    elif len(asked):
        with warnings.catch_warnings():  # 200 steps from the optimum nothing changes that counts
            warnings.simplefilter("ignore", ConvergenceWarning)
            model = LogisticRegression(C=inverse, max_iter=200).fit(vectors, labels, sample_weight=weights)
        probabilities[:, model.classes_] = model.predict_proba(asked)
    probabilities = np.maximum(probabilities, _FLOOR)
    return probabilities / probabilities.sum(1, keepdims=True)
