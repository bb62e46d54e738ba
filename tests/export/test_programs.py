"""`torch.export`, strict, of models and layers with any batch size and length; `to_onnx` uses it without strict."""

from pathlib import Path

import pytest
import torch
from exported import assert_close, onnxruntime
from torch import Tensor, nn
from torch.export import Dim, export

from multiresconv import MultiresForecaster, MultiresLayer

pytestmark = pytest.mark.slow

BATCH, LENGTH = Dim("batch"), Dim("length")


def test_chunks_export_strictly() -> None:
    torch.manual_seed(0)
    model = MultiresForecaster(2, 4, 1, d_input=2, season=2, depth=2, backend="reference").eval()
    state = model.init_state(2)
    shapes = ({0: BATCH, 1: LENGTH}, None, {name: {0: BATCH} for name in state})
    program = export(model, (torch.zeros(2, 3, 2), None, state), dynamic_shapes=shapes, strict=True).module()
    x = torch.randn(5, 70, 2)
    first, state = program(x[:, :31], None, model.init_state(5))
    second, _ = program(x[:, 31:], None, state)
    expected, _ = model(x, state=model.init_state(5))
    assert_close(torch.cat([first, second], 1).detach(), expected.detach())


class Own(nn.Module):
    """A network of the user's own around a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = MultiresLayer(3, kernel_size=3, depth=4, backend="reference")

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x).relu()


def test_a_layer_in_a_network_of_the_users_own_becomes_onnx(tmp_path: Path) -> None:
    torch.manual_seed(0)
    own = Own().eval()
    program = torch.onnx.export(
        own,
        (torch.zeros(2, 3, 3),),
        dynamo=True,
        dynamic_shapes=({0: BATCH, 1: LENGTH},),
        input_names=["x"],
        verbose=False,
    )
    assert program is not None
    program.save(tmp_path / "own.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "own.onnx")
    for shape in ((1, 1, 3), (7, 100, 3)):
        x = torch.randn(shape)
        assert_close(torch.from_numpy(session.run(None, {"x": x.numpy()})[0]), own(x).detach())
