"""Accuracies by length and by depth count every row once, however rows are distributed over batches."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.data import collate
from multiresconv.data.listops import TOKENS, depths, encode
from multiresconv.tasks.listops import ListOps, ListOpsData, by_length_and_depth
from multiresconv.tasks.listops_scores import DEEPEST, LONGEST, ListOpsScores
from multiresconv.tasks.model_options import PooledModelOptions
from multiresconv.tasks.task import Outcome

CHAINS = st.lists(st.tuples(st.integers(0, 40), st.integers(1, 120), st.integers(0, 9), st.integers(0, 9)), min_size=1)


def chain(depth: int, width: int) -> str:
    """An expression of this depth, whose innermost operator has `width` arguments."""
    return "[MAX " * depth + "1 " * (width if depth else 1) + "] " * depth


@pytest.mark.parametrize(
    ("text", "depth"), [("7", 0), ("[MAX 1 2 ]", 1), ("[MAX [MIN 1 2 ] [SM 3 [MED 4 5 ] ] 6 ]", 3), (chain(35, 2), 35)]
)
def test_the_depth_is_that_of_the_operators(text: str, depth: int) -> None:
    ids = encode(text)
    assert depths(ids) == depth
    padded = np.zeros((2, len(ids) + 5), np.uint8)
    padded[1, : len(ids)] = ids
    assert depths(padded).tolist() == [0, depth]


@examples(20)
@given(CHAINS, st.integers(1, 5))
def test_every_row_counts_once_in_its_group(rows: list[tuple[int, int, int, int]], size: int) -> None:
    scores = ListOpsScores(10)
    expressions = [encode(chain(depth, width)) for depth, width, _, _ in rows]
    for start in range(0, len(rows), size):
        part = rows[start : start + size]
        ids = expressions[start : start + size]
        batch = collate(list(zip(ids, [label for *_, label, _ in part], strict=True)))
        logits = torch.nn.functional.one_hot(torch.tensor([given for *_, given in part]), 10).float()
        scores.update(Outcome(torch.zeros(len(part)), None, logits), batch)
    report = by_length_and_depth(scores.compute())
    hit = np.array([label == given for *_, label, given in rows])
    lengths = np.array([len(ids) for ids in expressions])
    deep = np.minimum([depth for depth, *_ in rows], DEEPEST)
    for group in report["by_length"]:
        inside = (group["tokens"][0] <= lengths) & (lengths <= group["tokens"][1])
        assert (group["n"], group["accuracy"]) == (inside.sum(), hit[inside].mean())
    for group in report["by_depth"]:
        inside = deep == group["depth"]
        assert (group["n"], group["accuracy"]) == (inside.sum(), hit[inside].mean())
    for groups in report.values():
        assert sum(group["n"] for group in groups) == len(rows)
        assert all(group["accuracy_95"][0] <= group["accuracy"] <= group["accuracy_95"][1] for group in groups)
    assert (*LONGEST,) == (*sorted(LONGEST),)
    assert len(TOKENS) == 18


def test_the_table_and_the_picture_show_the_groups() -> None:
    task = ListOps(ListOpsData(), PooledModelOptions(d_model=4, n_layers=1, depth=2))
    scores = ListOpsScores(10)
    batch = collate([(encode(chain(2, 60)), 1), (encode("[MAX 1 2 ]"), 2), (encode("[MIN 1 2 ]"), 1)])
    scores.update(Outcome(torch.zeros(3), None, torch.eye(10)[[1, 2, 2]]), batch)
    computed = scores.compute()
    table = task.table(task.report(computed))
    for line in ("tokens 1 to 50    2    50.00%", "tokens 51 to 100  1   100.00%", "depth 1           2    50.00%"):
        assert line in table
    figure = task.figures(computed, "test")["by-length-and-depth"]
    left, right = figure.axes
    assert [text.get_text() for text in left.get_xticklabels()] == ["1-50\nn 2", "51-100\nn 1"]
    assert [text.get_text() for text in right.get_xticklabels()] == ["1\nn 2", "2\nn 1"]
