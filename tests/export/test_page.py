"""`export --to web`: what is written, in which order, and what is refused before anything is written."""

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from paths import ROOT
from small_models import COLOURS, SIGNAL, classifier
from web_runtime import write_runtime

from multiresconv import MultiresAR, save
from multiresconv.cli import main
from multiresconv.export import onnxruntime_web
from multiresconv.export.onnxruntime_web import runtime_files
from multiresconv.export.page import WEB, export_page
from multiresconv.models import Input
from multiresconv.models.logistic_mixture import draw_pixels

pytestmark = pytest.mark.slow

DRAW = """
import { readFileSync } from "node:fs";
const { draw } = await import(process.argv[2] + "/sampling.js");
const { distribution } = await import(process.argv[2] + "/model.js");
const found = JSON.parse(readFileSync(0, "utf8")).map(({ params, gumbel, logistic }) => {
  const random = { gumbel: () => gumbel.shift(), logistic: () => logistic.shift() };
  return draw(distribution(params, logistic.length), random);
});
console.log(JSON.stringify(found));
"""


@pytest.fixture
def no_npm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine without npm, and with an empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "which", lambda name: None)


def test_a_page_is_complete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write_runtime(tmp_path / "runtime")  # skips without it
    save(classifier(SIGNAL, depth=1), tmp_path / "model")
    (tmp_path / "ecg.CSV").write_text("I,II,V1\n1,2,3\n")
    arguments = ["export", str(tmp_path / "model"), "--to", "web", str(tmp_path / "page")]
    assert main([*arguments, "--example", str(tmp_path / "ecg.CSV")]) == 0
    assert "a page of 1" in capsys.readouterr().out
    page = tmp_path / "page"
    names = {path.name for path in page.iterdir()}
    assert names == {path.name for path in WEB.iterdir()} | {
        "example.csv",
        "model.onnx",
        "onnxruntime-LICENSE",
        "ort.js",
        "ort.wasm",
        "page.json",
    }
    assert json.loads((page / "page.json").read_text())["example"] == "example.csv"
    times = {name: (page / name).stat().st_mtime_ns for name in names}
    assert max(times, key=lambda name: times[name]) == "index.html"

    def fails(*_: object, **__: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("multiresconv.export.page.to_onnx", fails)
    with pytest.raises(OSError, match="disk full"):
        export_page(classifier(SIGNAL), page, source="model")
    assert not (page / "index.html").exists()  # the old page would run with new modules


def test_without_npm_one_line_says_what_to_do(no_npm: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(classifier(SIGNAL), tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), "--to", "web", str(tmp_path / "page")]) == 2
    said = capsys.readouterr().err
    assert "there is no npm to get it; give --runtime onnxruntime-web-" in said
    assert len(said.splitlines()) == 1
    assert not (tmp_path / "page").exists()


def test_npm_that_fails_is_quoted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(shutil, "which", lambda name: "npm")
    failed = subprocess.CompletedProcess([], 1, "", "\nnpm error code E404\nmore\n")
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: failed)
    with pytest.raises(ValueError, match="failed: npm error code E404; mend npm, or give --runtime"):
        runtime_files()
    assert list((tmp_path / "cache" / "multiresconv").iterdir()) == []


def test_other_bytes_than_those_of_the_pinned_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / onnxruntime_web.TARBALL
    with tarfile.open(path, "w:gz") as tarball:
        for inner, _ in onnxruntime_web.FILES.values():
            member = tarfile.TarInfo(f"package/{inner}")
            member.size = 4
            tarball.addfile(member, io.BytesIO(b"evil"))
    with pytest.raises(ValueError, match=r"expected the package onnxruntime-web .*, got other bytes"):
        runtime_files(path)
    with tarfile.open(path) as tarball:
        tarball.extractall(tmp_path, filter="data")
    with pytest.raises(ValueError, match=r"expected that of onnxruntime-web .*, got another version"):
        runtime_files(tmp_path / "package")


def test_the_cached_tarball_and_its_unpacked_folder_give_the_same_files(tmp_path: Path) -> None:
    write_runtime(tmp_path / "runtime")  # skips without it
    path = onnxruntime_web.cache_folder() / onnxruntime_web.TARBALL
    with tarfile.open(path) as tarball:
        for inner, _ in onnxruntime_web.FILES.values():
            tarball.extract(f"package/{inner}", tmp_path, filter="data")
    assert runtime_files(tmp_path / "package") == runtime_files(path) == runtime_files()


def test_what_a_page_cannot_show_is_refused_first(no_npm: None, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected an example of a model of kind 'signal'"):
        export_page(classifier(SIGNAL), tmp_path / "page", source="", example=tmp_path / "ecg.hea")
    with pytest.raises(ValueError, match="the page needs the size of its images"):
        export_page(MultiresAR(4, 1, depth=2), tmp_path / "page", source="")
    mixed = Input("image", ("grey",), side=2, order=(3, 1, 2, 0))
    with pytest.raises(ValueError, match="this density model has another order of pixels"):
        export_page(MultiresAR(4, 1, n_channels=1, depth=2, input=mixed), tmp_path / "page", source="")
    with pytest.raises(ValueError, match="chunk: expected at least 1 step"):
        export_page(classifier(COLOURS), tmp_path / "page", source="", chunk=0)
    assert main(["export", str(ROOT / "results/ptbxl"), str(tmp_path / "page"), "--example", "ecg.csv"]) == 2
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pixel_is_drawn_as_in_python(channels: int, tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    generator, n, mixtures = np.random.default_rng(channels), 300, 4
    params = generator.normal(size=(n, mixtures * (3 if channels == 1 else 10)))
    params[:, mixtures:] *= 2
    gumbel, logistic = generator.gumbel(size=(n, mixtures)), generator.logistic(size=(n, channels))
    asked = [
        {"params": p, "gumbel": g, "logistic": u}
        for p, g, u in zip(params.tolist(), gumbel.tolist(), logistic.tolist(), strict=True)
    ]
    for name in ("model.js", "sampling.js", "random.js"):
        shutil.copy(WEB / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "draw.mjs").write_text(DRAW)
    command = [node, str(tmp_path / "draw.mjs"), str(tmp_path)]
    found = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    expected = draw_pixels(params, gumbel, logistic)
    assert np.array_equal(json.loads(found.stdout), expected)
    assert expected.std() > 10
