"""Checks that calling a module runs the `forward` of its class and nothing else: no hooks, no patched `forward`."""

from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

_HOOKS = {
    "_forward_hooks": "forward hook",
    "_forward_pre_hooks": "forward pre-hook",
    "_backward_hooks": "backward hook",
    "_backward_pre_hooks": "backward pre-hook",
}
_GLOBAL_HOOKS: list[dict[Any, Any]] = [getattr(torch_module, f"_global{name}", {}) for name in _HOOKS]
_FORWARDS: dict[type, Any] = {kind: kind.forward for kind in (nn.Linear, nn.Embedding, nn.LayerNorm)}


def hook_tables(module: nn.Module) -> list[dict[Any, Any]]:
    """Return the hook dictionaries of one module; all are empty if it has no hooks."""
    return [module.__dict__[name] for name in _HOOKS]


def global_hook_tables() -> list[dict[Any, Any]]:
    """Return the dictionaries of global hooks, which PyTorch calls for every module."""
    return _GLOBAL_HOOKS


def why_changed(module: nn.Module) -> str | None:
    """Say what a call of the module runs besides its class's `forward`, e.g. "has a forward hook", or return None."""
    own = module.__dict__
    for attribute, name in _HOOKS.items():
        if own[attribute]:
            return f"has a {name}"
    kind = type(module)
    if "forward" in own or _FORWARDS.get(kind, kind.forward) is not kind.forward:
        return "has a forward of its own"
    return None


def why_any_changed(module: nn.Module) -> str | None:
    """Name the first submodule that is hooked or patched and say how, or return None."""
    if any(_GLOBAL_HOOKS):
        return "there is a hook for all modules"
    for name, part in module.named_modules():
        if reason := why_changed(part):
            return f"{name or 'the module'} {reason}"
    return None
