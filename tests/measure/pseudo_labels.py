"""Rows without a label: left out, or taught what the model makes of them.

    python tests/measure/pseudo_labels.py

writes reviews, lets the labeling functions vote on them, hides the votes of 70 % of the rows at random, and trains a small
encoder from scratch with cross-entropy on the rows that are left, for as many epochs and for as many steps as the other arm
takes, and on all rows with pseudo-labels. It prints test accuracy after the last epoch on 5 seeds (other reviews and other
weights each), which share of all rows was taught a pseudo-label, and how many of these are right. The settings were chosen
on seeds 100 to 106; seeds 0 to 4 were used up by an earlier setting.
"""

from __future__ import annotations

import argparse
import copy
import statistics
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from datasets import Dataset
from transformers import PrinterCallback

from hf_noisy import NoisyTrainer, NoisyTrainingArguments, hard_labels, majority_vote
from hf_noisy.corpora.embedded import embedded_corpus
from hf_noisy.corpora.reviews import CLASS_NAMES
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.splits import split_corpus, tokenize
from hf_noisy.methods.pseudo_labeling import PseudoLabeling
from hf_noisy.weak.votes import votes_of

ROWS, BATCH, EPOCHS = 6000, 32, 8
SETTINGS: dict[str, Any] = {
    "start": 0.25,  # early, before this encoder has learned the rules' mistakes
    "refresh": "average",  # what it said early goes on counting
    "momentum": 0.7,
    "threshold": 0.7,  # of an average, which is less sure than one look
    "doubt_below": 0.35,
}
ARMS = ("left out, as many epochs", "left out, as many steps", "pseudo-labels")


@dataclass(frozen=True)
class Data:
    """The reviews of one seed, tokenized."""

    model: Any
    tokenizer: Any
    rows: Dataset  # labels: -1 where hidden or abstained
    test: Dataset  # gold labels


def prepare(seed: int, rows: int, abstain: float) -> Data:
    """Reviews with the majority vote of those votes that are not hidden."""
    train, _, test = split_corpus(embedded_corpus(seed), seed, max_train_rows=rows)
    votes = votes_of(train)
    hidden = np.random.default_rng(seed).permutation(len(votes)) < round(abstain * len(votes))
    votes = np.where(hidden[:, None], -1, votes)
    labels = hard_labels(majority_vote(votes, len(CLASS_NAMES)), seed=seed)
    model, tokenizer = small_encoder(train["text"][:], CLASS_NAMES, seed=seed)
    columns = ["text", "gold"]
    tokens = tokenize(train.select_columns(columns), tokenizer, 48).add_column("labels", labels)
    return Data(model, tokenizer, tokens, tokenize(test.select_columns(columns), tokenizer, 48))


def train(data: Data, arm: str, seed: int, epochs: int, **settings: Any) -> dict[str, float]:
    """Test accuracy after the last epoch; of pseudo-labels also the share of rows that have one, and of right ones."""
    labels = np.array(data.rows["labels"][:])
    rows = data.rows if arm == "pseudo-labels" else data.rows.select(np.flatnonzero(labels >= 0))
    steps = epochs * -(-len(labels) // BATCH) if arm == "left out, as many steps" else -1
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        args = NoisyTrainingArguments(
            folder, num_train_epochs=epochs, max_steps=steps, learning_rate=1e-3, warmup_steps=0.1, seed=seed,
            per_device_train_batch_size=BATCH, per_device_eval_batch_size=500, logging_strategy="epoch",
            save_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = NoisyTrainer(
            copy.deepcopy(data.model), args, train_dataset=rows.remove_columns("gold"),
            processing_class=data.tokenizer,
            callbacks=[PseudoLabeling(**settings)] if arm == "pseudo-labels" else [],
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        found = trainer.predict(data.test.remove_columns("gold")).predictions.argmax(-1)
    accuracy = float((found == np.array(data.test["gold"][:])).mean())
    facts = {"steps": trainer.state.global_step, "seconds": time.perf_counter() - began}
    if arm != "pseudo-labels":
        return {"accuracy": accuracy, **facts}
    pseudo = trainer.noise.callbacks[1].report()["pseudo_label"]
    right = (pseudo == np.array(data.rows["gold"][:]))[pseudo >= 0]
    facts["share"] = float((pseudo >= 0).mean())
    return {"accuracy": accuracy, **facts, **({"right": float(right.mean())} if len(right) else {})}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[5, 6, 7, 8, 9])
    parser.add_argument("--abstain", type=float, default=0.7, help="share of the rows whose votes are hidden")
    parser.add_argument("--rows", type=int, default=ROWS, help="training rows, labelled or not")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    runs: dict[str, list[dict[str, float]]] = {arm: [] for arm in ARMS}
    for seed in given.seeds:
        data = prepare(seed, given.rows, given.abstain)
        for arm in ARMS:
            runs[arm].append(train(data, arm, seed, given.epochs, **SETTINGS))
            facts = ", ".join(f"{name} {value:.3f}" for name, value in runs[arm][-1].items())
            print(f"seed {seed}: {arm}: {facts}", flush=True)
    print(
        "\n| rows without a label | test accuracy | steps | pseudo-labelled | right among these |\n|---|---|---|---|---|"
    )
    for arm in ARMS:
        cells = [spread([run[key] for run in runs[arm] if key in run]) for key in ("accuracy", "share", "right")]
        print(f"| {arm} | {cells[0]} | {runs[arm][0]['steps']:.0f} | {cells[1]} | {cells[2]} |")
    for arm in ARMS[:2]:
        gains = [two["accuracy"] - one["accuracy"] for one, two in zip(runs[arm], runs["pseudo-labels"], strict=True)]
        print(f"pseudo-labels against {arm}: {', '.join(f'{gain:+.3f}' for gain in gains)}; mean {spread(gains)}")


def spread(values: list[float]) -> str:
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{deviation}"


if __name__ == "__main__":
    main()
