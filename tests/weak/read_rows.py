"""Random tables, and every way in which a labeling function reads or prepares a row."""

from __future__ import annotations

import copy
import zlib
from datetime import UTC, datetime

import datasets
import numpy as np
import pandas as pd
from hypothesis import strategies as st
from snorkel.labeling import LabelingFunction, PandasLFApplier
from snorkel.preprocess import preprocessor

from hf_noisy.weak.labeling_functions import apply_labeling_functions
from hf_noisy.weak.rows import Row, rows_of, rows_with_missing
from hf_noisy.weak.votes import votes_of

NAMES = ["text", "number", "a b", "name", "index", "count", "values", "get", "_x", "weight"]

moments = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1))
CELLS = {
    "string": st.text(max_size=4),
    "int64": st.integers(-(2**62), 2**62),
    "int16": st.integers(-9, 9),
    "float64": st.floats(width=32),
    "float32": st.floats(width=32),
    "bool": st.booleans(),
    "timestamp[us]": moments,
    "timestamp[ns, tz=UTC]": moments.map(lambda moment: moment.replace(tzinfo=UTC)),
    "date32": st.dates(),
}
ELEMENTS = ["int64", "string", "bool"]


@st.composite
def columns(draw, rows: int):
    kind, depth = draw(st.sampled_from([*CELLS])), 0
    if draw(st.integers(0, 3)) == 0:
        kind, depth = draw(st.sampled_from(ELEMENTS)), draw(st.integers(1, 2))
    feature, cells = datasets.Value(kind), CELLS[kind]
    for _ in range(depth):
        feature, cells = (
            datasets.List(feature),
            st.lists(st.none() | cells if draw(st.booleans()) else cells, max_size=3),
        )
    if draw(st.booleans()):
        cells = st.none() | cells
    return feature, draw(st.lists(cells, min_size=rows, max_size=rows))


@st.composite
def tables(draw) -> datasets.Dataset:
    rows = draw(st.integers(1, 8))
    names = draw(st.lists(st.sampled_from(NAMES), min_size=1, max_size=4, unique=True))
    drawn = {name: draw(columns(rows)) for name in names}
    features = datasets.Features({name: feature for name, (feature, _) in drawn.items()})
    table = datasets.Dataset.from_dict({name: cells for name, (_, cells) in drawn.items()}, features=features)
    return table.select(draw(st.permutations(range(rows)))) if draw(st.booleans()) else table


def code_of(value) -> int:
    """A vote that tells values and types apart."""
    if callable(value):
        value = "a method"
    if isinstance(value, (pd.Series, Row)):
        value = (value.dtype, value.name, [(key, repr(cell), type(cell)) for key, cell in value.items()])
    return zlib.crc32(f"{type(value)}{value!r}".encode()) % 30_000


def outcome(read, x) -> int:
    """The code of what `read` gives, or of the type of its error."""
    try:
        return code_of(read(x))
    except Exception as error:
        return code_of(type(error).__name__)


@preprocessor()
def written(x):
    x["text"] = str(x.get("text")).upper()
    x.length = len(x["text"])
    return x


@preprocessor(memoize=True)
def memoised(x):
    x.seen = len(str(x.get("number")))
    return x


@preprocessor()
def copied(x):
    x = x.copy()
    x["extra"] = "e"
    return x


def through_loc(x):
    x = copy.deepcopy(x)
    x.loc["new"] = "n"
    return x["new"], len(x), "new" in x, x.new


def popped(x):
    x = copy.copy(x)
    return [repr(x.pop(name)) for name in NAMES if name in x], len(x)


READS = {
    "attribute": lambda x: x.text,
    **{f"getattr_{name}": lambda x, name=name: getattr(x, name, "default") for name in NAMES},
    **{f"item_{name}": lambda x, name=name: x[name] for name in NAMES},
    "get": lambda x: [(repr(x.get(name)), type(x.get(name, 7))) for name in NAMES],
    "get_default": lambda x: x.get("no such column", "default"),
    "no_column": lambda x: x.no_such_column,
    "no_item": lambda x: x["no such column"],
    "position": lambda x: x[0],
    "several": lambda x: x[[key for key in x.index if key != "text"]],
    "slice": lambda x: x[:2],
    "in": lambda x: [name in x for name in NAMES],
    "length": len,
    "truth": lambda x: bool(x),
    "equals": lambda x: (x == "a").tolist(),
    "array": lambda x: np.asarray(x).dtype,
    "shown": str,
    "iterate": lambda x: [(repr(value), type(value)) for value in x],
    "items": lambda x: [(key, repr(value), type(value)) for key, value in x.items()],
    "keys": lambda x: list(x.keys()),
    "to_dict": lambda x: [(key, repr(value), type(value)) for key, value in x.to_dict().items()],
    "row_number": lambda x: x.name,
    "index": lambda x: x.index,
    "dtype": lambda x: x.dtype,
    "missing": lambda x: x.isna().tolist(),
    "missing_by_pandas": lambda x: pd.isna(x).tolist(),
    "missing_cell": lambda x: pd.isna(x.get("number")) is True,
    "dropped": lambda x: x.dropna(),
    "loc": lambda x: x.loc["text"],
    "iloc": lambda x: x.iloc[-1],
    "at": lambda x: x.at["number"],
    "loc_write": through_loc,
    "popped": popped,
    "copy": lambda x: x.copy(),
    "deepcopy": copy.deepcopy,
}
STYLES = [LabelingFunction(name, lambda x, read: outcome(read, x), {"read": read}) for name, read in READS.items()]
PREPARED = [
    LabelingFunction("written", lambda x: code_of((x.text, x.length)), pre=[written]),
    LabelingFunction("memoised", lambda x: x.seen, pre=[memoised]),
    LabelingFunction("memoised_again", lambda x: x.seen + 1, pre=[memoised]),
    LabelingFunction("copied", lambda x: code_of((x.extra, len(x))), pre=[copied]),
]


def by_snorkel(table: datasets.Dataset, functions) -> np.ndarray:
    memoised.reset_cache()
    return PandasLFApplier(functions).apply(table.to_pandas(), progress_bar=False)


def by_us(table: datasets.Dataset, functions, **options) -> np.ndarray:
    memoised.reset_cache()
    return votes_of(apply_labeling_functions(table, functions, **options))


def table_of(**cells) -> datasets.Dataset:
    return datasets.Dataset.from_dict(cells)


def seen(table: datasets.Dataset, batch_size: int = 1) -> list[Row]:
    missing, part = rows_with_missing(table), table.with_format("arrow")
    starts = range(0, len(table), batch_size)
    batches = [(range(len(table))[k : k + batch_size], part[k : k + batch_size]) for k in starts]
    return [row for numbers, batch in batches for row in rows_of(batch, numbers, table.features, missing)]
