"""Shared helpers for tests: a tiny random BERT, token rows, and a trainer for both. Everything is offline."""

from __future__ import annotations

import gc
import os
from collections import Counter

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["OMP_NUM_THREADS"] = "1"  # threads of parallel processes would block each other
os.environ["OPENBLAS_NUM_THREADS"] = "1"

import datasets
import hypothesis  # noqa: F401 (imported after gc.freeze, as in its summary of a run, it warns)
import numpy as np
import pytest
import torch
from transformers import BertConfig, BertForSequenceClassification, TrainerCallback, set_seed

from hf_noisy import METHODS, NoiseCallback, NoisyTrainer, NoisyTrainingArguments
from hf_noisy.data.columns import columns_of
from hf_noisy.evidence.inference import noise_fits

datasets.disable_progress_bars()


@pytest.fixture(autouse=True, scope="module")
def _modules_are_no_garbage():
    """Exclude imported modules from garbage collection. The Trainer collects before each training, which else dominates."""
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _inference_in_few_steps(request, monkeypatch):
    """Where a test does not ask how well classes are inferred, a few steps do: most of it is a fixed cost of seconds."""
    place = request.path.parts
    if "evidence" in place or "audit" in place or "truth_inference" in request.path.name:
        return
    monkeypatch.setattr(noise_fits, "_STEPS", 3)
    monkeypatch.setattr(noise_fits, "_PENALTIES", (0.03,))


def tiny_model(classes: int = 3, *, dropout: float = 0.0, seed: int = 0, **config) -> BertForSequenceClassification:
    set_seed(seed)
    return BertForSequenceClassification(
        BertConfig(
            vocab_size=40,
            hidden_size=16,
            num_hidden_layers=1,
            num_attention_heads=2,
            intermediate_size=16,
            max_position_embeddings=16,
            hidden_dropout_prob=dropout,
            attention_probs_dropout_prob=dropout,
            num_labels=classes,
            **config,
        )
    )


class BagOfWords(torch.nn.Module):
    """A module of one's own, without a configuration. Its outputs are the logits, or a tuple with the loss before them."""

    def __init__(self, outputs: int = 3, num_labels: int | None = None) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.words, self.hidden, self.out = (
            torch.nn.Embedding(40, 8),
            torch.nn.Linear(8, 8),
            torch.nn.Linear(8, outputs),
        )
        if num_labels is not None:
            self.num_labels = num_labels

    def forward(self, input_ids, attention_mask=None, labels=None):
        logits = self.out(self.hidden(self.words(input_ids).mean(1)).relu())
        return logits if labels is None else (torch.nn.functional.cross_entropy(logits, labels), logits)


def token_rows(rows: int, *, seed: int = 0, length: int = 6) -> dict[str, list]:
    generator = np.random.default_rng(seed)
    ids = generator.integers(1, 40, size=(rows, length))
    return {"input_ids": ids.tolist(), "attention_mask": np.ones_like(ids).tolist()}


def token_dataset(rows: int, labels=None, *, classes: int = 3, seed: int = 0) -> datasets.Dataset:
    """Random token rows. Unless labels are given, they depend on the first token, so that they can be learned.

    With enough rows, every class occurs.
    """
    columns = token_rows(rows, seed=seed)
    for k in range(min(rows, classes) if labels is None else 0):
        columns["input_ids"][k][0] = classes + k if classes + k < 40 else k
    columns["labels"] = [row[0] % classes for row in columns["input_ids"]] if labels is None else labels
    return datasets.Dataset.from_dict(columns)


def votes_on(dataset: datasets.Dataset) -> list[list[int]]:
    """Votes of three sources for the first two classes, or abstentions, by the second token. The first row has a vote."""
    seconds = [row[min(1, len(row) - 1)] for row in dataset["input_ids"][:]]
    return [
        [0 if k == 0 else token % 2, (token // 2) % 3 - 1, -1 if token % 5 else 1] for k, token in enumerate(seconds)
    ]


def make_args(folder, **fields) -> NoisyTrainingArguments:
    """Arguments that either class trains with: two epochs in batches of 4, nothing reported."""
    fields = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "report_to": "none", "use_cpu": True} | fields
    return NoisyTrainingArguments(str(folder), disable_tqdm=True, **fields)


def make_trainer(folder, dataset=None, *, model=None, rows: int = 20, kind=NoisyTrainer, **arguments) -> NoisyTrainer:
    """A NoisyTrainer, or a subclass, with the tiny model. `arguments` go to the trainer or to its training arguments, by name."""
    own = {
        "criterion",
        "gold_column",
        "clean_dataset",
        "callbacks",
        "eval_dataset",
        "compute_metrics",
        "data_collator",
        "model_init",
        "processing_class",
    }
    trainer_arguments = {name: arguments.pop(name) for name in own & arguments.keys()}
    method = METHODS.get(arguments.get("noise_method"))
    if method is not None and method.reads_clean:
        clean = token_dataset(12, [0, 1] * 6, seed=7).add_column("given", [0, 1, 1, 0, -1, 1] * 2)
        trainer_arguments.setdefault("clean_dataset", clean)
    dataset = token_dataset(rows) if dataset is None else dataset
    if method is not None and method.reads_votes and "weak_labels" not in columns_of(dataset):
        dataset = dataset.add_column("weak_labels", votes_on(dataset))
    defaults = {
        "per_device_train_batch_size": 4,
        "num_train_epochs": 2,
        "learning_rate": 1e-2,
        "report_to": "none",
        "use_cpu": True,
        "disable_tqdm": True,
        "save_strategy": "no",
        "dataloader_pin_memory": False,
        "logging_steps": 1,
    }
    args = NoisyTrainingArguments(output_dir=str(folder), **{**defaults, **arguments})
    if model is None and "model_init" not in trainer_arguments:
        model = tiny_model()
    return kind(model, args, train_dataset=dataset, **trainer_arguments)


ONE_STEP = {
    "num_train_epochs": 1,
    "optim": "sgd",
    "learning_rate": 1.0,
    "lr_scheduler_type": "constant",
    "max_grad_norm": 0.0,
}


class Gradients(TrainerCallback):
    """Keeps the gradient of each optimizer step."""

    def __init__(self) -> None:
        self.steps: list[torch.Tensor] = []

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        self.steps.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).clone())


def gradient(folder, dataset, **arguments) -> torch.Tensor:
    """The gradient of the only optimizer step of one epoch."""
    watch = Gradients()
    callbacks = [watch, *arguments.pop("callbacks", [])]
    make_trainer(folder, dataset, callbacks=callbacks, **{**ONE_STEP, **arguments}).train()
    (only,) = watch.steps
    return only


def relative_difference(found: torch.Tensor, expected: torch.Tensor) -> float:
    assert expected.norm() > 1e-4
    return float((found - expected).norm() / expected.norm())


def flat_weights(model: torch.nn.Module) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def pytest_xdist_auto_num_workers(config):
    """One worker more than cores, since some tests wait for subprocesses."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_modifyitems(items):
    """Run files with many slow tests first, so that no single worker runs them at the end."""
    slow = Counter(item.path for item in items if item.get_closest_marker("slow"))
    items.sort(key=lambda item: -slow[item.path])


class StopAt(TrainerCallback):
    """Saves a checkpoint at a step and stops there, like a preempted node."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_step_end(self, args, state, control, **kwargs):
        control.should_training_stop = control.should_save = state.global_step == self.step


class Two(NoiseCallback):
    """Trains two networks on the same targets."""

    num_networks = 2


def same(left, right) -> bool:
    logs = [
        [
            {k: v for k, v in entry.items() if k in ("loss", "step", "grad_norm", "kept_share")}
            for entry in t.state.log_history[:-1]
        ]
        for t in (left, right)
    ]
    return (
        torch.equal(flat_weights(left.model), flat_weights(right.model))
        and str(left.example_report().to_dict()) == str(right.example_report().to_dict())
        and logs[0] == logs[1]
    )
