"""A Chromium to walk the page with: found, opened, and watched for everything the page must never do."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

PLACES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
WIDE, NARROW = 1600, 360


def find_chromium() -> str | None:
    """Return the browser's path: $CHROMIUM, or one on the PATH."""
    named = os.environ.get("CHROMIUM")
    if named:
        return named if Path(named).exists() else None
    return next((found for place in PLACES if (found := shutil.which(place))), None)


@contextmanager
def open_browser() -> Iterator[Browser]:
    """Open Chromium; skip the test where there is none.

    Close it with the module: while it is open, Playwright's event loop runs in this thread, and no other may begin.
    """
    path = find_chromium()
    if path is None:
        pytest.skip("no Chromium at $CHROMIUM or on the PATH: install one, or name it in CHROMIUM")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def visit(
    browser: Browser,
    origin: str,
    address: str = "",
    *,
    width: int = 1280,
    dark: bool = False,
    bypass_csp: bool = False,
    refusals: bool = False,
) -> Iterator[Page]:
    """Open `origin/address` in a fresh profile; after the test, fail if the page did what it must not.

    Args:
        bypass_csp: for tools that have to be put into the page; nothing is then said about its policy.
        refusals: the test makes the server refuse something, which Chromium writes to its console by itself.
    """
    context = browser.new_context(
        viewport={"width": width, "height": 900},
        color_scheme="dark" if dark else "light",
        reduced_motion="reduce",
        bypass_csp=bypass_csp,
    )
    context.set_default_timeout(8000)
    page = context.new_page()
    problems: list[str] = []

    def on_request(request: Request) -> None:
        if not request.url.startswith((origin + "/", "data:", "blob:" + origin)):
            problems.append(f"request beyond the origin: {request.url}")

    def on_console(message: ConsoleMessage) -> None:
        known = refusals and message.text.startswith("Failed to load resource")
        if message.type in ("error", "warning") and not known:
            problems.append(f"console: {message.text}")  # violations of the policy are told here, too

    page.on("request", on_request)
    page.on("console", on_console)
    page.on("pageerror", lambda fault: problems.append(f"error: {fault}"))
    page.goto(f"{origin}/{address}")
    yield page
    context.close()
    assert not problems
