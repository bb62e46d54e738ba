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
_dispatch_mode_active = _private("torch.utils._python_dispatch", "is_in_torch_dispatch_mode", lambda **_: False)
_function_modes = _private("torch.overrides", "_get_current_function_mode_stack", list)
_DeviceContext = _private("torch.utils._device", "DeviceContext", None)  # the mode of an ambient default device


def why_seen() -> str | None:
    """Name the transform or mode that is active and has to see PyTorch's own operators, or return None.

    A fused kernel hides its work from transforms, and from modes that count or replace operators. Compilers are not
    meant: they see the registered operator.
    """
    if torch.compiler.is_compiling():
        return None
    if reason := why_transformed():
        return reason
    if _dispatch_mode_active(include_infra_modes=False):
        return "a dispatch mode is active"
    modes = _function_modes()
    if modes and any(type(mode) is not _DeviceContext for mode in modes):
        return "a function mode is active"
    return "torch.jit.trace is active" if is_tracing() else None


def why_transformed() -> str | None:
    """Name the transform that is active and for which a fused kernel has no rule, or return None."""
    if _functorch_active():
        return "a functorch transform is active"
    if getattr(forward_ad, "_current_level", -1) >= 0:
        return "forward-mode differentiation is active"
    return None


def refuse_transforms(backend: str) -> None:
    """Raise if the kernels of a backend that the user named would lose derivatives."""
    if not torch.compiler.is_compiling() and (reason := why_transformed()):
        raise RuntimeError(f"backend: {backend!r} cannot be transformed, and {reason}; use 'auto' or 'reference'")


def refuse_tracing() -> None:
    """Raise under `torch.jit.trace`, which would record one length and one batch size as constants."""
    if not torch.compiler.is_compiling() and is_tracing():
        raise RuntimeError("torch.jit.trace is not supported; use torch.export.export with backend='reference'")
