# %% [markdown]
"""
# What co-teaching picks

Two networks learn together, and each is taught only those examples of a batch that the other finds easy. Does that keep the
right labels? With gold labels in a column that only measures, one can look.

    python examples/lessons/co_teaching_picks.py

takes about a minute and a half on two cores, needs no network, and writes its figures into `output/lessons`.
"""

# %%
import copy
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
from transformers import PrinterCallback, set_seed

from hf_noisy import (
    CoTeaching,
    NoisyTrainer,
    NoisyTrainingArguments,
    apply_labeling_functions,
    compute_metrics,
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
ROWS, TEST_ROWS, EPOCHS = (80, 40, 2) if QUICK else (1500, 1000, 10)
RATE, RAMP = 0.3, 4  # drop 30 % in the end, and reach that after four epochs: what is easy must have been learned
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
datasets.disable_progress_bars()

# %% [markdown]
# ## Two kinds of wrong labels
#
# 30 % turned at random, and the majority vote of labeling functions, wrong on about a quarter of the rows.

# %%
rows, test = generate_reviews(ROWS, seed=1), generate_reviews(TEST_ROWS, seed=2)
gold = np.array(rows["gold"][:])
votes = votes_of(apply_labeling_functions(rows, labeling_functions()))
given = {
    "wrong at random": symmetric(gold, RATE, 2, seed=0).labels,
    "wrong by a rule": hard_labels(majority_vote(votes, 2), seed=0),  # -1 where no function votes
}
start, tokenizer = small_encoder(rows["text"][:], CLASS_NAMES, seed=0)
train_rows = tokenize(rows.select_columns(["text", "gold"]), tokenizer, 48)
test_rows = tokenize(test.select_columns(["text", "gold"]), tokenizer, 48).rename_column("gold", "labels")

# %% [markdown]
# ## Training
#
# `gold_column` names true classes in the training set, for measuring alone: the Trainer then logs `selection_precision`, the
# share of right labels among those that were taught, and `selection_recall`, the share of the right labels that were taught.


# %%
def train(labels: np.ndarray, callbacks: list) -> NoisyTrainer:
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=32,
        per_device_eval_batch_size=500, eval_strategy="epoch", logging_strategy="epoch", save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(
        copy.deepcopy(start), args, train_dataset=train_rows.add_column("labels", labels), eval_dataset=test_rows,
        processing_class=tokenizer, compute_metrics=compute_metrics, callbacks=callbacks, gold_column="gold",
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return trainer


def curve(trainer: NoisyTrainer, key: str) -> np.ndarray:
    """(epochs,) what was logged under `key` after each."""
    return np.array([log[key] for log in trainer.state.log_history if key in log])


taught, plain = {}, {}
for kind, labels in given.items():
    plain[kind] = train(labels, [])
    taught[kind] = train(labels, [CoTeaching(forget_rate=RATE, ramp_epochs=RAMP)])

# %% [markdown]
# ## The picks, epoch by epoch
#
# The dotted line is the share of right labels among all: precision above it means that wrong labels are left out more often than
# right ones. Recall falls as more is dropped; a perfect choice would keep it at 1.

# %%
epochs = np.arange(1, EPOCHS + 1)
figure, panels = plt.subplots(2, 2, figsize=(11, 7), layout="constrained", sharex=True, sharey="row")
for (above, below), kind in zip(panels.T, given, strict=True):
    above.plot(epochs, 1 - curve(taught[kind], "kept_share"), color="grey", label="share left out")
    above.plot(epochs, curve(taught[kind], "selection_precision"), color="tab:green", label="precision of the picks")
    above.plot(epochs, curve(taught[kind], "selection_recall"), color="tab:blue", label="recall of right labels")
    right = (given[kind] == gold)[given[kind] >= 0].mean()
    above.axhline(right, color="tab:green", linestyle=":", label="right among all labels")
    above.set(title=f"labels {kind}", ylim=(0, 1.02))
    below.plot(epochs, curve(plain[kind], "eval_accuracy"), color="tab:red", label="cross-entropy")
    below.plot(epochs, curve(taught[kind], "eval_accuracy"), color="tab:green", label="co-teaching")
    below.set(xlabel="epoch", title="accuracy on clean test rows")
panels[0, 0].legend(fontsize=9)
panels[1, 0].legend(fontsize=9)
figure.savefig(OUTPUT / "co_teaching_epochs.png", dpi=120)

# %%
print("| labels | right among all | among the last picks | recall | accuracy, cross-entropy | co-teaching |")
print("|---|---|---|---|---|---|")
for kind, labels in given.items():
    found = [curve(taught[kind], f"selection_{key}")[-1] for key in ("precision", "recall")]
    found += [curve(trainer[kind], "eval_accuracy")[-1] for trainer in (plain, taught)]
    right = (labels == gold)[labels >= 0].mean()
    print(f"| {kind} | {right:.3f} | " + " | ".join(f"{value:.3f}" for value in found) + " |")

# %% [markdown]
# ## The picks, example by example
#
# `example_report()` has a row an example, in the order of the training set: its mean loss, and the weight with which each of the two
# networks took it last (0: left out). Drawn are the mean losses of examples with a right and with a wrong label.

# %%
figure, panels = plt.subplots(1, 2, figsize=(11, 3.8), layout="constrained", sharey=True)
for axes, kind in zip(panels, given, strict=True):
    report = taught[kind].example_report().with_format("numpy")
    labelled, right = given[kind] >= 0, given[kind] == gold
    losses, kept = report["loss"][:], (report["weight"][:] > 0).mean(1)  # by none, one or both of the networks
    bins = np.linspace(0, np.nanquantile(losses, 0.99), 40)
    axes.hist(losses[labelled & right], bins, color="tab:green", alpha=0.6, label="right label")
    axes.hist(losses[labelled & ~right], bins, color="tab:red", alpha=0.6, label="wrong label")
    axes.set(title=f"labels {kind}", xlabel="mean loss over the training", yscale="log")
    shares = [kept[labelled & which].mean() for which in (right, ~right)]
    print(f"{kind}: the last epoch taught {shares[0]:.0%} of the right labels and {shares[1]:.0%} of the wrong ones")
panels[0].set_ylabel("examples")
panels[0].legend()
figure.savefig(OUTPUT / "co_teaching_losses.png", dpi=120)

# %% [markdown]
# Where labels are wrong at random, a small loss is a good sign of a right label. Where rules made them, part of their mistakes is
# learned as easily as the truth: more of the wrong labels have a small loss, are picked, and stay. On these reviews co-teaching gains
# in both cases, less in the second; on real weak labels it may lose (README has two corpora). So look at such a figure on a few
# hundred rows with gold labels before you trust a method that picks.
