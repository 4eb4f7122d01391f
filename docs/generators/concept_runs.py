"""The small trainings behind the figures of the concepts: the same texts with labels wrong at random and wrong by rules.

`measure` takes some minutes on two cores. Texts are the embedded news. Rules that count the cue words of each topic
label them (`hf_noisy.corpora.topic_labels.simulated_answers`). In the random version the labels are exchanged among the
rows of each true class. So the two versions have the same matrix of noise, and differ in one thing: which rows have a wrong
label.
"""

from __future__ import annotations

import tempfile
from importlib.metadata import version
from typing import Any

import datasets
import numpy as np
from transformers import PrinterCallback, set_seed

from hf_noisy import NoiseCallback, NoisyTrainer, NoisyTrainingArguments
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.corpora.topic_labels import WORDINGS, simulated_answers
from hf_noisy.corpora.topics import CLASS_NAMES, generate_topics
from hf_noisy.weak.majority import hard_labels, majority_vote

ROWS, TEST_ROWS, EPOCHS, SEEDS = 2000, 1000, 20, (0, 1, 2)
LEARNING_RATE, BATCH = 1e-3, 64
SURE = 0.5  # an answer below this probability is no vote
BINS = np.linspace(0, 8, 33)  # of the loss; the last bin takes what is above
KEPT = ("fit_right", "fit_wrong", "true_wrong", "auroc", "hist_right", "hist_wrong")
VERSIONS = ("hf_noisy", "torch", "transformers")


def measure() -> dict[str, Any]:
    """Train on both versions of the labels, with each seed. The numbers that the figures need, ready for a JSON file."""
    datasets.disable_progress_bars()
    return {
        "settings": {
            "test_rows": TEST_ROWS,
            "epochs": EPOCHS,
            "learning_rate": LEARNING_RATE,
            "batch_size": BATCH,
            "versions": {name: version(name) for name in VERSIONS},
        },
        "bins": BINS.round(3).tolist(),
        "runs": [run(seed) for seed in SEEDS],
    }


def run(seed: int) -> dict[str, Any]:
    """One draw of texts and weights, both versions of the labels."""
    news, test = generate_topics(ROWS, 10 * seed), generate_topics(TEST_ROWS, 10 * seed + 1)
    by_rules = rule_labels(news["text"][:])
    train = news.select(np.flatnonzero(by_rules >= 0))
    gold, by_rules = np.array(train["gold"][:]), by_rules[by_rules >= 0]
    noises = {"random": exchanged(by_rules, gold, seed), "rules": by_rules}
    return {
        "seed": seed,
        "rows": len(train),
        "wrong": round(float((by_rules != gold).mean()), 4),
        **{noise: train_once(train, test, labels, gold, seed) for noise, labels in noises.items()},
    }


def rule_labels(texts: list[str]) -> np.ndarray:
    """(rows,) the majority of three rules that count cue words; -1 where none is sure."""
    answers = np.array([[simulated_answers(text, wording) for wording in range(len(WORDINGS))] for text in texts])
    votes = np.where(answers.max(-1) > SURE, answers.argmax(-1), -1)
    return hard_labels(majority_vote(votes, len(CLASS_NAMES)), seed=0)


def exchanged(labels: np.ndarray, gold: np.ndarray, seed: int) -> np.ndarray:
    """The labels of each true class, dealt out to its rows at random."""
    draw, dealt = np.random.default_rng(seed), labels.copy()
    for true_class in range(len(CLASS_NAMES)):
        rows = np.flatnonzero(gold == true_class)
        dealt[rows] = draw.permutation(labels[rows])
    return dealt


class Recorder(NoiseCallback):
    """Keeps the predictions on all training rows before each epoch. It changes nothing in the training."""

    def __init__(self) -> None:
        self.log_probs: list[np.ndarray] = []

    def begin_epoch(self, epoch: int, survey: Any) -> None:
        self.log_probs.append(survey().log_probs[0].cpu().numpy())


class TestRows(NoiseCallback):
    """Predicts the test rows after each epoch."""

    def __init__(self, rows: datasets.Dataset, gold: np.ndarray) -> None:
        self.rows, self.gold, self.accuracies = rows, gold, list[float]()
        self.trainer: NoisyTrainer | None = None

    def on_epoch_end(self, *_: Any, **__: Any) -> None:
        assert self.trainer is not None
        found = self.trainer.predict(self.rows).predictions.argmax(-1)
        self.accuracies.append(round(float((found == self.gold).mean()), 4))


def train_once(
    train: datasets.Dataset, test: datasets.Dataset, labels: np.ndarray, gold: np.ndarray, seed: int
) -> dict[str, Any]:
    """Cross-entropy on `labels`; its curves by epoch and the distribution of its losses."""
    model, tokenizer = small_encoder(train["text"][:], CLASS_NAMES, seed)

    def tokenized(rows: datasets.Dataset) -> datasets.Dataset:
        return rows.map(lambda row: tokenizer(row["text"], truncation=True), remove_columns=rows.column_names)

    recorder, tested = Recorder(), TestRows(tokenized(test), np.array(test["gold"][:]))
    set_seed(seed)
    with tempfile.TemporaryDirectory() as folder:
        args = NoisyTrainingArguments(
            folder,
            noise_method="ce",
            num_train_epochs=EPOCHS + 1,  # the survey before the last epoch shows what EPOCHS epochs have learned
            lr_scheduler_type="constant",
            learning_rate=LEARNING_RATE,
            per_device_train_batch_size=BATCH,
            per_device_eval_batch_size=500,
            seed=seed,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            dataloader_pin_memory=False,
        )
        rows = tokenized(train).add_column("labels", labels)
        trainer = NoisyTrainer(
            model, args, train_dataset=rows, processing_class=tokenizer, callbacks=[recorder, tested]
        )
        trainer.remove_callback(PrinterCallback)
        tested.trainer = trainer
        trainer.train()
    return {**curves(recorder.log_probs[: EPOCHS + 1], labels, gold), "test_accuracy": tested.accuracies[:EPOCHS]}


def curves(log_probs: list[np.ndarray], labels: np.ndarray, gold: np.ndarray) -> dict[str, Any]:
    """What the model predicts for rows with a right and with a wrong label, after 0, 1, 2 … epochs."""
    right = labels == gold
    found: dict[str, list[Any]] = {name: [] for name in KEPT}
    for table in log_probs:
        fits, loss = table.argmax(1) == labels, -table[np.arange(len(labels)), labels]
        found["fit_right"].append(round(float(fits[right].mean()), 4))
        found["fit_wrong"].append(round(float(fits[~right].mean()), 4))
        found["true_wrong"].append(round(float((table.argmax(1) == gold)[~right].mean()), 4))
        found["auroc"].append(round(auroc(loss, ~right), 4))
        for name, rows in (("hist_right", right), ("hist_wrong", ~right)):
            counts, _ = np.histogram(loss[rows].clip(max=BINS[-1] - 1e-9), BINS)
            found[name].append(counts.tolist())
    return found


def auroc(scores: np.ndarray, positive: np.ndarray) -> float:
    """The probability that a positive row has a larger score than another row.

    >>> auroc(np.array([0.1, 0.9, 0.5]), np.array([False, True, False]))
    1.0
    """
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score(positive, scores))
