# %% [markdown]
"""
# Your own method in fifteen lines

A way of coping with wrong labels says of each example what it is taught (target) and how hard (weight). In `hf_noisy` it is a
callback that says just that. This writes one with a memory, trains with it, and checks that a stopped run goes on as if it had
never been stopped.

    python examples/lessons/your_own_method.py

takes about a minute on two cores, needs no network, and writes its figure into `output/lessons`.
"""

# %%
import copy
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

QUICK = "HF_NOISY_QUICK" in os.environ  # what the tests set
ROWS, TEST_ROWS, EPOCHS = (80, 40, 2) if QUICK else (1500, 1000, 10)
HALF = ROWS // 32 * EPOCHS // 2 + 2  # steps until the checkpoint, inside an epoch
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
datasets.disable_progress_bars()
disable_progress_bar()

# %% [markdown]
# ## The method
#
# Remember for each example how probable the model has found its label, as a moving average, and from the second epoch on leave
# those out whose label it came to doubt. `Memory` is a table with a row an example, and `supervise` is called at every step, between
# the forward pass and the loss. `state_dict` is what a checkpoint keeps of it.


# %%
class LeaveOutDoubted(NoiseCallback):
    """Leaves an example out of a step while the moving average of its label's probability is below `below`."""

    def __init__(self, below: float = 0.4) -> None:
        self.below = below

    def setup(self, context):
        self.belief = Memory(context.rows, fill=1.0, device=context.device)  # trusted until something was seen

    def supervise(self, supervision, predictions, batch):
        now = (predictions.probs * batch.given).sum(-1)
        belief = now if batch.epoch < 1 else 0.5 * self.belief.read(batch.index) + 0.5 * now
        self.belief.write(batch, belief)
        return supervision.weighted((belief >= self.below) | (batch.epoch < 1))

    def report(self):
        return {"belief": self.belief.values.cpu().numpy()}

    def state_dict(self):
        return {"belief": self.belief.state()}

    def load_state_dict(self, state):
        self.belief.load(state["belief"])


# %% [markdown]
# ## Training with it
#
# Reviews with 20 % of the labels turned at random. The gold column measures only: with it the Trainer logs which share of the
# labels that were taught is right.

# %%
rows, test = generate_reviews(ROWS, seed=1), generate_reviews(TEST_ROWS, seed=2)
gold, test_gold = np.array(rows["gold"][:]), np.array(test["gold"][:])
labels = symmetric(gold, 0.2, 2, seed=0).labels
start, tokenizer = small_encoder(rows["text"][:], CLASS_NAMES, seed=0)
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
        copy.deepcopy(start), args, train_dataset=train_rows, processing_class=tokenizer, callbacks=callbacks,
        gold_column="gold",
    )  # fmt: skip
    trainer.remove_callback(PrinterCallback)
    return trainer


def test_accuracy(trainer: NoisyTrainer) -> float:
    return float((trainer.predict(test_rows).predictions.argmax(-1) == test_gold).mean())


plain = trainer_with([], "plain")
plain.train()
mine = trainer_with([LeaveOutDoubted()], "mine", save_strategy="steps")
mine.train()
print(f"cross-entropy: test accuracy {test_accuracy(plain):.3f}")
print(f"LeaveOutDoubted: test accuracy {test_accuracy(mine):.3f}")
for log in mine.state.log_history:
    if "selection_precision" in log:
        print(
            f"epoch {log['epoch']:.0f}: taught {log['kept_share']:.0%} of the examples, of whose labels "
            f"{log['selection_precision']:.1%} are right (of all: {(labels == gold).mean():.1%})"
        )

# %% [markdown]
# What the method's `report` returns becomes a column of `example_report()`.

# %%
belief = np.array(mine.example_report()["belief"][:])
figure, axes = plt.subplots(figsize=(7, 3.8), layout="constrained")
bins = np.linspace(0, 1, 41)
axes.hist(belief[labels == gold], bins, color="tab:green", alpha=0.6, label="right label")
axes.hist(belief[labels != gold], bins, color="tab:red", alpha=0.6, label="wrong label")
axes.axvline(0.4, color="black", linewidth=0.8, linestyle=":")
axes.set(xlabel="belief in the label after training (dotted: left out below)", ylabel="examples", yscale="log")
axes.legend()
figure.savefig(OUTPUT / "your_own_method.png", dpi=120)

# %% [markdown]
# ## Stopped and resumed
#
# The run above left a checkpoint inside an epoch. A second run goes on from there, and its weights have to be those of the first, to
# the bit. A method that does not take back its memory is the control: if it came out equal too, the check would show nothing.


# %%
def weights(trainer: NoisyTrainer) -> torch.Tensor:
    return torch.cat([value.detach().flatten() for value in trainer.model.parameters()])


forgetful = LeaveOutDoubted()
forgetful.load_state_dict = lambda state: None
for name, method in {"with its memory": LeaveOutDoubted(), "without": forgetful}.items():
    resumed = trainer_with([method], "resumed")
    resumed.train(resume_from_checkpoint=str(OUTPUT / "mine" / f"checkpoint-{HALF}"))
    same = "equal" if torch.equal(weights(resumed), weights(mine)) else "not equal"
    print(f"resumed at step {HALF} {name}: weights {same} to those of the unbroken run")
