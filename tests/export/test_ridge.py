"""ONNX files of untrained features. Whole numbers make both sides count the same: no coefficient is rounded."""

from pathlib import Path

import numpy as np
import pytest
import torch
from exported import Exported, assert_close
from torch import Tensor

from multiresconv import MultiresRidge
from multiresconv.export import to_onnx
from multiresconv.export.ridge_chunks import RidgeChunks
from multiresconv.models import Output


def whole_numbers(mask_missing: bool) -> MultiresRidge:
    """A model of two values whose filters are whole numbers and whose thresholds lie between them."""
    generator = torch.Generator().manual_seed(0)
    output = Output("value", ("p", "q"))
    model = MultiresRidge(output, 2, 5, kernel_size=3, depth=2, n_thresholds=2, mask_missing=mask_missing)
    with torch.no_grad():
        for part in (model.net.mix, model.net.h0, model.net.h1):
            part.copy_(torch.randint(-2, 3, part.shape, generator=generator))
        for part in (model.net.thresholds, model.head.weight, model.head.bias):
            part.copy_(torch.randint(-20, 20, part.shape, generator=generator) + 0.5)
        model.centre.copy_(torch.rand(model.centre.shape, generator=generator))
    model.target_standardise.set(3.0, 2.0)
    return model


def signals(batch: int, length: int) -> Tensor:
    """Draw signals of two channels of whole numbers; a tenth is missing."""
    generator = torch.Generator().manual_seed(length)
    x = torch.randint(-3, 4, (batch, length, 2), generator=generator).float()
    x[torch.rand(x.shape, generator=generator) < 0.1] = torch.nan
    return x


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(whole_numbers(mask_missing=True), tmp_path_factory.mktemp("ridge"))


@pytest.fixture(scope="module")
def stream(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(whole_numbers(mask_missing=True), tmp_path_factory.mktemp("ridge"), chunk=400)


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (7, 3), (3, 333)])
def test_outputs_are_those_of_the_kernels(exported: Exported, batch: int, length: int) -> None:
    x = signals(batch, length)
    lengths = torch.randint(1, length + 1, (batch,), generator=torch.Generator().manual_seed(length))
    with torch.inference_mode():
        expected = exported.model(x, lengths)
    assert_close(exported.whole(x, lengths), expected)
    assert expected.std() > 0 or batch == 1


def pieces(x: Tensor) -> list[Tensor]:
    """Cut signals of 120 steps anywhere."""
    cuts = np.cumsum(np.random.default_rng(len(x)).choice([1, 1, 2, 5, 30], 120))
    return list(torch.tensor_split(x, torch.tensor(cuts[cuts < 120]), dim=1))


@pytest.mark.parametrize(("batch", "mask_missing"), [(1, False), (3, True)])
def test_chunks_of_any_length_give_the_outputs_of_the_stream(batch: int, mask_missing: bool) -> None:
    model, x = whole_numbers(mask_missing), signals(batch, 120)
    chunks, found = RidgeChunks(model).eval(), []
    state = [torch.zeros(batch, *part.shape[1:], dtype=part.dtype) for part in chunks.example(1)[1:]]
    with torch.inference_mode():
        for piece in pieces(x):
            y, *state = chunks(piece, *state)
            found.append(y)
        expected, _ = model(x, state=model.init_state(batch))
    assert_close(torch.cat(found, 1), expected)


@pytest.mark.slow
def test_a_file_of_chunks_gives_the_outputs_of_the_stream(stream: Exported) -> None:
    x = signals(5, 120)
    with torch.inference_mode():
        expected, _ = stream.model(x, state=stream.model.init_state(5))
    assert_close(stream.chunks(pieces(x)), expected)


@pytest.mark.slow
def test_counts_do_not_drift_over_100_000_steps(stream: Exported) -> None:
    """The late sums reach 5e9, where float32 numbers are 512 apart."""
    x = signals(1, 100_000)
    with torch.inference_mode():
        assert_close(stream.chunks(list(x.split(400, dim=1)))[:, -1], stream.model(x))


@pytest.mark.slow
def test_a_stream_has_three_tensors_of_float32_and_int32(stream: Exported) -> None:
    inputs = stream.session.get_inputs()
    assert [one.name for one in inputs] == ["x", "lines", "totals", "position"]
    assert {one.type for one in inputs} == {"tensor(float)", "tensor(int32)"}


def test_int8_weights_in_chunks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="have float32 weights; export it without, or without int8"):
        to_onnx(whole_numbers(mask_missing=False), tmp_path / "model.onnx", chunk=10, int8=True)
