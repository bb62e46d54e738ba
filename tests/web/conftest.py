"""Pages in Debian's Chromium. Tests skip where Chromium, Playwright or onnxruntime-web is absent."""

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("onnxscript", reason="needs the extra: multiresconv[export]")
pytest.importorskip("playwright.sync_api", reason="needs the extra: multiresconv[dev]")

from paths import ROOT
from playwright.sync_api import sync_playwright
from web_runtime import write_runtime

from multiresconv import load
from multiresconv.export.page import export_page
from multiresconv.models.sequence_model import SequenceModel

CHROMIUM = next((path for name in ("chromium", "chromium-browser") if (path := shutil.which(name))), None)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
EXAMPLES = ROOT / "examples"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.slow)


class _Files(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """Serve a folder on a port that the system chooses; yield its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Files, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A function that exports a model, or that of a kept run, as a page; once for each name."""
    write_runtime(tmp_path_factory.mktemp("runtime"))  # skips without it
    made: dict[str, Path] = {}

    def export(name: str, model: SequenceModel | None = None, example: Path | None = None) -> Path:
        if name not in made:
            folder = tmp_path_factory.mktemp(name)
            kept = load(ROOT / "results" / name / "model") if model is None else model
            export_page(kept, folder, source=name, example=example)
            made[name] = folder
        return made[name]

    return export


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    if CHROMIUM is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as program:
        running = program.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield running
        running.close()


@pytest.fixture
def opened(browser: Any) -> Iterator[Callable[..., Any]]:
    """A function that opens a page; the test fails after a console error, a failed request or one to elsewhere."""
    contexts, wrong = [], []
    with ExitStack() as stack:

        def open_page(folder: Path, width: int = 1280, scheme: str = "light", still: bool = True) -> Any:
            address = stack.enter_context(served(folder))
            context = browser.new_context(
                viewport={"width": width, "height": 800},
                color_scheme=scheme,
                reduced_motion="reduce" if still else "no-preference",
            )
            contexts.append(context)
            page = context.new_page()
            watch(page, address, wrong)
            page.goto(address)
            page.wait_for_selector("#main:not([aria-busy])", timeout=60_000)
            return page

        yield open_page
        for context in contexts:
            context.close()
    assert wrong == []


def watch(page: Any, address: str, wrong: list[str]) -> None:
    """Note console errors, failed requests, and requests to elsewhere."""

    def note(text: str, really: bool = True) -> None:
        if really:
            wrong.append(text)

    page.on("console", lambda said: note(f"console: {said.text}", said.type in ("error", "warning")))
    page.on("pageerror", lambda error: note(f"error: {error}"))
    page.on("requestfailed", lambda request: note(f"failed: {request.url}"))
    page.on("response", lambda answer: note(f"{answer.status}: {answer.url}", not answer.ok))
    page.on("request", lambda asked: note(asked.url, not asked.url.startswith((address, "data:", "blob:"))))
