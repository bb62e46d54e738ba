"""Sub-expressions are cut from the rows as they stand, each once, with the value that the evaluator gives."""

from pathlib import Path

import pytest

from multiresconv.cli import main
from multiresconv.data.listops import cut_listops, evaluate_listops, generate_listops, read_listops

LIMITS = {"min_length": 3, "max_length": 20}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("listops")
    generate_listops(folder, n_train=30, n_val=10, n_test=1, min_length=20, max_length=90, progress=False)
    return folder


def flat(path: Path) -> list[str]:
    return [" ".join(row.source.replace("(", " ").replace(")", " ").split()) for row in read_listops(path)]


def test_parts_are_parts_with_their_values(source: Path, tmp_path: Path) -> None:
    counts = cut_listops(source, tmp_path, n_val=None, **LIMITS)
    for split in ("train", "val"):
        whole = flat(source / f"basic_{split}.tsv")
        rows = list(read_listops(tmp_path / f"basic_{split}.tsv"))
        assert len(rows) == counts[split] > 30
        assert len({row.source for row in rows}) == len(rows)
        for row in rows:
            assert any(row.source in text for text in whole)
            assert row.label == evaluate_listops(row.source)
            assert LIMITS["min_length"] < len(row.source.split()) < LIMITS["max_length"]
        expected = {
            part
            for text in whole
            for part in subexpressions(text.split())
            if LIMITS["min_length"] < len(part.split()) < LIMITS["max_length"]
        }
        assert {row.source for row in rows} == expected


def subexpressions(tokens: list[str]) -> list[str]:
    """Every operator with its arguments, found by counting brackets from each operator on."""
    parts = []
    for start, token in enumerate(tokens):
        if token.startswith("["):
            depth, end = 1, start
            while depth:
                end += 1
                depth += tokens[end].startswith("[") - (tokens[end] == "]")
            parts.append(" ".join(tokens[start : end + 1]))
    return parts


def test_the_draw_follows_from_the_seed(source: Path, tmp_path: Path) -> None:
    texts = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        cut_listops(source, tmp_path / name, n_train=12, seed=seed, **LIMITS)
        texts.append((tmp_path / name / "basic_train.tsv").read_text())
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].count("\n") == 13


def test_what_cannot_be_is_said_in_one_line(source: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["data", "listops-parts", "--source", str(source), "--folder", str(tmp_path / "out")]
    for limits, said in (
        (["--min_length", "5", "--max_length", "5"], "min_length, max_length: expected"),
        (
            ["--min_length", "900", "--max_length", "999"],
            "no sub-expression of more than 900 and fewer than 999 tokens",
        ),
    ):
        assert main([*command, *limits]) == 2
        error = capsys.readouterr().err
        assert said in error
        assert error.count("\n") == 1
    assert not list((tmp_path / "out").glob("*.tsv"))
