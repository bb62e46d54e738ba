"""What `multires_conv` is: laws, outside oracles, golden numbers and the words it says to bad input."""

from pathlib import Path

import numpy as np
import pytest
import pywt
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import Arguments, arguments, operator_arguments, value_and_gradients
from paths import TESTS
from profiles import examples
from torch import Tensor

from multiresconv import fading, multires_conv, uniform
from multiresconv.ops import receptive_field, wavelet_taps

BACKENDS = ("reference", "cpu")
GOLDEN = sorted((TESTS / "golden" / "op").glob("*.npz"))

law = examples(40)
backends = st.sampled_from(BACKENDS)


def run(args: Arguments, backend: str, x: Tensor | None = None) -> Tensor:
    return multires_conv(args[0] if x is None else x, *args[1:], backend=backend)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_values_and_gradients(path: Path, backend: str) -> None:
    case = np.load(path)
    depth, kernel_size = int(case["depth"]), int(case["kernel_size"])
    if str(case["tree_select"]) == "fading":
        memory = fading(depth)
    else:
        memory = uniform(depth, kernel_size, int(case["memory_size"]))
    args = (*(torch.from_numpy(case[name]) for name in ("x", "h0", "h1", "w")), memory)
    got = value_and_gradients(args, backend, torch.from_numpy(case["grad_y"]))
    for name, value in got.items():
        np.testing.assert_allclose(value, case[name], rtol=1e-10, atol=1e-10, err_msg=name)


def test_golden_cases_are_there() -> None:
    assert len(GOLDEN) == 10


@law
@given(operator_arguments(), backends, st.data())
def test_no_output_depends_on_a_later_input(args: Arguments, backend: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, args[0].shape[2] - 1))
    later = args[0].clone()
    later[..., cut:] = torch.nan
    y, changed = run(args, backend), run(args, backend, later)
    assert torch.equal(y[..., :cut], changed[..., :cut])
    assert changed[..., cut].isnan().all()


@law
@given(operator_arguments(), backends, st.floats(-3, 3))
def test_linear_in_x(args: Arguments, backend: str, factor: float) -> None:
    x, other = args[0], args[0].flip(0, 2)
    torch.testing.assert_close(
        run(args, backend, x + factor * other), run(args, backend) + factor * run(args, backend, other)
    )


@law
@given(operator_arguments(), backends)
def test_is_convolution_with_its_impulse_response(args: Arguments, backend: str) -> None:
    x = args[0]
    impulse = torch.zeros_like(x[:1])
    impulse[..., 0] = 1
    response = run(args, backend, impulse)[0]
    for i, c in np.ndindex(*x.shape[:2]):
        expected = np.convolve(x[i, c], response[c])[: x.shape[2]]
        np.testing.assert_allclose(run(args, backend)[i, c], expected, rtol=1e-9, atol=1e-9)


@law
@given(operator_arguments(), backends)
def test_depth_beyond_the_length_is_only_longer_memory(args: Arguments, backend: str) -> None:
    """A scale added below the coarsest, which passes a_J through and whose own weight is 0, changes nothing."""
    x, h0, h1, w, memory = args
    scales = len(memory)
    if x.shape[2] > 2**scales:  # the new scale's older taps must fall before the start
        x = x[..., : 2**scales]
    y = multires_conv(x, h0, h1, w, memory, backend=backend)
    deeper = torch.cat([w[:, :1] / h0[:, -1:], torch.zeros_like(w[:, :1]), w[:, 1:]], 1)
    torch.testing.assert_close(
        multires_conv(x, h0, h1, deeper, (1, *memory), backend=backend),
        y,
    )


DEPTHS = [1, 20, 40, 62, 63, 70]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("backend", BACKENDS)
def test_at_length_one_only_the_newest_taps_count(depth: int, backend: str) -> None:
    x, h0, h1, w, memory = arguments(2, 3, 1, 3, (2,) + (1,) * (depth - 1))
    low, high, newest = h0[:, -1], h1[:, -1], [0, 1, *range(3, depth + 2)]  # columns of a_J, b_J .. b_1
    gain = w[:, -1] + w[:, 0] * low**depth
    for scale, column in zip(range(depth, 0, -1), newest[1:], strict=True):
        gain = gain + w[:, column] * high * low ** (scale - 1)
    y = multires_conv(x, h0, h1, w, memory, backend=backend)
    torch.testing.assert_close(y[..., 0], gain * x[..., 0])


@pytest.mark.parametrize("depth", DEPTHS)
def test_backends_agree_at_any_depth(depth: int) -> None:
    args = arguments(2, 3, 10, 3, (2,) + (1,) * (depth - 1))
    args[1][:, -1] = 0.9
    results = [value_and_gradients(args, backend) for backend in BACKENDS]
    for name, value in results[0].items():
        torch.testing.assert_close(results[1][name], value, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_autocast_changes_nothing(backend: str) -> None:
    args = arguments(2, 3, 50, 2, fading(5), dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        inside = run(args, backend)
    assert torch.equal(inside, run(args, backend))


@pytest.mark.parametrize("name", ["haar", "db2", "db3", "sym5"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_wavelet_coefficients_are_those_of_pywt(name: str, backend: str) -> None:
    low, high = (taps[None] for taps in wavelet_taps(name, dtype=torch.float64))
    depth, length, kernel_size = 3, 256, low.shape[1]
    x = torch.randn(1, 1, length, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    oracle = pywt.swt(x[0, 0].numpy(), name, depth)
    for scale in range(1, depth + 1):
        memory = (1,) * scale
        approximation, detail = oracle[depth - scale]
        for column, expected in ((0, approximation), (1, detail)):  # w picks a_J, then b_J
            w = torch.zeros(1, scale + 2, dtype=torch.float64)
            w[0, column] = 1
            y = multires_conv(x, low, high, w, memory, backend=backend)[0, 0].numpy()
            lag = kernel_size // 2 * (2**scale - 1)
            border = receptive_field(scale, kernel_size)
            np.testing.assert_allclose(y[border:], np.roll(expected, lag)[border:], atol=1e-12)


@pytest.mark.parametrize("memory", [(1, 1, 1), (1, 0, 2, 5)])
@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_against_finite_differences(memory: tuple[int, ...], backend: str) -> None:
    *tensors, memory = arguments(2, 2, 9, 3, memory)
    tensors = [t.requires_grad_() for t in tensors]
    assert torch.autograd.gradcheck(lambda *t: multires_conv(*t, memory, backend=backend), tensors)


def test_reference_is_twice_differentiable() -> None:
    *tensors, memory = arguments(1, 2, 6, 2, (1, 2))
    tensors = [t.requires_grad_() for t in tensors]
    assert torch.autograd.gradgradcheck(lambda *t: multires_conv(*t, memory, backend="reference"), tensors)


def test_reference_exports() -> None:
    class Operator(torch.nn.Module):
        def forward(self, x: Tensor, h0: Tensor, h1: Tensor, w: Tensor) -> Tensor:
            return multires_conv(x, h0, h1, w, (1, 1, 2), backend="reference")

    *tensors, memory = arguments(2, 3, 20, 2, (1, 1, 2))
    length = torch.export.Dim("length", min=2, max=4096)
    program = torch.export.export(Operator(), tuple(tensors), dynamic_shapes=({2: length}, None, None, None))
    other = arguments(2, 3, 77, 2, memory, seed=5)
    torch.testing.assert_close(program.module()(*other[:4]), run(other, "reference"))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_is_computed_in_float32(dtype: torch.dtype, backend: str) -> None:
    half = arguments(2, 3, 50, 2, fading(5), dtype=dtype)
    full = (*(t.float() for t in half[:4]), half[4])
    assert torch.equal(run(half, backend), run(full, backend).to(dtype))
    got, wanted = value_and_gradients(half, backend), value_and_gradients(full, backend)
    for name, value in got.items():
        assert value.dtype == dtype
        scale = float(wanted[name].abs().max())
        torch.testing.assert_close(value.float(), wanted[name], rtol=0.02, atol=0.02 * scale)


@pytest.mark.parametrize("backend", ["auto", *BACKENDS])
def test_empty_batch_gives_an_empty_result(backend: str) -> None:
    args = arguments(0, 3, 20, 2, fading(3))
    assert run(args, backend).shape == (0, 3, 20)
    assert value_and_gradients(args, backend)["grad_w"].abs().sum() == 0


X, TAPS, W = torch.zeros(2, 3, 20), torch.zeros(3, 4), torch.zeros(3, 5)


@pytest.mark.parametrize(
    ("error", "words", "change"),
    [
        (ValueError, r"x: .*\(3, 20\)", {"x": X[0]}),
        (ValueError, r"x: .*length >= 1.*\(2, 3, 0\)", {"x": X[..., :0]}),
        (ValueError, r"h0: .*\(3, K\).*\(2, 4\)", {"h0": TAPS[:2]}),
        (ValueError, r"h0: .*K >= 2.*\(3, 1\)", {"h0": TAPS[:, :1]}),
        (ValueError, r"h1: .*\(3, 4\).*\(3, 3\)", {"h1": TAPS[:, :3]}),
        (ValueError, r"w: .*\(3, 5\).*\(3, 4\)", {"w": W[:, :4]}),
        (ValueError, r"memory: .*\(-1, 4\)", {"memory": (-1, 4)}),
        (ValueError, r"memory: .*\(\)", {"memory": ()}),
        (TypeError, r"memory: .*1\.5", {"memory": (1.5,)}),
        (TypeError, r"memory: .*5", {"memory": 5}),
        (TypeError, r"x: .*int64", {"x": X.long()}),
        (TypeError, r"x: .*tensor.*ndarray", {"x": X.numpy()}),
        (TypeError, r"w: .*float32.*float64", {"w": W.double()}),
        (RuntimeError, r"h1: .*device.*meta", {"h1": TAPS.to("meta")}),
        (ValueError, r"backend: .*reference.*'cuda'", {"backend": "cuda"}),
    ],
)
def test_bad_input_is_named(error: type[Exception], words: str, change: dict) -> None:
    args = {"x": X, "h0": TAPS, "h1": TAPS, "w": W, "memory": (1, 1, 1)} | change
    with pytest.raises(error, match=words):
        multires_conv(**args)


def test_cpu_backend_refuses_other_devices() -> None:
    with pytest.raises(RuntimeError, match=r"'cpu' needs tensors on the CPU, x is on meta"):
        multires_conv(*(t.to("meta") for t in (X, TAPS, TAPS, W)), (1, 1, 1), backend="cpu")


def test_meta_device_gives_the_shape() -> None:
    assert multires_conv(*(t.to("meta") for t in (X, TAPS, TAPS, W)), (1, 1, 1)).shape == X.shape
