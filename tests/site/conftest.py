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


@pytest.fixture(scope="session")
def only_tab(browser, base):
    """What `tab` hands out."""
    return chromium.Visit(browser, base)


@pytest.fixture
def tab(only_tab):
    """A page that all tests with it open, one after the other: what pages share is loaded once."""
    only_tab.page.set_viewport_size({"width": 1280, "height": 720})
    yield only_tab
    only_tab.check()
