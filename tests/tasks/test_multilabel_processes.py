"""Scores of two processes, whose shares are uneven, are those of one; few imports, as each process has them."""

from types import SimpleNamespace

import pytest
import torch
import torch.distributed as dist
from seeded import spawn

from multiresconv.tasks.multilabel import multilabel
from multiresconv.tasks.multilabel_scores import MultilabelScores

pytestmark = pytest.mark.slow


def scores_of(batches):
    random = torch.Generator().manual_seed(5)
    labels = (torch.rand(40, 6, generator=random) < 0.3).float()
    labels[:, -1] = 0
    logits = torch.randn(40, 6, generator=random) + labels
    scores = MultilabelScores(6)
    for start, end in batches:
        part = labels[start:end]
        scores.update(multilabel(logits[start:end], part), SimpleNamespace(labels=part))
    return scores.compute()


SHARES = [[[(0, 7), (7, 10), (10, 31)], [(31, 40)]], [[(0, 40)], []]]  # batches of the first and the second process


def one_of_two(rank, folder):
    """A process with its share of the rows. Saves what came out."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    torch.save([scores_of(shares[rank]) for shares in SHARES], f"{folder}/{rank}.pt")
    dist.destroy_process_group()


def test_two_processes_are_one(tmp_path):
    spawn(one_of_two, str(tmp_path), processes=2)
    expected = scores_of([(0, 40)])
    assert expected["auroc"].isnan().tolist() == [False] * 5 + [True]
    for rank in (0, 1):
        for scores in torch.load(tmp_path / f"{rank}.pt", weights_only=True):
            torch.testing.assert_close(scores, expected, rtol=0, atol=1e-12, equal_nan=True)
