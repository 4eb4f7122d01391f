"""Scripts that are written without spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese), or from the right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Unicode blocks, without the punctuation of Chinese and Japanese
THAI = "\u0e00-\u0e7f"
LAO = "\u0e80-\u0eff"
BURMESE = "\u1000-\u109f\ua9e0-\ua9ff\uaa60-\uaa7f"
KHMER = "\u1780-\u17ff\u19e0-\u19ff"
KANA = "\u3041-\u3096\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff\uff66-\uff9f"
HAN = "\u3005-\u3007\u3021-\u3029\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
UNSPACED = THAI + LAO + BURMESE + KHMER + KANA + HAN  # ranges for a class of a regular expression

RUN = re.compile(f"[{UNSPACED}]+")
SPACELESS_ALPHABET = re.compile(f"[{THAI}{LAO}{BURMESE}{KHMER}]")  # of these, BERT makes one word of a whole sentence
_MIN_LETTERS = 0.1  # a text is without spaces if at least this share of its letters is of these scripts
_MIN_TEXTS = 0.01  # texts are without spaces if at least this share of them is; below, it is a name or a smiley


def is_unspaced(text: str) -> bool:
    """Returns whether at least a tenth of the letters of a text belong to a script without spaces between words.

    >>> is_unspaced("\u5f88\u597d"), is_unspaced("very good"), is_unspaced("")
    (True, False, False)
    """
    if text.isascii() or not RUN.search(text):
        return False
    own = sum(len(run) for run in RUN.findall(text))
    return own >= _MIN_LETTERS * sum(map(str.isalpha, text))


def unspaced_rows(texts: Iterable[str]) -> list[str]:
    """Returns the texts that are written without spaces between words; none if they are less than 1 % of all texts.

    >>> unspaced_rows(["very good", "\u5f88\u597d"]), unspaced_rows(["very good"] * 200 + ["\u5f88\u597d"])
    (['\u5f88\u597d'], [])
    """
    count, found = 0, []
    for text in texts:
        count += 1
        if is_unspaced(text):
            found.append(text)
    return found if len(found) >= _MIN_TEXTS * count else []


def is_mark(character: str) -> bool:
    """Returns whether a character belongs to the one before it, as a vowel sign or a tone mark does."""
    return unicodedata.category(character).startswith("M")


def isolated(text: str) -> str:
    """Marks a text that is read from the right as one of its own direction, so that what follows stays behind it.

    >>> isolated("ham"), isolated("\u05d8\u05d5\u05d1")
    ('ham', '\u2068\u05d8\u05d5\u05d1\u2069')
    """
    from_the_right = any(unicodedata.bidirectional(character) in ("R", "AL") for character in text)
    return f"\u2068{text}\u2069" if from_the_right else text
