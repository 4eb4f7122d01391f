"""How a text is split into words, also in languages that are written without spaces between words.

Word features, the words on which a source errs, and the words behind the votes of rules all ask here. Texts in scripts
with spaces are left to the caller's own pattern.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

from transformers import PreTrainedTokenizerBase
from transformers.utils import logging

from hf_noisy.common.scripts import BURMESE, HAN, KANA, KHMER, LAO, RUN, THAI, is_mark, unspaced_rows
from hf_noisy.evidence.features.segmenters import SEGMENTERS

logger = logging.get_logger(__name__)

Span = tuple[int, int]  # begin and end of a word, in characters
_SPACED = re.compile(r"\b\w\w+\b")  # words of scripts with spaces, as scikit-learn finds them
_SAMPLE = 200  # texts of a language that are read to see whether a tokenizer knows it
_MAX_UNKNOWN = 0.1  # share of characters that a tokenizer may have no token for
_MIN_LENGTH = 1.2  # mean length of a piece, in characters; below, a tokenizer splits into characters
_PIECES, _CHARACTERS = "pieces of the model's tokenizer", "sequences of characters"
_LANGUAGES = {  # of a run of characters, the first that fits; Han is Chinese or Japanese
    "Thai": re.compile(f"[{THAI}]"),
    "Lao": re.compile(f"[{LAO}]"),
    "Burmese": re.compile(f"[{BURMESE}]"),
    "Khmer": re.compile(f"[{KHMER}]"),
}
_KANA, _HAN = re.compile(f"[{KANA}]"), re.compile(f"[{HAN}]")


@dataclass(frozen=True)
class _Way:
    """How the words of a language are found."""

    name: str  # of a package, or `_PIECES` or `_CHARACTERS`
    begins: Callable[[str], list[int]]  # run of characters -> where its words begin, in order, the first at 0


@dataclass(frozen=True)
class WordSplitter:
    """Splits texts of a table in which some are written without spaces between words."""

    ways: Mapping[str, _Way]  # by language
    han: str  # language of a text with Chinese characters and no kana

    def spans(self, text: str, spaced: re.Pattern[str]) -> list[Span]:
        """Returns the words of a text in order.

        Args:
            text: also in several scripts. Each run of characters is split by its script.
            spaced: pattern of the words in all other parts of the text.
        """
        found: list[Span] = []
        for begin, end, way in self._parts(text):
            if way is None:
                found += [(begin + a, begin + b) for a, b in (m.span() for m in spaced.finditer(text[begin:end]))]
            else:
                found += _word_spans(text[begin:end], way.begins(text[begin:end]), begin)
        return found

    def terms(self, text: str, longest: int) -> list[str]:
        """Returns the words of a text in lower case, and its sequences of up to `longest` words.

        A sequence of characters is a term by itself and no part of a sequence: one or two characters of Chinese and
        Japanese, two or three of other scripts.
        """
        text, found = text.lower(), list[str]()
        words: list[Span] = []  # since the last run of characters without a way to find words
        for begin, end, way in self._parts(text):
            if way is None:
                words += [(begin + a, begin + b) for a, b in (m.span() for m in _SPACED.finditer(text[begin:end]))]
            elif way.name == _CHARACTERS:
                found += _sequences(text, words, longest)
                words = []
                found += _character_terms(text[begin:end], way)
            else:
                words += _word_spans(text[begin:end], way.begins(text[begin:end]), begin)
        return found + _sequences(text, words, longest)

    @property
    def said(self) -> str:
        """A sentence: what is taken as words in which language."""
        by_way: dict[str, list[str]] = {}
        for language, way in self.ways.items():
            by_way.setdefault(way.name, []).append(language)
        taken = [
            f"in {' and '.join(languages)}, {name if name in (_PIECES, _CHARACTERS) else f'the words of {name}'}"
            for name, languages in by_way.items()
        ]
        return f"Some texts are written without spaces between words. Taken as words: {'; '.join(taken)}."

    @property
    def advice(self) -> str | None:
        """A sentence: how to get whole words; None if nothing better is known."""
        better = {
            language: way.name
            for language, way in self.ways.items()
            if way.name in (_PIECES, _CHARACTERS) and language in SEGMENTERS
        }
        if better:
            packages = ", ".join(f"{SEGMENTERS[language].name} ({language})" for language in better)
            return f"For whole words, install {packages}: pip install hf_noisy[segmenters]"
        if any(way.name == _CHARACTERS for way in self.ways.values()):
            return "For longer pieces, give a model whose tokenizer was trained on the language."
        return None

    def _parts(self, text: str) -> list[tuple[int, int, _Way | None]]:
        """Returns begin, end and way of each run without spaces; the way is None for the text between them."""
        parts: list[tuple[int, int, _Way | None]] = []
        last, han = 0, "Japanese" if _KANA.search(text) else self.han
        for run in RUN.finditer(text):
            way = self.ways.get(_language(run.group(), han), _by_characters())
            parts += [(last, run.start(), None), (run.start(), run.end(), way)]
            last = run.end()
        return [*parts, (last, len(text), None)]


def word_splitter(texts: Sequence[str], tokenizer: Any = None) -> WordSplitter | None:
    """Decides how to split texts into words; None if they are in scripts with spaces between words.

    In each language without spaces, words are those of an installed segmenter (`SEGMENTERS`). Otherwise they are the
    pieces of the tokenizer, if it knows the language: at least 90 % of the characters, in pieces longer than a
    character. Otherwise they are sequences of characters. Which was taken is logged once.

    Args:
        texts: all texts that will be split. Those with at least a tenth of their letters in a script without spaces
            decide; if they are less than 1 % of the texts, the result is None.
        tokenizer: of the model, or None. Anything that is no tokenizer of Transformers is ignored.
    """
    rows = unspaced_rows(texts)
    if not rows:
        return None
    asian = [text for text in rows if _HAN.search(text) or _KANA.search(text)]
    with_kana = sum(_KANA.search(text) is not None for text in asian)
    han = "Japanese" if 2 * with_kana > len(asian) else "Chinese"
    samples: dict[str, list[str]] = {}
    for text in rows:
        own = "Japanese" if _KANA.search(text) else han
        for run in RUN.findall(text):
            samples.setdefault(_language(run, own), []).append(run)
    known = tokenizer if isinstance(tokenizer, PreTrainedTokenizerBase) else None
    splitter = WordSplitter({name: _way(name, runs[:_SAMPLE], known) for name, runs in samples.items()}, han)
    if splitter.advice is None:
        logger.info(splitter.said)
    else:
        logger.warning_once(f"{splitter.said} {splitter.advice}")
    return splitter


def term_options(texts: Sequence[str], longest: int = 1, tokenizer: Any = None) -> dict[str, Any]:
    """Returns options of scikit-learn's vectorizers of words, such as `CountVectorizer`, for these texts.

    Args:
        texts, tokenizer: as for `word_splitter`.
        longest: number of words of the longest sequence that is a term.
    """
    splitter = word_splitter(texts, tokenizer)
    if splitter is None:
        return {"ngram_range": (1, longest)}
    return {"analyzer": partial(splitter.terms, longest=longest)}


def _language(run: str, han: str) -> str:
    return next((name for name, letters in _LANGUAGES.items() if letters.search(run)), han)


def _way(language: str, runs: Sequence[str], tokenizer: PreTrainedTokenizerBase | None) -> _Way:
    segmenter = SEGMENTERS.get(language)
    if segmenter is not None and segmenter.installed:
        segment = segmenter.load()
        return _Way(segmenter.name, lambda run: _begins_of(segment(run)))
    if tokenizer is not None and _knows(tokenizer, runs):
        return _Way(_PIECES, lambda run: _piece_begins(tokenizer, run)[0])
    return _by_characters()


def _by_characters() -> _Way:
    return _Way(_CHARACTERS, lambda run: list(range(len(run))))


def _begins_of(words: Sequence[str]) -> list[int]:
    begins = [0]
    for word in words[:-1]:
        begins.append(begins[-1] + len(word))
    return begins


def _knows(tokenizer: PreTrainedTokenizerBase, runs: Sequence[str]) -> bool:
    """Returns whether a tokenizer has tokens for these runs of characters, and tokens longer than a character."""
    pieces, unknown, characters = 0, 0, 0
    for run in runs:
        begins, lost = _piece_begins(tokenizer, run)
        pieces += len(_word_spans(run, begins))
        unknown += lost
        characters += sum(not is_mark(character) for character in run)
    return unknown <= _MAX_UNKNOWN * characters and characters >= _MIN_LENGTH * pieces


def _piece_begins(tokenizer: PreTrainedTokenizerBase, run: str) -> tuple[list[int], int]:
    """Returns where the pieces of a run begin, and the number of characters without a token."""
    if tokenizer.is_fast:
        encoded = tokenizer(run, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        ids, places = encoded["input_ids"], encoded["offset_mapping"]
        lost = sum(
            end - begin for token, (begin, end) in zip(ids, places, strict=True) if token == tokenizer.unk_token_id
        )
        return sorted({0, *(begin for begin, end in places if end > begin)}), lost
    begins, at, found = {0}, 0, 0
    for token in tokenizer.tokenize(run):
        piece = token.removeprefix("##").strip("\u2581")
        place = run.find(piece, at) if piece else -1
        if place >= 0:
            begins.add(place)
            at, found = place + len(piece), found + len(piece)
    return sorted(begins), len(run) - found


def _word_spans(run: str, begins: Sequence[int], offset: int = 0) -> list[Span]:
    """Returns the words of a run. A vowel sign or tone mark never begins one; what has no letter or digit is none."""
    whole = [begin for begin in begins if begin == 0 or not is_mark(run[begin])]
    spans = list(pairwise([*whole, len(run)]))
    return [(offset + a, offset + b) for a, b in spans if any(map(str.isalnum, run[a:b]))]


def _sequences(text: str, words: Sequence[Span], longest: int) -> list[str]:
    """Returns the sequences of 1 to `longest` words, with a space only where something stands between them."""
    found = []
    for size in range(1, longest + 1):
        for first in range(len(words) - size + 1):
            own = words[first : first + size]
            term = text[slice(*own[0])]
            for before, word in pairwise(own):
                term += ("" if before[1] == word[0] else " ") + text[slice(*word)]
            found.append(term)
    return found


def _character_terms(run: str, way: _Way) -> list[str]:
    """Returns the sequences of characters that stand for words."""
    characters = _word_spans(run, way.begins(run))
    sizes = (1, 2) if _HAN.search(run) or _KANA.search(run) else (2, 3)
    if len(characters) < sizes[0]:
        return _sequences(run, characters, 1)
    return [run[own[0][0] : own[-1][1]] for size in sizes for own in _windows(characters, size)]


def _windows(spans: Sequence[Span], size: int) -> list[Sequence[Span]]:
    return [spans[first : first + size] for first in range(len(spans) - size + 1)]
