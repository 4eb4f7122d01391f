"""Several networks in one module: one forward, one vote, clipped apart, saved so that each part can be used alone."""

from __future__ import annotations

import json
import shutil
from dataclasses import fields

import numpy as np
import pytest
import torch
from conftest import ONE_STEP, Gradients, Two, flat_weights, make_trainer, tiny_model, token_dataset
from transformers import AutoModelForSequenceClassification, DistilBertConfig, DistilBertForSequenceClassification

from hf_noisy import NoiseCallback, NoisyTrainingArguments
from hf_noisy.models.networks import Networks, head_modules, network_logits

INPUTS = {"input_ids": torch.tensor([[1, 2, 3], [4, 5, 6]]), "attention_mask": torch.ones(2, 3, dtype=torch.long)}


def peers(**config) -> Networks:
    return Networks(tiny_model(**config), 2, seed=0)


def test_the_second_network_differs_in_its_head_alone():
    first, second = peers().networks
    differing = {
        name.partition(".")[0]
        for (name, one), other in zip(first.named_parameters(), second.parameters(), strict=True)
        if not torch.equal(one, other)
    }
    assert differing == {"classifier"}
    assert float(second.classifier.weight.detach().std()) == pytest.approx(
        0.02, rel=0.5
    )  # as the architecture draws it


def test_the_head_depends_on_the_seed_and_nothing_else_and_draws_nothing_from_training():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    model = tiny_model()
    torch.set_rng_state(before)
    heads = []
    for stray, seed in ((0, 0), (9, 0), (0, 1)):
        torch.rand(stray)
        state = torch.get_rng_state()
        heads.append(Networks(model, 2, seed).networks[1].classifier.weight)
        assert torch.equal(state, torch.get_rng_state())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])


def test_heads_of_other_architectures_are_found():
    config = DistilBertConfig(vocab_size=40, dim=16, n_layers=1, n_heads=2, hidden_dim=16, num_labels=3)
    first, second = Networks(DistilBertForSequenceClassification(config), 2, seed=0).networks
    assert {id(module) for module in head_modules(first)} >= {id(first.pre_classifier), id(first.classifier)}
    assert not torch.equal(first.pre_classifier.weight, second.pre_classifier.weight)
    assert torch.equal(
        first.distilbert.embeddings.word_embeddings.weight, second.distilbert.embeddings.word_embeddings.weight
    )


def test_in_evaluation_the_networks_vote_with_their_mean_probability():
    both = peers().eval()
    outputs = both(**INPUTS)
    expected = sum(network(**INPUTS).logits.softmax(-1) for network in both.networks) / 2
    assert torch.allclose(outputs.logits.exp(), expected, atol=1e-6)
    assert network_logits(outputs).shape == (2, 2, 3)
    assert both.train()(**INPUTS).logits.shape == (2, 2, 3)


def test_dropout_differs_between_the_networks():
    both = Networks(tiny_model(dropout=0.5), 2, seed=0)
    both.networks[1].load_state_dict(both.networks[0].state_dict())
    one, other = both.train()(**INPUTS).logits
    assert not torch.equal(one, other)


def test_each_network_learns_what_it_would_learn_alone(tmp_path):
    dataset = token_dataset(8)
    settings = {**ONE_STEP, "per_device_train_batch_size": 8}
    both = Gradients()
    trainer = make_trainer(tmp_path, dataset, callbacks=[Two(), both], **settings)
    starts = [
        {name: value.clone() for name, value in network.state_dict().items()} for network in trainer.model.networks
    ]
    trainer.train()
    alone = []
    for start in starts:
        model, watch = tiny_model(), Gradients()
        model.load_state_dict(start)
        make_trainer(tmp_path, dataset, model=model, callbacks=[watch], **settings).train()
        alone.append(watch.steps[0])
    assert torch.allclose(both.steps[0], torch.cat(alone), atol=1e-7)


def test_one_networks_spike_does_not_shrink_the_others_step(tmp_path):
    class Spike(Two):
        def supervise(self, supervision, predictions, batch):
            return supervision.weighted(torch.tensor([[1000.0], [1.0]]))

    def steps(method):
        watch = Gradients()
        settings = {**ONE_STEP, "max_grad_norm": 0.01, "per_device_train_batch_size": 8}
        trainer = make_trainer(tmp_path, token_dataset(8), callbacks=[method, watch], **settings)
        trainer.train()
        return watch.steps[0].view(2, -1)

    spiked, calm = steps(Spike()), steps(Two())
    assert torch.allclose(spiked[1], calm[1], atol=1e-8)
    assert torch.allclose(spiked.norm(dim=-1), torch.full((2,), 0.01), rtol=1e-3)


def train(folder, *, resume=None, **more):
    settings = {"save_strategy": "epoch", "eval_strategy": "epoch", "num_train_epochs": 3, **more}
    trainer = make_trainer(
        folder, model=tiny_model(dropout=0.2), eval_dataset=token_dataset(12, seed=3), callbacks=[Two()], **settings
    )
    trainer.train(resume_from_checkpoint=resume)
    return trainer


def test_a_checkpoint_holds_both_and_its_root_is_the_better_on_validation_labels(tmp_path):
    trainer = train(tmp_path, num_train_epochs=2)
    folder = tmp_path / "checkpoint-10"
    dataset = token_dataset(12, seed=3)
    inputs = {name: torch.tensor(dataset[name][:]) for name in ("input_ids", "attention_mask")}
    right = [
        int((network.eval()(**inputs).logits.argmax(-1) == torch.tensor(dataset["labels"][:])).sum())
        for network in trainer.model.networks
    ]
    assert trainer.model.deployed == right.index(max(right))
    root = AutoModelForSequenceClassification.from_pretrained(folder)
    other = AutoModelForSequenceClassification.from_pretrained(folder / f"network-{1 - trainer.model.deployed}")
    assert torch.equal(flat_weights(root), flat_weights(trainer.noise.deployed_model))
    assert torch.equal(flat_weights(other), flat_weights(trainer.model.networks[1 - trainer.model.deployed]))


@pytest.mark.parametrize("deployed", [0, 1])
def test_whichever_lies_in_the_root_both_come_back(tmp_path, deployed):
    trainer = train(tmp_path, num_train_epochs=1)
    trainer.model.deployed = deployed
    trainer.save_model(str(tmp_path / "checkpoint"), _internal_call=True)
    other = make_trainer(tmp_path, model=tiny_model(seed=5), callbacks=[Two()])
    other._load_from_checkpoint(str(tmp_path / "checkpoint"))
    assert other.model.deployed == deployed
    assert torch.equal(flat_weights(other.model), flat_weights(trainer.model))


def test_save_model_writes_one_by_default_and_all_on_request(tmp_path):
    trainer = train(tmp_path, num_train_epochs=1)
    trainer.save_model(str(tmp_path / "one"))
    assert not list((tmp_path / "one").glob("network-*"))
    trainer.args.save_all_networks = True
    trainer.save_model(str(tmp_path / "all"))
    assert len(list((tmp_path / "all").glob("network-*/model.safetensors"))) == 1
    saved = AutoModelForSequenceClassification.from_pretrained(tmp_path / "one")
    assert torch.equal(flat_weights(saved), flat_weights(trainer.noise.deployed_model))


def test_a_folder_without_the_other_network_is_refused(tmp_path):
    trainer = train(tmp_path, num_train_epochs=1)
    trainer.save_model(str(tmp_path / "one"))
    with pytest.raises(ValueError, match=r"not what save_model\(\) wrote"):
        train(tmp_path, resume=str(tmp_path / "one"))
    (checkpoint,) = tmp_path.glob("checkpoint-*")
    (other,) = checkpoint.glob("network-*")
    shutil.rmtree(other)
    with pytest.raises(ValueError, match=r"holds 1 network\(s\), this run has 2"):
        train(tmp_path, resume=str(checkpoint))


def test_the_best_checkpoint_brings_both_networks_back(tmp_path):
    trainer = train(tmp_path, load_best_model_at_end=True, metric_for_best_model="loss", learning_rate=0.1)
    losses = {log["step"]: log["eval_loss"] for log in trainer.state.log_history if "eval_loss" in log}
    best = min(losses, key=losses.get)
    assert trainer.state.best_model_checkpoint.endswith(f"checkpoint-{best}")
    assert trainer.evaluate()["eval_loss"] == pytest.approx(losses[best], rel=1e-5)


def test_the_survey_asks_each_network(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[Two()])
    survey = trainer.survey()
    assert survey.log_probs.shape == (2, 20, 3)
    assert torch.allclose(survey.probs.sum(-1), torch.ones(20))
    assert not torch.equal(*survey.log_probs)


def test_a_method_added_later_still_gets_its_networks(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.add_callback(Two())
    trainer.train()
    assert isinstance(trainer.model, Networks)
    assert trainer.predict(token_dataset(5)).predictions.shape == (5, 3)


def test_model_init_and_a_search_over_methods_make_networks_anew(tmp_path):
    trainer = make_trainer(
        tmp_path, model_init=lambda: tiny_model(), eval_dataset=token_dataset(8, seed=2), noise_method="co_teaching"
    )
    counts = []

    class Count(NoiseCallback):
        def setup(self, context):
            counts.append(context.networks)

    trainer.add_callback(Count())
    trainer.hyperparameter_search(
        hp_space=lambda trial: {"noise_method": trial.suggest_categorical("noise_method", ["co_teaching", "ce"])},
        n_trials=2,
        backend="optuna",
        direction="minimize",
        sampler=__import__("optuna").samplers.GridSampler({"noise_method": ["co_teaching", "ce"]}),
    )
    assert sorted(counts) == [1, 2]


def test_gradient_checkpointing_and_bfloat16_reach_both(tmp_path):
    names = ("activation_checkpointing", "gradient_checkpointing")  # the second in older releases of Transformers
    name = next(name for name in names if name in {field.name for field in fields(NoisyTrainingArguments)})
    trainer = make_trainer(tmp_path, callbacks=[Two()], bf16=True, **{name: True})
    assert np.isfinite(trainer.train().training_loss)
    assert all(getattr(network, f"is_{name}") for network in trainer.model.networks)


def test_the_model_card_is_the_deployed_networks(tmp_path):
    trainer = make_trainer(tmp_path, noise_method="co_teaching")
    trainer.train()
    trainer.save_model(str(tmp_path))
    assert "Co-teaching" in (tmp_path / "README.md").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["architectures"] == ["BertForSequenceClassification"]


def test_clean_rows_are_looked_at_beside_the_training_set(tmp_path):
    clean = token_dataset(9, seed=4).add_column("given", [2, -1, 0, 1, 1, 1, 2, 2, 0])
    seen = []

    class Look(Two):
        def setup(self, context):
            self.clean = context.clean

        def begin_epoch(self, epoch, survey):
            seen.append(self.clean.survey())

    trainer = make_trainer(tmp_path, callbacks=[Look()], clean_dataset=clean)
    trainer.train()
    look = trainer.noise.callbacks[1].clean
    assert look.labels.argmax(-1).tolist() == clean["labels"][:]
    assert look.given.sum(-1).tolist() == [1, 0, 1, 1, 1, 1, 1, 1, 1]
    assert seen[1].shape == (2, 9, 3)
    inputs = {name: torch.tensor(clean[name][:]) for name in ("input_ids", "attention_mask")}
    expected = network_logits(trainer.model.eval()(**inputs)).log_softmax(-1)
    assert torch.allclose(look.survey(), expected, atol=1e-6)
    assert not torch.equal(seen[0], seen[1])


def test_clean_rows_without_a_label_are_refused_before_the_first_step(tmp_path):
    trainer = make_trainer(tmp_path, callbacks=[Two()], clean_dataset=token_dataset(3, [-1, -1, -1]))
    with pytest.raises(ValueError, match="clean_dataset"):
        trainer.train()


def test_of_several_evaluation_sets_the_first_decides_which_network_is_deployed(tmp_path):
    sets = {name: token_dataset(30, seed=seed) for name, seed in (("first", 5), ("second", 6))}
    trainer = make_trainer(
        tmp_path, rows=40, eval_dataset=sets, eval_strategy="epoch", callbacks=[Two()], learning_rate=3e-3
    )
    trainer.train()
    labels = np.array(sets["first"]["labels"][:])
    logits = [network_logits(trainer.model.eval()(**without_labels(sets[name]))) for name in ("first",)]
    right = [(found.argmax(-1).numpy() == labels).sum() for found in logits[0]]
    trainer.model.deployed = 1 - int(np.argmax(right))
    trainer.evaluate()
    assert trainer.model.deployed == int(np.argmax(right))


def without_labels(rows) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(rows[name][:]) for name in ("input_ids", "attention_mask")}
