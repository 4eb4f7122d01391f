"""A headless Chromium, driven by Selenium."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

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
KEYS = {"down": Keys.ARROW_DOWN, "up": Keys.ARROW_UP, "enter": Keys.ENTER, "escape": Keys.ESCAPE}


class Chromium:
    """One browser with an empty profile."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="chromium-"))
        self.downloads = self.folder / "downloads"
        options = webdriver.ChromeOptions()
        options.binary_location = BINARY
        for flag in (*FLAGS, f"--user-data-dir={self.folder / 'profile'}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        options.unhandled_prompt_behavior = "ignore"
        try:
            self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise
        self.devtools("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(self.downloads))

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self.folder, ignore_errors=True)

    def get(self, path: Path) -> None:
        """Opens a file, with what was logged before forgotten, and waits until it is drawn: keys before that are lost."""
        self.driver.get("about:blank")
        self.logged(), self.requested()
        self.driver.get(path.as_uri())
        drawn = "const done = arguments[0]; requestAnimationFrame(() => requestAnimationFrame(done));"
        self.driver.execute_async_script(drawn)

    def forget(self) -> None:
        """Empties the local storage that files share."""
        (self.folder / "empty.html").touch()
        self.get(self.folder / "empty.html")
        self.run("localStorage.clear()")

    def run(self, script: str, *arguments: Any) -> Any:
        """What a function of this body returns in the page."""
        try:
            return self.driver.execute_script(script, *arguments)
        except WebDriverException as error:
            raise RuntimeError(error.msg) from None

    def dismiss(self) -> None:
        """Closes an alert; RuntimeError where there is none."""
        try:
            self.driver.switch_to.alert.dismiss()
        except WebDriverException as error:
            raise RuntimeError(error.msg) from None

    def devtools(self, command: str, **parameters: Any) -> Any:
        return self.driver.execute_cdp_cmd(command, parameters)

    def click(self, selector: str) -> None:
        """A click of the mouse, which fails where something else is in the way."""
        self._find(selector).click()

    def type(self, selector: str, text: str) -> None:
        """Keys into an element; a path into one that takes files."""
        self._find(selector).send_keys(text)

    def press(self, *keys: str) -> None:
        """Keys to what has the focus."""
        actions = ActionChains(self.driver)
        for key in keys:
            actions.send_keys(KEYS.get(key, key))
        actions.perform()

    def choose(self, selector: str, value: str) -> None:
        """Chooses an option of a select, as a person would leave it."""
        Select(self._find(selector)).select_by_value(value)

    def text(self, selector: str) -> str:
        return self.run("return document.querySelector(arguments[0]).innerText", selector)

    def logged(self) -> list[str]:
        """What was written to the console since it was last asked."""
        return [entry["message"] for entry in self.driver.get_log("browser")]

    def requested(self) -> list[str]:
        """The addresses that were asked for since they were last asked for."""
        entries = [json.loads(entry["message"])["message"] for entry in self.driver.get_log("performance")]
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

    def _find(self, selector: str) -> Any:
        return self.driver.find_element(By.CSS_SELECTOR, selector)


def wait(ask: Callable[[], Any], seconds: float = 20) -> Any:
    """What `ask` says, as soon as that is true."""
    end = time.monotonic() + seconds
    while not (found := ask()):
        if time.monotonic() > end:
            raise TimeoutError(f"not so within {seconds} s")
        time.sleep(0.02)
    return found
