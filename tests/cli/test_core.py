"""The core alone answers: help, version and `doctor`."""

import re
import subprocess

import pytest
from seeded import python

from multiresconv import __version__
from multiresconv.cli import main
from multiresconv.cli.core import HELP
from multiresconv.cli.doctor import doctor
from multiresconv.cli.parsers import build_parsers

WITHOUT_THE_EXTRA = """
import sys
from importlib.machinery import PathFinder
from multiresconv.cli.entry import EXTRA
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] in EXTRA else find(name, *rest)
from multiresconv.cli import main
for command in ([], ["--help"], ["--version"], ["doctor"], ["predict", "model", "file"]):
    print("exit code", main(command), flush=True)
"""


@pytest.mark.slow
def test_the_core_alone_says_what_there_is_and_how_to_get_the_rest() -> None:
    ended = subprocess.run(python(WITHOUT_THE_EXTRA), capture_output=True, text=True, timeout=60)
    assert ended.returncode == 0, ended.stderr
    without, asked, version, examined, refused, _ = re.split(r"exit code \d\n", ended.stdout)
    assert without == asked
    assert asked.startswith(HELP)
    assert version == f"multiresconv {__version__}\n"
    assert "agrees with the reference" in examined
    assert refused == ""
    assert re.findall(r"exit code (\d)", ended.stdout) == ["0", "0", "0", "0", "2"]
    assert ended.stderr.startswith("multiresconv: error: this needs the training extra: pip install ")
    assert ended.stderr.count("\n") == 1


def test_the_help_of_the_core_names_the_commands_that_there_are() -> None:
    named = re.findall(r"^  (\w+) {2,}", HELP, re.MULTILINE)
    assert sorted(named) == sorted({name.split()[0] for name in build_parsers()[1]})


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    shown = []
    for arguments in ([], ["--help"]):
        with pytest.raises(SystemExit) as end:
            main(arguments)
        assert end.value.code == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1]
    assert shown[0].startswith("usage: multiresconv")


def test_doctor_says_what_is_missing(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    requires = ["torch", "numpy", 'wfdb; extra == "ecg"', 'no-such-thing; extra == "audio"']
    monkeypatch.setattr("multiresconv.installation.requires", lambda name: requires)
    assert doctor() == 0
    said = capsys.readouterr().out
    assert f"multiresconv {__version__}, Python 3." in said
    assert "machine code in " in said
    assert "a layer agrees with the reference: largest difference " in said
    assert "GPU: " in said
    assert "extra audio: missing no-such-thing; pip install -c constraints.txt -e '.[audio]'" in said
    requires.append("nothing-like-this")
    assert doctor() == 1
    assert "nothing works without nothing-like-this: pip install nothing-like-this" in capsys.readouterr().out


def test_doctor_sees_wrong_kernels(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("multiresconv.cli.doctor.ROUNDING", -1.0)
    assert doctor() == 1
    assert "a layer DISAGREES with the reference" in capsys.readouterr().out
