"""Cheap labels for `hf_noisy.topics`: lists of names, hurried readers, and a rule that stands in for a language model.

None of them sees the gold label or the reason; each is wrong where what it goes by misleads.
"""

from __future__ import annotations

import re
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from hf_noisy.corpora.phrases import phrases
from hf_noisy.corpora.topics import CLASS_NAMES, TOPICS

if TYPE_CHECKING:
    from snorkel.labeling import LabelingFunction


ABSTAIN = -1
KNOWN = 8  # of the ten names of a topic; a list is never complete
# What someone who reads in passing goes by, word by word: some words are used of other topics too.
CUES = {
    "business": phrases("""
        shares | profit | turnover | merger | dividend | investors | plants | customers | percent | loan | invoice | payroll |
        bargain | cashed | bankrupt | investment | prices | million | tariff"""),
    "culture": phrases("""
        stage | concert | novel | exhibition | critics | audience | paintings | curtain | theatre | opera | drama | comedy |
        fiddle | overture | verse | portrait | show | acts | choir"""),
    "health": phrases("""
        patients | fever | surgery | clinic | hospital | infection | vaccine | therapy | nurses | doctors | pill | pills |
        healthy | painful | wound | diet | allergy | bandage | blood"""),
    "science": phrases("""
        experiment | theory | molecule | telescope | orbit | researchers | fossil | particle | genome | institute |
        laboratory | chemistry | rocket | microscope | light | sample | probe | academy | measured"""),
    "sport": phrases("""
        league | goals | coach | final | relay | season | fans | team | penalty | derby | medal | sprint | marathon |
        goal | ball | race | won | lost | points"""),
}
WORDINGS = ("What is this text about?", "Which section of a newspaper?", "Name the topic in one word.")


def distant_labels() -> list[LabelingFunction]:
    """A labeling function for each topic: it votes for it where the text holds a name that its list knows.

    Lists lack a fifth of the names, and a name may be on several.

    Raises:
        ImportError: snorkel is not installed.

    >>> from types import SimpleNamespace
    >>> text = SimpleNamespace(text="Falcon had lent the hall.")
    >>> [function.name for function in distant_labels() if function(text) >= 0]
    ['names_of_business', 'names_of_health', 'names_of_sport']
    """
    from snorkel.labeling import LabelingFunction

    return [
        LabelingFunction(f"names_of_{topic}", _holds_a_name, resources={"names": known_names(topic), "topic": number})
        for number, topic in enumerate(CLASS_NAMES)
    ]


def known_names(topic: str) -> list[str]:
    """What the list of a topic holds."""
    return list(TOPICS[topic]["name"][-KNOWN:])


def readers() -> list[LabelingFunction]:
    """Three simulated people who label in a hurry, and always say something.

    One goes by the first sentence, one by all cue words (`CUES`), one by the last of them. Where there is no cue, each
    guesses, always the same for the same text.

    Raises:
        ImportError: snorkel is not installed.

    >>> from types import SimpleNamespace
    >>> text = SimpleNamespace(text="The coach left. It was a drama, the critics say.")
    >>> [CLASS_NAMES[reader(text)] for reader in readers()]
    ['sport', 'culture', 'culture']
    """
    from snorkel.labeling import LabelingFunction

    parts = {"first_sentence": slice(1), "all_of_it": slice(None), "last_cue": slice(-1, None)}
    return [
        LabelingFunction(f"reader_of_{name}", _reads, resources={"name": name, "part": part})
        for name, part in parts.items()
    ]


def simulated_answers(text: str, wording: int) -> np.ndarray:
    """How probable a rule finds each topic: (classes,), in place of what a language model would say.

    It counts cue words, other ones for each wording (one in three is unknown to it), and is surer than it should be.

    Args:
        text: what to label.
        wording: which of `WORDINGS`.

    >>> probabilities = simulated_answers("The coach left the league. Critics say nothing.", wording=1)
    >>> CLASS_NAMES[probabilities.argmax()], round(float(probabilities.sum()), 6)
    ('sport', 1.0)
    """
    known = [[cue for k, cue in enumerate(CUES[topic]) if k % len(WORDINGS) != wording] for topic in CLASS_NAMES]
    words = _words(text)
    counts = np.array([sum(word in cues for word in words) for cues in known], dtype=float)
    scores = np.exp(1.6 * counts)
    return scores / scores.sum()


def _holds_a_name(x: Any, names: list[str], topic: int) -> int:
    return topic if any(name.lower() in x.text.lower() for name in names) else ABSTAIN


def _reads(x: Any, name: str, part: slice) -> int:
    sentences = re.split(r"(?<=[.!?])\s+", x.text)
    cues = [
        topic
        for word in _words(" ".join(sentences[part] if name == "first_sentence" else sentences))
        for topic, label in enumerate(CLASS_NAMES)
        if word in CUES[label]
    ]
    if not cues:
        return zlib.crc32(f"{name} {x.text}".encode()) % len(CLASS_NAMES)
    return int(np.bincount(cues[part] if name == "last_cue" else cues).argmax())


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z-]+", text.lower())
