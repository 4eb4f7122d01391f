"""A small table of pairs of texts, for the tests of rows with two texts: neither text alone says the label."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

COLOURS = ("red", "blue", "green", "white")


def pair_rows(rows: int = 80, seed: int = 0) -> dict[str, list[str]]:
    """Pairs that have the same colour or not; one label in nine is wrong."""
    draw = np.random.default_rng(seed)
    firsts, seconds, gold = [], [], []
    for number in range(rows):
        one, other = draw.choice(COLOURS, 2, replace=False)
        gold.append(("same", "different")[number % 2])
        firsts.append(f"the {one} chair number {number}")
        seconds.append(f"a chair that is {one if number % 2 == 0 else other}")
    wrong = {"same": "different", "different": "same"}
    labels = [wrong[label] if number % 9 == 0 else label for number, label in enumerate(gold)]
    return {"premise": firsts, "hypothesis": seconds, "label": labels, "gold": gold}


def write_pairs(path: Path, rows: int = 80, **columns: list[str]) -> Path:
    """Write the table as a CSV file; `columns` replace or add columns."""
    table = {**pair_rows(rows), **columns}
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows(zip(*table.values(), strict=True))
    return path
