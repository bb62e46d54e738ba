"""ONNX files of whole sequences: the outputs are those of PyTorch, for any batch size, length and lengths."""

import json
from collections.abc import Callable

import pytest
import torch
from exported import Exported, assert_close, randomised

from multiresconv import MultiresClassifier, MultiresForecaster, MultiresRegressor
from multiresconv.export.runner import Runner
from multiresconv.models.sequence_model import SequenceModel

MODELS: dict[str, Callable[[], SequenceModel]] = {
    "missing": lambda: MultiresClassifier(
        3, 4, 2, d_input=2, depth=1, kernel_size=3, norm="batch", mask_missing=True, dropout=0.3
    ),
    "both-ways": lambda: MultiresRegressor(
        2, 4, 1, n_tokens=5, memory=(3, 2), norm_first=True, pooling="max", bidirectional=True
    ),
    "forecast": lambda: MultiresForecaster(3, 4, 1, d_input=2, season=2, depth=2, n_channels=1, mask_missing=True),
}


@pytest.fixture(scope="module", params=MODELS)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    torch.manual_seed(1)
    return Exported(randomised(MODELS[request.param]()), tmp_path_factory.mktemp(request.param))


SHAPES = [(1, 1), (1, 2), (7, 3), (2, 40), (3, 333)]


@pytest.mark.slow
@pytest.mark.parametrize(("batch", "length"), SHAPES)
def test_outputs_are_those_of_pytorch(exported: Exported, batch: int, length: int) -> None:
    x = exported.input(batch, length, seed=length)
    lengths = torch.randint(1, length + 1, (batch,), generator=torch.Generator().manual_seed(batch))
    with torch.inference_mode():
        assert_close(exported.whole(x, lengths), exported.model(x, lengths))
        assert_close(exported.whole(x, torch.full((batch,), length)), exported.model(x))


@pytest.mark.slow
def test_padding_changes_nothing(exported: Exported) -> None:
    x, lengths = exported.input(2, 20, seed=0), torch.tensor([20, 7])
    other = x.clone()
    other[1, 7:] = torch.inf if x.is_floating_point() else 4
    assert torch.equal(exported.whole(x, lengths), exported.whole(other, lengths))


@pytest.mark.slow
def test_the_file_describes_itself(exported: Exported) -> None:
    about = exported.session.get_modelmeta().custom_metadata_map
    assert about["class"] == type(exported.model).__name__
    assert json.loads(about["input"])["kind"] == exported.model.input.kind
    assert json.loads(about["output"]).get("names", []) == list(exported.model.output.names)
    assert json.loads(about["chunk"]) is None
    assert {one.type for one in exported.session.get_inputs()} <= {"tensor(float)", "tensor(int32)"}
    assert [path.name for path in exported.path.parent.iterdir()] == ["model.onnx"]


@pytest.mark.slow
def test_the_runner_reads_whole_sequences_and_refuses_to_stream_them(exported: Exported) -> None:
    runner, x = Runner(exported.path.parent), exported.input(1, 20, seed=1).nan_to_num(0.5)
    with torch.inference_mode():
        assert_close(torch.from_numpy(runner.outputs(x[0].numpy())), exported.model(x)[0])
    with pytest.raises(ValueError, match="this model takes whole sequences; export it again with --chunk"):
        runner.stream()
