"""What the README and the pages of docs say to type works as it stands; only numbers are made smaller here."""

import os
import re
import shlex
import shutil
import sys
from pathlib import Path
from runpy import run_path

import pytest
from paths import ROOT
from tiny_run import write_data

from multiresconv import MultiresClassifier, load, save
from multiresconv.cli import main

pytestmark = pytest.mark.slow

README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
# A block of Python, after a comment if it is not run
BLOCK = re.compile(r"(?:<!-- (not run: [^>]+) -->\n)?```python\n(.*?)```", re.DOTALL)
WITH_PYTHON = [page for page in PAGES if "```python" in (ROOT / page).read_text(encoding="utf-8")]
COMMANDS = [shlex.split(line, comments=True) for line in re.findall(r"^ +multiresconv (.+)$", README, re.MULTILINE)]

NETWORK = "--model.n_layers 1 --model.d_model 4 --trainer.epochs 1 --trainer.batch_size 6 --trainer.log_every 2"
SMALLER = {"train": NETWORK, "data": "--n_train 12 --n_val 4 --n_test 4 --min_length 5 --max_length 30"}


def put_a_small_model(folder: Path) -> None:
    """Replace a classifier by an untrained one of the same input and output, which is exported in seconds."""
    model = load(folder)
    size = {"d_input": model.input.size, "depth": 2}
    small = MultiresClassifier(len(model.output.names), 4, 1, **size, input=model.input, output=model.output)
    save(small, folder)


def test_the_python_of_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(compile(block, "README.md", "exec"), {})
    assert (tmp_path / "my-model" / "config.json").is_file()


def test_the_commands_of_the_readme_run_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for folder in ("results", "examples"):
        shutil.copytree(ROOT / folder, folder)
    write_data(Path("data/listops-quick"))  # train finds it there and does not generate the recipe's
    assert "    python examples/make_recordings.py pumps " in README
    run_path("examples/make_recordings.py")["write_recordings"](Path("pumps"))
    verbs = {"doctor", "train", "evaluate", "predict", "inspect", "explain", "report", "sample", "data", "export"}
    assert {command[0] for command in COMMANDS} == verbs
    for command in COMMANDS:
        if "web" in command:
            if shutil.which("npm") is None:
                continue  # npm gets onnxruntime-web
            put_a_small_model(Path(command[1], "model"))
        arguments, source = (command[:-2], command[-1]) if "<" in command else (command, None)
        smaller = [] if "--resume" in command else SMALLER.get(command[0], "").split()
        with open(source or os.devnull, encoding="utf-8") as stdin:
            monkeypatch.setattr(sys, "stdin", stdin)
            assert main([*arguments, *smaller]) == 0, f"{command}: {capsys.readouterr().err}"


@pytest.mark.parametrize("page", WITH_PYTHON)
def test_the_python_of_a_page_runs_or_says_why_not(page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = BLOCK.findall(text)
    assert len(blocks) == text.count("```python")
    for why_not, block in blocks:
        if not why_not:
            exec(compile(block, page, "exec"), {"__name__": "block"})


def test_most_python_of_the_pages_runs() -> None:
    reasons = [why for page in WITH_PYTHON for why, _ in BLOCK.findall((ROOT / page).read_text(encoding="utf-8"))]
    assert [why for why in reasons if why and "test" not in why] == [], "a reason names the test that runs it instead"
    assert sum(not why for why in reasons) > 10


def test_what_make_does_in_the_readme_is_there() -> None:
    targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = re.findall(r"make (\w+)", README)
    assert {"demo", "test"} <= set(named) <= set(targets)


def test_the_sizes_on_the_page_on_scale_are_those_that_its_lines_print(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "scale.md").read_text(encoding="utf-8"), re.DOTALL)
    exec(compile(block, "scale.md", "exec"), {})
    assert capsys.readouterr().out == block.splitlines(keepends=True)[-1].removeprefix("# ")


@pytest.mark.parametrize(
    "name",
    ["README.md", "CONTRIBUTING.md", "benchmarks/results/README.md", *PAGES],
)
def test_links_lead_somewhere(name: str) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / name).read_text(encoding="utf-8")):
        assert ((ROOT / name).parent / target).exists(), target


def test_the_folders_of_the_contributing_guide_are_there() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    tree = text.split("    src/multiresconv/\n")[1].split("\n\n")[0]
    package = ROOT / "src" / "multiresconv"
    named = set(re.findall(r"^      ([\w/]+)/ ", tree, re.MULTILINE))
    assert named == {"ops", "ops/cpu", "ops/triton"} | {p.name for p in package.iterdir() if p.is_dir()} - {
        "__pycache__",
        "ops",
    }
    for name in set(re.findall(r"[\w/]+\.py", text)) - {"utils.py"}:  # of which there is none
        assert any(package.rglob(name)) or (ROOT / name).is_file(), name


def test_the_speed_table_is_what_the_benchmark_printed() -> None:
    printed = (ROOT / "benchmarks" / "results" / "step.md").read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in printed.splitlines() if line.startswith("| ")]
    times = {row[0]: row for row in rows if len(row) == 5 and "x]" in row[3] and "," in row[1]}
    memory = {row[0]: row[4] for row in rows if len(row) == 5 and row[4].startswith("1 :")}
    shown = [line.strip("| ").split(" | ") for line in README.splitlines() if line.startswith("| ") and "x]" in line]
    assert {row[0] for row in shown} == set(times) == set(memory)

    def median(cell: str) -> str:
        """A cell without its quartiles."""
        return re.sub(r" \([^)]*\)", "", cell)

    for name, size, *cells, ratio in shown:
        assert [size, *cells, ratio] == [times[name][1], *map(median, times[name][2:]), memory[name]]
