"""JSON and YAML are parsed within limits, and every error is one line that names the file."""

from pathlib import Path

import pytest
import yaml
from yaml_bomb import BOMB

from multiresconv.runs.documents import MAX_YAML_BYTES, parse_json, parse_yaml, read_text


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "expected no anchors and aliases, got 'a' in line 1"),
        ("a: 1\nb: *a\n", "expected no anchors and aliases, got 'a' in line 2"),
        ("a: &a {<<: *a}", "expected no anchors and aliases"),
        ("a: !!python/object:os.system x", "expected no tags"),
        ("a: !!int ''", "expected no tags"),
        ("a: " + "[" * 10_000, "expected at most 20 levels"),
        ("{a: " * 10_000, "expected at most 20 levels"),
        ("a: 2001-99-99", "damaged"),
        ("a: " + "9" * 5_000, "damaged"),
        ("1: 2", "expected names of options, got 1"),
        ("a: {b: {null: 2}}", "expected names of options, got None"),
        ("? [a]\n: 2", "damaged"),
        ("a: \x07", "damaged"),
        ("[]", "expected a mapping, got a list"),
        ("", "expected a mapping, got None"),
        ("a: [", "damaged"),
    ],
    ids=range(16),
)
def test_hostile_yaml_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="damaged") as caught:
        parse_yaml(text, "run/config.yaml")
    assert str(caught.value).startswith("run/config.yaml: damaged: ")
    assert reason in str(caught.value)
    assert len(str(caught.value)) < 1000


def test_yaml_is_parsed_as_yaml() -> None:
    text = "data:\n  folder: a & b\n  counts: [1, 2]\nseed: 0\nrate: 1.5\nname: null\n"
    assert parse_yaml(text, "config.yaml") == yaml.safe_load(text)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, '{"a": NaN}', "{", "[]", "3", ""], ids=range(7))
def test_hostile_json_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^run\.json: damaged: "):
        parse_json(text, "run.json")


def test_a_file_that_is_too_large_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("a" * MAX_YAML_BYTES)
    assert len(read_text(path, MAX_YAML_BYTES)) == MAX_YAML_BYTES
    path.write_text("a" * (MAX_YAML_BYTES + 1))
    with pytest.raises(ValueError, match=r"config\.yaml: expected at most 65536 bytes"):
        read_text(path, MAX_YAML_BYTES)


def test_bytes_that_are_no_text_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_bytes(b"\xff")
    with pytest.raises(ValueError, match=r"run\.json: damaged: 'utf-8' codec"):
        read_text(path)
