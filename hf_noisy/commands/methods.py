"""The table of methods, one in full, and one as a YAML file of settings."""

from __future__ import annotations

import inspect
import json
import shutil
import textwrap
from functools import partial
from typing import Any

from hf_noisy.common.checks import nearest
from hf_noisy.methods.registry import METHODS, Method


def table_of_methods() -> str:
    """One block a method: its name and what it does to an example; parameters, needs and paper below."""
    width = shutil.get_terminal_size((100, 24)).columns
    column = max(map(len, METHODS)) + 2

    def block(name: str, method: Method) -> str:
        lines = [f"{name:{column}}{method.summary}"]
        lines += [line for line in (parameters(method), needs(method), method.paper) if line]
        return "\n".join(
            textwrap.fill(
                line,
                width,
                initial_indent=" " * column if number else "",
                subsequent_indent=" " * column,
                break_on_hyphens=False,
            )
            for number, line in enumerate(lines)
        )

    return "\n".join(block(name, method) for name, method in METHODS.items())


def method_in_full(name: str) -> str:
    """All that is known of a method: the line of the table, each parameter on its own, and the docstring of its class.

    Raises:
        ValueError: no such method; the nearest is named.
    """
    method = _known(name)
    build = method.build.func if isinstance(method.build, partial) else method.build
    fixed = method.build.keywords if isinstance(method.build, partial) else {}
    arguments = ", ".join([f"{key}={value!r}" for key, value in fixed.items()] + ["..."] * bool(method.parameters))
    lines = [
        f"{name}: {method.summary}",
        "",
        f"  needs: {needs(method).removeprefix('needs ') or 'nothing but labels'}",
        f"  in code: hf_noisy.{build.__name__}({arguments})",
        f"  paper: {method.paper}",
        *(f"  noise_kwargs: {key}={_written(value)}" for key, value in method.parameters.items()),
        "",
        inspect.cleandoc(build.__doc__ or ""),
        *(f"\n`{base.__name__}`: {inspect.cleandoc(base.__doc__ or '')}" for base in _referred_to(build)),
    ]
    return "\n".join(lines)


def _referred_to(build: Any) -> list[type]:
    """The classes that a method is made from and whose parameters its docstring leaves to them."""
    said = build.__doc__ or ""
    return [base for base in getattr(build, "__mro__", ())[1:] if f"as in `{base.__name__}`" in said]


def config_of(name: str) -> str:
    """A YAML file that trains with a method, all its parameters at their defaults, for `--config`.

    Raises:
        ValueError: no such method; the nearest is named.

    >>> print(config_of("gce"))
    # gce: trusts a label the less, the less the model believes it
    # Zhang and Sabuncu, Generalized Cross Entropy Loss for Training Deep Neural Networks with Noisy Labels, NeurIPS 2018
    # accelerate launch recipes/sentiment.py --config recipes/configs/gce.yaml
    noise_method: gce
    noise_kwargs:
      q: 0.7
    output_dir: output/gce
    <BLANKLINE>
    """
    method = _known(name)
    comments = [f"{name}: {method.summary}", method.paper, *filter(None, [needs(method)])]
    comments.append(f"accelerate launch recipes/sentiment.py --config recipes/configs/{name}.yaml")
    lines = [f"# {line}" for comment in comments for line in textwrap.wrap(comment, 120, break_on_hyphens=False)]
    lines.append(f"noise_method: {name}")
    lines += ["noise_kwargs:"] * bool(method.parameters)
    lines += [f"  {key}: {json.dumps(value)}" for key, value in method.parameters.items()]
    return "\n".join([*lines, f"output_dir: output/{name}", ""])


def _known(name: str) -> Method:
    if name not in METHODS:
        raise ValueError(f"unknown method {name!r}. {nearest(name, METHODS)}")
    return METHODS[name]


def parameters(method: Method) -> str:
    """`q=0.7 k=0.5`, as README writes it."""
    return " ".join(f"{key}={_written(value)}" for key, value in method.parameters.items())


def needs(method: Method) -> str:
    """What a method asks for besides labels; empty where it asks for nothing."""
    asked = {
        "clean rows (clean_dataset=)": method.reads_clean,
        "votes (a column weak_labels)": method.reads_votes,
    }
    told = [what for what, is_asked in asked.items() if is_asked]
    lines = [f"needs {' and '.join(told)}"] if told else []
    if method.reads_unlabeled:
        lines.append("learns from unlabeled rows (-1) too")
    return "; ".join(lines)


def _written(value: Any) -> str:
    """As JSON where it can be, which is what the command line takes."""
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
