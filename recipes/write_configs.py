"""Write a YAML file for each method, with its parameters at their defaults.

    python recipes/write_configs.py

The script overwrites recipes/configs/NAME.yaml for every name of `hf_noisy.METHODS`. Run it when a method or a default
changes. `hf-noisy methods NAME --yaml` prints one of these files.
"""

from __future__ import annotations

from pathlib import Path

from hf_noisy import METHODS
from hf_noisy.commands.methods import config_of

FOLDER = Path(__file__).resolve().parent / "configs"


def main() -> None:
    for name in METHODS:
        (FOLDER / f"{name}.yaml").write_text(config_of(name), encoding="utf-8")
    print(f"wrote {len(METHODS)} files into {FOLDER}")


if __name__ == "__main__":
    main()
