"""Trains one model and evaluates it at the end of every epoch."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PrinterCallback, TrainerCallback, set_seed

from hf_noisy.benchmark.data import Data
from hf_noisy.benchmark.frozen import FrozenClassifier, with_row_numbers
from hf_noisy.benchmark.settings import Settings
from hf_noisy.benchmark.taught import TaughtLabels
from hf_noisy.benchmark.vectors import VectorStore
from hf_noisy.common.randomness import forked_generators
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.pairs import Text, sides, text_columns
from hf_noisy.data.splits import tokenize
from hf_noisy.methods.stopping import NoisyStopping
from hf_noisy.trainer.arguments import NoisyTrainingArguments
from hf_noisy.trainer.noisy_trainer import NoisyTrainer

if TYPE_CHECKING:
    from datasets import Dataset
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass
class Fit:
    """The results of one training, by epoch."""

    scores: list[float]  # accuracy on the labels of `valid`; empty without `valid`
    changes: list[float]  # share of training rows whose predicted class changed since their last visit, or NaN
    predictions: list[np.ndarray]  # (rows,) predicted classes of `test`
    probabilities: np.ndarray  # (rows, classes) of `test`, after the last epoch
    seconds: np.ndarray  # wall and processor time of the training, without evaluation
    estimated_noise_rate: float | None  # None if the method logs none
    taught_correct: float | None = None  # share of labelled rows taught their true class; None without gold labels
    # name -> (rows,) training statistics of `NoisyTrainer.example_report`
    examples: dict[str, np.ndarray] = field(default_factory=dict)
    choices: list[str] = field(default_factory=list)  # what methods decided automatically
    left_labels: bool = False  # whether a method that may replace labels left them as they are


class TrainingBench:
    """The common start of all trainings of one corpus and seed: the same weights, tokens and order of rows.

    Args:
        settings: the training budget. If it is `frozen`, a linear head on vectors of the texts is trained.
        data: the rows.
        seed: of the head, dropout and the order of rows.
        vectors: folder of stored vectors, for a frozen encoder; None keeps none.
    """

    def __init__(self, settings: Settings, data: Data, seed: int, vectors: str | Path | None = None) -> None:
        self.settings, self.data, self.seed = settings, data, seed
        self.model: PreTrainedModel
        self.tokenizer: PreTrainedTokenizerBase | None = None
        self._inputs: Callable[[Dataset], Dataset]  # adds the columns that the model reads
        if settings.frozen:
            self.model, numbers = load_frozen(settings, data, seed, vectors)
            self._inputs = partial(with_row_numbers, numbers=numbers)
        else:
            self.model, self.tokenizer = load_encoder(settings, data, seed)
            self._inputs = partial(tokenize, tokenizer=self.tokenizer, max_length=settings.max_length, keep_text=True)
        self.start = {name: value.clone() for name, value in self.model.state_dict().items()}

    def fit(
        self,
        rows: Dataset,
        *,
        learning_rate: float,
        test: Dataset,
        valid: Dataset | None = None,
        method: str = "ce",
        params: Mapping[str, Any] | None = None,
        passes: int = 1,
        clean: Dataset | None = None,
        gold: np.ndarray | None = None,
    ) -> Fit:
        """Trains a copy of the encoder and evaluates it `settings.epochs` times.

        Args:
            rows: training rows, with columns text, labels and optionally weak_labels.
            learning_rate: peak learning rate; it warms up over a tenth of the steps and decays to 0.
            test: rows to predict, with column text.
            valid: rows to score, with columns text and labels.
            method, params: `noise_method` and its parameters.
            passes: number of passes over `rows` that count as one epoch.
            clean: trusted rows for the methods that need them, with columns text, labels and given.
            gold: (rows,) true classes, -1 where unknown, only to measure what was taught.
        """
        settings = self.settings
        with tempfile.TemporaryDirectory() as folder:
            args = NoisyTrainingArguments(
                output_dir=folder,
                noise_method=method,
                noise_kwargs=dict(params or {}),
                num_train_epochs=settings.epochs * passes,
                per_device_train_batch_size=settings.batch_size,
                per_device_eval_batch_size=128,
                learning_rate=learning_rate,
                warmup_steps=0.1,
                bf16=settings.bf16,
                use_cpu=not torch.accelerator.is_available(),  # otherwise bf16 requires an accelerator
                seed=self.seed,
                data_seed=self.seed,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                logging_steps=50,
                dataloader_pin_memory=False,
            )
            set_seed(self.seed)
            self.model.load_state_dict(self.start)
            scores, changes = EpochScores(passes), NoisyStopping(by="label_wave", patience=None)
            taught = None if gold is None else TaughtLabels(gold)
            trainer = NoisyTrainer(
                self.model,
                args,
                train_dataset=self.tokens(rows),
                processing_class=self.tokenizer,
                callbacks=[changes, scores, *([] if taught is None else [taught])],
                clean_dataset=None if clean is None else self.tokens(clean),
            )
            trainer.remove_callback(PrinterCallback)
            scores.watch(trainer, self.tokens(test), None if valid is None else self.tokens(valid))
            began = clocks()
            trainer.train()
            seconds = clocks() - began - scores.seconds
        changed = [point.changes for point in changes.history[passes - 1 :: passes]]
        shown = trainer.example_report()
        examples = {name: np.array(shown[name][:]) for name in ("seen", "loss", "margin", "disagreements")}
        rate = _logged_rate(trainer)
        correct = None if taught is None else taught.correct()
        choices = [choice for callback in trainer.noise.callbacks for choice in callback.choices()]
        return Fit(
            scores.valid,
            changed,
            scores.predictions,
            scores.probabilities,
            seconds,
            rate,
            correct,
            examples,
            choices,
            left_labels=any(callback.left_labels for callback in trainer.noise.callbacks),
        )

    def tokens(self, rows: Dataset) -> Dataset:
        """Returns `rows` with tokens, or row numbers of vectors. The text is kept for the methods that read it."""
        kept = [name for name in ("labels", "weak_labels", "given") if name in rows.column_names]
        return self._inputs(rows.select_columns([*text_columns(rows.column_names), *kept]))


class EpochScores(TrainerCallback):
    """Evaluates validation and test rows after every `passes` epochs, without changing the training's random state."""

    def __init__(self, passes: int = 1) -> None:
        self.passes = passes
        self.valid: list[float] = []
        self.predictions: list[np.ndarray] = []
        self.seconds = np.zeros(2)  # spent on evaluation, by `clocks`

    def watch(self, trainer: NoisyTrainer, test: Dataset, valid: Dataset | None) -> None:
        """Sets the rows to evaluate. Call it before training."""
        self.trainer, self.test_rows, self.valid_rows = trainer, test, valid

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if round(state.epoch) % self.passes:
            return
        began = clocks()
        with forked_generators():
            if self.valid_rows is not None:
                found = self.logits(self.valid_rows).argmax(-1)
                self.valid.append(float((found == np.array(self.valid_rows["labels"][:])).mean()))
            logits = self.logits(self.test_rows)
        self.predictions.append(logits.argmax(-1))
        shifted = np.exp(logits - logits.max(-1, keepdims=True))
        self.probabilities = shifted / shifted.sum(-1, keepdims=True)
        self.seconds += clocks() - began

    def logits(self, rows: Dataset) -> Any:
        """Returns (rows, classes) logits."""
        return self.trainer.predict(
            rows.remove_columns("labels") if "labels" in rows.column_names else rows
        ).predictions


def clocks() -> np.ndarray:
    """Returns the seconds of wall time, and of processor time over all threads of this process."""
    return np.array([time.perf_counter(), time.process_time()])


def load_encoder(settings: Settings, data: Data, seed: int) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Loads the encoder, with a head that depends only on `seed`, and its tokenizer."""
    if settings.model is None:
        texts = data.train.texts
        longest = min(settings.max_length, 64 * len(sides(texts)))
        return small_encoder(texts, data.class_names, seed=seed, max_length=longest)
    set_seed(seed)
    model = AutoModelForSequenceClassification.from_pretrained(
        settings.model,
        id2label=dict(enumerate(data.class_names)),
        label2id={name: k for k, name in enumerate(data.class_names)},
        ignore_mismatched_sizes=True,  # replaces a head for other classes
    )
    return model, AutoTokenizer.from_pretrained(settings.model)


def load_frozen(
    settings: Settings, data: Data, seed: int, folder: str | Path | None = None
) -> tuple[FrozenClassifier, dict[Text, int]]:
    """Makes a classifier of stored vectors, with a head that depends only on `seed`.

    Args:
        settings: the encoder and its maximum number of tokens.
        data: the rows whose texts are encoded.
        seed: of the head.
        folder: of stored vectors; None keeps none.

    Returns:
        The classifier, and the row number of each text.
    """
    texts = distinct_texts(data)
    numbers = {text: row for row, text in enumerate(texts)}
    vectors = VectorStore(folder, settings.model, settings.max_length).vectors(texts)
    train = np.array([numbers[text] for text in data.train.texts])
    return FrozenClassifier.of(vectors, train, data.class_names, seed=seed, name=settings.model or ""), numbers


def distinct_texts(data: Data) -> list[Text]:
    """Returns the texts of all rows, or their pairs of texts, each once."""
    return list(dict.fromkeys(text for rows in (data.train, data.valid, data.test, data.clean) for text in rows.texts))


def _logged_rate(trainer: NoisyTrainer) -> float | None:
    rates = [log["estimated_noise_rate"] for log in trainer.state.log_history if "estimated_noise_rate" in log]
    return rates[-1] if rates else None
