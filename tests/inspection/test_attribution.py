"""Integrated gradients: completeness, an exact case, padding, and bad input."""

import pytest
import torch
from torch import nn

from multiresconv import MultiresClassifier
from multiresconv.inspection.attribution import integrated_gradients
from multiresconv.models import MultiresAR, SequenceModel

close = torch.testing.assert_close


def classifier(*, tokens: bool = False, pooling: str = "last", **options: object) -> SequenceModel:
    size = {"n_tokens": 6} if tokens else {"d_input": 2}
    model = MultiresClassifier(3, 8, 2, depth=4, pooling=pooling, **size, **options)  # pyright: ignore[reportArgumentType]
    if model.net.standardise is not None:
        model.net.standardise.set(torch.tensor([5.0, -3.0]), 2.0)
    return model.eval()


@pytest.mark.parametrize("tokens", [False, True])
@pytest.mark.parametrize(("pooling", "bidirectional"), [("last", False), ("mean", True), ("max", False)])
def test_they_add_up_to_the_change_of_the_output(pooling: str, bidirectional: bool, tokens: bool) -> None:
    model = classifier(tokens=tokens, pooling=pooling, bidirectional=bidirectional)
    x = torch.randint(6, (3, 20)) if tokens else 5 * torch.randn(3, 20, 2)
    lengths = [20, 1, 11]
    found = integrated_gradients(model, x, target=1, lengths=lengths)
    assert found.values.shape == (3, 20, 1 if tokens else 2)
    close(found.output, model(x, lengths)[:, 1].double().detach(), rtol=1e-5, atol=1e-6)
    change = found.output - found.at_baseline
    close(found.error, (found.values.double().sum((1, 2)) - change).abs())
    assert (found.error <= 0.01 * change.abs().max().clamp_min(0.1)).all()
    for row, length in zip(found.values, lengths, strict=True):
        assert (row[length:] == 0).all()
    assert not model.net.encoder._forward_hooks
    assert all(parameter.grad is None for parameter in model.parameters())


def test_the_default_baseline_is_the_training_mean() -> None:
    model, x = classifier(), torch.randn(2, 12, 2)
    mean = torch.tensor([5.0, -3.0])
    default, given = (integrated_gradients(model, x, target=0, baseline=baseline) for baseline in (None, mean))
    close(default.values, given.values)
    close(default.at_baseline, model(mean.expand(2, 12, 2))[:, 0].double().detach(), rtol=1e-5, atol=1e-6)
    same = integrated_gradients(model, x, target=0, baseline=x)
    assert (same.values == 0).all()
    assert same.evaluations == 8


def test_weights_make_a_sum_of_outputs() -> None:
    model, x = classifier(), torch.randn(2, 12, 2)
    each = [integrated_gradients(model, x, target=target).values for target in (0, 2)]
    found = integrated_gradients(model, x, target=torch.tensor([2.0, 0.0, -1.0]))
    close(found.values, 2 * each[0] - each[1], rtol=1e-3, atol=1e-4)


def test_padding_and_inference_mode_change_nothing() -> None:
    model, x = classifier(), torch.randn(2, 12, 2)
    padded = torch.cat([x, torch.full((2, 3, 2), torch.nan)], 1)
    expected = integrated_gradients(model, x, target=0).values
    close(integrated_gradients(model, padded, target=0, lengths=[12, 12]).values[:, :12], expected)
    with torch.inference_mode():
        close(integrated_gradients(model, x, target=0).values, expected)


class Kinked(nn.Module):
    """|x| of each step in the place of the blocks, whose gradient jumps."""

    def forward(self, x: torch.Tensor, lengths: object = None) -> torch.Tensor:
        return x.abs()


def test_a_kink_is_found_by_halving() -> None:
    """Of |x|, from -1 to 2, the change is 1; quadrature over the whole path misses the place of the kink."""
    model = MultiresClassifier(1, 1, 1, d_input=1, depth=1, dtype=torch.float64).eval()
    model.net.blocks = nn.ModuleList([Kinked()])
    with torch.no_grad():
        for linear in (model.net.encoder, model.head):
            linear.weight.fill_(1.0)  # pyright: ignore[reportCallIssue]
            linear.bias.zero_()  # pyright: ignore[reportCallIssue, reportOptionalMemberAccess]
    x = torch.full((1, 1, 1), 2.0, dtype=torch.float64)
    coarse, fine = (
        integrated_gradients(model, x, target=0, baseline=torch.tensor([-1.0]), tolerance=1e-6, most_evaluations=most)
        for most in (8, 512)
    )
    assert coarse.evaluations == 8
    assert fine.evaluations > 100
    assert fine.error.item() < 1e-5 < coarse.error.item()
    close(fine.values.sum(), torch.tensor(1.0, dtype=torch.float64), rtol=0, atol=1e-5)


def test_bad_input_is_refused() -> None:
    model, x = classifier(), torch.randn(2, 12, 2)
    with pytest.raises(ValueError, match=r"target: expected an output of 0\.\.2, got 3"):
        integrated_gradients(model, x, target=3)
    with pytest.raises(ValueError, match=r"target: expected weights of shape \(3,\), got \(2,\)"):
        integrated_gradients(model, x, target=torch.ones(2))
    with pytest.raises(ValueError, match="baseline: expected a shape that expands to"):
        integrated_gradients(model, x, target=0, baseline=torch.zeros(3))
    with pytest.raises(ValueError, match="tolerance: expected a number above 0, got 0"):
        integrated_gradients(model, x, target=0, tolerance=0)
    with pytest.raises(ValueError, match="x: expected shape"):
        integrated_gradients(model, x[0], target=0)
    with pytest.raises(RuntimeError, match="eval mode"):
        integrated_gradients(model.train(), x, target=0)
    density = MultiresAR(4, 1, depth=2).eval()
    with pytest.raises(ValueError, match="got a density model"):
        integrated_gradients(density, torch.zeros(1, 4, density.n_channels), target=0)
