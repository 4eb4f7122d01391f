"""Reads datasets of the Hugging Face Hub by name."""

from __future__ import annotations

import os
from pathlib import Path

from hf_noisy.data.reading.sources import tables_of_splits
from hf_noisy.data.reading.table import Table
from hf_noisy.data.wrench import WRENCH_FILES


def wrench_repository(name: str) -> Path | None:
    """Download a repository in the WRENCH layout and return its folder, or None if it has another layout.

    Raises:
        FileNotFoundError: no such repository.
    """
    from huggingface_hub import hf_hub_download, snapshot_download
    from huggingface_hub.errors import EntryNotFoundError, HFValidationError, RepositoryNotFoundError

    try:
        hf_hub_download(name, "label.json", repo_type="dataset")
    except (RepositoryNotFoundError, HFValidationError) as error:
        raise _not_found(name) from error
    except EntryNotFoundError:  # also raised offline if the file is not cached; load_dataset has its own cache
        return None
    return Path(snapshot_download(name, repo_type="dataset", allow_patterns=list(WRENCH_FILES)))


def hub_tables(name: str, config: str | None) -> dict[str, Table]:
    """Return the splits of any dataset that `datasets.load_dataset` reads without running code of the repository.

    Raises:
        FileNotFoundError: no such dataset within reach.
        ValueError: it has no split for training.
    """
    import datasets

    try:
        splits = datasets.load_dataset(name, config)
    except (ConnectionError, FileNotFoundError) as error:
        raise _not_found(name) from error
    return {split: table for split, table in tables_of_splits(name, splits).items() if split is not None}


def _not_found(name: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"{name!r}: no such file or folder, seen from {os.getcwd()}, and no such dataset within reach on the Hub. "
        "Check the name and the connection, or log in with `hf auth login` where the dataset is private."
    )
