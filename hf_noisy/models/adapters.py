"""Models with adapters (PEFT): several networks on one base, the modules that a forward uses, and the files."""

from __future__ import annotations

import contextlib
import copy
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar

from torch import nn
from transformers import PreTrainedModel
from transformers.utils import ADAPTER_SAFE_WEIGHTS_NAME, SAFE_WEIGHTS_NAME, is_peft_available, logging

logger = logging.get_logger(__name__)

Model = TypeVar("Model", bound=nn.Module)
_FIX = "Resume with the model that wrote the checkpoint, or start afresh."


def is_adapted(model: Any) -> bool:
    """Whether `model` is a `PeftModel`: a base with frozen weights, and adapters that are trained."""
    if not is_peft_available():
        return False
    from peft import PeftModel

    return isinstance(model, PeftModel)


def classifier(model: Any) -> PreTrainedModel:
    """The Transformers model that contains the adapters. A model without adapters is returned itself."""
    return model.get_base_model() if is_adapted(model) else model


def used_modules(module: nn.Module) -> list[nn.Module]:
    """`module.modules()` without adapters and without copies of layers that are not in use."""
    if not is_peft_available():
        return list(module.modules())
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    unused: set[nn.Module] = set()
    for part in module.modules():
        kept: list[nn.Module] = []
        if isinstance(part, BaseTunerLayer):
            kept = [part.get_base_layer()]
        elif isinstance(part, ModulesToSaveWrapper):
            own = [part.modules_to_save[name] for name in part.active_adapters if name in part.modules_to_save]
            kept = own or [part.original_module]
        else:
            continue
        unused |= set(part.modules()) - {used for one in kept for used in one.modules()}
    return [part for part in module.modules() if part not in unused]


def copy_model(model: Model) -> Model:
    """Copy a model so that the copy can be trained independently.

    The frozen weights of an adapted model are shared, not copied: both models use one base.
    """
    shared = {id(weight): weight for weight in model.parameters() if is_adapted(model) and not weight.requires_grad}
    return copy.deepcopy(model, shared)


def reset_untrained_adapters(model: nn.Module) -> None:
    """Initialise again the LoRA adapters that do not change the output yet, with new random weights.

    Adapters that were trained, or initialised from the base's weights, are kept.
    """
    if not is_adapted(model):
        return
    from peft import PeftType
    from peft.tuners.lora import LoraLayer

    configs: Any = model.peft_config
    layer: Any
    for layer in model.modules():
        for name in layer.active_adapters if isinstance(layer, LoraLayer) else ():
            drawn = configs[name].peft_type == PeftType.LORA and configs[name].init_lora_weights in (True, "gaussian")
            if drawn and _is_untrained(layer, name):
                layer.reset_lora_parameters(name, configs[name].init_lora_weights)


def _is_untrained(layer: Any, name: str) -> bool:
    """Whether the factor that LoRA initialises to zero exists and is still zero."""
    if name in layer.lora_B:
        return not layer.lora_B[name].weight.any()
    return name in layer.lora_embedding_A and not layer.lora_embedding_A[name].any()


@contextlib.contextmanager
def keep_readme(folder: str) -> Iterator[None]:
    """Context in which an adapted model is saved to `folder`.

    On exit, the README that PEFT created or changed there is as it was before.
    """
    card = Path(folder, "README.md")
    before = card.read_bytes() if card.is_file() else None
    yield
    if before is not None:
        card.write_bytes(before)
    else:
        card.unlink(missing_ok=True)


def load_adapters(model: Any, folder: str) -> None:
    """Load the adapters in `folder` into `model`, in place of its own adapters with the same names.

    Raises:
        ValueError: the folder holds no adapters, or adapters of other layers or other sizes.
    """
    from peft.utils import load_peft_weights, set_peft_model_state_dict

    numbers = 0
    for name in model.peft_config:
        place = folder if name == "default" else os.path.join(folder, name)
        if not os.path.isfile(os.path.join(place, ADAPTER_SAFE_WEIGHTS_NAME)):
            raise ValueError(f"{place}: has no {ADAPTER_SAFE_WEIGHTS_NAME}, and this run trains an adapter. {_FIX}")
        weights = load_peft_weights(place, device="cpu")
        _check_shapes(model, name, place, {key: tuple(weight.shape) for key, weight in weights.items()})
        set_peft_model_state_dict(model, weights, adapter_name=name)
        numbers += sum(weight.numel() for weight in weights.values())
    learned = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    if numbers < learned:
        logger.warning(
            f"{folder}: PEFT saved {numbers} numbers, and {learned} learn (of P-tuning it keeps the prompts, not what makes "
            "them), so a resumed training is not the unbroken one. LoRA resumes exactly."
        )


def _check_shapes(model: Any, name: str, place: str, found: dict[str, tuple[int, ...]]) -> None:
    from peft import get_peft_model_state_dict

    own = {key: tuple(weight.shape) for key, weight in get_peft_model_state_dict(model, adapter_name=name).items()}
    if found != own:
        key = min(key for key in {*found, *own} if found.get(key) != own.get(key))
        raise ValueError(
            f"{place}: its adapter has {key!r} of shape {found.get(key)}, this run's has {own.get(key)}. {_FIX}"
        )


def check_adapter_checkpoint(model: Any, folder: str) -> None:
    """Reject an adapter checkpoint if the model was not made by `peft.get_peft_model`.

    Raises:
        ValueError: the message names the folder.
    """
    there = Path(folder, ADAPTER_SAFE_WEIGHTS_NAME).is_file() and not Path(folder, SAFE_WEIGHTS_NAME).is_file()
    if there and not is_adapted(model):
        raise ValueError(f"{folder}: holds an adapter, and this run's {type(model).__name__} is no PeftModel. {_FIX}")


def check_trainable(model: nn.Module) -> None:
    """Reject a model without trainable weights.

    Raises:
        ValueError: none of its weights has a gradient.
    """
    if not any(weight.requires_grad for weight in model.parameters()):
        fix = "Load the adapter with is_trainable=True" if is_adapted(model) else "Call requires_grad_(True) on some"
        raise ValueError(f"{type(model).__name__}: every weight is frozen, so nothing would be learned. {fix}.")
