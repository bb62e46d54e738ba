"""Checkpoint files: model, optimizer and position of a run in one file that loads with `weights_only`."""

import warnings
import zipfile
from collections import Counter
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from multiresconv.fields import MAPPING, check_fields
from multiresconv.files import write_atomically
from multiresconv.training.checkpoint import Checkpoint
from multiresconv.training.state import RunState

_CONTENT = {"model": MAPPING, "optimizer": MAPPING, "state": MAPPING}


def save_checkpoint(path: Path, model: nn.Module, optimizer: Optimizer, state: RunState) -> None:
    content = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "state": state.to_dict()}
    data = BytesIO()
    torch.save(content, data)  # in memory, since on a full disk torch.save names neither the error nor the file
    write_atomically(path, lambda part: part.write_bytes(data.getbuffer()))


def load_checkpoint(path: Path) -> Checkpoint:
    """Load a checkpoint to the CPU.

    The names, shapes and dtypes of its tensors are checked when they are loaded into a model; see
    `training.checkpoint`.

    Raises:
        FileNotFoundError: no such file.
        OSError: the file cannot be read.
        ValueError: the file is damaged or not a checkpoint of a run.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; the run stopped before its first one; start a new run")
    with open(path, "rb"):  # an error of the system names itself; all that follow say that the file is damaged
        pass
    try:
        stored = _check_archive(path)
        # mapped: otherwise PyTorch trusts the sizes that the file states, and reads what lies behind in memory
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # a damaged file may name what PyTorch calls deprecated
            content = torch.load(str(path), map_location="cpu", weights_only=True, mmap=True)
        _check_storages(content, stored)
        check_fields(content, _CONTENT, "content")
        state = RunState.from_dict(_in_memory(content["state"]))
        return Checkpoint(_in_memory(content["model"]), _in_memory(content["optimizer"]), state)
    except ValueError as error:
        raise ValueError(f"{path}: damaged, or no checkpoint of a run: {error}") from error
    except Exception as error:  # any type: torch.load passes on the errors of its unpickler and archive reader
        raise ValueError(f"{path}: damaged, or no checkpoint of a run: {type(error).__name__}") from error


def _check_archive(path: Path) -> int:
    """Raise unless the file is a ZIP archive, as `torch.save` writes it, whose checksums are right.

    Returns:
        The number of bytes that it holds of tensors.
    """
    with zipfile.ZipFile(path) as archive:
        members = archive.infolist()
        names = Counter(member.filename for member in members)
        if any(member.compress_type != zipfile.ZIP_STORED for member in members) or max(names.values(), default=0) > 1:
            raise ValueError("expected members that are stored once and not compressed")
        if (name := archive.testzip()) is not None:
            raise ValueError(f"wrong checksum of {name}")
        return sum(member.file_size for member in members if "/data/" in member.filename)


def _check_storages(content: Any, stored: int) -> None:
    """Raise unless the tensors have exactly the bytes that the archive holds of them."""
    sizes: dict[int, int] = {}
    left, seen = [content], set[int]()
    while left:
        value = left.pop()
        if id(value) in seen:  # a list may contain itself
            continue
        seen.add(id(value))
        if isinstance(value, Tensor) and value.layout == torch.strided:
            storage = value.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        elif isinstance(value, dict):
            left += value.values()
        elif isinstance(value, list | tuple):
            left += value
    if sum(sizes.values()) != stored:
        raise ValueError(f"expected tensors of {stored} bytes, got {sum(sizes.values())}")


def _in_memory(value: Any) -> Any:
    """Return a copy of nested dicts, lists and tuples in which each tensor has memory of its own.

    Tensors of a file may share memory, or be views with strides that no kernel expects.
    """
    if isinstance(value, Tensor):
        if value.layout != torch.strided or value.nbytes > value.untyped_storage().nbytes():
            raise ValueError("expected tensors that are stored whole")
        return value.detach().clone(memory_format=torch.contiguous_format)
    if isinstance(value, dict):
        return {name: _in_memory(element) for name, element in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_in_memory(element) for element in value)
    return value
