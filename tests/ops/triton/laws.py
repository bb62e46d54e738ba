"""The Triton kernels in Triton's interpreter, on a CPU: run by `test_backend.py`, in a process of its own.

    TRITON_INTERPRET=1 pytest tests/ops/triton/laws.py

The interpreter is slow: tiles are made small here, so that short rows have many blocks, windows and launches. It also
replaces Triton's language anew at every call of a device function, which takes most of its time; here the first call
of each function does so.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import Arguments, arguments, memories, value_and_gradients
from paths import TESTS
from profiles import examples
from torch import Tensor
from triton.runtime.interpreter import InterpretedFunction

from multiresconv import fading, multires_conv, uniform
from multiresconv.ops.triton import backend as triton_backend

GOLDEN = sorted((TESTS / "golden" / "op").glob("*.npz"))


@pytest.fixture(scope="module", autouse=True)
def replace_the_language_once() -> Iterator[None]:
    """Call device functions without replacing the language that their launch has replaced already."""
    original, called = InterpretedFunction.__call__, set()

    def call(function: InterpretedFunction, *args: object, **options: object) -> object:
        if function not in called:
            called.add(function)
            return original(function, *args, **options)
        return function.rewrite()(*args, **options)

    with mock.patch.object(InterpretedFunction, "__call__", call):
        yield


@contextmanager
def tiles(lanes: int, blocks: int) -> Iterator[None]:
    """Rows of at most `blocks` blocks of `lanes` steps for each program, whatever the number of taps."""
    with (
        mock.patch.object(triton_backend, "LANES", lanes),
        mock.patch.object(triton_backend, "blocks_for", return_value=blocks),
    ):
        yield


@st.composite
def small_arguments(draw: st.DrawFn, dtype: torch.dtype = torch.float64) -> Arguments:
    kernel_size = draw(st.sampled_from([2, 3, 4, 5]))
    return arguments(
        2,
        draw(st.sampled_from([1, 2])),
        draw(st.integers(1, 20)),
        kernel_size,
        draw(memories(kernel_size)),
        dtype=dtype,
        channels_last=draw(st.booleans()),
        seed=draw(st.integers(0, 2**16)),
    )


small_tiles = st.builds(tiles, st.sampled_from([4, 8, 16]), st.sampled_from([1, 2, 4]))


def assert_same(got: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    for name, value in wanted.items():
        scale = float(value.abs().max()) if value.numel() else 1.0
        torch.testing.assert_close(got[name], value, rtol=0, atol=tolerance * max(scale, 1e-30), msg=name)


def check(args: Arguments, tolerance: float = 1e-12) -> None:
    assert_same(value_and_gradients(args, "triton"), value_and_gradients(args, "reference"), tolerance)


@examples(6)
@given(small_arguments(), small_tiles)
def test_equals_reference_in_float64(args: Arguments, tiling) -> None:
    with tiling:
        check(args)


@examples(3)
@given(small_arguments(torch.float32), small_tiles)
def test_equals_reference_in_float32(args: Arguments, tiling) -> None:
    """Against float64: both round, in different orders."""
    exact = value_and_gradients((*(t.double() for t in args[:4]), args[4]), "reference")
    with tiling:
        got = value_and_gradients(args, "triton")
    assert_same({name: value.double() for name, value in got.items()}, exact, 1e-5)


@pytest.mark.parametrize("lanes", [32, 4])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype, lanes: int) -> None:
    half = arguments(1, 2, 30, 2, (1, 2, 1), dtype=dtype)
    full = (*(t.float() for t in half[:4]), half[4])
    with tiles(lanes, 4):
        wanted = multires_conv(*full, backend="triton")
        got = value_and_gradients(half, "triton")
    if dtype == torch.float16:
        assert torch.equal(got["y"], wanted.to(dtype))
    else:  # the interpreter truncates where a GPU rounds
        torch.testing.assert_close(got["y"].float(), wanted, rtol=2**-7, atol=0)
    for name, value in value_and_gradients(full, "reference").items():
        assert got[name].dtype == dtype
        torch.testing.assert_close(got[name].float(), value, rtol=0.02, atol=0.02 * float(value.abs().max()))


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_golden_values_and_gradients(path: Path) -> None:
    case = np.load(path)
    depth, kernel_size = int(case["depth"]), int(case["kernel_size"])
    fades = str(case["tree_select"]) == "fading"
    memory = fading(depth) if fades else uniform(depth, kernel_size, int(case["memory_size"]))
    args = (*(torch.from_numpy(case[name]) for name in ("x", "h0", "h1", "w")), memory)
    got = value_and_gradients(args, "triton", torch.from_numpy(case["grad_y"]))
    for name, value in got.items():
        np.testing.assert_allclose(value, case[name], rtol=1e-10, atol=1e-10, err_msg=name)


def test_golden_cases_are_there() -> None:
    assert len(GOLDEN) == 10


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("memory", [(1,) * 7, (1, 2, 0, 1, 2)])
def test_a_long_row_takes_several_launches(memory: tuple[int, ...], channels_last: bool) -> None:
    with tiles(4, 8):
        stages = triton_backend.cut_into_stages(memory, 2, 50, 0)
        assert stages is not None
        assert len(stages) > 1
        assert any(stage.halo for stage in stages)
        check(arguments(1, 2 if channels_last else 1, 50, 2, memory, channels_last=channels_last))


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(
    ("length", "kernel_size", "memory"),
    [(40, 17, (1, 0, 2)), (24, 2, (1, 30, 1)), (20, 3, (1,) * 5), (1, 2, (3,))],
)
def test_what_no_tile_holds_goes_scale_by_scale(
    length: int, kernel_size: int, memory: tuple[int, ...], channels_last: bool
) -> None:
    with tiles(4, 2), mock.patch.object(triton_backend, "UNROLLED", 0):
        assert triton_backend.cut_into_stages(memory, kernel_size, length, 0) is None
        check(arguments(1, 2, length, kernel_size, memory, channels_last=channels_last))


@pytest.mark.parametrize(("length", "kernel_size", "depth"), [(20, 17, 2), (1, 3, 40), (10, 3, 40)])
def test_any_number_of_taps_and_any_depth(length: int, kernel_size: int, depth: int) -> None:
    args = arguments(1, 2, length, kernel_size, (2,) + (1,) * (depth - 1), channels_last=True)
    args[1][:, -1] = 0.9
    check(args, 1e-10)


@pytest.mark.parametrize("view", [
    lambda x: x[:, ::2], lambda x: x[:, :, ::3], lambda x: x.flip(0)[1:], lambda x: x.permute(2, 1, 0),
    lambda x: x[:, :1].expand(-1, 3, -1), lambda x: x.transpose(1, 2)[:, 1:5],
])  # fmt: skip
def test_any_strides(view) -> None:
    x = view(torch.randn(2, 4, 9, dtype=torch.float64))
    with tiles(4, 4):
        check((x, *arguments(1, x.shape[1], 1, 3, fading(3))[1:]))


def test_strides_of_the_output_s_gradient() -> None:
    length = 24
    x, h0, h1, w, memory = arguments(1, 2, length, 2, fading(4), channels_last=True)
    seen = torch.randn(1, 2, 2 * length, dtype=torch.float64)[..., ::2]
    for grad_y in (seen, torch.ones((), dtype=torch.float64).expand(1, 2, length)):
        with tiles(4, 4):
            got = value_and_gradients((x, h0, h1, w, memory), "triton", grad_y)
        assert_same(got, value_and_gradients((x, h0, h1, w, memory), "reference", grad_y), 1e-12)


@pytest.mark.parametrize("length", [12, 24])
@pytest.mark.parametrize("channels_last", [False, True])
def test_keeps_the_layout_of_x(length: int, channels_last: bool) -> None:
    args = arguments(2, 2, length, 2, fading(3), channels_last=channels_last)
    with tiles(4, 4):
        got = value_and_gradients(args, "triton")
    assert got["y"].stride() == got["grad_x"].stride() == args[0].stride()


def test_same_bits_twice() -> None:
    args = arguments(1, 2, 24, 3, (1, 2, 1), dtype=torch.float32)
    with tiles(4, 4):
        first, second = value_and_gradients(args, "triton"), value_and_gradients(args, "triton")
    assert all(torch.equal(value, second[name]) for name, value in first.items())


def test_no_output_depends_on_a_later_input() -> None:
    x, *rest = arguments(1, 1, 24, 3, (1, 2, 1, 1))
    for cut in (0, 16, 23):
        later = x.clone()
        later[..., cut:] = torch.nan
        with tiles(4, 4):
            y, changed = (multires_conv(t, *rest, backend="triton") for t in (x, later))
        assert torch.equal(y[..., :cut], changed[..., :cut])
        assert changed[..., cut].isnan().all()


def test_gradients_against_finite_differences() -> None:
    *tensors, memory = arguments(1, 1, 7, 3, (1, 0, 2))
    tensors = [t.requires_grad_() for t in tensors]
    with tiles(8, 2):
        assert torch.autograd.gradcheck(lambda *t: multires_conv(*t, memory, backend="triton"), tensors, fast_mode=True)


def test_empty_batch_gives_an_empty_result() -> None:
    got = value_and_gradients(arguments(0, 3, 20, 2, fading(3)), "triton")
    assert got["y"].shape == (0, 3, 20)
    assert got["grad_w"].abs().sum() == 0


@pytest.mark.parametrize("channels_last", [False, True])
def test_opcheck(channels_last: bool) -> None:
    *tensors, memory = arguments(1, 2, 5, 3, (2, 0), channels_last=channels_last)
    tensors = [t.requires_grad_() for t in tensors]
    torch.library.opcheck(torch.ops.multiresconv.triton_forward.default, (*tensors, list(memory)))
    grad_y = torch.randn(1, 2, 5, dtype=torch.float64)
    detached = [t.detach() for t in tensors]
    torch.library.opcheck(torch.ops.multiresconv.triton_backward.default, (grad_y, *detached, list(memory)))


def test_compiles_without_a_graph_break() -> None:
    *tensors, memory = arguments(2, 3, 10, 2, fading(3))
    compiled = torch.compile(
        lambda *t: multires_conv(*t, memory, backend="triton"), backend="aot_eager", fullgraph=True
    )
    torch.testing.assert_close(compiled(*tensors), multires_conv(*tensors, memory, backend="reference"))


def test_a_second_derivative_is_refused_not_zero() -> None:
    x, h0, h1, w, memory = arguments(1, 2, 9, 2, fading(3))
    w.requires_grad_()
    y = multires_conv(x.requires_grad_(), h0, h1, w, memory, backend="triton")
    (grad,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="'triton' is differentiable once; name 'reference'"):
        torch.autograd.grad(grad.square().sum(), w)


@pytest.mark.parametrize("length", [12, 24])
def test_backward_keeps_the_inputs_only(length: int) -> None:
    *tensors, memory = arguments(1, 2, length, 2, fading(4))
    tensors = [t.requires_grad_() for t in tensors]
    saved: list[Tensor] = []
    with tiles(4, 4), torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        multires_conv(*tensors, memory, backend="triton")
    assert {t.data_ptr() for t in saved} == {t.data_ptr() for t in tensors}


def test_refuses_other_devices() -> None:
    *tensors, memory = arguments(1, 2, 9, 2, fading(3))
    with pytest.raises(RuntimeError, match=r"'triton' needs tensors on a CUDA device, x is on meta"):
        multires_conv(*(t.to("meta") for t in tensors), memory, backend="triton")
