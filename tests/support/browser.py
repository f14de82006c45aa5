"""The system's own Chromium, and what it complains of while it shows a page."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
NAMES = ("chromium", "chromium-browser", "google-chrome")


def chromium() -> str | None:
    """Where it is; None where it is not installed."""
    return next(filter(None, map(shutil.which, NAMES)), None)


needs_chromium = pytest.mark.skipif(
    chromium() is None, reason=f"needs a browser, and none of {', '.join(NAMES)} is on PATH"
)


@contextmanager
def browsing() -> Iterator[Browser]:
    """A browser."""
    with sync_playwright() as playwright:
        # As root, as in a container, it starts only without its own sandbox.
        args = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=chromium(), args=args)
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and whatever it complained of or asked elsewhere.

    Args:
        browser: Shows it.
        url: Where the daemon is.
        options: Of the browser's context.
    """

    def __init__(self, browser: Browser, url: str, **options: Any) -> None:
        self.context: BrowserContext = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.complaints: list[str] = []
        """Errors and warnings of the console (violations of the policy are among them), and exceptions."""
        self.asked: list[str] = []
        """Addresses that it asked."""
        self._origin = _origin(url)
        self.page.on("console", self._hear)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(url)

    @property
    def elsewhere(self) -> list[str]:
        """Addresses of other origins."""
        return [url for url in self.asked if _origin(url) != self._origin]

    def _hear(self, message: Any) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


def unusable(page: Page, *rules: str) -> list[str]:
    """What axe-core finds on a page as it is shown: rule, and where.

    Args:
        page: Its policy has to be bypassed.
        rules: Only of these; all without any.
    """
    if not page.evaluate("Boolean(window.axe)"):
        page.evaluate(AXE.read_text(encoding="utf-8"))
    asked = {"resultTypes": ["violations"]} | ({"runOnly": list(rules)} if rules else {})
    found = page.evaluate("(asked) => axe.run(document, asked)", asked)
    return [
        f"{rule['id']}: {node['html'][:200]} {node['failureSummary'][:300]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


def _origin(url: str) -> tuple[str, str]:
    parts = urlsplit(url)
    return parts.scheme, parts.netloc
