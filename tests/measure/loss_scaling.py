"""The gradient of a step that is split into parts: the Trainer of Transformers and NoisyTrainer on the same 16 rows.

    python tests/measure/loss_scaling.py --output recipes/results/loss_scaling.jsonl

takes one step on 16 rows at once and one on 4 accumulated batches of 4. It prints the logged loss of both, and compares their
gradients. Dropout is off, so only the scaling differs.
"""

from __future__ import annotations

import argparse
import tempfile

import datasets
import torch
from reporting import Line, Results, add_output
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    Trainer,
    TrainerCallback,
    TrainingArguments,
    set_seed,
)

from hf_noisy import NoisyTrainer
from hf_noisy.benchmark.cells import markdown_table

ROWS, CLASSES, WORDS = 16, 3, 50


class Gradient(TrainerCallback):
    """Keeps the gradient of the last optimizer step."""

    def on_pre_optimizer_step(self, args, state, control, model, **kwargs):
        self.value = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]).clone()


def one_step(trainer_class: type[Trainer], batch_size: int) -> tuple[torch.Tensor, float]:
    """The gradient and the logged loss of one optimizer step over all rows."""
    set_seed(0)
    config = BertConfig(
        vocab_size=WORDS,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        num_labels=CLASSES,
    )
    rows = {
        "input_ids": torch.randint(WORDS, (ROWS, 8)).tolist(),
        "labels": torch.randint(CLASSES, (ROWS,)).tolist(),
    }
    watch = Gradient()
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(
            folder,
            per_device_train_batch_size=batch_size,
            gradient_accumulation_steps=ROWS // batch_size,
            num_train_epochs=1,
            max_grad_norm=0.0,
            logging_steps=1,
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
        )
        dataset = datasets.Dataset.from_dict(rows)
        trainer = trainer_class(BertForSequenceClassification(config), args, train_dataset=dataset, callbacks=[watch])
        trainer.train()
    return watch.value, trainer.state.log_history[0]["loss"]


def measure(trainer_class: type[Trainer]) -> Line:
    whole, whole_loss = one_step(trainer_class, ROWS)
    parts, parts_loss = one_step(trainer_class, ROWS // 4)
    return {
        "loss_whole": whole_loss,
        "loss_parts": parts_loss,
        "ratio": float(parts.norm() / whole.norm()),
        "error": float((parts - whole).norm() / whole.norm()),
    }


def table(lines: list[Line]) -> str:
    """A row per trainer."""
    return markdown_table(
        ["trainer", "loss, 16 at once", "loss, 4 x 4", "ratio of gradient lengths", "relative error of the gradient"],
        [
            [
                f"`{line['trainer']}`",
                f"{line['loss_whole']:.4f}",
                f"{line['loss_parts']:.4f}",
                f"{line['ratio']:.2f}",
                f"{line['error']:.1e}",
            ]
            for line in lines
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_output(parser)
    results = Results(parser.parse_args().output)
    for trainer_class in (Trainer, NoisyTrainer):
        results.once({"trainer": trainer_class.__name__}, lambda trainer_class=trainer_class: measure(trainer_class))
    print(table(results.lines))


if __name__ == "__main__":
    main()
