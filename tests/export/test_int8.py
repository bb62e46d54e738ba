"""Linear maps with weights of 8 bits: what is rounded, by how much, and that a file computes just that."""

import logging
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from exported import Exported, assert_close, randomised
from torch import nn

from multiresconv import MultiresClassifier, MultiresForecaster, MultiresRidge, load
from multiresconv.cli import main
from multiresconv.cli.export import loss_of_rounding
from multiresconv.export.int8 import BLOCK, rounded
from multiresconv.models import Output
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.runs.directory import RunDirectory

MODELS: dict[str, tuple[Callable[[], SequenceModel], int | None]] = {
    "whole": (lambda: MultiresClassifier(3, 36, 1, d_input=2, depth=2, mask_missing=True), None),
    "ridge": (
        lambda: MultiresRidge(Output("value", ("p",)), 2, 5, kernel_size=3, depth=2, n_thresholds=2),
        None,
    ),
    "forecast": (lambda: MultiresForecaster(3, 8, 1, d_input=2, season=2, depth=2), 20),
}


@pytest.mark.parametrize("width", [1, BLOCK - 1, BLOCK, 5 * BLOCK + 3])
def test_a_weight_is_off_by_at_most_half_a_step_of_its_block(width: int) -> None:
    model = nn.Sequential(nn.Linear(width, 7), nn.Linear(7, 3))
    with torch.no_grad():
        model[0].weight[0] = 0  # a block without a scale
    once = rounded(model)
    for before, after in zip(model.children(), once.children(), strict=True):
        assert isinstance(before, nn.Linear)
        assert isinstance(after, nn.Linear)
        assert torch.equal(before.bias, after.bias)
        for old, new in zip(before.weight.split(BLOCK, 1), after.weight.split(BLOCK, 1), strict=True):
            step = old.abs().amax(1, keepdim=True) / 128
            # one number, +128 of the extreme's sign, is missing: a weight as large with the other sign loses a step
            assert (((old - new).abs() <= 0.501 * step) | (old.abs() > 127.4 * step)).all()
            assert ((old - new).abs() <= 1.001 * step).all()
    assert once[0].weight.unique().numel() <= 256 * 7 * (width // BLOCK + 1)
    for once_more, after in zip(rounded(once).parameters(), once.parameters(), strict=True):
        torch.testing.assert_close(once_more, after, rtol=1e-6, atol=0)


@pytest.mark.slow
@pytest.mark.parametrize("name", MODELS)
def test_the_file_computes_the_rounded_model(name: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    torch.manual_seed(1)
    make, chunk = MODELS[name]
    model = randomised(make())
    if isinstance(model, MultiresRidge):
        with torch.no_grad():
            model.head.weight.normal_()
    before = logging.getLogger().handlers[:], logging.getLogger().level
    exported = Exported(model, tmp_path_factory.mktemp(name), chunk, int8=True)
    assert (logging.getLogger().handlers, logging.getLogger().level) == before
    expected = rounded(model)
    x = exported.input(7, 40, seed=1)
    with torch.inference_mode():
        if chunk is None:
            lengths = torch.arange(34, 41)
            found = exported.whole(x, lengths)
            assert_close(found, expected(x, lengths))
            assert not torch.equal(found, model(x, lengths))
            assert_close(exported.whole(x[:1], lengths[:1]), found[:1])  # the rows beside it change nothing
        else:
            found = exported.chunks(list(x.split(chunk, 1)))
            assert_close(found, expected(x, state=expected.init_state(7))[0])
            assert_close(exported.chunks(list(x.split(3, 1))), found)  # nor does the cut
    assert {one.type for one in exported.session.get_inputs()} <= {"tensor(float)", "tensor(int32)"}
    assert exported.session.get_modelmeta().custom_metadata_map["int8"] == "true"


@pytest.mark.slow
def test_the_command_prints_scores_of_the_runs_test_rows_before_and_after(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["export", str(run), str(tmp_path / "new"), "--int8"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"test, \d+ rows +float32 +int8\n", printed)
    assert re.search(r"\n  accuracy +0\.\d{4} +0\.\d{4}\n", printed)
    assert "the weights of its linear maps as int8" in (tmp_path / "new" / "README.md").read_text()
    assert "not measured, since a model folder has no data" in loss_of_rounding(
        load(run / "model"), RunDirectory(run / "model"), None
    )
    assert main(["export", str(run), str(tmp_path / "new"), "--data", str(tmp_path)]) == 2
    assert "expected with --int8" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_says_nothing_of_the_machine_that_wrote_it(folders: tuple[Path, Path]) -> None:
    content = (folders[1] / "model.onnx").read_bytes()
    assert str(Path.home()).encode() not in content
    for word in (b"site-packages", b".py", b"stack_trace"):
        assert word not in content
