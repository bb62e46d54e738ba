"""The wheel carries what runs and nothing else, and the same commit gives the same bytes."""

import subprocess
import tarfile
import zipfile
from pathlib import Path

import pytest
from paths import ROOT
from seeded import script

pytestmark = pytest.mark.slow

SOURCE = ROOT / "src" / "multiresconv"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two folders, each with the sdist and the wheel of a build; the builds differ in clock and umask."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs a clone of the repository")
    folders = []
    for umask in (0o022, 0o077):
        folders.append(tmp_path_factory.mktemp("dist"))
        command = script(ROOT / "release" / "build.py", "--out", folders[-1])
        subprocess.run(command, check=True, capture_output=True, timeout=120, umask=umask)
    return folders


def test_the_same_commit_gives_the_same_bytes(built: list[Path]) -> None:
    first, second = ({path.name: path.read_bytes() for path in folder.iterdir()} for folder in built)
    assert sorted(Path(name).suffix for name in first) == [".gz", ".whl"]
    assert first == second


def test_the_wheel_carries_the_package_and_its_data_only(built: list[Path]) -> None:
    names = zipfile.ZipFile(next(built[0].glob("*.whl"))).namelist()
    folder = next(name for name in names if name.endswith("METADATA")).removesuffix("METADATA")
    carried = {name for name in names if not name.startswith(folder)}
    tracked = subprocess.run(["git", "-C", SOURCE, "ls-files"], check=True, capture_output=True, text=True).stdout
    assert carried == {f"multiresconv/{name}" for name in tracked.splitlines()}
    for needed in ("py.typed", "recipes/listops/paper.yaml", "runs/report.html.j2", "export/web/model.js"):
        assert f"multiresconv/{needed}" in carried
    kinds = {Path(name).suffix for name in carried}
    assert kinds == {".py", ".yaml", ".j2", ".js", ".html", ".css", ".typed"}


def test_the_sdist_carries_neither_tests_nor_results(built: list[Path]) -> None:
    with tarfile.open(next(built[0].glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    others = {name for name in names if name and not name.startswith("src/")}
    assert others == {"src", "PKG-INFO", "LICENSE", "README.md", "pyproject.toml", "setup.cfg"}
    assert "src/multiresconv/recipes/listops/paper.yaml" in names
