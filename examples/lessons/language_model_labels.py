# %% [markdown]
"""
# Labels by a language model

- **For** people who let a language model label their texts, and want a small classifier trained on these labels.
- **At the end** you have asked for labels in three wordings of the prompt, stored the answers, turned confident ones into votes,
  seen where they are wrong, and trained a classifier on the votes.
- **Time:** 15 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

**No language model runs on this page.** So that it works offline, a rule that counts words takes the place of a model. It answers
with a class and a confidence, and its mistakes have reasons in the text. The section
[Ask a real model](#ask-a-real-model) has the lines that replace it. Everything else stays the same.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/language_model_labels.py
```

`examples/lessons/language_model_labels.ipynb` is the same as a notebook.
"""

# %%
import json
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
    labels_from_votes,
    majority_vote,
    summarize_votes,
)
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.corpora.topic_labels import WORDINGS, simulated_answers
from hf_noisy.corpora.topics import CLASS_NAMES, generate_topics
from hf_noisy.data.splits import tokenize
from hf_noisy.weak.language_model import Answer, Answers, votes_of_answers

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS = (150, 60, 1) if QUICK else (2000, 1000, 6)
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, RED, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#6b6b6b"  # of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()

# %% [markdown]
# ## Ask, and store the answers
#
# The texts are short generated news of five topics. For each text we ask in three wordings. One answer is a class name with a
# confidence. `Answers` is a JSONL file with one line a text: a text that it holds is not asked about again. Any program may
# write such a file, for example a client of a paid API.

# %%
rows, test = generate_topics(ROWS, seed=1), generate_topics(TEST_ROWS, seed=2)
texts, gold = rows["text"][:], np.array(rows["gold"][:])


def ask_about(texts: list[str]) -> list[list[Answer]]:
    """The answers of a rule in place of a language model: for each text, one answer for each wording."""
    found = [[simulated_answers(text, wording) for wording in range(len(WORDINGS))] for text in texts]
    return [[Answer(CLASS_NAMES[shares.argmax()], float(shares.max())) for shares in row] for row in found]


answers = Answers(OUTPUT / "answers.jsonl", by="a rule, no language model")
missing = answers.missing(texts)
answers.add(missing, ask_about(missing))
for key, value in json.loads(answers.path.read_text(encoding="utf-8").splitlines()[0]).items():
    print(f"{key}: {value}")

# %% [markdown]
# ### Ask a real model
#
# With a model, this function takes the place of the one above, and its name that of the rule in `by=`. `ask` runs a pipeline of
# Transformers on your machine:
#
# ```python
# from hf_noisy.weak.language_model import ask
#
#
# def ask_about(texts: list[str]) -> list[list[Answer]]:
#     return ask("PATH_OR_NAME", texts, CLASS_NAMES, task="zero-shot-classification")
# ```
#
# This task needs a classifier that was trained on entailment. With `task="text-generation"` a generative model answers each
# wording `samples=5` times, and the confidence is the share of its most frequent answer. Give prompts of your own as
# `wordings=[...]`. From the command line, `recipes/llm_labels.py` does the same.
#
# ## Turn confident answers into votes
#
# Each wording is a source. `votes_of_answers` lets it vote if its confidence reaches a threshold, and abstain otherwise. A high
# threshold gives fewer votes. With true labels one can see how much better they are.

# %%
print("threshold   texts with a vote   right votes")
for threshold in (0.3, 0.5, 0.7, 0.9):
    votes = votes_of_answers(answers.of(texts), CLASS_NAMES, threshold)
    voted = votes >= 0
    print(f"{threshold:9.1f}   {voted.any(1).mean():17.1%}   {(votes == gold[:, None])[voted].mean():11.1%}")

# %% [markdown]
# The confidence helps, but it is no probability, and a threshold alone does not give right labels for all texts. We take 0.5, and
# leave the rest to the training.
#
# ## Look at the mistakes
#
# `summarize_votes` says how often a wording votes and is contradicted by another. Conflicts are rarer than mistakes: the wordings
# share many mistakes. Three prompts to one model are not three annotators.

# %%
votes = votes_of_answers(answers.of(texts), CLASS_NAMES, confidence=0.5)
print(summarize_votes(votes, names=WORDINGS, gold=gold).round(2).to_string())
wrong = ((votes != gold[:, None]) & (votes >= 0)).sum(1)
print(f"texts with a wrong vote: {(wrong > 0).mean():.1%}; with several: {(wrong > 1).mean():.1%}")
majority = hard_labels(majority_vote(votes, len(CLASS_NAMES)), seed=0)
print(f"labels by majority vote: {(majority != gold)[majority >= 0].mean():.1%} of them wrong")

# %% [markdown]
# ## Train a classifier on the votes
#
# A small classifier costs a fraction of a language model, and it may be better than its labels. `labels_from_votes` adds the
# majority vote of the wordings as `labels`. We train cross-entropy on these labels, `auto` on the votes and the texts, and
# cross-entropy on true labels as the ceiling. The model is a small BERT with random weights.

# %%
labelled_rows = labels_from_votes(rows.add_column("weak_labels", votes.tolist()), num_classes=len(CLASS_NAMES))
tokenizer = small_encoder(texts, CLASS_NAMES)[1]
test_rows = tokenize(test.select_columns(["text"]), tokenizer, 48)
test_gold, test_reasons = np.array(test["gold"][:]), np.array(test["reason"][:])


def predictions(train_rows: datasets.Dataset, noise_method: str) -> np.ndarray:
    """The classes of the test rows, by a classifier that was trained on `train_rows`."""
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
    return trainer.predict(test_rows).predictions.argmax(-1)


true_labels = rows.select_columns(["text", "gold"]).rename_column("gold", "labels")
test_votes = votes_of_answers(ask_about(test["text"][:]), CLASS_NAMES)
found = {
    "answers": hard_labels(majority_vote(test_votes, len(CLASS_NAMES)), seed=0),  # -1 without a vote
    "cross-entropy": predictions(labelled_rows, "ce"),
    "auto": predictions(labelled_rows, "auto"),
    "true labels": predictions(true_labels, "ce"),
}

# %% [markdown]
# The column `reason` of the generated news says what may mislead: a *guest* from another topic, a *figure* of speech, an *opening*
# about something else, or a *sparse* text. So we can see which mistakes are copied and which are corrected. The row *answers* is the
# majority vote of the wordings on the test rows, without a classifier. A text without a vote counts as wrong.

# %%
kinds = {"all texts": np.ones(len(test_gold), dtype=bool)}
kinds |= {reason: test_reasons == reason for reason in np.unique(test_reasons)}
table = pd.DataFrame(
    {kind: {name: (said == test_gold)[which].mean() for name, said in found.items()} for kind, which in kinds.items()}
)
print(table.round(3).to_string())

# %% alt="Dots: accuracy on all test texts and on each kind of text, for the answers of the rule, cross-entropy, auto and true labels. On texts with a misleading figure of speech or opening, cross-entropy is little better than the answers. Auto is better than both on these kinds, and true labels are at one everywhere."
figure, axes = plt.subplots(figsize=(7, 4), layout="constrained")
places = np.arange(len(kinds))
axes.hlines(places, 0, 1, color="#d9d9d9", linewidth=0.8)
for name, colour, marker in zip(found, (GREY, RED, BLUE, GREEN), "sDo^", strict=True):
    axes.scatter(table.loc[name], places, color=colour, marker=marker, zorder=2, label=name)
axes.set(yticks=places, yticklabels=kinds, xlabel="accuracy on clean test rows")
axes.set(xlim=(table.to_numpy().min() - 0.03, 1.02), ylim=(len(places) - 0.5, -0.5))
figure.legend(loc="outside upper center", ncols=4, frameon=False)
figure.savefig(OUTPUT / "language_model_labels.png", dpi=120)

# %% [markdown]
# ## What this shows, and what it does not
#
# - Several wordings of one model share their mistakes. More wordings add less than more annotators do.
# - Cross-entropy copies mistakes that have a pattern in the text. `auto` corrects a part of them.
# - The share of wrong labels that `auto` logs is too low here. Where the wordings make the same mistake they agree, and
#   agreement counts as evidence.
# - The rule that took the place of a model errs in its own way, and the generated news are easy to tell by their words. Label some
#   hundred texts by hand to measure how good the answers of your model are, and what `auto` gains on them.
#
# Next: [finding and fixing wrong labels](../../docs/tutorials/fixing_labels.md), and the guides for
# [votes of several sources](../../docs/guides/weak_labels.md) and [soft labels](../../docs/guides/soft_labels.md).
