# %% [markdown]
"""
# What co-teaching selects

- **For** people who consider co-teaching, or another method that trains only on a part of the examples, and want to see whether
  it keeps the right labels.
- **At the end** you have trained with co-teaching on two kinds of wrong labels, and followed the precision and recall of its
  selection epoch by epoch and example by example.
- **Time:** 10 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/co_teaching_picks.py
```

`examples/lessons/co_teaching_picks.ipynb` is the same as a notebook.

Co-teaching (Han et al., 2018) trains two networks at once. In each batch, each network selects the examples with the smallest
loss, and the other network is trained on these. `hf-noisy methods co_teaching` prints its parameters.
"""

# %%
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
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

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS = (80, 40, 2) if QUICK else (1000, 1000, 10)
RATE, RAMP = 0.3, 4  # the share that is left out in the end, and the epochs until then
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, RED, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"  # of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()

# %% [markdown]
# ## Two kinds of wrong labels
#
# The texts are generated reviews. In the first training set, 30 % of the labels are changed at random. In the second, the labels
# are the majority vote of thirteen labeling functions, which is wrong on about a quarter of the rows.

# %%
rows, test = generate_reviews(ROWS, seed=1), generate_reviews(TEST_ROWS, seed=2)
texts, gold = rows["text"][:], np.array(rows["gold"][:])
votes = votes_of(apply_labeling_functions(rows, labeling_functions()))
given = {
    "wrong at random": symmetric(gold, RATE, 2, seed=0).labels,
    "wrong by a rule": hard_labels(majority_vote(votes, 2), seed=0),  # -1 where no function votes
}
tokenizer = small_encoder(texts, CLASS_NAMES)[1]
train_rows = tokenize(rows.select_columns(["text", "gold"]), tokenizer, 48)
test_rows = tokenize(test.select_columns(["text", "gold"]), tokenizer, 48).rename_column("gold", "labels")

# %% [markdown]
# ## Train
#
# `gold_column` names a column with true classes. The Trainer uses it only to measure, and logs after each epoch:
#
# - `kept_share`: the share of the labels on which the networks were trained;
# - `selection_precision`: the share of right labels among these;
# - `selection_recall`: the share of the right labels that were among these.
#
# The share that is left out rises over four epochs to 30 %. Before a network has learned what is easy, its losses say little.


# %%
def train(labels: np.ndarray, callbacks: list) -> NoisyTrainer:
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=32,
        per_device_eval_batch_size=500, eval_strategy="epoch", logging_strategy="epoch", save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(
        small_encoder(texts, CLASS_NAMES, seed=0)[0],
        args,
        train_dataset=train_rows.add_column("labels", labels),
        eval_dataset=test_rows,
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
        callbacks=callbacks,
        gold_column="gold",
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return trainer


def curve(trainer: NoisyTrainer, key: str) -> np.ndarray:
    """(epochs,) the values logged under `key`."""
    return np.array([log[key] for log in trainer.state.log_history if key in log])


selective, plain = {}, {}
for kind, labels in given.items():
    plain[kind] = train(labels, [])
    selective[kind] = train(labels, [CoTeaching(forget_rate=RATE, ramp_epochs=RAMP)])

# %% [markdown]
# ## The selection, epoch by epoch
#
# The dotted line is the share of right labels among all labels. Where precision is above it, wrong labels are left out more often
# than right ones. Recall falls, because right labels are left out too.

# %% alt="Four panels, two for labels wrong at random and two for labels wrong by a rule. Above: the share that is left out rises to 30 percent in four epochs. Precision rises above the dotted line of all labels, further for random mistakes than for those of rules; recall falls, further for rules. Below: the accuracy of cross-entropy on clean test rows rises and then falls; that of co-teaching falls less or not at all."
epochs = np.arange(1, EPOCHS + 1)
figure, panels = plt.subplots(2, 2, figsize=(7, 6), layout="constrained", sharex=True, sharey="row")
for (above, below), kind in zip(panels.T, given, strict=True):
    lines = {
        "precision": (curve(selective[kind], "selection_precision"), BLUE, 0.04),
        "recall": (curve(selective[kind], "selection_recall"), GREEN, -0.09),
        "left out": (1 - curve(selective[kind], "kept_share"), GREY, 0.04),
    }
    for name, (values, colour, above_line) in lines.items():
        above.plot(epochs, values, color=colour)
        above.text(EPOCHS, values[-1] + above_line, name, color=colour, ha="right")
    right = (given[kind] == gold)[given[kind] >= 0].mean()
    above.axhline(right, color=BLUE, linestyle=":", linewidth=1)
    above.set(title=f"Selection, {kind}", ylim=(0, 1.08))
    for name, trainer, colour in (("cross-entropy", plain, RED), ("co-teaching", selective, BLUE)):
        values = curve(trainer[kind], "eval_accuracy")
        below.plot(epochs, values, color=colour)
        place = values[-5:].max() + 0.01 if trainer is selective else values[-5:].min() - 0.03
        below.text(EPOCHS, place, name, color=colour, ha="right")
    below.margins(y=0.12)
    below.set(xlabel="epoch", title="Accuracy on clean test rows", xticks=epochs[1::2])
figure.savefig(OUTPUT / "co_teaching_epochs.png", dpi=120)

# %%
table = {
    kind: {
        "right among all labels": (labels == gold)[labels >= 0].mean(),
        "right among the selected (precision)": curve(selective[kind], "selection_precision")[-1],
        "selected among the right (recall)": curve(selective[kind], "selection_recall")[-1],
        "test accuracy, cross-entropy": curve(plain[kind], "eval_accuracy")[-1],
        "test accuracy, co-teaching": curve(selective[kind], "eval_accuracy")[-1],
    }
    for kind, labels in given.items()
}
print(pd.DataFrame(table).round(3).to_string())

# %% [markdown]
# ## The selection, example by example
#
# `example_report()` has a row for each example, in the order of the training set. It has the mean loss, and the weight that each of the
# two networks gave the example last (0: left out).

# %% alt="Two panels with histograms of the mean loss of examples with right and with wrong labels. Nearly all right labels have a small loss. For labels wrong at random, about half of the wrong labels have a large loss. For labels wrong by a rule, most of the wrong labels have a small loss, in the same place as the right ones."
figure, panels = plt.subplots(2, 1, figsize=(7, 6), layout="constrained", sharex=True)
for axes, kind in zip(panels, given, strict=True):
    report = selective[kind].example_report().with_format("numpy")
    labelled, right = given[kind] >= 0, given[kind] == gold
    losses, kept = report["loss"][:], (report["weight"][:] > 0).mean(1)  # kept by none, one or both of the networks
    bins = np.linspace(0, np.nanquantile(losses, 0.99), 40)
    shares = []
    for name, which, colour in (("right labels", labelled & right, BLUE), ("wrong labels", labelled & ~right, RED)):
        axes.hist(
            losses[which], bins, weights=np.full(which.sum(), 1 / which.sum()), color=colour, alpha=0.6, label=name
        )
        shares.append(kept[which].mean())
    axes.set(title=f"Labels {kind}", ylabel="share of these labels")
    print(f"{kind}: the last epoch kept {shares[0]:.0%} of the right labels and {shares[1]:.0%} of the wrong ones")
panels[1].set_xlabel("mean loss over the training")
panels[0].legend(frameon=False)
figure.savefig(OUTPUT / "co_teaching_losses.png", dpi=120)

# %% [markdown]
# ## What this shows, and what it does not
#
# - Where labels are wrong at random, a small loss is a good sign of a right label.
# - Labels that rules made wrong have a pattern in the text. The networks learn part of them as easily as right labels. More of the
#   wrong labels have a small loss and are selected.
# - On real labels of rules, co-teaching may lose against cross-entropy; see [the benchmark](../../docs/evidence/benchmark.md). So draw
#   such a figure for some hundred rows with true labels before you rely on a method that selects.
#
# Next: [what each family of methods assumes](../../docs/concepts/families.md).
