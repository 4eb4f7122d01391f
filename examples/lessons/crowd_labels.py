# %% [markdown]
"""
# Crowd labels

- **For** people whose texts were labelled by many annotators, a few votes for each text, and who do not know which annotators
  are good.
- **At the end** you have put the votes into a data set, estimated how good each annotator is, compared three ways to turn votes
  into labels, and trained classifiers on the votes.
- **Time:** 15 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/crowd_labels.py
```

`examples/lessons/crowd_labels.ipynb` is the same as a notebook.
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
    NoisyTrainer,
    NoisyTrainingArguments,
    hard_labels,
    label_model_probabilities,
    majority_vote,
    summarize_votes,
)
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.corpora.topics import CLASS_NAMES, generate_topics
from hf_noisy.data.splits import tokenize
from hf_noisy.evidence import dawid_skene

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS = (150, 40, 1) if QUICK else (1500, 1000, 6)
VOTES_PER_TEXT, CLASSES = 3, len(CLASS_NAMES)
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, RED, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"  # of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()

# %% [markdown]
# ## Simulate a crowd
#
# The texts are short generated news of five topics. Twenty simulated annotators vote on them, three on each text:
#
# - five are careful: they choose the true topic about nine times in ten;
# - seven are average: two times in three;
# - six are careless: one time in three;
# - two answer with the same topic almost always.
#
# Each annotator confuses topics of its own. Row i of an annotator's matrix says how often it votes for each topic when the true topic is i.

# %%
rows, test = generate_topics(ROWS, seed=1), generate_topics(TEST_ROWS, seed=2)
gold, test_gold = np.array(rows["gold"][:]), np.array(test["gold"][:])
KINDS = {"careful": 5, "average": 7, "careless": 6, "one answer": 2}
ACCURACY = {"careful": 0.92, "average": 0.65, "careless": 0.35}
generator = np.random.default_rng(0)


def annotator(kind: str) -> np.ndarray:
    """(classes, classes) probability of each vote, given the true class."""
    if kind == "one answer":
        favourite = np.eye(CLASSES)[generator.integers(CLASSES)]
        return np.tile(0.9 * favourite + 0.1 / CLASSES, (CLASSES, 1))
    right = ACCURACY[kind] + generator.uniform(-0.05, 0.05)
    wrong = generator.dirichlet(np.full(CLASSES, 0.7), size=CLASSES) * (1 - np.eye(CLASSES))
    return right * np.eye(CLASSES) + (1 - right) * wrong / wrong.sum(1, keepdims=True)


kinds = [kind for kind, count in KINDS.items() for _ in range(count)]
names = [f"{kind} {number}" for kind, count in KINDS.items() for number in range(1, count + 1)]
matrices = np.stack([annotator(kind) for kind in kinds])
votes = np.full((ROWS, len(names)), -1)  # -1: this annotator did not see the text
for row in range(ROWS):
    for who in generator.choice(len(names), VOTES_PER_TEXT, replace=False):
        votes[row, who] = generator.choice(CLASSES, p=matrices[who, gold[row]])

# %% [markdown]
# This table is all that we use from here on: one row a text, one column an annotator, -1 where the annotator did not vote. A
# table of your own, with the columns `text`, `annotator` and `label` (a class id), becomes such an array by
# `frame.pivot(index="text", columns="annotator", values="label").fillna(-1).astype(int).to_numpy()`.
#
# `summarize_votes` says how often each annotator votes and is contradicted. The true labels of the generated news give the
# last column, which you do not have.

# %%
table = summarize_votes(votes, names=names, gold=gold)[["coverage", "conflict", "accuracy"]]
print(table.round(2).iloc[::3].to_string())
print(f"{(votes == gold[:, None])[votes >= 0].mean():.1%} of all votes are right")

# %% [markdown]
# ## Turn votes into labels
#
# - **Majority vote** counts. A tie of two topics gives each one half.
# - **Snorkel's label model** estimates how reliable each annotator is, from how often two of them agree.
# - **Dawid and Skene's model** (1979) estimates a matrix for each annotator, such as those that we drew above, and the true
#   topics along with them, by expectation-maximisation.
#
# None of them reads the texts.

# %%
estimate = dawid_skene(votes, classes=CLASSES)
soft_labels = {
    "majority vote": majority_vote(votes, CLASSES),
    "label model": label_model_probabilities(votes, CLASSES, seed=0),
    "Dawid-Skene": estimate.posteriors,
}
labels = {name: hard_labels(soft, seed=0) for name, soft in soft_labels.items()}
right = pd.Series({name: (found == gold).mean() for name, found in labels.items()})
print(right.round(3).to_string())

# %% [markdown]
# Dawid-Skene is best here, because it learns whom to trust. Its matrices give an accuracy for each annotator, without true
# labels. This is a way to find annotators who guess.

# %% alt="Scatter plot of twenty annotators: true accuracy on the horizontal axis, accuracy estimated by Dawid-Skene on the vertical one. The points lie near the diagonal. Careful annotators are at the top right, average ones in the middle, careless ones and those with one answer at the bottom left."
prior = estimate.posteriors.mean(0)
estimated = (estimate.sources.diagonal(axis1=1, axis2=2) * prior).sum(1)
true = (matrices.diagonal(axis1=1, axis2=2) * np.bincount(gold, minlength=CLASSES) / ROWS).sum(1)
figure, axes = plt.subplots(figsize=(6, 4.6), layout="constrained")
axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
for kind, marker, colour in zip(KINDS, "osD^", (BLUE, GREEN, RED, GREY), strict=True):
    mine = np.array([one == kind for one in kinds])
    axes.scatter(true[mine], estimated[mine], color=colour, marker=marker)
    place = (true[mine].mean(), estimated[mine].min() - 0.07)
    axes.text(*place, kind, color=colour, ha="center")
axes.set(xlabel="true accuracy of the annotator", ylabel="estimated without true labels", xlim=(0, 1), ylim=(0, 1))
figure.savefig(OUTPUT / "crowd_annotators.png", dpi=120)

# %% [markdown]
# ## Train on the votes
#
# The votes are noisy, and only three for each text. A classifier also sees the texts: similar texts have similar topics, and
# this information is independent of the annotators. We train:
#
# - cross-entropy on each of the three sets of labels;
# - `auto` on the votes. They stand in the column `weak_labels`, and `labels` holds the majority vote. `auto` estimates a matrix
#   for each annotator, as Dawid-Skene does, together with a classifier of the texts. This is `truth_inference`
#   (Raykar et al., "Learning From Crowds", JMLR 2010);
# - cross-entropy on true labels, as the ceiling.

# %%
texts = rows["text"][:]
tokenizer = small_encoder(texts, CLASS_NAMES)[1]
test_rows = tokenize(test.select_columns(["text"]), tokenizer, 48)


def train_and_test(labels: np.ndarray, noise_method: str, votes: np.ndarray | None = None) -> float:
    set_seed(0)
    train_rows = rows.select_columns(["text"]).add_column("labels", labels)
    if votes is not None:
        train_rows = train_rows.add_column("weak_labels", votes.tolist())
    args = NoisyTrainingArguments(
        "output/lessons/trainer", noise_method=noise_method, num_train_epochs=EPOCHS, learning_rate=1e-3,
        per_device_train_batch_size=32, per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(
        small_encoder(texts, CLASS_NAMES, seed=0)[0],
        args,
        train_dataset=tokenize(train_rows, tokenizer, 48, keep_text=True),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return float((trainer.predict(test_rows).predictions.argmax(-1) == test_gold).mean())


results = pd.Series(
    {
        **{f"cross-entropy on {name}": train_and_test(found, "ce") for name, found in labels.items()},
        "auto on votes": train_and_test(labels["majority vote"], "auto", votes),
        "cross-entropy on true labels": train_and_test(gold, "ce"),
    }
)
print(results.round(3).to_string())

# %% alt="Dots on a scale of test accuracy: cross-entropy on the labels of the majority vote is lowest, on those of the label model higher, on those of Dawid-Skene higher still. Auto on the votes is about as good as true labels. Hollow dots show the share of right labels in each training set. It is lower than the accuracy of the classifier that was trained on them."
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
places = np.arange(len(results))
axes.scatter(results, places, color=[RED, RED, RED, BLUE, GREEN], zorder=2)
axes.scatter(right, places[:3], facecolors="white", edgecolors=RED, zorder=2)
axes.text(right.iloc[0], -0.3, "right labels", va="bottom", ha="center", fontsize=9, color=RED)
axes.text(results.iloc[0], -0.3, "test accuracy", va="bottom", ha="center", fontsize=9, color=RED)
axes.hlines(places[:3], right, results.iloc[:3], color=RED, linewidth=0.8)
axes.set(yticks=places, yticklabels=results.index, xlabel="accuracy", ylim=(len(results) - 0.5, -0.9))
axes.set(xlim=(min(right.min(), results.min()) - 0.03, 1.03))
figure.savefig(OUTPUT / "crowd_results.png", dpi=120)

# %% [markdown]
# ## What this shows, and what it does not
#
# - Each classifier is better than the labels that it was trained on. Mistakes of the crowd that have no pattern in the texts
#   average out.
# - Who votes matters: a model of the annotators makes better labels from the same votes than counting.
# - `auto` uses annotators and texts together. Among the ways that need no true labels, start with it.
# - The simulated annotators err independently of each other and of the text, as Dawid and Skene assume. Real annotators fail on
#   the same hard texts. Then these models are too sure, and all of them gain less.
# - The topics of these generated news are easy to tell by their words.
#
# Next: the guide [Labels of rules and several sources](../../docs/guides/weak_labels.md) starts from a CSV with one column a
# source. [Finding and fixing wrong labels](../../docs/tutorials/fixing_labels.md) shows which texts to send to the annotators
# again.
