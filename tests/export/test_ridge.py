"""ONNX files of untrained features. Whole numbers make both sides count the same: no coefficient is rounded."""

from pathlib import Path

import pytest
import torch
from exported import Exported, assert_close

from multiresconv import MultiresRidge
from multiresconv.export import to_onnx
from multiresconv.models import Output


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    generator = torch.Generator().manual_seed(0)
    model = MultiresRidge(Output("value", ("p", "q")), 2, 5, kernel_size=3, depth=2, n_thresholds=2, mask_missing=True)
    with torch.no_grad():
        for part in (model.net.mix, model.net.h0, model.net.h1):
            part.copy_(torch.randint(-2, 3, part.shape, generator=generator))
        for part in (model.net.thresholds, model.head.weight, model.head.bias):
            part.copy_(torch.randint(-20, 20, part.shape, generator=generator) + 0.5)
    model.target_standardise.set(3.0, 2.0)
    return Exported(model, tmp_path_factory.mktemp("ridge"))


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (7, 3), (3, 333)])
def test_outputs_are_those_of_the_kernels(exported: Exported, batch: int, length: int) -> None:
    generator = torch.Generator().manual_seed(length)
    x = torch.randint(-3, 4, (batch, length, 2), generator=generator).float()
    x[torch.rand(x.shape, generator=generator) < 0.1] = torch.nan
    lengths = torch.randint(1, length + 1, (batch,), generator=generator)
    with torch.inference_mode():
        expected = exported.model(x, lengths)
    assert_close(exported.whole(x, lengths), expected)
    assert expected.std() > 0 or batch == 1


def test_chunks_are_refused(exported: Exported, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="are exported for whole sequences only"):
        to_onnx(exported.model, tmp_path / "model.onnx", chunk=10)
