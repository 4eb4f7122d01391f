# %% [markdown]
"""
# Auditing a data set

After any training `trainer.audit()` says of each label how wrong it looks. A page in the browser shows the worst; a person decides;
the decisions are carried out, and the model is trained again. Here is the whole round.

    python examples/lessons/auditing.py

takes about a minute on two cores, needs no network, and writes into `output/lessons`.
"""

# %%
import copy
import csv
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import PrinterCallback, set_seed

from hf_noisy import NoisyTrainer, NoisyTrainingArguments, apply_labeling_functions, hard_labels, majority_vote
from hf_noisy.audit import apply_decisions, write_report
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.noise import symmetric
from hf_noisy.data.splits import tokenize
from hf_noisy.weak.votes import votes_of

QUICK = "HF_NOISY_QUICK" in os.environ  # what the tests set
ROWS, TEST_ROWS, EPOCHS, READ = (150, 40, 1, 20) if QUICK else (1500, 1000, 6, 300)
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
datasets.disable_progress_bars()

# %% [markdown]
# ## A training set with wrong labels
#
# Twice the same reviews: with 20 % of the labels turned at random, and with the majority vote of labeling functions.

# %%
rows, test = generate_reviews(ROWS, seed=1), generate_reviews(TEST_ROWS, seed=2)
gold = np.array(rows["gold"][:])
votes = votes_of(apply_labeling_functions(rows, labeling_functions()))
LABELS = {
    "at random": symmetric(gold, 0.2, 2, seed=0).labels,
    "by a rule": hard_labels(majority_vote(votes, 2), seed=0),
}
start, tokenizer = small_encoder(rows["text"][:], CLASS_NAMES, seed=0)
test_rows = tokenize(test.select_columns(["text"]), tokenizer, 48)
test_gold = np.array(test["gold"][:])


def train(dataset: datasets.Dataset) -> NoisyTrainer:
    """On `text` and `labels`; the column `id` comes along, for the audit."""
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=32,
        per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no", report_to="none",
        disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    train_rows = tokenize(dataset.select_columns(["id", "text", "labels"]), tokenizer, 48)
    trainer = NoisyTrainer(copy.deepcopy(start), args, train_dataset=train_rows, processing_class=tokenizer)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return trainer


def test_accuracy(trainer: NoisyTrainer) -> float:
    return float((trainer.predict(test_rows).predictions.argmax(-1) == test_gold).mean())


# %% [markdown]
# ## Train, audit, look
#
# The audit needs a view of the texts that has never seen the labels. With a pretrained model it takes that model's checkpoint by
# itself; this encoder starts from nothing, so the view is passed: words counted and reduced to 50 numbers. That is a poor view, and
# the audit says so by a wide interval.

# %%
counts = TfidfVectorizer().fit_transform(rows["text"][:])
vectors = TruncatedSVD(50, random_state=0).fit_transform(counts)
noisy = {kind: rows.remove_columns("gold").add_column("labels", labels) for kind, labels in LABELS.items()}
trained = {kind: train(dataset) for kind, dataset in noisy.items()}
audits = {}
for kind, trainer in trained.items():
    audits[kind] = trainer.audit(vectors, title=f"reviews, wrong {kind}")
    page = OUTPUT / f"audit_{kind.replace(' ', '_')}.html"
    write_report(audits[kind], page)
    noise = audits[kind].noise
    true = (LABELS[kind] != gold)[LABELS[kind] >= 0].mean()
    print(f"{page}: rate of wrong labels {noise.rate:.1%} [{noise.low:.1%}, {noise.high:.1%}], in truth {true:.1%}")
    print(f"   kind of noise: {noise.kind}")

# %% [markdown]
# Open the pages in a browser. How good is the order? With gold labels one can count how many of the first rows are really wrong; the
# dotted line is what rows picked by lot would give.

# %%
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
gold_of = dict(zip(rows["id"][:], gold, strict=True))
for kind, colour in zip(audits, ("tab:blue", "tab:orange"), strict=True):
    found = audits[kind].rows
    order = np.argsort(-found.wrongness, kind="stable")
    wrong = np.array([gold_of[found.ids[place]] for place in order]) != found.labels[order]
    read = np.arange(1, READ + 1)
    axes.plot(read, np.cumsum(wrong)[:READ] / read, color=colour, label=f"wrong {kind}")
    axes.axhline(wrong.mean(), color=colour, linestyle=":", linewidth=0.8)
axes.set(xlabel="rows read, the most suspect first", ylabel="share of them that is wrong", ylim=(0, 1))
axes.legend()
figure.savefig(OUTPUT / "auditing.png", dpi=120)

# %% [markdown]
# ## Decide, carry out, train again
#
# In the page a person marks rows as keep, change or drop, and exports a file. Here gold labels play a person who reads the 300 most
# suspect rows and never errs; the file has the same columns. The comparison is with a program that changes the same rows to the
# suggested label and reads nothing, and with 300 rows picked by lot and read.


# %%
def decide(path: Path, audit, places: np.ndarray, new_labels: np.ndarray) -> Path:
    """Writes the file that the page exports: a line for each row that was looked at."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "label_name", "decision", "new_label", "new_label_name"])
        for place, new in zip(places, new_labels, strict=True):
            old = audit.rows.labels[place]
            change = ["keep", "", ""] if new == old else ["change", new, CLASS_NAMES[new]]
            writer.writerow([audit.rows.ids[place], old, CLASS_NAMES[old], *change])
    return path


print("\n| test accuracy | as given | suspects read | suspects changed unread | as many read by lot |")
print("|---|---|---|---|---|")
for kind, audit in audits.items():
    suspects = audit.worst(READ)
    lot = np.random.default_rng(0).choice(len(audit.rows.ids), READ, replace=False)
    truth = np.array([gold_of[row_id] for row_id in audit.rows.ids])
    ways = {"read": (suspects, truth), "unread": (suspects, audit.rows.suggested_labels), "lot": (lot, truth)}
    accuracies = [test_accuracy(trained[kind])]
    for name, (places, new_labels) in ways.items():
        file = decide(OUTPUT / f"decisions_{name}.csv", audit, places, new_labels[places])
        corrected = apply_decisions(noisy[kind], file, class_names=CLASS_NAMES)
        accuracies.append(test_accuracy(train(corrected)))
    print(f"| wrong {kind} | " + " | ".join(f"{value:.3f}" for value in accuracies) + " |")

# %% [markdown]
# One seed: differences of a point or two are within what seeds move. `apply_decisions` keeps the old label in a column
# `original_label`, and applies nothing unless every decision finds its row with the label that it saw.
