# %% [markdown]
"""
# From labeling functions to a classifier

Nobody labels anything: a few rules vote, their votes become labels, and a classifier learns from these. It goes on where the
rules are silent, and `NoisyTrainer` protects it from their mistakes as far as that goes.

    python examples/lessons/labeling_functions.py

takes about a minute on two cores, needs no network, and writes its figure into `output/lessons`.
"""

# %%
import copy
import os
import re
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
from snorkel.labeling import LabelingFunction, labeling_function
from textblob import TextBlob
from transformers import PrinterCallback, set_seed

from hf_noisy import (
    Criterion,
    CrossEntropy,
    GeneralizedCrossEntropy,
    NoisyTrainer,
    NoisyTrainingArguments,
    apply_labeling_functions,
    labels_from_votes,
    summarize_votes,
)
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.splits import tokenize
from hf_noisy.weak.votes import votes_of

QUICK = "HF_NOISY_QUICK" in os.environ  # what the tests set
ROWS, TEST_ROWS, EPOCHS = (150, 40, 1) if QUICK else (3000, 1000, 6)
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
datasets.disable_progress_bars()

# %% [markdown]
# ## Rules that vote
#
# Snorkel's labeling functions as they are: each sees an example, and votes for a class or abstains. Most look for words; one asks a
# sentiment lexicon, one counts. None of them is good; most are right more often than not.

# %%
NEGATIVE, POSITIVE, ABSTAIN = 0, 1, -1


def looks_for(name: str, pattern: str, vote: int) -> LabelingFunction:
    found = re.compile(pattern, re.I)
    return LabelingFunction(name, lambda x: vote if found.search(x.text) else ABSTAIN)


@labeling_function()
def lexicon(x):
    polarity = TextBlob(x.text).sentiment.polarity
    return POSITIVE if polarity > 0.15 else NEGATIVE if polarity < -0.05 else ABSTAIN


@labeling_function()
def long_story(x):
    return NEGATIVE if len(x.text.split()) > 36 else ABSTAIN


FUNCTIONS = [
    looks_for(
        "praises", r"\b(good|great|best|nice|fun|lovely|excellent|wonderful|perfect|amazing|delicious)\b", POSITIVE
    ),
    looks_for("blames", r"\b(bad|worst|poor|awful|terrible|boring|dull|ugly|cheap|useless|broken|bland)\b", NEGATIVE),
    looks_for("likes", r"\b(love|like|enjoy|happy|pleased|glad|favourite|joy|pleasure|smil)", POSITIVE),
    looks_for("has_trouble", r"\b(hate|regret|disappoint|unhappy|problem|waste|refund|missing|wrong|money)", NEGATIVE),
    looks_for("recommends", r"\brecommend|\bworth (it|every)|\bkeeper\b|\bmust (see|have)", POSITIVE),
    looks_for("comes_again", r"\bagain\b|\bsecond one\b|\bmore for\b|\bevery", POSITIVE),
    looks_for("sends_back", r"\bback\b|\bleft\b|\bstopped\b|\bold one\b|\bavoid", NEGATIVE),
    looks_for("negates", r"\b(not|no|never|nothing|cannot|hardly|without)\b|n't\b", NEGATIVE),
    lexicon,
    long_story,
]

# %% [markdown]
# `apply_labeling_functions` adds their votes as a column. Gold labels, which these invented reviews have, only measure here: on
# your corpus leave `gold=` out, and read coverage and conflicts.

# %%
rows = apply_labeling_functions(generate_reviews(ROWS, seed=1), FUNCTIONS)
test = generate_reviews(TEST_ROWS, seed=2)
gold = np.array(rows["gold"][:])
table = summarize_votes(votes_of(rows), names=[function.name for function in FUNCTIONS], gold=gold)
print(table.round(3).to_string())

figure, axes = plt.subplots(figsize=(8, 4.4), layout="constrained")
places = np.arange(len(table))
axes.barh(places, table["coverage"], color="lightgrey", label="coverage")
axes.plot(table["accuracy"], places, "o", color="tab:blue", label="accuracy where it votes")
axes.axvline(0.5, color="grey", linestyle=":", linewidth=0.8)
axes.set(yticks=places, yticklabels=table.index, xlim=(0, 1))
axes.invert_yaxis()
figure.legend(loc="outside upper center", ncols=2)
figure.savefig(OUTPUT / "labeling_functions.png", dpi=120)

# %% [markdown]
# ## Votes into labels
#
# A majority vote counts; the label model weighs each function by how it agrees with the others. Both give soft labels here: a tie
# stays a tie. Rows on which every function abstains are dropped.

# %%
AGGREGATES = ("majority_vote", "label_model")
labelled = {how: labels_from_votes(rows, num_classes=2, aggregate=how, abstain="drop") for how in AGGREGATES}
for how, part in labelled.items():
    labels = np.array(part["labels"][:])
    right = np.take_along_axis(labels, np.array(part["gold"][:])[:, None], 1).mean()
    print(f"{how}: {len(part)} of {len(rows)} rows have a label; mean share on the true class {right:.3f}")

# %% [markdown]
# ## Labels into a classifier
#
# Cross-entropy and a robust loss on each, and cross-entropy on gold labels as the ceiling.

# %%
start, tokenizer = small_encoder(rows["text"][:], CLASS_NAMES, seed=0)
test_rows = tokenize(test.select_columns(["text"]), tokenizer, 48)
test_gold = np.array(test["gold"][:])


def test_accuracy(train_rows: datasets.Dataset, criterion: Criterion) -> float:
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=32,
        per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no", report_to="none",
        disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(
        copy.deepcopy(start),
        args,
        train_dataset=tokenize(train_rows.select_columns(["text", "labels"]), tokenizer, 48),
        processing_class=tokenizer,
        criterion=criterion,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return float((trainer.predict(test_rows).predictions.argmax(-1) == test_gold).mean())


def voted_accuracy() -> float:
    """What the majority vote itself would get on the test rows, where a tie or no vote is worth half."""
    voted = labels_from_votes(apply_labeling_functions(test, FUNCTIONS), num_classes=2, abstain="uniform")
    shares = np.array(voted["labels"][:])[np.arange(len(test)), test_gold]
    return float(np.where(shares == 0.5, 0.5, shares > 0.5).mean())


print(f"\n| trained on | loss | test accuracy |\n|---|---|---|\n| nothing: majority vote | | {voted_accuracy():.3f} |")
for how, part in labelled.items():
    for name, criterion in (("cross-entropy", CrossEntropy()), ("gce", GeneralizedCrossEntropy(q=0.7))):
        print(f"| {how} | {name} | {test_accuracy(part, criterion):.3f} |")
with_gold = rows.select_columns(["text", "gold"]).rename_column("gold", "labels")
print(f"| gold labels | cross-entropy | {test_accuracy(with_gold, CrossEntropy()):.3f} |")

# %% [markdown]
# Most of the distance to gold labels stays. The rules are wrong for reasons that stand in the text (negation, irony, a quoted
# opinion), so a model can learn their mistakes like the truth, and no loss undoes that. What helps is another rule, or a few
# hundred labels by hand: `auditing.py` shows which rows to begin with.
