"""What trackers get: every logged name is documented, and pictures go where they are taken."""

from __future__ import annotations

import importlib.machinery
import sys
import types
from pathlib import Path

import numpy as np
import pytest
from conftest import make_trainer, tiny_model, token_dataset, votes_on

from hf_noisy import CoTeaching, NoiseCallback, NoisyStopping, compute_metrics
from hf_noisy.common.drawing import pixels
from hf_noisy.methods.logged_names import declared, is_known, markdown
from hf_noisy.methods.parts.losses_figure import losses_figure

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "logged_names.md"
MATRIX = {"noise_method": "forward", "noise_kwargs": {"matrix": [[0.8, 0.1, 0.1], [0, 1, 0], [0, 0, 1]]}}
SPLIT = {"noise_method": "selfmix", "noise_kwargs": {"warmup_epochs": 1}}


# ---- names


def names_of(trainer) -> set[str]:
    return {name for entry in trainer.state.log_history for name in entry} - {"step"}


# of each class that logs; that no other method logs more, `test_every_name_trains_and_reports` asks
ONE_OF_EACH = [
    "candidate_labels",
    "co_teaching",
    "dividemix",
    "forward",
    "label_correction",
    "mentornet_dd",
    "truth_inference",
]
# what no method logs with the parameters that it has by default, and what comes without one
VARIANTS = [
    {"noise_method": "consistency", "noise_kwargs": {"kind": "fixmatch"}},
    {"noise_method": "pseudo_labeling", "noise_kwargs": {"schedule": "per_class", "doubt": None}},
    {"noise_method": "self_training", "num_train_epochs": 4},
    {"callbacks": [CoTeaching(forget_rate=0.2), NoisyStopping(by="label_wave", patience=None)]},
    {"eval_dataset": token_dataset(6), "eval_strategy": "epoch", "compute_metrics": compute_metrics},
    {"nonfinite_loss": "skip", "learning_rate": 1e20},
]


def trained_names(folder, settings) -> set[str]:
    dataset = token_dataset(12, [0, 1, 2, -1] * 3)
    dataset = dataset.add_column("weak_labels", votes_on(dataset)).add_column("gold", [0, 1, 2, 1] * 3)
    settings = {"per_device_train_batch_size": 6, "logging_steps": 2, "model": tiny_model(dropout=0.1), **settings}
    trainer = make_trainer(folder, dataset, gold_column="gold", **settings)
    trainer.train()
    return names_of(trainer)


@pytest.mark.slow
def test_each_logged_name_is_in_the_table_and_each_name_of_the_table_is_logged(tmp_path):
    settings = [{"noise_method": name} for name in ONE_OF_EACH] + VARIANTS
    logged = {name for each in settings for name in trained_names(tmp_path, each)}
    assert {name for name in logged if not is_known(name)} == set()
    pictures = {name for name, found in declared().items() if next(iter(found)).startswith("picture")}
    logged = {"weight_class_K" if name.startswith("weight_class_") else name for name in logged}
    assert set(declared()) - logged == pictures


def test_the_page_of_logged_names_is_the_codes():
    assert PAGE.read_text(encoding="utf-8") == markdown() + "\n"


def test_a_method_that_logs_what_it_does_not_declare_is_found():
    assert not is_known("certainty")
    assert is_known("candidate_certainty")


# ---- pictures


def events_of(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(next(Path(folder).rglob("events.out*")).parent))
    events.Reload()
    return events


@pytest.mark.parametrize(("settings", "name"), [(MATRIX, "noise_matrix"), (SPLIT, "loss_mixture")])
def test_tensorboard_shows_a_picture_for_each_epoch_and_the_metrics(tmp_path, settings, name):
    make_trainer(tmp_path, report_to="tensorboard", num_train_epochs=3, **settings).train()
    events = events_of(tmp_path)
    assert {"train/loss", "train/kept_share", "train/estimated_noise_rate"} <= set(events.Tags()["scalars"])
    assert events.Tags()["images"] == [f"train/{name}"]
    images = events.Images(f"train/{name}")
    assert [image.step for image in images] == (
        [5, 10, 15] if name == "noise_matrix" else [10, 15]
    )  # after the warm-up
    assert all(image.encoded_image_string.startswith(b"\x89PNG") for image in images)
    assert min(images[0].width, images[0].height) > 200


def tracker_module(name: str, logged: list, monkeypatch) -> None:
    """A module with what the callbacks of Transformers, and ours, use of W&B and trackio."""

    class Config(dict):
        def update(self, *args, allow_val_change=None, **kwargs):
            super().update(*args, **kwargs)

    class Image:
        def __init__(self, pixels):
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            self.pixels = pixels

    class Run:
        summary: dict = {}  # noqa: RUF012

        def _label(self, code):
            pass

    module = types.ModuleType(name)
    module.__spec__ = importlib.machinery.ModuleSpec(name, None)
    module.__version__, module.Image, module.config, module.run = "0.43.0", Image, Config(), Run()
    module.log = logged.append
    module.init = module.finish = lambda *args, **kwargs: None
    nowhere = types.SimpleNamespace(get=lambda: None)
    module.context_vars = types.SimpleNamespace(current_space_id=nowhere, current_project=nowhere)
    monkeypatch.setitem(sys.modules, name, module)
    if name == "wandb":
        for inner in ("wandb.sdk", "wandb.sdk.lib", "wandb.sdk.lib.config_util"):
            monkeypatch.setitem(sys.modules, inner, types.ModuleType(inner))
        sys.modules["wandb.sdk.lib.config_util"].ConfigError = RuntimeError


@pytest.mark.parametrize("tracker", ["wandb", "trackio"])
def test_a_tracker_gets_arguments_metrics_and_pictures_through_the_callback_of_transformers(
    tmp_path, monkeypatch, tracker
):
    logged: list[dict] = []
    tracker_module(tracker, logged, monkeypatch)
    make_trainer(tmp_path, report_to=tracker, num_train_epochs=2, **MATRIX).train()
    assert sys.modules[tracker].config["noise_method"] == "forward"
    scalars = [entry for entry in logged if "train/loss" in entry]
    assert len(scalars) == 10
    assert {"train/channel_diagonal", "train/kept_share"} <= set(scalars[0])
    pictures = [entry for entry in logged if "train/noise_matrix" in entry]
    assert [entry["train/global_step"] for entry in pictures] == [5, 10]
    assert pictures[0]["train/noise_matrix"].pixels.std() > 0


def test_nothing_is_drawn_where_no_tracker_takes_pictures(tmp_path):
    class Draws(NoiseCallback):
        def figures(self):
            raise AssertionError("nobody looks at it")

    make_trainer(tmp_path, callbacks=[Draws()], num_train_epochs=1).train()


def test_without_matplotlib_training_goes_on_and_a_warning_says_what_to_install(tmp_path, monkeypatch):
    from hf_noisy.trainer import trackers

    said: list[str] = []
    monkeypatch.setattr(trackers.logger, "warning_once", said.append)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    make_trainer(tmp_path, report_to="tensorboard", num_train_epochs=1, **MATRIX).train()
    assert said == ["no pictures are logged: a picture needs matplotlib: pip install hf_noisy[benchmark]"]
    assert "images" not in events_of(tmp_path).Tags() or not events_of(tmp_path).Tags()["images"]


def test_the_figure_of_losses_counts_what_is_kept_and_what_is_taken():
    losses = np.array([[0.1, 0.2, 2.0], [0.1, 3.0, 0.3]])
    kept = losses < 1
    figure = losses_figure(losses, kept, kept.astype(float))
    panels = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in panels] == ["network 0", "network 1"]
    for axes in panels:
        heights = [sum(bar.get_height() for bar in bars) for bars in axes.containers]
        assert heights == [2, 1]
    assert pixels(figure).shape[2] == 3
