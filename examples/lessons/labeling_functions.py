# %% [markdown]
"""
# From labeling functions to a classifier

- **For** people who have texts without labels, and know rules that often hold: keywords, patterns, a lexicon.
- **At the end** you have labeling functions, know how often each votes and is contradicted, have turned their votes into labels,
  and have trained classifiers on them. The last one corrects many mistakes of the rules.
- **Time:** 15 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/labeling_functions.py
```

`examples/lessons/labeling_functions.ipynb` is the same as a notebook.
"""

# %%
import os
import re
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from snorkel.labeling import LabelingFunction, labeling_function
from textblob import TextBlob
from transformers import PrinterCallback, set_seed

from hf_noisy import (
    NoisyTrainer,
    NoisyTrainingArguments,
    apply_labeling_functions,
    labels_from_votes,
    summarize_votes,
)
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.splits import tokenize

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS = (150, 40, 1) if QUICK else (2000, 1000, 6)
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, RED, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"  # of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()

# %% [markdown]
# ## Write labeling functions
#
# A labeling function looks at one example and returns a class, or -1 where it abstains. The functions are those of
# [Snorkel](https://www.snorkel.org). Eight of ours search for words, one asks a sentiment lexicon, one counts words.

# %%
NEGATIVE, POSITIVE, ABSTAIN = 0, 1, -1


def searches(name: str, pattern: str, vote: int) -> LabelingFunction:
    found = re.compile(pattern, re.I)
    return LabelingFunction(name, lambda x: vote if found.search(x.text) else ABSTAIN)


@labeling_function()
def lexicon(x):
    polarity = TextBlob(x.text).sentiment.polarity
    return POSITIVE if polarity > 0.15 else NEGATIVE if polarity < -0.05 else ABSTAIN


@labeling_function()
def long_text(x):
    return NEGATIVE if len(x.text.split()) > 36 else ABSTAIN


FUNCTIONS = [
    searches(
        "praise", r"\b(good|great|best|nice|fun|lovely|excellent|wonderful|perfect|amazing|delicious)\b", POSITIVE
    ),
    searches("blame", r"\b(bad|worst|poor|awful|terrible|boring|dull|ugly|cheap|useless|broken|bland)\b", NEGATIVE),
    searches("liking", r"\b(love|like|enjoy|happy|pleased|glad|favourite|joy|pleasure|smil)", POSITIVE),
    searches("trouble", r"\b(hate|regret|disappoint|unhappy|problem|waste|refund|missing|wrong|money)", NEGATIVE),
    searches("recommend", r"\brecommend|\bworth (it|every)|\bkeeper\b|\bmust (see|have)", POSITIVE),
    searches("again", r"\bagain\b|\bsecond one\b|\bmore for\b|\bevery", POSITIVE),
    searches("return", r"\bback\b|\bleft\b|\bstopped\b|\bold one\b|\bavoid", NEGATIVE),
    searches("negation", r"\b(not|no|never|nothing|cannot|hardly|without)\b|n't\b", NEGATIVE),
    lexicon,
    long_text,
]

# %% [markdown]
# ## Apply them and look at their votes
#
# `apply_labeling_functions` adds the column `weak_labels` with one vote a function. `summarize_votes` makes a table: the share of
# the rows on which a function votes (coverage), on which another one votes too (overlap), and on which another one votes for
# another class (conflict).
#
# The generated reviews have true labels, so the table also has the accuracy of each function. On texts of your own, leave
# `gold=` out and look at coverage and conflict.

# %%
rows = apply_labeling_functions(generate_reviews(ROWS, seed=1), FUNCTIONS)
test = generate_reviews(TEST_ROWS, seed=2)
gold, test_gold = np.array(rows["gold"][:]), np.array(test["gold"][:])
table = summarize_votes(rows, names=[function.name for function in FUNCTIONS], gold=gold)
print(table.round(2).to_string())

# %% alt="Horizontal bars with the coverage of each of the ten labeling functions, from a few percent to about half of the rows. Dots mark the accuracy of each function where it votes. All lie to the right of one half, none at one."
figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
places = np.arange(len(table))
axes.barh(places, table["coverage"], color="#d9d9d9")
axes.plot(table["accuracy"], places, "o", color=BLUE)
axes.axvline(0.5, color=GREY, linestyle=":", linewidth=0.8)
axes.set(yticks=places, yticklabels=table.index, xlim=(0, 1), ylim=(len(table) - 0.5, -0.7))
axes.set_title("Bars: share of rows with a vote. Dots: accuracy of the votes.", loc="left", fontsize=10)
figure.savefig(OUTPUT / "labeling_functions.png", dpi=120)

# %% [markdown]
# Each function is wrong on many of its votes. A review may say *not good*, quote an opinion, or be ironic.
#
# ## Turn votes into labels
#
# `labels_from_votes` adds the column `labels`. A majority vote counts. Snorkel's label model also estimates from agreements
# how accurate each function is, and weights its votes. Both give soft labels: a tie between two classes is one half each. Rows
# on which all functions abstain are dropped here.

# %%
AGGREGATES = {"majority vote": "majority_vote", "label model": "label_model"}
labelled = {
    name: labels_from_votes(rows, num_classes=2, aggregate=aggregate, abstain="drop")
    for name, aggregate in AGGREGATES.items()
}
for name, part in labelled.items():
    on_true_class = np.take_along_axis(np.array(part["labels"][:]), np.array(part["gold"][:])[:, None], 1).mean()
    print(
        f"{name}: {len(part)} of {len(rows)} rows have a label, on average {on_true_class:.1%} of a label is on the true class"
    )

# %% [markdown]
# ## Train classifiers
#
# Why train a classifier, if the votes give labels? It labels texts on which all functions abstain, and it may learn what
# the functions do not say. We train:
#
# - cross-entropy on the labels of the majority vote, and on those of the label model;
# - `auto` on the votes. The trainer finds them in the column `weak_labels`. `auto` reads the votes and the column `text`,
#   and infers a class for each text. Rows without a vote are used too, so none is dropped (`abstain="unlabeled"`, the default);
# - cross-entropy on true labels. This is the ceiling: you do not have it on your data.
#
# The model is a small BERT with random weights, so that nothing has to be downloaded.

# %%
texts = rows["text"][:]
tokenizer = small_encoder(texts, CLASS_NAMES)[1]
test_rows = tokenize(test.select_columns(["text"]), tokenizer, 48)


def train_and_test(train_rows: datasets.Dataset, noise_method: str) -> float:
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", noise_method=noise_method, num_train_epochs=EPOCHS, learning_rate=1e-3,
        per_device_train_batch_size=32, per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    kept = [name for name in ("text", "labels", "weak_labels") if name in train_rows.column_names]
    trainer = NoisyTrainer(
        small_encoder(texts, CLASS_NAMES, seed=0)[0],
        args,
        train_dataset=tokenize(train_rows.select_columns(kept), tokenizer, 48, keep_text=True),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return float((trainer.predict(test_rows).predictions.argmax(-1) == test_gold).mean())


def voted_accuracy() -> float:
    """The accuracy of the majority vote itself on the test rows. A tie, or no vote, counts one half."""
    voted = labels_from_votes(apply_labeling_functions(test, FUNCTIONS), num_classes=2, abstain="uniform")
    shares = np.array(voted["labels"][:])[np.arange(len(test)), test_gold]
    return float(np.where(shares == 0.5, 0.5, shares > 0.5).mean())


true_labels = rows.select_columns(["text", "gold"]).rename_column("gold", "labels")
results = pd.Series(
    {
        "majority vote, no classifier": voted_accuracy(),
        **{f"cross-entropy on {name}": train_and_test(part, "ce") for name, part in labelled.items()},
        "auto on votes": train_and_test(labels_from_votes(rows, num_classes=2), "auto"),
        "cross-entropy on true labels": train_and_test(true_labels, "ce"),
    }
)
print(results.round(3).to_string())

# %% alt="Dots on a scale of test accuracy, one a row: majority vote without a classifier, cross-entropy on the labels of the majority vote, cross-entropy on those of the label model, auto on the votes, cross-entropy on true labels. Auto lies to the right of the first three, and true labels to the right of auto."
figure, axes = plt.subplots(figsize=(7, 2.8), layout="constrained")
colours = [GREY, RED, RED, BLUE, GREEN]
places = np.arange(len(results))
axes.hlines(places, results.min() - 0.05, results, color="#d9d9d9", linewidth=1)
axes.scatter(results, places, color=colours, zorder=2)
for place, value in zip(places, results, strict=True):
    axes.text(value + 0.008, place, f"{value:.2f}", va="center", fontsize=9)
axes.set(yticks=places, yticklabels=results.index, xlabel="accuracy on clean test rows")
axes.set(xlim=(results.min() - 0.05, 1.04), ylim=(len(results) - 0.5, -0.5))
figure.savefig(OUTPUT / "labeling_functions_results.png", dpi=120)

# %% [markdown]
# ## What this shows, and what it does not
#
# - A classifier that is trained with cross-entropy on the votes repeats many mistakes of the functions. They are wrong for
#   reasons that the text shows, so the model can learn their mistakes like the truth.
# - Snorkel's label model is not better than counting here. It assumes that functions err independently of each other, and these
#   do not.
# - `auto` estimates from votes and texts together how often each function errs, and infers the classes.
# - The words of these generated reviews tell their class clearly. On real corpora the gain is smaller; see
#   [the benchmark](../../docs/evidence/benchmark.md).
# - More functions, or better ones, help every method. So do some hundred labels by hand.
#
# Next: the guide [Labels of rules and several sources](../../docs/guides/weak_labels.md),
# [finding and fixing wrong labels](../../docs/tutorials/fixing_labels.md), and
# [why a loss cannot see a rule's mistakes](../../docs/concepts/rule_mistakes.md).
