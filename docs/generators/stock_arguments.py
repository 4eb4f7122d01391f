"""Every field of `TrainingArguments`: what `NoisyTrainer` does with it."""

from __future__ import annotations

from dataclasses import fields

from transformers import TrainingArguments

SAME = "same"
_SEVERAL = "Several networks"
GROUPS = {  # fields that are used by the stock Trainer, or by its parent classes, and by nothing else
    "length and learning rate": "per_device_train_batch_size num_train_epochs max_steps learning_rate lr_scheduler_type "
    "lr_scheduler_kwargs warmup_steps warmup_ratio",
    "optimizer": "optim optim_args weight_decay adam_beta1 adam_beta2 adam_epsilon optim_target_modules adafactor",
    "precision and memory": "bf16 fp16_backend fp16_opt_level half_precision_backend tf32 use_cache "
    "torch_compile_backend torch_compile_mode torch_empty_cache_steps use_liger_kernel liger_kernel_config "
    "activation_checkpointing activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs",
    "logging": "logging_dir logging_strategy logging_steps logging_first_step log_on_each_node logging_nan_inf_filter "
    "include_num_input_tokens_seen include_tokens_per_second log_level log_level_replica disable_tqdm report_to run_name project "
    "trackio_space_id trackio_bucket_id trackio_static_space_id debug skip_memory_metrics",
    "evaluation": "eval_strategy eval_steps eval_delay per_device_eval_batch_size prediction_loss_only eval_on_start "
    "eval_do_concat_batches eval_use_gather_object eval_accumulation_steps include_for_metrics include_inputs_for_metrics "
    "batch_eval_metrics metric_for_best_model greater_is_better",
    "saving": "output_dir overwrite_output_dir save_strategy save_steps save_on_each_node save_total_limit save_safetensors "
    "enable_jit_checkpoint push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision",
    "seeds and data": "seed data_seed full_determinism ignore_data_skip dataloader_num_workers dataloader_pin_memory "
    "dataloader_persistent_workers dataloader_prefetch_factor dataloader_multiprocessing_context dataloader_in_order "
    "remove_unused_columns length_column_name group_by_length",
    "devices": "use_cpu no_cuda local_rank ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_static_graph "
    "ddp_backend ddp_timeout tpu_num_cores tpu_metrics_debug torchdynamo jit_mode_eval",
    "what a script reads": "do_train do_eval do_predict",
}
DIFFERS = {
    "gradient_accumulation_steps": "The gradient is that of one large batch. In 5.x that of the stock Trainer is not.",
    "average_tokens_across_devices": "It changes nothing: the rows of a step are always counted over all processes.",
    "max_grad_norm": f"{_SEVERAL} are clipped each by its own norm.",
    "label_smoothing_factor": "Same without a method. With a method or with soft labels it is refused: name the method "
    "`label_smoothing`.",
    "bf16_full_eval": "`eval_loss` is computed in 32 bits from the logits, by the stock Trainer in 16.",
    "fp16_full_eval": "As `bf16_full_eval`.",
    "fp16": "Refused on a CPU, where the stock Trainer ignores it.",
    "torch_compile": "A method that reads the inputs of the last layer runs uncompiled, with a warning.",
    "neftune_noise_alpha": f"Same with one network. {_SEVERAL} are refused: only the first would get the noise.",
    "auto_find_batch_size": "After a batch that does not fit, training begins again with the first weights. Refused with several "
    "processes.",
    "load_best_model_at_end": f"{_SEVERAL} and noise channels are all put back.",
    "save_only_model": "A checkpoint then lacks the state of the methods too, and cannot be resumed.",
    "restore_callback_states_from_checkpoint": "Same for other callbacks. The state of the methods is always restored.",
    "resume_from_checkpoint": "`True` passes over a checkpoint that was cut short, which the stock Trainer would load.",
    "dataloader_drop_last": "For training only: an evaluation leaves no row out.",
    "train_sampling_strategy": '`"group_by_length"` draws from a generator of its own, so that a resumed run has the same order. With several processes `"batch_rebalance"` is refused.',
    "label_names": "One name. It is the column of the labels; the model need not take it. Two names are refused.",
    "accelerator_config": "With several processes `even_batches=False`, `split_batches=True` and `dispatch_batches=True` are refused.",
    "fsdp": "For methods of one network without a noise channel. The others are refused: "
    "[Several GPUs](../guides/several_gpus.md).",
    "fsdp_config": 'Expected `{"version": 2}`.',
}
REFUSED = {
    "deepspeed": "Its engine steps all networks as one.",
    "parallelism_config": "Several processes may read the same row.",
}


def known() -> dict[str, tuple[str, str]]:
    """Field -> "same", "differs" or "refused", and how."""
    found = {name: (SAME, group) for group, names in GROUPS.items() for name in names.split()}
    found |= {name: ("differs", text) for name, text in DIFFERS.items()}
    return found | {name: ("refused", text) for name, text in REFUSED.items()}


def table() -> str:
    """A table of the fields of the installed Transformers that differ, and the others by group."""
    rows, listed = known(), [field.name for field in fields(TrainingArguments)]
    lines = ["| field | with `NoisyTrainer` | |", "|---|---|---|"]
    lines += [f"| `{name}` | {rows[name][0]} | {rows[name][1]} |" for name in listed if rows[name][0] != SAME]
    lines += ["", "All others are the same as with `Trainer`:", ""]
    for group, names in GROUPS.items():
        lines.append(f"- {group}: {', '.join(f'`{name}`' for name in names.split() if name in listed)}")
    return "\n".join(lines)
