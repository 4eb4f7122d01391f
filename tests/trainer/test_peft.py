"""LoRA: one network with an adapter, and several with one each on one base."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path

import pytest
import torch
from conftest import StopAt, make_trainer, tiny_model, token_dataset, token_rows
from safetensors.torch import load_file
from test_precision import lora_model, train
from transformers import AutoModelForSequenceClassification, BertForSequenceClassification

from hf_noisy.methods.parts.mixing import draw_mix, mixed_embeddings
from hf_noisy.models import adapters
from hf_noisy.models.adapters import classifier, used_modules
from hf_noisy.models.channels import last_layer, sentence_vectors
from hf_noisy.models.networks import Networks, head_modules

pytest.importorskip("peft")
pytestmark = pytest.mark.filterwarnings("ignore:.is_gradient_checkpointing:FutureWarning")  # PEFT reads it


def tokens(rows: int = 5, seed: int = 3) -> dict[str, torch.Tensor]:
    return {name: torch.tensor(value) for name, value in token_rows(rows, seed=seed).items()}


def learned(model) -> dict[str, torch.Tensor]:
    return {name: weight for name, weight in model.named_parameters() if weight.requires_grad}


@pytest.fixture(scope="module")
def stopped(tmp_path_factory):
    """A copy of a folder whose training was stopped after 7 of 12 steps, by method."""
    folders = {}

    def copy_of(method, where):
        if method not in folders:
            folders[method] = tmp_path_factory.mktemp(method)
            train(folders[method], method, model=lora_model(), callbacks=[StopAt(7)])
        return Path(shutil.copytree(folders[method] / "checkpoint-7", where / "checkpoint-7"))

    return copy_of


def nudge(model, seed: int = 1) -> None:
    """Let the adapter do something: what LoRA starts from zero is drawn."""
    torch.manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_()


# ---- one network ----------------------------------------------------------------------------------------------------


def test_vectors_of_the_encoder_are_those_of_the_base_until_the_adapter_does_something(tmp_path):
    def encode(model):
        return make_trainer(tmp_path, rows=6, model=model).encode()

    plain, adapted, nudged = encode(tiny_model()), encode(lora_model(dropout=0.0)), lora_model(dropout=0.0)
    nudge(nudged)
    assert plain.shape == (6, 16)
    assert torch.equal(adapted, plain)
    assert (encode(nudged) - plain).abs().max() > 1e-3


@pytest.mark.parametrize("targets", [["query"], ["query", "classifier"]], ids=["a head of its own", "an adapted head"])
def test_the_sentence_vector_is_what_the_head_in_use_reads(targets):
    kind = {} if "classifier" not in targets else {"task_type": None}
    model = lora_model(dropout=0.0, target_modules=targets, r=3, **kind).eval()  # r is the number of classes: a trap
    nudge(model)
    inputs = tokens()
    with torch.no_grad(), sentence_vectors(model, inputs["attention_mask"]) as found:
        logits = model(**inputs).logits
    (vectors,) = found
    assert vectors.shape == (5, 16)
    head = classifier(model).classifier
    torch.testing.assert_close(head(vectors), logits)


def test_of_several_adapters_the_active_one_has_the_last_layer():
    model = lora_model(dropout=0.0)
    model.add_adapter("second", copy.deepcopy(model.peft_config["default"]))
    wrapper = classifier(model).classifier
    assert last_layer(model) is wrapper.modules_to_save["default"]
    model.set_adapter("second")
    assert last_layer(model) is wrapper.modules_to_save["second"]


def test_what_a_forward_runs_through_without_adapters_is_the_plain_model():
    def kinds(model):
        return [type(module).__name__ for module in model.modules() if list(module.parameters(recurse=False))]

    adapted = classifier(lora_model())
    used = [type(part).__name__ for part in used_modules(adapted) if list(part.parameters(recurse=False))]
    assert used == kinds(tiny_model())
    assert len(kinds(adapted)) > len(used)  # else there was nothing to leave out


def test_mixed_embeddings_of_an_adapter_that_does_nothing_are_those_of_its_base():
    inputs = tokens()
    mix = draw_mix((0, 0, 0), 5, 4.0, "embeddings")

    def mixed(model):
        model.eval()
        with torch.no_grad(), mixed_embeddings([model], inputs, mix):
            return model(**inputs).logits

    plain = tiny_model().eval()
    torch.testing.assert_close(mixed(lora_model(dropout=0.0)), mixed(tiny_model()))
    assert (mixed(plain) - plain(**inputs).logits).abs().max() > 1e-4


@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_layers_teach_an_adapter_below_mixed_embeddings(reentrant):
    inputs, gradients = tokens(), []
    for checkpointing in (False, True):
        model = lora_model(dropout=0.0).train()
        nudge(model)
        if checkpointing:
            base = classifier(model)
            enable = getattr(base, "activation_checkpointing_enable", base.gradient_checkpointing_enable)
            enable({"use_reentrant": reentrant})
        with mixed_embeddings([model], inputs, draw_mix((0, 0, 0), 5, 4.0, "embeddings")):
            model(**inputs).logits.logsumexp(-1).sum().backward()
        gradients.append([weight.grad for weight in learned(model).values()])
    assert all(grad.abs().max() > 0 for grad in gradients[0])
    for kept, recomputed in zip(*gradients, strict=True):
        torch.testing.assert_close(recomputed, kept)


def test_a_checkpoint_holds_the_adapter_and_the_head_alone(tmp_path):
    trainer = train(tmp_path, "elr", model=lora_model(), save_strategy="epoch")
    stored = load_file(tmp_path / "checkpoint-12" / "adapter_model.safetensors")
    assert {tensor.numel() for tensor in stored.values()} == {2 * 16, 3 * 16, 3}
    assert sum(tensor.numel() for tensor in stored.values()) == sum(w.numel() for w in learned(trainer.model).values())
    assert not (tmp_path / "checkpoint-12" / "model.safetensors").exists()


@pytest.mark.parametrize("method", ["ce", "co_teaching"])
def test_the_best_adapter_is_loaded_at_the_end(tmp_path, method):
    from peft import get_peft_model_state_dict

    scores = iter([2.0, 1.0, 0.0])  # the first epoch's is the best
    trainer = train(
        tmp_path,
        method,
        model=lora_model(),
        eval_dataset=token_dataset(12, seed=5),
        compute_metrics=lambda _: {"score": next(scores)},
        eval_strategy="epoch",
        save_strategy="epoch",
        load_best_model_at_end=True,
        metric_for_best_model="score",
    )
    stored = [load_file(tmp_path / f"checkpoint-{step}" / "adapter_model.safetensors") for step in (4, 12)]
    own = get_peft_model_state_dict(trainer.noise.deployed_model)
    assert own.keys() == stored[0].keys()
    assert all(torch.equal(own[name], tensor) for name, tensor in stored[0].items())
    assert not any(torch.equal(own[name], tensor) for name, tensor in stored[1].items())


def test_an_average_is_of_the_adapters_and_its_run_resumes(tmp_path):
    plain = train(tmp_path / "plain", "ce", model=lora_model())
    whole = train(tmp_path / "whole", "model_average", model=lora_model())
    train(tmp_path / "cut", "model_average", model=lora_model(), callbacks=[StopAt(7)])
    state = load_file(tmp_path / "cut" / "checkpoint-7" / "noise_state.safetensors")
    assert {
        key for key in state if "ModelAverage.weights" in key and "lora" not in key and "modules_to_save" not in key
    } == set()
    resumed = train(
        tmp_path / "cut", "model_average", model=lora_model(), resume=str(tmp_path / "cut" / "checkpoint-7")
    )
    last, averaged, again = (learned(trainer.model) for trainer in (plain, whole, resumed))
    assert all(torch.equal(averaged[name], again[name]) for name in averaged)
    assert not any(torch.equal(averaged[name], last[name]) for name in averaged)


# ---- several networks on one base -----------------------------------------------------------------------------------


def test_two_networks_have_one_base_in_memory():
    model = lora_model()
    whole, own = sum(w.numel() for w in model.parameters()), sum(w.numel() for w in learned(model).values())
    peers = Networks(model, 2, seed=0)
    stored = {weight.data_ptr(): weight.numel() for weight in peers.parameters()}  # what is really there
    assert sum(stored.values()) == whole + own
    assert own < whole / 10
    first, second = peers.networks
    for name, weight in first.named_parameters():
        other = second.get_parameter(name)
        assert (other is weight) == (not weight.requires_grad), name


def test_a_third_network_costs_one_more_adapter():
    model = lora_model()
    own = sum(weight.numel() for weight in learned(model).values())
    sizes = [sum(w.numel() for w in Networks(lora_model(), count, seed=0).parameters()) for count in (1, 2, 3)]
    assert sizes[1] - sizes[0] == sizes[2] - sizes[1] == own


def test_each_network_draws_its_adapter_and_head_and_the_seed_says_how():
    def second(seed, model=None):
        return learned(Networks(lora_model() if model is None else model, 2, seed=seed).networks[1])

    first, one, same, other = learned(lora_model()), second(0), second(0), second(1)
    drawn = [name for name in first if "lora_A" in name or name.endswith("classifier.modules_to_save.default.weight")]
    assert len(drawn) == 3  # of query, of value, and the head
    for name in drawn:
        assert not torch.equal(one[name], first[name])
        assert torch.equal(one[name], same[name])
        assert not torch.equal(one[name], other[name])
    assert all(not one[name].any() for name in one if "lora_B" in name)  # it still does nothing


def test_an_adapter_that_was_trained_is_kept_by_the_second_network():
    model = lora_model()
    nudge(model)
    before = torch.get_rng_state()
    second = learned(Networks(model, 2, seed=0).networks[1])
    assert torch.equal(torch.get_rng_state(), before)
    for name, weight in learned(model).items():
        if "lora" in name:
            assert torch.equal(second[name], weight)
    assert not torch.equal(*(classifier(m).classifier.weight for m in Networks(model, 2, seed=0).networks))


def test_a_networks_gradient_reaches_its_own_adapter_and_no_other():
    peers = Networks(lora_model(dropout=0.0), 2, seed=0).train()
    nudge(peers)
    peers(**tokens()).logits[1].logsumexp(-1).sum().backward()
    first, second = (learned(network) for network in peers.networks)
    assert not any(weight.grad.any() for weight in first.values())
    assert all(weight.grad.any() for weight in second.values())
    assert all(weight.grad is None for weight in peers.parameters() if not weight.requires_grad)


def test_one_base_trains_as_two_bases_do(tmp_path, monkeypatch):
    shared = train(tmp_path / "shared", "co_teaching", model=lora_model())
    monkeypatch.setattr("hf_noisy.models.networks.copy_model", copy.deepcopy)
    apart = train(tmp_path / "apart", "co_teaching", model=lora_model())
    sizes = [sum(weight.numel() for weight in trainer.model.parameters()) for trainer in (shared, apart)]
    assert sizes[0] < 0.6 * sizes[1]
    for one, other in zip(shared.noise.networks, apart.noise.networks, strict=True):
        assert all(torch.equal(weight, other.get_parameter(name)) for name, weight in one.named_parameters())


def transformers_loads_adapters(folder, base) -> bool:
    """Whether it reads what PEFT itself has written; 5.5.4 leaves adapters and head as they are drawn, and warns."""
    model = lora_model(base=base).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1)
    model.save_pretrained(folder / "adapter")
    again = AutoModelForSequenceClassification.from_pretrained(folder / "adapter")
    return torch.equal(classifier(again).classifier.weight, classifier(model).classifier.weight)


def test_each_network_of_a_checkpoint_loads_alone_and_both_on_one_base(tmp_path):
    from peft import PeftModel

    tiny_model().save_pretrained(tmp_path / "base")

    def base():
        return BertForSequenceClassification.from_pretrained(tmp_path / "base")

    trainer = train(tmp_path, "co_teaching", model=lora_model(base=base()), save_strategy="epoch")
    inputs, root = tokens(), tmp_path / "checkpoint-12"
    expected = trainer.model.eval()(**inputs).network_logits
    assert (expected[0] - expected[1]).abs().max() > 1e-4
    if transformers_loads_adapters(tmp_path, base()):
        assert torch.equal(AutoModelForSequenceClassification.from_pretrained(root)(**inputs).logits, expected[0])
    pair = PeftModel.from_pretrained(base(), root).eval()
    assert torch.equal(pair(**inputs).logits, expected[0])
    pair.load_adapter(root / "network-1", "peer")
    pair.set_adapter("peer")
    assert torch.equal(pair.eval()(**inputs).logits, expected[1])


def test_the_better_network_lies_in_the_root(tmp_path):
    def root_is(deployed):
        trainer = train(tmp_path / str(deployed), "co_teaching", model=lora_model())
        trainer.model.deployed = deployed
        trainer._noise.saves_checkpoint = True
        trainer._save(str(tmp_path / "out" / str(deployed)))
        stored = load_file(tmp_path / "out" / str(deployed) / "adapter_model.safetensors")
        head = next(tensor for name, tensor in stored.items() if name.endswith("classifier.weight"))
        return [torch.equal(head, classifier(network).classifier.weight) for network in trainer.noise.networks]

    assert root_is(0) == [True, False]
    assert root_is(1) == [False, True]
    assert (tmp_path / "out" / "1" / "network-0" / "adapter_model.safetensors").is_file()
    assert not (tmp_path / "out" / "1" / "network-1").exists()


def test_a_resume_loads_no_adapter_beside_those_of_this_run(tmp_path, stopped):
    checkpoint = stopped("co_teaching", tmp_path)
    resumed = train(tmp_path, "co_teaching", model=lora_model(), resume=str(checkpoint))
    assert [list(network.peft_config) for network in resumed.noise.networks] == [["default"], ["default"]]


def test_an_adapter_of_another_name_resumes(tmp_path):
    def named():
        model = lora_model()
        model.add_adapter("mine", copy.deepcopy(model.peft_config["default"]))
        model.set_adapter("mine")
        return model

    whole = train(tmp_path / "whole", "co_teaching", model=named())
    train(tmp_path / "cut", "co_teaching", model=named(), callbacks=[StopAt(7)])
    resumed = train(tmp_path / "cut", "co_teaching", model=named(), resume=str(tmp_path / "cut" / "checkpoint-7"))
    found, expected = learned(resumed.model), learned(whole.model)
    assert all("mine" in name for name in expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)


def test_a_head_of_several_layers_is_drawn_where_it_learns():
    from transformers import DistilBertConfig, DistilBertForSequenceClassification

    config = DistilBertConfig(vocab_size=40, dim=16, n_layers=1, n_heads=2, hidden_dim=16, max_position_embeddings=16)
    config.num_labels = 3
    base = DistilBertForSequenceClassification(config)
    first = lora_model(base=base, target_modules=["q_lin"])
    second = Networks(first, 2, seed=0).networks[1]
    heads = [[m for m in head_modules(network) if isinstance(m, torch.nn.Linear)] for network in (first, second)]
    assert [module.out_features for module in heads[0]] == [16, 3]
    assert not any(torch.equal(a.weight, b.weight) for a, b in zip(*heads, strict=True))
    frozen = lora_model(base=DistilBertForSequenceClassification(config), target_modules=["q_lin"], task_type=None)
    first, second = (classifier(network) for network in Networks(frozen, 2, seed=0).networks)
    assert second.classifier.weight is first.classifier.weight  # it does not learn, so it is the base's


# ---- files and errors -----------------------------------------------------------------------------------------------


def test_the_card_beside_an_adapter_is_this_package_s_and_yours_is_left_as_it_was(tmp_path):
    trainer = train(tmp_path / "run", "gce", model=lora_model())
    for _ in range(2):
        trainer.save_model(str(tmp_path / "out"))
        assert "- hf_noisy" in (tmp_path / "out" / "README.md").read_text(encoding="utf-8")
    yours = tmp_path / "yours" / "README.md"
    yours.parent.mkdir()
    yours.write_text("# Mine\n", encoding="utf-8")
    trainer.save_model(str(yours.parent))
    assert yours.read_text(encoding="utf-8") == "# Mine\n"
    assert (yours.parent / "adapter_model.safetensors").is_file()


def test_an_adapter_that_is_frozen_is_refused(tmp_path):
    from peft import PeftModel

    lora_model().save_pretrained(tmp_path / "adapter")
    with pytest.raises(
        ValueError, match="every weight is frozen, so nothing would be learned. Load the adapter with is_tr"
    ):
        train(tmp_path, "ce", model=PeftModel.from_pretrained(tiny_model(), tmp_path / "adapter"))
    model = tiny_model().requires_grad_(False)
    with pytest.raises(ValueError, match="BertForSequenceClassification: every weight is frozen"):
        train(tmp_path, "ce", model=model)


def other_rank(folder):
    return lora_model(r=4), r"'base_model.model.*lora_A.weight' of shape \(2, 16\), this run's has \(4, 16\)"


def other_layers(folder):
    return lora_model(target_modules=["query"]), r"value.lora_A.weight' of shape \(2, 16\), this run's has None"


def no_adapter(folder):
    return tiny_model(), "holds an adapter, and this run's BertForSequenceClassification is no PeftModel"


def no_file(folder):
    (folder / "adapter_model.safetensors").unlink()
    return lora_model(), "has no adapter_model.safetensors, and this run trains an adapter"


@pytest.mark.parametrize("method", ["ce", "co_teaching"])
@pytest.mark.parametrize("change", [other_rank, other_layers, no_adapter, no_file])
def test_a_checkpoint_of_another_kind_of_model_is_refused_by_name(tmp_path, stopped, method, change):
    checkpoint = stopped(method, tmp_path)
    model, message = change(checkpoint)
    with pytest.raises(ValueError, match=message):
        train(tmp_path, method, model=model, resume=str(checkpoint))


def test_a_plain_models_checkpoint_is_refused_for_an_adapter(tmp_path):
    train(tmp_path, "ce", callbacks=[StopAt(7)])
    with pytest.raises(ValueError, match="has no adapter_model.safetensors"):
        train(tmp_path, "ce", model=lora_model(), resume=str(tmp_path / "checkpoint-7"))


def test_an_adapter_that_peft_does_not_save_whole_is_warned_about_and_lora_is_not(tmp_path, monkeypatch, stopped):
    from peft import PromptEncoderConfig, get_peft_model

    def tuned():
        config = PromptEncoderConfig(task_type="SEQ_CLS", num_virtual_tokens=3, encoder_hidden_size=8)
        return get_peft_model(tiny_model(), config)

    said: list[str] = []
    monkeypatch.setattr(adapters.logger, "warning", said.append)
    train(tmp_path, "ce", model=lora_model(), resume=str(stopped("ce", tmp_path)))
    assert not said
    train(tmp_path / "tuned", "ce", model=tuned(), callbacks=[StopAt(7)])
    train(tmp_path / "tuned", "ce", model=tuned(), resume=str(tmp_path / "tuned" / "checkpoint-7"))
    # three prompts of 16, and a head of 3 x 17; a network of 16 x 8, 8 x 8 and 8 x 16 makes the prompts
    assert f"PEFT saved {48 + 51} numbers, and {48 + 51 + 136 + 72 + 144} learn" in said[0]


def test_labels_outside_the_classes_of_an_adapted_model_are_refused(tmp_path):
    with pytest.raises(ValueError, match="num_labels"):
        make_trainer(tmp_path, token_dataset(6, [0, 1, 2, 3, 0, 1]), model=lora_model())
