"""Expressions of ListOps: each is answered, or refused in one line that names file and line."""

from pathlib import Path
from typing import Any

import pytest

GOOD = "[MAX 2 9 [MIN 4 7 ] 0 ]"

REFUSED = {
    "an open bracket": (f"{GOOD}\n[MAX 2 9\n", "line 2"),
    "a closed bracket": (f"{GOOD}\n[MAX 2 9 ] ]\n", "line 2"),
    "an open parenthesis": (f"{GOOD}\n( [MAX 2 9 ]\n", "line 2: Source: 1 of the '(' not closed"),
    "a closed parenthesis": (f"{GOOD}\n[MAX 2 9 ] )\n", "line 2: Source: ')' without '('"),
    "crossed parentheses": (f"{GOOD}\n) [MAX 2 9 ] (\n", "line 2: Source: ')' without '('"),
    "two expressions": (f"{GOOD}\n1 2\n", "line 2"),
    "an empty line": (f"{GOOD}\n\n", "line 2"),
    "nothing": ("", "got no line"),
    "a header alone": ("Source\tTarget\n", "got no line"),
    "too many tokens": (
        f"{GOOD}\n[MAX {'1 ' * 2046}]\n",
        "line 2: expected at most 2048 tokens, the end included, got 2049",
    ),
    "pixels": (f"{GOOD}\n0 0 128 255\n", "line 2"),
    "pixels of one digit": (f"{GOOD}\n0 0 0 1\n", "line 2"),
    "a table": ("I,II\n0.1,0.2\n", "line 1"),
    "a long word": ("x" * 100_000, "line 1"),
    "a picture": ("\x89PNG\r\n\x1a\n\0\0", "line"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_expression_is_refused(case: str, predicted: Any, tmp_path: Path) -> None:
    content, place = REFUSED[case]
    (tmp_path / "in.txt").write_text(content)
    seen = predicted("listops", tmp_path / "in.txt")
    assert (seen.code, seen.rows, len(seen.said)) == (2, [], 1)
    assert f"{tmp_path / 'in.txt'}" in seen.said[0]
    assert place in seen.said[0]
    assert len(seen.said[0]) < 500


def test_the_longest_expression_is_answered(predicted: Any, tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text(f"[MAX {'1 ' * 2045}]\n( {GOOD} )\n{GOOD}\n")
    seen = predicted("listops", tmp_path / "in.txt")
    assert (seen.code, len(seen.rows), seen.said) == (0, 3, [])
    assert seen.rows[1] == pytest.approx(seen.rows[2], rel=1e-5)
