"""Optional packages that split Chinese, Japanese and Thai into words."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec

Segment = Callable[[str], list[str]]  # text -> its words in order, which together are the text


@dataclass(frozen=True)
class Segmenter:
    """A package that splits texts of a language into words."""

    name: str
    modules: tuple[str, ...]  # all are needed
    load: Callable[[], Segment]

    @property
    def installed(self) -> bool:
        return all(find_spec(module) is not None for module in self.modules)


@cache
def _jieba() -> Segment:
    import jieba

    jieba.setLogLevel(logging.WARNING)  # it logs how long its dictionary takes to load
    return jieba.lcut


@cache
def _fugashi() -> Segment:
    import fugashi

    tagger = fugashi.Tagger("-Owakati")
    return lambda text: [word.surface for word in tagger(text)]


@cache
def _pythainlp() -> Segment:
    from pythainlp.tokenize import word_tokenize

    return lambda text: word_tokenize(text, engine="newmm")


SEGMENTERS = {  # language -> its segmenter
    "Chinese": Segmenter("jieba", ("jieba",), _jieba),
    "Japanese": Segmenter("fugashi", ("fugashi", "unidic_lite"), _fugashi),
    "Thai": Segmenter("pythainlp", ("pythainlp",), _pythainlp),
}
