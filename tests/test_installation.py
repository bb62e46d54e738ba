"""What belongs to an extra is read off the metadata of the installation, and every piece of advice can be followed."""

import re
import tomllib

import pytest
from paths import ROOT

from multiresconv.installation import distributions, extras, how_to_install, missing

REQUIRES = [
    "torch>=2.6",
    "PyWavelets>=1.6",
    'nowhere-to-be-found[signatures]<5,>=4.49; extra == "train"',
    'numpy>=1; extra == "train"',
    'multiresconv[train]; extra == "bench"',
    'numpy>=2; extra == "bench"',
    'not.there>=3.4; sys_platform == "linux" and extra == "bench"',
]


def test_extras_are_read_off_the_metadata(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("multiresconv.installation.requires", lambda name: REQUIRES)
    assert extras() == ["train", "bench"]
    assert distributions(None) == ["torch", "PyWavelets"]
    assert distributions("bench") == ["nowhere-to-be-found", "numpy", "not.there"]
    assert missing("train") == ["nowhere-to-be-found"]
    assert missing("bench") == ["nowhere-to-be-found", "not.there"]


def test_advice_names_extras_that_there_are_and_stands_in_one_place() -> None:
    optional = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    sources = {path.name: path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py")}
    named = {name for text in sources.values() for name in re.findall(r"how_to_install\(['\"](\w+)['\"]\)", text)}
    assert len(named) > 3
    assert named <= optional.keys()
    assert [name for name, text in sources.items() if re.search(r"pip install.*multiresconv\[", text)] == []
    assert how_to_install("ecg").startswith("pip install -c constraints.txt -e '.[ecg]'")
    assert (ROOT / "constraints.txt").is_file()
