"""What MkDocs calls while it builds the site: adds the pages of the methods and fills in the generated parts of pages.

A page asks for a generated part by a line `<!-- generated: MODULE.FUNCTION ARGUMENT ... -->`. The line is replaced by what
`FUNCTION(ARGUMENT, ...)` of docs/generators/MODULE.py returns: markdown, made from the code or from files of results.
"""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

_REQUEST = re.compile(r"^<!-- generated: (\w+)\.(\w+)((?: \S+)*) -->$", re.MULTILINE)
METHODS_IN_NAV = "reference/methods/"


def generated(text: str) -> str:
    """Replace each request of a page by what it asks for.

    Raises:
        ImportError, AttributeError: no such module or function in docs/generators.
    """

    def answer(match: re.Match[str]) -> str:
        module, function, arguments = match.groups()
        return str(getattr(importlib.import_module(module), function)(*arguments.split()))

    return _REQUEST.sub(answer, text)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """List the pages of the methods in the navigation."""
    sys.path.insert(0, str(Path(__file__).parent))  # here, since MkDocs puts sys.path back when it has loaded this file
    from method_pages import PAGES

    config.nav = _filled(config.nav, PAGES)
    return config


def _filled(nav: Any, pages: list[tuple[str, str]]) -> Any:
    if isinstance(nav, list):
        return [_filled(entry, pages) for entry in nav]
    if isinstance(nav, dict):
        return {title: _filled(entry, pages) for title, entry in nav.items()}
    return [{title: path} if title else path for title, path in pages] if nav == METHODS_IN_NAV else nav


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that have no file in docs."""
    from method_pages import PAGES, page

    for _, path in PAGES:
        files.append(File.generated(config, path, content=page(path)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    return generated(markdown)
