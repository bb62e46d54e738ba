"""Checks that calling a module runs the `forward` of its class and nothing else: no hooks, no patched methods."""

from typing import Any

from torch import nn
from torch.nn.modules import module as torch_module

from multiresconv.layers.channel_dropout import ChannelDropout
from multiresconv.layers.norm import MaskedBatchNorm
from multiresconv.layers.standardise import Standardise
from multiresconv.ops.transforms import why_seen

_HOOKS = {
    "_forward_hooks": "forward hook",
    "_forward_pre_hooks": "forward pre-hook",
    "_backward_hooks": "backward hook",
    "_backward_pre_hooks": "backward pre-hook",
}
_GLOBAL_HOOKS: list[dict[Any, Any]] = [getattr(torch_module, f"_global{name}", {}) for name in _HOOKS]
_CALL = nn.Module.__call__
_MODULE_CALL = nn.Module._call_impl
# Filled in advance, because torch.compile cannot trace how they are found.
_FORWARDS: dict[type, Any] = {}
_METHODS: dict[type, frozenset[str]] = {}


def remember(kind: type[nn.Module]) -> None:
    """Record the methods of a class, so that `why_changed` notices others in their place."""
    _FORWARDS[kind] = kind.forward
    _METHODS[kind] = frozenset(name for base in kind.__mro__ for name, value in vars(base).items() if callable(value))


for _kind in (nn.Linear, nn.Embedding, nn.LayerNorm, ChannelDropout, MaskedBatchNorm, Standardise):
    remember(_kind)


def hook_tables(module: nn.Module) -> list[dict[Any, Any]]:
    """Return the hook dictionaries of one module; all are empty if it has no hooks."""
    return [module.__dict__[name] for name in _HOOKS]


def why_all_changed() -> str | None:
    """Say what calls of every module run besides `forward`, or return None."""
    if any(_GLOBAL_HOOKS):
        return "there is a hook for all modules"
    if nn.Module.__call__ is not _CALL or nn.Module._call_impl is not _MODULE_CALL:
        return "the call of all modules is patched"
    return why_seen()


def why_changed(module: nn.Module) -> str | None:
    """Say what a call of the module runs besides its class's `forward`, e.g. "has a forward hook", or return None."""
    for attribute, name in _HOOKS.items():
        if module.__dict__[attribute]:
            return f"has a {name}"
    return why_patched(module)


def why_patched(module: nn.Module) -> str | None:
    """Say which method of the module is not that of its class, e.g. "has a forward of its own", or return None."""
    own, kind = module.__dict__, type(module)
    if _FORWARDS.get(kind, kind.forward) is not kind.forward or kind.__call__ is not nn.Module.__call__:
        return "has a forward of its own"
    methods = _METHODS.get(kind, ())
    for name in own:  # an attribute of the instance takes the place of a method of the class
        if name in methods:
            return f"has a {name} of its own"
    return None


def why_any_changed(module: nn.Module) -> str | None:
    """Name the first submodule that is hooked or patched and say how, or return None."""
    if reason := why_all_changed():
        return reason
    for name, part in module.named_modules():
        if reason := why_changed(part):
            return f"{name or 'the module'} {reason}"
    return None
