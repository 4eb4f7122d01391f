"""What a trainer sees of its rows: vectors of the encoder, vectors in a step, views that are not taught, label accuracy."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import Two, flat_weights, gradient, make_trainer, tiny_model, token_dataset, token_rows
from datasets import Dataset
from transformers import BartConfig, BartForSequenceClassification, T5Config, T5ForSequenceClassification

from hf_noisy import CrossEntropy, NoiseCallback, Predictions, Supervision


def uneven(rows: int) -> Dataset:
    """Rows of one to six tokens, so that batches are padded."""
    columns = token_rows(rows)
    columns = {name: [row[: 1 + i % 6] for i, row in enumerate(values)] for name, values in columns.items()}
    return Dataset.from_dict({**columns, "labels": [i % 3 for i in range(rows)]})


class Padding:
    """Collates rows of different lengths for the tiny model."""

    def __call__(self, rows):
        longest = max(len(row["input_ids"]) for row in rows)
        padded = {
            name: torch.tensor([row[name] + [0] * (longest - len(row[name])) for row in rows])
            for name in ("input_ids", "attention_mask")
        }
        return padded | {"labels": torch.tensor([row["labels"] for row in rows])}


def test_a_vector_is_the_mean_of_the_real_tokens_hidden_states_in_row_order(tmp_path):
    dataset = uneven(11).shuffle(seed=3)
    trainer = make_trainer(tmp_path, dataset, model=tiny_model(dropout=0.5), data_collator=Padding())
    before = torch.get_rng_state()
    found = trainer.encode()
    assert torch.equal(before, torch.get_rng_state())
    assert trainer.model.training
    trainer.model.eval()
    for row, vector in zip(dataset, found, strict=True):
        states = trainer.model.bert(torch.tensor([row["input_ids"]])).last_hidden_state[0]
        assert torch.allclose(vector, states.mean(0), atol=1e-5)


def test_a_model_without_hidden_states_has_no_vectors(tmp_path):
    trainer = make_trainer(tmp_path, token_dataset(4))
    trainer.model.bert.forward = lambda **inputs: object()
    with pytest.raises(ValueError, match="gives no last_hidden_state"):
        trainer.encode()


class Vectors(NoiseCallback):
    """Keeps what a step shows, and pulls vectors towards 0."""

    needs_vectors = True

    def __init__(self, pull: float = 0.0) -> None:
        self.pull, self.seen = pull, []

    def views(self, inputs, batch):
        return [inputs, {**inputs, "input_ids": inputs["input_ids"].flip(-1)}]

    def supervise(self, supervision, predictions, batch):
        assert not predictions.vectors.requires_grad
        return supervision

    def penalty(self, predictions, supervision, batch):
        self.seen.append((predictions, batch))
        return self.pull * predictions.vectors.square().sum((0, 1, 3))


def test_vectors_are_what_goes_into_the_last_layer_of_each_network_and_view(tmp_path):
    keep = Vectors()
    trainer = make_trainer(tmp_path, token_dataset(8), callbacks=[Two(), keep], num_train_epochs=1, learning_rate=0.0)
    trainer.train()
    predictions, batch = keep.seen[0]
    assert predictions.vectors.shape == (2, 2, len(batch.index), 16)
    for network, vectors, log_probs in zip(
        trainer.noise.networks, predictions.vectors, predictions.clean_log_probs, strict=True
    ):
        assert torch.allclose(network.classifier(vectors).log_softmax(-1), log_probs, atol=1e-6)


def test_vectors_carry_a_gradient_to_the_encoder(tmp_path):
    dataset = token_dataset(8)
    without, pulled = (
        gradient(tmp_path, dataset, per_device_train_batch_size=8, callbacks=[Vectors(pull)]) for pull in (0.0, 1.0)
    )
    assert float((pulled - without).norm()) > 0.1 * float(without.norm())


def test_without_a_method_that_needs_them_no_vectors_are_kept(tmp_path):
    keep = Vectors()
    keep.needs_vectors = False
    keep.penalty = lambda predictions, supervision, batch: keep.seen.append(predictions)
    keep.supervise = lambda supervision, predictions, batch: supervision
    make_trainer(tmp_path, token_dataset(4), callbacks=[keep], num_train_epochs=1).train()
    assert keep.seen[0].vectors is None


def test_a_view_that_is_not_taught_costs_nothing():
    log_probs = torch.randn(1, 3, 4, 2).log_softmax(-1)
    given = torch.eye(2)[[0, 1, 1, 0]].unsqueeze(0)
    supervision = Supervision(given, torch.ones(1, 4))
    every, first = (
        replace(supervision, trained_views=views).losses(CrossEntropy(), Predictions(log_probs)) for views in (None, 1)
    )
    by_hand = -(given.unsqueeze(1) * log_probs).sum(-1)
    assert torch.allclose(every, by_hand.mean(1))
    assert torch.allclose(first, by_hand[:, 0])
    channelled = Predictions(log_probs.roll(1, -1), channelled=log_probs)
    trusted = replace(supervision, trained_views=1).trusting(torch.tensor([True, False, False, False]))
    found = trusted.losses(CrossEntropy(), channelled)
    assert torch.allclose(found[0, 1:], by_hand[0, 0, 1:])
    assert torch.allclose(found[0, 0], -(given[0, 0] * log_probs.roll(1, -1)[0, 0, 0]).sum())


@pytest.mark.parametrize("callbacks", [[], [Two()]], ids=["one network", "two"])
def test_label_accuracy_is_over_the_labelled_rows_and_what_is_deployed_as_a_vote(tmp_path, callbacks):
    labels = [0, 1, -1, 2, -1, 0, 1, 1, 0]
    dataset = token_dataset(9, labels, seed=4)
    trainer = make_trainer(tmp_path, token_dataset(20), eval_dataset=dataset, callbacks=callbacks)
    trainer.train()
    found = trainer.predict(dataset.remove_columns("labels")).predictions.argmax(-1)
    known = np.array(labels) >= 0
    assert trainer.evaluate()["eval_label_accuracy"] == pytest.approx((found == labels)[known].mean())


def test_a_pass_of_the_encoder_does_not_change_training(tmp_path):
    class Looks(NoiseCallback):
        def setup(self, context):
            self.encode = context.encode

        def begin_epoch(self, epoch, survey):
            self.encode()

    weights = []
    for callbacks in ([], [Looks()]):
        trainer = make_trainer(tmp_path, model=tiny_model(dropout=0.3), callbacks=callbacks)
        trainer.train()
        weights.append(flat_weights(trainer.model))
    assert torch.equal(*weights)


def test_an_incomplete_last_batch_is_looked_at_though_training_drops_it(tmp_path):
    found = []
    for drop_last in (False, True):
        trainer = make_trainer(
            tmp_path,
            token_dataset(11),
            model=tiny_model(),
            eval_dataset=token_dataset(11, seed=1),
            dataloader_drop_last=drop_last,
            per_device_eval_batch_size=4,
        )
        assert len(trainer.get_train_dataloader()) == (2 if drop_last else 3)
        found.append((trainer.survey().log_probs, trainer.encode(), torch.tensor(trainer.evaluate()["eval_loss"])))
    for whole, dropping in zip(*found, strict=True):
        assert torch.equal(whole, dropping)


def encoder_decoders():
    small = {"vocab_size": 50, "d_model": 16, "num_labels": 3, "pad_token_id": 0, "decoder_start_token_id": 0}
    heads = {"encoder_attention_heads": 2, "decoder_attention_heads": 2, "encoder_layers": 1, "decoder_layers": 1}
    yield T5ForSequenceClassification(T5Config(**small, d_kv=8, d_ff=16, num_layers=1, num_heads=2, eos_token_id=1))
    yield BartForSequenceClassification(BartConfig(**small, **heads, encoder_ffn_dim=16, decoder_ffn_dim=16))


@pytest.mark.parametrize("model", list(encoder_decoders()), ids=lambda model: type(model).__name__)
def test_of_an_encoder_decoder_the_encoder_is_asked(tmp_path, model):
    rows = token_dataset(6)
    trainer = make_trainer(tmp_path, rows, model=model)
    ids = torch.tensor(rows["input_ids"][:])
    expected = model.eval().get_encoder()(ids).last_hidden_state.mean(1)
    assert torch.allclose(trainer.encode(), expected, atol=1e-5)


def test_a_mean_of_a_model_in_16_bits_is_not_rounded_on_the_way(tmp_path):
    trainer = make_trainer(tmp_path, token_dataset(6), model=tiny_model().half())
    states = trainer.model.bert.forward

    def large(**inputs):
        found = states(**inputs)
        found.last_hidden_state = torch.full_like(found.last_hidden_state, 3e4)  # a sum of them is no half
        return found

    trainer.model.bert.forward = large
    assert torch.equal(trainer.encode(), torch.full((6, 16), 3e4).half().float())
