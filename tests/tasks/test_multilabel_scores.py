"""Scores of several labels a row: scikit-learn's, however rows fall into batches and processes."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from multiresconv.tasks.multilabel import multilabel
from multiresconv.tasks.multilabel_scores import MultilabelScores


def rows_of(seed, n=40, n_labels=6):
    """Logits, some of them equal, and labels: of the last class none, of the one before all, one in the first class."""
    random = torch.Generator().manual_seed(seed)
    labels = (torch.rand(n, n_labels, generator=random) < 0.3).float()
    labels[:, 0], labels[0, 0], labels[:, -2], labels[:, -1] = 0, 1, 1, 0
    logits = ((torch.randn(n, n_labels, generator=random) + labels - 0.5) * 4).round() / 4
    return logits, labels


def scores_of(logits, labels, sizes):
    scores = MultilabelScores(logits.shape[1])
    for part, of_part in zip(logits.split(sizes), labels.split(sizes), strict=True):
        scores.update(multilabel(part, of_part), SimpleNamespace(labels=of_part))
    return scores


def expected_of(logits, labels):
    scored = (labels.sum(0) > 0) & (labels.sum(0) < len(labels))
    z, y = logits[:, scored].numpy(), labels[:, scored].numpy()
    named = (logits >= 0).numpy()
    return {
        "loss": F.binary_cross_entropy_with_logits(logits.double(), labels.double()).item(),
        "macro_auroc": roc_auc_score(y, z, average="macro"),
        "macro_average_precision": average_precision_score(y, z, average="macro"),
        "macro_f1": f1_score(y, named[:, scored], average="macro"),
        "micro_f1": f1_score(labels.numpy(), named, average="micro"),
        "exact_match": accuracy_score(labels.numpy(), named),
        "n": len(labels),
        "n_classes_scored": int(scored.sum()),
    }


@examples(25)
@given(seed=st.integers(0, 10**6), n=st.integers(5, 60), size=st.integers(1, 60))
def test_scores_are_scikit_learns(seed, n, size):
    logits, labels = rows_of(seed, n)
    scores = scores_of(logits, labels, size).compute()
    scalars = {name: value.item() for name, value in scores.items() if value.ndim == 0}
    assert scalars == pytest.approx(expected_of(logits, labels), abs=1e-9)
    torch.testing.assert_close(scores["logits"], logits, rtol=0, atol=0)
    assert torch.equal(scores["labels"], labels.to(torch.uint8))
    assert torch.equal(scores["positives"], labels.sum(0).long())
    assert scores["auroc"].isnan().tolist() == ((labels.sum(0) == 0) | (labels.sum(0) == n)).tolist()
    for i in range(logits.shape[1] - 2):
        if 0 < labels[:, i].sum() < n:
            assert abs(scores["auroc"][i] - roc_auc_score(labels[:, i], logits[:, i])) < 1e-9
            assert abs(scores["average_precision"][i] - average_precision_score(labels[:, i], logits[:, i])) < 1e-9
            assert abs(scores["f1"][i] - f1_score(labels[:, i], logits[:, i] >= 0)) < 1e-9


def test_the_loss_is_the_mean_of_those_of_the_rows():
    logits, labels = rows_of(3)
    outcome = multilabel(logits, labels)
    assert outcome.hits is None
    assert outcome.losses.shape == (40,)
    scores = scores_of(logits, labels, 7).compute()
    torch.testing.assert_close(outcome.losses.double().mean(), scores["loss"], rtol=1e-6, atol=0)
    exact = logits.double()  # 1 - sigmoid cancels: only in float64 is it right to float32's last digits
    by_hand = -(labels * exact.sigmoid().log() + (1 - labels) * (-exact).sigmoid().log()).mean(1)
    # float32: a mean of 7 losses, none negative, so relative to its own size: some operations each
    torch.testing.assert_close(outcome.losses.double(), by_hand, rtol=16 * torch.finfo(torch.float32).eps, atol=0)


def test_the_loss_of_half_precision_is_that_of_float32():
    logits, labels = rows_of(3)
    half = multilabel(logits.bfloat16(), labels.to(torch.uint8))
    assert half.losses.dtype == half.outputs.dtype == torch.float32
    torch.testing.assert_close(half.losses, multilabel(logits.bfloat16().float(), labels).losses)


def test_certain_logits_have_finite_losses_and_gradients():
    logits = torch.tensor([[200.0, -200.0], [-200.0, 200.0]], requires_grad=True)
    losses = multilabel(logits, torch.tensor([[1.0, 0.0], [1.0, 0.0]])).losses
    losses.sum().backward()
    assert losses.tolist() == [0, 200]
    assert logits.grad is not None
    assert logits.grad.isfinite().all()


def test_reset_forgets_all():
    scores = scores_of(*rows_of(1), 10)
    scores.compute()
    scores.reset()
    logits, labels = rows_of(2, 25)
    scores.update(multilabel(logits, labels), SimpleNamespace(labels=labels))
    assert scores.compute()["n"] == 25


def test_nothing_to_score_is_an_error():
    logits, labels = rows_of(1, n=5, n_labels=3)
    with pytest.raises(ValueError, match="labels: expected at least one row to score, got none"):
        MultilabelScores(3).compute()
    with pytest.raises(ValueError, match="n_labels: expected at least 2, got 1"):
        MultilabelScores(1)
    logits[0, 0] = torch.nan
    with pytest.raises(ValueError, match="logits: expected finite ones, got 1 that are not"):
        scores_of(logits, labels, 5).compute()


@pytest.mark.parametrize("flag", [0, 1])
def test_labels_of_no_row_or_all_have_no_areas_but_other_scores(flag: int):
    logits, labels = rows_of(1, n=5, n_labels=3)
    scores = scores_of(logits, torch.full_like(labels, flag), 5).compute()
    assert scores["n_classes_scored"] == 0
    assert [name for name in ("macro_auroc", "macro_average_precision", "macro_f1") if scores[name].isnan()] == [
        "macro_auroc",
        "macro_average_precision",
        "macro_f1",
    ]
    assert scores["exact_match"] == ((logits >= 0) == flag).all(1).double().mean()
    assert scores["loss"].isfinite()
