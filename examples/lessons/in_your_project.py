# %% [markdown]
"""
# `NoisyTrainer` in your project

A project has a Trainer of its own: uneven classes get weights, evaluation says more than accuracy, the loss has one more term.
`NoisyTrainer` is a `Trainer`, so it is subclassed like one, and what it does about wrong labels stays.

    python examples/lessons/in_your_project.py

takes about a minute on two cores, needs no network, and writes its figure into `output/lessons`.
"""

# %%
import copy
import os
from dataclasses import dataclass
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import torch
from transformers import PrinterCallback, set_seed

from hf_noisy import (
    Criterion,
    CrossEntropy,
    GeneralizedCrossEntropy,
    NoisyTrainer,
    NoisyTrainingArguments,
    compute_metrics,
)
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.noise import asymmetric
from hf_noisy.data.splits import tokenize

QUICK = "HF_NOISY_QUICK" in os.environ  # what the tests set
ROWS, TEST_ROWS, EPOCHS = (200, 60, 1) if QUICK else (4000, 1000, 6)
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
datasets.disable_progress_bars()

# %% [markdown]
# ## Uneven classes, wrong labels
#
# One review in six is negative. Of the negative ones 30 % are labelled positive (people click four stars out of politeness), of the
# positive ones 5 % negative. `asymmetric` takes the matrix: row i says how true class i is labelled.


# %%
def uneven(rows: datasets.Dataset, share: float = 0.2) -> datasets.Dataset:
    """All positive rows, and a part of the negative ones."""
    positive = np.array(rows["gold"][:]) == 1
    return rows.select(np.flatnonzero(positive | (np.random.default_rng(0).random(len(rows)) < share)))


rows, test = uneven(generate_reviews(ROWS, seed=1)), uneven(generate_reviews(2 * TEST_ROWS, seed=2))
gold = np.array(rows["gold"][:])
labels = asymmetric(gold, [[0.7, 0.3], [0.05, 0.95]], seed=0).labels
print(f"{len(rows)} rows, {(gold == 0).mean():.1%} negative, {(labels != gold).mean():.1%} of the labels wrong")

start, tokenizer = small_encoder(rows["text"][:], CLASS_NAMES, seed=0)
train_rows = tokenize(rows.select_columns(["text"]).add_column("labels", labels), tokenizer, 48)
test_rows = tokenize(test.select_columns(["text", "gold", "reason"]), tokenizer, 48).rename_column("gold", "labels")

# %% [markdown]
# ## A criterion with class weights
#
# A criterion says what an example would cost if each class were its label. Weights multiply that, whatever the criterion, and soft
# labels and abstained rows are seen to by the base class. The frozen dataclass gives a stable `repr`, by which a checkpoint knows
# what it was trained with.


# %%
@dataclass(frozen=True)
class ClassWeighted(Criterion):
    """Costs an example what `criterion` says, times the weight of its label."""

    criterion: Criterion
    weights: tuple[float, ...]  # one a class

    def per_class(self, log_probs: torch.Tensor) -> torch.Tensor:
        return self.criterion.per_class(log_probs) * log_probs.new_tensor(self.weights)


def balanced(labels: np.ndarray) -> tuple[float, ...]:
    """Weights under which every class counts alike, 1 on average over the rows."""
    counts = np.bincount(labels)
    return tuple(float(weight) for weight in len(labels) / (len(counts) * counts))


# %% [markdown]
# ## A Trainer of one's own
#
# `compute_loss` adds a term, here a small price for predictions that are too sure. It must be divided as the loss is: by
# `num_items_in_batch`, the rows of the whole step, not by those of this batch, or accumulated batches would count double; and times
# the number of processes, over which gradients are averaged. Where a term needs no more than predictions and labels, the `penalty`
# event of a `NoiseCallback` is simpler, for it is divided already.
#
# `evaluate` adds the recall of the rare class and the accuracy on each kind of text. `evaluation_loop` keeps what the model said, so
# that no second pass is needed.


# %%
class ReviewTrainer(NoisyTrainer):
    """Keeps predictions from being too sure, and evaluates by the reason for which a review may mislead."""

    confidence_price = 0.1

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        if model.training:
            log_probs = outputs.logits.log_softmax(-1)
            sureness = (log_probs.exp() * log_probs).sum()  # minus the entropy, over the rows of this batch
            loss = loss + self.confidence_price * sureness / num_items_in_batch * self.args.world_size
        return (loss, outputs) if return_outputs else loss

    def evaluation_loop(self, *args, **kwargs):
        self.said = super().evaluation_loop(*args, **kwargs)
        return self.said

    def evaluate(self, eval_dataset=None, ignore_keys=None, metric_key_prefix="eval"):
        metrics = super().evaluate(eval_dataset, ignore_keys, metric_key_prefix)
        dataset = self.eval_dataset if eval_dataset is None else eval_dataset
        labels, reasons = self.said.label_ids, np.array(dataset["reason"][:])
        right = self.said.predictions.argmax(-1) == labels
        metrics[f"{metric_key_prefix}_recall_negative"] = float(right[labels == 0].mean())
        for reason in np.unique(reasons):
            metrics[f"{metric_key_prefix}_accuracy_{reason}"] = float(right[reasons == reason].mean())
        return metrics


# %%
WEIGHTS = balanced(labels)
CRITERIA = {
    "cross-entropy": CrossEntropy(),
    "gce": GeneralizedCrossEntropy(q=0.7),
    "cross-entropy, class weights": ClassWeighted(CrossEntropy(), WEIGHTS),
    "gce, class weights": ClassWeighted(GeneralizedCrossEntropy(q=0.7), WEIGHTS),
}
results = {}
for name, criterion in CRITERIA.items():
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=16,
        gradient_accumulation_steps=2, per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = ReviewTrainer(
        copy.deepcopy(start), args, train_dataset=train_rows, eval_dataset=test_rows, processing_class=tokenizer,
        compute_metrics=compute_metrics, criterion=criterion,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    results[name] = trainer.evaluate()

print("\n| loss | accuracy | macro-F1 | recall of negative |\n|---|---|---|---|")
for name, found in results.items():
    cells = [found[f"eval_{key}"] for key in ("accuracy", "f1", "recall_negative")]
    print(f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |")

# %% [markdown]
# Accuracy is high whatever happens, since five rows in six are positive: macro-F1 and the recall of the rare class say more. The
# figure says on which texts the models err; a kind with a hundred rows moves by points with every seed.

# %%
reasons = np.unique(test["reason"][:])
figure, axes = plt.subplots(figsize=(8.5, 4.8), layout="constrained")
places = np.arange(len(reasons))
for offset, (name, found) in zip((-0.3, -0.1, 0.1, 0.3), results.items(), strict=True):
    axes.plot([found[f"eval_accuracy_{reason}"] for reason in reasons], places + offset, "o", label=name)
axes.hlines(places[1:] - 0.5, 0, 1, color="lightgrey", linewidth=0.6)
rows_of = [f"{reason} ({(np.array(test['reason'][:]) == reason).sum()} rows)" for reason in reasons]
axes.set(yticks=places, yticklabels=rows_of, xlabel="accuracy on clean test rows, by what may mislead")
axes.set_xlim(min(min(line.get_xdata()) for line in axes.get_lines()) - 0.02, 1.01)
axes.invert_yaxis()
figure.legend(loc="outside upper center", ncols=4, fontsize=9)
figure.savefig(OUTPUT / "in_your_project.png", dpi=120)
