"""The layers that the speed table compares."""

import math
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from multiresconv.bench.attention import CausalAttention
from multiresconv.bench.long_convolution import GivenKernel, LongConvolution
from multiresconv.bench.recurrent import Recurrent
from multiresconv.bench.s4d import S4D
from multiresconv.bench.tcn import TAPS, DilatedTCN, tcn_blocks
from multiresconv.layers import MultiresBlock, MultiresLayer
from multiresconv.ops import Backend, default_depth

# For this library's layers: the more expensive of the two sizes in the paper's networks.
KERNEL_SIZE = 4
S4D_STATES = 64
RECOMPUTES = "-: recomputes the whole sequence for every step"


@dataclass(frozen=True)
class Contender:
    """A layer (B, L, D) -> (B, L, D).

    Attributes:
        label: name in tables and pictures.
        contents: description of its operations.
        build: d_model, length -> the layer.
        multiply_adds: d_model, length -> approximate number per step of a sequence, forward.
        mixes_channels: whether an output depends on other channels too.
        ours: whether it belongs to this library.
        no_stream: reason why it cannot stream, or None.
        stream_batch: largest batch that it can stream, or None for any.
        missing: device -> reason why it cannot be measured there, or None.
    """

    label: str
    contents: str
    build: Callable[[int, int], nn.Module]
    multiply_adds: Callable[[int, int], float]
    mixes_channels: bool = False
    ours: bool = False
    no_stream: str | None = None
    stream_batch: int | None = None
    missing: Callable[[str], str | None] = lambda device: None


def _layer(backend: Backend) -> Callable[[int, int], nn.Module]:
    return lambda d, length: MultiresLayer(d, kernel_size=KERNEL_SIZE, max_length=length, backend=backend)


def _block(d_model: int, length: int) -> nn.Module:
    return MultiresBlock(d_model, kernel_size=KERNEL_SIZE, max_length=length)


def _compiled(d_model: int, length: int) -> nn.Module:
    # Compilations for other lengths count against a limit; beyond it PyTorch stops compiling.
    torch.compiler.reset()
    compiled: Any = torch.compile(_layer("reference")(d_model, length), dynamic=False)
    return compiled


def _recurrent(cell: type[nn.GRU | nn.LSTM]) -> Callable[[int, int], nn.Module]:
    return lambda d, length: Recurrent(cell(d, d, batch_first=True))


def _no_compiler(device: str) -> str | None:
    """Check for the C++ compiler that torch.compile needs, for CPU code and for launching GPU kernels."""
    name = os.environ.get("CXX", "clang++" if sys.platform == "darwin" else "cl" if os.name == "nt" else "g++")
    return None if shutil.which(name) else "not measured: no C++ compiler"


def _only_on(device: str, why: str) -> Callable[[str], str | None]:
    return lambda seen: None if seen == device else f"not measured: {why}"


def _tree(d: int, length: int) -> float:
    return d * ((2 * KERNEL_SIZE + 1) * default_depth(length, KERNEL_SIZE) + 2)


def _fft(d: int, length: int) -> float:
    # A real FFT of n points takes about 5/4 n log2(n) multiply-adds; x and y need one of 2 L points each.
    return d * 5 * math.log2(2 * length)


_TREE = f"tree of dilated convolutions, K = {KERNEL_SIZE}, memory fading over all scales"

CONTENDERS = {
    "cpu": Contender(
        label="MultiresLayer, cpu",
        contents=f"{_TREE}; fused Numba kernels",
        build=_layer("cpu"),
        multiply_adds=_tree,
        ours=True,
        missing=_only_on("cpu", "runs on a CPU only"),
    ),
    "triton": Contender(
        label="MultiresLayer, triton",
        contents="the same; fused Triton kernels",
        build=_layer("triton"),
        multiply_adds=_tree,
        ours=True,
        missing=_only_on("cuda", "runs on a GPU only"),
    ),
    "block": Contender(
        label="MultiresBlock",
        contents="MultiresLayer -> GELU -> linear D to 2D -> GLU -> + input -> layer norm",
        build=_block,
        multiply_adds=lambda d, length: _tree(d, length) + 2 * d * d,
        mixes_channels=True,
        ours=True,
    ),
    "reference": Contender(
        label="conv1d loop",
        contents="the same tree, one conv1d per scale and filter pair: this library's backend reference",
        build=_layer("reference"),
        multiply_adds=_tree,
        no_stream=RECOMPUTES,
    ),
    "compile": Contender(
        label="conv1d loop, compiled",
        contents="the same under torch.compile",
        build=_compiled,
        multiply_adds=_tree,
        no_stream=RECOMPUTES,
        missing=_no_compiler,
    ),
    "fft": Contender(
        label="FFT convolution",
        contents="a kernel of length L per channel, given (S4, Hyena); in inference its spectrum is computed once",
        build=lambda d, length: LongConvolution(GivenKernel(d, length)),
        multiply_adds=_fft,
        no_stream=RECOMPUTES,
    ),
    "s4d": Contender(
        label="S4D",
        contents=f"diagonal state space, {S4D_STATES} states, zero-order hold; its kernel generated, then as above; "
        "steps by its recurrence",
        build=lambda d, length: S4D(d, length, S4D_STATES),
        multiply_adds=lambda d, length: _fft(d, length) + d * S4D_STATES,
    ),
    "gru": Contender(
        label="GRU",
        contents="torch.nn.GRU, D to D",
        build=_recurrent(nn.GRU),
        multiply_adds=lambda d, length: 6 * d * d,
        mixes_channels=True,
    ),
    "lstm": Contender(
        label="LSTM",
        contents="torch.nn.LSTM, D to D",
        build=_recurrent(nn.LSTM),
        multiply_adds=lambda d, length: 8 * d * d,
        mixes_channels=True,
    ),
    "attention": Contender(
        label="causal attention",
        contents="linear D to 3D -> scaled_dot_product_attention, heads of 64 -> linear; steps with a cache of L steps",
        build=CausalAttention,
        multiply_adds=lambda d, length: 4 * d * d + d * length,
        mixes_channels=True,
    ),
    "tcn": Contender(
        label="dilated TCN",
        contents=f"pytorch-tcn, residual blocks of two convolutions D to D of {TAPS} taps, as many as see L steps",
        build=DilatedTCN,
        multiply_adds=lambda d, length: 2 * TAPS * d * d * tcn_blocks(length),
        mixes_channels=True,
        stream_batch=1,
    ),
}
