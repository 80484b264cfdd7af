"""Every page of the built site: in a real browser, and its links."""

import re
import zipfile
from functools import cache
from html.parser import HTMLParser
from urllib.parse import unquote, urlsplit

import browser as chromium
import pytest

import genesis
from genesis.optim import ALGORITHMS

notebooks = pytest.importorskip("tools.notebooks", reason="not in a checkout")
pytestmark = [pytest.mark.browser, pytest.mark.skipif(bool(chromium.missing()), reason=chromium.missing() or "-")]
each_page = pytest.mark.parametrize("path", chromium.PAGES or ["none"])

LOADED = """async () => {
    document.querySelectorAll("img").forEach((image) => { image.loading = "eager"; });
    await document.fonts.ready;
    const done = () => [...document.images].every((image) => image.complete)
        && [...document.querySelectorAll(".arithmatex, .plotly-figure")].every((x) => x.classList.contains("done"));
    for (let i = 0; i < 200 && !done(); i++) await new Promise((next) => setTimeout(next, 50));
    return {
        images: [...document.images].filter((i) => !i.naturalWidth).map((i) => i.src),
        unnamed: [...document.images].filter((i) => !i.alt).map((i) => i.src),
        formulas: [...document.querySelectorAll(".arithmatex")].filter((f) => !f.querySelector(".katex"))
            .map((f) => f.textContent),
        wrong: [...document.querySelectorAll(".katex-error")].map((f) => f.title),
        figures: [...document.querySelectorAll(".plotly-figure")].filter((f) => !f.querySelector(".main-svg")).length,
        headings: document.querySelectorAll("h1").length,
        braces: document.body.innerText.match(/\\{\\{ \\w+.*\\}\\}/g),
        dollars: [...document.querySelectorAll("article p, article li, article td")].map((x) => [...x.childNodes]
            .filter((n) => n.nodeType === 3).map((n) => n.data).join("")).filter((t) => /\\$[^$]+\\$/.test(t)),
        title: document.title,
    };
}"""


@each_page
def test_page_is_whole(tab, path):
    page = tab.open(path).page
    found = page.evaluate(LOADED)
    assert found["title"]
    assert found.pop("headings") == 1
    assert {name: value for name, value in found.items() if value and name != "title"} == {}
    page.set_viewport_size({"width": 390, "height": 844})                    # a phone's width
    width = page.evaluate("""new Promise((next) => requestAnimationFrame(() => requestAnimationFrame(
        () => next(document.scrollingElement.scrollWidth))))""")
    assert width <= 390, page.evaluate("""[...document.querySelectorAll("article *")].filter((x) =>
        x.getBoundingClientRect().right > 391 && !x.closest("pre, .arithmatex, .md-typeset__scrollwrap"))
        .slice(0, 5).map((x) => x.outerHTML.slice(0, 200))""")


class Links(HTMLParser):
    """The links and the anchors of a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.ids, self.sources = set(), set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        given = dict(attributes)
        if given.get("id"):
            self.ids.add(given["id"])
        if tag == "a" and given.get("href"):
            self.links.add(given["href"])
        for name in ("src", "href"):
            if tag in ("img", "script", "link") and given.get(name):
                self.sources.add(given[name])


@cache
def links(path):
    return Links((chromium.SITE / path).read_text(encoding="utf-8"))


@each_page
def test_links_lead_somewhere(path):
    for target in links(path).links:
        parts = urlsplit(target)
        if parts.scheme or parts.netloc:
            assert parts.scheme in ("https", "mailto"), target
            continue
        file = (chromium.SITE / path).parent / unquote(parts.path) if parts.path else chromium.SITE / path
        file = file.resolve() / "index.html" if file.is_dir() else file.resolve()
        assert file.is_file(), target
        if parts.fragment and file.suffix == ".html":
            assert unquote(parts.fragment) in links(file.relative_to(chromium.SITE.resolve()).as_posix()).ids, target


@each_page
def test_nothing_is_taken_from_elsewhere(path):
    own = [s for s in links(path).sources if not s.startswith("data:") and (urlsplit(s).scheme or urlsplit(s).netloc)]
    assert own == []


def test_style_sheets_and_scripts_name_no_other_host():
    for file in (chromium.SITE / "assets").rglob("*.css"):
        assert not re.search(r"url\(['\"]?(https?:)?//", file.read_text(encoding="utf-8")), file


@pytest.mark.parametrize("stem", list(ALGORITHMS))
def test_optimizer_has_page_kernel_and_entry(stem):
    title = ALGORITHMS[stem].__name__
    page = (chromium.SITE / f"algorithms/{stem}.html").read_text(encoding="utf-8")
    assert f'href="{stem}.zip"' in page
    assert title in (chromium.SITE / "algorithms/index.html").read_text(encoding="utf-8")
    kernel = (chromium.SITE / f"kernels/{ALGORITHMS[stem].source.removesuffix('.cl')}.html").read_text(encoding="utf-8")
    assert "arithmatex" in kernel


@pytest.mark.parametrize("path", notebooks.every_notebook(), ids=lambda path: path.stem)
def test_download_has_what_the_notebook_imports(path, tmp_path):
    folder = chromium.SITE / path.parent.name
    page = folder / f"{path.stem}.html"
    name = re.search(r'download href="([^"/]+\.(?:zip|ipynb))"', page.read_text(encoding="utf-8"))[1]
    if name.endswith(".zip"):
        with zipfile.ZipFile(folder / name) as archive:
            archive.extractall(tmp_path)
            assert all(entry.external_attr >> 16 == 0o644 for entry in archive.infolist())
    else:
        (tmp_path / path.stem).mkdir()
        (tmp_path / path.stem / path.name).write_bytes((folder / name).read_bytes())
    unpacked = {file.name: file.read_bytes() for file in (tmp_path / path.stem).iterdir()}
    assert unpacked[path.name] == path.read_bytes()
    beside = {file.stem for file in path.parent.glob("*.py")}
    imported = {name for text in unpacked.values() for name in re.findall(r"(?:from|import) (\w+)", text.decode())}
    assert {f"{name}.py" for name in imported & beside} == unpacked.keys() - {path.name}


def test_every_public_name_is_in_the_reference():
    for name in genesis.__all__:
        value = getattr(genesis, name)
        file = f"genesis.{name}.html" if hasattr(value, "__path__") or name == "Tensor" else "genesis.html"
        if not isinstance(value, type(genesis)):
            assert f"genesis.{name}" in links(f"api/{file}").ids, name


@pytest.mark.parametrize(("query", "wanted"), [
    ("adamw", "algorithms/adamw.html"), ("CosineAnnealingLR", "api/genesis.optim.lr_scheduler.html"),
    ("clip_grad_norm_", "api/genesis.nn.utils.html"), ("playground", "playground.html")])
@pytest.mark.parametrize("served", [True, False], ids=["served", "from files"])
def test_search_finds(visit, base, query, wanted, served):
    where = base if served else chromium.SITE.resolve().as_uri() + "/"
    page = visit("index.html", address=where)
    page.locator(".md-search__input").click()
    page.locator(".md-search__input").type(query)
    page.locator(".md-search-result__link").first.wait_for()
    for _ in range(50):                      # the results follow what is typed, a little later
        found = page.evaluate(
            "[...document.querySelectorAll('.md-search-result__link')].slice(0, 5).map((a) => a.href)")
        if any(f"/{wanted}" in link for link in found):
            return
        page.wait_for_timeout(100)
    pytest.fail(f"{wanted} is not among {found}")


def test_pages_work_when_opened_as_files(visit):
    page = visit("algorithms/adam.html", address=chromium.SITE.resolve().as_uri() + "/")
    found = page.evaluate(LOADED)
    assert found["images"] == found["formulas"] == []
    page = visit("playground.html", address=chromium.SITE.resolve().as_uri() + "/")
    assert page.evaluate("playground.race.racers.length") > 2


def test_scheme_can_be_changed(visit):
    page = visit("algorithms/adam.html", color_scheme="light")
    assert page.evaluate("document.body.dataset.mdColorScheme") == "default"
    page.locator("label[for=__palette_1]").click()
    assert page.evaluate("document.body.dataset.mdColorScheme") == "slate"


def test_home_page_race_runs_again(visit):
    page = visit("index.html")
    page.get_by_role("button", name="Run again").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("playground.race.step > 3 && playground.race.step < 300")


@pytest.mark.parametrize("path", ["algorithms/adam.html", "algorithms/sgd.html", "kernels/optim/adam.html"])
def test_formulas_fit_on_a_phone(visit, path):
    page = visit(path, viewport={"width": 390, "height": 844})
    wide = page.evaluate("""[...document.querySelectorAll("div.arithmatex")]
        .filter((x) => x.scrollWidth > x.clientWidth).map((x) => x.textContent.slice(0, 80))""")
    assert wide == []
