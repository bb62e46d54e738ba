"""Linear maps with weights of 8 bits: how they are rounded, and how an ONNX file stores them."""

import copy
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from multiresconv.installation import how_to_install

BLOCK = 32  # weights of one row that share a scale
_Model = TypeVar("_Model", bound=nn.Module)


def rounded(model: _Model) -> _Model:
    """Return a copy of a model whose linear maps have the weights that an int8 file has, as float32.

    In each row of a map, every `BLOCK` weights share a scale, the weight of largest size divided by -128; a weight is
    a whole number of scales from -128 to 127. Biases, filters, norms and embeddings are not rounded.
    """
    model = copy.deepcopy(model)
    with torch.no_grad():
        for part in model.modules():
            if isinstance(part, nn.Linear):
                part.weight.copy_(_round(part.weight))
    return model


def quantised(proto: Any) -> Any:
    """Return an ONNX model whose linear maps are int8, as the operator MatMulNBits of ONNX Runtime.

    Only the weights are int8. Rounding the activations too would take one scale for the whole batch, so that the
    answer for a sequence would depend on the sequences beside it and on how a stream is cut.

    Args:
        proto: `onnx.ModelProto` with the weights of `rounded`.

    Raises:
        ImportError: onnxruntime is missing.
    """
    try:
        with _log_as_it_was():
            from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
            from onnxruntime.quantization.onnx_model import ONNXModel
    except ImportError as error:
        raise ImportError(f"int8 needs onnxruntime: {how_to_install('export')} ({error})") from error
    matrices = ONNXModel(proto)
    matrices.replace_gemm_with_matmul()
    quantiser: Any = MatMulNBitsQuantizer(matrices.model, bits=8, block_size=BLOCK, is_symmetric=True, accuracy_level=0)
    with _log_as_it_was():
        logging.getLogger().setLevel(logging.ERROR)
        quantiser.process()
    return quantiser.model.model


def _round(weight: Tensor) -> Tensor:
    width = weight.shape[1]
    blocks = nn.functional.pad(weight.float(), (0, -width % BLOCK)).unflatten(1, (-1, BLOCK))
    extreme = blocks.gather(2, blocks.abs().argmax(2, keepdim=True))
    scale = extreme / -128
    numbers = (blocks / torch.where(scale == 0, 1, scale)).round().clamp(-128, 127)
    return (numbers * scale).flatten(1)[:, :width].to(weight.dtype)


@contextmanager
def _log_as_it_was() -> Iterator[None]:
    """Undo what the body does to the root logger; the quantiser, when it is imported, makes it print everything."""
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    try:
        yield
    finally:
        root.setLevel(level)
        root.handlers[:] = handlers
