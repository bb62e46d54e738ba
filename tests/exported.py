"""ONNX files of models, run by ONNX Runtime as a user without PyTorch would."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

pytest.importorskip("onnxscript", reason="needs the extra: multiresconv[export]")
onnxruntime = pytest.importorskip("onnxruntime", reason="needs the extra: multiresconv[export]")

from multiresconv.export import to_onnx  # noqa: E402
from multiresconv.models.sequence_model import SequenceModel  # noqa: E402


class Exported:
    """A model and its ONNX file."""

    def __init__(self, model: SequenceModel, folder: Path, chunk: int | None = None, *, int8: bool = False) -> None:
        to_onnx(model, folder / "model.onnx", chunk, int8=int8)
        self._open(model, folder)

    @classmethod
    def read(cls, model: SequenceModel, folder: Path) -> "Exported":
        """Return a model and the ONNX file that a folder holds already."""
        found = cls.__new__(cls)
        found._open(model, folder)
        return found

    def _open(self, model: SequenceModel, folder: Path) -> None:
        self.model, self.path = model.eval(), folder / "model.onnx"
        self.session = onnxruntime.InferenceSession(self.path)
        self.states = [one for one in self.session.get_inputs() if one.name not in ("x", "lengths")]

    def whole(self, x: Tensor, lengths: Tensor) -> Tensor:
        """Return the outputs of whole sequences."""
        [y] = self.session.run(["y"], {"x": as_array(x), "lengths": as_array(lengths)})
        return torch.from_numpy(y)

    def chunks(self, parts: list[Tensor]) -> Tensor:
        """Return the outputs after each step of a stream that comes in parts."""
        outputs, state = [], {one.name: self._zeros(one, len(parts[0])) for one in self.states}
        for part in parts:
            y, *after = self.session.run(None, {"x": as_array(part), **state})
            state = dict(zip(state, after, strict=True))
            outputs.append(torch.from_numpy(y))
        return torch.cat(outputs, 1)

    def input(self, batch: int, length: int, seed: int) -> Tensor:
        """Draw an input; a tenth of it is missing if the model takes missing values."""
        generator = torch.Generator().manual_seed(seed)
        if self.model.takes_tokens:
            return torch.randint(self.model.input.size, (batch, length), generator=generator)
        if self.model.output.kind == "density":
            return torch.randint(256, (batch, length, self.model.input.size), generator=generator, dtype=torch.uint8)
        x = 3 + 2 * torch.randn(batch, length, self.model.input.size, generator=generator)
        if self.model.net.config["mask_missing"]:
            x[torch.rand(x.shape, generator=generator) < 0.1] = torch.nan
        return x

    @staticmethod
    def _zeros(one: Any, batch: int) -> np.ndarray:
        return np.zeros([batch, *one.shape[1:]], {"tensor(float)": np.float32, "tensor(int32)": np.int32}[one.type])


def as_array(x: Tensor) -> np.ndarray:
    """Return float32 or int32, the only types at the border of a file."""
    return (x.float() if x.is_floating_point() else x.int()).numpy()


def randomised(model: SequenceModel) -> SequenceModel:
    """Give statistics, which no training has set here, values that differ from the identity."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, buffer in model.named_buffers():
            if buffer.is_floating_point():
                lowest = 0.5 if name.endswith(("std", "var")) else -0.5
                buffer.copy_(lowest + torch.rand(buffer.shape, generator=generator))
    return model


def assert_close(found: Tensor, expected: Tensor) -> None:
    """Assert that outputs agree to 1e-5 of their size, the rounding of float32 over some hundred operations."""
    assert found.shape == expected.shape
    assert found.dtype == torch.float32
    bound = 1e-5 * max(1.0, float(expected.abs().max()))
    assert float((found - expected).abs().max()) <= bound
