"""Memoised preprocessors that tell rows apart by what lists hold."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
from snorkel.labeling import LabelingFunction
from snorkel.map.core import BaseMapper, get_hashable


@contextmanager
def keyed_by_contents(functions: Sequence[LabelingFunction]) -> Iterator[None]:
    """Meanwhile, memoised preprocessors of the functions use `contents` for Snorkel's own key.

    Of an array of strings or of lists, Snorkel's key takes the addresses of the elements. Rows are made batch by batch,
    so another row may get an address that was in use before, and with it the other row's result.
    """
    mappers = {mapper for function in functions for mapper in _mappers(function._pre)}
    changed = [mapper for mapper in mappers if mapper._memoize_key is get_hashable]
    for mapper in changed:
        mapper._memoize_key = contents
    try:
        yield
    finally:
        for mapper in changed:
            mapper._memoize_key = get_hashable


def _mappers(mappers: Sequence[BaseMapper]) -> Iterator[BaseMapper]:
    for mapper in mappers:
        if isinstance(mapper, BaseMapper):  # a plain function serves as a preprocessor too
            yield mapper
            yield from _mappers(mapper._pre)


def contents(value: Any) -> Hashable:
    """A key of a row or a cell: what it holds. Elsewhere Snorkel's.

    >>> contents({"words": np.array(["a", None], dtype=object)}) == contents({"words": ["a", None]})
    True
    """
    if isinstance(value, SimpleNamespace):
        value = vars(value)
    if isinstance(value, (dict, pd.Series)):
        return frozenset((key, contents(cell)) for key, cell in value.items())
    if isinstance(value, np.ndarray) and value.dtype == object:
        value = value.tolist()
    if isinstance(value, (list, tuple)):
        return tuple(map(contents, value))
    return get_hashable(value)
