"""Each method with each thing that some method cannot be combined with: refused when the trainer is made, or carried.

What is refused is written down here, by the names of methods, and not read from the package. A refusal names the method
and the thing, and says what to do instead. Every other method must be accepted with the same thing.
"""

from __future__ import annotations

import contextlib
import re
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from unittest import mock

import pytest
import torch
from conftest import BagOfWords, flat_weights, tiny_model, token_dataset, votes_on
from torch import nn
from torch.nn import functional as F
from transformers import BertForSequenceClassification, TrainingArguments

from hf_noisy import METHODS, NoisyTrainer, NoisyTrainingArguments

EVERY = set(METHODS)
WITH_METHOD = EVERY - {"ce"}  # "ce" alone names what the stock Trainer does
SEVERAL_NETWORKS = {"co_teaching", "co_teaching_plus", "jocor", "dividemix"}
LEARNED_CHANNEL = {"noise_adaptation", "noise_adaptation_complex"}
CHANNEL = LEARNED_CHANNEL | {"uniform_mixture", "forward", "glc"}
CRITERIA = {"mae", "gce", "gce_truncated", "sce", "nce_rce", "nce_mae", "bootstrap_soft", "bootstrap_hard"}
PRETRAINED_ENCODER = {"neighbours", "truth_inference", "auto"}


class Focal(BertForSequenceClassification):
    """A model whose loss depends on the labels in another way than cross-entropy."""

    def forward(self, input_ids=None, attention_mask=None, labels=None, **inputs):
        outputs = super().forward(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        if labels is not None:
            losses = F.cross_entropy(outputs.logits, labels, reduction="none")
            outputs.loss = ((1 - (-losses).exp()) ** 2 * losses).mean()
        return outputs


class Table(nn.Module):
    """A model without a linear layer."""

    num_labels = 3

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(40, 3)

    def forward(self, input_ids, attention_mask=None):
        return self.table(input_ids).mean(1)


class Own(NoisyTrainer):
    """A subclass with an optimizer of its own, over all networks."""

    def create_optimizer(self, *args):
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.1)
        return self.optimizer


class Weighted(NoisyTrainer):
    """A subclass whose loss is its own."""

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        loss = F.cross_entropy(model(**inputs).logits, inputs["labels"])
        return (loss, None) if return_outputs else loss


class OfThePassedModel(NoisyTrainer):
    """A subclass whose optimizer has the parameters of the model that was passed, and no others."""

    def create_optimizer(self, *args):
        self.optimizer = torch.optim.SGD(self.noise.networks[0].parameters(), lr=0.1)
        return self.optimizer


def focal():
    model = tiny_model()
    model.__class__ = Focal
    return model


def pretrained():
    model = tiny_model()
    model.config._name_or_path = "a-checkpoint"
    return model


def weighted(outputs, labels, num_items_in_batch=None):
    return F.cross_entropy(outputs.logits, labels, weight=torch.tensor([1.0, 2.0, 3.0]))


def as_they_are(rows):
    return rows


def stream(rows):
    return rows.to_iterable_dataset()


def without_votes(rows):
    return rows.remove_columns("weak_labels")


def optimizer_of(model):
    return torch.optim.SGD(model.parameters(), lr=0.1)


def with_scheduler(model):
    optimizer = optimizer_of(model)
    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)


@dataclass
class Combination:
    """Something that a user passes, the methods that refuse it, and what a refusal says."""

    refusing: set[str]
    says: str  # what was passed, as the message names it; a pattern
    fix: str  # what to do instead; a pattern
    fields: dict[str, Any] = field(default_factory=dict)  # of the training arguments
    set_later: dict[str, Any] = field(default_factory=dict)  # fields that need a library or several processes
    passed: dict[str, Any] = field(default_factory=dict)  # arguments of the trainer; a function gets the model
    model: Any = tiny_model
    kind: Any = NoisyTrainer
    rows: Any = as_they_are
    around: Any = contextlib.nullcontext  # while the trainer is made, and trained
    trains: bool = True  # whether a step is tried where it is carried


def launched(variable):
    return lambda: mock.patch.dict("os.environ", {variable: "true"})


def processes(name, value):
    """Two processes are asked for; nothing of Accelerate is started, since the refusal comes first."""

    @contextlib.contextmanager
    def around():
        with mock.patch.object(TrainingArguments, "world_size", 2):
            yield

    return {"set_later": {name: value}, "around": around}


ONLY_ONE = "[Uu]se a method of one network|or a method of one network"
COMBINATIONS = {
    # weights and rows on several devices
    "deepspeed": Combination(
        EVERY, r"deepspeed='ds.json'", "torchrun, without fsdp", set_later={"deepspeed": "ds.json"}
    ),
    "deepspeed, launched": Combination(
        EVERY, "deepspeed=None", "torchrun, without fsdp", around=launched("ACCELERATE_USE_DEEPSPEED")
    ),
    "parallelism": Combination(
        EVERY, "parallelism_config='tp'", "Expected None", set_later={"parallelism_config": "tp"}
    ),
    "fsdp": Combination(
        SEVERAL_NETWORKS | CHANNEL | {"model_average", "neighbours"},
        "fsdp",
        f"Start plain processes .*({ONLY_ONE}|vectors of your own)",
        around=launched("ACCELERATE_USE_FSDP"),
    ),
    "fsdp, a pretrained encoder": Combination(
        SEVERAL_NETWORKS | CHANNEL | {"model_average"} | PRETRAINED_ENCODER,
        "fsdp",
        f"Start plain processes .*({ONLY_ONE}|vectors of your own)",
        model=pretrained,
        around=launched("ACCELERATE_USE_FSDP"),
    ),
    "two GPUs of one process": Combination(
        SEVERAL_NETWORKS | CHANNEL | {"self_training"},
        "n_gpu=2",
        "torchrun --nproc_per_node 2 .*CUDA_VISIBLE_DEVICES=0",
        around=lambda: mock.patch.object(TrainingArguments, "n_gpu", 2),
        trains=False,  # there are no two GPUs
    ),
    "batches of different sizes": Combination(
        EVERY,
        'train_sampling_strategy="batch_rebalance"',
        'Use "group_by_length" or "random"',
        **processes("train_sampling_strategy", "batch_rebalance"),
    ),
    "batch sizes found by several processes": Combination(
        EVERY,
        "auto_find_batch_size=True",
        "set per_device_train_batch_size",
        **processes("auto_find_batch_size", True),
    ),
    "split batches": Combination(
        EVERY,
        "accelerator_config split_batches=True",
        "Leave it at False",
        **processes(
            "accelerator_config", SimpleNamespace(even_batches=True, split_batches=True, dispatch_batches=None)
        ),
    ),
    # optimizers
    "a scheduler": Combination(
        SEVERAL_NETWORKS | LEARNED_CHANNEL,
        r"optimizers=\(\.\.\., a scheduler\)",
        r"Expected optimizers=\(optimizer, None\)",
        passed={"optimizers": with_scheduler},
    ),
    "an optimizer": Combination(set(), "", "", passed={"optimizers": lambda model: (optimizer_of(model), None)}),
    "a class of optimizer": Combination(
        set(), "", "", passed={"optimizer_cls_and_kwargs": lambda model: (torch.optim.SGD, {"lr": 0.1})}
    ),
    "an own create_optimizer": Combination(set(), "", "", kind=Own),
    # losses
    "compute_loss_func": Combination(
        WITH_METHOD,
        "compute_loss_func",
        "Pass the loss as criterion=.*, or train without a method",
        passed={"compute_loss_func": lambda model: weighted},
    ),
    "label_smoothing_factor": Combination(
        WITH_METHOD, "label_smoothing_factor=0.1", "Expected 0", fields={"label_smoothing_factor": 0.1}
    ),
    "the model's own loss": Combination(
        WITH_METHOD,
        "Focal",
        "Pass that loss as criterion=.*, or train without a method",
        model=focal,
    ),
    "neftune": Combination(
        SEVERAL_NETWORKS,
        "neftune_noise_alpha=5.0",
        ONLY_ONE,
        fields={"neftune_noise_alpha": 5.0},
    ),
    # rows and labels
    "a stream": Combination(EVERY, "train_dataset is a stream", "streaming=False", rows=stream),
    "several label names": Combination(
        EVERY,
        r"label_names=\['labels', 'more'\]",
        r"Write label_names=\['labels'\]",
        fields={"label_names": ["labels", "more"]},
    ),
    "no votes": Combination(
        {"candidate_labels", "rule_masking"},
        "train_dataset without votes",
        "apply_labeling_functions",
        rows=without_votes,
        trains=False,
    ),
    "no trusted rows": Combination(
        {"mentornet_dd", "glc"},
        "clean_dataset=None",
        r"Pass NoisyTrainer\(clean_dataset=",
        passed={"clean_dataset": lambda model: None},
        trains=False,
    ),
    # models
    "a model without an encoder": Combination(
        {"neighbours", "dividemix"},
        "BagOfWords",
        r"Give vectors of your own|Use a method that reads logits only",
        model=BagOfWords,
    ),
    "a model without a linear layer": Combination(
        SEVERAL_NETWORKS | {"noise_adaptation_complex", "self_training", "neighbours"},
        "Table",
        f"Give vectors of your own|Use a method that reads logits only|{ONLY_ONE}",
        model=Table,
    ),
    # other settings, which every method carries
    "torch_compile": Combination(set(), "", "", fields={"torch_compile": True}, trains=False),
    "group_by_length": Combination(set(), "", "", fields={"train_sampling_strategy": "group_by_length"}, trains=False),
    "another label name": Combination(
        set(), "", "", fields={"label_names": ["stars"]}, rows=lambda rows: rows.rename_column("labels", "stars")
    ),
}
CASES = [(name, method) for name in COMBINATIONS for method in METHODS]
ROWS = token_dataset(8)
ROWS = ROWS.add_column("weak_labels", votes_on(ROWS))
CLEAN = token_dataset(6, [0, 1] * 3, seed=7).add_column("given", [0, 1, 1, 0, -1, 1])


def asked(folder, method: str, combination: Combination) -> NoisyTrainingArguments:
    quiet = {"use_cpu": True, "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "max_steps": 1}
    args = NoisyTrainingArguments(str(folder), **quiet, noise_method=method, **combination.fields)
    for name, value in combination.set_later.items():
        setattr(args, name, value)
    return args


def made(args: NoisyTrainingArguments, combination: Combination) -> NoisyTrainer:
    """The trainer, which is all that a refusal may need."""
    model, method = combination.model(), args.noise_method
    passed = {"clean_dataset": CLEAN} if METHODS[method].reads_clean else {}
    passed |= {name: value(model) for name, value in combination.passed.items()}
    return combination.kind(model, args, train_dataset=combination.rows(ROWS), **passed)


@pytest.mark.parametrize(("name", "method"), CASES)
def test_a_combination_is_refused_when_the_trainer_is_made_or_carried(tmp_path, name, method):
    combination = COMBINATIONS[name]
    args = asked(tmp_path, method, combination)
    if method not in combination.refusing:
        with combination.around():
            trainer = made(args, combination)
            assert not combination.trains or trainer.train().global_step == 1
        return
    with pytest.raises((ValueError, TypeError)) as error, combination.around():
        made(args, combination)
    said = str(error.value)
    assert f"noise_method='{method}'" in said
    for pattern in (combination.says, combination.fix):
        assert re.search(pattern, said), said


# ---- what only a batch or a training shows ------------------------------------------------------------------------------


class LongFocal(Focal):
    """A model whose loss is its own, and which reads no rows as short as those that are tried when the trainer is made."""

    def forward(self, input_ids=None, **inputs):
        assert input_ids.shape[1] > 3
        return super().forward(input_ids=input_ids, **inputs)


def long_focal():
    model = tiny_model()
    model.__class__ = LongFocal
    return model


LATER = {
    "an override of compute_loss": Combination(
        WITH_METHOD,
        "Weighted.compute_loss does not call super",
        "Pass the loss as criterion=.*, or train without a method|or train without a method",
        kind=Weighted,
    ),
    "an optimizer without the further networks": Combination(
        SEVERAL_NETWORKS | LEARNED_CHANNEL,
        "SGD, made by create_optimizer",
        "Expected those of self.model, which holds all networks",
        kind=OfThePassedModel,
    ),
    "the model's own loss": Combination(
        WITH_METHOD, "LongFocal", "Pass that loss as criterion=.*, or train without a method", model=long_focal
    ),
}


@pytest.mark.parametrize(("name", "method"), [(name, method) for name in LATER for method in METHODS])
def test_what_only_a_training_shows_is_refused_before_any_update_or_carried(tmp_path, name, method):
    combination = LATER[name]
    trainer = made(asked(tmp_path, method, combination), combination)
    if method not in combination.refusing:
        assert trainer.train().global_step == 1
        return
    before = flat_weights(trainer.model).clone()
    with pytest.raises((ValueError, TypeError)) as error:
        trainer.train()
    assert torch.equal(flat_weights(trainer.model), before)
    said = str(error.value)
    assert f"noise_method='{method}'" in said
    for pattern in (combination.says, combination.fix):
        assert re.search(pattern, said), said


def test_a_models_term_is_refused_beside_a_method_where_labels_have_another_name(tmp_path):
    class Starred(BertForSequenceClassification):
        def forward(self, input_ids=None, attention_mask=None, stars=None):
            outputs = super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=stars)
            if stars is not None:
                outputs.loss = outputs.loss + self.classifier.weight.square().sum()
            return outputs

    def starred():
        model = tiny_model()
        model.__class__ = Starred
        return model

    combination = Combination(
        set(),
        "",
        "",
        model=starred,
        fields={"label_names": ["stars"]},
        rows=lambda r: r.rename_column("labels", "stars"),
    )
    with pytest.raises(TypeError, match=r"'stars' \(label_names\), with noise_method='gce'.*Rename the argument"):
        made(asked(tmp_path, "gce", combination), combination)
    assert made(asked(tmp_path, "ce", combination), combination).train().global_step == 1


@pytest.mark.parametrize("method", sorted(WITH_METHOD))
def test_what_is_said_to_do_instead_of_stock_label_smoothing_can_be_done(tmp_path, method):
    combination = COMBINATIONS["label_smoothing_factor"]
    with pytest.raises(ValueError, match="Expected 0") as error:
        made(asked(tmp_path, method, combination), combination)
    said = str(error.value)
    if method == "label_smoothing":
        assert 'noise_kwargs={"epsilon": 0.1}' in said
        NoisyTrainingArguments(str(tmp_path), noise_method=method, noise_kwargs={"epsilon": 0.1})
    elif method in CRITERIA:
        assert "is a loss of its own" in said
        with pytest.raises(ValueError, match="2 criteria"):
            NoisyTrainingArguments(str(tmp_path), noise_method=f"label_smoothing+{method}")
    else:
        assert 'noise_method="label_smoothing+..."' in said
        kwargs = {"label_smoothing": {"epsilon": 0.1}}
        NoisyTrainingArguments(str(tmp_path), noise_method=f"label_smoothing+{method}", noise_kwargs=kwargs)
