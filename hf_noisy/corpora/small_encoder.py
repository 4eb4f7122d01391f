"""A small BERT with random weights and its tokenizer, for offline examples and tests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hf_noisy.common.scripts import UNSPACED, unspaced_rows
from hf_noisy.corpora.reviews import CLASS_NAMES
from hf_noisy.data.pairs import Text, all_texts, has_pairs, sides

if TYPE_CHECKING:
    from transformers import BertForSequenceClassification, PreTrainedTokenizerFast


SPECIAL_TOKENS = {  # the first ids of the tokenizer
    "pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]", "mask_token": "[MASK]",
}  # fmt: skip


def small_encoder(
    texts: Sequence[Text],
    class_names: Sequence[str] = CLASS_NAMES,
    seed: int = 0,
    max_length: int = 48,
) -> tuple[BertForSequenceClassification, PreTrainedTokenizerFast]:
    """Build a word tokenizer from `texts` and a BERT with random weights (2 layers, hidden size 64), without download.

    If texts are written without spaces between words, each character of such a script is a token.

    The weights depend only on `seed`; the global torch generator is not changed. Losses that ignore unlikely labels
    (MAE, NCE + RCE) sometimes predict only the larger class when they start from these weights.

    Args:
        texts: the texts, or pairs of texts, whose words form the vocabulary. Labels are not used.
        class_names: one name per class, in the order of the labels.
        seed: seed of the random weights.
        max_length: number of tokens, [CLS] and [SEP] included; longer texts are truncated.

    Example:
        >>> model, tokenizer = small_encoder(["The soup was cold.", "We stayed."])
        >>> tuple(model(**tokenizer(["We stayed.", "The soup!"], padding=True, return_tensors="pt")).logits.shape)
        (2, 2)
    """
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = _word_tokenizer(texts, max_length)
    config = BertConfig(
        vocab_size=len(tokenizer), hidden_size=64, num_hidden_layers=2, num_attention_heads=2, intermediate_size=128,
        max_position_embeddings=max_length, pad_token_id=tokenizer.pad_token_id,
        id2label=dict(enumerate(class_names)), label2id={name: label for label, name in enumerate(class_names)},
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return BertForSequenceClassification(config), tokenizer


def _word_tokenizer(texts: Sequence[Text], max_length: int) -> PreTrainedTokenizerFast:
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    if unspaced_rows(all_texts(texts)):  # else a whole sentence would be one token
        character = Regex(f"[{UNSPACED}]\\p{{M}}*")
        words.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Split(character, "isolated"), pre_tokenizers.Whitespace()]
        )
    words.train_from_iterator(
        (text for side in sides(texts) for text in side),
        trainers.WordLevelTrainer(special_tokens=list(SPECIAL_TOKENS.values()), show_progress=False),
    )
    ends = [(token, words.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    words.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=ends
    )
    names = ["input_ids", "token_type_ids", "attention_mask"]  # without segments, the two texts look alike
    segments = {"model_input_names": names} if has_pairs(texts) else {}
    return PreTrainedTokenizerFast(tokenizer_object=words, model_max_length=max_length, **SPECIAL_TOKENS, **segments)
