# %% [markdown]
"""
# A method of your own in fifteen lines

- **For** people who have an idea for a method against wrong labels and want to try it without changing a training loop.
- **At the end** you have written a method with a memory, trained with it, looked at what it remembered, and checked that a run
  that is stopped and resumed ends with exactly the weights of an unbroken run.
- **Time:** 10 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/your_own_method.py
```

`examples/lessons/your_own_method.ipynb` is the same as a notebook.

A method decides for each training example what its target is, and how much it counts. In `hf_noisy` a method is a callback that
returns these two. [What an example is taught, and how hard](../../docs/concepts/seam.md) explains why this is enough for most methods.
"""

# %%
import os
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import torch
from transformers import PrinterCallback, set_seed
from transformers.utils.logging import disable_progress_bar

from hf_noisy import Memory, NoiseCallback, NoisyTrainer, NoisyTrainingArguments
from hf_noisy.corpora.reviews import CLASS_NAMES, generate_reviews
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.noise import symmetric
from hf_noisy.data.splits import tokenize

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS = (80, 40, 2) if QUICK else (1500, 1000, 10)
HALF = ROWS // 32 * EPOCHS // 2 + 2  # the step of the checkpoint; it lies inside an epoch
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, RED = "#0072B2", "#D55E00"  # from the palette of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()
disable_progress_bar()

# %% [markdown]
# ## The method
#
# For each example, we keep a moving average of the probability that the model gives to its label. From the second epoch on, examples
# whose average is below a threshold are left out.
#
# - `setup` runs once before the training. `Memory` is a table with one entry for each training example.
# - `supervise` runs at each step, between the forward pass and the loss. `supervision.weighted` multiplies the weights of the examples.
# - `report` adds a column to `example_report()`.
# - `state_dict` and `load_state_dict` are for checkpoints.


# %%
class LeaveOutUnlikely(NoiseCallback):
    """Leaves an example out while the moving average of its label's probability is below a threshold."""

    def __init__(self, threshold: float = 0.4) -> None:
        self.threshold = threshold

    def setup(self, context):
        self.average = Memory(context.rows, fill=1.0, device=context.device)  # 1: kept until it was seen

    def supervise(self, supervision, predictions, batch):
        now = (predictions.probs * batch.given).sum(-1)
        average = now if batch.epoch < 1 else 0.5 * self.average.read(batch.index) + 0.5 * now
        self.average.write(batch, average)
        return supervision.weighted((average >= self.threshold) | (batch.epoch < 1))

    def report(self):
        return {"average": self.average.values.cpu().numpy()}

    def state_dict(self):
        return {"average": self.average.state()}

    def load_state_dict(self, state):
        self.average.load(state["average"])


# %% [markdown]
# ## Train with it
#
# The texts are generated reviews, and 20 % of the labels are changed at random. The column `gold` has the true classes. With
# `gold_column="gold"` the Trainer logs after each epoch which share of the labels that it trained on is right.

# %%
rows, test = generate_reviews(ROWS, seed=1), generate_reviews(TEST_ROWS, seed=2)
gold, test_gold = np.array(rows["gold"][:]), np.array(test["gold"][:])
labels = symmetric(gold, 0.2, 2, seed=0).labels
texts = rows["text"][:]
tokenizer = small_encoder(texts, CLASS_NAMES)[1]
train_rows = tokenize(rows.select_columns(["text", "gold"]), tokenizer, 48).add_column("labels", labels)
test_rows = tokenize(test.select_columns(["text"]), tokenizer, 48)


def trainer_with(callbacks: list, folder: str, save_strategy: str = "no") -> NoisyTrainer:
    set_seed(0)
    args = NoisyTrainingArguments(
        str(OUTPUT / folder), num_train_epochs=EPOCHS, learning_rate=1e-3, per_device_train_batch_size=32,
        per_device_eval_batch_size=500, logging_strategy="epoch", report_to="none", disable_tqdm=True,
        dataloader_pin_memory=False, save_steps=HALF, save_strategy=save_strategy,
    )  # fmt: skip
    trainer = NoisyTrainer(
        small_encoder(texts, CLASS_NAMES, seed=0)[0], args, train_dataset=train_rows, processing_class=tokenizer, callbacks=callbacks,
        gold_column="gold",
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer


def test_accuracy(trainer: NoisyTrainer) -> float:
    return float((trainer.predict(test_rows).predictions.argmax(-1) == test_gold).mean())


plain = trainer_with([], "plain")
plain.train()
mine = trainer_with([LeaveOutUnlikely()], "mine", save_strategy="steps")
mine.train()
print(f"cross-entropy: test accuracy {test_accuracy(plain):.3f}")
print(f"LeaveOutUnlikely: test accuracy {test_accuracy(mine):.3f}")
for log in mine.state.log_history:
    if "selection_precision" in log:
        print(
            f"epoch {log['epoch']:.0f}: {log['kept_share']:.0%} of the examples kept, "
            f"{log['selection_precision']:.1%} of their labels right (of all labels: {(labels == gold).mean():.1%})"
        )

# %% [markdown]
# `report` returned the averages, so `example_report()` has them as a column.

# %% alt="Histogram on a logarithmic scale: the average probability of the label after training. Most wrong labels are near zero, left of the dotted threshold of 0.4, with a few right ones. Most right labels are near one, with a smaller number of wrong ones."
average = np.array(mine.example_report()["average"][:])
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
bins = np.linspace(0, 1, 41)
axes.hist(average[labels == gold], bins, color=BLUE, alpha=0.6)
axes.hist(average[labels != gold], bins, color=RED, alpha=0.6)
axes.axvline(0.4, color="black", linewidth=0.8, linestyle=":")
for x, text, colour, side in ((0.03, "wrong labels", RED, "left"), (0.97, "right labels", BLUE, "right")):
    axes.text(x, 1.0, text, color=colour, ha=side, transform=axes.get_xaxis_transform())
axes.text(0.39, 0.9, "left out", ha="right", transform=axes.get_xaxis_transform())
axes.set(xlabel="average probability of the label after training", ylabel="examples", yscale="log")
figure.savefig(OUTPUT / "your_own_method.png", dpi=120)

# %% [markdown]
# ## Stop and resume
#
# The run above wrote a checkpoint inside an epoch. A second run resumes from there, and must end with the same weights, to the last bit.
# A method that does not load its memory is the control: if it gave the same weights too, the check would prove nothing.


# %%
def weights(trainer: NoisyTrainer) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in trainer.model.parameters()])


forgetful = LeaveOutUnlikely()
forgetful.load_state_dict = lambda state: None
for name, method in {"with its memory": LeaveOutUnlikely(), "without": forgetful}.items():
    resumed = trainer_with([method], "resumed")
    resumed.train(resume_from_checkpoint=str(OUTPUT / "mine" / f"checkpoint-{HALF}"))
    same = "equal" if torch.equal(weights(resumed), weights(mine)) else "not equal"
    print(f"resumed at step {HALF} {name}: weights {same} to those of the unbroken run")

# %% [markdown]
# ## What to do next
#
# - Compare a method with cross-entropy and with `auto` on several seeds and corpora. One run, as here, proves little.
#   [Benchmark on your corpus](../../docs/guides/benchmark.md) does this.
# - The guide [Write a method](../../docs/guides/writing_a_method.md) lists the other events: targets, penalties, several networks, a look
#   at all examples before each epoch.
