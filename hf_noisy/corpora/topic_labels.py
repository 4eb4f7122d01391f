"""Weak labels for `hf_noisy.corpora.topics`: lists of names, simulated readers, and a simulated language model.

None of them uses the gold label or the reason. Each is wrong where the words that it relies on are misleading.
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
KNOWN = 8  # a list knows this many of the ten names of a topic
# The cue words of each topic for simulated readers. Some of them also occur in other topics.
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
    """Return a labeling function for each topic. It votes for the topic if the text contains a name of its list.

    The lists lack a fifth of the names, and a name may be on several lists.

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
    """Return the names in the list of a topic."""
    return list(TOPICS[topic]["name"][-KNOWN:])


def readers() -> list[LabelingFunction]:
    """Return three labeling functions that simulate careless readers. They never abstain.

    The first uses the cue words (`CUES`) of the first sentence, the second all cue words, the third the last one.
    Without a cue word each guesses, and the guess depends only on the text and the reader.

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
    """Return topic probabilities (classes,) by a rule that replaces a language model.

    The rule counts cue words. It ignores one in three of them, depending on the wording.

    Args:
        text: the text to label.
        wording: the index into `WORDINGS`.

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
