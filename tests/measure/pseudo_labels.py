"""Rows without a label: left out, or trained on with pseudo-labels.

    python tests/measure/pseudo_labels.py --output recipes/results/pseudo_labels.jsonl

writes reviews, applies the labeling functions, hides the votes of 70 % of the rows at random, and trains a small encoder from
scratch: with cross-entropy on the rows that are left, for as many epochs and for as many steps as the third training, and on
all rows with pseudo-labels. It prints test accuracy after the last epoch (each seed has other reviews and other weights), the
share of all rows that got a pseudo-label, and how many of these are right. The settings were chosen on seeds 100 to 106;
seeds 0 to 4 were used with an earlier setting.
"""

from __future__ import annotations

import argparse
import copy
import functools
import tempfile
import time
from dataclasses import dataclass
from typing import Any

import datasets
import numpy as np
from datasets import Dataset
from reporting import Line, Results, add_output, distinct, spread, values
from transformers import PrinterCallback

from hf_noisy import NoisyTrainer, NoisyTrainingArguments, hard_labels, majority_vote
from hf_noisy.benchmark.cells import markdown_table
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
    add_output(parser)
    given = parser.parse_args()
    datasets.disable_progress_bars()
    results = Results(given.output)
    prepared = functools.lru_cache(maxsize=1)(prepare)
    for seed in given.seeds:
        for arm in ARMS:
            run = {"arm": arm, "seed": seed, "epochs": given.epochs, "rows": given.rows, "abstain": given.abstain}
            line = results.once(
                run,
                lambda arm=arm, seed=seed: train(
                    prepared(seed, given.rows, given.abstain), arm, seed, given.epochs, **SETTINGS
                ),
            )
            print(f"seed {seed}: {arm}: {line['accuracy']:.3f}", flush=True)
    print(f"\n{table(results.lines)}\n")
    for arm in ARMS[:2]:
        gains = gains_over(results.lines, arm)
        print(f"pseudo-labels against {arm}: {', '.join(f'{gain:+.3f}' for gain in gains)}; mean {spread(gains)}")


def table(lines: list[Line]) -> str:
    """A row per way to treat rows without a label."""
    return markdown_table(
        ["rows without a label", "test accuracy", "steps", "share pseudo-labelled", "of these right"],
        [
            [arm, spread(values(lines, "accuracy", arm=arm)), f"{values(lines, 'steps', arm=arm)[0]:.0f}"]
            + [spread(values(lines, key, arm=arm)) for key in ("share", "right")]
            for arm in distinct(lines, "arm")
        ],
    )


def gains_over(lines: list[Line], arm: str) -> list[float]:
    """Accuracy with pseudo-labels minus that of `arm`, seed by seed."""
    return [
        two - one
        for one, two in zip(values(lines, "accuracy", arm=arm), values(lines, "accuracy", arm=ARMS[2]), strict=True)
    ]


if __name__ == "__main__":
    main()
