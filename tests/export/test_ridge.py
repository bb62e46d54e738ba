"""ONNX files of untrained features. Whole numbers make both sides count the same: no coefficient is rounded."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import Exported, assert_close
from torch import Tensor

from multiresconv import MultiresRidge
from multiresconv.export import to_onnx
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
def streams(tmp_path_factory: pytest.TempPathFactory) -> Callable[[bool], Exported]:
    made: dict[bool, Exported] = {}

    def stream(mask_missing: bool) -> Exported:
        if mask_missing not in made:
            folder = tmp_path_factory.mktemp("ridge")
            made[mask_missing] = Exported(whole_numbers(mask_missing), folder, chunk=400)
        return made[mask_missing]

    return stream


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "length"), [(1, 1), (7, 3), (3, 333)])
def test_outputs_are_those_of_the_kernels(exported: Exported, batch: int, length: int) -> None:
    x = signals(batch, length)
    lengths = torch.randint(1, length + 1, (batch,), generator=torch.Generator().manual_seed(length))
    with torch.inference_mode():
        expected = exported.model(x, lengths)
    assert_close(exported.whole(x, lengths), expected)
    assert expected.std() > 0 or batch == 1


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "mask_missing"), [(1, True), (5, True), (2, False)])
def test_chunks_of_any_length_give_the_outputs_of_the_stream(
    streams: Callable[[bool], Exported], batch: int, mask_missing: bool
) -> None:
    exported, x = streams(mask_missing), signals(batch, 120)
    cuts = np.cumsum(np.random.default_rng(batch).choice([1, 1, 2, 5, 30], 120))
    found = exported.chunks(list(torch.tensor_split(x, torch.tensor(cuts[cuts < 120]), dim=1)))
    with torch.inference_mode():
        expected, _ = exported.model(x, state=exported.model.init_state(batch))
    assert_close(found, expected)


@pytest.mark.slow
def test_counts_do_not_drift_over_100_000_steps(streams: Callable[[bool], Exported]) -> None:
    """The late sums reach 5e9, where float32 numbers are 512 apart."""
    exported, x = streams(True), signals(1, 100_000)
    found = exported.chunks(list(x.split(400, dim=1)))[:, -1]
    with torch.inference_mode():
        assert_close(found, exported.model(x))


@pytest.mark.slow
def test_a_stream_has_three_tensors_of_float32_and_int32(streams: Callable[[bool], Exported]) -> None:
    inputs = streams(True).session.get_inputs()
    assert [one.name for one in inputs] == ["x", "lines", "totals", "position"]
    assert {one.type for one in inputs} == {"tensor(float)", "tensor(int32)"}


def test_int8_weights_in_chunks_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="have float32 weights; export it without, or without int8"):
        to_onnx(whole_numbers(mask_missing=False), tmp_path / "model.onnx", chunk=10, int8=True)
