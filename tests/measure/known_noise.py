"""Methods that choose examples, on a problem made for them: known noise, and a network that would memorise it.

    python tests/measure/known_noise.py

makes sentences of twelve words, of which half tell the class, turns 40 % of the labels wrong (at random, or always into the
next class), trains a BERT of one layer from scratch for 30 epochs with cross-entropy and with each method, on 5 seeds, and
prints accuracy on clean test rows after the last epoch, and which share of the labels that were kept is right.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from collections.abc import Iterable

import numpy as np
from datasets import Dataset
from transformers import BertConfig, BertForSequenceClassification, PrinterCallback, set_seed

from hf_noisy import NoisyTrainer, NoisyTrainingArguments
from hf_noisy.data.noise import pair, symmetric

CLASSES, WORDS, LENGTH = 4, 200, 12
TRAIN, TEST, CLEAN, EPOCHS = 800, 1000, 60, 30
RATE = 0.4
NOISES = {"symmetric": symmetric, "pair": pair}
KNOWN = {"forget_rate": RATE, "ramp_epochs": 6}  # ramp_epochs: what is easy must have been learned
METHODS: dict[str, dict] = {
    "ce": {},
    "elr": {},
    "co_teaching": KNOWN,
    "co_teaching_plus": {**KNOWN, "warmup": 0.2},
    "jocor": KNOWN,
    "mentornet_pd": {"loss_percentile": 1 - RATE},
    "mentornet_dd": {"loss_percentile": 1 - RATE},
    "dividemix": {"warmup_epochs": 3},
    "selfmix": {"warmup_epochs": 3},
}


def sentences(rows: int, seed: int) -> tuple[list[list[int]], np.ndarray]:
    """Tokens, of which about half are words of the class, and the classes."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, CLASSES, rows)
    tokens = draw.integers(2, WORDS, (rows, LENGTH))
    telling = draw.random((rows, LENGTH)) < 0.5
    words = 2 + gold[:, None] * 10 + draw.integers(0, 10, (rows, LENGTH))  # ten words a class, which others use too
    return np.where(telling, words, tokens).tolist(), gold


def dataset(tokens: list[list[int]], labels: Iterable[int], gold: Iterable[int]) -> Dataset:
    columns = {"input_ids": tokens, "attention_mask": [[1] * LENGTH] * len(tokens)}
    return Dataset.from_dict({**columns, "labels": list(labels), "gold": list(gold)})


def trusted(noise: str, seed: int) -> Dataset:
    """Rows whose wrong labels are known to be wrong, for the method that asks for some."""
    tokens, gold = sentences(CLEAN, 10 * seed + 2)
    given = NOISES[noise](gold, RATE, CLASSES, seed=seed + 1).labels
    return dataset(tokens, gold, gold).add_column("given", given)


def small_bert(seed: int) -> BertForSequenceClassification:
    set_seed(seed)
    config = BertConfig(
        vocab_size=WORDS, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=LENGTH, num_labels=CLASSES,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def train(method: str, noise: str, seed: int, epochs: int = EPOCHS, **parameters: float) -> dict[str, float]:
    """Accuracy on clean test rows, and the share of right labels among all, and among those kept last and at best."""
    tokens, gold = sentences(TRAIN, 10 * seed)
    test_tokens, test_gold = sentences(TEST, 10 * seed + 1)
    noisy = NOISES[noise](gold, RATE, CLASSES, seed=seed)
    with tempfile.TemporaryDirectory() as folder:
        args = NoisyTrainingArguments(
            folder, noise_method=method, noise_kwargs=parameters, num_train_epochs=epochs, learning_rate=3e-3,
            per_device_train_batch_size=32, per_device_eval_batch_size=500, seed=seed, logging_strategy="epoch",
            save_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = NoisyTrainer(
            small_bert(seed), args, train_dataset=dataset(tokens, noisy.labels, gold), gold_column="gold",
            clean_dataset=trusted(noise, seed) if method == "mentornet_dd" else None,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        found = trainer.predict(dataset(test_tokens, test_gold, test_gold)).predictions.argmax(-1)
    precision = [log["selection_precision"] for log in trainer.state.log_history if "selection_precision" in log]
    kept = {"precision": precision[-1], "highest": max(precision)} if precision else {}
    return {"accuracy": float((found == test_gold).mean()), "clean": 1 - noisy.rate, **kept}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2, 3, 4])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    given = parser.parse_args()
    print("| noise | method | accuracy, last epoch | right among kept | right among all |\n|---|---|---|---|---|")
    for noise in NOISES:
        for method in given.methods:
            runs = [train(method, noise, seed, given.epochs, **METHODS[method]) for seed in given.seeds]
            cells = [spread([run[key] for run in runs if key in run]) for key in ("accuracy", "precision", "clean")]
            print(f"| {noise} | `{method}` | {' | '.join(cells)} |", flush=True)


def spread(values: list[float]) -> str:
    if not values:
        return ""
    deviation = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{deviation}"


if __name__ == "__main__":
    main()
