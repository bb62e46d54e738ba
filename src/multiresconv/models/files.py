"""Model folders: `config.json` says how to build the model, `model.safetensors` holds its tensors.

`config.json`, format 2: {"format": 2, "class": ..., "arguments": {...}, "input": {...}, "output": {...}}; "input" and
"output" hold the fields of `Input` and `Output`. Format 1 can be read too. It had no input, output or standardisation,
and its tensors called the head "output".
"""

import json
import os
import re
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError
from torch import Tensor, nn

from multiresconv.files import write_atomically
from multiresconv.layers import MaskedBatchNorm, MultiresBlock
from multiresconv.models.autoregressive import MultiresAR
from multiresconv.models.classifier import MultiresClassifier
from multiresconv.models.description import Input, Output, from_dict, to_dict
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.models.state import check_state
from multiresconv.ops import Backend

FORMAT = 2
CLASSES: dict[str, type[SequenceModel]] = {"MultiresClassifier": MultiresClassifier, "MultiresAR": MultiresAR}
_KEYS = {1: {"format", "class", "arguments"}, 2: {"format", "class", "arguments", "input", "output"}}


def save(model: SequenceModel, folder: str | os.PathLike[str]) -> None:
    """Write a model into `folder`; creates the folder, and replaces a model in it.

    Each file is written atomically, `config.json` last. So a folder with `config.json` holds a complete model, and
    configuration and tensors always belong together. Device, backend and train or eval mode are not saved; the dtype
    is, with the tensors.

    Raises:
        TypeError: the object is not a model of this library, is wrapped by DDP or `torch.compile` (save the model
            inside), or has your own norm or mixing module, which `config.json` cannot describe.
        ValueError: the model is on the meta device, so it has no values.
    """
    name = type(model).__name__
    if type(model) is not CLASSES.get(name):
        raise TypeError(f"model: expected a {' or '.join(CLASSES)}, unwrapped, got {name}")
    for number, block in enumerate(model.net.blocks):
        _check_describable(block, f"model: block {number}")
    tensors = model.state_dict()
    if any(tensor.is_meta for tensor in tensors.values()):
        raise ValueError("model: expected one that has values, this one is on the meta device")
    config = {
        "format": FORMAT,
        "class": name,
        "arguments": model.config,
        "input": to_dict(model.input),
        "output": to_dict(model.output),
    }
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
) -> SequenceModel:
    """Load the model that `save` wrote into `folder`, in eval mode; call `train()` on it to continue training.

    Args:
        folder: path of the model folder.
        device: where to put the model; default the CPU.
        backend: where the blocks run; see `multires_conv`.

    Returns:
        The model; its `.input` and `.output` describe what it takes and gives.

    Raises:
        FileNotFoundError: the folder or one of its two files is missing.
        ValueError: a file is damaged, has a newer format, or contradicts the other file or this version.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder}: expected a model folder, there is none")
    for name in ("config.json", "model.safetensors"):
        if not (folder / name).is_file():
            raise FileNotFoundError(f"{folder}: expected a model folder, {name} is missing")
    config = _read_config(folder / "config.json")
    model = _build(folder / "config.json", config, backend)
    path = folder / "model.safetensors"
    try:
        tensors = safetensors.torch.load_file(path, device=str(device or "cpu"))
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file that can be read: {error}") from error
    if config["format"] == 1:
        tensors = _from_format_1(tensors, model)
    check_state(tensors, model.state_dict(), str(path))
    model.load_state_dict(tensors, assign=True)
    return model.eval()


def model_format(folder: str | os.PathLike[str]) -> int:
    """Return the format of a model folder: 2, or 1 if it lacks descriptions of input and output."""
    return _read_config(Path(folder) / "config.json")["format"]


def _check_describable(block: nn.Module, where: str) -> None:
    if not isinstance(block, MultiresBlock):
        raise TypeError(f"{where} is a {type(block).__name__}, not a MultiresBlock; save the state_dict instead")
    if type(block.norm) not in (nn.LayerNorm, MaskedBatchNorm):
        raise TypeError(f"{where}: norm is a {type(block.norm).__name__} of your own; save the state_dict instead")
    if not block.gated:
        raise TypeError(f"{where}: mix is a {type(block.mix).__name__} of your own; save the state_dict instead")


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    number: Any = config.get("format") if isinstance(config, dict) else None
    if isinstance(config, dict) and "format" in config and number not in list(_KEYS):
        raise ValueError(
            f"{path}: expected format {FORMAT} or older, got {number!r}; a newer format needs a newer multiresconv"
        )
    if not isinstance(config, dict) or config.keys() != _KEYS.get(number):
        wanted = ", ".join(sorted(_KEYS.get(number, _KEYS[FORMAT])))
        raise ValueError(f"{path}: expected an object of {wanted}, got {_shown(config)}")
    return config


def _build(path: Path, config: dict[str, Any], backend: Backend) -> SequenceModel:
    """Build the model that a `config.json` describes, on the meta device; `load` adds the tensors."""
    if config["class"] not in list(CLASSES):
        raise ValueError(f"{path}: expected class {' or '.join(CLASSES)}, got {config['class']!r}")
    described: dict[str, Any] = {}
    for name, kind in {"arguments": None, "input": Input, "output": Output}.items():
        values = config.get(name, {})
        if not isinstance(values, dict):
            raise ValueError(f"{path}: {name}: expected an object, got {values!r}")
        if kind is not None and name in config:
            try:
                described[name] = from_dict(kind, values)
            except (TypeError, ValueError) as error:
                raise ValueError(f"{path}: {name}: {error}") from error
    try:
        build: Any = CLASSES[config["class"]]
        return build(**config["arguments"], **described, device="meta", backend=backend)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: arguments: {error}") from error


def _from_format_1(tensors: dict[str, Tensor], model: SequenceModel) -> dict[str, Tensor]:
    """Rename tensors of format 1 to today's names and add the standardisation that keeps the model's outputs."""
    renamed = {re.sub(r"^output\.", "head.", name): tensor for name, tensor in tensors.items()}
    like = renamed.get("head.weight")
    if model.net.standardise is None or like is None:
        return renamed
    level = 127.5 if isinstance(model, MultiresAR) else None
    mean, std = (like.new_full((model.net.n_inputs,), value) for value in ((level or 0.0), (level or 1.0)))
    return {**renamed, "net.standardise.mean": mean, "net.standardise.std": std}


def _shown(config: Any) -> str:
    return ", ".join(config) if isinstance(config, dict) else repr(config)
