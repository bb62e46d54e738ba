"""Model folders: `config.json` says how to build the model, `model.safetensors` holds its tensors.

`config.json`, format 2: {"format": 2, "class": ..., "arguments": {...}, "input": {...}, "output": {...}}; "input" and
"output" hold the fields of `Input` and `Output`; nets and layers have none. Format 1 can be read too. It had no input,
output or standardisation, and its tensors called the head "output".

The metadata of `model.safetensors` has one entry, "multiresconv", since safetensors writes several in random order. It
is JSON, {"digest": ..., "tied": {name: name}}: a digest of both files, and which tensors are tied.
"""

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from multiresconv.files import write_atomically
from multiresconv.hub import local_folder
from multiresconv.layers import MultiresLayer
from multiresconv.models.autoregressive import MultiresAR
from multiresconv.models.classifier import MultiresClassifier
from multiresconv.models.description import Input, Output, from_dict, to_dict
from multiresconv.models.difference import difference
from multiresconv.models.forecaster import MultiresForecaster
from multiresconv.models.net import MultiresNet
from multiresconv.models.regressor import MultiresRegressor
from multiresconv.models.ridge import MultiresRidge
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.models.state import check_state, check_values
from multiresconv.ops import Backend

FORMAT = 2
Saved = SequenceModel | MultiresNet | MultiresLayer
_KINDS = (
    MultiresClassifier,
    MultiresRegressor,
    MultiresRidge,
    MultiresForecaster,
    MultiresAR,
    MultiresNet,
    MultiresLayer,
)
CLASSES: dict[str, type[Saved]] = {kind.__name__: kind for kind in _KINDS}
_WITHOUT_DESCRIPTIONS = [name for name, kind in CLASSES.items() if not issubclass(kind, SequenceModel)]
_ENTRY = "multiresconv"
_PLAIN = {"format", "class", "arguments"}
_KEYS = {1: _PLAIN, 2: _PLAIN | {"input", "output"}}


def save(model: Saved, folder: str | os.PathLike[str]) -> None:
    """Write a model, net or layer into `folder`; creates the folder, and replaces a model in it.

    Each file is written atomically, `config.json` last. So a folder with `config.json` holds a complete model, and
    configuration and tensors always belong together. Device, backend, hooks and train or eval mode are not saved; the
    dtype is, with the tensors. Tied tensors are tied again by `load`.

    Raises:
        TypeError: the object is not of this library, or is wrapped by DDP or `torch.compile` (save the model inside);
            or a part or an option was changed in a way that `config.json` cannot describe.
        ValueError: the model is on the meta device, so it has no values; or values are not finite.
    """
    name = type(model).__name__
    if type(model) is not CLASSES.get(name):
        raise TypeError(f"model: expected one of {', '.join(CLASSES)}, unwrapped, got {name}")
    config: dict[str, Any] = {"format": FORMAT, "class": name, "arguments": _arguments(model)}
    if isinstance(model, SequenceModel):
        config |= {"input": to_dict(model.input), "output": to_dict(model.output)}
    try:
        changed = difference(model, _build(Path("config.json"), config, "auto"))
    except ValueError as error:
        changed = str(error).removeprefix("config.json: ").removeprefix("arguments: ")
    if changed:
        raise TypeError(f"model: {changed}; a model folder cannot describe that, save the state_dict instead")
    if any(tensor.is_meta for tensor in model.state_dict().values()):
        raise ValueError("model: expected one that has values, this one is on the meta device")
    tensors, tied = _tensors(model)
    check_values(tensors, "model")
    text = (json.dumps(config, indent=2) + "\n").encode()
    about = {"digest": _digest(tensors, tied, text), "tied": tied}
    data = safetensors.torch.save(tensors, metadata={_ENTRY: json.dumps(about)})
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described = folder / "config.json"
    same = described.is_file() and described.read_bytes() == text
    if not same:
        described.unlink(missing_ok=True)
    write_atomically(folder / "model.safetensors", lambda part: part.write_bytes(data))
    if not same:
        write_atomically(described, lambda part: part.write_bytes(text))


@torch.inference_mode(False)
def load(
    folder: str | os.PathLike[str],
    device: torch.device | str | None = None,
    *,
    backend: Backend = "auto",
    revision: str | None = None,
) -> Any:
    """Load the model, net or layer that `save` wrote into `folder`, in eval mode; call `train()` on it to train it on.

    Args:
        folder: path of the model folder; or `hub:owner/name`, a model of a hub, see `multiresconv.hub`. A local folder
            never touches the network.
        device: where to put the model; default the CPU.
        backend: where the blocks run; see `multires_conv`.
        revision: branch, tag or commit of a model of a hub; default its branch "main".

    Returns:
        An object of the saved class. The `.input` and `.output` of a model describe what it takes and gives.

    Raises:
        FileNotFoundError: the folder or one of its two files is missing.
        ValueError: a file is damaged, has a newer format, or contradicts the other file or this version.
        ConnectionError, ModuleNotFoundError, PermissionError: a hub cannot be read, see `multiresconv.hub`.
    """
    folder = local_folder(folder, revision)
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
        with safe_open(path, "pt") as file:
            about = _about(file.metadata() or {}, tensors)
    except SafetensorError as error:
        raise ValueError(f"{path}: not a safetensors file that can be read: {error}") from error
    tied = about["tied"]
    whole = {**tensors, **{name: tensors[first] for name, first in tied.items()}}
    if config["format"] == 1:
        whole = _from_format_1(tensors, model)
    check_state(whole, model.state_dict(), str(path))
    text = (folder / "config.json").read_bytes()
    if about["digest"] not in (None, _digest(tensors, tied, text)):
        raise ValueError(f"{folder}: config.json or model.safetensors is not as it was saved; save the model again")
    check_values(whole, str(path))
    model.load_state_dict(whole, assign=True)
    for name, first in tied.items():
        owner, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(owner), leaf, model.state_dict(keep_vars=True)[first])
    return model.eval()


def load_model(
    folder: str | os.PathLike[str], device: torch.device | str | None = None, *, backend: Backend = "auto"
) -> SequenceModel:
    """Load a model as `load` does; raise ValueError if the folder holds a net or a layer, which have no outputs."""
    model = load(folder, device, backend=backend)
    if not isinstance(model, SequenceModel):
        raise ValueError(f"{folder}: expected a model that gives predictions, got a {type(model).__name__}")
    return model


def model_format(folder: str | os.PathLike[str]) -> int:
    """Return the format of a model folder: 2, or 1 if it lacks descriptions of input and output."""
    return _read_config(Path(folder) / "config.json")["format"]


def _arguments(model: Saved) -> dict[str, Any]:
    return {"d_model": model.d_model, **model.config} if isinstance(model, MultiresLayer) else model.config


def _tensors(model: nn.Module) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return copies of a model's tensors on the CPU, each once, and the names of further uses: {name: first name}."""
    first: dict[int, str] = {}
    tensors, tied = {}, {}
    for name, tensor in model.state_dict(keep_vars=True).items():
        if id(tensor) in first:
            tied[name] = first[id(tensor)]
        else:
            first[id(tensor)] = name
            tensors[name] = tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
    return tensors, tied


def _digest(tensors: Mapping[str, Tensor], tied: dict[str, str], text: bytes) -> str:
    """Return a digest of the tensors, of what is tied and of the text of `config.json`."""
    digest = hashlib.sha256(text + json.dumps(tied, sort_keys=True).encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().flatten().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _about(metadata: Mapping[str, str], tensors: Mapping[str, Tensor]) -> dict[str, Any]:
    """Return the digest and what is tied, {name: first name}, from the metadata. Older files have neither."""
    if _ENTRY not in metadata:
        return {"digest": None, "tied": {}}
    try:
        about = json.loads(metadata[_ENTRY])
        if {*about["tied"].values()} <= tensors.keys():
            return {"digest": str(about["digest"]), "tied": about["tied"]}
    except (AttributeError, KeyError, TypeError, ValueError):
        pass
    return {"digest": "damaged", "tied": {}}


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path}: not valid JSON: {error}") from error
    number: Any = config.get("format") if isinstance(config, dict) else None
    if isinstance(config, dict) and "format" in config and number not in list(_KEYS):
        raise ValueError(
            f"{path}: expected format {FORMAT} or older, got {number!r}; a newer format needs a newer multiresconv"
        )
    keys = _KEYS.get(number, _KEYS[FORMAT])
    if isinstance(config, dict) and config.get("class") in _WITHOUT_DESCRIPTIONS:
        keys = _PLAIN
    if not isinstance(config, dict) or config.keys() != keys:
        wanted = ", ".join(sorted(keys))
        raise ValueError(f"{path}: expected an object of {wanted}, got {_shown(config)}")
    return config


def _build(path: Path, config: dict[str, Any], backend: Backend) -> Saved:
    """Build the model that a `config.json` describes, on the meta device; `load` adds the tensors."""
    if config["class"] not in list(CLASSES):
        raise ValueError(f"{path}: expected class {', '.join(CLASSES)}, got {config['class']!r}")
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


def _from_format_1(tensors: dict[str, Tensor], model: Any) -> dict[str, Tensor]:
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
