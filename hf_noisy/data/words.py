"""Words of texts in scripts that have no spaces between words: Chinese, Japanese, Thai, Lao, Khmer, Burmese.

A segmenter is used where one is installed: `jieba` for Chinese, `janome` for Japanese, `pythainlp` for Thai. Without one,
pieces of two characters (of three in scripts of letters) count as words. Texts in other scripts are left as they are.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from collections.abc import Callable, Iterable, Sequence
from functools import cache

_HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_KANA = "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9d"
_LETTERS = {
    "Thai": "\u0e01-\u0e3a\u0e40-\u0e4e",
    "Lao": "\u0e81-\u0ebd\u0ec0-\u0ecd",
    "Khmer": "\u1780-\u17d3",
    "Burmese": "\u1000-\u103f",
}
_RUN = re.compile(f"[{_HAN}{_KANA}\u3005\u30fc]+|" + "|".join(f"[{span}]+" for span in _LETTERS.values()))
_OF_LETTERS = re.compile(f"[{''.join(_LETTERS.values())}]")
_CLUSTER = re.compile(  # a character and the marks that belong to it; no word begins within
    "[\u0e40-\u0e44\u0ec0-\u0ec4]?.[\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc\u0ec8-\u0ecd\u17b4-\u17d3\u102b-\u103e]*",
    re.DOTALL,
)
MARKS = (
    "\u0e31\u0e33-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb3-\u0ebc\u0ec8-\u0ecd\u17b4-\u17d3\u102b-\u103e"  # no letters for `re`
)
WORD_PATTERN = rf"[\w{MARKS}]+"  # of texts that `spaced` has split
CHARACTER = f"[{_HAN}{_KANA}]|[{''.join(_LETTERS.values())}][{MARKS}]*"  # one, with the marks that belong to it
_IN_JAPANESE = re.compile(f"[{_KANA}]")
_PACKAGES = {"Chinese": "jieba", "Japanese": "janome", "Thai": "pythainlp"}
_SAMPLE = 1000  # texts that are looked at for a note


def has_no_spaces(text: str) -> bool:
    """Whether a text has a run of characters of a script without spaces between words.

    >>> has_no_spaces("屏幕很亮"), has_no_spaces("a bright screen")
    (True, False)
    """
    return not text.isascii() and _RUN.search(text) is not None


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return the (begin, end) of the words within the runs of a text that have no spaces, in order.

    Without a segmenter these are single characters with their marks, so that each can be left out by itself.
    """
    found = []
    for run in _RUN.finditer(text):
        split = _segmenter(_language(run[0], text))
        pieces = split(run[0]) if split is not None else _CLUSTER.findall(run[0])
        begin = run.start()
        for piece in pieces:
            found.append((begin, begin + len(piece)))
            begin += len(piece)
    return found


def spaced(texts: Sequence[str]) -> Sequence[str]:
    """Return texts with spaces between words. Texts whose script has spaces are returned as they are.

    Args:
        texts: of any scripts, also mixed within a text.

    >>> spaced(["a bright screen"])
    ['a bright screen']
    """
    if not any(has_no_spaces(text) for text in texts):
        return texts
    return [_RUN.sub(lambda run, whole=text: f" {' '.join(_pieces(run[0], whole))} ", text) for text in texts]  # type: ignore[misc]


def lacks_segmenter(texts: Iterable[str]) -> bool:
    """Whether most texts have no spaces, and no segmenter of their language is installed."""
    looked = [text for _, text in zip(range(_SAMPLE), texts, strict=False)]
    found = [text for text in looked if has_no_spaces(text)]
    if 2 * len(found) <= len(looked):
        return False
    runs = [(match[0], text) for text in found if (match := _RUN.search(text))]
    return any(_segmenter(_language(run, text)) is None for run, text in runs)


def _pieces(run: str, whole: str) -> Iterable[str]:
    split = _segmenter(_language(run, whole))
    if split is not None:
        return split(run)
    clusters = _CLUSTER.findall(run)
    length = 3 if _OF_LETTERS.match(run) else 2
    return ["".join(clusters[k : k + length]) for k in range(max(len(clusters) - length + 1, 1))]


def _language(run: str, whole: str) -> str:
    for name, span in _LETTERS.items():
        if re.match(f"[{span}]", run):
            return name
    return "Japanese" if _IN_JAPANESE.search(whole) else "Chinese"


def note_on_words(texts: Iterable[str]) -> str:
    """Say how texts without spaces are split, or return an empty text if there are none.

    Args:
        texts: of which some are looked at.
    """
    languages: dict[str, None] = {}
    for _, text in zip(range(_SAMPLE), texts, strict=False):
        for run in _RUN.finditer(text) if not text.isascii() else ():
            languages[_language(run[0], text)] = None
    said = []
    for language in languages:
        package = _PACKAGES.get(language)
        if _segmenter(language) is not None:
            said.append(f"{language} is split into words by {package}")
        else:
            hint = f" (pip install {package} for words)" if package else ""
            said.append(
                f"{language} has no spaces and no segmenter is installed, so pieces of some characters count as words{hint}"
            )
    return "; ".join(said)


@cache
def _segmenter(language: str) -> Callable[[str], list[str]] | None:
    """Return the segmenter of a language, or None if its package is not installed."""
    package = _PACKAGES.get(language)
    if package is None or importlib.util.find_spec(package) is None:
        return None
    if language == "Chinese":
        import jieba  # type: ignore[import-not-found, import-untyped, unused-ignore]

        jieba.setLogLevel(logging.WARNING)
        return lambda run: list(jieba.lcut(run))
    if language == "Japanese":
        from janome.tokenizer import Tokenizer  # type: ignore[import-not-found, import-untyped, unused-ignore]

        tokenizer = Tokenizer(wakati=True)
        return lambda run: list(tokenizer.tokenize(run))
    from pythainlp.tokenize import word_tokenize  # type: ignore[import-not-found, import-untyped, unused-ignore]

    return lambda run: list(word_tokenize(run, engine="newmm"))
