"""What users of PyTorch do every day: ambient defaults, integers and dtypes of any kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from multiresconv import MultiresAR, MultiresClassifier, MultiresLayer, load, save
from multiresconv.models import sample

MEMORIES: list[Any] = [
    np.int64(5), np.array([1, 2, 1]), [np.int32(1)] * 3, torch.tensor([1, 2, 1]), (1, 2, 1),
]  # fmt: skip


def classifier(**options: Any) -> MultiresClassifier:
    options = {"d_input": 2, "depth": 3, **options}
    return MultiresClassifier(3, 4, 2, **options).eval()


def everything(folder: Path) -> list[Any]:
    """What comes out of layers, models, streams, samples and folders, on the CPU."""
    seeded = torch.Generator().manual_seed(0)
    x = torch.randn(2, 9, 2, generator=seeded, device="cpu", dtype=torch.float32)
    lengths = torch.tensor([9, 4], device="cpu")
    where: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}
    out: list[Any] = []
    torch.manual_seed(0)
    for norm in ("layer", "batch"):
        model = classifier(norm=norm, wavelet="db2", bidirectional=norm == "batch", **where)
        y = model.train()(x, lengths)
        y.sum().backward()
        out += [y, model.eval()(x, lengths), *(p.grad for p in model.parameters())]
        save(model, folder)
        out.append(load(folder)(x))
    model = classifier(n_tokens=5, d_input=None, pooling="max", **where)
    tokens = torch.tensor([[1, 2, 3], [4, 0, 1]], device="cpu")
    stream = model.stream(2)
    out += [stream(tokens), stream(tokens[:, 0], rows=[1, 0]), model(tokens, state=model.init_state(2))[0]]
    stream.reset([0])
    density = MultiresAR(4, 2, depth=2, **where)
    out += [sample(density.eval(), 2, 5), density.bits_per_dim(torch.zeros(2, 5, 3, dtype=torch.uint8, device="cpu"))]
    long = MultiresLayer(1, depth=2, **where)
    return [*out, long(torch.ones(1, (1 << 17) + 5, 1, device="cpu", dtype=torch.float32)).sum()]


def test_ambient_device_and_dtype_change_nothing(tmp_path: Path) -> None:
    expected = everything(tmp_path / "plain")
    with torch.device("meta"):
        torch.testing.assert_close(everything(tmp_path / "meta"), expected, rtol=0, atol=0)
    torch.set_default_device("meta")
    try:
        torch.testing.assert_close(everything(tmp_path / "default"), expected, rtol=0, atol=0)
    finally:
        torch.set_default_device(None)
    torch.set_default_dtype(torch.float64)
    try:
        torch.testing.assert_close(everything(tmp_path / "double"), expected, rtol=0, atol=0)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("memory", MEMORIES, ids=repr)
def test_integers_of_numpy_are_sizes(memory: Any, tmp_path: Path) -> None:
    two, three = np.int64(2), np.int16(3)
    model = MultiresClassifier(three, np.uint8(4), two, d_input=two, kernel_size=two, depth=three, memory=memory).eval()
    save(model, tmp_path)
    x = torch.randn(2, 9, 2)
    assert torch.equal(load(tmp_path)(x), model(x))
    assert MultiresLayer(np.int64(4), max_length=np.int64(9), kernel_size=np.int64(2)).memory == (1,) * 4


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("convert", [list, tuple, np.array, lambda n: np.array(n, np.uint8), torch.tensor])
def test_lengths_of_any_kind(convert: Callable[[Any], Any], pooling: str) -> None:
    model, x = classifier(pooling=pooling, bidirectional=True), torch.randn(3, 9, 2)
    expected = model(x, torch.tensor([9, 1, 4]))
    assert torch.equal(model(x, convert([9, 1, 4])), expected)
    assert torch.equal(model.net(x, convert([9, 1, 4])), model.net(x, torch.tensor([9, 1, 4])))


@pytest.mark.parametrize("lengths", [[9.0, 1.0, 4.0], ["9", "1", "4"], [True, True, True], None.__class__, 3])
def test_what_are_no_lengths_is_said(lengths: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="lengths: expected"):
        classifier()(torch.randn(3, 9, 2), lengths)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_tokens_of_any_integer_dtype(dtype: torch.dtype) -> None:
    model = classifier(d_input=None, n_tokens=5)
    tokens = torch.randint(5, (2, 9))
    assert torch.equal(model(tokens.to(dtype)), model(tokens))
    assert torch.equal(model.stream(2)(tokens.to(dtype)), model.stream(2)(tokens))
    assert torch.equal(model.stream(2)(tokens[:, 0].to(dtype)), model.stream(2)(tokens[:, 0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int16])
@pytest.mark.parametrize("own", [torch.bfloat16, torch.float32, torch.float64])
def test_samples_of_any_dtype(dtype: torch.dtype, own: torch.dtype) -> None:
    model, x = classifier(dtype=own), torch.randn(2, 9, 2).to(dtype)
    assert torch.equal(model(x), model(x.to(own)))
    assert torch.equal(model.stream(2)(x), model.stream(2)(x.to(own)))


def test_arrays_are_refused_in_one_line() -> None:
    with pytest.raises(TypeError, match="x: expected a tensor, got ndarray"):
        classifier()(np.zeros((1, 9, 2)))


def test_a_model_loaded_in_inference_mode_can_be_trained(tmp_path: Path) -> None:
    save(classifier(norm="batch"), tmp_path)
    with torch.inference_mode():
        model = load(tmp_path)
    model.train()(torch.randn(2, 9, 2)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())
