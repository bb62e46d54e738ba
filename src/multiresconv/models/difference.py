"""`difference`: names how a module differs from the one that its configuration builds."""

from typing import Any

from torch import nn

from multiresconv.layers.hooks import why_patched

# Attributes that a model folder holds elsewhere, or not at all.
_NOT_COMPARED = {"training", "backend", "input", "output"}


def difference(module: nn.Module, built: nn.Module) -> str | None:
    """Name the first part or option in which `module` differs from `built`, or return None.

    Values of tensors, hooks, and attributes that the library does not know are not compared.
    """
    ours, theirs = (dict(m.named_modules(remove_duplicate=False)) for m in (module, built))
    for name, part in ours.items():
        where = name or "the model"
        if name not in theirs:
            return f"{where}, a {_kind(part)}, is not part of a {_kind(built)}"
        if type(part) is not type(theirs[name]):
            return f"{where} is a {_kind(part)}, not a {_kind(theirs[name])}"
        if reason := why_patched(part):
            return f"{where} {reason}"
        for key, expected in _options(theirs[name]).items():
            found = vars(part).get(key)
            if not _same(found, expected):
                return f"{where}.{key} is {found!r}, not {expected!r}"
    missing = [name for name in theirs if name not in ours]
    if missing:
        return f"{missing[0]} is missing"
    shapes, wanted = ({name: tuple(t.shape) for name, t in m.state_dict().items()} for m in (module, built))
    for name in [*shapes, *wanted]:
        if shapes.get(name) != wanted.get(name):
            return f"{name} has the shape {shapes.get(name)}, not {wanted.get(name)}"
    return None


def _options(part: nn.Module) -> dict[str, Any]:
    return {name: v for name, v in vars(part).items() if not name.startswith("_") and name not in _NOT_COMPARED}


def _same(found: Any, expected: Any) -> bool:
    try:
        return bool(found == expected)
    except (RuntimeError, ValueError):  # tensors and arrays, whose == gives no bool
        return False


def _kind(part: nn.Module) -> str:
    kind = type(part)
    ours = kind.__module__.startswith(("multiresconv.", "torch.nn.modules."))
    return kind.__name__ if ours else f"{kind.__module__}.{kind.__qualname__}"
