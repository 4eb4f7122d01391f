"""Labeling functions for `hf_noisy.reviews` of the kinds people write: keywords, regexes, a lexicon, length, punctuation.

Each is right more often than wrong. `generate_reviews` shows why they fail. The thresholds were tuned so that the majority
vote is wrong on about a quarter of the rows, on reviews of other seeds than those reported in the README.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from snorkel.labeling import LabelingFunction


NEGATIVE, POSITIVE, ABSTAIN = 0, 1, -1


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"[a-z-]+", text.lower()))


PRAISE = _words("""
    great excellent wonderful brilliant superb lovely perfect fantastic amazing beautiful awesome nice fun good best
    outstanding terrific marvellous gorgeous delightful charming impressive
""")
BLAME = _words("""
    bad terrible awful horrible poor dreadful boring cheap ugly useless mediocre worst annoying weak pathetic dull
    ridiculous nasty disgusting bland lousy broken
""")
LIKING = _words("love like enjoyed enjoy happy pleased impressed glad favourite joy pleasure thanks smiling")
TROUBLE = _words("""
    hate regret disappointed annoyed unhappy problem problems waste refund missing failure wrong dead angry complain
    cried
""")
RECOMMENDED = re.compile(r"\brecommend|\bworth (it|every)|\bmust (see|have)|\bkeeper\b|\bwould (buy|do) ", re.I)
NOT_RECOMMENDED = re.compile(
    r"\b(not|n't|cannot|never) recommend|\bavoid\b|\bmoney back|\bstay away|\bsave your|\bsent? (it|the)", re.I
)
SCORE = re.compile(r"\b(\d+|one|two|three|four|five|six)\s*(?:/|out of|of)\s*(10|5)\b", re.I)
STARS = re.compile(r"\b([1-5]) stars?\b", re.I)
NUMBERS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6}
NEGATIONS = re.compile(r"\b(not|no|never|nothing|nobody|neither|hardly|without|cannot)\b|n't\b", re.I)
AGAIN = re.compile(r"\b(again|second one|times by now|times since|every|more for)\b", re.I)
RETURN = re.compile(r"\b(back|stopped|left|came off|old one)\b", re.I)


def _sentiment_lexicon() -> Callable[[str], float]:
    """Text -> polarity in [-1, 1] by TextBlob's lexicon; `TextBlob(text).sentiment` would create two objects per text."""
    try:
        from textblob.en import polarity
    except ImportError as error:
        raise ImportError(
            "the labeling functions of the embedded reviews need textblob: pip install hf_noisy[demo]"
        ) from error
    return polarity


def labeling_functions() -> list[LabelingFunction]:
    """Labeling functions that a person could write in an hour. They vote positive 1, negative 0, or abstain -1.

    Each reads only `x.text`, so any object with a `text` attribute works. The two functions that use the sentiment lexicon
    share one memoized preprocessor.

    Raises:
        ImportError: textblob is not installed.

    Example:
        >>> from types import SimpleNamespace
        >>> review = SimpleNamespace(text="Oh great, another broken zip!")
        >>> votes = {rule.name: rule(review) for rule in labeling_functions()}
        >>> votes["praise_words"], votes["blame_words"], votes["exclamation"]
        (1, 0, 1)
    """
    from snorkel.labeling import labeling_function
    from snorkel.preprocess import preprocessor

    polarity = _sentiment_lexicon()

    @preprocessor(memoize=True, memoize_key=lambda x: x.text)
    def with_polarity(x: Any) -> SimpleNamespace:
        sentences = _sentences(x.text)
        return SimpleNamespace(text=x.text, polarity=polarity(x.text), verdict=polarity(sentences[-1]))

    @labeling_function()
    def praise_words(x: Any) -> int:
        return POSITIVE if _words(x.text) & PRAISE else ABSTAIN

    @labeling_function()
    def blame_words(x: Any) -> int:
        return NEGATIVE if _words(x.text) & BLAME else ABSTAIN

    @labeling_function()
    def liking_words(x: Any) -> int:
        return POSITIVE if _words(x.text) & LIKING else ABSTAIN

    @labeling_function()
    def trouble_words(x: Any) -> int:
        return NEGATIVE if _words(x.text) & TROUBLE else ABSTAIN

    @labeling_function()
    def recommendation(x: Any) -> int:
        if NOT_RECOMMENDED.search(x.text):
            return NEGATIVE
        return POSITIVE if RECOMMENDED.search(x.text) else ABSTAIN

    @labeling_function()
    def score(x: Any) -> int:
        share = _score(x.text)
        if share is None:
            return ABSTAIN
        return POSITIVE if share > 0.5 else NEGATIVE

    @labeling_function(pre=[with_polarity])
    def lexicon_polarity(x: Any) -> int:
        return POSITIVE if x.polarity > 0.15 else NEGATIVE if x.polarity < -0.05 else ABSTAIN

    @labeling_function(pre=[with_polarity])
    def lexicon_of_last_sentence(x: Any) -> int:
        return POSITIVE if x.verdict > 0.1 else NEGATIVE if x.verdict < -0.1 else ABSTAIN

    @labeling_function()
    def comes_back(x: Any) -> int:
        return POSITIVE if AGAIN.search(x.text) else ABSTAIN

    @labeling_function()
    def goes_back(x: Any) -> int:
        return NEGATIVE if RETURN.search(x.text) else ABSTAIN

    @labeling_function()
    def negation(x: Any) -> int:
        return NEGATIVE if NEGATIONS.search(x.text) else ABSTAIN

    @labeling_function()
    def exclamation(x: Any) -> int:
        return POSITIVE if "!" in x.text else ABSTAIN

    @labeling_function()
    def long_story(x: Any) -> int:
        return NEGATIVE if len(x.text.split()) > 36 else ABSTAIN

    return [
        praise_words, blame_words, liking_words, trouble_words, recommendation, score, lexicon_polarity,
        lexicon_of_last_sentence, comes_back, goes_back, negation, exclamation, long_story,
    ]  # fmt: skip


def _sentences(text: str) -> list[str]:
    return re.split(r"(?<=[.!?])\s+", text.strip())


def _score(text: str) -> float | None:
    """Parse "4 out of 5", "7/10" or "2 stars" into a fraction of the best score; None if there is no score."""
    if found := SCORE.search(text):
        number = found[1].lower()
        return (NUMBERS.get(number) or int(number)) / int(found[2])
    if found := STARS.search(text):
        return int(found[1]) / 5
    return None
