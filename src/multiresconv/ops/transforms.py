"""`why_seen`: tells whether something active has to see PyTorch's own operators, which a fused kernel would hide."""

from importlib import import_module
from typing import Any

import torch
from torch.autograd import forward_ad
from torch.jit import is_tracing  # pyright: ignore[reportPrivateImportUsage]


def _private(module: str, name: str, missing: Any) -> Any:
    """Return something private of PyTorch, or `missing` where this PyTorch does not have it.

    `registration.direct` then leaves calls to the dispatcher, which raises inside a transform.
    """
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError):
        return missing


_functorch_active = _private("torch._C", "_are_functorch_transforms_active", lambda: False)
_functorch_depth = _private("torch._C._functorch", "get_dynamic_layer_stack_depth", lambda: 0)
_dispatch_mode_active = _private("torch.utils._python_dispatch", "is_in_torch_dispatch_mode", lambda **_: False)
_function_modes = _private("torch.overrides", "_get_current_function_mode_stack", list)
_DeviceContext = _private("torch.utils._device", "DeviceContext", None)  # the mode of an ambient default device


def why_seen() -> str | None:
    """Name the transform or mode that is active and has to see PyTorch's own operators, or return None.

    A fused kernel hides its work from transforms, and from modes that count or replace operators. A compiler sees the
    registered operator; only a transform inside the compiled function makes a difference to it.
    """
    if (reason := why_transformed()) or torch.compiler.is_compiling():
        return reason
    if _dispatch_mode_active(include_infra_modes=False):
        return "a dispatch mode is active"
    modes = _function_modes()
    if modes and any(type(mode) is not _DeviceContext for mode in modes):
        return "a function mode is active"
    return "torch.jit.trace is active" if is_tracing() else None


def why_transformed() -> str | None:
    """Name the transform that is active and for which a fused kernel has no rule, or return None."""
    # A compiler takes the depth for a constant. It would leave a call of the other function in its graph.
    if _functorch_depth() if torch.compiler.is_compiling() else _functorch_active():
        return "a functorch transform is active"
    return "forward-mode differentiation is active" if _forward_mode() else None


def _forward_mode() -> bool:
    return getattr(forward_ad, "_current_level", -1) >= 0


def refuse_transforms(backend: str) -> None:
    """Raise if the kernels of a backend that the user named would lose derivatives."""
    if reason := why_transformed():
        raise RuntimeError(f"backend: {backend!r} cannot be transformed, and {reason}; use 'auto' or 'reference'")


def refuse_tangents(operator: str) -> None:
    """Raise in forward-mode differentiation, whose tangents a registered operator would drop without a word."""
    if _forward_mode():
        raise RuntimeError(
            f"multiresconv::{operator} has no forward-mode derivative; use multires_conv with backend 'reference'"
        )


def refuse_tracing() -> None:
    """Raise under `torch.jit.trace`, which would record one length and one batch size as constants."""
    if not torch.compiler.is_compiling() and is_tracing():
        raise RuntimeError("torch.jit.trace is not supported; use torch.export.export with backend='reference'")
