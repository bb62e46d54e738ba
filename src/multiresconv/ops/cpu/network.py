"""The tensors of a network, and their description for the streaming kernels."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from multiresconv.ops.cpu.kernels.layout import MAX_POOLING, MEAN_POOLING, NO_POOLING, Network
from multiresconv.ops.streaming_reference import line_sizes
from multiresconv.ops.tree import weight_size


class BlockTensors(NamedTuple):
    """The tensors and options of a block; without `mix` the block is the operator alone."""

    h0: Tensor
    h1: Tensor
    w: Tensor
    mix: Tensor | None
    mix_bias: Tensor | None
    norm: Tensor | None
    norm_bias: Tensor | None
    projection: Tensor | None
    projection_bias: Tensor | None
    running_mean: Tensor | None
    running_var: Tensor | None
    eps: float
    memory: tuple[int, ...]


class NetworkTensors(NamedTuple):
    """The tensors of a network. Everything but the blocks may be absent.

    Attributes:
        blocks: at least one.
        standardise: mean and standard deviation, both (d_input,), of real-valued input.
        encoder: weight and bias of a linear map, or the table of an embedding and None.
        pooling: "mean", "last" or "max", over all features so far.
        head: weight and bias of the last linear map.
    """

    blocks: Sequence[BlockTensors]
    standardise: tuple[Tensor, Tensor] | None = None
    encoder: tuple[Tensor, Tensor | None] | None = None
    pooling: str | None = None
    head: tuple[Tensor, Tensor] | None = None

    def flat(self) -> list[Tensor]:
        """Return all tensors that are not None."""
        tensors = [t for block in self.blocks for t in block[:11]]
        for pair in (self.standardise, self.encoder, self.head):
            tensors += pair or ()
        return [t for t in tensors if t is not None]


def why_not_network(tensors: NetworkTensors) -> str | None:
    """Return the reason why the kernels cannot take these tensors, or None if they can.

    The blocks must be alike. All tensors must be plain and contiguous, on the CPU, all float32 or all float64, and have
    the expected shapes.
    """
    dtype = tensors.blocks[0].h0.dtype
    if dtype not in (torch.float32, torch.float64):
        return f"the parameters are {dtype}; kernels compute in float32 and float64"
    for tensor in tensors.flat():
        if type(tensor) not in (Tensor, nn.Parameter):
            return f"a parameter is a {type(tensor).__name__}"
        if not tensor.is_cpu:
            return f"a parameter is on {tensor.device}"
        if tensor.dtype != dtype:
            return f"parameters are {dtype} and {tensor.dtype}"
        if not tensor.is_contiguous():
            return "a parameter is not contiguous"
    if len({(block.memory, *(t is None for t in block[:11])) for block in tensors.blocks}) > 1:
        return "the blocks are not alike"
    return None if _shapes(tensors) == _wanted_shapes(tensors) else "parameters have unexpected shapes"


def _shapes(tensors: NetworkTensors) -> list[tuple[int, ...]]:
    return [tuple(t.shape) for t in tensors.flat()]


def _wanted_shapes(tensors: NetworkTensors) -> list[tuple[int, ...]]:
    """Return the shapes that `tensors.flat()` must have, given h0, the memory, and the sizes of input and output."""
    first = tensors.blocks[0]
    channels, kernel_size = first.h0.shape
    one, taps = (channels,), (channels, kernel_size)
    of_block = [taps, taps, (channels, weight_size(first.memory)), (2 * channels, channels), (2 * channels,), one, one]
    of_block += [(channels, channels), one, one, one]
    shapes: list[tuple[int, ...]] = []
    for block in tensors.blocks:
        shapes += [shape for shape, t in zip(of_block, block[:11], strict=True) if t is not None]
    if tensors.standardise is not None:
        shapes += [(_inputs(tensors),)] * 2
    if tensors.encoder is not None:
        weight, bias = tensors.encoder
        shapes += [(weight.shape[0], channels)] if bias is None else [(channels, weight.shape[-1]), one]
    if tensors.head is not None:
        outputs = tensors.head[0].shape[0]
        shapes += [(outputs, channels), (outputs,)]
    return shapes


def _inputs(tensors: NetworkTensors) -> int:
    """Return the number of channels of real-valued input; 0 for tokens."""
    if tensors.encoder is None:
        return tensors.blocks[0].h0.shape[0]
    weight, bias = tensors.encoder
    return 0 if bias is None else weight.shape[1]


def describe_network(tensors: NetworkTensors) -> Network:
    """Return the `Network` of tensors that `why_not_network` accepts; it is valid as long as the tensors live."""
    first = tensors.blocks[0]
    (channels, kernel_size), dtype = first.h0.shape, first.h0.dtype
    ends = [t for pair in (tensors.standardise, tensors.encoder, tensors.head) for t in pair or (None, None)]
    eps = torch.tensor([block.eps for block in tensors.blocks], dtype=dtype, device="cpu")
    return Network(
        blocks=np.array([[_address(t) for t in block[:11]] for block in tensors.blocks]),
        ends=np.array([_address(t) for t in ends]),
        eps=eps.numpy(),
        memory=np.array(first.memory, np.int64),
        channels=channels,
        slots=sum(line_sizes(kernel_size, first.memory)),
        kernel_size=kernel_size,
        width=weight_size(first.memory),
        inputs=_inputs(tensors),
        outputs=channels if tensors.head is None else tensors.head[0].shape[0],
        pooling={None: NO_POOLING, "last": NO_POOLING, "mean": MEAN_POOLING, "max": MAX_POOLING}[tensors.pooling],
    )


def _address(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.data_ptr()
