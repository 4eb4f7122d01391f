"""The table of all fields of `TrainingArguments`: whole, and true."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import flat_weights, make_trainer, tiny_model, token_dataset
from transformers import Trainer, TrainingArguments

from hf_noisy import NoisyTrainer, NoisyTrainingArguments

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "docs" / "generators"))
import stock_arguments

HERE = {field.name for field in fields(TrainingArguments)}


def test_every_field_of_the_installed_version_has_one_row():
    known = stock_arguments.known()
    assert not HERE - known.keys(), "give each a row in docs/generators/stock_arguments.py, after trying what it does"
    parts = [*" ".join(stock_arguments.GROUPS.values()).split(), *stock_arguments.DIFFERS, *stock_arguments.REFUSED]
    assert len(parts) == len(set(parts))
    page = stock_arguments.table()
    assert all(f"`{name}`" in page for name in HERE)


# a value that is not the default, for each field that changes a training on one CPU
TRIED = {
    "per_device_train_batch_size": 3, "num_train_epochs": 1, "max_steps": 3, "learning_rate": 0.3, "lr_scheduler_type": "cosine",
    "lr_scheduler_kwargs": {"num_cycles": 2}, "warmup_steps": 3, "optim": "sgd", "optim_args": "rank=4", "weight_decay": 0.3,
    "adam_beta1": 0.5, "adam_beta2": 0.7, "adam_epsilon": 0.1, "bf16": True, "bf16_full_eval": True, "use_cache": True,
    "torch_empty_cache_steps": 1, "gradient_checkpointing": True, "activation_checkpointing": True, "logging_strategy": "epoch",
    "logging_steps": 3, "logging_first_step": True, "logging_nan_inf_filter": False, "include_num_input_tokens_seen": "all",
    "log_level": "error", "run_name": "a", "skip_memory_metrics": False, "eval_strategy": "epoch", "eval_steps": 2, "eval_delay": 1,
    "per_device_eval_batch_size": 3, "prediction_loss_only": True, "eval_on_start": True, "eval_do_concat_batches": False,
    "eval_accumulation_steps": 1, "include_for_metrics": ["inputs", "loss"], "save_strategy": "epoch", "save_steps": 2,
    "save_total_limit": 1, "seed": 7, "data_seed": 9, "full_determinism": True, "dataloader_num_workers": 1,
    "dataloader_prefetch_factor": None, "remove_unused_columns": False, "train_sampling_strategy": "group_by_length",
    "max_grad_norm": 0.01, "label_smoothing_factor": 0.3, "neftune_noise_alpha": 3.0, "dataloader_drop_last": True,
    "label_names": ["labels"], "load_best_model_at_end": True, "save_only_model": True, "average_tokens_across_devices": False,
    "restore_callback_states_from_checkpoint": True, "dataloader_pin_memory": False,
}  # fmt: skip
NEEDED = {
    "load_best_model_at_end": {"eval_strategy": "epoch", "save_strategy": "epoch"},
    "save_only_model": {"save_strategy": "epoch"},
    "save_total_limit": {"save_strategy": "epoch"},
    "eval_steps": {"eval_strategy": "steps"},
    "eval_delay": {"eval_strategy": "epoch"},
    "lr_scheduler_kwargs": {"lr_scheduler_type": "cosine_with_restarts"},
}
ROWS = token_dataset(14)


def metrics(found):
    return {"width": float(np.shape(found.predictions)[-1]) if not isinstance(found.predictions, list) else 3.0}


IN_EVALUATION = {
    "bf16_full_eval",
    "dataloader_drop_last",
    "skip_memory_metrics",
}  # where the metrics differ, as the table says


@pytest.mark.filterwarnings("ignore:.gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("name", sorted((TRIED.keys() & HERE) - {"train_sampling_strategy"}))
def test_a_field_does_what_it_does_with_the_stock_trainer(tmp_path, name):
    """Without a method: weights to the bit, and the metrics of an evaluation."""
    found = []
    for kind in (Trainer, NoisyTrainer):
        given = {"num_train_epochs": 2, "per_device_train_batch_size": 4, "learning_rate": 1e-2, "save_strategy": "no"}
        given |= (
            {"report_to": "none", "use_cpu": True, "disable_tqdm": True} | NEEDED.get(name, {}) | {name: TRIED[name]}
        )
        args = NoisyTrainingArguments(str(tmp_path / kind.__name__), **given)
        trainer = kind(tiny_model(dropout=0.1), args, None, ROWS, ROWS.select(range(12)), compute_metrics=metrics)
        trainer.train()
        logged = [sorted(entry.keys() - {"eval_label_accuracy"}) for entry in trainer.state.log_history]
        scores = {
            key: value
            for key, value in trainer.evaluate().items()
            if not key.endswith(("second", "runtime", "accuracy"))
        }
        found.append(
            (flat_weights(trainer.model), logged, scores, sorted(p.name for p in Path(args.output_dir).glob("*")))
        )
    (stock, stock_logs, stock_scores, stock_files), (ours, our_logs, our_scores, our_files) = found
    assert torch.equal(ours, stock)
    assert our_logs == stock_logs
    assert our_files == stock_files
    if name not in IN_EVALUATION:
        assert our_scores == pytest.approx(stock_scores, abs=1e-6)


def test_groups_by_length_are_drawn_alike_again(tmp_path):
    weights = []
    for _ in range(2):
        trainer = make_trainer(tmp_path, ROWS, train_sampling_strategy="group_by_length")
        torch.rand(3)
        trainer.train()
        weights.append(flat_weights(trainer.model))
    assert torch.equal(*weights)


@pytest.mark.parametrize("method", ["co_teaching", "co_teaching_plus", "jocor", "dividemix"])
def test_noise_in_embeddings_is_refused_with_several_networks(tmp_path, method):
    with pytest.raises(ValueError, match=f"neftune_noise_alpha=5.0 with noise_method='{method}'.*first of 2 networks"):
        make_trainer(tmp_path, noise_method=method, neftune_noise_alpha=5.0)
