# %% [markdown]
"""
# Few labels and another language

- **For** people who need a classifier for a language with few labelled texts, and for which no good encoder exists.
- **At the end** you have labelled texts by lists of names, and know on an example when a few trusted labels, many labels by lists, or
  both together give the best classifier.
- **Time:** 15 minutes to read. The code runs in less than two minutes on two CPU cores and needs no network.

From a clone of the repository, this runs everything on the page and writes into `output/lessons`:

```bash
pip install -e ".[examples]"
python examples/lessons/another_language.py
```

`examples/lessons/another_language.ipynb` is the same as a notebook.
"""

# %%
import os
import random
from collections.abc import Sequence
from pathlib import Path

import datasets
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from datasets import Dataset, List, Value, concatenate_datasets
from snorkel.labeling import LabelingFunction
from transformers import PrinterCallback, set_seed

from hf_noisy import NoisyTrainer, NoisyTrainingArguments, apply_labeling_functions, labels_from_votes
from hf_noisy.corpora.phrases import fill, phrases
from hf_noisy.corpora.small_encoder import small_encoder
from hf_noisy.data.splits import tokenize
from hf_noisy.weak.votes import covered, votes_of

QUICK = "HF_NOISY_QUICK" in os.environ  # the tests set it and run every lesson on a few rows
ROWS, TEST_ROWS, EPOCHS, SIZES = (120, 40, 1, [20]) if QUICK else (1000, 1000, 10, [25, 50, 100])
OUTPUT = Path("output/lessons")
OUTPUT.mkdir(parents=True, exist_ok=True)
BLUE, GREEN, PURPLE, GREY = "#0072B2", "#009E73", "#CC79A7", "#6b6b6b"  # of Okabe and Ito, safe for the colour-blind
datasets.disable_progress_bars()

# %% [markdown]
# ## Texts in Swahili
#
# The texts are short news in Swahili of four topics: *afya* (health), *biashara* (business), *elimu* (education), *michezo* (sport).
# They are generated from the sentences below, which were written for this page: no corpus has to be downloaded. A text has
# sentences of its topic, neutral sentences, and in one of four texts a sentence with a name of another topic.
#
# The encoder is a small BERT with random weights. It stands for a pretrained encoder that has never seen the language: its word
# vectors mean nothing until it is trained.

# %%
SHARED = {
    "place": phrases("""
        Mwanza | Arusha | Dodoma | Tanga | Kisumu | Mombasa | Nakuru | Morogoro | Tabora | Iringa | Lindi | Songea"""),
    "when": phrases("""
        jana | leo | juzi | Jumatatu | Jumatano | wiki iliyopita | mwezi uliopita | asubuhi | usiku | mwaka jana"""),
    "person": phrases("""
        Baraka Mosha | Zawadi Njoroge | Rehema Otieno | Salim Bakari | Tatu Hamisi | Daudi Mwangi | Farida Said"""),
    "neutral": phrases("""
        mvua ilinyesha {place} {when} | {person} hakutaka kusema zaidi | wakazi wa {place} walishangaa |
        habari zaidi zitatolewa kesho | mkutano mwingine umepangwa | watu wengi walikuja kutoka {place} |
        barabara ya {place} ilifungwa {when} | {person} alitoa shukrani {when} | picha zitafuata kesho"""),
    "guest": phrases("""
        {name} ilitoa msaada {when} | miongoni mwa wageni walikuwa wawakilishi wa {name} | {name} ililipia usafiri |
        sherehe ilifanyika karibu na {name}"""),
}
TOPICS = {
    "afya": {
        "name": phrases("""
            Hospitali ya Amani | Kliniki ya Tumaini | Hospitali ya Mtende | Zahanati ya Bahari | Kliniki ya Nuru |
            Zahanati ya Mwembe | Maabara ya Jua | Hospitali ya Kilima"""),
        "who": phrases("daktari | muuguzi | mkunga | mfamasia"),
        "plain": phrases("""
            {who} wa {name} aliwatibu watoto wengi | wagonjwa wa malaria waliongezeka {place} {when} |
            {name} ilipokea dawa mpya {when} | chanjo ilitolewa kwa watoto mjini {place} |
            {who} alionya kuhusu homa mjini {place} | {name} ilikosa damu {when} |
            upasuaji ulifanyika katika {name} {when} | {who} wa {name} alipima presha ya wazee |
            kipindupindu kiliripotiwa {place} {when}"""),
        "quiet": phrases("""
            foleni ilikuwa ndefu tangu alfajiri | aliambiwa apumzike wiki mbili | maji yachemshwe kabla ya kunywa |
            mama na mtoto wanaendelea vizuri | vyandarua viligawiwa bure"""),
    },
    "biashara": {
        "name": phrases("""
            Benki ya Mlima | Kampuni ya Tausi | Kampuni ya Embe | Kampuni ya Radi | Benki ya Daraja | Bima ya Ngao |
            Kampuni ya Bahari | Benki ya Kilima"""),
        "who": phrases("mkurugenzi | mhasibu | mwekezaji | meneja"),
        "plain": phrases("""
            {name} ilipata faida kubwa {when} | bei ya sukari ilipanda mjini {place} | {name} ilifunga tawi la {place} |
            mkopo ulitolewa kwa wakulima wa {place} | {who} wa {name} alisaini mkataba {when} |
            hisa za {name} zilishuka {when} | {name} ilifungua duka jipya mjini {place} |
            kodi ya magari iliongezwa {when} | {who} wa {name} alilalamika kuhusu kodi"""),
        "quiet": phrases("""
            wateja walipungua kuliko zamani | pesa zitalipwa kwa awamu tatu | ghala limebaki tupu |
            mauzo yalikuwa mazuri kuliko mwaka jana | mizigo ilikwama bandarini"""),
    },
    "elimu": {
        "name": phrases("""
            Shule ya Mwenge | Shule ya Alizeti | Sekondari ya Nyota | Sekondari ya Lulu | Maktaba ya Bustani |
            Shule ya Upepo | Shule ya Mtende | Shule ya Tausi"""),
        "who": phrases("mwalimu | mwanafunzi | mhadhiri | mkaguzi"),
        "plain": phrases("""
            wanafunzi wa {name} walifaulu mtihani {when} | {name} ilipata vitabu vipya {when} |
            matokeo ya mtihani yalitangazwa {when} | walimu wa {place} walidai mishahara |
            {name} ilijenga madarasa matatu {when} | {who} wa {name} alipewa tuzo {when} |
            ada ya shule ilipunguzwa mjini {place} | somo la hisabati lilibadilishwa {when} |
            {who} wa {name} aliandika kitabu"""),
        "quiet": phrases("""
            madawati hayatoshi | kengele ililia saa mbili asubuhi | watoto walikaa chini ya mti |
            madaftari yalikuwa mapya | likizo itaanza kesho"""),
    },
    "michezo": {
        "name": phrases("""
            Nyota FC | Mawimbi United | Tembo Stars | Radi FC | Upepo FC | Kisiwa Rangers | Mwenge United | Jua Stars"""),
        "who": phrases("kocha | mshambuliaji | kipa | nahodha"),
        "plain": phrases("""
            {name} ilishinda mechi {when} | {name} ilifunga mabao mawili mjini {place} |
            {who} wa {name} alijiuzulu {when} | mashabiki wa {name} walisafiri hadi {place} |
            {who} wa {name} aliumia mguu {when} | {name} ilipoteza fainali mjini {place} |
            {who} alipata medali mjini {place} | ligi itaanza tena mwezi ujao | uwanja wa {place} ulijaa mashabiki"""),
        "quiet": phrases("""
            bao la pili lilikuja dakika ya mwisho | walicheza vizuri kipindi cha pili | mpira uligonga mwamba |
            nyasi zilikuwa na maji | hawajafungwa nyumbani msimu huu"""),
    },
}
CLASS_NAMES = tuple(TOPICS)


def generate(rows: int, seed: int) -> Dataset:
    """News with the columns `text` and `gold`."""
    rng = random.Random(seed)
    topics = [rng.choice(CLASS_NAMES) for _ in range(rows)]
    return Dataset.from_dict(
        {"text": [news(topic, rng) for topic in topics], "gold": list(map(CLASS_NAMES.index, topics))}
    )


def news(topic: str, rng: random.Random) -> str:
    own = {**SHARED, **TOPICS[topic]}
    other = {**SHARED, **TOPICS[rng.choice([name for name in CLASS_NAMES if name != topic])]}
    kinds = rng.choices([["plain"], ["plain", "quiet"], ["quiet"]], [0.45, 0.3, 0.25])[0]
    chosen = [(rng.choice(own[kind]), own) for kind in kinds]
    chosen += [(template, own) for template in rng.sample(SHARED["neutral"], k=rng.choice((0, 1, 2)))]
    chosen += [(rng.choice(SHARED["guest"]), other)] * (rng.random() < 0.25)
    rng.shuffle(chosen)
    sentences = [fill(template, slots, rng) for template, slots in chosen]
    return " ".join(f"{sentence[0].upper()}{sentence[1:]}." for sentence in sentences)


rows, test = generate(ROWS, seed=1), generate(TEST_ROWS, seed=2)
for text, topic in zip(rows["text"][:3], rows["gold"][:3], strict=True):
    print(f"{CLASS_NAMES[topic]}: {text}")

# %% [markdown]
# ## Label by lists of names
#
# Nobody labels the training texts. Lists of organisations label them, as gazetteers and knowledge bases do (distant
# supervision). A list votes for its topic if a text contains one of its names. The lists have the faults of real ones. Each knows
# six of eight names, and of a name only the last word, so *Tausi* is a company and a school.

# %%
KNOWN = 6
GENERIC = {"FC", "United", "Stars", "Rangers"}


def has_a_name(x, words: Sequence[str], topic: int) -> int:
    return topic if any(word in x.text for word in words) else -1


def distinctive(name: str) -> str:
    """The last word of a name, without words such as FC."""
    return [word for word in name.split() if word not in GENERIC][-1]


LISTS = [
    LabelingFunction(
        f"names of {topic}",
        has_a_name,
        resources={"words": [distinctive(name) for name in TOPICS[topic]["name"][-KNOWN:]], "topic": number},
    )
    for number, topic in enumerate(CLASS_NAMES)
]
voted = labels_from_votes(apply_labeling_functions(rows, LISTS), num_classes=len(CLASS_NAMES), hard=True)
labels, gold = np.array(voted["labels"][:]), np.array(rows["gold"][:])
has_vote = covered(votes_of(voted))
print(
    f"{has_vote.mean():.1%} of {ROWS} texts have a label, and {(labels != gold)[has_vote].mean():.1%} of these are wrong"
)

# %% [markdown]
# About half of the labels are wrong. Often a text has a name of another topic, or a name that is on two lists.
#
# ## Trusted rows
#
# Somebody who speaks the language labels a few texts. We compare:
#
# - **lists alone:** cross-entropy on the texts that the lists label, or `auto` on all texts and votes;
# - **trusted rows alone:** cross-entropy, for as many steps as on the lists' labels;
# - **`glc`** (gold loss correction, Hendrycks et al. 2018): the trusted rows go to `clean_dataset=`. The method estimates from them
#   how each class is labelled, and trains on both;
# - **`auto` on both:** the trusted rows are added to the training set, and the person is one more source of votes.
#
# Everything is measured with 25, 50 and 100 trusted rows.


# %%
def train_and_test(
    train_rows: Dataset, noise_method: str, epochs: int = EPOCHS, trusted: Dataset | None = None
) -> float:
    set_seed(0)
    args = NoisyTrainingArguments(
        "output/lessons/trainer", noise_method=noise_method, num_train_epochs=epochs, learning_rate=1e-3,
        per_device_train_batch_size=32, per_device_eval_batch_size=500, logging_strategy="no", save_strategy="no",
        report_to="none", disable_tqdm=True, dataloader_pin_memory=False,
    )  # fmt: skip
    trainer = NoisyTrainer(
        small_encoder(texts, CLASS_NAMES, seed=0)[0],
        args,
        train_dataset=tokenize(train_rows, tokenizer, 48, keep_text=True),
        clean_dataset=None if trusted is None else tokenize(trusted, tokenizer, 48),
        processing_class=tokenizer,
    )
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    return float((trainer.predict(test_rows).predictions.argmax(-1) == test_gold).mean())


def with_person(rows: Dataset, votes: np.ndarray, said: np.ndarray) -> Dataset:
    """Adds the person as the last source of votes; -1 where the person has not labelled a text."""
    both = np.column_stack([votes, said])
    return rows.select_columns(["text", "labels"]).add_column(
        "weak_labels", both.tolist(), feature=List(Value("int16"))
    )


texts = rows["text"][:]
tokenizer = small_encoder(texts, CLASS_NAMES)[1]
test_rows, test_gold = tokenize(test.select_columns(["text"]), tokenizer, 48), np.array(test["gold"][:])
labelled = voted.select(np.flatnonzero(has_vote)).select_columns(["text", "labels"])
lists_alone = {
    "cross-entropy": train_and_test(labelled, "ce"),
    "auto": train_and_test(voted.select_columns(["text", "labels", "weak_labels"]), "auto"),
}
pool = generate(max(SIZES), seed=3)
columns = {"trusted rows alone": [], "glc on both": [], "auto on both": []}
for size in SIZES:
    trusted = pool.select(range(size)).rename_column("gold", "labels")
    truth = np.array(trusted["labels"][:])
    trusted_votes = votes_of(apply_labeling_functions(trusted, LISTS))
    parts = with_person(voted, votes_of(voted), np.full(ROWS, -1)), with_person(trusted, trusted_votes, truth)
    both = concatenate_datasets(list(parts))
    columns["trusted rows alone"].append(train_and_test(trusted, "ce", round(EPOCHS * len(labelled) / size)))
    columns["glc on both"].append(train_and_test(labelled, "glc", trusted=trusted))
    columns["auto on both"].append(train_and_test(both, "auto"))
results = pd.DataFrame(columns, index=[f"{size} trusted rows" for size in SIZES])
print("lists alone: " + ", ".join(f"{value:.3f} with {name}" for name, value in lists_alone.items()))
print(results.round(3).to_string())
ceiling = train_and_test(rows.select_columns(["text", "gold"]).rename_column("gold", "labels"), "ce")
print(f"true labels of all {ROWS} texts: {ceiling:.3f}")

# %% alt="Line chart: accuracy on clean test rows against 25, 50 and 100 trusted rows. Auto on both rises steadily and is highest with 25 and 50 rows. Trusted rows alone start low, rise steeply and are highest with 100 rows. glc on both stays below auto everywhere. Two dotted horizontal lines: lists alone with auto, and below it lists alone with cross-entropy."
figure, axes = plt.subplots(figsize=(7, 4.4), layout="constrained")
right = SIZES[-1] * 1.04
for (name, values), colour in zip(columns.items(), (GREEN, PURPLE, BLUE), strict=True):
    axes.plot(SIZES, values, "o-", color=colour)
    axes.text(right, values[-1], name, color=colour, va="center")
for name, value in lists_alone.items():
    axes.hlines(value, SIZES[0], SIZES[-1], color=GREY, linestyle=":", linewidth=1)
    axes.text(right, value, f"lists alone, {name}", color=GREY, va="center", fontsize=9)
axes.set(xscale="log", xlabel="trusted rows", ylabel="accuracy on clean test rows", xticks=SIZES, xticklabels=SIZES)
axes.set(xlim=(SIZES[0] * 0.93, SIZES[-1] * 1.7), ylim=(0, 1))
axes.minorticks_off()
figure.savefig(OUTPUT / "another_language.png", dpi=120)

# %% [markdown]
# ## What this shows, and what it does not
#
# - With 25 trusted rows, these rows alone are not enough. Lists and trusted rows together, with `auto`, give the best classifier.
# - With 100 trusted rows, these rows alone are best, and the lists only do harm. So train on the trusted rows alone first, and keep
#   that result as the one to beat.
# - `glc` estimates a matrix for each class from few rows. Here it is worse than `auto` on the same rows.
# - This is one draw of texts, trusted rows and weights. With another draw the lines cross at another number of rows.
# - The texts are generated from about seventy sentences, so a hundred rows have shown most of them. On real texts a hundred trusted rows
#   cover less. [The benchmark](../../docs/evidence/benchmark.md) has a corpus of news in Hausa that was labelled by word lists.
#
# Next: the guide [Use trusted rows](../../docs/guides/trusted_rows.md). `recipes/low_resource.py` makes a similar comparison on a corpus
# of yours.
