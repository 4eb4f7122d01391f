"""What mkdocstrings reads beyond docstrings: the comment beside a field, and doctests as blocks of code.

The package documents a field of a dataclass by the comment on its line, and writes an example as `>>>` in the text of a
docstring. Markdown would drop the first and quote the second.
"""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe

_COMMENT = re.compile(r"(?:^|\s)#\s(?P<text>.+)$")


class Docstrings(griffe.Extension):
    """Completes the docstrings of the package while griffe loads it."""

    def on_attribute_instance(self, *, node: Any, attr: griffe.Attribute, **_: Any) -> None:
        """Give a field of a class, or a constant of a module, the comment that stands beside it."""
        if attr.docstring is None and _names_a_field(node) and (text := comment_of(attr)):
            attr.docstring = griffe.Docstring(sentence(text), lineno=attr.lineno, parent=attr)

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Put each example into a block of code."""
        if obj.docstring is not None:
            obj.docstring.value = with_fenced_examples(obj.docstring.value)


def _names_a_field(node: Any) -> bool:
    """Whether an assignment sets a name, not an attribute of `self`."""
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    return all(isinstance(target, ast.Name) for target in targets)


def comment_of(attr: griffe.Attribute) -> str:
    """Returns the comment on the lines of an attribute, or on the line above it; an empty string without one."""
    lines = attr.lines_collection[attr.filepath]
    first, last = attr.lineno or 1, attr.endlineno or attr.lineno or 1
    of_module = attr.parent is not None and attr.parent.is_module
    beside = lines[first - 1 : first if of_module else last]  # inside a table of a module, comments are of its rows
    found = [match["text"] for line in beside if (match := _COMMENT.search(line)) and "noqa" not in match["text"]]
    above = lines[first - 2].strip() if first > 1 else ""
    return found[0] if found else above.removeprefix("# ") if above.startswith("# ") and not of_module else ""


def sentence(comment: str) -> str:
    """Returns the comment with a capital at its start and a full stop at its end.

    >>> sentence("(rows,) class ids; -1 for none"), sentence("names of the sources")
    ('(rows,) class ids; -1 for none.', 'Names of the sources.')
    """
    return f"{comment[0].upper()}{comment[1:]}{'' if comment.endswith('.') else '.'}"


def with_fenced_examples(text: str) -> str:
    """Returns a docstring in which each paragraph that begins with `>>>` is a fenced block.

    >>> print(with_fenced_examples("Adds.\\n\\n>>> add(1, 2)\\n3").replace("`", "~"))
    Adds.
    <BLANKLINE>
    ~~~pycon
    >>> add(1, 2)
    3
    ~~~
    """
    lines: list[str] = []
    inside = False
    for line in [*text.split("\n"), ""]:
        if not inside and line.startswith(">>> "):
            lines += [*([""] if lines and lines[-1] else []), "```pycon"]
            inside = True
        elif inside and not line.strip():
            lines.append("```")
            inside = False
        lines.append(line.replace("<BLANKLINE>", "") if inside else line)
    return "\n".join(lines).rstrip()
