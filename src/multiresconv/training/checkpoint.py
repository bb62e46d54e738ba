"""Checkpoints: model, optimizer and position of a run, from which it can be resumed.

A file may hold anything. Every tensor is therefore compared with the one that it replaces before any is loaded: a
moment of the wrong shape would make the fused optimizer write outside of its memory.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from multiresconv.fields import AMOUNT, MAPPING, Kind, check_fields, shown
from multiresconv.models.state import check_values
from multiresconv.training.state import RunState

_SAME_OPTIONS = ("betas", "eps", "weight_decay", "amsgrad", "maximize")
_MOMENTS = ("exp_avg", "exp_avg_sq")
_STATES = Kind("a state for each weight", lambda value: isinstance(value, dict))
_ONE_GROUP = Kind("one group of options", lambda value: isinstance(value, list) and len(value) == 1)
_EXACT = 2**24  # PyTorch counts an optimizer's steps in float32, which stops here


class Checkpoint(NamedTuple):
    model: dict[str, Any]
    optimizer: dict[str, Any]
    state: RunState


def load_weights(model: nn.Module, checkpoint: Checkpoint, origin: str, dtype: torch.dtype | None = None) -> None:
    """Replace the weights of `model` by those of a checkpoint, including their dtype; see `check_weights`."""
    check_weights(model, checkpoint, origin, dtype)
    model.load_state_dict(checkpoint.model, assign=True)


def check_weights(model: nn.Module, checkpoint: Checkpoint, origin: str, dtype: torch.dtype | None = None) -> None:
    """Raise unless a checkpoint holds weights for `model`.

    Args:
        model: the model, which may be on the meta device.
        checkpoint: the checkpoint.
        origin: name of the checkpoint in errors.
        dtype: dtype that the weights must have; None allows float32 or float64, the same for all.

    Raises:
        ValueError: a tensor is missing, unknown, or of another shape or dtype, or a value is impossible.
    """
    try:
        _check_weights(checkpoint.model, model.state_dict(), dtype)
    except ValueError as error:
        raise ValueError(f"{origin}: not of the model that config.yaml describes: {error}") from error


def load_optimizer(optimizer: Optimizer, checkpoint: Checkpoint, origin: str) -> None:
    """Load the moments and step counts of a checkpoint into an optimizer; its options stay those of the run.

    Raises:
        ValueError: see `check_optimizer`.
    """
    check_optimizer(optimizer, checkpoint, origin)
    groups = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": checkpoint.optimizer["state"], "param_groups": groups})


def check_optimizer(optimizer: Optimizer, checkpoint: Checkpoint, origin: str) -> None:
    """Raise unless a checkpoint holds the state of an AdamW with the parameters and options of `optimizer`.

    Args:
        optimizer: an optimizer with one group of parameters.
        checkpoint: the checkpoint.
        origin: name of the checkpoint in errors.

    Raises:
        ValueError: an option or a tensor is missing or differs, or a value is impossible.
    """
    try:
        check_fields(checkpoint.optimizer, {"state": _STATES, "param_groups": _ONE_GROUP}, "optimizer")
        [own] = optimizer.param_groups
        _check_options(checkpoint.optimizer["param_groups"][0], own)
        _check_moments(checkpoint.optimizer["state"], own["params"], checkpoint.state.step)
    except ValueError as error:
        raise ValueError(f"{origin}: not of the optimizer of this run: {error}") from error


def _check_weights(found: Mapping[str, Any], expected: Mapping[str, Tensor], dtype: torch.dtype | None) -> None:
    if not MAPPING.fits(found):
        raise ValueError(f"model: expected tensors by name, got {shown(found)}")
    _check_names("model", found, expected)
    dtype = dtype or _shared_dtype(found.values())
    for name, like in expected.items():
        wanted = dtype if like.is_floating_point() else like.dtype
        _check_tensor(name, found[name], tuple(like.shape), wanted)
    check_values(found, "model")


def _shared_dtype(tensors: Iterable[Any]) -> torch.dtype:
    dtypes = {tensor.dtype for tensor in tensors if isinstance(tensor, Tensor) and tensor.is_floating_point()}
    return torch.float64 if dtypes == {torch.float64} else torch.float32


def _check_options(found: Any, own: Mapping[str, Any]) -> None:
    where = "optimizer: options"
    wanted = {name: own[name] for name in _SAME_OPTIONS}
    wanted["params"] = list(range(len(own["params"])))
    if not MAPPING.fits(found):
        raise ValueError(f"{where}: expected a mapping, got {shown(found)}")
    check_fields({"lr": found.get("lr")}, {"lr": AMOUNT}, where)
    for name, value in wanted.items():
        if name not in found:
            raise ValueError(f"{where}: {name}: missing")
        if not _same(found[name], value):
            raise ValueError(f"{where}: {name}: expected {value if name != 'params' else 'one for each weight'}")


def _same(given: Any, value: Any) -> bool:
    """True if both are equal and of one type, their elements included."""
    if type(given) is not type(value):
        return False
    if isinstance(value, list | tuple):
        return len(given) == len(value) and all(map(_same, given, value))
    return given == value


def _check_moments(states: Mapping[Any, Any], parameters: list[Tensor], step: int) -> None:
    """Raise unless there is a state for each parameter after `step` steps; before the first step there is none."""
    wanted = range(len(parameters)) if step else range(0)
    if list(states) != list(wanted):
        raise ValueError(
            f"optimizer: expected the states of {len(wanted)} weights after step {step}, got {len(states)}"
        )
    for number, like in enumerate(parameters[: len(wanted)]):
        where, state = f"optimizer: weight {number}", states[number]
        if not MAPPING.fits(state):
            raise ValueError(f"{where}: expected a mapping, got {shown(state)}")
        _check_names(where, state, ("step", *_MOMENTS))
        _check_tensor(f"{where}: step", state["step"], (), torch.float32)
        for name in _MOMENTS:
            _check_tensor(f"{where}: {name}", state[name], tuple(like.shape), like.dtype)
        if float(state["step"]) != min(step, _EXACT):
            raise ValueError(f"{where}: step: expected {step}, got {float(state['step']):g}")
        if bool((state["exp_avg_sq"] < 0).any()):
            raise ValueError(f"{where}: exp_avg_sq: expected values of at least 0")


def _check_names(where: str, found: Iterable[str], expected: Iterable[str]) -> None:
    missing, unknown = sorted({*expected} - {*found}), sorted({*found} - {*expected})
    if missing or unknown:
        faults = [
            f"{what} {', '.join(shown(name, quoted=False) for name in names[:5])}{' ...' if len(names) > 5 else ''}"
            for what, names in (("missing", missing), ("unknown", unknown))
            if names
        ]
        raise ValueError(f"{where}: {'; '.join(faults)}")


def _check_tensor(name: str, tensor: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    if not isinstance(tensor, Tensor) or tensor.layout != torch.strided or tensor.is_meta or tensor.is_quantized:
        raise ValueError(f"{name}: expected a dense tensor, got {shown(tensor)}")
    if tuple(tensor.shape) != shape:
        raise ValueError(f"{name}: expected shape {shape}, got {tuple(tensor.shape)}")
    if tensor.dtype != dtype:
        raise ValueError(f"{name}: expected {dtype}, got {tensor.dtype}")
    if tensor.is_floating_point() and not bool(torch.isfinite(tensor).all()):
        raise ValueError(f"{name}: expected finite values, got NaN or infinity")
