"""`multires_conv`, the operator's entry point: it checks the arguments once and chooses the backend."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal, get_args

import torch
from torch import Tensor

from multiresconv.ops.cpu.registration import multires_conv_cpu
from multiresconv.ops.reference import multires_conv_reference
from multiresconv.ops.transforms import refuse_tracing, refuse_transforms, why_seen
from multiresconv.ops.tree import weight_size

Backend = Literal["auto", "reference", "cpu", "triton"]
_BACKENDS = get_args(Backend)

_DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)


def multires_conv(
    x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int], *, backend: Backend = "auto"
) -> Tensor:
    """Multiresolution convolution: a causal tree of dilated convolutions with one filter pair per channel.

    With a_0 = x, zero before the start, and scales j = 1..J, J = len(memory) (Shi, Wang & Fox 2023, "MultiresConv")::

        a_j[n] = sum_{i<K} h0[K-1-i] * a_{j-1}[n - i*2^(j-1)]
        b_j[n] = sum_{i<K} h1[K-1-i] * a_{j-1}[n - i*2^(j-1)]
        y[n]   = w_a*a_J[n] + sum_j sum_{t<m_j} w_{j,t} * b_j[n - t*2^j] + w_x*x[n]

    Args:
        x: (B, D, L) input, L >= 1. A transposed (B, L, D) tensor is fast too; y then has the layout of x.
        h0: (D, K) low-pass taps, K >= 2; the last tap multiplies the current sample.
        h1: (D, K) high-pass taps.
        w: (D, 1 + sum(memory) + 1) weights [w_a | w_J,0.. | ... | w_1,0.. | w_x], newest coefficient of a scale first.
        memory: (m_J, ..., m_1), the number of coefficients kept at each scale, coarsest first; see `fading`, `uniform`.
        backend: "reference" (plain PyTorch: any device, twice differentiable, exportable), "cpu" (Numba kernels fused
            over the scales: first-order reverse-mode gradients; backward keeps only x and the parameters), "triton"
            (fused GPU kernels with the limits of "cpu"; half precision is widened in registers only) or "auto" ("cpu"
            on a CPU, "triton" on CUDA if it is installed, else "reference"). "auto" also chooses "reference" while
            a `torch.func` transform, forward-mode differentiation, or a mode that watches operators (such as a FLOP
            counter) is active. A named backend runs or raises.

    All tensors have one device and one dtype: float32, float64, or bfloat16/float16, which are computed in float32.
    Autocast has no effect. Second derivatives need the backend "reference".

    Returns:
        y: (B, D, L), dtype of x.

    Raises:
        TypeError: a dtype that is not floating point or differs between arguments; a `memory` of non-integers.
        ValueError: a shape or a memory that does not fit; an unknown backend.
        RuntimeError: tensors on different devices, or on a device that the named backend does not support; "cpu" or
            "triton" inside a `torch.func` transform or forward-mode differentiation; `torch.jit.trace`.
        ImportError: "triton" without Triton.
    """
    memory = check_arguments(x, h0, h1, w, memory)
    check_backend(backend, x)
    refuse_tracing()
    if backend in ("cpu", "triton"):
        refuse_transforms(backend)
    elif backend == "auto" and why_seen():
        backend = "reference"
    fused = backend == "cpu" or (backend == "auto" and x.device.type == "cpu")
    run = multires_conv_cpu if fused else multires_conv_reference
    with without_autocast(x.device.type):
        if backend == "triton" or (backend == "auto" and _triton_serves(x)):
            return _triton()(x, h0, h1, w, memory)
        if x.dtype in (torch.float16, torch.bfloat16):
            return run(x.float(), h0.float(), h1.float(), w.float(), memory).to(x.dtype)
        return run(x, h0, h1, w, memory)


def _triton_serves(x: Tensor) -> bool:
    """Return True if "auto" chooses Triton. PyTorch before 2.8 comes with a Triton that is too old."""
    if x.device.type != "cuda" or torch.__version__ < "2.8":
        return False
    try:
        import triton  # noqa: F401
    except ImportError:
        return False
    return True


def _triton() -> Callable[[Tensor, Tensor, Tensor, Tensor, tuple[int, ...]], Tensor]:
    try:
        from multiresconv.ops.triton.backend import multires_conv_triton
    except ImportError as error:
        raise ImportError(
            "backend: 'triton' needs Triton 3.4 or newer, which comes with PyTorch 2.8 or newer for CUDA; "
            f"update PyTorch, or use 'auto' or 'reference' ({error})"
        ) from error
    return multires_conv_triton


def without_autocast(device_type: str) -> AbstractContextManager[object]:
    """Return a context without autocast: coarse scales multiply many taps and need the precision of the arguments."""
    if device_type != "meta" and torch.is_autocast_enabled(device_type):
        return torch.autocast(device_type, enabled=False)
    return nullcontext()


def check_backend(backend: Backend, x: Tensor | None = None) -> None:
    """Raise if the backend is unknown, or if it is "cpu" and x is on another device."""
    if backend not in _BACKENDS:
        raise ValueError(f"backend: expected one of {', '.join(_BACKENDS)}, got {backend!r}")
    if backend == "cpu" and x is not None and not x.is_cpu:
        raise RuntimeError(f"backend: 'cpu' needs tensors on the CPU, x is on {x.device}; use 'auto' or 'reference'")


def check_arguments(x: Tensor, h0: Tensor, h1: Tensor, w: Tensor, memory: Sequence[int]) -> tuple[int, ...]:
    """Check the arguments of `multires_conv`, with the errors stated there, and return the memory as a tuple."""
    for name, t in (("x", x), ("h0", h0), ("h1", h1), ("w", w)):
        if not isinstance(t, Tensor):
            raise TypeError(f"{name}: expected a tensor, got {type(t).__name__}")
        if t.dtype not in _DTYPES:
            raise TypeError(f"{name}: expected float32, float64, bfloat16 or float16, got {t.dtype}")
        if t.dtype != x.dtype:
            raise TypeError(f"{name}: expected the dtype of x, {x.dtype}, got {t.dtype}")
        if t.device != x.device:
            raise RuntimeError(f"{name}: expected the device of x, {x.device}, got {t.device}")
    if x.ndim != 3 or x.shape[1] < 1 or x.shape[2] < 1:
        raise ValueError(f"x: expected shape (batch, channels >= 1, length >= 1), got {tuple(x.shape)}")
    channels = x.shape[1]
    if h0.ndim != 2 or h0.shape[0] != channels or h0.shape[1] < 2:
        raise ValueError(
            f"h0: expected shape ({channels}, K) with K >= 2 for x {tuple(x.shape)}, got {tuple(h0.shape)}"
        )
    if h1.shape != h0.shape:
        raise ValueError(f"h1: expected the shape of h0, {tuple(h0.shape)}, got {tuple(h1.shape)}")
    try:
        counts = tuple(m.__index__() for m in memory)
    except (AttributeError, TypeError):
        raise TypeError(f"memory: expected a sequence of integers (m_J, ..., m_1), got {memory!r}") from None
    if not counts or min(counts) < 0:
        raise ValueError(f"memory: expected (m_J, ..., m_1), at least one scale, none negative, got {counts}")
    if w.shape != (channels, weight_size(counts)):
        raise ValueError(
            f"w: expected shape ({channels}, {weight_size(counts)}) = (channels, 1 + sum(memory) + 1), "
            f"got {tuple(w.shape)}"
        )
    return counts
