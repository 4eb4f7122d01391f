"""Checks that a model is a single-label classifier, before a Trainer is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn
from transformers.models.auto.modeling_auto import MODEL_MAPPING_NAMES
from transformers.utils import logging

from hf_noisy.data.class_names import class_count
from hf_noisy.models.configuration import config_of

logger = logging.get_logger(__name__)
_LOAD = "Load it with AutoModelForSequenceClassification.from_pretrained(..., num_labels=K)."


def check_model(model: Any) -> None:
    """Reject an object that cannot be a classifier, before a Trainer is made of it.

    Raises:
        TypeError: a name, a class, an object that is no module, or an encoder without a head.
    """
    if isinstance(model, str | Path | type):
        raise TypeError(f"model={model!r}: expected a model that is loaded. {_LOAD}")
    if not isinstance(model, nn.Module):
        raise TypeError(f"model is a {type(model).__name__}, no nn.Module: expected a classifier. {_LOAD}")
    encoders = {
        name for names in MODEL_MAPPING_NAMES.values() for name in ([names] if isinstance(names, str) else names)
    }
    if type(model).__name__ in encoders and type(model).__module__.startswith("transformers."):
        raise TypeError(f"model is a {type(model).__name__}, which has no classification head: expected one. {_LOAD}")


def check_head(model: Any) -> None:
    """Reject a model that is not a single-label classifier.

    Raises:
        ValueError: a regression or multi-label head, one class, or a head of another size than its `config` says.
    """
    config = config_of(model)
    if config.problem_type in ("multi_label_classification", "regression") or class_count(config) < 2:
        raise ValueError(
            f"problem_type={config.problem_type!r}, num_labels={config.num_labels}: expected a single-label classifier "
            'with at least 2 classes. Load the model with num_labels=K and problem_type="single_label_classification" '
            "(or None)."
        )
    made_for = getattr(model, "num_labels", config.num_labels)
    if made_for != config.num_labels:
        raise ValueError(
            f"num_labels={config.num_labels} in the model's config, but its head was made for {made_for}: expected the same. "
            f"Load the model with num_labels={config.num_labels}; changing the config does not change the head."
        )


def align_padding(config: Any, tokenizer: Any) -> None:
    """Give a model the padding token of its tokenizer, if the configuration names none, before the model is copied.

    A decoder that classifies needs it to find the last token of a text. The stock Trainer aligns one configuration when
    training begins, and copies have their own by then.
    """
    token, text = getattr(tokenizer, "pad_token_id", None), config.get_text_config()
    if token is not None and getattr(text, "pad_token_id", None) is None:
        text.pad_token_id = token
        logger.warning(f"pad_token_id={token}: taken from the tokenizer, since the model's configuration names none.")
