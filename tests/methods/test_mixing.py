"""Mixed embeddings are right for every architecture: against the same mixture computed outside of the model."""

from __future__ import annotations

import pytest
import torch
from transformers import (
    AutoModelForSequenceClassification,
    BertConfig,
    DebertaV2Config,
    DistilBertConfig,
    GPT2Config,
    LlamaConfig,
    ModernBertConfig,
    RobertaConfig,
)

from hf_noisy import Predictions, Supervision
from hf_noisy.common.randomness import keyed_generator
from hf_noisy.methods.parts.mixing import draw_mix, hide_tokens, mixed_embeddings, mixed_inputs
from hf_noisy.models.predictions import Mix

SMALL = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 24}
CONFIGS = {
    "bert": BertConfig(**SMALL, max_position_embeddings=20),
    "roberta": RobertaConfig(**SMALL, max_position_embeddings=24, pad_token_id=1),
    "distilbert": DistilBertConfig(vocab_size=50, dim=16, n_layers=2, n_heads=2, hidden_dim=24),
    "deberta": DebertaV2Config(
        **SMALL, max_position_embeddings=20, relative_attention=True, pos_att_type=["p2c", "c2p"]
    ),
    "modernbert": ModernBertConfig(
        **SMALL, pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2
    ),
    "gpt2": GPT2Config(vocab_size=50, n_embd=16, n_layer=2, n_head=2, n_positions=20, pad_token_id=0),
    "llama": LlamaConfig(**SMALL, num_key_value_heads=2, pad_token_id=0, bos_token_id=1, eos_token_id=2),
}
EVERY_ARCHITECTURE = pytest.mark.parametrize("name", sorted(CONFIGS))


def small(name: str):
    torch.manual_seed(0)
    config = CONFIGS[name]
    config.num_labels = 3
    return AutoModelForSequenceClassification.from_config(config, attn_implementation="eager").eval()


def padded(*lengths: int, pad: int = 0) -> dict[str, torch.Tensor]:
    draw = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 50, (len(lengths), max(lengths)), generator=draw)
    mask = (torch.arange(max(lengths)) < torch.tensor(lengths).unsqueeze(1)).long()
    return {"input_ids": ids.masked_fill(mask == 0, pad), "attention_mask": mask}


def forward(model, inputs, mix, views=1):
    with mixed_embeddings([model], inputs, mix, views):
        return model(**mixed_inputs(inputs, mix)).logits


def mix(partner, ratio, where="embeddings"):
    return Mix(torch.tensor(partner), torch.full((len(partner),), ratio), where)


@EVERY_ARCHITECTURE
def test_an_example_that_keeps_all_of_itself_is_itself_whatever_its_partner(name):
    model, inputs = small(name), padded(4, 6, 6, pad=CONFIGS[name].pad_token_id)
    alone = model(**inputs).logits
    both = forward(model, inputs, mix([2, 2, 1], 1.0))
    assert torch.allclose(both[1:], alone[1:], atol=1e-5)  # partners of equal length: no token stands in
    assert torch.allclose(forward(model, inputs, mix([0, 1, 2], 0.3)), alone, atol=1e-5)  # its own partner


@EVERY_ARCHITECTURE
def test_with_nothing_of_itself_a_shorter_example_is_its_partner(name):
    """So positions, attention and a decoder's last token are those of the longer one."""
    model, inputs = small(name), padded(3, 7, 5, pad=CONFIGS[name].pad_token_id)
    alone = model(**inputs).logits
    swapped = forward(model, inputs, mix([1, 1, 1], 0.0))
    assert torch.allclose(swapped[0], alone[1], atol=1e-5)
    assert torch.allclose(swapped[2], alone[1], atol=1e-5)


@pytest.mark.parametrize("name", ["bert", "distilbert", "gpt2", "llama", "modernbert"])
def test_between_it_is_the_model_on_embeddings_mixed_outside(name):
    model, inputs = small(name), padded(6, 6, 6, pad=CONFIGS[name].pad_token_id)
    embedded = model.get_input_embeddings()(inputs["input_ids"])
    partner = torch.tensor([1, 2, 0])
    expected = model(
        inputs_embeds=0.7 * embedded + 0.3 * embedded[partner], attention_mask=inputs["attention_mask"]
    ).logits
    assert torch.allclose(forward(model, inputs, mix([1, 2, 0], 0.7)), expected, atol=1e-5)


def test_the_gradient_reaches_both_examples_words():
    model, inputs = small("bert"), padded(4, 4)
    forward(model, inputs, mix([1, 0], 0.5))[0].sum().backward()
    gradient = model.get_input_embeddings().weight.grad
    assert (gradient[inputs["input_ids"].unique()].norm(dim=-1) > 0).all()


def test_views_mix_within_themselves():
    model, inputs = small("bert"), padded(4, 6)
    twice = {name: torch.cat([value, value]) for name, value in inputs.items()}
    pair = mix([1, 0], 0.6)
    once = forward(model, inputs, pair)
    with mixed_embeddings([model], twice, pair, views=2):
        single = mixed_inputs(inputs, pair)
        both = model(**{name: torch.cat([value, value]) for name, value in single.items()}).logits
    assert torch.allclose(both, torch.cat([once, once]), atol=1e-6)


def test_after_the_forward_the_model_is_as_before():
    model, inputs = small("bert"), padded(4, 6)
    before = model(**inputs).logits
    forward(model, inputs, mix([1, 0], 0.5))
    with pytest.raises(RuntimeError, match="stop"), mixed_embeddings([model], inputs, mix([1, 0], 0.5)):
        raise RuntimeError("stop")
    assert torch.equal(model(**inputs).logits, before)


def test_token_types_of_the_longer_one_stand_in():
    inputs = {**padded(2, 4), "token_type_ids": torch.tensor([[0, 0, 0, 0], [0, 0, 1, 1]])}
    found = mixed_inputs(inputs, mix([1, 0], 0.5))
    assert found["token_type_ids"].tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]
    assert found["attention_mask"].tolist() == [[1, 1, 1, 1]] * 2
    assert found["input_ids"][0].tolist() == [
        *inputs["input_ids"][0, :2].tolist(),
        *inputs["input_ids"][1, 2:].tolist(),
    ]


def test_mixed_vectors_are_mixed_logits_and_targets_mix_alike():
    logits = torch.randn(1, 1, 3, 4)
    pair = Mix(torch.tensor([2, 0, 1]), torch.tensor([0.6, 1.0, 0.9]), "vectors")
    ratio = pair.ratio.view(-1, 1)
    found = Predictions(logits.log_softmax(-1)).mixed(pair)
    expected = (ratio * logits + (1 - ratio) * logits[:, :, pair.partner]).log_softmax(-1)
    assert torch.allclose(found.clean_log_probs, expected, atol=1e-6)
    assert found.unmixed is not None
    targets = torch.eye(4)[:3].unsqueeze(0)
    mixed = Supervision(targets, torch.ones(1, 3), pair).mixed()
    assert torch.allclose(mixed.targets[0, 0], torch.tensor([0.6, 0, 0.4, 0]))
    assert torch.allclose(mixed.targets[0, 1], targets[0, 1])


def test_hidden_words_are_never_the_first_or_the_last_and_depend_on_the_key():
    inputs = padded(3, 40, 12)
    hidden = hide_tokens(inputs, 0.5, keyed_generator(0, "a"))["attention_mask"]
    lost = (inputs["attention_mask"] - hidden).bool()
    assert 0.3 < lost[1].float().mean() < 0.7
    for row, length in enumerate((3, 40, 12)):
        assert not lost[row, 0]
        assert not lost[row, length - 1 :].any()
    assert torch.equal(hidden, hide_tokens(inputs, 0.5, keyed_generator(0, "a"))["attention_mask"])
    assert not torch.equal(hidden, hide_tokens(inputs, 0.5, keyed_generator(0, "b"))["attention_mask"])
    assert torch.equal(hide_tokens(inputs, 0.0, keyed_generator(0))["attention_mask"], inputs["attention_mask"])


def test_a_left_padded_text_keeps_its_ends_too():
    mask = torch.tensor([[0, 0, 1, 1, 1, 1, 1, 1]])
    inputs = {"input_ids": torch.ones_like(mask), "attention_mask": mask}
    for key in range(20):
        hidden = hide_tokens(inputs, 0.9, keyed_generator(key))["attention_mask"][0]
        assert hidden[:2].sum() == 0
        assert hidden[2] == hidden[-1] == 1


def test_the_ratio_is_the_larger_part_of_a_beta_draw_and_partners_a_permutation():
    drawn = [draw_mix((0, step, 1), 6, 4.0, "embeddings") for step in range(400)]
    ratios = torch.stack([one.ratio[0] for one in drawn])
    assert float(ratios.min()) >= 0.5
    folded = torch.distributions.Beta(4.0, 4.0).sample((20000,))
    assert float(ratios.mean()) == pytest.approx(float(torch.maximum(folded, 1 - folded).mean()), abs=0.01)
    assert all(sorted(one.partner.tolist()) == list(range(6)) for one in drawn)
    assert torch.equal(drawn[3].partner, draw_mix((0, 3, 1), 6, 4.0, "embeddings").partner)
