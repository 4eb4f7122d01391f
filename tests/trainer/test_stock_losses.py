"""Losses of the stock Trainer: a function, label smoothing, and what a model computes itself."""

from __future__ import annotations

import copy

import pytest
import torch
from conftest import flat_weights, make_args, make_trainer, tiny_model, token_dataset
from torch import nn
from torch.nn import functional as F
from transformers import BertForSequenceClassification, Trainer

from hf_noisy import METHODS, GeneralizedCrossEntropy, NoisyTrainer

WITH_METHOD = sorted(set(METHODS) - {"ce"})


def weighted(outputs, labels, num_items_in_batch=None):
    """A loss function as people write it: some classes count more, and the sum is divided by the items of the step."""
    logits = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
    weights = torch.tensor([1.0, 2.0, 3.0])
    total = F.cross_entropy(logits, labels, weight=weights, reduction="sum", ignore_index=-100)
    return total / (len(labels) if num_items_in_batch is None else num_items_in_batch)


class Focal(BertForSequenceClassification):
    """A model with a loss of its own, which depends on the labels in another way than cross-entropy."""

    def forward(self, input_ids=None, attention_mask=None, labels=None, **inputs):
        outputs = super().forward(input_ids=input_ids, attention_mask=attention_mask, **inputs)
        if labels is not None:
            losses = F.cross_entropy(outputs.logits, labels, reduction="none")
            outputs.loss = ((1 - (-losses).exp()) ** 2 * losses).mean()
        return outputs


class Wrapping(Focal):
    """As `Focal`, with a forward that hands on what it does not know."""

    def forward(self, input_ids=None, **others):
        return super().forward(input_ids=input_ids, **others)


class Regularised(BertForSequenceClassification):
    """A model that adds a term to its loss, as AdaLoRA and mixtures of experts do."""

    def forward(self, input_ids=None, attention_mask=None, labels=None, **inputs):
        outputs = super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels, **inputs)
        if outputs.loss is not None:
            outputs.loss = outputs.loss + self.term()
        return outputs

    def term(self):
        return 0.1 * self.classifier.weight.square().sum()


class Counting(BertForSequenceClassification):
    """A model with dropout, and with a buffer and a list that each forward changes."""

    def forward(self, input_ids=None, attention_mask=None, labels=None, **inputs):
        self.seen += float(self.training)
        self.calls.append(self.training)
        self.bert.embeddings.dropout.p = 0.5
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels, **inputs)


def of_kind(kind) -> BertForSequenceClassification:
    model = tiny_model()
    model.__class__ = kind
    return model


LOSSES = {
    "a function": ({"compute_loss_func": weighted}, {}, BertForSequenceClassification),
    "label smoothing": ({}, {"label_smoothing_factor": 0.2}, BertForSequenceClassification),
    "the model's own": ({}, {}, Focal),
    "the model's own, by a forward that takes any name": ({}, {"label_names": ["labels"]}, Wrapping),
    "the model's own, as a tuple": ({}, {}, Focal),
}


def trained(kind, folder, name: str, **fields):
    arguments, more, model_kind = LOSSES[name]
    model, rows = of_kind(model_kind), token_dataset(16)
    if "tuple" in name:
        model.config.return_dict = False
        model.forward = lambda _given=model.forward, **inputs: tuple(_given(**inputs, return_dict=True).values())
    trainer = kind(model, make_args(folder, **fields, **more), None, rows, rows, **arguments)
    trainer.train()
    return trainer


@pytest.mark.parametrize("accumulated", [1, 2])
@pytest.mark.parametrize("name", list(LOSSES)[:4])
def test_without_a_method_a_loss_is_that_of_the_stock_trainer(tmp_path, name, accumulated):
    stock, ours = (
        trained(kind, tmp_path, name, gradient_accumulation_steps=accumulated) for kind in (Trainer, NoisyTrainer)
    )
    assert torch.equal(flat_weights(ours.model), flat_weights(stock.model))
    assert ours.evaluate()["eval_loss"] == pytest.approx(stock.evaluate()["eval_loss"], abs=1e-12)
    assert not torch.equal(flat_weights(ours.model), flat_weights(tiny_model()))
    plain = NoisyTrainer(copy.deepcopy(ours.model), make_args(tmp_path), None, token_dataset(16), token_dataset(16))
    assert ours.evaluate()["eval_label_accuracy"] == plain.evaluate()["eval_label_accuracy"]
    assert ours.example_report()["loss"][0] is not None


@pytest.mark.parametrize("name", list(LOSSES)[:4])
def test_before_any_training_the_evaluation_loss_is_that_of_the_stock_trainer(tmp_path, name):
    arguments, more, kind = LOSSES[name]
    rows, found = token_dataset(10), []
    for trainer in (Trainer, NoisyTrainer):
        found.append(
            trainer(of_kind(kind), make_args(tmp_path, **more), None, rows, rows, **arguments).evaluate()["eval_loss"]
        )
    assert found[1] == pytest.approx(found[0], abs=1e-12)


def test_a_row_without_a_label_is_ignored_by_a_function(tmp_path):
    seen = []

    def keep(outputs, labels, num_items_in_batch=None):
        seen.extend(labels.tolist())
        return F.cross_entropy(outputs.logits, labels)

    rows = token_dataset(8, [0, 1, -1, 2] * 2)
    NoisyTrainer(tiny_model(), make_args(tmp_path, num_train_epochs=1), None, rows, compute_loss_func=keep).train()
    assert sorted(seen) == [-100, -100, 0, 0, 1, 1, 2, 2]


def test_both_are_refused_with_a_criterion_and_smoothing_with_soft_labels(tmp_path):
    criterion = GeneralizedCrossEntropy(q=0.5)
    with pytest.raises(ValueError, match="compute_loss_func with criterion GeneralizedCrossEntropy"):
        NoisyTrainer(
            tiny_model(), make_args(tmp_path), None, token_dataset(4), criterion=criterion, compute_loss_func=weighted
        )
    soft = token_dataset(4, [[0.5, 0.5, 0.0]] * 4)
    with pytest.raises(ValueError, match="label_smoothing_factor=0.1 with soft labels"):
        make_trainer(tmp_path, soft, label_smoothing_factor=0.1)


def test_a_models_own_loss_with_soft_labels_is_refused(tmp_path):
    trainer = make_trainer(tmp_path, token_dataset(4, [[0.5, 0.5, 0.0]] * 4), model=of_kind(Focal))
    with pytest.raises(TypeError, match="Focal: its own loss is not cross-entropy, and takes class ids"):
        trainer.train()


# ---- a term that a model adds to its loss ------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulated", [1, 2])
def test_a_term_of_the_model_is_kept(tmp_path, accumulated):
    """As in the stock Trainer with one batch a step; with two, as with one batch of both."""
    rows, found = token_dataset(16), {}
    sgd = {"optim": "sgd", "learning_rate": 0.5, "max_grad_norm": 0.0, "num_train_epochs": 1}
    for kind in (Trainer, NoisyTrainer):
        size = 8 if kind is Trainer else 8 // accumulated
        args = make_args(tmp_path, **sgd, per_device_train_batch_size=size)
        args.gradient_accumulation_steps = 1 if kind is Trainer else accumulated
        trainer = kind(of_kind(Regularised), args, None, rows, rows)
        trainer.train()
        found[kind] = flat_weights(trainer.model), trainer.evaluate()["eval_loss"]
    assert torch.allclose(found[NoisyTrainer][0], found[Trainer][0], atol=1e-6)
    assert found[NoisyTrainer][1] == pytest.approx(found[Trainer][1], abs=1e-6)
    plain = NoisyTrainer(tiny_model(), make_args(tmp_path, **sgd, per_device_train_batch_size=8), None, rows)
    plain.train()
    assert not torch.allclose(flat_weights(plain.model), found[Trainer][0], atol=1e-4)  # the term matters


@pytest.mark.parametrize("method", WITH_METHOD)
def test_a_term_of_the_model_is_kept_with_every_method(tmp_path, method):
    """The gradient of a step differs by that of the term, in every network: the head decays by 0.2 times its weights."""
    ratios = []
    for kind in (BertForSequenceClassification, Regularised):
        sgd = {"optim": "sgd", "learning_rate": 1.0, "lr_scheduler_type": "constant", "max_grad_norm": 0.0}
        trainer = make_trainer(
            tmp_path,
            model=of_kind(kind),
            noise_method=method,
            max_steps=1,
            per_device_train_batch_size=20,
            rows=20,
            **sgd,
        )
        heads = [network.classifier.weight.detach().clone() for network in trainer.noise.networks]
        trainer.train()
        ratios.append(
            [(new.classifier.weight - old, old) for new, old in zip(trainer.noise.networks, heads, strict=True)]
        )
    for (without, old), (with_term, same) in zip(*ratios, strict=True):
        assert torch.equal(old, same)
        share = 0.9 if method == "model_average" else 1.0  # of the mean of weights, after one step
        assert torch.allclose(with_term - without, -0.2 * share * old, atol=2e-5)


def test_the_first_look_at_a_models_loss_changes_nothing(tmp_path):
    """Weights, buffers and random state are as if it had not happened."""
    found = []
    for kind in (Trainer, NoisyTrainer):
        model = of_kind(Counting)
        model.register_buffer("seen", torch.zeros(()))
        model.calls = []
        trainer = kind(model, make_args(tmp_path), None, token_dataset(16))
        trainer.train()
        found.append((flat_weights(trainer.model), float(model.seen), len(model.calls), torch.rand(())))
    for ours, stock in zip(*found, strict=True):
        assert torch.equal(torch.as_tensor(ours), torch.as_tensor(stock))
    assert found[1][1] == found[1][2] == 8  # forwards of the training


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_rounding_is_no_term(tmp_path, dtype):
    model = tiny_model().to(dtype)
    trainer = make_trainer(tmp_path, model=model, noise_method="gce", max_steps=1)
    trainer.train()
    assert trainer._noise.own_loss.kind == "none"


@pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # PEFT reads it
def test_adalora_keeps_its_orthogonal_regularisation(tmp_path):
    peft = pytest.importorskip("peft")
    found = {}
    for kind in (Trainer, NoisyTrainer):
        torch.manual_seed(0)
        config = peft.AdaLoraConfig(
            task_type="SEQ_CLS",
            target_modules=["query", "value"],
            init_r=4,
            target_r=2,
            total_step=8,
            orth_reg_weight=5.0,
        )
        model = peft.get_peft_model(tiny_model(), config)
        for name, weight in model.named_parameters():
            if "lora_" in name:
                nn.init.normal_(weight.data, generator=torch.Generator().manual_seed(len(name)))
        trainer = kind(
            model, make_args(tmp_path, optim="sgd", learning_rate=0.1), None, token_dataset(16), token_dataset(8)
        )
        trainer.train()
        found[kind] = flat_weights(model), trainer.evaluate()["eval_loss"]
    assert torch.allclose(found[NoisyTrainer][0], found[Trainer][0], atol=1e-5)
    assert found[NoisyTrainer][1] == pytest.approx(found[Trainer][1], abs=1e-4)
