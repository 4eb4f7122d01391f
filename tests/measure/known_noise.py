"""Every method that needs no votes, on noise of a known kind, with a network that would memorise it.

    python tests/measure/known_noise.py --output recipes/results/known_noise.jsonl

makes sentences of twelve words, of which half depend on the class, turns 40 % of the labels wrong (at random, or always into
the next class), and trains a BERT of one layer from scratch for 30 epochs with each method. It prints accuracy on clean test
rows after the last epoch, the gain over cross-entropy, and which share of the labels that the method used is right.
Parameters are the defaults, with these exceptions: methods that take a rate get the true one, and methods that warm up
get a few epochs more (`PARAMETERS`).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterable
from typing import Any

import numpy as np
from datasets import Dataset
from reporting import Line, Results, add_output, distinct, spread, values
from transformers import BertConfig, BertForSequenceClassification, PrinterCallback, set_seed

from hf_noisy import METHODS, NoisyTrainer, NoisyTrainingArguments
from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.data.noise import pair, symmetric

CLASSES, WORDS, LENGTH = 4, 200, 12
TRAIN, TEST, CLEAN, EPOCHS = 800, 1000, 60, 30
RATE = 0.4
NOISES = {"symmetric": symmetric, "pair": pair}
KNOWN = {"forget_rate": RATE, "ramp_epochs": 6}  # ramp_epochs: what is easy must have been learned
PARAMETERS: dict[str, dict[str, Any]] = {
    "co_teaching": KNOWN,
    "co_teaching_plus": {**KNOWN, "warmup": 0.2},
    "jocor": KNOWN,
    "mentornet_pd": {"loss_percentile": 1 - RATE},
    "mentornet_dd": {"loss_percentile": 1 - RATE},
    "dividemix": {"warmup_epochs": 3},
    "selfmix": {"warmup_epochs": 3},
    "uniform_mixture": {"noise_rate": RATE},
}
MEASURED = [name for name, method in METHODS.items() if not method.reads_votes]


def sentences(rows: int, seed: int) -> tuple[list[list[int]], np.ndarray]:
    """Tokens, of which about half are words of the class, and the classes."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, CLASSES, rows)
    tokens = draw.integers(2, WORDS, (rows, LENGTH))
    telling = draw.random((rows, LENGTH)) < 0.5
    words = 2 + gold[:, None] * 10 + draw.integers(0, 10, (rows, LENGTH))  # ten words a class, which others use too
    return np.where(telling, words, tokens).tolist(), gold


def dataset(tokens: list[list[int]], labels: Iterable[int], gold: Iterable[int]) -> Dataset:
    """The text of a row is its tokens as words, for methods that read texts."""
    texts = [" ".join(f"w{token}" for token in row) for row in tokens]
    columns = {"input_ids": tokens, "attention_mask": [[1] * LENGTH] * len(tokens), "text": texts}
    return Dataset.from_dict({**columns, "labels": list(labels), "gold": list(gold)})


def trusted(noise: str, seed: int) -> Dataset:
    """Rows with the true label and the noisy one, for methods that need some."""
    tokens, gold = sentences(CLEAN, 10 * seed + 2)
    given = NOISES[noise](gold, RATE, CLASSES, seed=seed + 1).labels
    return dataset(tokens, gold, gold).remove_columns("text").add_column("given", given)


def small_bert(seed: int) -> BertForSequenceClassification:
    set_seed(seed)
    config = BertConfig(
        vocab_size=WORDS, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
        max_position_embeddings=LENGTH, num_labels=CLASSES,
    )  # fmt: skip
    return BertForSequenceClassification(config)


def train(method: str, noise: str, seed: int, epochs: int = EPOCHS, **parameters: Any) -> dict[str, Any]:
    """Accuracy on clean test rows, and the share of right labels among all, and among those used last and at best."""
    tokens, gold = sentences(TRAIN, 10 * seed)
    test_tokens, test_gold = sentences(TEST, 10 * seed + 1)
    noisy = NOISES[noise](gold, RATE, CLASSES, seed=seed)
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        args = NoisyTrainingArguments(
            folder, noise_method=method, noise_kwargs=parameters, num_train_epochs=epochs, learning_rate=3e-3,
            per_device_train_batch_size=32, per_device_eval_batch_size=500, seed=seed, logging_strategy="epoch",
            save_strategy="no", report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trainer = NoisyTrainer(
            small_bert(seed), args, train_dataset=dataset(tokens, noisy.labels, gold), gold_column="gold",
            clean_dataset=trusted(noise, seed) if METHODS[method].reads_clean else None,
        )  # fmt: skip
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        found = trainer.predict(dataset(test_tokens, test_gold, test_gold)).predictions.argmax(-1)
    precision = [log["selection_precision"] for log in trainer.state.log_history if "selection_precision" in log]
    return {
        "accuracy": float((found == test_gold).mean()),
        "clean": 1 - noisy.rate,
        "precision": precision[-1] if precision else None,
        "highest": max(precision) if precision else None,
        "seconds": round(time.perf_counter() - began, 1),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--methods", nargs="+", default=MEASURED, choices=MEASURED, metavar="NAME")
    add_output(parser)
    given = parser.parse_args()
    results = Results(given.output)
    for seed in given.seeds:
        for noise in NOISES:
            for method in given.methods:
                run = {"noise": noise, "method": method, "seed": seed, "epochs": given.epochs}
                run["parameters"] = PARAMETERS.get(method, {})
                line = results.once(run, lambda run=run: measured(run))
                print(f"{noise}, {method}, seed {seed}: {line['accuracy']:.3f}, {line['seconds']} s", flush=True)
    print(f"\n{table(results.lines)}")


def measured(run: Line) -> dict[str, Any]:
    return train(run["method"], run["noise"], run["seed"], run["epochs"], **run["parameters"])


def table(lines: list[Line]) -> str:
    """A row per method, by its mean accuracy: of each noise accuracy, gain over cross-entropy, right labels among used."""
    noises, methods = distinct(lines, "noise"), distinct(lines, "method")
    header = ["method"]
    for noise in noises:
        header += [f"{noise}: accuracy", "gain on `ce`, points", "right labels among used"]
    order = sorted(methods, key=lambda name: -sum(values(lines, "accuracy", method=name)))
    return markdown_table(header, [[f"`{name}`", *cells(lines, noises, name)] for name in order])


def cells(lines: list[Line], noises: list[str], method: str) -> list[str]:
    found = []
    for noise in noises:
        gains = gains_of(lines, noise, method)
        found += [
            spread(values(lines, "accuracy", noise=noise, method=method)),
            "" if method == "ce" or not gains else f"{100 * sum(gains) / len(gains):+.1f}",
            spread(values(lines, "precision", noise=noise, method=method)),
        ]
    return found


def gains_of(lines: list[Line], noise: str, method: str) -> list[float]:
    """Accuracy minus that of cross-entropy, for each seed that both have."""
    ours, base = (
        {line["seed"]: line["accuracy"] for line in lines if (line["noise"], line["method"]) == (noise, name)}
        for name in (method, "ce")
    )
    return [ours[seed] - base[seed] for seed in ours if seed in base]


if __name__ == "__main__":
    main()
