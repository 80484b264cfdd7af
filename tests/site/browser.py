"""Where the built site and the browser are, and a server for the one and an opened page of the other."""

import contextlib
import functools
import http.server
import os
import shutil
import threading
from pathlib import Path

# Named, not guessed: a site built some time ago need not be that of the present sources, and the tests take minutes.
SITE = Path(os.environ.get("GENESIS_SITE_DIR") or "no site")
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
# 404.html is for any address and so has absolute links, which hold where the site is published.
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if path.name != "404.html")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
             "--disable-component-update", "--disable-sync"]


def missing():
    """What is not here that the browser tests need; empty if all is."""
    if not PAGES:
        return "GENESIS_SITE_DIR does not name a built site"
    if not CHROMIUM:
        return "chromium is not installed, or CHROMIUM does not name it"
    try:
        import playwright  # noqa: F401
    except ImportError:
        return "playwright is not installed"
    return ""


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files and does not speak of it."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass


@contextlib.contextmanager
def served():
    """The site's address while it is served on this machine."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Visit:
    """A page that is opened, and what went wrong in it.

    Attributes:
        page: Playwright's.
        faults: errors on the console, exceptions, failed and outside requests.
    """

    def __init__(self, browser, base, **options):
        self.base, self.faults = base, []
        self.context = browser.new_context(**{"reduced_motion": "reduce", **options})
        self.page = self.context.new_page()
        self.page.on("console", lambda m: m.type == "error" and self.faults.append(f"console: {m.text}"))
        self.page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        self.page.on("requestfailed", self._failed)
        self.page.on("response", lambda r: r.status >= 400 and self.faults.append(f"{r.status}: {r.url}"))
        self.page.on("request", self._check)

    def _failed(self, request):
        if request.failure != "net::ERR_ABORTED":      # what was on its way when the page was left
            self.faults.append(f"failed: {request.url} {request.failure}")

    def _check(self, request):
        if not request.url.startswith((self.base, "data:", "blob:")):
            self.faults.append(f"outside: {request.url}")

    def open(self, path):
        """Open a page of the site, and wait until it has loaded."""
        self.page.goto(self.base + path, wait_until="load")
        return self

    def check(self):
        """Fail if anything went wrong since the last check."""
        faults, self.faults[:] = list(self.faults), []
        assert not faults, faults

    def close(self):
        """Close it, and fail if anything went wrong."""
        self.context.close()
        self.check()
