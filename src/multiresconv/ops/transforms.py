"""`why_seen`: tells whether something active has to see PyTorch's own operators, which a fused kernel would hide."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]
from torch.utils._device import DeviceContext
from torch.utils._python_dispatch import is_in_torch_dispatch_mode


def _private(module: Any, name: str, missing: Callable[..., Any]) -> Callable[..., Any]:
    """Return a private function of PyTorch, or `missing` where this PyTorch has none of that name."""
    return getattr(module, name, missing)


_functorch_active = _private(torch._C, "_are_functorch_transforms_active", lambda: False)
_function_modes: Callable[[], Sequence[Any]] = _private(torch.overrides, "_get_current_function_mode_stack", list)


def why_seen() -> str | None:
    """Name the transform or mode that is active and has to see PyTorch's own operators, or return None.

    A fused kernel has no rule for functorch's transforms and for forward-mode derivatives, and it hides its work from
    modes that count or replace operators. Compilers are not meant: they see the registered operator.
    """
    if torch.compiler.is_compiling():
        return None
    if _functorch_active():
        return "a functorch transform is active"
    if getattr(forward_ad, "_current_level", -1) >= 0:
        return "forward-mode differentiation is active"
    if is_in_torch_dispatch_mode(include_infra_modes=False):
        return "a dispatch mode is active"
    if any(type(mode) is not DeviceContext for mode in _function_modes()):
        return "a function mode is active"
    return "torch.jit.trace is active" if is_tracing() else None


def refuse_transforms(backend: str) -> None:
    """Raise if a kernel that the user named would lose derivatives."""
    reason = why_seen()
    if reason and ("functorch" in reason or "forward-mode" in reason):
        raise RuntimeError(f"backend: {backend!r} cannot be transformed, and {reason}; use 'auto' or 'reference'")


def refuse_tracing() -> None:
    """Raise under `torch.jit.trace`, which would record one length and one batch size as constants."""
    if not torch.compiler.is_compiling() and is_tracing():
        raise RuntimeError("torch.jit.trace is not supported; use torch.export.export with backend='reference'")
