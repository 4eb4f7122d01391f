"""Methods with a transition matrix, on noise whose matrix is known.

    python tests/measure/noise_channels.py --output recipes/results/noise_channels.jsonl

makes sentences of twelve words, of which four in five depend on the class, turns labels wrong by a known matrix, and trains a
BERT of one layer from scratch for 6 epochs. It prints accuracy on clean test rows after the last epoch, and the distance
between the last matrix of the method and the true one (total variation, mean over rows; 0 means equal).
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable

import numpy as np
from datasets import Dataset
from reporting import Line, Results, add_output, distinct, spread, values
from transformers import BertConfig, BertForSequenceClassification, PrinterCallback, set_seed

from hf_noisy import NoisyTrainer, NoisyTrainingArguments
from hf_noisy.benchmark.cells import markdown_table
from hf_noisy.data.noise import NoisyLabels, asymmetric, pair, symmetric

CLASSES, WORDS, LENGTH = 4, 200, 12
TRAIN, TEST, CLEAN, EPOCHS = 3000, 1000, 60, 6
METHODS: dict[str, dict] = {
    "ce": {},
    "noise_adaptation": {"warmup_epochs": 1},
    "noise_adaptation_complex": {"warmup_epochs": 1},
    "forward": {"warmup_epochs": 1},
    "backward": {"warmup_epochs": 1},
    "glc": {"warmup_epochs": 1},
}


def dominant(gold: np.ndarray, seed: int) -> NoisyLabels:
    """A random matrix that keeps most labels of each class: 0.6 of the identity, the rest drawn."""
    drawn = np.random.default_rng(seed).dirichlet(np.ones(CLASSES), size=CLASSES)
    return asymmetric(gold, 0.6 * np.eye(CLASSES) + 0.4 * drawn, seed=seed)


NOISES: dict[str, Callable[[np.ndarray, int], NoisyLabels]] = {
    "symmetric 40 %": lambda gold, seed: symmetric(gold, 0.4, CLASSES, seed=seed),
    "pair 35 %": lambda gold, seed: pair(gold, 0.35, CLASSES, seed=seed),
    "random": dominant,
}


def sentences(rows: int, seed: int) -> tuple[list[list[int]], np.ndarray]:
    """Tokens, of which four in five are words of the class, and the classes."""
    draw = np.random.default_rng(seed)
    gold = draw.integers(0, CLASSES, rows)
    telling = draw.random((rows, LENGTH)) < 0.8
    words = 2 + gold[:, None] * 10 + draw.integers(0, 10, (rows, LENGTH))
    return np.where(telling, words, draw.integers(50, WORDS, (rows, LENGTH))).tolist(), gold


def dataset(tokens: list[list[int]], labels: np.ndarray) -> Dataset:
    return Dataset.from_dict({"input_ids": tokens, "attention_mask": [[1] * LENGTH] * len(tokens), "labels": labels})


def train(method: str, noise: str, seed: int, epochs: int = EPOCHS, **parameters: float) -> dict[str, float | None]:
    """Accuracy on clean test rows, and the distance of the method's matrix from the true one, if it has one."""
    tokens, gold = sentences(TRAIN, 10 * seed)
    noisy = NOISES[noise](gold, seed)
    set_seed(seed)
    model = BertForSequenceClassification(
        BertConfig(
            vocab_size=WORDS, hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=64,
            max_position_embeddings=LENGTH, num_labels=CLASSES,
        )
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        args = NoisyTrainingArguments(
            folder, noise_method=method, noise_kwargs=parameters, num_train_epochs=epochs, learning_rate=3e-3,
            per_device_train_batch_size=32, per_device_eval_batch_size=500, seed=seed, save_strategy="no",
            report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
        )  # fmt: skip
        trusted = dataset(*sentences(CLEAN, 10 * seed + 2)) if method == "glc" else None
        trainer = NoisyTrainer(model, args, train_dataset=dataset(tokens, noisy.labels), clean_dataset=trusted)
        trainer.remove_callback(PrinterCallback)
        trainer.train()
        test_tokens, test_gold = sentences(TEST, 10 * seed + 1)
        found = trainer.predict(dataset(test_tokens, test_gold)).predictions.argmax(-1)
    matrix = trainer.noise_matrix()
    distance = None if matrix is None else 0.5 * float(np.abs(matrix - noisy.transition).sum(1).mean())
    return {"accuracy": float((found == test_gold).mean()), "distance": distance}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=list(METHODS))
    add_output(parser)
    given = parser.parse_args()
    results = Results(given.output)
    for seed in given.seeds:
        for noise in NOISES:
            for method in given.methods:
                run = {"noise": noise, "method": method, "seed": seed, "epochs": given.epochs}
                line = results.once(run, lambda run=run: train(**run, **METHODS[run["method"]]))
                print(f"{noise}, {method}, seed {seed}: {line['accuracy']:.3f}", flush=True)
    print(f"\n{table(results.lines)}")


def table(lines: list[Line]) -> str:
    """A row per method; of each noise the accuracy and the distance of the matrix."""
    noises = distinct(lines, "noise")
    header = ["method", *(title for noise in noises for title in (f"{noise}: accuracy", "distance of the matrix"))]
    return markdown_table(
        header,
        [
            [f"`{method}`"]
            + [
                spread(values(lines, key, noise=noise, method=method))
                for noise in noises
                for key in ("accuracy", "distance")
            ]
            for method in distinct(lines, "method")
        ],
    )


if __name__ == "__main__":
    main()
