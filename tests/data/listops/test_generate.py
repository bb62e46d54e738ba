"""Laws of the generator: its grammar, its determinism, and what it leaves behind."""

import subprocess
from hashlib import sha256
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from paths import SHARED, TESTS
from seeded import python

from multiresconv.data.listops import encode, evaluate_listops, generate_listops, read_listops, split_path
from multiresconv.data.listops import generate as generate_module
from multiresconv.data.listops.limits import Limits, count_trees
from multiresconv.data.splits import SPLITS

FOLDER = SHARED / "listops"
SMALL = {"n_train": 300, "n_val": 20, "n_test": 20, "min_length": 20, "max_length": 100, "progress": False}
# sequences of digits alone, [OP a b ] and [OP a b c ]: 10 + 400 + 4000 trees, the single digits drawn again and again
PINNED = {"train": "bf43d7d7174abd8f", "val": "a984a21d67a08d91", "test": "a5048bc0182c119c"}  # SHA-256, in part
CROWDED = {"min_length": 0, "max_length": 6, "max_depth": 2, "progress": False}


def contents(folder):
    return {split: split_path(folder, split).read_bytes() for split in SPLITS}


def sources(folder):
    return [row.source for split in SPLITS for row in read_listops(split_path(folder, split))]


def rendered(source):
    """The text that the generator's kernel writes for the tokens of a text."""
    from multiresconv.data.listops.trees import TEXT_PER_TOKEN, write_text

    tokens = encode(source)[:-1]
    text = np.zeros(len(tokens) * TEXT_PER_TOKEN, np.uint8)
    end = write_text(tokens, text, 0, np.empty(len(tokens), np.int64), np.empty(len(tokens), np.int64))
    return text[:end].tobytes().decode()


def test_text_form_of_published_short_rows():
    lines = (TESTS / "fixtures" / "listops" / "listops_spinn_short.tsv").read_text().splitlines()
    texts = [line.split("\t")[1] for line in lines]
    assert [rendered(text) for text in texts] == texts


@pytest.mark.skipif(not FOLDER.is_dir(), reason="the public sample is not beside this checkout")
def test_text_form_of_published_rows():
    texts = [row.source for row in read_listops(FOLDER / "basic_sample.tsv")]
    assert len(texts) == 2_000
    assert [rendered(text) for text in texts] == texts


@pytest.mark.parametrize(
    "limits",
    [
        {"min_length": 20, "max_length": 100},
        {"min_length": 500, "max_length": 2000},
        {"min_length": 6, "max_length": 30, "max_depth": 3, "max_args": 4},
    ],
)
def test_rows_satisfy_their_limits_and_labels(tmp_path, limits):
    generate_listops(tmp_path, n_train=200, n_val=10, n_test=10, progress=False, **limits)
    labels = set()
    for split, n in zip(SPLITS, (200, 10, 10), strict=True):
        rows = list(read_listops(split_path(tmp_path, split)))
        assert len(rows) == n
        for row in rows:
            tokens = row.tokens[:-1].astype(int)
            assert limits["min_length"] < len(tokens) < limits["max_length"]
            operators, closes = (tokens >= 13) & (tokens < 17), tokens == 17
            nesting = (np.cumsum(operators) - np.cumsum(closes)).max()
            assert nesting < limits.get("max_depth", 10)
            assert evaluate_listops(row.source) == row.label
            assert rendered(row.source) == row.source
            labels.add(row.label)
    assert len(labels) == 10


def test_number_of_arguments(tmp_path):
    generate_listops(tmp_path, n_train=300, n_val=1, n_test=1, min_length=6, max_length=30, max_args=4, progress=False)
    counts = set()
    for source in sources(tmp_path):
        open_operators: list[int] = []
        for word in source.replace("(", "").replace(")", "").split():
            if word == "]":
                counts.add(open_operators.pop())
            elif open_operators:
                open_operators[-1] += 1
            if word.startswith("["):
                open_operators.append(0)
    assert counts == {2, 3, 4}


def test_pinned_bytes(tmp_path):
    """The same seed gives these files on every machine, in every release; a change is a change of the data."""
    generate_listops(tmp_path, **SMALL)
    digests = {split: sha256(data).hexdigest()[:16] for split, data in contents(tmp_path).items()}
    assert digests == PINNED


def test_workers_change_nothing(tmp_path):
    for limits in (SMALL, {**CROWDED, "n_train": 400, "n_val": 300, "n_test": 300}):
        for workers in (1, 2, 5):
            generate_listops(tmp_path / str(workers), **limits, workers=workers, overwrite=True)
        assert contents(tmp_path / "1") == contents(tmp_path / "2") == contents(tmp_path / "5")


def test_seeds_and_splits_differ(tmp_path):
    for seed in (0, 1, 2**64 - 1):
        generate_listops(tmp_path / str(seed), **{**SMALL, "n_train": 20}, seed=seed)
    files = [data for seed in (0, 1, 2**64 - 1) for data in contents(tmp_path / str(seed)).values()]
    assert len(set(files)) == 9


def test_a_longer_split_begins_with_the_shorter(tmp_path):
    """A row depends on its own number, not on how many there are."""
    generate_listops(tmp_path / "short", **SMALL)
    generate_listops(tmp_path / "long", **{**SMALL, "n_train": 500})
    assert contents(tmp_path / "long")["train"].startswith(contents(tmp_path / "short")["train"])


def test_no_row_twice_even_where_most_draws_are_taken(tmp_path):
    generate_listops(tmp_path, n_train=400, n_val=300, n_test=300, **CROWDED)
    rows = sources(tmp_path)
    assert len(rows) == len(set(rows)) == 1000
    assert set("0123456789") < set(rows)  # so that some first draws must have been replaced


def brute_force_count(limits):
    def trees(depth):
        found = {(str(d),) for d in range(10)}
        if depth < limits.max_depth:
            for n in range(2, limits.max_args + 1):
                for arguments in product([t for t in trees(depth + 1) if len(t) < limits.max_length], repeat=n):
                    body = sum(arguments, ())
                    if len(body) + 2 < limits.max_length:
                        found |= {(operator, *body, "]") for operator in "abcd"}
        return found

    return sum(limits.min_length < len(tree) < limits.max_length for tree in trees(1))


@pytest.mark.parametrize(
    ("limits", "n"),
    [
        (Limits(0, 6, 2, 10, 0.25), 10 + 400 + 4000),
        (Limits(4, 6, 2, 10, 0.25), 4000),
        (Limits(0, 2, 10, 10, 0.25), 10),
        (Limits(0, 100, 1, 10, 0.25), 10),
        (Limits(1, 4, 10, 10, 0.25), 0),
        (Limits(12, 100, 2, 10, 0.25), 0),
        (Limits(11, 100, 2, 10, 0.25), 4 * 10**10),
    ],
)
def test_count_of_trees(limits, n):
    assert count_trees(limits, 10**12) == n
    assert count_trees(limits, 7) == min(n, 7)


@pytest.mark.parametrize("limits", [Limits(0, 6, 3, 2, 0.25), Limits(3, 8, 3, 2, 0.25), Limits(5, 7, 2, 4, 0.25)])
def test_count_of_trees_by_listing_them(limits):
    assert count_trees(limits, 10**12) == brute_force_count(limits)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"n_train": 0}, "n_train: expected at least 1, got 0"),
        ({"n_test": -5}, "n_test: expected at least 1, got -5"),
        ({"min_length": -1}, "min_length: expected at least 0, got -1"),
        ({"min_length": 100}, "max_length: expected at least 102"),
        ({"min_length": 99}, "max_length: expected at least 101"),
        ({"max_depth": 0}, "max_depth: expected at least 1"),
        ({"max_args": 1}, "max_args: expected at least 2"),
        ({"workers": 0}, "workers: expected at least 1"),
        ({"seed": -1}, "seed: expected 0 to"),
        ({"seed": 2**64}, "seed: expected 0 to"),
        ({"max_depth": 1}, "only 0 distinct trees"),
        ({"min_length": 0, "max_depth": 1}, "got 340, but only 10 distinct trees"),
        ({"min_length": 3, "max_length": 5, "n_train": 400}, "got 440, but only 400 distinct trees"),
    ],
)
def test_impossible_requests(tmp_path, wrong, message):
    with pytest.raises(ValueError, match=message):
        generate_listops(tmp_path / "new", **{**SMALL, **wrong})
    assert not (tmp_path / "new").exists()


def test_trees_out_of_reach_end_the_search(tmp_path, monkeypatch):
    monkeypatch.setattr(generate_module, "MAX_DRAWS", 1000)
    with pytest.raises(ValueError, match="1000 draws gave no tree of more than 1998 and fewer than 2000 tokens"):
        generate_listops(tmp_path, **{**SMALL, "min_length": 1998, "max_length": 2000})
    monkeypatch.undo()
    monkeypatch.setattr(generate_module, "MAX_ATTEMPTS", 20)
    with pytest.raises(ValueError, match="20 draws gave no new one"):
        generate_listops(tmp_path, n_train=4408, n_val=1, n_test=1, **CROWDED)
    assert not list(tmp_path.iterdir())


def test_files_are_not_overwritten_unless_told(tmp_path):
    generate_listops(tmp_path, **SMALL)
    before = contents(tmp_path)
    split_path(tmp_path, "train").unlink()
    with pytest.raises(FileExistsError, match=r"basic_val\.tsv: exists"):
        generate_listops(tmp_path, **SMALL, seed=1)
    assert not split_path(tmp_path, "train").exists()
    generate_listops(tmp_path, **SMALL, seed=1, overwrite=True)
    assert all(before[split] != data for split, data in contents(tmp_path).items())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["basic_test.tsv", "basic_train.tsv", "basic_val.tsv"]


def test_an_interrupted_run_leaves_what_was_there(tmp_path, monkeypatch):
    generate_listops(tmp_path, **SMALL)
    before = contents(tmp_path)
    draw = generate_module.draw_chunk

    def interrupted(limits, seed, split, first, n, attempt):
        if split == 1:
            raise KeyboardInterrupt
        return draw(limits, seed, split, first, n, attempt)

    monkeypatch.setattr(generate_module, "draw_chunk", interrupted)
    with pytest.raises(KeyboardInterrupt):
        generate_listops(tmp_path, **SMALL, seed=1, overwrite=True)
    assert contents(tmp_path) == before
    assert len(list(tmp_path.iterdir())) == 3


def test_old_and_new_files_never_mix(tmp_path, monkeypatch):
    generate_listops(tmp_path, **SMALL)
    replaced = []

    def disk_fails(source, target):
        replaced.append(target)
        if len(replaced) == 2:
            raise OSError("disk")
        Path(source).rename(target)

    monkeypatch.setattr(generate_module.os, "replace", disk_fails)
    with pytest.raises(OSError, match="disk"):
        generate_listops(tmp_path, **SMALL, seed=1, overwrite=True)
    assert [path.name for path in tmp_path.iterdir()] == ["basic_train.tsv"]


KILLED = """
import os, sys
from importlib import import_module
generate = import_module("multiresconv.data.listops.generate")
assert "multiresconv.data.listops.trees" not in sys.modules, "importing must not compile"
draw = generate.draw_chunk
generate.draw_chunk = lambda *stream: draw(*stream) if stream[2] == 0 else os._exit(9)  # from the second split on
generate.generate_listops(sys.argv[1], n_train=50, n_val=5, n_test=5, min_length=20, max_length=100, progress=False)
"""


@pytest.mark.slow
def test_a_killed_run_leaves_nothing_that_looks_finished(tmp_path):
    assert subprocess.run(python(KILLED, tmp_path)).returncode == 9
    assert [path.suffix for path in tmp_path.iterdir() if path.name.startswith("basic")] == []
    generate_listops(tmp_path, **SMALL)


def test_the_second_of_two_at_once_leaves_the_first_ones_files(tmp_path, monkeypatch):
    draw = generate_module.draw_chunk
    firsts = []

    def overtaken(limits, seed, split, first, n, attempt):
        if not firsts:
            firsts.append(True)
            generate_listops(tmp_path, **SMALL)
        return draw(limits, seed, split, first, n, attempt)

    monkeypatch.setattr(generate_module, "draw_chunk", overtaken)
    with pytest.raises(FileExistsError, match=r"basic_train\.tsv: exists"):
        generate_listops(tmp_path, **SMALL, seed=1, workers=1)
    digests = {split: sha256(data).hexdigest()[:16] for split, data in contents(tmp_path).items()}
    assert digests == PINNED
