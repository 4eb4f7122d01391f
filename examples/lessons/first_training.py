# %% [markdown]
"""
# First training on noisy labels

- **For** people who have fine-tuned a classifier with the `Trainer` of Transformers, and whose labels are partly wrong.
- **At the end** you have trained two classifiers on the same wrong labels, one with plain cross-entropy and one with
  `noise_method="auto"`. You can read the comparison, and the better classifier lies in a folder that `pipeline` loads.
- **Time:** 15 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/first_training.py
```

`examples/lessons/first_training.ipynb` is the same as a notebook.
"""

# %%
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from transformers import PrinterCallback, pipeline, set_seed
from transformers.utils.logging import disable_progress_bar

from hf_noisy import NoisyTrainer, NoisyTrainingArguments, compute_metrics
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.noise import symmetric
from hf_noisy.data.splits import tokenize

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS = (80, 40, 2) if QUICK else (1500, 1000, 10)
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, RED = "#0072B2", "#D55E00"  # from the palette of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()
disable_progress_bar()

# %% [markdown]
# ## Texts with wrong labels
#
# The texts are short reviews, positive or negative. The package generates them, with their true class in the column `gold`.
# `symmetric` changes 30 % of the labels at random, so that we know which ones are wrong. On data of your own you do not know
# that, and you do not need it. Here it only serves to measure.

# %%
rows, test = generate_reviews(ROWS, seed=1), generate_reviews(TEST_ROWS, seed=2)
gold = np.array(rows["gold"][:])
labels = symmetric(gold, 0.3, num_classes=2, seed=0).labels
for row in range(3):
    said = "right" if labels[row] == gold[row] else "wrong"
    print(f"{CLASS_NAMES[labels[row]]} ({said}): {rows['text'][row][:75]}...")
print(f"{(labels != gold).mean():.1%} of {ROWS} training labels are wrong")

# %% [markdown]
# The model is a small BERT with random weights, so that nothing has to be downloaded. With a model of your own, load it by
# `AutoModelForSequenceClassification.from_pretrained` and tokenize as usual.
#
# The training set keeps its column `text`. `auto` reads it; the model does not.

# %%
texts = rows["text"][:]
tokenizer = small_encoder(texts, CLASS_NAMES)[1]
train_rows = tokenize(rows.select_columns(["text"]).add_column("labels", labels), tokenizer, 48, keep_text=True)
test_rows = tokenize(test.select_columns(["text", "gold"]).rename_column("gold", "labels"), tokenizer, 48)
test_gold = test["gold"][:]
wrong_rows = train_rows.select(np.flatnonzero(labels != gold))


# %% [markdown]
# ## Train with cross-entropy
#
# `NoisyTrainer` is a `Trainer`, and `NoisyTrainingArguments` are `TrainingArguments` with a field `noise_method`. With
# `noise_method="ce"` it trains with cross-entropy on the labels as they are, like `Trainer`.
#
# After each epoch the trainer evaluates on two sets:
#
# - `test`: test rows with true labels;
# - `wrong`: the training rows with a wrong label, and this wrong label as the expected answer. The accuracy on this set is
#   the share of the wrong labels that the model repeats.


# %%
def train(noise_method: str) -> NoisyTrainer:
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer",
        noise_method=noise_method,
        num_train_epochs=EPOCHS,
        learning_rate=1e-3,  # high, because the model starts from random weights
        per_device_train_batch_size=32,
        per_device_eval_batch_size=500,
        eval_strategy="epoch",
        save_strategy="no",
        logging_strategy="no",
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=False,  # no GPU here
    )
    trainer = NoisyTrainer(
        small_encoder(texts, CLASS_NAMES, seed=0)[0],
        args,
        train_dataset=train_rows,
        eval_dataset={"test": test_rows, "wrong": wrong_rows},
        processing_class=tokenizer,
        compute_metrics=compute_metrics,
    )
    trainer.remove_callback(PrinterCallback)  # this page prints a table instead
    trainer.train()
    return trainer


def curves(trainer: NoisyTrainer) -> pd.DataFrame:
    """The test accuracy and the share of wrong labels that the model repeats, after each epoch."""
    logged = [log for log in trainer.state.log_history if "eval_test_accuracy" in log or "eval_wrong_accuracy" in log]
    columns = {"test accuracy": "eval_test_accuracy", "wrong labels repeated": "eval_wrong_accuracy"}
    found = {name: [log[key] for log in logged if key in log] for name, key in columns.items()}
    return pd.DataFrame(found, index=[f"epoch {epoch}" for epoch in range(1, EPOCHS + 1)])


plain = train("ce")
print(curves(plain).round(3).to_string())

# %% [markdown]
# The model first learns what the right labels have in common: in the first epochs the test accuracy rises, and the model
# contradicts most of the wrong labels. Then it memorises. At the end it repeats most of the wrong labels, and the test
# accuracy has fallen.

# %% [markdown]
# ## Train with `auto`
#
# Only the name of the method changes. Before the first step `auto` compares labels and texts, chooses what to do, and logs its
# choice.

# %%
protected = train("auto")
print(curves(protected).round(3).to_string())

# %% [markdown]
# `auto` compared models of how labels go wrong, by how well each predicts labels that it has not seen. So it estimated the share
# of wrong labels without looking at true labels. It then inferred a class for each text from its words and its label, and trained
# the model on these classes. This is the method `truth_inference`. If too few labels would have changed, it would have trained
# with cross-entropy. [How `auto` decides](../../docs/concepts/auto.md)
# says more.

# %% alt="Two line charts over ten epochs. Above: with cross-entropy the accuracy on clean test rows rises in the first epochs and then falls; with auto it rises and stays high. Below: with cross-entropy the share of wrong labels that the model repeats grows to most of them; with auto it stays low."
figure, (above, below) = plt.subplots(2, 1, figsize=(7, 6), layout="constrained", sharex=True)
for name, trainer, colour in (("cross-entropy", plain, RED), ("auto", protected, BLUE)):
    for axes, column in zip((above, below), curves(trainer), strict=True):
        values = curves(trainer)[column].to_numpy()
        axes.plot(range(1, EPOCHS + 1), values, "o-", color=colour, markersize=4)
        axes.text(EPOCHS + 0.2, values[-1], name, color=colour, va="center")
above.set(title="Accuracy on clean test rows")
below.set(title="Share of wrong training labels that the model repeats", xlabel="epoch", xlim=(0.8, EPOCHS + 2.4))
below.set(ylim=(0, 1), xticks=range(1, EPOCHS + 1))
figure.savefig(OUTPUT / "first_training.png", dpi=120)

# %% [markdown]
# ## Save the model and load it
#
# `save_model` writes an ordinary checkpoint, with the class names, the tokenizer and a model card that says how it was trained.
# Nothing of `hf_noisy` is needed to load it.

# %%
protected.save_model("output/lessons/protected")
classify = pipeline("text-classification", model="output/lessons/protected")
for text, true in zip(test["text"][:3], test_gold[:3], strict=True):
    print(f"{classify(text)[0]['label']} (in truth {CLASS_NAMES[true]}): {text[:70]}...")

# %% [markdown]
# ## What this shows, and what it does not
#
# - A model that is trained long enough memorises wrong labels. Methods against label noise prevent or delay this.
# - Labels that are wrong at random are the easy case, and the words of generated reviews tell their class clearly. On real texts
#   that rules or people labelled the gain is smaller: [the benchmark](../../docs/evidence/benchmark.md) has measured it.
# - The comparison needs test rows with true labels. Label two or three hundred rows by hand before you choose a method.
# - Keep the last epoch with `auto`. Choosing an epoch by noisy validation labels gives worse results with this method; see
#   [Choose an epoch without clean labels](../../docs/guides/choosing_an_epoch.md).
#
# Next: [the same on your CSV](../../docs/guides/csv.md), [in your `Trainer` script](../../docs/guides/trainer_script.md), or
# [labels by rules](../../docs/tutorials/labeling_functions.md).
