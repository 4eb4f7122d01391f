"""Models as people have them: modules of their own, outputs without names, and architectures with habits of their own."""

from __future__ import annotations

from types import SimpleNamespace

import datasets
import numpy as np
import pytest
import torch
from conftest import BagOfWords, flat_weights, make_args, make_trainer, tiny_model, token_dataset, token_rows, votes_on
from torch import nn
from transformers import (
    BartConfig,
    BartForSequenceClassification,
    BertForSequenceClassification,
    CanineConfig,
    CanineForSequenceClassification,
    FunnelConfig,
    FunnelForSequenceClassification,
    LongformerConfig,
    LongformerForSequenceClassification,
    PreTrainedConfig,
    T5Config,
    T5ForSequenceClassification,
    Trainer,
    XLNetConfig,
    XLNetForSequenceClassification,
)

from hf_noisy import METHODS, NoisyTrainer
from hf_noisy.models.configuration import config_of
from hf_noisy.trainer.own_loss import OwnLoss

# ---- modules of one's own ----------------------------------------------------------------------------------------------


class Named(BagOfWords):
    """Outputs with names, as a plain dictionary."""

    def forward(self, input_ids, attention_mask=None, labels=None):
        found = super().forward(input_ids, attention_mask, labels)
        return {"scores": found} if labels is None else {"loss": found[0], "scores": found[1]}


class WithConfig(BagOfWords):
    """A `config` of one's own type."""

    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(num_labels=3, width=8)


class WithNames(BagOfWords):
    """A `config` of one's own type that looks like one of Transformers."""

    def __init__(self):
        super().__init__()
        self.config = SimpleNamespace(num_labels=3, id2label={0: "a", 1: "b", 2: "c"})


class Unlabelled(BagOfWords):
    """It takes no labels and always returns a tuple."""

    def forward(self, input_ids, attention_mask=None):
        logits = super().forward(input_ids, attention_mask)
        return logits, logits.exp()


KINDS = [BagOfWords, Named, WithConfig, WithNames]


@pytest.mark.parametrize("kind", KINDS)
def test_a_module_of_ones_own_trains_as_with_the_stock_trainer(tmp_path, kind):
    rows, found = token_dataset(16), []
    for trainer_kind in (Trainer, NoisyTrainer):
        trainer = trainer_kind(kind(), make_args(tmp_path, learning_rate=1e-2), None, rows, rows)
        trainer.train()
        predicted = trainer.predict(rows)
        found.append((flat_weights(trainer.model), trainer.evaluate()["eval_loss"], predicted))
    (stock, stock_loss, of_stock), (ours, our_loss, of_ours) = found
    assert torch.equal(ours, stock)
    assert our_loss == pytest.approx(stock_loss, abs=1e-6)
    assert np.array_equal(of_ours.predictions, of_stock.predictions)
    assert np.array_equal(of_ours.label_ids, of_stock.label_ids)
    trainer.save_model(str(tmp_path / "saved"))
    assert (tmp_path / "saved" / "model.safetensors").is_file()


@pytest.mark.parametrize(
    "config",
    [
        SimpleNamespace(num_labels=3, id2label={0: "bad", 1: "good", 2: "so"}),
        SimpleNamespace(num_labels=3, id2label={"0": "bad", "1": "good", "2": "so"}),
        SimpleNamespace(num_labels=3, label2id={"bad": 0, "good": 1, "so": 2}),
        SimpleNamespace(class_names=["bad", "good", "so"]),
    ],
    ids=["id2label", "keys are text", "label2id", "class_names"],
)
def test_names_of_classes_in_a_config_of_ones_own_type_are_those_of_the_labels(tmp_path, config):
    model = BagOfWords()
    model.config = config
    trainer = make_trainer(tmp_path, token_dataset(6, ["good", "bad", "so"] * 2), model=model)
    assert trainer.noise.labels.tolist() == [1, 0, 2] * 2
    assert config_of(model).id2label == {0: "bad", 1: "good", 2: "so"}
    assert model.config is config


def test_names_that_are_fewer_than_the_classes_are_no_names(tmp_path):
    model = BagOfWords()
    model.config = SimpleNamespace(num_labels=3, class_names=["bad", "good"])
    make_trainer(tmp_path, token_dataset(6), model=model)
    assert config_of(model).id2label == {k: f"LABEL_{k}" for k in range(3)}


def test_a_module_keeps_its_own_attributes(tmp_path):
    model = BagOfWords()
    assert make_trainer(tmp_path, model=model).model is model
    assert not hasattr(model, "config")
    assert config_of(model).num_labels == 3


@pytest.mark.parametrize("method", sorted(METHODS))
def test_every_method_takes_a_module_of_ones_own_or_names_what_is_missing(tmp_path, method):
    refused = {
        "dividemix": r"DivideMix \(.*\) with BagOfWords: it mixes",
        "neighbours": r"Neighbours \(.*\) with BagOfWords: it reads",
    }
    rows = token_dataset(20).add_column("weak_labels", votes_on(token_dataset(20)))
    if method in refused:
        with pytest.raises(ValueError, match=refused[method]):
            make_trainer(tmp_path, rows, model=BagOfWords(), noise_method=method)
        return
    trainer = make_trainer(tmp_path, rows, model=BagOfWords(), noise_method=method, eval_dataset=token_dataset(9))
    trainer.train()
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    networks = trainer.noise.networks
    assert all(not torch.equal(networks[0].out.weight, other.out.weight) for other in networks[1:])
    trainer.save_model(str(tmp_path / "saved"))


def test_a_checkpoint_of_modules_is_resumed_exactly(tmp_path):
    weights = []
    for resumes in (False, True):
        folder = tmp_path / str(resumes)
        arguments = {"noise_method": "co_teaching+noise_adaptation", "save_strategy": "epoch", "save_total_limit": 2}
        trainer = make_trainer(folder, model=BagOfWords(), **arguments)
        trainer.train()
        if resumes:
            trainer = make_trainer(folder, model=BagOfWords(), **arguments)
            trainer.train(resume_from_checkpoint=str(sorted(folder.glob("checkpoint-*"))[0]))
        weights.append(flat_weights(trainer.model))
    assert torch.equal(*weights)


@pytest.mark.parametrize(
    ("rows", "classes"),
    [
        (lambda: token_dataset(8, ["a", "b", "c", "d"] * 2), 4),
        (lambda: token_dataset(8, [0, 4] * 4), 5),
        (lambda: token_dataset(8, [[0.5, 0.5]] * 8), 2),
        (lambda: token_dataset(8).cast_column("labels", datasets.ClassLabel(num_classes=6)), 6),
    ],
    ids=["names", "ids", "soft labels", "ClassLabel"],
)
def test_without_a_linear_layer_the_labels_tell_the_number_of_classes(tmp_path, rows, classes):
    class Table(nn.Module):
        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(40, classes)

        def forward(self, input_ids, attention_mask=None):
            return self.table(input_ids).mean(1)

    trainer = make_trainer(tmp_path, rows(), model=Table())
    trainer.train()
    assert config_of(trainer.model).num_labels == classes


def test_a_module_without_labels_or_a_loss_can_be_trained(tmp_path):
    """The stock Trainer cannot: here the loss needs logits only."""
    trainer = make_trainer(tmp_path, model=Unlabelled(), eval_dataset=token_dataset(9))
    before = flat_weights(trainer.model).clone()
    trainer.train()
    assert not torch.equal(flat_weights(trainer.model), before)
    logits, others = trainer.predict(token_dataset(4)).predictions
    assert np.allclose(np.exp(logits), others)


def test_a_second_network_needs_a_head_to_begin_with(tmp_path):
    class Table(nn.Module):
        num_labels = 3

        def __init__(self):
            super().__init__()
            self.table = nn.Embedding(40, 3)

        def forward(self, input_ids, attention_mask=None):
            return self.table(input_ids).mean(1)

    with pytest.raises(ValueError, match="CoTeaching .* with Table: .*no linear layer.*method of one network"):
        make_trainer(tmp_path, model=Table(), noise_method="co_teaching")


def test_a_pretrained_model_with_another_prefix_keeps_its_encoder_in_every_network(tmp_path):
    """Only the head of a further network is new, also where no child has the name of `base_model_prefix`."""

    class Body(nn.Module):
        def __init__(self):
            super().__init__()
            self.words, self.mix = nn.Embedding(40, 8), nn.Linear(8, 8)

    from transformers import PreTrainedModel

    class Own(PreTrainedModel):
        config_class, base_model_prefix = PreTrainedConfig, "encoder"

        def __init__(self, config):
            super().__init__(config)
            self.body, self.head = Body(), nn.Linear(8, config.num_labels)
            self.post_init()

        def forward(self, input_ids, attention_mask=None, labels=None):
            return self.head(self.body.mix(self.body.words(input_ids)).mean(1))

    config = PreTrainedConfig.from_dict({"num_labels": 3, "initializer_range": 0.02})
    first, second = make_trainer(tmp_path, model=Own(config), noise_method="co_teaching").noise.networks
    assert torch.equal(first.body.words.weight, second.body.words.weight)
    assert torch.equal(first.body.mix.weight, second.body.mix.weight)
    assert not torch.equal(first.head.weight, second.head.weight)


# ---- inputs and outputs of another form --------------------------------------------------------------------------------


def differing(name: str):
    model = tiny_model()
    if name == "output_attentions":
        model.set_attn_implementation("eager")
    setattr(model.config, name, name != "return_dict")
    return model


@pytest.mark.parametrize("name", ["return_dict", "output_hidden_states", "output_attentions"])
def test_predictions_have_the_shape_of_the_stock_trainers(tmp_path, name):
    rows, found = token_dataset(8), []
    for kind in (Trainer, NoisyTrainer):
        trainer = kind(differing(name), make_args(tmp_path), None, rows, rows)
        trainer.train()
        found.append([trainer.predict(each).predictions for each in (rows, rows.remove_columns("labels"))])
    for stock, ours in zip(*found, strict=True):
        flat_stock, flat_ours = (_leaves(each) for each in (stock, ours))
        assert len(flat_ours) == len(flat_stock)
        for one, other in zip(flat_ours, flat_stock, strict=True):
            assert np.array_equal(one, other)


def _leaves(value) -> list[np.ndarray]:
    return [leaf for part in value for leaf in _leaves(part)] if isinstance(value, tuple | list) else [value]


@pytest.mark.parametrize("name", ["return_dict", "output_hidden_states"])
@pytest.mark.parametrize(
    "method", ["co_teaching", "noise_adaptation_complex", "dividemix", "self_training", "neighbours", "elr"]
)
def test_methods_take_outputs_of_every_form(tmp_path, name, method):
    trainer = make_trainer(tmp_path, model=differing(name), noise_method=method, eval_dataset=token_dataset(8))
    trainer.train()
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    assert len(_leaves(trainer.predict(token_dataset(4)).predictions)[0]) == 4


def test_a_metric_function_sees_what_it_sees_with_the_stock_trainer(tmp_path):
    seen = []

    def metrics(found):
        seen.append([leaf.shape for leaf in _leaves(found.predictions)])
        return {}

    for kind in (Trainer, NoisyTrainer):
        rows = token_dataset(8)
        kind(
            differing("output_hidden_states"), make_args(tmp_path), None, rows, rows, compute_metrics=metrics
        ).evaluate()
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3  # logits, and the states before and after the one layer


class Indexed(BertForSequenceClassification):
    """It takes the number of a row, as models with a table of documents do."""

    def forward(self, input_ids=None, attention_mask=None, index=None, labels=None):
        assert index is not None
        self.seen = self.seen + index.tolist() if self.training else self.seen
        return super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels)


@pytest.mark.parametrize("method", [None, "co_teaching", "elr"])
def test_a_model_may_take_an_input_named_index(tmp_path, method):
    model = tiny_model()
    model.__class__, model.seen = Indexed, []
    rows = token_dataset(8).add_column("index", [70 + row for row in range(8)])
    trainer = make_trainer(tmp_path, rows, model=model, noise_method=method, num_train_epochs=1, eval_dataset=rows)
    trainer.train()
    trainer.evaluate()
    assert set(model.seen) == set(range(70, 78))
    assert trainer.example_report()["index"][:] == list(range(8))


@pytest.mark.parametrize("method", [None, "elr", "auto", "dividemix"])
def test_batches_of_one_need_no_tokenizer(tmp_path, method):
    lengths = [3, 6, 4, 5] * 3
    columns = {name: [row[:n] for row, n in zip(rows, lengths, strict=True)] for name, rows in token_rows(12).items()}
    rows = datasets.Dataset.from_dict({**columns, "labels": [0, 1, 2] * 4})
    sizes = {"per_device_train_batch_size": 1, "per_device_eval_batch_size": 1}
    trainer = make_trainer(tmp_path, rows, eval_dataset=rows, noise_method=method, **sizes)
    trainer.train()
    assert np.isfinite(trainer.evaluate()["eval_loss"])
    with pytest.raises(ValueError, match="since nothing pads"):
        make_trainer(tmp_path, rows)


@pytest.mark.parametrize("column", ["stars", "label"])
def test_labels_are_in_the_column_that_label_names_names(tmp_path, column):
    class Stars(BertForSequenceClassification):
        def forward(self, input_ids=None, attention_mask=None, stars=None, label=None):
            labels = stars if column == "stars" else label
            return super().forward(input_ids=input_ids, attention_mask=attention_mask, labels=labels)

    rows, found = token_dataset(16).rename_column("labels", column), []
    for kind in (Trainer, NoisyTrainer):
        model = tiny_model()
        model.__class__ = Stars
        collate = lambda given: {name: torch.tensor([row[name] for row in given]) for name in given[0]}  # noqa: E731
        trainer = kind(model, make_args(tmp_path, label_names=[column]), collate, rows, rows)
        trainer.train()
        found.append((flat_weights(model), trainer.evaluate()["eval_loss"], trainer.predict(rows).label_ids))
    assert torch.equal(found[0][0], found[1][0])
    assert found[1][1] == pytest.approx(found[0][1], abs=1e-6)
    assert np.array_equal(found[0][2], found[1][2])
    make_trainer(tmp_path, rows, noise_method="elr", label_names=[column], data_collator=collate).train()


# ---- architectures with habits of their own ----------------------------------------------------------------------------

_SMALL = {"vocab_size": 64, "num_labels": 3, "pad_token_id": 0}
_HEADS = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}


def funnel():
    return FunnelForSequenceClassification(
        FunnelConfig(**_SMALL, block_sizes=[1, 1], num_decoder_layers=1, d_model=32, n_head=2, d_head=16, d_inner=32)
    )


def xlnet():
    return XLNetForSequenceClassification(XLNetConfig(**_SMALL, d_model=32, n_layer=1, n_head=2, d_inner=32))


def canine():
    small = {"num_hash_buckets": 64, "downsampling_rate": 2, "local_transformer_stride": 4, "num_labels": 3}
    return CanineForSequenceClassification(CanineConfig(**_HEADS, **small))


def longformer():
    return LongformerForSequenceClassification(
        LongformerConfig(**_SMALL, **_HEADS, attention_window=4, max_position_embeddings=64)
    )


def bart():
    small = {"encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2, "decoder_attention_heads": 2}
    dims = {"encoder_ffn_dim": 32, "decoder_ffn_dim": 32, "d_model": 32, "max_position_embeddings": 64}
    return BartForSequenceClassification(
        BartConfig(**_SMALL, **small, **dims, eos_token_id=39, decoder_start_token_id=39)
    )


def t5():
    small = {"d_model": 32, "d_kv": 16, "d_ff": 32, "num_layers": 1, "num_heads": 2, "eos_token_id": 39}
    return T5ForSequenceClassification(T5Config(**_SMALL, **small, decoder_start_token_id=0))


ARCHITECTURES = {make.__name__: make for make in (funnel, xlnet, canine, longformer, bart, t5)}
MIXES_NO_WORDS = {
    "xlnet": r"embeds 2 rows of 3 tokens as \(3, 2, 32\)",
    "canine": "no table of them",
    "bart": "encoder-decoder, whose decoder embeds the text again",
    "t5": "encoder-decoder, whose decoder embeds the text again",
}


def padded(rows):
    longest = max(len(row["input_ids"]) for row in rows)
    batch = {
        name: torch.tensor([[*row[name], *[0] * (longest - len(row[name]))] for row in rows])
        for name in ("input_ids", "attention_mask")
    }
    return batch | {name: torch.tensor([row[name] for row in rows]) for name in ("labels",) if name in rows[0]}


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize(
    "method",
    [
        "ce",
        "co_teaching",
        "noise_adaptation_complex",
        "dividemix",
        "selfmix",
        "self_training",
        "neighbours",
        "consistency",
    ],
)
def test_a_method_takes_an_architecture_or_names_what_is_missing(tmp_path, name, method):
    torch.manual_seed(0)
    tokens = token_rows(20)["input_ids"]
    texts = [[*(min(token, 38) for token in row[: 3 + k % 3]), 39] for k, row in enumerate(tokens)]  # 39 ends a text
    rows = datasets.Dataset.from_dict(
        {"input_ids": texts, "attention_mask": [[1] * len(text) for text in texts], "labels": [0, 1, 2, 1] * 5}
    )
    arguments = {"noise_method": method, "data_collator": padded, "eval_dataset": rows, "max_steps": 8}
    if method == "dividemix" and name in MIXES_NO_WORDS:
        with pytest.raises(ValueError, match=f"DivideMix .* with .*: it mixes word embeddings.*{MIXES_NO_WORDS[name]}"):
            make_trainer(tmp_path, rows, model=ARCHITECTURES[name](), **arguments)
        return
    trainer = make_trainer(tmp_path, rows, model=ARCHITECTURES[name](), **arguments)
    assert np.isfinite(trainer.train().training_loss)
    assert np.isfinite(trainer.evaluate()["eval_loss"])


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_loss_of_a_classifier_of_transformers_is_cross_entropy(name):
    """So `OwnLoss` need not try them."""
    ids = torch.tensor([[3, 4, 5, 39], [6, 7, 8, 39]])
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    assert OwnLoss()._compare(ARCHITECTURES[name](), inputs, 3, "labels") == "none"
