# %% [markdown]
"""
# Finding and fixing wrong labels

- **For** people who have labels of doubtful quality, and time to read some hundred texts.
- **At the end** you have audited the labels of a training, looked at the most suspect ones, written decisions into a file, applied
  them, and trained again. You also know what this gains over reading texts at random.
- **Time:** 15 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/fixing_labels.py
```

`examples/lessons/fixing_labels.ipynb` is the same as a notebook.
"""

# %%
import csv
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import TfidfVectorizer
from transformers import PrinterCallback, set_seed

from hf_noisy import NoisyTrainer, NoisyTrainingArguments, apply_labeling_functions, labels_from_votes
from hf_noisy.audit import apply_decisions, write_report
from hf_noisy.corpora.review_rules import labeling_functions
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.splits import tokenize

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS, READ = (150, 40, 1, 20) if QUICK else (1500, 1000, 6, 200)
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, GREY = "#0072B2", "#6b6b6b"  # of the palette of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()

# %% [markdown]
# ## Labels to audit
#
# The texts are generated reviews, labelled by the majority vote of thirteen labeling functions. Every row has an `id`, so that
# decisions find their row again. The true classes, in the column `gold`, only measure.

# %%
reviews = apply_labeling_functions(generate_reviews(ROWS, seed=1), labeling_functions())
rows = labels_from_votes(reviews, num_classes=2, hard=True, abstain="drop").remove_columns("weak_labels")
test = generate_reviews(TEST_ROWS, seed=2)
gold, test_gold = np.array(rows["gold"][:]), np.array(test["gold"][:])
train_set = rows.select_columns(["id", "text", "labels"])
print(f"{len(train_set)} labelled rows, {(np.array(rows['labels'][:]) != gold).mean():.1%} of the labels are wrong")

# %% [markdown]
# ## Train and audit
#
# `trainer.audit()` scores how wrong each training label looks. It needs vectors of the texts that were made without the labels. With
# a pretrained model it takes these from the model's checkpoint. The model here starts from random weights, so we pass vectors:
# word counts, reduced to 50 numbers.

# %%
tokenizer = small_encoder(rows["text"][:], CLASS_NAMES)[1]
test_rows = tokenize(test.select_columns(["text"]), tokenizer, 48)


def train(dataset: datasets.Dataset, noise_method: str = "ce") -> NoisyTrainer:
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", noise_method=noise_method, num_train_epochs=EPOCHS, learning_rate=1e-3,
        per_device_train_batch_size=32, per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(
        small_encoder(rows["text"][:], CLASS_NAMES, seed=0)[0],
        args,
        train_dataset=tokenize(dataset.select_columns(["id", "text", "labels"]), tokenizer, 48, keep_text=True),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return trainer


def test_accuracy(trainer: NoisyTrainer) -> float:
    return float((trainer.predict(test_rows).predictions.argmax(-1) == test_gold).mean())


vectors = TruncatedSVD(50, random_state=0).fit_transform(TfidfVectorizer().fit_transform(rows["text"][:]))
trainer = train(train_set)
audit = trainer.audit(vectors, title="reviews labelled by rules")
print(
    f"estimated share of wrong labels: {audit.noise.rate:.1%}, interval {audit.noise.low:.1%} to {audit.noise.high:.1%}"
)

# %% [markdown]
# `write_report` writes one HTML file. Open it in a browser: it shows the estimate and its evidence, and the most suspect rows.
# [Read the report, apply decisions](../../docs/guides/audit_report.md) explains it part by part.
#
# The same scores are in `audit.rows`. These are the rows that look most wrong, with the reasons: how often the model disagreed in
# training, the labels of similar texts, the prediction of a model that was not trained on the row, and the class that is inferred
# from labels and texts.

# %%
write_report(audit, OUTPUT / "audit.html")
for place in audit.worst(4):
    label, suggested = (CLASS_NAMES[found[place]] for found in (audit.rows.labels, audit.rows.suggested_labels))
    print(f"{audit.rows.texts[place]}\n    label {label}, suggested {suggested}, in truth {CLASS_NAMES[gold[place]]}")
    print(f"    {'; '.join(audit.rows.reasons[place])}")

# %% [markdown]
# ## Is the order good?
#
# With true labels one can count: of the first rows in the audit's order, which share is really wrong? Rows that are read at random
# give the dotted line.

# %% alt="Line chart: number of rows read against the share of these that have a wrong label. In the audit's order, all of the first rows and nine in ten of the first two hundred are wrong; the share then falls slowly to that of all rows. A dotted horizontal line marks that share, a little over a quarter, which rows read at random would have."
order = audit.worst(len(audit.rows))
is_wrong = (audit.rows.labels != gold)[order]
read = np.arange(1, len(order) + 1)
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
axes.plot(read[9:], (np.cumsum(is_wrong) / read)[9:], color=BLUE)
axes.text(2 * READ, 0.78, "in the audit's order", color=BLUE)
axes.axhline(is_wrong.mean(), color=GREY, linestyle=":")
axes.text(read[-1], is_wrong.mean() - 0.05, "at random", color=GREY, ha="right")
axes.axvline(READ, color=GREY, linewidth=0.8)
axes.text(READ + 10, 0.04, f"the {READ} rows that we read", color=GREY, fontsize=9)
axes.set(xlabel="rows read", ylabel="share of these that are wrong", xlim=(0, len(order)), ylim=(0, 1.05))
figure.savefig(OUTPUT / "fixing_labels.png", dpi=120)

# %% [markdown]
# ## Decide
#
# In the report a person marks rows as *keep*, *change* or *drop*, and exports a file. Here the true labels play the person: they
# read the most suspect rows and make no mistake. The file has the columns of the exported one.


# %%
def decide(name: str, places: np.ndarray, decided: np.ndarray) -> Path:
    """Write the file that the report exports: one line for each row that was looked at."""
    path = OUTPUT / f"decisions_{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["id", "label", "label_name", "decision", "new_label", "new_label_name"])
        for place, new in zip(places, decided[places], strict=True):
            old = audit.rows.labels[place]
            change = ["keep", "", ""] if new == old else ["change", new, CLASS_NAMES[new]]
            writer.writerow([audit.rows.ids[place], old, CLASS_NAMES[old], *change])
    return path


suspects = audit.worst(READ)
print("\n".join(decide("read", suspects, gold).read_text(encoding="utf-8").splitlines()[:4]))

# %% [markdown]
# ## Apply the decisions and train again
#
# `apply_decisions` changes the rows of the file and no others. It keeps the old label in a column `original_label`, and refuses
# the file if a row is missing or its label is not the one that was looked at.
#
# For comparison we also read as many rows at random, and let a program change the suspects to the suggested class without
# reading. Each version is trained with cross-entropy, two also with `auto`.

# %%
at_random = np.random.default_rng(0).choice(len(audit.rows), READ, replace=False)
fixed = {
    name: apply_decisions(train_set, decide(name, places, decided), class_names=CLASS_NAMES)
    for name, places, decided in (
        ("read", suspects, gold),
        ("random", at_random, gold),
        ("unread", suspects, audit.rows.suggested_labels),
    )
}
results = pd.Series(
    {
        "nothing changed, cross-entropy": test_accuracy(trainer),
        f"{READ} random rows read, cross-entropy": test_accuracy(train(fixed["random"])),
        f"{READ} suspects changed unread, cross-entropy": test_accuracy(train(fixed["unread"])),
        f"{READ} suspects read, cross-entropy": test_accuracy(train(fixed["read"])),
        "nothing changed, auto": test_accuracy(train(train_set, "auto")),
        f"{READ} suspects read, auto": test_accuracy(train(fixed["read"], "auto")),
    }
)
print(results.round(3).to_string())

# %% [markdown]
# ## What this shows, and what it does not
#
# - Reading in the audit's order finds several times as many wrong labels as reading at random.
# - A program that changes the same rows to the suggested class, without reading, also gains, although it is wrong on some of
#   them.
# - `auto` leaves these labels as they are. Rules made their mistakes, and each text has one label: then correct and wrong labels look
#   alike. Where the votes of the single rules are known, `auto` reads them
#   ([from labeling functions to a classifier](../../docs/tutorials/labeling_functions.md)). Here, read the suspects.
# - The person here makes no mistake, and this is one seed. Differences of a point or two are within what seeds change.
# - The interval of the estimated share is wide, because fifty numbers from word counts say little about a text.
# - On real labels fewer of the first rows are wrong. [Finding wrong labels](../../docs/evidence/finding_wrong_labels.md) has measured it.
#
# Next: the guides [Read the report, apply decisions](../../docs/guides/audit_report.md) and
# [Estimate the noise](../../docs/guides/estimating_noise.md).
