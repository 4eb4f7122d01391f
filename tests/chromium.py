"""Drives a headless Chromium over the WebDriver protocol, with nothing but the standard library.

Protocol: W3C WebDriver, and chromedriver's own commands for its logs and for the DevTools.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

BINARY = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
MISSING = "no chromium and chromedriver on PATH: apt-get install chromium chromium-driver"
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1280,900",
)
_ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
KEYS = {"down": "\ue015", "up": "\ue013", "enter": "\ue007", "escape": "\ue00c"}


class Chromium:
    """One browser with an empty profile."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chromium-"))
        self.driver = subprocess.Popen(
            [DRIVER, "--port=0"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self.session, self.downloads = "", self.folder / "downloads"
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        self.address = self._listening()
        options = {"binary": BINARY, "args": [*FLAGS, f"--user-data-dir={self.folder / 'profile'}"]}
        wanted = {
            "goog:chromeOptions": options,
            "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"},
            "unhandledPromptBehavior": "ignore",
        }
        self.session = "/" + self.send("POST", "", {"capabilities": {"alwaysMatch": wanted}})["sessionId"]
        self.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def _listening(self) -> str:
        for line in self.driver.stdout:
            if found := re.search(r"successfully on port (\d+)", line):
                return f"http://127.0.0.1:{found[1]}/session"
        raise RuntimeError("chromedriver ended before it listened")

    def close(self) -> None:
        try:
            if self.session:
                self.send("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.driver.stdout.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def send(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if method == "DELETE" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self.address + self.session + path, data, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                raise RuntimeError(json.load(error)["value"]["message"].split("\n")[0]) from None

    def get(self, path: Path) -> None:
        """Opens a file, with what was logged before forgotten, and waits until it is drawn: keys before that are lost."""
        self.send("POST", "/url", {"url": "about:blank"})
        self.logged(), self.requested()
        self.send("POST", "/url", {"url": path.as_uri()})
        drawn = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
        self.send("POST", "/execute/async", {"script": drawn, "args": []})

    def forget(self) -> None:
        """Empties the local storage that files share."""
        (self.folder / "empty.html").touch()
        self.get(self.folder / "empty.html")
        self.run("localStorage.clear()")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function of this body returns in the page."""
        return self.send("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.send("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def find(self, selector: str) -> dict[str, str]:
        return self.send("POST", "/element", {"using": "css selector", "value": selector})

    def click(self, selector: str) -> None:
        """A click of the mouse, which fails where something else is in the way."""
        self.send("POST", f"/element/{self.find(selector)[_ELEMENT]}/click")

    def type(self, selector: str, text: str) -> None:
        """Keys into an element; a path into one that takes files."""
        self.send("POST", f"/element/{self.find(selector)[_ELEMENT]}/value", {"text": text})

    def press(self, *keys: str) -> None:
        """Keys to what has the focus."""
        events = [{"type": kind, "value": KEYS.get(key, key)} for key in keys for kind in ("keyDown", "keyUp")]
        self.send("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": events}]})

    def choose(self, selector: str, value: str) -> None:
        """Chooses an option of a select, as a person would leave it."""
        script = "const box = document.querySelector(arguments[0]); box.value = arguments[1];"
        self.run(script + "box.dispatchEvent(new Event('change', {bubbles: true}))", selector, value)

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def logged(self) -> list[str]:
        """What was written to the console since it was last asked."""
        return [entry["message"] for entry in self.send("POST", "/se/log", {"type": "browser"})]

    def requested(self) -> list[str]:
        """The addresses that were asked for since they were last asked for."""
        entries = [
            json.loads(entry["message"])["message"] for entry in self.send("POST", "/se/log", {"type": "performance"})
        ]
        found = [
            entry["params"]["request"]["url"] for entry in entries if entry["method"] == "Network.requestWillBeSent"
        ]
        return [address for address in found if address != "about:blank"]

    def downloaded(self, kind: str) -> Path:
        """The one file of this ending that was downloaded; it is moved away, so that the next is the one again.

        Chromium first makes an empty file of the last name, and puts the whole one in its place when it is written:
        an empty file is not there yet.
        """

        def whole() -> Path | None:
            return next((path for path in self.downloads.glob(f"*.{kind}") if path.stat().st_size), None)

        path = wait(whole)
        return path.rename(self.folder / path.name)


def wait(ask: Callable[[], Any], seconds: float = 20) -> Any:
    """What `ask` says, as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := ask()):
        if time.monotonic() > end:
            raise TimeoutError(f"not so within {seconds} s")
        time.sleep(0.02)
    return found
