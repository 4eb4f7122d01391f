"""The site, built as CI builds it, in a browser: phone and desktop width, light and dark, search, text alternatives."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from time import sleep

import pytest
from chromium import BINARY, DRIVER, MISSING, Chromium, wait

ROOT = Path(__file__).resolve().parents[2]
WIDTHS = {"phone": 390, "desktop": 1280}
SCHEMES = {"light": "default", "dark": "slate"}  # as the browser prefers: as Material calls it

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site") / "site"
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=ROOT, env={**os.environ, "NO_MKDOCS_2_WARNING": "1"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def address(site) -> Iterator[str]:
    """Where the site is served; the search works over HTTP only."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *words: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Chromium]:
    if BINARY is None or DRIVER is None:
        pytest.skip(MISSING)
    browser = Chromium()
    yield browser
    browser.close()


def pages_of(site: Path) -> list[str]:
    return sorted(str(path.parent.relative_to(site)) + "/" for path in site.rglob("index.html"))


def show(browser: Chromium, width: str, scheme: str) -> None:
    browser.devtools(
        "Emulation.setDeviceMetricsOverride", width=WIDTHS[width], height=900, deviceScaleFactor=1, mobile=False
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.devtools("Emulation.setEmulatedMedia", features=[feature])


def test_the_site_builds_without_a_warning(site):
    assert (site / "index.html").is_file()


OVERFLOW = "return document.documentElement.scrollWidth - window.innerWidth"


def test_no_page_overflows_sideways(site, address, browser):
    wide = []
    for page in pages_of(site):
        browser.driver.get(address + page)
        for width in WIDTHS:
            show(browser, width, "light")
            over = browser.run(OVERFLOW)
            if over > 0:  # on a busy machine the page may still be laid out for the width before
                sleep(1)
                over = browser.run(OVERFLOW)
            if over > 0:
                wide.append(f"{page}, {width}: {over} pixels")
    assert len(pages_of(site)) > 80
    assert not wide


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("width", WIDTHS)
def test_pages_follow_the_preferred_scheme_and_are_readable(address, browser, width, scheme):
    show(browser, width, scheme)
    browser.driver.get(address)
    browser.run("localStorage.clear()")  # where the page keeps the scheme of the last visit
    for page in ("./", "guides/choosing_a_method/", "reference/methods/co_teaching/", "evidence/benchmark/"):
        browser.driver.get(address + page)
        assert browser.run("return document.body.getAttribute('data-md-color-scheme')") == SCHEMES[scheme]
        contrasts = browser.run(CONTRASTS)
        assert contrasts
        assert min(contrasts) > 4.5, page  # WCAG 2.2, level AA


def test_nothing_is_asked_of_another_server(address, browser):
    browser.requested()
    browser.driver.get(address)
    browser.driver.get(address + "reference/methods/")
    assert [asked for asked in browser.requested() if not asked.startswith((address, "data:", "blob:"))] == []


def test_every_picture_has_a_text_alternative(site, address, browser):
    without = []
    for page in pages_of(site):
        if "<img" in (site / page / "index.html").read_text(encoding="utf-8"):
            browser.driver.get(address + page)
            alternatives = browser.run(
                "return [...document.querySelectorAll('article img')].map(i => [i.alt, i.naturalWidth])"
            )
            without += [page for text, wide in alternatives if len(text.split()) < 4 or not wide]
    assert not without


def test_search_finds_a_method(address, browser):
    show(browser, "desktop", "light")
    browser.driver.get(address)
    browser.click("label.md-search__icon, .md-search__input")
    browser.type(".md-search__input", "co_teaching")
    found = wait(
        lambda: browser.run("return [...document.querySelectorAll('.md-search-result__link')].map(a => a.href)")
    )
    assert any("reference/methods/co_teaching/" in link for link in found)


CONTRASTS = """
const channels = colour => colour.match(/[\\d.]+/g).map(Number);
const light = colour => {
  const [r, g, b] = channels(colour).slice(0, 3).map(v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const behind = element => {
  for (let at = element; at; at = at.parentElement) {
    const colour = getComputedStyle(at).backgroundColor, parts = channels(colour);
    if (parts.length === 3 || parts[3] === 1) return colour;
  }
  return 'rgb(255, 255, 255)';
};
return [...document.querySelectorAll('article p, article li, article td')].slice(0, 50).map(element => {
  const colour = getComputedStyle(element).color, [r, g, b, alpha = 1] = channels(colour), under = channels(behind(element));
  const mixed = [r, g, b].map((value, at) => alpha * value + (1 - alpha) * under[at]);
  const pair = [light(`rgb(${mixed})`), light(behind(element))].sort((x, y) => y - x);
  return (pair[0] + 0.05) / (pair[1] + 0.05);
});
"""
