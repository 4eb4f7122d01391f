"""The command `methods`: the table of methods, the full description of one, and its YAML file for `--config`."""

from __future__ import annotations

import inspect
import json
import shutil
import textwrap
from functools import partial
from typing import Any

from hf_noisy.common.checks import nearest
from hf_noisy.methods.guide import GUIDE, SYMBOLS
from hf_noisy.methods.registry import METHODS, Method


def table_of_methods() -> str:
    """Return one block of text per method: name and summary, when to use it, parameters, requirements and paper."""
    width = shutil.get_terminal_size((100, 24)).columns
    column = max(map(len, METHODS)) + 2

    def block(name: str, method: Method) -> str:
        lines = [f"{name:{column}}{method.summary}"]
        lines.append(f"use it when {GUIDE[name].use}")
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
    """Return the full description of a method: summary, advice, formula, parameters, and the docstring of its class.

    Raises:
        ValueError: unknown method; the error suggests the nearest name.
    """
    method = _known(name)
    build = method.build.func if isinstance(method.build, partial) else method.build
    fixed = method.build.keywords if isinstance(method.build, partial) else {}
    arguments = ", ".join([f"{key}={value!r}" for key, value in fixed.items()] + ["..."] * bool(method.parameters))
    guide = GUIDE[name]
    lines = [
        f"{name}: {method.summary}",
        "",
        f"  use it when: {guide.use}",
        f"  not when: {guide.avoid}",
        *(["  epoch: keep the last one; noisy validation labels choose worse ones"] * method.keeps_last),
        "  formula:",
        *(f"    {line}" for line in guide.formula.splitlines()),
        f"    ({'; '.join(f'{symbol}: {meaning}' for symbol, meaning in SYMBOLS.items())})",
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
    """Return the base classes whose docstrings describe parameters of the method: its own says "as in `Base`"."""
    docstring = build.__doc__ or ""
    return [base for base in getattr(build, "__mro__", ())[1:] if f"as in `{base.__name__}`" in docstring]


def config_of(name: str) -> str:
    """Return a YAML file for `--config` that trains with a method, all its parameters at their defaults.

    Raises:
        ValueError: unknown method; the error suggests the nearest name.

    >>> print(config_of("gce"))
    # gce: lowers the gradient of an example whose label has a low predicted probability
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
    """Return the default parameters in the form of the README: `q=0.7 k=0.5`."""
    return " ".join(f"{key}={_written(value)}" for key, value in method.parameters.items())


def needs(method: Method) -> str:
    """Return what a method needs besides labels, or an empty string if it needs nothing."""
    inputs = {
        "clean rows (clean_dataset=)": method.reads_clean,
        "votes (a column weak_labels)": method.reads_votes,
    }
    required = [name for name, is_required in inputs.items() if is_required]
    lines = [f"needs {' and '.join(required)}"] if required else []
    if method.reads_unlabeled:
        lines.append("learns from unlabeled rows (-1) too")
    return "; ".join(lines)


def _written(value: Any) -> str:
    """Format a value for the command line: a float with four significant digits, anything else as JSON."""
    return f"{value:.4g}" if isinstance(value, float) else json.dumps(value)
