"""Kernels read the memory of tensors and leave their storages as they are."""

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from multiresconv import MultiresBlock, MultiresClassifier, MultiresLayer, MultiresNet, MultiresRidge
from multiresconv.models import Output
from multiresconv.ops.cpu.arrays import array

LENGTHS = torch.tensor([9, 4])


def chunk(module: Any, x: Tensor) -> Tensor:
    module.eval()
    with torch.no_grad():
        return module(x, state=module.init_state(2))[0]


CALLS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "whole": lambda module, x: module(x),
    "lengths": lambda module, x: module(x, lengths=LENGTHS),
    "chunk": chunk,
    "stream": lambda module, x: module.eval().stream(2)(x),
}
MODULES: dict[str, Callable[[], Any]] = {
    "layer": lambda: MultiresLayer(4, depth=3),
    "layer norm": lambda: MultiresBlock(4, depth=3, projection=True),
    "batch norm": lambda: MultiresBlock(4, depth=3, norm="batch"),
    "net": lambda: MultiresNet(4, 2, d_input=4, depth=3),
    "classifier": lambda: MultiresClassifier(3, 4, 2, d_input=4, depth=3),
    "untrained features": lambda: MultiresRidge(
        Output("class", names=("a", "b")), 4, 8, kernel_size=3, depth=2, n_thresholds=2
    ),
}


@pytest.mark.parametrize("module", MODULES)
@pytest.mark.parametrize("call", CALLS)
def test_a_call_leaves_the_storages_of_its_arguments_resizable(call: str, module: str) -> None:
    called, x = MODULES[module](), torch.randn(2, 9, 4)
    y = CALLS[call](called, x)
    if y.requires_grad:
        y.square().sum().backward()
    for t in (x, *called.parameters(), *called.buffers()):
        assert t.untyped_storage().resizable()
    torch.randn(3, 9, 4, out=x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64])
@pytest.mark.parametrize("shape", [(), (0, 3), (1, 1), (4, 5), (2, 3, 4)])
def test_an_array_is_the_memory_of_its_tensor(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    t = torch.randint(9, shape).to(dtype)
    view = array(t)
    assert all(view.flags[name] for name in ("C_CONTIGUOUS", "WRITEABLE", "ALIGNED"))
    np.testing.assert_array_equal(view, t.numpy(), strict=True)
    t += 1
    assert np.array_equal(view, t.numpy())


def test_an_array_keeps_the_memory() -> None:
    view = array(torch.arange(12.0).view(3, 4).t())  # of a copy, which nothing else refers to
    gc.collect()
    others = [torch.full((12,), -1.0) for _ in range(100)]
    assert np.array_equal(view, np.arange(12, dtype=np.float32).reshape(3, 4).T), len(others)


def test_a_lazily_negated_tensor_is_read_with_its_sign() -> None:
    x = torch.randn(2, 3, 9, dtype=torch.complex64).conj().imag
    assert x.is_neg()
    assert np.array_equal(array(x), x.numpy(force=True))
