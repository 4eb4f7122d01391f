"""`TrainingArguments` that also choose the method for training with wrong labels."""

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
    """`TrainingArguments` with a method chosen by name, for the command line, YAML and hyperparameter search.

    All fields of `TrainingArguments` are kept. These are added:

    Args:
        noise_method: a name in `hf_noisy.METHODS`, or several names joined by "+". With None, only the Trainer's `criterion`
            and `callbacks` are used.
        noise_kwargs: the method's parameters, as a dictionary or as JSON. With several methods, they are nested by method:
            `{"gce": {"q": 0.5}}`.
        save_all_networks: for a method that trains several networks. If True, `save_model` writes the best network into the
            folder and the others into subfolders. By default it writes only the best.
        nonfinite_loss: what to do with a batch whose loss is NaN or infinite. "raise" raises an error at the first such batch,
            before any weight is updated with it. "skip" leaves such batches out and counts them (`skipped_batches` in the
            logs, `skipped` in the example report); it costs one more device synchronization per batch. In both cases
            methods do not remember such values.

    Raises:
        ValueError: a method or parameter is unknown, or a value is outside its domain.

    >>> NoisyTrainingArguments("output", noise_method="gce", noise_kwargs='{"q": 0.5}').noise_kwargs
    {'q': 0.5}
    """

    _VALID_DICT_FIELDS = [*TrainingArguments._VALID_DICT_FIELDS, "noise_kwargs"]  # noqa: RUF012 (read by the parent)

    noise_method: str | None = field(
        default=None,
        metadata={"help": "The method against wrong labels: its name, such as 'gce', or several names joined by '+'."},
    )
    noise_kwargs: dict[str, Any] | str | None = field(
        default=None, metadata={"help": """The method's parameters as JSON, such as '{"q": 0.5}'."""}
    )

    save_all_networks: bool = field(
        default=False, metadata={"help": "Whether save_model writes all networks of a method that trains several."}
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
    """`nonfinite_loss` of `args`; "raise" for plain `TrainingArguments`."""
    return args.nonfinite_loss if isinstance(args, NoisyTrainingArguments) else RAISE


def saves_all_networks(args: TrainingArguments) -> bool:
    """`save_all_networks` of `args`; False for plain `TrainingArguments`."""
    return isinstance(args, NoisyTrainingArguments) and args.save_all_networks


def _plain(value: Any) -> Any:
    """Converts arrays to lists, so that arguments can be serialized."""
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value.tolist() if hasattr(value, "tolist") else value
