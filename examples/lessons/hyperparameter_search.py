# %% [markdown]
"""
# Hyperparameter search

- **For** people who want to tune a method, and have no validation rows with true labels.
- **At the end** you have searched the parameter of a loss by accuracy on noisy validation labels, compared the choice with the best on
  clean test rows, and trained with it.
- **Time:** 10 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/hyperparameter_search.py
```

`examples/lessons/hyperparameter_search.ipynb` is the same as a notebook.

`trainer.hyperparameter_search` is that of Transformers. A method and its parameters are fields of the arguments, so they are searched
like a learning rate.
"""

# %%
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import optuna
import pandas as pd
from transformers import PrinterCallback

from hf_noisy import NoisyTrainer, NoisyTrainingArguments, compute_metrics
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.noise import symmetric
from hf_noisy.data.splits import tokenize

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, VALID_ROWS, TEST_ROWS, EPOCHS, TRIALS = (80, 40, 40, 1, 2) if QUICK else (800, 1000, 1000, 8, 8)
RATE = 0.3
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, RED, GREY = "#0072B2", "#D55E00", "#6b6b6b"  # from the palette of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()
optuna.logging.set_verbosity(optuna.logging.WARNING)

# %% [markdown]
# ## Noisy validation rows
#
# Of the training and the validation labels, 30 % are wrong at random. On such validation rows a perfect classifier has an accuracy of
# about 70 %. But if the noise is the same for all texts, the better of two classifiers is on average also better on noisy labels.
# This does not hold for labels that rules made wrong.

# %%
parts = {
    name: generate_reviews(size, seed)
    for seed, (name, size) in enumerate({"train": ROWS, "valid": VALID_ROWS, "test": TEST_ROWS}.items(), start=1)
}
texts = parts["train"]["text"][:]
_, tokenizer = small_encoder(texts, CLASS_NAMES)
for seed, (name, rows) in enumerate(parts.items()):
    gold = np.array(rows["gold"][:])
    labels = gold if name == "test" else symmetric(gold, RATE, 2, seed=seed).labels
    parts[name] = tokenize(rows.select_columns(["text"]).add_column("labels", labels), tokenizer, 48)

# %% [markdown]
# ## The search
#
# - `model_init` builds a new model for each trial.
# - `space` returns the fields of the arguments that a trial sets: here `noise_kwargs`. It could also set `noise_method`,
#   `learning_rate` or `num_train_epochs`.
# - `objective` reads only the validation rows. The test rows are a second evaluation set, so that we can see afterwards what the
#   search missed.

# %%
args = NoisyTrainingArguments(
    "output/lessons/search", noise_method="gce", num_train_epochs=EPOCHS, learning_rate=1e-3,
    per_device_train_batch_size=32, per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no",
    report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
)  # fmt: skip
trainer = NoisyTrainer(
    args=args,
    model_init=lambda: small_encoder(texts, CLASS_NAMES, seed=0)[0],
    train_dataset=parts["train"],
    eval_dataset={"valid": parts["valid"], "test": parts["test"]},
    processing_class=tokenizer,
    compute_metrics=compute_metrics,
)
trainer.remove_callback(PrinterCallback)
seen = []  # (q, noisy validation accuracy, test accuracy) of each trial


def space(trial: optuna.Trial) -> dict:
    return {"noise_kwargs": {"q": trial.suggest_float("q", 0.05, 1.0)}}


def objective(metrics: dict[str, float]) -> float:
    seen.append((trainer.args.noise_kwargs["q"], metrics["eval_valid_accuracy"], metrics["eval_test_accuracy"]))
    return metrics["eval_valid_accuracy"]


best = trainer.hyperparameter_search(
    space, compute_objective=objective, n_trials=TRIALS, direction="maximize", backend="optuna",
    sampler=optuna.samplers.TPESampler(seed=0),
)  # fmt: skip

# %%
table = pd.DataFrame(seen, columns=["q", "noisy validation", "clean test"])
print(table.round(3).to_string())
chosen = table.loc[table["noisy validation"].idxmax()]
print(f"\nchosen by noisy validation rows: q = {chosen['q']:.3f}")
print(f"accuracy on clean test rows: chosen {chosen['clean test']:.3f}, best of all {table['clean test'].max():.3f}")

# %% alt="Two lines over the values of q that were tried: the accuracy on clean test rows, and far below it the accuracy on noisy validation rows. Both change by a few points only and rise a little towards large q. A vertical dotted line marks the chosen q, at the highest point of the lower line. A horizontal one at 0.7 marks a perfect classifier on noisy rows."
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
ordered = table.sort_values("q")
for column, colour, name in (
    ("clean test", BLUE, "clean test rows (only measured)"),
    ("noisy validation", RED, "noisy validation rows (the objective)"),
):
    axes.plot(ordered["q"], ordered[column], "o-", color=colour)
    axes.text(ordered["q"].iloc[0], ordered[column].max() + 0.012, name, color=colour)
axes.axhline(1 - RATE, color=GREY, linestyle=":", linewidth=0.8)
axes.text(1, 1 - RATE + 0.004, "a perfect classifier on noisy rows", color=GREY, ha="right", fontsize=9)
axes.axvline(chosen["q"], color=GREY, linestyle=":", linewidth=0.8)
axes.set(
    xlabel="q of generalized cross-entropy (dotted: chosen)", ylabel="accuracy after the last epoch", xlim=(0, 1.02)
)
figure.savefig(OUTPUT / "hyperparameter_search.png", dpi=120)

# %% [markdown]
# ## Train with the choice
#
# `best.hyperparameters` has the values that `trial.suggest_...` named, here `q`. They go into `noise_kwargs`.

# %%
trainer.args.noise_kwargs = dict(best.hyperparameters)
trainer.train()
print(trainer.noise.criterion, f"test accuracy {trainer.evaluate()['eval_test_accuracy']:.3f}")

# %% [markdown]
# ## What this shows, and what it does not
#
# - An accuracy on 1,000 noisy rows has a standard error of about 1.5 points. Trials that differ by less are ranked by chance.
# - The accuracy of the chosen trial on the validation rows is too high an estimate, because these rows chose it.
# - More validation rows help more than more trials.
# - With `auto`, do not search by noisy labels: it no longer learns the given labels. See
#   [Choose an epoch without clean labels](../../docs/guides/choosing_an_epoch.md).
#
# Next: the guide [Search hyperparameters](../../docs/guides/hyperparameter_search.md).
