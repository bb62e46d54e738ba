"""`load_published`: loads checkpoints of the code published with the paper (Shi, Wang & Fox, ICML 2023)."""

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from multiresconv.layers import Memory
from multiresconv.models.autoregressive import MultiresAR
from multiresconv.models.classifier import MultiresClassifier
from multiresconv.models.logistic_mixture import HALF_RANGE
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.models.state import check_state
from multiresconv.ops import wavelet_taps


def load_published(ckpt: str | os.PathLike[str], config: Mapping[str, Any]) -> SequenceModel:
    """Load a model with the weights of a published checkpoint, in eval mode, on the CPU.

    The model takes input (B, L, C), the published code (B, C, L); tokens are (B, L) in both. A density model takes
    uint8 pixels, the published one pixels that the caller has scaled to [-1, 1].

    Args:
        ckpt: path of a checkpoint that the published `classification.py` or `autoregressive.py` wrote.
        config: keyword arguments of the published `MultiresNet` or `MultiresAR` that it was trained with. Missing ones
            have the published defaults. With `nr_logistic_mix` the model is a `MultiresAR`.

    Raises:
        FileNotFoundError: the file does not exist.
        ValueError: the configuration is unknown or incomplete, the file is not such a checkpoint, or tensors do not fit
            the configuration; the message has their published names.
    """
    build = _density_model if "nr_logistic_mix" in config else _classifier
    try:
        model = build(**config)
    except TypeError as error:
        raise ValueError(f"config: not the published constructor's arguments: {error}") from error
    state = {name: tensor for name, tensor in model.state_dict().items() if ".standardise." not in name}
    published = {name: _published_name(name, model) for name in state}
    tensors = _read(ckpt)
    check_state(tensors, {published[name]: _published_view(name, t, model) for name, t in state.items()}, str(ckpt))
    loaded = {name: tensors[published[name]].reshape(t.shape) for name, t in state.items()}
    model.load_state_dict({**loaded, **_standardisation(model, loaded["head.weight"])}, assign=True)
    return model.eval()


def _standardisation(model: SequenceModel, like: Tensor) -> dict[str, Tensor]:
    """Return the standardisation: levels 0..255 to [-1, 1] for a density model, the identity for a classifier."""
    if model.net.standardise is None:
        return {}
    mean, std = (HALF_RANGE, HALF_RANGE) if isinstance(model, MultiresAR) else (0.0, 1.0)
    size = (model.net.n_inputs,)
    return {f"net.standardise.{name}": like.new_full(size, value) for name, value in (("mean", mean), ("std", std))}


def _classifier(*, d_output: int = 10, **shared: Any) -> MultiresClassifier:
    return MultiresClassifier(d_output, **_arguments(**shared), device="meta")


def _density_model(*, nr_logistic_mix: int, **shared: Any) -> MultiresAR:
    arguments = _arguments(**shared)
    if arguments.pop("n_tokens") is not None:
        raise ValueError("config: encoder: expected linear for a density model, got 'embedding'")
    return MultiresAR(n_channels=arguments.pop("d_input"), n_mixtures=nr_logistic_mix, **arguments, device="meta")


def _arguments(
    *,
    d_input: int,
    d_model: int = 256,
    n_layers: int = 4,
    dropout: float = 0.2,
    batchnorm: bool = False,
    encoder: str = "linear",
    n_tokens: int | None = None,
    layer_type: str = "multires",
    max_length: int | None = None,
    hinit: str | None = None,
    depth: int | None = None,
    tree_select: str = "fading",
    d_mem: int | None = None,
    kernel_size: int = 2,
    indep_res_init: bool = False,
) -> dict[str, Any]:
    """Translate arguments of the published constructors, with their names and defaults, to those of our models."""
    choices = {"encoder": ("linear", "embedding"), "layer_type": ("multires",), "tree_select": ("fading", "uniform")}
    for name, value in {"encoder": encoder, "layer_type": layer_type, "tree_select": tree_select}.items():
        if value not in choices[name]:
            raise ValueError(f"config: {name}: expected {' or '.join(choices[name])}, got {value!r}")
    if encoder == "embedding" and n_tokens is None:
        raise ValueError("config: n_tokens: needed with encoder 'embedding'")
    if tree_select == "uniform" and d_mem is None:
        raise ValueError("config: d_mem: needed with tree_select 'uniform'")
    if hinit is not None and len(wavelet_taps(hinit)[0]) != kernel_size:
        # The published layer pads by kernel_size and fails if the wavelet has another length.
        taps = len(wavelet_taps(hinit)[0])
        raise ValueError(f"config: kernel_size: expected {taps}, the length of wavelet {hinit!r}, got {kernel_size}")
    memory: Memory = "fading" if tree_select == "fading" or d_mem is None else d_mem
    return {
        "d_model": d_model,
        "n_layers": n_layers,
        "d_input": d_input if encoder == "linear" else None,
        "n_tokens": n_tokens if encoder == "embedding" else None,
        "dropout": dropout,
        "norm": "batch" if batchnorm else "layer",
        "kernel_size": kernel_size if hinit is None else None,
        "wavelet": hinit,
        "depth": depth,
        "max_length": max_length if depth is None else None,
        "memory": memory,
        "own_skip_init": indep_res_init,
    }


def _read(ckpt: str | os.PathLike[str]) -> dict[str, Tensor]:
    """Read tensors by their published names, without the prefix that DistributedDataParallel adds."""
    if not Path(ckpt).is_file():
        raise FileNotFoundError(f"{ckpt}: expected a checkpoint, there is no such file")
    try:
        checkpoint = torch.load(ckpt, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file can raise anything
        raise ValueError(f"{ckpt}: not a checkpoint that can be read without running code from it") from error
    state = checkpoint.get("model") if isinstance(checkpoint, dict) else None
    if not isinstance(state, dict) or not all(isinstance(k, str) and isinstance(t, Tensor) for k, t in state.items()):
        raise ValueError(f"{ckpt}: expected a checkpoint with a state dict named 'model'")
    return {name.removeprefix("module."): tensor for name, tensor in state.items()}


def _published_name(name: str, model: SequenceModel) -> str:
    for pattern, published in (
        (r"net\.encoder\.", r"encoder."),
        (r"net\.blocks\.(\d+)\.conv\.", r"seq_layers.\1."),
        (r"net\.blocks\.(\d+)\.mix\.", r"mixing_layers.\1.0."),
        (r"net\.blocks\.(\d+)\.projection\.", r"mixing_layers.\1.3."),
        (r"net\.blocks\.(\d+)\.norm\.", r"norms.\1."),
        (r"head\.", r"decoder." if isinstance(model, MultiresAR) else r"output_mapping."),
    ):
        name = re.sub("^" + pattern, published, name)
    return name


def _published_view(name: str, tensor: Tensor, model: SequenceModel) -> Tensor:
    """Reshape a tensor to its published shape; published filters and linear maps over time are `conv1d` weights."""
    if name.endswith((".h0", ".h1")):
        return tensor.unsqueeze(1)
    over_time = (
        name.endswith((".mix.weight", ".projection.weight"))
        or (name == "net.encoder.weight" and not isinstance(model.net.encoder, nn.Embedding))
        or (name == "head.weight" and isinstance(model, MultiresAR))
    )
    return tensor.unsqueeze(2) if over_time else tensor
