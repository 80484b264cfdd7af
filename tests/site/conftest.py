"""A browser and a server for the tests of the built site."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import browser as chromium


@pytest.fixture(scope="session")
def base():
    with chromium.served() as address:
        yield address


@pytest.fixture(scope="session")
def browser():
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium.CHROMIUM, args=chromium.ARGUMENTS)
        yield found
        found.close()


@pytest.fixture
def visit(browser, base):
    """A function that opens a page; at the end, nothing may have gone wrong in any."""
    opened = []

    def visit_page(path, address=base, **options):
        opened.append(chromium.Visit(browser, address, **options))
        return opened[-1].open(path).page

    yield visit_page
    for each in opened:
        each.close()
