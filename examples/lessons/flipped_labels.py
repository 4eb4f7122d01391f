# %% [markdown]
"""
# What wrong labels do to a model

One label in five is wrong, at random. A network with enough weights first learns what the right labels have in common, and
then the wrong ones by heart. Here is how that looks, on points in the plane and on texts, and what a robust loss changes.

    python examples/lessons/flipped_labels.py

takes about a minute on two cores, needs no network, and writes its figures into `output/lessons`.
"""

# %%
import copy
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import make_moons
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
from hf_noisy.data.noise import symmetric
from hf_noisy.data.splits import tokenize

QUICK = "HF_NOISY_QUICK" in os.environ  # what the tests set
STEPS, SEEDS = (20, [0]) if QUICK else (1500, [0, 1, 2])
ROWS, TEST_ROWS, EPOCHS = (80, 40, 2) if QUICK else (1500, 1000, 10)
RATE = 0.2
CRITERIA = {"cross-entropy": CrossEntropy(), "generalized cross-entropy": GeneralizedCrossEntropy(q=0.7)}
COLOURS = {"cross-entropy": "tab:red", "generalized cross-entropy": "tab:green"}
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
datasets.disable_progress_bars()

# %% [markdown]
# ## Points
#
# Two half moons of 200 points each. `symmetric` turns 20 % of the labels and says which labels came out of it. A criterion of
# `hf_noisy` is a function of log-probabilities and labels that gives a loss an example, so it works in any loop.


# %%
def points(seed: int) -> tuple[torch.Tensor, np.ndarray]:
    places, gold = make_moons(400, noise=0.2, random_state=seed)
    return torch.tensor(places, dtype=torch.float32), gold


def fit(places: torch.Tensor, labels: np.ndarray, criterion: Criterion, seed: int) -> torch.nn.Module:
    """A network of two hidden layers, large enough to learn every label by heart."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(
        torch.nn.Linear(2, 200), torch.nn.ReLU(), torch.nn.Linear(200, 200), torch.nn.ReLU(), torch.nn.Linear(200, 2)
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for _ in range(STEPS):
        optimizer.zero_grad()
        losses = criterion(network(places).log_softmax(-1), torch.from_numpy(labels))
        losses.mean().backward()
        optimizer.step()
    return network


def predict(network: torch.nn.Module, places: torch.Tensor) -> np.ndarray:
    with torch.no_grad():
        return network(places).argmax(-1).numpy()


# %% [markdown]
# Two numbers say what happened: the accuracy on clean points that the network never saw, and the share of the wrong labels
# that it now repeats. A network that learned nothing but the moons would repeat few.

# %%
drawn = {}
print("| points, test accuracy | " + " | ".join(f"seed {seed}" for seed in SEEDS) + " | wrong labels repeated |")
print("|---|" + "---|" * (len(SEEDS) + 1))
for name, criterion in CRITERIA.items():
    accuracies, repeated = [], []
    for seed in SEEDS:
        places, gold = points(seed)
        labels = symmetric(gold, RATE, 2, seed=seed).labels
        network = fit(places, labels, criterion, seed)
        test_places, test_gold = points(seed + 100)
        wrong = labels != gold
        accuracies.append((predict(network, test_places) == test_gold).mean())
        repeated.append((predict(network, places) == labels)[wrong].mean())
        if seed == SEEDS[0]:
            drawn[name] = network
    print(f"| {name} | {' | '.join(f'{value:.3f}' for value in accuracies)} | {np.mean(repeated):.2f} |")

# %% [markdown]
# The colour of the background is what the network would say; points with a ring have a wrong label.


# %%
def draw(axes, network: torch.nn.Module | None, places: torch.Tensor, labels: np.ndarray, wrong: np.ndarray) -> None:
    if network is not None:
        across, up = np.meshgrid(np.linspace(-1.8, 2.8, 300), np.linspace(-1.3, 1.8, 300))
        grid = torch.tensor(np.stack([across.ravel(), up.ravel()], 1), dtype=torch.float32)
        axes.contourf(across, up, predict(network, grid).reshape(across.shape), levels=1, cmap="coolwarm", alpha=0.35)
    axes.scatter(*places.T, c=labels, cmap="coolwarm", s=14)
    axes.scatter(*places[wrong].T, facecolors="none", edgecolors="black", s=45, linewidths=0.8)
    axes.set(xlim=(-1.8, 2.8), ylim=(-1.3, 1.8), xticks=[], yticks=[])


places, gold = points(SEEDS[0])
labels = symmetric(gold, RATE, 2, seed=SEEDS[0]).labels
figure, panels = plt.subplots(1, 3, figsize=(13, 4), layout="constrained")
for axes, (name, network) in zip(panels, {"labels as given": None, **drawn}.items(), strict=True):
    draw(axes, network, places, labels, labels != gold)
    axes.set_title(name)
figure.savefig(OUTPUT / "flipped_points.png", dpi=120)

# %% [markdown]
# ## Texts
#
# The same with short reviews and a small encoder from scratch. `eval_dataset` may be a dictionary: after each epoch the Trainer
# measures accuracy on clean test rows, and on the training rows with a wrong label how many of these labels the model repeats.
# (Gold labels measure here; no loss sees them.)

# %%
rows, test = generate_reviews(ROWS, seed=1), generate_reviews(TEST_ROWS, seed=2)
gold = np.array(rows["gold"][:])
labels = symmetric(gold, RATE, 2, seed=0).labels
start, tokenizer = small_encoder(rows["text"][:], CLASS_NAMES, seed=0)
train_rows = tokenize(rows.select_columns(["text"]).add_column("labels", labels), tokenizer, 48)
test_rows = tokenize(test.select_columns(["text", "gold"]), tokenizer, 48).rename_column("gold", "labels")
wrong_rows = train_rows.select(np.flatnonzero(labels != gold))

curves = {}
for name, criterion in CRITERIA.items():
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=32,
        per_device_eval_batch_size=500, eval_strategy="epoch", logging_strategy="no", save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(
        copy.deepcopy(start), args, train_dataset=train_rows, eval_dataset={"test": test_rows, "wrong": wrong_rows},
        processing_class=tokenizer, compute_metrics=compute_metrics, criterion=criterion,
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    curves[name] = {
        key: [log[key] for log in trainer.state.log_history if key in log]
        for key in ("eval_test_accuracy", "eval_wrong_accuracy")
    }

# %%
print("| reviews | best epoch on the test rows | last epoch | wrong labels repeated, last epoch |\n|---|---|---|---|")
for name, curve in curves.items():
    test_curve = curve["eval_test_accuracy"]
    repeated = curve["eval_wrong_accuracy"][-1]
    print(f"| {name} | {max(test_curve):.3f} ({np.argmax(test_curve) + 1}) | {test_curve[-1]:.3f} | {repeated:.2f} |")

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
for name, curve in curves.items():
    epochs = range(1, EPOCHS + 1)
    left.plot(epochs, curve["eval_test_accuracy"], color=COLOURS[name], label=name)
    right.plot(epochs, curve["eval_wrong_accuracy"], color=COLOURS[name], label=name)
left.set(title="accuracy on clean test rows", xlabel="epoch")
right.set(title="share of the wrong labels that the model repeats", xlabel="epoch", ylim=(0, 1))
left.legend()
figure.savefig(OUTPUT / "flipped_reviews.png", dpi=120)

# %% [markdown]
# Wrong at random is the easy case: a wrong label has nothing in the text that would teach it, so it costs many steps and a loss
# that doubts what is hard to learn doubts the right rows. Rules, crowds and models err for reasons that a text shows; see
# `labeling_functions.py` for what is left of the gain there.
