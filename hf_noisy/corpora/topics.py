"""Generates short news of five topics, each with the reason why a weak label may be wrong.

It is a small corpus for weak topic labels (`hf_noisy.corpora.topic_labels`): lists of names, careless readers, a
language model. They are wrong on it for known reasons: a guest from another topic, a figure of speech, an opening about
something else, or too little text. No label is flipped at random.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from hf_noisy.corpora.phrases import Slots, fill, phrases, sentence

if TYPE_CHECKING:
    from datasets import Dataset


CLASS_NAMES = ("business", "culture", "health", "science", "sport")
SHARED: Slots = {
    "place": phrases("""
        Orlen | Vasta | Kimbrook | Talheim | Port Sayle | Ravenna Hill | Lower Marden | Ostrava Bay | Quillon |
        Nordby | Halmere | Santa Ilva | Brackwater | Ulmenau | Tarrow"""),
    "when": phrases("""
        on Monday | on Tuesday | on Friday | last week | this morning | after months of talk | in the spring |
        a year ago | late in the evening | by the end of June | for the first time since 2009"""),
    "count": phrases("two | three | five | seven | nine | eleven | fourteen | some twenty | about forty | ninety"),
    "person": phrases("""
        Ada Lindqvist | Bram Okoro | Chiara Voss | Dario Penn | Edda Marlow | Farid Tolle | Greta Annis | Hugo Baltar |
        Ines Corvo | Jonas Reed | Kalina Moss | Luca Ferrant | Mira Solberg | Nils Abara | Oona Castell"""),
    "neutral": phrases("""
        {person} was there and said little | it came as a surprise in {place} | nobody in {place} had seen it coming |
        the mayor of {place} sent a short letter | it rained all day | a second meeting is planned {when} |
        {person} did not want to comment | more is to be known {when} | the street was closed for {count} hours |
        people in {place} had waited for this | the local radio spoke of {count} guests | it took longer than planned |
        {person}, who grew up in {place}, was the first to hear of it | pictures will follow {when} |
        the announcement was made in {place} {when}"""),
}
# For each topic: {name} may be on a list of names, {who} and {thing} are typical words of the topic. `plain` templates
# state the topic directly, `quiet` ones only imply it, and `figure` ones use its words for another topic.
TOPICS: dict[str, Slots] = {
    "business": {
        "name": phrases("""
            Harrow & Pell | Corvus Holding | Meridian Steel | Lund Brothers | Sable Insurance | Orbit Freight |
            Tessera Bank | Falcon | Aurora | Northgate Mills"""),
        "who": phrases("the board | the chairwoman | a broker | the owners | the treasurer | a lender | the auditors"),
        "thing": phrases("profit | turnover | share price | merger | loan | payroll | dividend | tariff | invoice"),
        "plain": phrases("""
            {name} reported a {thing} that fell by {count} percent {when} | {who} of {name} sold {count} percent of the shares |
            investors in {place} wait for the {thing} of {name} | {name} wants to close {count} plants near {place} |
            the {thing} rose after {who} had promised a merger | {person} takes over as head of {name} {when} |
            customers owe {name} {count} million | {who} fears for the {thing} {when}"""),
        "quiet": phrases("""
            {count} hundred people will be looking for work {when} | the warehouse has stood empty since |
            prices at the counter went up {when} | the order books are full until the spring |
            the family gave up the shop after {count} years | suppliers wait for what they are owed"""),
        "figure": phrases("""
            it was a costly bargain for {person} | the dividend of all that patience | {person} cashed in at last |
            one could call it a bankrupt idea | a good investment of {count} evenings"""),
    },
    "culture": {
        "name": phrases("""
            the Lantern Theatre | the Vasta Quartet | Museum of Tides | the Old Mill Players | Gallery Nine |
            the Kestrel Choir | Halmere Opera | Aurora | the Harbour Festival | Villa Corvo"""),
        "who": phrases(
            "the conductor | a painter | the soprano | the curator | a playwright | the novelist | the actors"
        ),
        "thing": phrases("concert | exhibition | novel | stage | sculpture | verse | rehearsal | portrait | overture"),
        "plain": phrases("""
            {name} opens a {thing} by {person} {when} | {who} of {name} bowed {count} times after the {thing} |
            critics in {place} praised the {thing} | {person} has written a {thing} about {place} |
            {who} left {name} before the {thing} | the audience at {name} stood up for the {thing} |
            {name} shows {count} paintings from {place} | {who} reads from a new {thing} {when}"""),
        "quiet": phrases("""
            the last row had to stand | the curtain fell {count} minutes late | she sang the end once more |
            the frames hang too low for some | tickets were gone within {count} hours |
            the second act was played in the dark"""),
        "figure": phrases("""
            it was a drama in three acts | {person} stole the show | the overture to a long quarrel |
            a comedy, if it were not so sad | {person} played first fiddle"""),
    },
    "health": {
        "name": phrases("""
            Saint Odile Clinic | the Marden Infirmary | Tolle Hospital | Ward Nine | the Brackwater Practice |
            Sanatorium Ilva | Kimbrook Maternity | the Lindqvist Foundation | Falcon | Halmere Hospice"""),
        "who": phrases(
            "the nurses | a surgeon | the midwife | the patients | a dentist | the ward sister | the doctors"
        ),
        "thing": phrases("vaccine | surgery | fever | allergy | diet | bandage | therapy | infection | blood test"),
        "plain": phrases("""
            {who} at {name} treat {count} cases of fever a day | {name} has run out of the {thing} {when} |
            a new {thing} helps {count} patients in {place} | {who} warn of an infection in {place} |
            {person} woke from surgery at {name} {when} | {name} offers the {thing} free of charge |
            {who} advise a {thing} after forty | the {thing} was given to {count} children in {place}"""),
        "quiet": phrases("""
            the waiting room was full again | she may go home {when} | whoever coughs is asked to stay at home |
            he has to lie still for {count} days | the line for the little white pills was long |
            nobody sleeps well on the third floor"""),
        "figure": phrases("""
            it is a bitter pill for {person} | a healthy result, says {person} | the fever has {place} in its grip |
            a painful operation for all | {person} put salt into the wound"""),
    },
    "science": {
        "name": phrases("""
            the Corvo Institute | Nordby Observatory | Laboratory Twelve | the Ulmenau Telescope | Polar Station Reed |
            the Tarrow Collider | Academy of Quillon | Orbit Freight | the Moss Herbarium | Probe Meridian"""),
        "who": phrases(
            "an astronomer | the botanists | a chemist | the physicists | a geologist | her doctoral student"
        ),
        "thing": phrases("experiment | particle | fossil | theory | molecule | telescope | genome | orbit | sample"),
        "plain": phrases("""
            {who} at {name} found a {thing} that is {count} million years old | {name} measured the {thing} {when} |
            the {thing} confirms a theory of {person} | researchers from {place} repeat the experiment |
            {who} published a {thing} {when} | {name} sends a probe into orbit {when} |
            {person} of {name} names a molecule after {place} | {who} doubt the {thing} from {place}"""),
        "quiet": phrases("""
            the curve bends where nobody had drawn it | the stones were heated to {count} hundred degrees |
            the dot moved a little to the left of its neighbours | it weighs less than a grain of sand |
            the third attempt gave the same number | under glass the leaves turn blue"""),
        "figure": phrases("""
            the chemistry between them was right | it is no rocket science, says {person} | light years apart |
            an experiment with an open end | {person} looked at it through a microscope"""),
    },
    "sport": {
        "name": phrases("""
            FC Talheim | the Orlen Rovers | Vasta Rowing Club | Athletic Sayle | the Nordby Bears | Quillon Racing |
            the Marden Harriers | Falcon | Kimbrook United | the Tarrow Sailors"""),
        "who": phrases("the coach | a striker | the goalkeeper | the rowers | a sprinter | the referee | the captain"),
        "thing": phrases("final | league | penalty | relay | season | training | medal | derby | sprint"),
        "plain": phrases("""
            {name} won the {thing} in {place} by {count} points | {who} of {name} missed the {thing} {when} |
            {person} scored {count} goals for {name} | {who} was sent off before the {thing} |
            fans of {name} travel to the {thing} in {place} | {name} lost the {thing} to a team from {place} |
            {person} runs her last relay {when} | the league fines {who} of {name}"""),
        "quiet": phrases("""
            the grass was too wet in the second half | she crossed the line {count} seconds before the others |
            they have not lost at home since | the bench did not sit down for {count} minutes |
            the oars touched the water at the same time | he tied his shoe and was overtaken"""),
        "figure": phrases("""
            it was an own goal for {person} | a marathon of {count} meetings | the ball is in the court of {place} |
            the final sprint begins {when} | {person} has set the bar high"""),
    },
}
GUESTS = phrases("""
    {name} had paid for the buffet | among the guests were friends of {name} | {name} had lent the hall |
    next door, at {name}, all was quiet | {name} sent flowers | the parking lot of {name} was used""")
# The probability of each kind of text.
REASONS = {"plain": 0.42, "guest": 0.2, "figure": 0.15, "opening": 0.15, "sparse": 0.08}


def generate_topics(rows: int, seed: int) -> Dataset:
    """Generate `rows` news texts of one to five short sentences, with columns `id`, `text`, `gold` and `reason`.

    `gold` is the topic, a class of `CLASS_NAMES`. `reason` is what may mislead a source: a "guest" from another topic,
    a "figure" of speech, an "opening" about something else, or a "sparse" text; "plain" if nothing should. The same
    arguments give the same texts. No global random generator is used.

    Args:
        rows: the number of texts.
        seed: seed of the texts.

    Example:
        >>> news = generate_topics(rows=4, seed=0)
        >>> news.column_names
        ['id', 'text', 'gold', 'reason']
        >>> news["text"][:] == generate_topics(rows=4, seed=0)["text"][:]
        True
    """
    from datasets import ClassLabel, Dataset, Features, Value

    rng = random.Random(seed)
    reasons = rng.choices(list(REASONS), weights=list(REASONS.values()), k=rows)
    golds = [rng.randrange(len(CLASS_NAMES)) for _ in range(rows)]
    columns = {
        "id": [f"{seed}-{row}" for row in range(rows)],
        "text": [_text(rng, gold, reason) for gold, reason in zip(golds, reasons, strict=True)],
        "gold": golds,
        "reason": reasons,
    }
    label = ClassLabel(names=list(CLASS_NAMES))
    return Dataset.from_dict(
        columns, Features({"id": Value("string"), "text": Value("string"), "gold": label, "reason": Value("string")})
    )


def _text(rng: random.Random, gold: int, reason: str) -> str:
    own = {**SHARED, **TOPICS[CLASS_NAMES[gold]]}
    other = {**SHARED, **TOPICS[rng.choice([name for k, name in enumerate(CLASS_NAMES) if k != gold])]}
    neutral = [(template, own) for template in rng.sample(SHARED["neutral"], k=rng.choice((0, 1, 2)))]
    quiet = [(rng.choice(own["quiet"]), own)]
    plain = [(rng.choice(own["plain"]), own)]
    body = {
        "plain": plain + quiet,
        "guest": [*quiet, (rng.choice(GUESTS), other), *rng.choice(([], plain, plain))],
        "figure": [*quiet, (rng.choice(other["figure"]), other), *rng.choice(([], plain, plain))],
        "opening": plain + quiet,
        "sparse": quiet,
    }[reason]
    body += neutral
    rng.shuffle(body)
    opening = [(rng.choice(other["plain"]), other)] if reason == "opening" else []
    return " ".join(sentence(fill(template, slots, rng)) for template, slots in opening + body)
