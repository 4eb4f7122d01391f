"""How rows and weights lie on several devices: what would let a training mean something else is refused before it begins."""

from __future__ import annotations

import contextlib
import re
from types import SimpleNamespace
from unittest import mock

import pytest
import torch
from conftest import make_trainer, tiny_model, token_dataset, votes_on
from transformers import TrainingArguments

from hf_noisy import METHODS, NoiseCallback, NoisyTrainer, NoisyTrainingArguments
from hf_noisy.methods.building import build_methods
from hf_noisy.models.channels import ComplexChannel, FixedChannel
from hf_noisy.trainer import sharding


class Plain(NoiseCallback):
    """Weighs rows, which any device may hold."""


class Peers(NoiseCallback):
    num_networks = 2


class Matrix(NoiseCallback):
    def make_channel(self, model):
        return FixedChannel(model.config.num_labels)


class Average(NoiseCallback):
    def deployed(self, model):
        return contextlib.nullcontext()


class Vectors(NoiseCallback):
    needs_vectors = True


OWN = [
    (Plain, None, None),
    (Peers, sharding.SEVERAL_NETWORKS, sharding.JOINED),
    (Matrix, sharding.CHANNEL, sharding.JOINED),
    (Average, sharding.OTHER_WEIGHTS, None),
    (Vectors, None, sharding.VECTORS),
]


@contextlib.contextmanager
def asking_for(what: str):
    """Inside, the launcher asks for FSDP, or one process sees two GPUs."""
    if what == "fsdp":
        with mock.patch.dict("os.environ", {"ACCELERATE_USE_FSDP": "true"}):
            yield
    else:
        with mock.patch.object(TrainingArguments, "n_gpu", 2):
            yield


@pytest.mark.parametrize(("kind", "whole", "single"), OWN)
def test_a_method_of_ones_own_is_judged_by_what_it_declares(tmp_path, kind, whole, single):
    for what, why in (("fsdp", whole), ("n_gpu=2", single)):
        with asking_for(what):
            if why is None:
                make_trainer(tmp_path, callbacks=[kind()])
                continue
            with pytest.raises(ValueError, match="Start") as error:
                make_trainer(tmp_path, callbacks=[kind()])
            assert str(error.value).startswith(f"{what} with {kind.__name__}: {why}. Start ")


@pytest.mark.parametrize("what", ["fsdp", "n_gpu=2"])
def test_every_named_method_is_refused_or_not_when_the_trainer_is_made(tmp_path, what):
    judge = sharding.fsdp_conflict if what == "fsdp" else sharding.data_parallel_conflict
    dataset = token_dataset(8)
    dataset = dataset.add_column("weak_labels", votes_on(dataset))
    for method in METHODS:
        (part,) = build_methods(method, None)
        if not isinstance(part, NoiseCallback):  # a criterion, which is part of no trainer's decision
            continue
        why = judge(part, tiny_model())
        refused = contextlib.nullcontext() if why is None else pytest.raises(ValueError, match=re.escape(why))
        with asking_for(what), refused:
            make_trainer(tmp_path, dataset, noise_method=method)


def test_a_method_that_is_added_later_is_judged_before_the_first_step(tmp_path):
    with asking_for("fsdp"):
        trainer = make_trainer(tmp_path)
        trainer.add_callback(Peers())
        with pytest.raises(ValueError, match="fsdp with Peers"):
            trainer.train()
        assert trainer.state.global_step == 0


def test_split_weights_give_no_vectors_of_the_encoder_alone(tmp_path):
    with asking_for("fsdp"):
        with pytest.raises(ValueError, match="encoder is asked for vectors by itself.*Neighbours"):
            make_trainer(tmp_path, noise_method="neighbours", noise_kwargs={"neighbours": 3})
        with pytest.raises(ValueError, match="fsdp: the encoder is asked for vectors by itself"):
            make_trainer(tmp_path).encode()
        own = {"neighbours": 3, "vectors": torch.rand(20, 2).tolist()}
        make_trainer(tmp_path, noise_method="neighbours", noise_kwargs=own, num_train_epochs=1).train()


def test_a_row_that_a_sampler_repeats_is_not_counted_in_a_channels_mean_matrix():
    torch.manual_seed(0)
    channel = ComplexChannel(classes=3, width=2)
    channel.active = channel.adapts = True
    channel.weight.data.normal_()
    logits, vectors = torch.randn(4, 3), torch.randn(4, 2)
    expected = channel(logits[:3], vectors[:3])[1]
    every = channel(logits, vectors)[1]
    channel.present = torch.tensor([True, True, True, False])
    assert torch.allclose(channel(logits, vectors)[1], expected)
    assert not torch.allclose(every, expected)
    channel.present = torch.zeros(4, dtype=torch.bool)  # a process may have repeated rows only
    assert torch.allclose(channel(logits, vectors)[1], every)


def test_fsdp_may_be_asked_for_by_an_argument():
    assert sharding.splits_weights(SimpleNamespace(fsdp=True))
    assert not sharding.splits_weights(SimpleNamespace(fsdp=None))


def test_a_model_that_is_spread_over_gpus_is_not_copied_to_them(tmp_path):
    model = tiny_model()
    model.hf_device_map = {"bert": "cuda:0", "classifier": "cuda:1"}
    args = NoisyTrainingArguments(str(tmp_path), noise_method="co_teaching", use_cpu=True, report_to="none")
    assert args.n_gpu == 0
    args._n_gpu = 2
    NoisyTrainer(model, args, train_dataset=token_dataset(8))
    assert args.n_gpu == 1


@pytest.mark.parametrize(
    ("variable", "message"),
    [
        ("ACCELERATE_USE_DEEPSPEED", "deepspeed=None: its engine clips"),
        ("ACCELERATE_USE_PARALLELISM_CONFIG", "parallelism_config=None: several processes may then read the same row"),
    ],
)
def test_what_the_launcher_asks_for_is_refused(tmp_path, monkeypatch, variable, message):
    args = NoisyTrainingArguments(str(tmp_path), use_cpu=True)
    for said, refused in (("false", False), ("true", True), ("1", True)):
        monkeypatch.setenv(variable, said)
        with pytest.raises(ValueError, match=message) if refused else contextlib.nullcontext():
            sharding.check_processes(args)


@pytest.mark.parametrize(("name", "value"), [("deepspeed", "ds.json"), ("parallelism_config", "tp")])
def test_what_the_arguments_ask_for_is_refused_before_the_model_is_touched(tmp_path, name, value):
    args = NoisyTrainingArguments(str(tmp_path), use_cpu=True)
    setattr(args, name, value)  # making them would need the library
    with pytest.raises(ValueError, match=f"{name}='{value}': "):
        NoisyTrainer(tiny_model(), args, train_dataset=token_dataset(8))


@pytest.mark.parametrize("version", [1, 2])
def test_weights_that_fsdp_flattens_are_refused(version):
    state = SimpleNamespace(fsdp_plugin=SimpleNamespace(fsdp_version=version))
    trainer = SimpleNamespace(accelerator=SimpleNamespace(state=state), model=tiny_model())
    with pytest.raises(ValueError, match="fsdp version 1.*Expected 2") if version == 1 else contextlib.nullcontext():
        sharding.check_split(trainer)
