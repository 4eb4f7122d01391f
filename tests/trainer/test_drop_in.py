"""What a user does with the stock `Trainer` and expects of `NoisyTrainer` too, habit by habit."""

from __future__ import annotations

import inspect

import datasets
import numpy as np
import pytest
import torch
from conftest import flat_weights, make_args, make_trainer, tiny_model, token_dataset
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    BertForSequenceClassification,
    GPT2Config,
    GPT2ForSequenceClassification,
    Trainer,
)

from hf_noisy import GeneralizedCrossEntropy, NoisyTrainer
from hf_noisy.corpora.small_encoder import small_encoder

# ---- names of classes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "tables",
    [
        {"id2label": {"0": "bad", "1": "good"}, "label2id": None},
        {"id2label": {"1": "good", "0": "bad"}, "label2id": {"bad": 0, "good": 1}},
        {"id2label": {0: "bad", 1: "good"}, "label2id": {}},
        {"id2label": {0: "bad", 1: "good"}, "label2id": {"LABEL_0": 0, "LABEL_1": 1}},
        {"id2label": {0: "LABEL_0", 1: "LABEL_1"}, "label2id": {"bad": "0", "good": "1"}},
    ],
    ids=["keys are text", "keys are text and in another order", "no ids", "default ids", "default names"],
)
def test_names_of_classes_are_put_right_when_the_trainer_is_made(tmp_path, tables):
    model = tiny_model(2)
    for name, table in tables.items():
        setattr(model.config, name, table)
    trainer = make_trainer(tmp_path, token_dataset(8, [0, 1] * 4), model=model)
    assert model.config.id2label == {0: "bad", 1: "good"}
    assert list(model.config.id2label) == [0, 1]
    assert model.config.label2id == {"bad": 0, "good": 1}
    trainer.train()
    trainer.save_model(str(tmp_path / "saved"))
    assert AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved").config.id2label[1] == "good"


def test_labels_by_name_find_their_ids_where_only_ids_have_names(tmp_path):
    model = tiny_model(2)
    model.config.id2label, model.config.label2id = {"0": "good", "1": "bad"}, None
    trainer = make_trainer(tmp_path, token_dataset(4, ["good", "bad"] * 2), model=model)
    assert trainer.noise.labels.tolist() == [0, 1] * 2


def test_names_that_contradict_each_other_are_refused(tmp_path):
    model = tiny_model(2)
    model.config.id2label, model.config.label2id = {0: "bad", 1: "bad"}, {"bad": 0, "good": 1}
    with pytest.raises(ValueError, match="expected one name for each of the ids 0 to 1"):
        make_trainer(tmp_path, token_dataset(4, ["good", "bad"] * 2), model=model)


# ---- arguments -----------------------------------------------------------------------------------------------------


def test_arguments_come_in_the_order_of_the_stock_trainer(tmp_path):
    ours, stock = (list(inspect.signature(kind.__init__).parameters) for kind in (NoisyTrainer, Trainer))
    named = ours[: ours.index("others")]
    assert named == stock[: len(named)]
    args, model, rows = make_args(tmp_path), tiny_model(), token_dataset(8)
    optimizer = torch.optim.SGD(model.parameters(), 0.1)
    trainer = NoisyTrainer(
        model, args, None, rows, rows, None, None, None, lambda found: {"one": 1}, [], (optimizer, None)
    )
    assert trainer.optimizer is optimizer
    trainer.train()
    assert trainer.evaluate()["eval_one"] == 1


def test_the_arguments_of_the_caller_stay_as_they_are(tmp_path):
    """Seeds 1 and 2 with the same arguments shuffle differently, as they do with the stock Trainer."""
    args, weights, before = make_args(tmp_path), {}, None
    for kind in (NoisyTrainer, Trainer):
        for seed in (1, 2):
            args.seed = seed
            before = args.to_dict()
            torch.manual_seed(0)
            trainer = kind(tiny_model(), args, train_dataset=token_dataset(16))
            trainer.train()
            assert args.to_dict() == before
            weights[kind, seed] = flat_weights(trainer.model)
    assert args.data_seed is None
    assert not torch.equal(weights[NoisyTrainer, 1], weights[NoisyTrainer, 2])
    for seed in (1, 2):
        assert torch.equal(weights[NoisyTrainer, seed], weights[Trainer, seed])


# ---- a subclass with its own `compute_loss` --------------------------------------------------------------------------


def with_override(kind, calls_super: bool):
    """A subclass as people write it: class weights, or a term that is added to the loss."""

    class Weighted(kind):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            self.seen = sorted(inputs)
            if calls_super:
                loss, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
                loss = loss + 0.1 * model.classifier.weight.square().sum()
            else:
                labels = inputs.pop("labels")
                outputs = model(**inputs)
                weights = torch.tensor([1.0, 2.0, 3.0])
                loss = torch.nn.functional.cross_entropy(outputs.logits, labels, weight=weights)
            return (loss, outputs) if return_outputs else loss

    return Weighted


@pytest.mark.parametrize("accumulated", [1, 2])
def test_without_a_method_an_override_of_the_loss_is_that_of_the_stock_trainer(tmp_path, accumulated):
    found = {}
    for kind in (Trainer, NoisyTrainer):
        rows = token_dataset(16)
        args = make_args(tmp_path, gradient_accumulation_steps=accumulated)
        trainer = with_override(kind, calls_super=False)(tiny_model(), args, None, rows, rows)
        trainer.train()
        found[kind] = flat_weights(trainer.model), trainer.evaluate()["eval_loss"], trainer.seen
    assert torch.equal(found[NoisyTrainer][0], found[Trainer][0])
    assert found[NoisyTrainer][1] == pytest.approx(found[Trainer][1], abs=1e-12)
    assert found[NoisyTrainer][2] == found[Trainer][2]  # no key of ours among the inputs


def test_an_override_that_adds_to_the_loss_adds_to_that_of_the_method(tmp_path):
    kind = with_override(NoisyTrainer, calls_super=True)
    weights = []
    for method in (None, "gce"):
        rows = token_dataset(16)
        args = make_args(tmp_path, noise_method=method, max_grad_norm=0.0, optim="sgd", learning_rate=0.5)
        trainer, plain = kind(tiny_model(), args, None, rows, rows), NoisyTrainer(tiny_model(), args, None, rows, rows)
        trainer.train()
        plain.train()
        weights.append(flat_weights(trainer.model))
        assert not torch.equal(weights[-1], flat_weights(plain.model))
        term = 0.1 * float(trainer.model.classifier.weight.detach().square().sum())
        alone = NoisyTrainer(trainer.model, args, None, rows, rows).evaluate()["eval_loss"]
        assert trainer.evaluate()["eval_loss"] == pytest.approx(alone + term, abs=1e-5)
        assert trainer.example_report()["loss"][0] is not None
    assert not torch.equal(*weights)  # the method acts


@pytest.mark.parametrize("accumulated", [1, 2])
def test_an_override_that_only_calls_super_changes_nothing(tmp_path, accumulated):
    class Same(NoisyTrainer):
        def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
            return super().compute_loss(model, inputs, return_outputs)  # the number of rows is not passed on

    weights = []
    for kind in (Same, NoisyTrainer):
        args = make_args(tmp_path, noise_method="elr", gradient_accumulation_steps=accumulated)
        trainer = kind(tiny_model(), args, None, token_dataset(16))
        trainer.train()
        weights.append(flat_weights(trainer.model))
    assert torch.equal(*weights)


def test_an_override_without_super_is_refused_with_a_criterion(tmp_path):
    kind = with_override(NoisyTrainer, calls_super=False)
    trainer = kind(tiny_model(), make_args(tmp_path), None, token_dataset(16), criterion=GeneralizedCrossEntropy(q=0.5))
    with pytest.raises(TypeError, match="criterion GeneralizedCrossEntropy"):
        trainer.train()


# ---- models of several networks, or with a channel ---------------------------------------------------------------------


@pytest.mark.parametrize("method", ["co_teaching", "noise_adaptation"])
def test_the_model_of_a_trainer_saves_and_uploads_what_users_get(tmp_path, method, monkeypatch):
    rows = token_dataset(16)
    trainer = make_trainer(tmp_path, rows, noise_method=method, eval_dataset=rows)
    trainer.train()
    trainer.evaluate()
    trainer.model.save_pretrained(tmp_path / "saved")
    loaded = AutoModelForSequenceClassification.from_pretrained(tmp_path / "saved")
    deployed = trainer.model.networks[trainer.model.deployed]
    assert torch.equal(flat_weights(loaded), flat_weights(deployed))
    asked = []
    monkeypatch.setattr(type(deployed), "push_to_hub", lambda self, name: asked.append((self, name)))
    trainer.model.push_to_hub("name")
    assert asked == [(deployed, "name")]


@pytest.mark.parametrize("method", [None, "co_teaching", "noise_adaptation", "auto"])
def test_a_decoder_gets_the_padding_token_of_its_tokenizer_in_every_network(tmp_path, method):
    torch.manual_seed(0)
    tokenizer = small_encoder(["good bad film a and long so"] * 3)[1]
    config = GPT2Config(vocab_size=len(tokenizer), n_positions=64, n_embd=16, n_layer=1, n_head=2, num_labels=2)
    assert config.pad_token_id is None
    texts = datasets.Dataset.from_dict({"text": ["good film", "a bad and long film", "so"] * 6, "label": [1, 0, 1] * 6})
    rows = texts.map(lambda row: {"input_ids": tokenizer(row["text"])["input_ids"]})
    model = GPT2ForSequenceClassification(config)
    trainer = make_trainer(
        tmp_path, rows, model=model, eval_dataset=rows, processing_class=tokenizer, noise_method=method
    )
    assert np.isfinite(trainer.train().training_loss)
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    assert {network.config.pad_token_id for network in trainer.noise.networks} == {tokenizer.pad_token_id}


# ---- optimizers of users -----------------------------------------------------------------------------------------------


def learned(trainer) -> list[bool]:
    """Whether each network, and then each channel, has other weights after training."""
    parts = [*trainer.noise.networks, *trainer.noise.channels]
    before = [flat_weights(part).clone() for part in parts]
    trainer.train()
    return [not torch.equal(flat_weights(part), old) for part, old in zip(parts, before, strict=True)]


@pytest.mark.parametrize("method", ["co_teaching", "noise_adaptation", "co_teaching+noise_adaptation", "jocor"])
def test_an_optimizer_that_was_passed_teaches_every_network_and_channel(tmp_path, method):
    model = tiny_model()
    head, body = model.classifier.parameters(), model.bert.parameters()
    optimizer = torch.optim.SGD([{"params": head, "lr": 0.5}, {"params": body, "lr": 0.0}], momentum=0.5)
    args = make_args(tmp_path, noise_method=method, lr_scheduler_type="constant")
    trainer = NoisyTrainer(model, args, None, token_dataset(24), optimizers=(optimizer, None))
    bodies = [flat_weights(network.bert).clone() for network in trainer.noise.networks]
    assert all(learned(trainer))
    for network, old in zip(trainer.noise.networks, bodies, strict=True):
        assert torch.equal(flat_weights(network.bert), old)  # with the learning rate of the first one's: 0
    assert {group["momentum"] for group in trainer.optimizer.optimizer.param_groups} == {0.5}


@pytest.mark.parametrize("method", ["co_teaching", "noise_adaptation"])
def test_a_class_of_optimizer_teaches_every_network_and_channel(tmp_path, method):
    args = make_args(tmp_path, noise_method=method)
    chosen = (torch.optim.SGD, {"lr": 0.5})
    trainer = NoisyTrainer(tiny_model(), args, None, token_dataset(24), optimizer_cls_and_kwargs=chosen)
    assert all(learned(trainer))
    assert isinstance(trainer.optimizer.optimizer, torch.optim.SGD)


@pytest.mark.parametrize("of", ["all", "passed"])
def test_an_own_create_optimizer_teaches_every_network_or_is_refused(tmp_path, of):
    model = tiny_model()

    class Own(NoisyTrainer):
        def create_optimizer(self, *args):
            self.optimizer = torch.optim.SGD((self.model if of == "all" else model).parameters(), lr=0.5)
            return self.optimizer

    args = make_args(tmp_path, noise_method="co_teaching+noise_adaptation")
    trainer = Own(model, args, None, token_dataset(24))
    if of == "all":
        assert all(learned(trainer))
    else:
        with pytest.raises(
            ValueError,
            match="made by create_optimizer, with noise_method=.*: it has no parameters of network 2 and the noise channel",
        ):
            trainer.train()


# ---- columns, collators and datasets -----------------------------------------------------------------------------------

TEXTS = ["good film", "a bad and long film", "so", "film"] * 4
TOKENIZER = small_encoder(TEXTS)[1]
LABELLED = datasets.Dataset.from_dict({"text": TEXTS, "label": [1, 0, 2, 1] * 4})


def text_model() -> BertForSequenceClassification:
    torch.manual_seed(0)
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    return BertForSequenceClassification(BertConfig(vocab_size=len(TOKENIZER), num_labels=3, **small))


def tokenize_rows(rows):
    """A collator as people write it: it reads `text` and `label`, and returns what the model reads."""
    batch = TOKENIZER([row["text"] for row in rows], padding=True, return_tensors="pt")
    batch["labels"] = torch.tensor([row["label"] for row in rows])
    assert not {"labels", "hf_noisy_row"} & set(rows[0])
    return batch


class Rows(torch.utils.data.Dataset):
    """A dataset of one's own class."""

    def __len__(self):
        return len(LABELLED)

    def __getitem__(self, row):
        return dict(LABELLED[int(row)])


def as_tokens():
    return LABELLED.map(lambda row: TOKENIZER(row["text"]), batched=True)


INPUTS = {
    "a column label": (as_tokens, {}),
    "a collator": (lambda: LABELLED, {"data_collator": tokenize_rows, "remove_unused_columns": False}),
    "a collator and a dataset of one's own class": (
        Rows,
        {"data_collator": tokenize_rows, "remove_unused_columns": False},
    ),
    "a transform": (
        lambda: LABELLED.with_transform(lambda rows: {**TOKENIZER(rows["text"]), "label": rows["label"]}),
        {"remove_unused_columns": False},
    ),
    "a format": (lambda: as_tokens().with_format("torch", columns=["input_ids", "attention_mask", "label"]), {}),
}


def trained_on(kind, folder, name: str, **fields):
    rows, more = INPUTS[name]
    collator = {"data_collator": more["data_collator"]} if "data_collator" in more else {}
    fields |= {key: value for key, value in more.items() if key != "data_collator"}
    trainer = kind(
        text_model(),
        make_args(folder, **fields),
        train_dataset=rows(),
        eval_dataset=rows(),
        processing_class=TOKENIZER,
        **collator,
    )
    trainer.train()
    return trainer, rows()


@pytest.mark.parametrize("name", INPUTS)
def test_labels_and_collators_as_people_have_them_train_as_with_the_stock_trainer(tmp_path, name):
    (stock, rows), (ours, _) = (trained_on(kind, tmp_path, name) for kind in (Trainer, NoisyTrainer))
    assert torch.equal(flat_weights(ours.model), flat_weights(stock.model))
    assert ours.evaluate()["eval_loss"] == pytest.approx(stock.evaluate()["eval_loss"], abs=1e-6)
    assert np.array_equal(ours.predict(rows).predictions, stock.predict(rows).predictions)
    assert ours.data_collator is not None
    assert type(ours.data_collator) is type(stock.data_collator)


@pytest.mark.parametrize("method", ["co_teaching", "elr", "auto", "dividemix", "neighbours"])
@pytest.mark.parametrize("name", ["a collator", "a collator and a dataset of one's own class"])
def test_a_collator_that_tokenizes_works_with_methods(tmp_path, name, method):
    rows, more = INPUTS[name]
    trainer = make_trainer(
        tmp_path, rows(), model=text_model(), processing_class=TOKENIZER, noise_method=method, **more
    )
    assert np.isfinite(trainer.train().training_loss)
    assert trainer.example_report()["seen"][:] == [2] * len(LABELLED)


def test_a_collator_that_adds_rows_is_refused(tmp_path):
    def twice(rows):
        return tokenize_rows([*rows, *rows])

    trainer = make_trainer(
        tmp_path,
        LABELLED,
        model=text_model(),
        data_collator=twice,
        remove_unused_columns=False,
        processing_class=TOKENIZER,
    )
    with pytest.raises(ValueError, match=r"data_collator: 'input_ids' has 8 rows in a batch of 4.*views"):
        trainer.train()


# ---- hyperparameter search ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["co_teaching", "noise_adaptation", "co_teaching+noise_adaptation", "dividemix"])
def test_a_search_trains_several_networks_and_channels_in_each_trial(tmp_path, method):
    rows = token_dataset(16)
    trainer = make_trainer(
        tmp_path,
        rows,
        model_init=lambda trial: tiny_model(),
        eval_dataset=rows,
        noise_method=method,
        num_train_epochs=1,
    )
    best = trainer.hyperparameter_search(
        lambda trial: {"learning_rate": trial.suggest_float("learning_rate", 1e-3, 1e-2)}, n_trials=2, backend="optuna"
    )
    assert np.isfinite(best.objective)
    trainer.train()
    assert len(trainer.noise.networks) == (1 if method == "noise_adaptation" else 2)
    assert bool(trainer.noise.channels) == ("noise_adaptation" in method)
    trainer.save_model(str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "model.safetensors").is_file()
