"""Missing values (NaN) in the input of a model with `mask_missing`."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from multiresconv import MultiresClassifier, MultiresNet, load, save
from multiresconv.models import Input


def model_and_input(batch: int = 3, length: int = 37) -> tuple[MultiresClassifier, Tensor]:
    """A model with a standardisation, and raw samples of which a quarter is missing."""
    description = Input("signal", ("a", "b"), missing="mask")
    model = MultiresClassifier(4, 8, 2, d_input=2, depth=4, mask_missing=True, input=description).eval()
    assert model.net.standardise is not None
    model.net.standardise.set(torch.tensor([3.0, -20.0]), torch.tensor([2.0, 5.0]))
    x = torch.tensor([3.0, -20.0]) + torch.randn(batch, length, 2) * torch.tensor([2.0, 5.0])
    return model, x.masked_fill(torch.rand(batch, length, 2) < 0.25, torch.nan)


def test_a_missing_value_is_the_mean_and_a_mark() -> None:
    model, x = model_and_input()
    plain = MultiresClassifier(4, 8, 2, d_input=4, depth=4).eval()
    weights = {n: t for n, t in model.state_dict().items() if "standardise" not in n}
    plain.load_state_dict(weights, strict=False)
    standardise = model.net.standardise
    assert standardise is not None
    z = torch.nan_to_num((x - standardise.mean) / standardise.std, nan=0.0)
    torch.testing.assert_close(model(x), plain(torch.cat([z, x.isnan().float()], dim=2)))
    filled = torch.where(x.isnan(), standardise.mean, x)
    assert not torch.allclose(model(x), model(filled))  # the mark counts


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_whole_chunks_steps_and_stream_agree(backend: str) -> None:
    model, x = model_and_input()
    for block in model.net.blocks:
        block.conv.backend = backend
    whole = model(x)
    state = model.init_state(3)
    for chunk in x.split([5, 1, 31], dim=1):
        y, state = model(chunk, state=state)
    torch.testing.assert_close(y[:, -1], whole)
    stream = model.stream(3)
    assert (stream.why_not_fused is None) == (backend == "auto")
    state = model.init_state(3)
    for step in x.unbind(1):
        last = stream(step)
        y, state = model.step(step, state)
    torch.testing.assert_close(last, whole)
    torch.testing.assert_close(y, whole)
    torch.testing.assert_close(model.stream(3)(x)[:, -1], whole)


def test_padding_may_be_missing_too() -> None:
    model, x = model_and_input()
    lengths = torch.tensor([37, 20, 1])
    padded = x.clone()
    for row, length in enumerate(lengths):
        padded[row, length:] = torch.nan
    each = torch.cat([model(x[row : row + 1, :length]) for row, length in enumerate(lengths)])
    torch.testing.assert_close(model(padded, lengths), each)
    model.train()
    model(padded, lengths).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


def test_saved_and_loaded(tmp_path: Path) -> None:
    model, x = model_and_input()
    save(model, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert torch.equal(loaded(x), model(x))
    assert loaded.input == model.input


def test_tokens_are_never_missing() -> None:
    with pytest.raises(ValueError, match="mask_missing: expected False for tokens"):
        MultiresNet(4, 1, n_tokens=3, depth=2, mask_missing=True)
