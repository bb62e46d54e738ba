"""The house: files keep their private names, stay small, and have their tests where a reader looks for them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT, TESTS

PACKAGE = ROOT / "src" / "multiresconv"
SOURCES = sorted(PACKAGE.rglob("*.py"))
OWN_TESTS = sorted(TESTS.rglob("*.py"))
# Folders of tests that hold no tests
DATA_OF_TESTS = {"fixtures", "golden"}
# Folders of tests of the whole package
WHOLE = {Path("fuzz"), Path("web")}


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__")


def imports(tree: ast.AST) -> Iterator[tuple[str, str, str]]:
    """(module, name in it or "", name here) of every import of this package."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").split(".")[0] == "multiresconv"):
            for alias in node.names:
                yield "." * node.level + (node.module or ""), alias.name, alias.asname or alias.name
        elif isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.split(".")[0] == "multiresconv":
                    yield alias.name, "", alias.asname or "multiresconv"


def private_names(text: str) -> list[str]:
    """Private names of other files that this one imports, reaches through an imported name or replaces by name."""
    tree, found, here = ast.parse(text), [], set()
    for module, name, known_as in imports(tree):
        here.add(known_as)
        if any(is_private(part) for part in (*module.split("."), name)):
            found.append(f"{module}.{name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and is_private(node.attr):
            inner = node.value
            while isinstance(inner, ast.Attribute):
                inner = inner.value
            if isinstance(inner, ast.Name) and inner.id in here:
                found.append(ast.unparse(node))
        if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("setattr", "setitem", "patch.object")):
            for target, name in zip(node.args, node.args[1:], strict=False):
                if isinstance(target, ast.Name) and target.id in here and isinstance(name, ast.Constant):
                    found += [f"{target.id}.{name.value}"] if is_private(str(name.value)) else []
            if node.args and isinstance(node.args[0], ast.Constant):
                path = str(node.args[0].value)
                if path.startswith("multiresconv.") and any(map(is_private, path.split("."))):
                    found.append(path)
    return found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("from multiresconv.ops.conv import _x", ["multiresconv.ops.conv._x"]),
        ("from .conv import _x as x", [".conv._x"]),
        ("from multiresconv.ops import conv as c\nc._x(1)", ["c._x"]),
        ("import multiresconv.ops\nmultiresconv.ops._x", ["multiresconv.ops._x"]),
        ("from multiresconv.ops import conv\npatch.setattr(conv, '_x', 1)", ["conv._x"]),
        ("patch.setattr('multiresconv.ops._x', 1)", ["multiresconv.ops._x"]),
        ("from multiresconv import conv\nself._x, conv.__name__, conv.x", []),
        ("from other import _x", []),
    ],
)
def test_private_names_are_seen(text: str, found: list[str]) -> None:
    assert private_names(text) == found


@pytest.mark.parametrize("path", [*SOURCES, *OWN_TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_private_name_of_another_file_is_used(path: Path) -> None:
    assert private_names(path.read_text(encoding="utf-8")) == []


def test_folders_of_tests_mirror_those_of_the_source() -> None:
    folders = {path.parent.relative_to(TESTS) for path in TESTS.rglob("test_*.py")}
    assert len(folders) > 5
    assert [str(folder) for folder in sorted(folders - WHOLE) if not (PACKAGE / folder).is_dir()] == []
    assert {path.name for path in TESTS.iterdir() if path.is_dir() and not path.name.startswith(("_", "."))} <= (
        {str(folder.parts[0]) for folder in folders if folder.parts} | DATA_OF_TESTS
    )


def test_the_files_that_name_a_compiled_kernel_on_disk_are_all_it_is_made_of() -> None:
    """Kernels compile in the values of other modules; a change there must give the cached kernel a new name."""
    package = "multiresconv.ops.cpu.kernels"
    files = sorted((PACKAGE / "ops/cpu/kernels").glob("*.py"))
    modules = {module for path in files for module, _, _ in imports(ast.parse(path.read_text(encoding="utf-8")))}
    assert len(modules) > 5
    assert [module for module in sorted(modules) if module != package and not module.startswith(f"{package}.")] == []


def test_files_of_the_source_are_small() -> None:
    lines = {str(path.relative_to(PACKAGE)): path.read_text(encoding="utf-8").count("\n") for path in SOURCES}
    assert len(lines) > 50
    assert {name: count for name, count in lines.items() if count >= 420} == {}


def test_no_file_is_named_for_holding_anything() -> None:
    assert [path for path in (*SOURCES, *OWN_TESTS) if path.stem in ("utils", "util", "helpers", "misc")] == []


def starts_processes_itself(text: str) -> bool:
    """True if a test names an interpreter or PyTorch's `spawn` instead of asking `seeded.py` for a seeded process."""
    nodes = list(ast.walk(ast.parse(text)))
    return any(isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.executable" for node in nodes) or any(
        isinstance(node, ast.ImportFrom) and "multiprocessing" in (node.module or "") for node in nodes
    )


@pytest.mark.parametrize("path", OWN_TESTS, ids=lambda path: str(path.relative_to(TESTS)))
def test_every_process_of_a_test_is_seeded(path: Path) -> None:
    assert starts_processes_itself(path.read_text(encoding="utf-8")) == (path.name == "seeded.py")
