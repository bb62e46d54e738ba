"""A model on disk: a folder with `config.json`, which says how to build it, and `model.safetensors`, its tensors."""

import json
import os
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from multiresconv.files import write_atomically
from multiresconv.models.autoregressive import MultiresAR
from multiresconv.models.classifier import MultiresClassifier
from multiresconv.models.state import check_state
from multiresconv.ops import Backend

FORMAT = 1
Model = MultiresClassifier | MultiresAR
CLASSES: dict[str, type[Model]] = {"MultiresClassifier": MultiresClassifier, "MultiresAR": MultiresAR}


def save(model: Model, folder: str | os.PathLike[str]) -> None:
    """Write a model into `folder`, which is made if need be; a model that is there already is replaced.

    Each file appears whole or not at all, `config.json` last: a folder that has it has a model, and never the tensors
    of one with the configuration of another.
    Where and how it runs (device, backend, train or eval mode) is not saved; the dtype is, with the tensors.

    Raises:
        TypeError: not a model of this library, or one in a wrapper (DDP, `torch.compile`): save what it wraps.
        ValueError: a model on the meta device, which has no values.
    """
    name = type(model).__name__
    if type(model) is not CLASSES.get(name):
        raise TypeError(f"model: expected a {' or '.join(CLASSES)}, unwrapped, got {name}")
    tensors = model.state_dict()
    if any(tensor.is_meta for tensor in tensors.values()):
        raise ValueError("model: expected one that has values, this one is on the meta device")
    config = {"format": FORMAT, "class": name, "arguments": model.config}
    data = safetensors.torch.save({key: tensor.cpu().contiguous() for key, tensor in tensors.items()})
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described, text = folder / "config.json", (json.dumps(config, indent=2) + "\n").encode()
    same = described.is_file() and described.read_bytes() == text
    if not same:
        described.unlink(missing_ok=True)
    write_atomically(folder / "model.safetensors", lambda part: part.write_bytes(data))
    if not same:
        write_atomically(described, lambda part: part.write_bytes(text))


def load(
    folder: str | os.PathLike[str], device: torch.device | str | None = None, *, backend: Backend = "auto"
) -> Model:
    """The model that `save` wrote into `folder`, in eval mode: call `train()` on it to train it further.

    Args:
        folder: path of the model folder.
        device: where to put the model; default the CPU.
        backend: of the operator, see `multires_conv`.

    Raises:
        FileNotFoundError: the folder or one of its two files is missing.
        ValueError: a file that is damaged, of a newer format, or at odds with the other or with this version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a model folder, there is none")
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: expected a model folder, {name} is missing")
    model = _build(folder / "config.json", backend)
    path = folder / "model.safetensors"
    try:
        tensors = safetensors.torch.load_file(path, device=str(device or "cpu"))
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file that can be read: {error}") from error
    check_state(tensors, model.state_dict(), str(path))
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def _build(path: Path, backend: Backend) -> Model:
    """The model that a `config.json` describes, on the meta device: its tensors come from the other file."""
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    if not isinstance(config, dict) or config.keys() != {"format", "class", "arguments"}:
        raise ValueError(f"{path}: expected an object of format, class and arguments, got {_keys(config)}")
    if config["format"] != FORMAT:
        raise ValueError(
            f"{path}: expected format {FORMAT}, got {config['format']!r}; a newer format needs a newer multiresconv"
        )
    if config["class"] not in list(CLASSES):
        raise ValueError(f"{path}: expected class {' or '.join(CLASSES)}, got {config['class']!r}")
    if not isinstance(config["arguments"], dict):
        raise ValueError(f"{path}: arguments: expected an object, got {config['arguments']!r}")
    try:
        return CLASSES[config["class"]](**config["arguments"], device="meta", backend=backend)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: arguments: {error}") from error


def _keys(config: Any) -> str:
    return ", ".join(config) if isinstance(config, dict) else repr(config)
