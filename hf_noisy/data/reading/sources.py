"""The one door for everything that has rows: a source becomes one table for each split."""

from __future__ import annotations

import glob
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hf_noisy.common.checks import nearest
from hf_noisy.data.reading.files import ENDINGS, Tables, can_be_read, read_content, read_file
from hf_noisy.data.reading.memory import table_of_dataset, tables_in_memory
from hf_noisy.data.reading.options import SPLIT_NAMES, ReadingOptions, listed, split_of
from hf_noisy.data.reading.table import Table, joined
from hf_noisy.data.reading.text_files import standard_input

STANDARD_INPUT = "-"
_PATTERN = "*?["


def read_source(source: Any, options: ReadingOptions) -> tuple[str, dict[str, Table]] | None:
    """Read a source that is here: files, folders, patterns, the standard input, or rows in memory.

    Args:
        source: a path, a pattern such as "part-*.csv", "-" for the standard input, a list of paths, a mapping of split
            to any of these, a `Dataset`, a `DatasetDict`, a data frame, a list of dictionaries or a mapping of columns.
        options: how to read files.

    Returns:
        A name, and the tables of "train" and, where they exist, "valid" and "test". None for a string that may be a
        name on the Hub.

    Raises:
        FileNotFoundError: a file does not exist.
        TypeError: no source.
        ValueError: a file that cannot be read, or unknown splits.
    """
    if _is_nothing(source):
        raise TypeError(
            f"source={source!r}: expected a path, a name on the Hub, rows in memory, or {{'train': path, ...}}."
        )
    if _are_paths(source):
        found = [
            _of_path(Path(one).expanduser(), options) if str(one) != STANDARD_INPUT else _read_input(options)
            for one in source
        ]
        return Path(source[0]).stem if len(source) == 1 else f"{Path(source[0]).stem}+{len(source) - 1}", _parts(
            list(map(str, source)), found
        )
    if isinstance(source, Mapping) and _are_files_of_splits(source):
        return "+".join(map(str, source)), _of_splits(source, options)
    if not isinstance(source, str | Path):
        tables = tables_in_memory(source)
        if tables is None:
            raise TypeError(
                f"source is a {type(source).__name__}: expected a path, a name on the Hub, or rows in memory."
            )
        return "rows", _splits(tables)
    if str(source) == STANDARD_INPUT:
        return "standard_input", _splits(_read_input(options))
    path = Path(source).expanduser()
    if path.exists():
        name = path.resolve().name if path.is_dir() else path.name.split(".")[0] or path.stem
        return name, _splits(_of_path(path, options))
    if any(mark in str(source) for mark in _PATTERN):
        return _of_pattern(str(path), options)
    if isinstance(source, Path) or looks_like_a_path(source):
        raise FileNotFoundError(f"{str(source)!r}: no such file or folder, seen from {os.getcwd()}. Check the path.")
    return None


def looks_like_a_path(source: str) -> bool:
    """Whether a string that names nothing here is the path of a file, and not a name on the Hub."""
    return source.startswith((os.sep, ".", "~")) or can_be_read(Path(source)) or source.endswith(os.sep)


def _is_nothing(source: Any) -> bool:
    return (
        source is None
        or (isinstance(source, str | Mapping | list | tuple) and not source)
        or isinstance(source, int | float)
    )


def _are_paths(source: Any) -> bool:
    return isinstance(source, list | tuple) and all(isinstance(one, str | Path) for one in source)


def _are_files_of_splits(source: Mapping[Any, Any]) -> bool:
    """Whether a mapping is one of splits to files, and not of columns to cells, which may be words too."""
    if any(split_of(str(key)) for key in source):
        return all(isinstance(value, str | Path) or _are_paths(value) for value in source.values())
    return all(isinstance(value, str | Path) for value in source.values())


def _read_input(options: ReadingOptions) -> Tables:
    return read_content(standard_input(), options)


def _of_path(path: Path, options: ReadingOptions) -> Tables:
    if path.is_dir():
        return _of_folder(path, options)
    if not path.is_file():
        if any(mark in str(path) for mark in _PATTERN):
            return _unnamed(_of_pattern(str(path), options)[1])
        raise FileNotFoundError(f"{str(path)!r}: no such file, seen from {os.getcwd()}. Check the path.")
    return read_file(path, options, lambda folder: _of_folder(folder, options))


def _of_pattern(pattern: str, options: ReadingOptions) -> tuple[str, dict[str, Table]]:
    paths = _fitting(pattern)
    if not paths:
        raise FileNotFoundError(f"{pattern!r}: no file fits this pattern, seen from {os.getcwd()}. Check it.")
    return Path(pattern).parent.resolve().name, _splits(_of_files(pattern, paths, options))


def _fitting(pattern: str) -> list[Path]:
    """Return the files that fit a pattern."""
    return sorted(Path(found) for found in glob.glob(pattern, recursive=True) if Path(found).is_file())


def _of_splits(source: Mapping[Any, Any], options: ReadingOptions) -> dict[str, Table]:
    found: dict[str, Table] = {}
    for key, value in source.items():
        split = next((split for split, names in SPLIT_NAMES.items() if str(key) in names), None)
        if split is None:
            raise ValueError(f"split {str(key)!r}: unknown. {nearest(str(key), SPLIT_NAMES)}")
        paths = [value] if isinstance(value, str | Path) else list(value)
        found[split] = joined(listed(map(str, paths)), [_one_table(Path(path).expanduser(), options) for path in paths])
    if "train" not in found:
        raise ValueError(f"no split 'train' among {list(map(str, source))}: expected at least that one.")
    return found


def _one_table(path: Path, options: ReadingOptions) -> Table:
    tables = _of_path(path, options)
    if len(tables) > 1:
        raise ValueError(
            f"{path}: holds splits of its own, {listed(map(str, tables))}: expected one table for a split. Pass it alone."
        )
    return next(iter(tables.values()))


def _of_folder(folder: Path, options: ReadingOptions) -> Tables:
    if (folder / "dataset_dict.json").exists() or (folder / "state.json").exists():
        return _of_saved(folder)
    files = _files_in(folder)
    saved = {split: path for path in sorted(folder.iterdir()) if path.is_dir() and (split := split_of(path.name))}
    if not files and "train" in saved:
        return {key: _one_table(path, options) for key, path in saved.items()}
    tables = [path for path in files if ".txt" not in path.suffixes]
    if not any(split_of(path.name) == "train" for path in files) and (
        not tables or any(split_of(path.name) for path in files)
    ):
        raise FileNotFoundError(
            f"{folder}: neither label.json (the WRENCH layout) nor train{', train'.join(ENDINGS)}. "
            f"Found: {listed(sorted(path.name for path in folder.iterdir())) or 'nothing'}."
        )
    return _of_files(str(folder), files if any(split_of(path.name) for path in files) else tables, options)


def training_files(source: Any) -> tuple[list[Path], list[Path]]:
    """Return the files of the training rows of a source, in the order in which their rows are numbered, and its others.

    Raises:
        FileNotFoundError: a file does not exist.
        TypeError: the source is no file.
        ValueError: a folder in the WRENCH layout, whose labels are votes.
    """
    if isinstance(source, Mapping) and _are_paths(list(source.values())):
        named = {split_of(str(key)): Path(path).expanduser() for key, path in source.items()}
        return [named.pop("train")], list(named.values())
    paths = [
        Path(one).expanduser() for one in (source if _are_paths(source) else [source]) if isinstance(one, str | Path)
    ]
    if not paths or str(paths[0]) == STANDARD_INPUT:
        raise TypeError(
            f"source is {source!r}: expected a file or folder, so that the table can be written in its format."
        )
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += _tables_in(path)
        elif path.is_file():
            found.append(path)
        elif fitting := _fitting(str(path)):
            found += fitting
        else:
            raise FileNotFoundError(f"{str(path)!r}: no such file or folder, seen from {os.getcwd()}. Check the path.")
    train = [path for path in found if split_of(path.name) == "train"] if len(found) > 1 else []
    train = train or found
    return train, [path for path in found if path not in train]


def _tables_in(folder: Path) -> list[Path]:
    if (folder / "label.json").exists():
        raise ValueError(
            f"{folder}: holds votes of sources (the WRENCH layout) and no labels: expected a table with a label column."
        )
    if (folder / "dataset_dict.json").exists():
        return [
            folder / "train",
            *(path for path in sorted(folder.iterdir()) if path.is_dir() and path.name != "train"),
        ]
    if (folder / "state.json").exists():
        return [folder]
    return _files_in(folder)


def _files_in(folder: Path) -> list[Path]:
    """Return the tables of a folder, or of its folder `data`, as repositories of the Hub have it."""
    files = sorted(
        path for path in folder.iterdir() if path.is_file() and can_be_read(path) and not path.name.startswith(".")
    )
    inside = folder / "data"
    return _files_in(inside) if not files and inside.is_dir() else files


def _of_files(where: str, paths: Sequence[Path], options: ReadingOptions) -> Tables:
    """Read files that belong together: parts of splits by their names, or parts of one table."""
    groups: dict[str | None, list[Path]] = {}
    for path in paths:
        groups.setdefault(split_of(path.name), []).append(path)
    if "train" not in groups:
        return _unnamed(_parts(list(map(str, paths)), [_of_path(path, options) for path in paths], where))
    found: Tables = {}
    for split in (split for split in SPLIT_NAMES if split in groups):
        group = groups[split]
        stems = {path.name.split(".")[0] for path in group}
        if len(stems) < len(group):
            raise ValueError(f"{where}: both {group[0].name} and {group[1].name}: expected one file a split.")
        found[split] = joined(f"{where}, {split}", [_one_table(path, options) for path in group])
    others = [path.name for path in groups.get(None, [])]
    if others:
        found["train"] = found["train"].with_notes(f"not read, since their names are of no split: {listed(others)}")
    return found


def _parts(names: Sequence[str], parts: Sequence[Tables], where: str | None = None) -> dict[str, Table]:
    """Join the splits of several sources."""
    splits: dict[str, list[Table]] = {}
    for tables in parts:
        for split, table in tables.items():
            splits.setdefault(split or "train", []).append(table)
    return {split: joined(where or listed(names, 3), tables) for split, tables in splits.items()}


def _unnamed(tables: Mapping[str, Table]) -> Tables:
    return dict(tables.items())


def _of_saved(folder: Path) -> Tables:
    import datasets

    try:
        found = datasets.load_from_disk(str(folder))
    except Exception as error:  # a file of it is missing or broken
        raise ValueError(f"{folder}: not a whole dataset of save_to_disk: {error}. Save it again.") from error
    if isinstance(found, datasets.DatasetDict):
        return tables_of_splits(str(folder), found)
    return {None: table_of_dataset(str(folder), found)}


def tables_of_splits(where: str, splits: Mapping[Any, Any]) -> Tables:
    """Return the tables of a `DatasetDict` by split.

    Raises:
        ValueError: it has no split for training.
    """
    found: Tables = {}
    for split, names in SPLIT_NAMES.items():
        known = next((name for name in names if name in splits), None) or next(
            (key for key in splits if split_of(str(key)) == split), None
        )
        if known is not None:
            found[split] = table_of_dataset(f"{where}, split {known}", splits[known])
        elif split == "train":
            raise ValueError(f"{where}: no split 'train'. {nearest('train', list(map(str, splits)))}")
    return found


def _splits(tables: Tables) -> dict[str, Table]:
    """Return the tables by split. One table without a split is that of training."""
    if None in tables:
        return {"train": tables[None]}
    found = {split: table for split, table in tables.items() if split is not None}
    if "train" not in found:
        raise ValueError(f"no split 'train' among {listed(found)}: expected at least that one.")
    return found
