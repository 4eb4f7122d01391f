"""Models with adapters (PEFT): several of them on one base, what of them a forward runs through, and their files."""

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
_OTHER = "Resume with the model that wrote the checkpoint, or start afresh."


def is_adapted(model: Any) -> bool:
    """Whether `model` is a `PeftModel`: a base whose weights are frozen, and adapters that learn."""
    if not is_peft_available():
        return False
    from peft import PeftModel

    return isinstance(model, PeftModel)


def classifier(model: Any) -> PreTrainedModel:
    """The Transformers model that the adapters sit in; a model without adapters is that itself."""
    return model.get_base_model() if is_adapted(model) else model


def used_modules(module: nn.Module) -> list[nn.Module]:
    """`module.modules()` without adapters, and without copies of layers that are not the ones in use."""
    if not is_peft_available():
        return list(module.modules())
    from peft.tuners.tuners_utils import BaseTunerLayer
    from peft.utils import ModulesToSaveWrapper

    idle: set[nn.Module] = set()
    for part in module.modules():
        kept: list[nn.Module] = []
        if isinstance(part, BaseTunerLayer):
            kept = [part.get_base_layer()]
        elif isinstance(part, ModulesToSaveWrapper):
            own = [part.modules_to_save[name] for name in part.active_adapters if name in part.modules_to_save]
            kept = own or [part.original_module]
        else:
            continue
        idle |= set(part.modules()) - {used for one in kept for used in one.modules()}
    return [part for part in module.modules() if part not in idle]


def copied(model: Model) -> Model:
    """A copy that learns for itself. Of an adapted model the frozen weights are not copied but shared: one base for both."""
    shared = {id(weight): weight for weight in model.parameters() if is_adapted(model) and not weight.requires_grad}
    return copy.deepcopy(model, shared)


def draw_adapters(model: nn.Module) -> None:
    """Draw anew the LoRA adapters that do nothing yet; what was trained or taken from the base's weights is kept."""
    if not is_adapted(model):
        return
    from peft import PeftType
    from peft.tuners.lora import LoraLayer

    configs: Any = model.peft_config
    layer: Any
    for layer in model.modules():
        for name in layer.active_adapters if isinstance(layer, LoraLayer) else ():
            drawn = configs[name].peft_type == PeftType.LORA and configs[name].init_lora_weights in (True, "gaussian")
            if drawn and _does_nothing(layer, name):
                layer.reset_lora_parameters(name, configs[name].init_lora_weights)


def _does_nothing(layer: Any, name: str) -> bool:
    """Whether the factor that LoRA starts from zero is there, and still zero."""
    if name in layer.lora_B:
        return not layer.lora_B[name].weight.any()
    return name in layer.lora_embedding_A and not layer.lora_embedding_A[name].any()


@contextlib.contextmanager
def own_card(folder: str) -> Iterator[None]:
    """Inside, an adapted model is saved to `folder`; the README that PEFT writes there, or writes into, is as before after."""
    card = Path(folder, "README.md")
    before = card.read_bytes() if card.is_file() else None
    yield
    if before is not None:
        card.write_bytes(before)
    else:
        card.unlink(missing_ok=True)


def load_adapters(model: Any, folder: str) -> None:
    """Put the adapters that lie in `folder` into `model`, over its own of the same names.

    Raises:
        ValueError: it holds none, or those of a model with other layers adapted, or of other sizes.
    """
    from peft.utils import load_peft_weights, set_peft_model_state_dict

    numbers = 0
    for name in model.peft_config:
        place = folder if name == "default" else os.path.join(folder, name)
        if not os.path.isfile(os.path.join(place, ADAPTER_SAFE_WEIGHTS_NAME)):
            raise ValueError(f"{place}: has no {ADAPTER_SAFE_WEIGHTS_NAME}, and this run trains an adapter. {_OTHER}")
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
            f"{place}: its adapter has {key!r} of shape {found.get(key)}, this run's has {own.get(key)}. {_OTHER}"
        )


def check_kind(model: Any, folder: str) -> None:
    """Refuse a checkpoint of adapters for a model that is not made by `peft.get_peft_model`.

    Raises:
        ValueError: naming the folder.
    """
    there = Path(folder, ADAPTER_SAFE_WEIGHTS_NAME).is_file() and not Path(folder, SAFE_WEIGHTS_NAME).is_file()
    if there and not is_adapted(model):
        raise ValueError(f"{folder}: holds an adapter, and this run's {type(model).__name__} is no PeftModel. {_OTHER}")


def check_trainable(model: nn.Module) -> None:
    """Refuse a model that would learn nothing.

    Raises:
        ValueError: none of its weights has a gradient.
    """
    if not any(weight.requires_grad for weight in model.parameters()):
        fix = "Load the adapter with is_trainable=True" if is_adapted(model) else "Call requires_grad_(True) on some"
        raise ValueError(f"{type(model).__name__}: every weight is frozen, so nothing would be learned. {fix}.")
