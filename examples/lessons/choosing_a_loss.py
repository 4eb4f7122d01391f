# %% [markdown]
"""
# Choosing a loss

What a loss does with an example is how hard it pulls at a label that the model finds likely or unlikely. This draws the pull of
each criterion, and then compares some of them on labels that are wrong at random and on labels that are wrong by a rule.

    python examples/lessons/choosing_a_loss.py

takes about a minute and a half on two cores, needs no network, and writes its figures into `output/lessons`.
"""

# %%
import copy
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import torch
from transformers import PrinterCallback, set_seed

from hf_noisy import (
    ActivePassive,
    Bootstrapping,
    Criterion,
    CrossEntropy,
    GeneralizedCrossEntropy,
    LabelSmoothing,
    MeanAbsoluteError,
    NoisyTrainer,
    NoisyTrainingArguments,
    SymmetricCrossEntropy,
    apply_labeling_functions,
    hard_labels,
    majority_vote,
)
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.noise import symmetric
from hf_noisy.data.splits import tokenize
from hf_noisy.weak.votes import votes_of

QUICK = "HF_NOISY_QUICK" in os.environ  # what the tests set
ROWS, TEST_ROWS, EPOCHS, SEEDS = (80, 40, 1, [0]) if QUICK else (800, 1000, 6, [0, 1])
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
datasets.disable_progress_bars()

CRITERIA: dict[str, Criterion] = {
    "CrossEntropy": CrossEntropy(),
    "GeneralizedCrossEntropy": GeneralizedCrossEntropy(q=0.7),
    "MeanAbsoluteError": MeanAbsoluteError(),
    "SymmetricCrossEntropy": SymmetricCrossEntropy(alpha=0.1, beta=1.0),
    "LabelSmoothing": LabelSmoothing(epsilon=0.1),
    "ActivePassive (NCE + RCE)": ActivePassive(passive="rce"),
    "Bootstrapping (soft)": Bootstrapping(kind="soft"),
}

# %% [markdown]
# ## How hard each one pulls
#
# Let p be the probability that the model gives the label; the other classes share the rest evenly. The pull is the derivative of
# the loss by the logit of the label, with its sign turned: how hard a step pushes that logit up. The length of a loss is
# arbitrary (a learning rate can undo it), so each curve is scaled to a highest pull of 1: only the shape counts.
#
# Cross-entropy pulls hardest at labels that the model finds impossible, which is where wrong labels are once the model knows
# something. The robust ones let go there. That is also their price: before the model knows anything, every label among many
# classes has a small p, and a loss that lets go of small p hardly begins to learn.


# %%
def pull(criterion: Criterion, classes: int, p: torch.Tensor) -> torch.Tensor:
    """(points,) - dL / dz_y, where the label is class 0 and has probability p."""
    others = ((1 - p) / (classes - 1)).unsqueeze(-1).expand(-1, classes - 1)
    logits = torch.cat([p.unsqueeze(-1), others], -1).log().requires_grad_()
    criterion(logits.log_softmax(-1), torch.zeros(len(p), dtype=torch.long)).sum().backward()
    return -logits.grad[:, 0]


p = torch.linspace(0.001, 0.999, 400, dtype=torch.float64)
figure, panels = plt.subplots(1, 2, figsize=(12, 5), layout="constrained", sharey=True)
for axes, classes in zip(panels, (2, 20), strict=True):
    for name, criterion in CRITERIA.items():
        pulls = pull(criterion, classes, p)
        style = "--" if name in ("LabelSmoothing", "Bootstrapping (soft)") else "-"
        axes.plot(p, pulls / pulls.max(), style, label=name, color="black" if name == "CrossEntropy" else None)
    axes.axvline(1 / classes, color="grey", linewidth=0.8, linestyle=":")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(title=f"{classes} classes (dotted: where training begins)", xlabel="probability of the label")
panels[0].set_ylabel("pull at the label's logit, highest = 1")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=9)
figure.savefig(OUTPUT / "pull_of_losses.png", dpi=120)

# %% [markdown]
# In numbers: the pull as a share of the highest, at a label that the model finds unlikely (p = 0.02), and where training begins. Label
# smoothing is the only one that turns below zero: it pulls back from a label that the model is too sure of.

# %%
print("| pull, highest = 1 | p = 0.02, 2 classes | start, 2 classes | start, 20 classes |\n|---|---|---|---|")
for name, criterion in CRITERIA.items():
    shares = []
    for classes, where in ((2, 0.02), (2, 1 / 2), (20, 1 / 20)):
        pulls = pull(criterion, classes, p)
        shares.append(float(pulls[(p - where).abs().argmin()] / pulls.max()))
    print(f"| {name} | " + " | ".join(f"{share:.2f}" for share in shares) + " |")

# %% [markdown]
# ## A small comparison
#
# Reviews with two kinds of wrong labels: 25 % turned at random, and the majority vote of thirteen labeling functions, which is
# wrong about as often but for reasons that a text shows. Five criteria see the same rows, weights, steps and learning rate, and are
# measured on clean test rows after the last epoch.


# %%
def noisy_labels(kind: str, rows: datasets.Dataset, seed: int) -> np.ndarray:
    """(rows,) -1 where no labeling function votes."""
    if kind == "at random":
        return symmetric(rows["gold"][:], 0.25, 2, seed=seed).labels
    votes = votes_of(apply_labeling_functions(rows, labeling_functions()))
    return hard_labels(majority_vote(votes, 2), seed=seed)


def accuracy(criterion: Criterion, train_rows: datasets.Dataset, test_rows: datasets.Dataset, seed: int) -> float:
    set_seed(seed)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=32,
        per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no", report_to="none", seed=seed,
        disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(
        copy.deepcopy(start), args, train_dataset=train_rows, processing_class=tokenizer, criterion=criterion
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    found = trainer.predict(test_rows.remove_columns("gold")).predictions.argmax(-1)
    return float((found == np.array(test_rows["gold"][:])).mean())


KINDS = ("at random", "by a rule")
COMPARED = [name for name in CRITERIA if name not in ("LabelSmoothing", "ActivePassive (NCE + RCE)")]  # for time
results = {name: {kind: [] for kind in KINDS} for name in COMPARED}
for seed in SEEDS:
    rows, test = generate_reviews(ROWS, 2 * seed + 1), generate_reviews(TEST_ROWS, 2 * seed + 2)
    start, tokenizer = small_encoder(rows["text"][:], CLASS_NAMES, seed=seed)
    train_rows, test_rows = (tokenize(part.select_columns(["text", "gold"]), tokenizer, 48) for part in (rows, test))
    for kind in KINDS:
        labels = noisy_labels(kind, rows, seed)
        wrong = (labels != np.array(rows["gold"][:]))[labels >= 0].mean()
        print(f"seed {seed}, {kind}: {wrong:.1%} of the labels are wrong")
        labelled = train_rows.remove_columns("gold").add_column("labels", labels)
        for name in COMPARED:
            results[name][kind].append(accuracy(CRITERIA[name], labelled, test_rows, seed))

# %%
print("\n| test accuracy, each seed | " + " | ".join(KINDS) + " |\n|---|---|---|")
for name, found in results.items():
    print(f"| {name} | " + " | ".join(", ".join(f"{value:.3f}" for value in found[kind]) for kind in KINDS) + " |")

figure, axes = plt.subplots(figsize=(9, 4), layout="constrained")
places = np.arange(len(COMPARED))
for offset, kind, colour in ((-0.15, "at random", "tab:blue"), (0.15, "by a rule", "tab:orange")):
    values = np.array([results[name][kind] for name in COMPARED])  # (criteria, seeds)
    axes.plot(values.mean(1), places + offset, "o", color=colour, label=f"labels wrong {kind}: mean")
    axes.plot(values.ravel(), np.repeat(places + offset, len(SEEDS)), "|", color=colour, markersize=9)
    axes.axvline(values[0].mean(), color=colour, linewidth=0.8, linestyle=":")
axes.set(yticks=places, yticklabels=COMPARED, xlabel="test accuracy (dotted: cross-entropy; bars: seeds)")
axes.invert_yaxis()
figure.legend(loc="outside upper center", ncols=2, fontsize=9)
figure.savefig(OUTPUT / "comparison_of_losses.png", dpi=120)

# %% [markdown]
# Read it with care: most of these differences are smaller than what the seed moves, so they do not say which loss is best. After six
# epochs cross-entropy has only begun to learn wrong labels by heart; `flipped_labels.py` trains for ten, and there a robust loss pays.
# What a robust loss gains, early stopping gains in part: on your own labels compare both with `CrossEntropy`.
