"""Finds what belongs to a pretrained model, given by name or folder, before the work begins."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def check_pretrained(option: str, name: str | None) -> None:
    """Find the configuration of a model, so that a wrong path or name gives a one-line error at once.

    Args:
        option: the user's name for the setting, such as "model".
        name: a folder, or the name of a model on the Hub. With None, nothing is checked.

    Raises:
        FileNotFoundError: there is no such folder with a configuration, and no such model can be reached.
    """
    if name is None:
        return
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(name)
    except (OSError, ValueError) as error:
        folder = Path(name)
        if folder.is_dir():
            found = f"the folder has no configuration of a model ({_first_line(error)})"
        elif folder.is_absolute() or len(folder.parts) > 2 or name.startswith("."):
            found = "no such folder"
        else:
            found = f"no such folder here, and no model of that name that can be reached ({_first_line(error)})"
        raise FileNotFoundError(
            f"{option}={name!r}: {found}. Expected a folder that save_pretrained wrote, or a name on the Hub."
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def pretrained_tokenizer(name: str | None) -> Any:
    """Load the tokenizer of a model, a folder or a name on the Hub; None without a model."""
    if name is None:
        return None
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(name)
