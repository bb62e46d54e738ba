"""ONNX files of chunks: a stream gives the outputs of PyTorch, however it is cut, and does not drift."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from exported import Exported, assert_close, randomised

from multiresconv import MultiresClassifier, MultiresRegressor, load
from multiresconv.export import to_onnx

LARGEST = 500
NAMES = ["mean", "max", "forecast"]


@pytest.fixture(scope="module")
def files(
    folders: tuple[Path, Path], forecaster: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Exported]:
    @cache
    def exported(name: str) -> Exported:
        if name == "max":
            torch.manual_seed(1)
            model = MultiresRegressor(2, 4, 1, n_tokens=5, depth=2, norm_first=True, pooling="max")
            return Exported(randomised(model), tmp_path_factory.mktemp(name), chunk=LARGEST)
        saved, file = folders if name == "mean" else forecaster
        return Exported.read(load(saved), file)

    return exported


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("name", NAMES)
def test_chunks_of_any_length_give_the_outputs_of_the_stream(
    files: Callable[[str], Exported], name: str, batch: int
) -> None:
    exported, generator = files(name), np.random.default_rng(batch)
    x = exported.input(batch, 90, seed=batch)
    cuts = np.cumsum(generator.choice([1, 1, 2, 5, 30], 90))
    found = exported.chunks(list(torch.tensor_split(x, torch.tensor(cuts[cuts < 90]), dim=1)))
    with torch.inference_mode():
        expected, _ = exported.model(x, state=exported.model.init_state(batch))
        assert_close(found[:, -1], exported.model(x))
    assert_close(found, expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_a_state_has_three_tensors_at_most_in_float32_and_int32(files: Callable[[str], Exported], name: str) -> None:
    session = files(name).session
    inputs, outputs = session.get_inputs(), session.get_outputs()
    assert len(inputs) <= 4
    assert {one.type for one in inputs + outputs} <= {"tensor(float)", "tensor(int32)"}
    assert [one.name for one in outputs] == ["y", *(f"next_{one.name}" for one in inputs[1:])]
    assert session.get_modelmeta().custom_metadata_map["chunk"] == str(LARGEST)


@pytest.mark.slow
def test_the_mean_does_not_drift_over_a_million_steps(files: Callable[[str], Exported]) -> None:
    """A constant input makes every rounding of a float32 sum err to the same side: by 3e-4 of the mean at worst."""
    exported, steps, chunk = files("mean"), 10**6, 200
    x = torch.full((1, chunk, 3), 0.5)
    found = exported.chunks([x] * (steps // chunk))[:, -1]
    with torch.inference_mode():
        features, _ = exported.model.net(x, state=exported.model.net.init_state(1))
        first, rest = features.double().sum(1), features[:, -1].double() * (steps - chunk)
        assert_close(found, exported.model.head(((first + rest) / steps).float()))


@pytest.mark.slow
def test_a_density_model_reads_the_pixel_before_each_step(density: tuple[Path, Path]) -> None:
    model = load(density[0])
    exported = Exported.read(model, density[1])
    pixels = exported.input(2, 25, seed=0)
    assert model.net.standardise is not None
    before = torch.cat([model.net.standardise.mean.expand(2, 1, 3), pixels[:, :-1].float()], 1)
    found = exported.chunks(list(before.split([1, *[4] * 6], dim=1)))
    with torch.inference_mode():
        assert_close(found, model(pixels))


def test_what_cannot_be_exported_in_chunks_is_refused(tmp_path: Path) -> None:
    model = MultiresClassifier(2, 4, 1, d_input=1, depth=2, bidirectional=True)
    with pytest.raises(ValueError, match="chunk: a bidirectional model needs whole sequences"):
        to_onnx(model, tmp_path / "model.onnx", chunk=5)
    with pytest.raises(ValueError, match="chunk: expected at least 1 step, got 0"):
        to_onnx(model, tmp_path / "model.onnx", chunk=0)
    assert not list(tmp_path.iterdir())
