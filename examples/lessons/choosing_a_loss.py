# %% [markdown]
"""
# Choosing a loss

- **For** people who know cross-entropy and want to understand what robust losses change, before they choose one.
- **At the end** you can read the gradient of a loss from a picture, know which losses ignore labels that the model finds unlikely and
  what this costs, and have compared five losses on random mistakes and on mistakes of rules.
- **Time:** 10 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/choosing_a_loss.py
```

`examples/lessons/choosing_a_loss.ipynb` is the same as a notebook.
"""

# %%
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
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

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS, SEEDS = (80, 40, 1, [0]) if QUICK else (600, 1000, 6, [0, 1])
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
# of the palette of Okabe and Ito, safe for the colour-blind
COLOURS = dict(
    zip(CRITERIA, ("#000000", "#0072B2", "#D55E00", "#E69F00", "#56B4E9", "#009E73", "#CC79A7"), strict=True)
)

# %% [markdown]
# ## The gradient of each loss
#
# Let p be the probability that the model gives to the label; the other classes share the rest evenly. The figure shows the negative
# derivative of the loss with respect to the logit of the label: how strongly a training step raises this logit. The scale of a loss
# does not matter, since the learning rate can undo it. So each curve is divided by its maximum, and only the shape counts.


# %%
def pull(criterion: Criterion, classes: int, p: torch.Tensor) -> torch.Tensor:
    """(points,) negative derivative by the label's logit. The label is class 0 and has probability p."""
    others = ((1 - p) / (classes - 1)).unsqueeze(-1).expand(-1, classes - 1)
    logits = torch.cat([p.unsqueeze(-1), others], -1).log().requires_grad_()
    criterion(logits.log_softmax(-1), torch.zeros(len(p), dtype=torch.long)).sum().backward()
    return -logits.grad[:, 0]


p = torch.linspace(0.001, 0.999, 400, dtype=torch.float64)
pulls = {classes: {name: pull(criterion, classes, p) for name, criterion in CRITERIA.items()} for classes in (2, 20)}

# %% alt="Two panels with curves of the gradient against the probability of the label, for 2 and for 20 classes. Cross-entropy, label smoothing and soft bootstrapping fall in a nearly straight line from one at probability zero to about zero at probability one. The gradients of generalized cross-entropy, mean absolute error, symmetric cross-entropy and the active-passive loss are small at probability zero, highest near one half, and zero at one. With 20 classes a training starts at the far left, where these are small."
figure, panels = plt.subplots(2, 1, figsize=(7, 7), layout="constrained", sharex=True)
for axes, classes in zip(panels, pulls, strict=True):
    for name, values in pulls[classes].items():
        style = "--" if name in ("LabelSmoothing", "Bootstrapping (soft)") else "-"
        axes.plot(p, values / values.max(), style, label=name, color=COLOURS[name])
    axes.axvline(1 / classes, color="grey", linewidth=0.8, linestyle=":")
    axes.axhline(0, color="grey", linewidth=0.8)
    axes.set(title=f"{classes} classes (dotted: p at the start of a training)", ylabel="gradient, highest = 1")
panels[1].set_xlabel("p, the probability that the model gives to the label")
figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize=9, frameon=False)
figure.savefig(OUTPUT / "gradients_of_losses.png", dpi=120)

# %% [markdown]
# Cross-entropy has its largest gradient where the model finds the label impossible. Once the model has learned something, many wrong
# labels are there. Robust losses have a small gradient there, so they almost ignore such labels.
#
# This has a price. At the start of a training the model knows nothing, and with many classes every label has a small p. A loss that
# ignores a small p then learns slowly, or not at all. The table has the gradient at a label that the model finds unlikely
# (p = 0.02, two classes), and at the start with 2 and with 20 classes.
#
# Only label smoothing becomes negative, at the right: it makes very certain predictions less certain.

# %%
places = {"p = 0.02, 2 classes": (2, 0.02), "start, 2 classes": (2, 1 / 2), "start, 20 classes": (20, 1 / 20)}
table = {
    column: {name: float(values[(p - where).abs().argmin()] / values.max()) for name, values in pulls[classes].items()}
    for column, (classes, where) in places.items()
}
print(pd.DataFrame(table).round(2).to_string())

# %% [markdown]
# ## A small comparison
#
# Five losses are trained on reviews with two kinds of wrong labels: 25 % changed at random, and the majority vote of thirteen
# labeling functions. The functions are wrong about as often, but for reasons that the text shows. All trainings have the same rows,
# initial weights, steps and learning rate, and are measured on clean test rows after the last epoch.


# %%
def noisy_labels(kind: str, rows: datasets.Dataset, seed: int) -> np.ndarray:
    """(rows,) class ids, -1 where no labeling function votes."""
    if kind == "at random":
        return symmetric(rows["gold"][:], 0.25, 2, seed=seed).labels
    votes = votes_of(apply_labeling_functions(rows, labeling_functions()))
    return hard_labels(majority_vote(votes, 2), seed=seed)


def train_and_test(criterion: Criterion, train_rows: datasets.Dataset, test_rows: datasets.Dataset, seed: int) -> float:
    set_seed(seed)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=32,
        per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no", report_to="none", seed=seed,
        disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    model = small_encoder(texts, CLASS_NAMES, seed=seed)[0]
    trainer = NoisyTrainer(model, args, train_dataset=train_rows, processing_class=tokenizer, criterion=criterion)
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    found = trainer.predict(test_rows.remove_columns("gold")).predictions.argmax(-1)
    return float((found == np.array(test_rows["gold"][:])).mean())


KINDS = ("at random", "by a rule")
COMPARED = [name for name in CRITERIA if name not in ("LabelSmoothing", "ActivePassive (NCE + RCE)")]  # for time
results = []
for seed in SEEDS:
    rows, test = generate_reviews(ROWS, 2 * seed + 1), generate_reviews(TEST_ROWS, 2 * seed + 2)
    texts = rows["text"][:]
    tokenizer = small_encoder(texts, CLASS_NAMES)[1]
    train_rows, test_rows = (tokenize(part.select_columns(["text", "gold"]), tokenizer, 48) for part in (rows, test))
    for kind in KINDS:
        labels = noisy_labels(kind, rows, seed)
        wrong = (labels != np.array(rows["gold"][:]))[labels >= 0].mean()
        print(f"seed {seed}, wrong {kind}: {wrong:.1%} of the labels are wrong")
        labelled = train_rows.remove_columns("gold").add_column("labels", labels)
        for name in COMPARED:
            accuracy = train_and_test(CRITERIA[name], labelled, test_rows, seed)
            results.append({"loss": name, "wrong": kind, "seed": seed, "test accuracy": accuracy})

# %%
found = pd.DataFrame(results).set_index(["loss", "wrong", "seed"])["test accuracy"].unstack(["wrong", "seed"])
found = found.rename_axis(None).loc[COMPARED, [(kind, seed) for kind in KINDS for seed in SEEDS]]
print(found.set_axis([f"{kind}, seed {seed}" for kind, seed in found], axis=1).round(3).to_string())

# %% alt="Dots: mean test accuracy of five losses over two seeds, for labels wrong at random and labels wrong by a rule, with bars for the single seeds. Apart from mean absolute error, which is far lower for labels wrong by a rule, the means of each kind differ by no more than the two seeds of one loss do."
figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
for x, offset, kind, colour, marker in (
    (0, -0.15, "at random", "#0072B2", "o"),
    (0.4, 0.15, "by a rule", "#D55E00", "s"),
):
    values, places = found[kind].to_numpy(), np.arange(len(COMPARED)) + offset  # values: (losses, seeds)
    axes.plot(values.mean(1), places, marker, color=colour)
    axes.plot(values.ravel(), np.repeat(places, len(SEEDS)), "|", color=colour, markersize=10)
    axes.axvline(values[0].mean(), color=colour, linewidth=0.8, linestyle=":")
    axes.text(x, 1.02, f"labels wrong {kind}", color=colour, transform=axes.transAxes)
axes.set(yticks=range(len(COMPARED)), yticklabels=COMPARED, ylim=(len(COMPARED) - 0.5, -0.5))
axes.set(xlabel="test accuracy (marker: mean; bars: seeds; dotted: cross-entropy)")
figure.savefig(OUTPUT / "comparison_of_losses.png", dpi=120)

# %% [markdown]
# ## What this shows, and what it does not
#
# - Most of the differences are smaller than the difference between two seeds. They do not say which loss is best.
# - With one seed, mean absolute error hardly learned. This is the price that the first figure shows.
# - After six epochs cross-entropy has only begun to memorise. [First training on noisy labels](../../docs/tutorials/first_training.md)
#   shows what happens in ten. In longer trainings a robust loss can gain more.
# - No loss sees why a label is wrong. Mistakes that follow the text are learned like the truth; see
#   [why a loss cannot see a rule's mistakes](../../docs/concepts/rule_mistakes.md).
# - Compare a loss with `CrossEntropy` and with [`auto`](../../docs/guides/choosing_a_method.md) on test rows of your own.
