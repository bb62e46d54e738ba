"""The kernels' own elementary functions, against PyTorch in float64."""

import math

import numpy as np
import pytest
import torch
from numba import njit

from multiresconv.ops.cpu.kernels.elementary import narrow, normal, sigmoid, widen


@njit
def all_of(x, cdf, density, gate):
    for n in range(len(x)):
        cdf[n], density[n] = normal(x[n])
        gate[n] = sigmoid(x[n])


@njit
def rounded(x, bits, back):
    for n in range(len(x)):
        bits[n] = narrow(bits, x[n])
        back[n] = widen(bits[n])


def evaluate(x: np.ndarray) -> list[np.ndarray]:
    out = [np.empty_like(x) for _ in range(3)]
    all_of(x, *out)
    return out


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float32, 2e-7), (np.float64, 1e-15)])
def test_normal_and_sigmoid(dtype: type, tolerance: float) -> None:
    x = np.concatenate([np.linspace(-40, 40, 20_001), [0.0, -0.0, 1e-30, -1e-30]]).astype(dtype)
    exact = torch.from_numpy(x).double()
    wanted = torch.special.ndtr(exact), (-0.5 * exact.square()).exp() / math.sqrt(2 * math.pi), exact.sigmoid()
    for got, value in zip(evaluate(x), wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(got).double(), value, rtol=0, atol=tolerance)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_infinities_and_nan_keep_their_meaning(dtype: type) -> None:
    cdf, density, gate = evaluate(np.array([-np.inf, np.inf, np.nan] * 20, dtype))
    for values, wanted in ((cdf, [0, 1]), (density, [0, 0]), (gate, [0, 1])):
        np.testing.assert_allclose(values.reshape(20, 3)[:, :2], [wanted] * 20, rtol=0, atol=1e-37)
        assert np.isnan(values.reshape(20, 3)[:, 2]).all()


def test_bfloat16_is_rounded_as_pytorch_does() -> None:
    generator = np.random.default_rng(0)
    x = generator.integers(0, 2**32, 100_000, dtype=np.uint32).view(np.float32)  # of all magnitudes, NaN among them
    x = np.concatenate([x, np.array([0, -0.0, np.inf, -np.inf, 1.00390625, 1.01171875, 3.4e38], np.float32)])
    bits, back = np.empty(len(x), np.uint16), np.empty_like(x)
    rounded(x, bits, back)
    wanted = torch.from_numpy(x).bfloat16()
    torch.testing.assert_close(torch.from_numpy(back), wanted.float(), rtol=0, atol=0, equal_nan=True)
    finite = ~wanted.isnan().numpy()
    assert np.array_equal(bits[finite], wanted.view(torch.uint16).numpy()[finite])
