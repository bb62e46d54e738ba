"""What forward keeps for backward, in tensors like x: the numbers of docs/scale.md."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from multiresconv import MultiresBlock, MultiresLayer

LENGTH = 1 << 13  # long beside the past of at most 63 steps, so that what is kept of that hardly counts


def kept(run: Callable[[Tensor], object]) -> float:
    """Return the size of all tensors that a call on x keeps for backward, each memory once, divided by that of x."""
    x = torch.randn(1, LENGTH, 16, requires_grad=True)
    tensors: dict[int, Tensor] = {}

    def pack(tensor: Tensor) -> Tensor:
        tensors[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        held = run(x)
    assert held is not None
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors.values()) / (x.element_size() * x.numel())


@pytest.mark.parametrize("depth", [3, 6])
def test_a_layer_keeps_x_alone_and_the_reference_every_scale(depth: int) -> None:
    layer, reference = MultiresLayer(16, depth=depth), MultiresLayer(16, depth=depth, backend="reference")
    assert kept(layer) == pytest.approx(1, abs=0.1)
    assert kept(reference) == pytest.approx(3 * depth + 2, abs=0.3)
    assert kept(lambda x: reference(x, state=reference.init_state(1))) == pytest.approx(2 * depth + 2, abs=0.3)
    assert kept(lambda x: layer(x, state=layer.init_state(1))) == pytest.approx(1, abs=0.3)


def test_a_block_keeps_four_and_in_long_chunks_six() -> None:
    block = MultiresBlock(16, depth=6)
    assert kept(block) == pytest.approx(4, abs=0.1)
    assert kept(lambda x: block(x, state=block.init_state(1))) == pytest.approx(6, abs=0.5)
