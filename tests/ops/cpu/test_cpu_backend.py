"""The Numba kernels: equal to the reference everywhere, and good citizens of PyTorch, threads and processes."""

import os
import subprocess
import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from operator_cases import Arguments, arguments, operator_arguments, value_and_gradients
from profiles import examples
from seeded import python
from torch import Tensor

from multiresconv import fading, multires_conv, uniform
from multiresconv.ops.cpu import operator as cpu
from multiresconv.ops.cpu import threads as threads_of

law = examples(80)


@pytest.fixture
def threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Several threads even for the little that is done here."""
    monkeypatch.setattr(threads_of, "SERIAL_WORK", 1 << 12)
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def assert_same(got: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    for name, value in wanted.items():
        scale = float(value.abs().max()) if value.numel() else 1.0
        torch.testing.assert_close(got[name], value, rtol=0, atol=tolerance * max(scale, 1e-30), msg=name)


@law
@given(operator_arguments(torch.float64))
def test_equals_reference_in_float64(args: Arguments) -> None:
    assert_same(value_and_gradients(args, "cpu"), value_and_gradients(args, "reference"), 1e-12)


@law
@given(operator_arguments(torch.float32))
def test_equals_reference_in_float32(args: Arguments) -> None:
    """Against float64: both round, in different orders."""
    exact = value_and_gradients((*(t.double() for t in args[:4]), args[4]), "reference")
    got = value_and_gradients(args, "cpu", None)
    assert_same({name: value.double() for name, value in got.items()}, exact, 1e-5)


@law
@given(operator_arguments(torch.float32))
def test_keeps_the_layout_of_x(args: Arguments) -> None:
    got = value_and_gradients(args, "cpu")
    dense = args[0].transpose(1, 2).is_contiguous() and not args[0].is_contiguous()
    for name in ("y", "grad_x"):
        assert got[name].is_contiguous() or (dense and got[name].transpose(1, 2).is_contiguous())
        if dense and args[0].shape[1] > 1:
            assert got[name].transpose(1, 2).is_contiguous()


@pytest.mark.parametrize("view", [
    lambda x: x[:, ::2], lambda x: x[:, :, ::3], lambda x: x.flip(0)[1:], lambda x: x.permute(2, 1, 0),
    lambda x: x[:, :1].expand(-1, 6, -1), lambda x: x.transpose(1, 2)[:, 1:5],
])  # fmt: skip
def test_any_strides(view) -> None:
    x = view(torch.randn(4, 6, 12, dtype=torch.float64))
    args = (x, *arguments(1, x.shape[1], 1, 3, fading(4))[1:])
    assert_same(value_and_gradients(args, "cpu"), value_and_gradients(args, "reference"), 1e-12)


def test_expanded_output_gradient() -> None:
    x, h0, h1, w, memory = arguments(2, 3, 20, 2, fading(4), channels_last=True)
    grads = []
    for backend in ("cpu", "reference"):
        leaf = x.detach().requires_grad_()
        multires_conv(leaf, h0, h1, w, memory, backend=backend).sum().backward()
        grads.append(leaf.grad)
    torch.testing.assert_close(*grads)


@pytest.mark.parametrize("poison", [torch.nan, torch.inf])
def test_what_is_not_finite_spreads_as_in_the_reference(poison: float) -> None:
    for memory in (fading(4), (1, 0, 3, 5)):
        args = arguments(1, 2, 60, 5, memory)
        args[0][0, :, 7] = poison
        y, wanted = multires_conv(*args, backend="cpu"), multires_conv(*args, backend="reference")
        assert torch.equal(y.isfinite(), wanted.isfinite())
        assert not y.isfinite().all()


@pytest.mark.parametrize(("channels", "channels_last"), [(5, False), (5, True), (1, False)])
@pytest.mark.parametrize("memory", [fading(4), uniform(4, 3, 12), (2, 0, 1)])
def test_opcheck(memory: tuple[int, ...], channels: int, channels_last: bool) -> None:
    *tensors, _ = arguments(2, channels, 30, 3, memory, channels_last=channels_last)
    tensors = [t.requires_grad_() for t in tensors]
    torch.library.opcheck(torch.ops.multiresconv.cpu_forward.default, (*tensors, list(memory)))
    grad_y = torch.randn(2, channels, 30, dtype=torch.float64)
    torch.library.opcheck(
        torch.ops.multiresconv.cpu_backward.default, (grad_y, *(t.detach() for t in tensors), list(memory))
    )


def test_a_second_derivative_is_refused_not_zero() -> None:
    x, h0, h1, w, memory = arguments(1, 2, 9, 2, fading(3))
    w.requires_grad_()
    y = multires_conv(x.requires_grad_(), h0, h1, w, memory, backend="cpu")
    (grad,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="'cpu' is differentiable once; name 'reference'"):
        torch.autograd.grad(grad.square().sum(), w)


def test_compiles_to_one_node() -> None:
    graphs = []

    def count_nodes(graph: torch.fx.GraphModule, inputs: list[Tensor]):
        graphs.append([node.target for node in graph.graph.nodes if node.op == "call_function"])
        return graph.forward

    args = arguments(2, 3, 40, 2, fading(5), dtype=torch.float32)
    compiled = torch.compile(
        lambda x, h0, h1, w: multires_conv(x, h0, h1, w, args[4]), backend=count_nodes, fullgraph=True
    )
    assert torch.equal(compiled(*args[:4]), multires_conv(*args)), "the same operator, other bits"
    assert len(graphs) == 1
    assert [str(target) for target in graphs[0]].count("multiresconv.cpu_forward.default") == 1
    assert len(graphs[0]) == 1


@pytest.mark.parametrize("channels_last", [False, True])
def test_same_bits_for_any_number_of_threads(threads: None, channels_last: bool) -> None:
    args = arguments(3, 40, 700, 4, fading(8), dtype=torch.float32, channels_last=channels_last)
    assert cpu.work(args[0], args[1], args[3]) > 5 * threads_of.SERIAL_WORK, "too small to be spread over threads"
    results = []
    for count in (1, 2, 3, 5):
        torch.set_num_threads(count)
        results.append(value_and_gradients(args, "cpu"))
    for other in results[1:]:
        assert all(torch.equal(value, other[name]) for name, value in results[0].items())


def test_python_threads_may_call_at_once(threads: None) -> None:
    torch.set_num_threads(2)
    cases = [arguments(4, 16, 600, 2, fading(9), dtype=torch.float32, seed=seed) for seed in range(4)]
    wanted = [value_and_gradients(args, "cpu") for args in cases]
    faults = []

    def work(args: Arguments, expected: dict[str, Tensor]) -> None:
        for _ in range(10):
            got = value_and_gradients(args, "cpu")
            faults.extend(name for name, value in expected.items() if not torch.equal(got[name], value))

    workers = [threading.Thread(target=work, args=case) for case in zip(cases, wanted, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
        assert not worker.is_alive()
    assert not faults


class Convolved(torch.utils.data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> Tensor:
        args = arguments(4, 16, 600, 2, fading(9), dtype=torch.float32, seed=index)
        try:
            # A worker starts with one thread. With two it must not wait for those that stayed with the parent;
            # PyTorch's own operators would, so none runs meanwhile.
            torch.set_num_threads(2)
            return multires_conv(*args)
        finally:
            torch.set_num_threads(1)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this platform")
def test_works_after_a_fork(threads: None) -> None:
    here = [Convolved()[index] for index in range(4)]  # starts the threads in the parent
    loader = torch.utils.data.DataLoader(
        Convolved(), batch_size=None, num_workers=2, multiprocessing_context="fork", timeout=60
    )
    for index, there in enumerate(loader):
        assert torch.equal(there, here[index])


@pytest.mark.parametrize("memory", [fading(10), uniform(10, 4, 40)])
def test_backward_keeps_the_inputs_only(memory: tuple[int, ...]) -> None:
    *tensors, _ = arguments(2, 3, 1000, 4, memory)
    tensors = [t.requires_grad_() for t in tensors]
    saved: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: saved.append(t) or t, lambda t: t):
        multires_conv(*tensors, memory, backend="cpu")
    assert {t.data_ptr() for t in saved} == {t.data_ptr() for t in tensors}


FRESH = """
import torch
from multiresconv import fading, multires_conv
from multiresconv.ops.cpu.kernels import operator as cpu_kernels
x, taps, w = torch.randn(2, 3, 40, requires_grad=True), torch.randn(3, 2), torch.randn(3, 7)
multires_conv(x, taps, taps, w, fading(5)).sum().backward()
for kernel in (cpu_kernels.forward, cpu_kernels.backward):
    assert not kernel.stats.cache_misses, kernel.stats
    assert sum(kernel.stats.cache_hits.values()) == 1, kernel.stats
"""


@pytest.mark.slow
def test_a_new_process_compiles_nothing() -> None:
    x, taps, w = torch.randn(2, 3, 40, requires_grad=True), torch.randn(3, 2), torch.randn(3, 7)
    multires_conv(x, taps, taps, w, fading(5)).sum().backward()
    subprocess.run(python(FRESH), check=True, timeout=120)


NO_PLACE = """
import warnings
from numba.core.caching import CacheImpl
CacheImpl._locator_classes = []
import torch
from multiresconv import fading, multires_conv
torch.manual_seed(0)
x, taps, w = (torch.randn(shape, dtype=torch.float64) for shape in ((2, 3, 40), (3, 2), (3, 7)))
with warnings.catch_warnings(record=True) as said:
    warnings.simplefilter("always")
    y = multires_conv(x, taps, taps, w, fading(5))
assert any("NUMBA_CACHE_DIR" in str(warning.message) for warning in said), said
wanted = multires_conv(x, taps, taps, w, fading(5), backend="reference")
# An output is a sum of products: rounding moves it by at most eps for each operation on the way (2 taps and 2 kept
# coefficients at each of 5 scales, a product and a sum each), times the sum of what is added, without its signs.
size = multires_conv(x.abs(), taps.abs(), taps.abs(), w.abs(), fading(5), backend="reference")
bound = 2 * (5 * 2 * (2 + 2)) * torch.finfo(y.dtype).eps * size  # both sides round
assert bool(((y - wanted).abs() <= bound).all()), float(((y - wanted).abs() / bound).max())
"""


@pytest.mark.slow
def test_runs_where_nothing_can_be_cached() -> None:
    subprocess.run(python(NO_PLACE), check=True, timeout=120)
