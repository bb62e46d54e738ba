"""The fused block: what it computes is what its parts compute, and they are called where they are not themselves."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from torch import Tensor, nn

from multiresconv.layers import ChannelDropout, MaskedBatchNorm, MultiresBlock, valid_steps, why_not_fused
from multiresconv.ops.cpu import threads as threads_of


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    monkeypatch.setattr(threads_of, "SERIAL_WORK", 1 << 12)
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def results(block: MultiresBlock, backend: Any, x: Tensor, lengths: Tensor | None = None, half: bool = False) -> dict:
    """Output at the valid steps, all gradients and all buffers, with dropout always drawing the same."""
    block.conv.backend = backend
    block.zero_grad()
    if isinstance(block.norm, MaskedBatchNorm):
        block.norm.running_mean.fill_(0.3)
        block.norm.running_var.fill_(1.7)
        block.norm.num_batches_tracked.zero_()
    x = x.detach().clone().requires_grad_()
    torch.manual_seed(7)
    with torch.autocast("cpu", torch.bfloat16, enabled=half):
        y = block(x, lengths)
    if lengths is not None:
        y = y.where(valid_steps(lengths, x.shape[1]), 0)
    (y * torch.randn(y.shape, generator=torch.Generator().manual_seed(11)).to(y.dtype)).sum().backward()
    assert x.grad is not None
    # Where no coefficient is kept, the plain operator does not use h1 at all.
    grads = {n: torch.zeros_like(p) if p.grad is None else p.grad.clone() for n, p in block.named_parameters()}
    return {"y": y.detach(), "x": x.grad, **grads, **{n: b.double() for n, b in block.named_buffers()}}


def assert_same(got: dict[str, Tensor], wanted: dict[str, Tensor], tolerance: float) -> None:
    assert got.keys() == wanted.keys()
    for name, value in wanted.items():
        assert got[name].dtype == value.dtype, name
        scale = max(float(value.abs().max()), 1.0)
        torch.testing.assert_close(got[name], value, rtol=0, atol=tolerance * scale, msg=lambda m, name=name: name + m)


@st.composite
def cases(draw: st.DrawFn, dtype: torch.dtype, shortest: int = 1) -> tuple[MultiresBlock, Tensor, Tensor | None]:
    batch, length, d_model = draw(st.integers(1, 5)), draw(st.integers(shortest, 300)), draw(st.integers(1, 20))
    memory = draw(st.lists(st.sampled_from([1, 1, 1, 0, 2, 5]), min_size=1, max_size=8))
    torch.manual_seed(draw(st.integers(0, 1000)))
    block = MultiresBlock(
        d_model,
        kernel_size=draw(st.integers(2, 6)),
        memory=memory,
        norm=draw(st.sampled_from(["layer", "batch"])),
        dropout=draw(st.sampled_from([0.0, 0.4])),
        projection=draw(st.booleans()),
        dtype=dtype,
    )
    for name, p in block.named_parameters():
        if name.startswith(("norm", "mix.bias", "projection.bias")):
            nn.init.normal_(p)
    if isinstance(block.norm, MaskedBatchNorm):
        shortest += shortest == batch == 1  # one step has no variance
        length = max(length, shortest)
    lengths = None
    if draw(st.booleans()):
        steps = draw(st.lists(st.integers(shortest, length), min_size=batch, max_size=batch))
        lengths = torch.tensor(steps, dtype=draw(st.sampled_from([torch.int32, torch.int64])))
    block.train(draw(st.booleans()))
    return block, torch.randn(batch, length, d_model, dtype=dtype), lengths


@examples(40)
@given(cases(torch.float64))
def test_equals_its_parts_in_float64(case: tuple[MultiresBlock, Tensor, Tensor | None]) -> None:
    block, x, lengths = case
    assert_same(results(block, "cpu", x, lengths), results(block, "reference", x, lengths), 1e-10)


@examples(40)
@given(cases(torch.float32, shortest=8))
def test_equals_its_parts_in_float32(case: tuple[MultiresBlock, Tensor, Tensor | None]) -> None:
    """As precise as the parts, up to luck: where channels, or steps, are almost equal, a norm is made of rounding.

    With z off by u, 1/s of z's standard deviation s is off by u/s^2: the factor in the bound, u being float32's 6e-8.
    """
    block, x, lengths = case
    fused, parts, normed = results(block, "cpu", x, lengths), results(block, "reference", x, lengths), []
    hook = block.double().norm.register_forward_pre_hook(lambda _, inputs: normed.append(inputs[0].detach()))
    exact = results(block, "reference", x.double(), lengths)
    hook.remove()
    steps = normed[0].flatten(0, 1) if lengths is None else normed[0][valid_steps(lengths, x.shape[1])[..., 0]]
    variance = steps.var(0 if isinstance(block.norm, MaskedBatchNorm) else 1, correction=0)
    factor = float((variance + block.norm.eps).rsqrt().max())
    for name, value in exact.items():
        far, as_far = (float((t[name] - value).abs().max()) for t in (fused, parts))
        assert far <= 8 * as_far + 4e-6 * max(float(value.abs().max()), 1.0) + 2e-7 * factor**2, name


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("projection", [False, True])
def test_under_autocast_as_precise_as_the_parts(norm: Any, projection: bool) -> None:
    """The linear maps are in bfloat16, and nothing else loses precision: not much further away than the parts are."""
    torch.manual_seed(0)
    block = MultiresBlock(48, kernel_size=3, depth=6, norm=norm, projection=projection)
    x = torch.randn(4, 200, 48)
    exact = results(block, "reference", x)
    fused, parts = results(block, "cpu", x, half=True), results(block, "reference", x, half=True)
    for name in exact:
        scale = exact[name].abs().max()
        far, farther = ((t[name].double() - exact[name]).abs().max() / scale for t in (fused, parts))
        assert far < max(4 * farther, 1e-5), name
    assert fused["y"].dtype == torch.float32
    assert (fused["y"] - exact["y"]).abs().max() > 1e-5, "bfloat16 has not been used"


@pytest.mark.parametrize("norm", ["layer", "batch"])
@pytest.mark.parametrize("batch", [1, 2, 5])
def test_any_number_of_threads(threads: int, batch: int, norm: Any) -> None:
    torch.manual_seed(0)
    block = MultiresBlock(32, kernel_size=2, depth=9, norm=norm, projection=batch > 1).double()
    x = torch.randn(batch, 600, 32).double()
    fused = results(block, "cpu", x)
    assert_same(fused, results(block, "reference", x), 1e-10)
    again = results(block, "cpu", x)
    assert all(torch.equal(value, again[name]) for name, value in fused.items()), "same threads, other bits"


def test_without_openmp_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads_of, "openmp_entry", lambda: None)
    monkeypatch.setattr(threads_of, "SERIAL_WORK", 1 << 12)
    block, x = MultiresBlock(32, depth=9).double(), torch.randn(4, 600, 32).double()
    assert_same(results(block, "cpu", x), results(block, "reference", x), 1e-10)


def runs_fused(block: MultiresBlock, x: Tensor) -> bool:
    """True if the gradient of the block's output goes through the fused operator."""
    nodes, names = [block(x).grad_fn], set()
    while nodes:
        node = nodes.pop()
        names.add(node.name())
        nodes += [before for before, _ in node.next_functions if before is not None]
    return "_BlockBackward" in names


def test_is_fused_where_it_is_itself() -> None:
    assert runs_fused(MultiresBlock(4, depth=3), torch.randn(2, 9, 4))
    assert runs_fused(MultiresBlock(4, depth=3, norm="batch"), torch.randn(2, 9, 4))
    assert runs_fused(MultiresBlock(4, depth=3, projection=True), torch.randn(2, 9, 4))
    assert not runs_fused(MultiresBlock(4, depth=3, backend="reference"), torch.randn(2, 9, 4))
    assert not runs_fused(MultiresBlock(4, depth=3, dtype=torch.bfloat16), torch.randn(2, 9, 4, dtype=torch.bfloat16))


@pytest.mark.parametrize("part", ["conv", "mix", "dropout", "projection", "norm"])
@pytest.mark.parametrize("kind", ["forward hook", "forward pre-hook", "backward hook", "another"])
def test_a_part_that_is_hooked_or_exchanged_is_called(part: str, kind: str) -> None:
    block, x = MultiresBlock(4, depth=3, projection=True), torch.randn(2, 9, 4, requires_grad=True)
    calls = []
    module = block.get_submodule(part)
    if kind == "forward hook":
        module.register_forward_hook(lambda *args: calls.append(args))
    elif kind == "forward pre-hook":
        module.register_forward_pre_hook(lambda *args: calls.append(args))
    elif kind == "backward hook":
        module.register_full_backward_hook(lambda *args: calls.append(args))
    else:

        class Another(type(module)):
            def forward(self, *args: Any) -> Any:
                calls.append(args)
                return super().forward(*args)

        module.__class__ = Another
    block(x).sum().backward()
    assert calls


def test_a_parametrized_map_is_used() -> None:
    block, x = MultiresBlock(4, depth=3).double(), torch.randn(2, 9, 4).double()
    nn.utils.parametrizations.weight_norm(block.mix)
    block.mix.parametrizations.weight.original0.data.mul_(3)
    block.conv.backend = "cpu"
    y = block(x)
    block.conv.backend = "reference"
    torch.testing.assert_close(y, block(x))


def test_frozen_parameters_and_inputs() -> None:
    block, x = MultiresBlock(4, depth=3), torch.randn(2, 9, 4)
    for p in block.mix.parameters():
        p.requires_grad_(False)
    block(x).sum().backward()
    assert block.mix.weight.grad is None
    assert block.conv.h0.grad is not None


def test_a_second_derivative_is_refused() -> None:
    block, x = MultiresBlock(3, depth=2), torch.randn(1, 5, 3, requires_grad=True)
    (grad,) = torch.autograd.grad(block(x).square().sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="once"):
        grad.sum().backward()


def test_backward_may_come_twice() -> None:
    block, x = MultiresBlock(3, depth=2), torch.randn(2, 5, 3, requires_grad=True)
    loss = block(x).square().sum()
    (first,) = torch.autograd.grad(loss, x, retain_graph=True)
    (second,) = torch.autograd.grad(loss, x)
    assert torch.equal(first, second)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_torch_compile_sees_one_operator(norm: Any) -> None:
    block = MultiresBlock(4, depth=3, norm=norm, projection=norm == "layer")
    lengths = torch.tensor([9, 4])
    block, x = block.double(), torch.randn(2, 9, 4, dtype=torch.float64, requires_grad=True)
    fast = torch.compile(block, backend="aot_eager", fullgraph=True)
    (wanted,) = torch.autograd.grad(block(x, lengths if norm == "batch" else None).square().sum(), x)
    (got,) = torch.autograd.grad(fast(x, lengths if norm == "batch" else None).square().sum(), x)
    torch.testing.assert_close(got, wanted)


def test_draws_of_dropout_are_those_of_the_module() -> None:
    dropout, x = ChannelDropout(0.4), torch.randn(3, 7, 50)
    torch.manual_seed(0)
    scale = dropout.scale(x)
    torch.manual_seed(0)
    torch.testing.assert_close(x * scale[:, None], dropout(x), rtol=0, atol=1e-6)
    assert torch.equal(dropout.eval().scale(x), torch.ones(3, 50))


def test_keeps_the_linear_maps_input_and_output_beside_x() -> None:
    """Four tensors like x, parameters and dropout aside; the parts keep more than twice as many."""
    block, x = MultiresBlock(64, kernel_size=4, depth=10), torch.randn(4, 1000, 64, requires_grad=True)
    kept = {}
    for backend in ("cpu", "reference"):
        saved: dict[int, int] = {}
        block.conv.backend = backend

        def pack(t: Tensor, saved: dict[int, int] = saved) -> Tensor:
            saved[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            block(x)
        kept[backend] = sum(saved.values()) / x.nbytes
    assert 4 <= kept["cpu"] < 4.5
    assert kept["reference"] > 2 * kept["cpu"]


def test_autocast_to_float16_is_left_to_the_parts() -> None:
    block, x = MultiresBlock(8, depth=3), torch.randn(2, 9, 8)
    with torch.autocast("cpu", torch.float16):
        assert not runs_fused(block, x)
    with torch.autocast("cpu", torch.bfloat16):
        assert runs_fused(block, x)


@pytest.mark.parametrize(
    "norm",
    [
        nn.LayerNorm(4, elementwise_affine=False),
        nn.LayerNorm(4, bias=False),
        nn.LayerNorm((9, 4)),
        nn.LayerNorm(4, dtype=torch.float64),
    ],
    ids=str,
)
def test_a_norm_of_another_kind_is_called(norm: nn.LayerNorm) -> None:
    block = MultiresBlock(4, depth=3)
    block.norm = norm
    reason = why_not_fused(block, torch.randn(2, 9, 4))
    assert reason is not None
    assert reason.startswith("norm")


def test_an_input_of_another_width_is_refused() -> None:
    """By PyTorch, not by a kernel that reads beyond the end."""
    with pytest.raises((RuntimeError, ValueError)):
        MultiresBlock(4, depth=3)(torch.randn(2, 9, 3))
