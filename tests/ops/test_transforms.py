"""Functorch's transforms, forward-mode derivatives and modes that watch operators get what `reference` gives them."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, stack_module_state, vjp, vmap
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from multiresconv import MultiresBlock, MultiresClassifier, MultiresLayer, MultiresNet
from multiresconv.layers import why_not_fused

DOUBLE = torch.float64


def layer(backend: Any) -> MultiresLayer:
    return MultiresLayer(4, depth=3, backend=backend, dtype=DOUBLE)


def block(backend: Any) -> MultiresBlock:
    return MultiresBlock(4, depth=3, backend=backend, dtype=DOUBLE).eval()


def batch_norm_block(backend: Any) -> MultiresBlock:
    return MultiresBlock(4, depth=3, norm="batch", bidirectional=True, backend=backend, dtype=DOUBLE).eval()


def net(backend: Any) -> MultiresNet:
    return MultiresNet(6, 2, d_input=4, depth=3, backend=backend, dtype=DOUBLE).eval()


def classifier(backend: Any) -> MultiresClassifier:
    return MultiresClassifier(3, 6, 2, d_input=4, depth=3, pooling="max", backend=backend, dtype=DOUBLE).eval()


MODULES = [layer, block, batch_norm_block, net, classifier]


def pair(build: Callable[[Any], Any]) -> tuple[Any, Any]:
    """A module with the backend "auto" and one with "reference" and the same weights."""
    auto, reference = build("auto"), build("reference")
    reference.load_state_dict(auto.state_dict())
    return auto, reference


def of_parameters(module: nn.Module, x: Tensor) -> tuple[Callable[[dict[str, Tensor]], Tensor], dict[str, Tensor]]:
    """A scalar loss as a function of the parameters, and the parameters."""
    parameters = {name: p.detach() for name, p in module.named_parameters()}
    return lambda p: functional_call(module, p, (x,)).square().sum(), parameters


def gradients_per_sample(module: nn.Module, x: Tensor) -> Any:
    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return functional_call(module, parameters, (row[None],)).square().sum()

    return vmap(grad(loss), (None, 0))({name: p.detach() for name, p in module.named_parameters()}, x)


def ensemble(module: nn.Module, x: Tensor) -> Any:
    parameters, buffers = stack_module_state([module, module])  # pyright: ignore[reportArgumentType]
    return vmap(lambda p, b: functional_call(module, (p, b), (x,)))(parameters, buffers)


TRANSFORMS: dict[str, Callable[[Any, Tensor], Any]] = {
    "grad": lambda m, x: grad(lambda x: m(x).square().sum())(x),
    "grad of parameters": lambda m, x: grad(of_parameters(m, x)[0])(of_parameters(m, x)[1]),
    "vjp": lambda m, x: vjp(m, x)[0],
    "jvp": lambda m, x: jvp(m, (x,), (x.cos(),)),
    "jacrev": lambda m, x: jacrev(m)(x[:1, :3]),
    "jacfwd": lambda m, x: jacfwd(m)(x[:1, :3]),
    "hessian": lambda m, x: hessian(lambda x: m(x).square().sum())(x[:1, :2]),
    "vmap": lambda m, x: vmap(m)(x[None].expand(2, -1, -1, -1)),
    "gradients per sample": gradients_per_sample,
    "ensemble": ensemble,
}


@pytest.mark.parametrize("build", MODULES)
@pytest.mark.parametrize("name", TRANSFORMS)
def test_transforms_are_those_of_the_reference(name: str, build: Callable[[Any], Any]) -> None:
    auto, reference = pair(build)
    x = torch.randn(2, 9, 4, dtype=DOUBLE)
    torch.testing.assert_close(TRANSFORMS[name](auto, x), TRANSFORMS[name](reference, x))


@pytest.mark.parametrize("build", [layer, block, net, classifier])
def test_tangents_pass_through_whole_sequences_chunks_and_steps(build: Callable[[Any], Any]) -> None:
    auto, reference = pair(build)
    x, tangent = torch.randn(2, 5, 4, dtype=DOUBLE), torch.randn(2, 5, 4, dtype=DOUBLE)
    results = []
    with torch.no_grad():
        for module in (auto, reference):
            whole = jvp(module, (x,), (tangent,))
            chunk = jvp(lambda x, m=module: m(x, state=m.init_state(2))[0], (x,), (tangent,))
            step = jvp(lambda x, m=module: m.step(x, m.init_state(2))[0], (x[:, 0],), (tangent[:, 0],))
            later = jvp(lambda x, m=module: m.stream(state=m(x, state=m.init_state(2))[1])(x), (x,), (tangent,))
            with forward_ad.dual_level():
                dual = forward_ad.unpack_dual(module(forward_ad.make_dual(x, tangent)))
            results.append((whole, chunk, step, later, tuple(dual)))
    torch.testing.assert_close(*results)
    assert all(bool(tangent.any()) for _, tangent in results[0])


def test_a_linear_layer_is_its_own_derivative() -> None:
    x = torch.randn(2, 9, 4, dtype=DOUBLE)
    linear = layer("auto")
    torch.testing.assert_close(jvp(linear, (x,), (x,))[1], linear(x))


@pytest.mark.parametrize("gradients", [True, False])
@pytest.mark.parametrize("name", ["jvp", "vmap", "grad"])
def test_a_transform_in_a_compiled_function_is_that_of_the_reference(name: str, gradients: bool) -> None:
    auto, reference = pair(layer)
    x = torch.randn(2, 9, 4, dtype=DOUBLE)
    compiled = torch.compile(lambda x: TRANSFORMS[name](auto, x), backend="eager")
    with torch.set_grad_enabled(gradients):
        torch.testing.assert_close(compiled(x), TRANSFORMS[name](reference, x))


@pytest.mark.parametrize("gradients", [True, False])
def test_the_registered_operators_refuse_tangents(gradients: bool) -> None:
    x, norm, lengths = torch.randn(2, 4, 9, dtype=DOUBLE), torch.rand(4, dtype=DOUBLE), torch.tensor([9, 5])
    h, w, one = torch.randn(4, 2, dtype=DOUBLE), torch.randn(4, 3, dtype=DOUBLE), torch.ones((), dtype=DOUBLE)
    operators = torch.ops.multiresconv
    calls = {
        "cpu_forward": lambda x: operators.cpu_forward(x, h, h, w, [1]),
        "moments": lambda x: operators.moments(x, lengths),
        "normalise": lambda x: operators.normalise(x, lengths, norm, norm, norm, norm, one, ""),
    }
    for name, call in calls.items():
        with torch.set_grad_enabled(gradients), pytest.raises(RuntimeError, match=f"{name} has no forward-mode"):
            jvp(call, (x,), (x,))


@pytest.mark.parametrize("transform", ["grad", "jvp", "vmap"])
def test_a_named_backend_is_not_transformed(transform: str) -> None:
    x = torch.randn(2, 9, 4, dtype=DOUBLE)
    with pytest.raises(RuntimeError, match=r"backend: 'cpu' cannot be transformed, and .*use 'auto' or 'reference'"):
        TRANSFORMS[transform](layer("cpu"), x)


@pytest.mark.parametrize("build", MODULES)
def test_a_flop_counter_counts_what_the_reference_does(build: Callable[[Any], Any]) -> None:
    counts = []
    for module in pair(build):
        with FlopCounterMode(display=False) as counter:
            module(torch.randn(2, 9, 4, dtype=DOUBLE))
        counts.append(counter.get_total_flops())
    assert counts[0] == counts[1] > 0


def test_a_function_mode_sees_every_part() -> None:
    seen = set()

    class Watch(TorchFunctionMode):
        def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            seen.add(getattr(func, "__name__", ""))
            return func(*args, **(kwargs or {}))

    watched, x = block("auto"), torch.randn(2, 9, 4, dtype=DOUBLE)
    expected = watched(x)
    with Watch():
        assert why_not_fused(watched, x) == "a function mode is active"
        torch.testing.assert_close(watched(x), expected)
    assert {"gelu", "glu", "layer_norm", "conv1d"} <= seen
    with torch.device("cpu"):
        assert why_not_fused(watched, x) is None


def test_a_stream_refuses_what_it_cannot_follow() -> None:
    model = classifier("auto")
    stream = model.stream(2)
    with pytest.raises(RuntimeError, match="a functorch transform is active"):
        jvp(stream, (torch.randn(2, 4, dtype=DOUBLE),), (torch.randn(2, 4, dtype=DOUBLE),))


@pytest.mark.parametrize("build", MODULES)
@pytest.mark.parametrize("backend", ["auto", "cpu", "reference"])
def test_trace_names_what_to_use_instead(build: Callable[[Any], Any], backend: str) -> None:
    with pytest.raises(RuntimeError, match=r"torch\.jit\.trace is not supported; use torch\.export\.export"):
        torch.jit.trace(build(backend), torch.randn(2, 9, 4, dtype=DOUBLE))
