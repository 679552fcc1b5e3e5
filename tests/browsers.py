"""Headless Chromium for tests of pages: Debian's package, driven by Playwright."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.waiting import wait_until

# It runs as root in containers, and asks nobody for updates, safe-browsing lists and the like.
_ARGUMENTS = (
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
)


@contextlib.contextmanager
def chromium(*arguments: str) -> Iterator[Any]:
    """Yields a Playwright browser, or skips the test where there is none.

    Playwright's loop runs in the thread until the block ends: no other loop of asyncio can.

    Args:
      arguments: Further arguments of Chromium's command line.
    """
    playwright = pytest.importorskip('playwright.sync_api', reason='playwright is not installed')
    names = ('chromium', 'chromium-browser', 'google-chrome')
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip('no Chromium on PATH (Debian: apt-get install chromium)')
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=path, args=[*_ARGUMENTS, *arguments], timeout=120_000
        )
        try:
            yield browser
        finally:
            browser.close()


def pump_until(page: Any, condition: Callable[[], object]) -> None:
    """Waits for what Playwright tells, which it does while the page is waited for."""

    def is_so() -> object:
        page.wait_for_timeout(10)
        return condition()

    wait_until(is_so, seconds=30)
