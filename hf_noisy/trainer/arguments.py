"""`TrainingArguments` that also name the way of withstanding wrong labels."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from transformers import TrainingArguments

from hf_noisy.common.checks import check_choice
from hf_noisy.methods.building import check_methods
from hf_noisy.trainer.nonfinite import RAISE, SKIP

_EXPECTED = """expected a JSON object, such as '{"q": 0.5}'"""


@dataclass
class NoisyTrainingArguments(TrainingArguments):
    """Every field of `TrainingArguments`, and a method by name for the command line, YAML and hyperparameter search.

    Args:
        noise_method: a name of `hf_noisy.METHODS`, or several joined by "+". None takes the Trainer's `criterion` and
            `callbacks` alone.
        noise_kwargs: the method's parameters, as a dictionary or as JSON. Where several methods are named,
            `{"gce": {"q": 0.5}}` says whose they are.
        save_all_networks: of a method that trains several, `save_model` writes the best into the folder and the others
            below it; by default the best alone.
        nonfinite_loss: "raise" stops at the first batch whose loss is NaN or infinite, before a weight takes its gradient;
            "skip" leaves such batches out, counts them (`skipped_batches` in the logs, `skipped` in the example report)
            and waits for the device once more in each batch. What methods remember of an example never takes such a number.

    Raises:
        ValueError: an unknown method or parameter, or one outside its domain.

    >>> NoisyTrainingArguments("output", noise_method="gce", noise_kwargs='{"q": 0.5}').noise_kwargs
    {'q': 0.5}
    """

    _VALID_DICT_FIELDS = [*TrainingArguments._VALID_DICT_FIELDS, "noise_kwargs"]  # noqa: RUF012 (read by the parent)

    noise_method: str | None = field(
        default=None,
        metadata={"help": "How to withstand wrong labels: a method's name, or several joined by '+', as in 'gce'."},
    )
    noise_kwargs: dict[str, Any] | str | None = field(
        default=None, metadata={"help": """The method's parameters as JSON, such as '{"q": 0.5}'."""}
    )

    save_all_networks: bool = field(
        default=False, metadata={"help": "Let save_model write every network of a method that trains several."}
    )

    nonfinite_loss: str = field(
        default=RAISE,
        metadata={"help": "A batch whose loss is not finite: 'raise' an error, or 'skip' it and count it."},
    )

    def __post_init__(self) -> None:
        check_choice("nonfinite_loss", self.nonfinite_loss, (RAISE, SKIP))
        if isinstance(self.noise_kwargs, str):
            try:
                self.noise_kwargs = json.loads(self.noise_kwargs)
            except json.JSONDecodeError as error:
                raise ValueError(f"noise_kwargs={self.noise_kwargs!r}: {_EXPECTED} ({error}).") from error
        if self.noise_kwargs is not None and not isinstance(self.noise_kwargs, dict):
            raise ValueError(f"noise_kwargs={self.noise_kwargs!r}: {_EXPECTED}.")
        self.noise_kwargs = _plain(self.noise_kwargs)
        super().__post_init__()
        check_methods(self.noise_method, self.method_parameters)

    @property
    def method_parameters(self) -> dict[str, Any]:
        """`noise_kwargs` as a dictionary."""
        return self.noise_kwargs if isinstance(self.noise_kwargs, dict) else {}


def nonfinite_mode(args: TrainingArguments) -> str:
    """`nonfinite_loss` of `args`; plain `TrainingArguments` raise."""
    return args.nonfinite_loss if isinstance(args, NoisyTrainingArguments) else RAISE


def saves_all_networks(args: TrainingArguments) -> bool:
    """`save_all_networks` of `args`; plain `TrainingArguments` save the deployable network alone."""
    return isinstance(args, NoisyTrainingArguments) and args.save_all_networks


def _plain(value: Any) -> Any:
    """Arrays as lists, so that arguments can be written down."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value
