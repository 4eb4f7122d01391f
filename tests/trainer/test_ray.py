"""Hyperparameter search with Ray, in fresh processes. Skipped where Ray is not installed: it is no dependency of the tests."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve()
NETWORKS = {"co_teaching": 2, "noise_adaptation": 1, "gce": 1}


@pytest.mark.slow
@pytest.mark.parametrize("method", NETWORKS)
def test_a_search_with_ray_trains_several_networks_and_channels_in_each_trial(tmp_path, method):
    """Each search has a process of its own: Ray pickles the trainer, and after a training in the same process that of
    Transformers cannot be pickled either, since Accelerate then keeps the iterator of a dataloader in its global state."""
    pytest.importorskip("ray", reason="Ray is not installed: pip install 'ray[tune]'")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", str(HERE), method, str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert done.stdout.splitlines()[-1] == f"{method}: 2 trials, {NETWORKS[method]} networks, saved"


def search(method: str, folder: str) -> None:
    """Search two learning rates, train with the better one, and save the model."""
    import datasets
    import numpy as np
    import ray
    from ray import tune

    from hf_noisy import NoisyTrainer, NoisyTrainingArguments
    from hf_noisy.corpora.small_encoder import small_encoder

    texts = ["a good film", "a bad film", "so good", "so bad"] * 4
    tokenizer = small_encoder(texts)[1]
    rows = datasets.Dataset.from_dict({**tokenizer(texts), "labels": [1, 0] * 8})

    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    tried = tune.grid_search([1e-3, 1e-2])
    quiet = {"report_to": "none", "use_cpu": True, "disable_tqdm": True, "save_strategy": "no"}
    trainer = NoisyTrainer(
        args=NoisyTrainingArguments(folder, noise_method=method, num_train_epochs=1, **quiet),
        model_init=lambda trial: small_encoder(texts)[0],
        train_dataset=rows,
        eval_dataset=rows,
        processing_class=tokenizer,
    )
    best = trainer.hyperparameter_search(
        lambda trial: {"learning_rate": tried}, n_trials=1, backend="ray", storage_path=f"{folder}/ray"
    )
    assert np.isfinite(best.objective)
    trials = len(best.run_summary.trials)
    trainer.args.learning_rate = best.hyperparameters["learning_rate"]
    trainer.train()
    trainer.save_model(f"{folder}/saved")
    assert Path(folder, "saved", "model.safetensors").is_file()
    assert bool(trainer.noise.channels) == (method == "noise_adaptation")
    print(f"{method}: {trials} trials, {len(trainer.noise.networks)} networks, saved")


if __name__ == "__main__":
    search(*sys.argv[1:])
