"""The documentation site in Chromium, as `make docs` built it: the search, narrow pages, pictures, the reference."""

import zlib
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from paths import ROOT

SITE = ROOT / "build" / "docs"
PAGES = sorted(path.relative_to(SITE).as_posix() for path in SITE.rglob("*.html") if "_static" not in path.parts)
# Elements of a page that are wider than the screen and cannot be scrolled by themselves
TOO_WIDE = """() => [...document.querySelectorAll("article *")]
    .filter(element => element.getBoundingClientRect().right > innerWidth + 1)
    .filter(element => !element.closest("pre, .pst-scrollable-table-container"))
    .map(element => element.outerHTML.slice(0, 100))"""

pytestmark = pytest.mark.skipif(not PAGES, reason="needs the site: make docs")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=SITE))
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    context = browser.new_context(viewport={"width": 390, "height": 800})
    yield context.new_page()
    context.close()


def test_the_search_finds_dilation(phone: Any, address: str) -> None:
    phone.goto(f"{address}/search.html?q=dilation")
    phone.wait_for_selector("#search-results li a")
    found = phone.locator("#search-results li > a").all_inner_texts()
    assert "The idea" in found


def test_the_address_of_the_folder_leads_to_the_first_page(phone: Any, address: str) -> None:
    phone.goto(address)
    phone.wait_for_url(f"{address}/docs/index.html")
    assert phone.locator("h1").inner_text().startswith("multiresconv")


def test_every_page_fits_a_phone_and_has_a_title(phone: Any, address: str) -> None:
    assert len(PAGES) > 40
    elsewhere: list[str] = []
    phone.on("request", lambda request: elsewhere.append(request.url))
    for page in PAGES:
        if page == "index.html":  # which leads on to the first page
            continue
        phone.goto(f"{address}/{page}", wait_until="domcontentloaded")
        assert phone.evaluate(TOO_WIDE) == [], page
        assert "no title" not in phone.title(), page
    assert [url for url in elsewhere if not url.startswith((address, "data:"))] == []


def test_every_picture_says_what_it_shows() -> None:
    for page in (SITE / "docs").glob("*.html"):
        images = Path(page).read_text(encoding="utf-8").split("<img")[1:]
        assert [image[:80] for image in images if 'alt="' not in image.partition(">")[0]] == [], page


def test_the_reference_has_every_public_name() -> None:
    *_, compressed = (SITE / "objects.inv").read_bytes().split(b"\n", 4)
    documented = {line.partition(" ")[0] for line in zlib.decompress(compressed).decode().splitlines()}
    package = ROOT / "src" / "multiresconv"
    for path in package.rglob("__init__.py"):
        name = ".".join(path.parent.relative_to(package.parent).parts)
        if name not in ("multiresconv", "multiresconv.cli"):
            public = getattr(import_module(name), "__all__", [])
            assert [full for last in public if (full := f"{name}.{last}") not in documented] == []
