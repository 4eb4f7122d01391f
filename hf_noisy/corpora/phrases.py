"""Generates texts from templates and word lists, for the embedded corpora."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

Slots = Mapping[str, Sequence[str]]


def phrases(block: str) -> list[str]:
    """Split a block of text at the bars. Line breaks count as spaces.

    >>> phrases(" one | two or\\n   three ")
    ['one', 'two or three']
    """
    return [" ".join(phrase.split()) for phrase in block.split("|")]


def fill(template: str, slots: Slots, rng: random.Random) -> str:
    """Replace each {slot} by a random choice, and repeat as long as the choices contain slots.

    >>> fill("a {colour} {thing}", {"colour": ["red"], "thing": ["{colour} hat"]}, random.Random(0))
    'a red red hat'
    """
    while "{" in template:
        template = re.sub(r"\{(\w+)\}", lambda slot: rng.choice(slots[slot[1]]), template)
    return template


def sentence(text: str) -> str:
    """Format a text as a sentence: a capital letter, "an" before a vowel, and a full stop unless it ends with "!".

    >>> sentence("a old hat"), sentence("what a hat!")
    ('An old hat.', 'What a hat!')
    """
    text = re.sub(
        r"\b(an?) (?=(\w))",
        lambda hit: "an " if hit[2] in "aeio" or text[hit.end() :].startswith("hour") else "a ",
        text,
    )
    return text[0].upper() + text[1:] + ("" if text.endswith("!") else ".")
