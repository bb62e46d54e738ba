"""A model starts from the weights of a saved one: what was taken is said, what does not fit is an error by name."""

from pathlib import Path
from typing import Any

import pytest
import torch

from multiresconv import MultiresClassifier, save
from multiresconv.models import Input, Output, init_from


def classifier(d_output: int = 3, **options: Any) -> MultiresClassifier:
    options = {"d_input": 2, "depth": 3, **options}
    return MultiresClassifier(d_output, 4, 2, **options)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    model = classifier()
    assert model.net.standardise is not None
    model.net.standardise.set(5.0, 2.0)
    save(model, tmp_path / "model")
    return tmp_path / "model"


def test_all_but_the_standardisation_of_the_data_is_taken(folder: Path) -> None:
    model, source = classifier(pooling="last"), classifier()
    said = init_from(model, folder)
    assert said.left == ("net.standardise.mean", "net.standardise.std")
    save(source, folder.parent / "other")
    torch.manual_seed(0)
    for name, tensor in classifier().state_dict().items():
        if name in said.taken:
            assert torch.equal(model.state_dict()[name], tensor)
    assert set(said.taken) | set(said.left) == set(model.state_dict())
    assert str(said) == "18 tensors taken; left as they were: net.standardise.mean, net.standardise.std"


@pytest.mark.parametrize("model", [classifier(7), classifier(output=Output("class", ("a", "b", "c")))])
def test_another_output_gets_a_new_head(folder: Path, model: MultiresClassifier) -> None:
    before = model.head.weight.clone()
    said = init_from(model, folder)
    assert {"head.weight", "head.bias"} <= set(said.left)
    assert torch.equal(model.head.weight, before)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"d_input": 3}, "expected a model whose input is signal of 3, got signal of 2"),
        ({"d_input": None, "n_tokens": 2}, "expected a model whose input is tokens of 2, got signal of 2"),
        ({"depth": 4}, r"net\.blocks\.0\.conv\.w: expected shape \(4, 6\), got \(4, 5\)"),
        ({"kernel_size": 3}, r"net\.blocks\.0\.conv\.h0: expected shape \(4, 3\), got \(4, 2\)"),
        ({"bidirectional": True}, r"net\.blocks\.0\.conv\.h0_reverse: expected shape \(4, 2\), the model has none"),
        ({"depth": None, "memory": (0, 1, 2)}, r"memory: expected \(0, 1, 2\), got \(1, 1, 1\)"),
        ({"norm": "batch"}, r"net\.blocks\.0\.norm\.running_mean: expected shape \(4,\), the model has none"),
    ],
)
def test_what_does_not_fit_is_named_and_nothing_is_taken(folder: Path, options: dict[str, Any], message: str) -> None:
    model = classifier(**options)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        init_from(model, folder)
    assert all(torch.equal(model.state_dict()[name], tensor) for name, tensor in before.items())


@pytest.mark.parametrize(
    ("options", "of_the_other", "message"),
    [
        ({"input": Input("signal", ("I", "II"))}, {"input": Input("signal", ("II", "I"))}, "input is II, I, got I, II"),
        (
            {"d_input": None, "n_tokens": 2, "input": Input("tokens", vocabulary=("a", "b"))},
            {"d_input": None, "n_tokens": 2, "input": Input("tokens", vocabulary=("b", "a"))},
            "input is b, a, got a, b",
        ),
    ],
)
def test_inputs_in_another_order_are_refused(
    options: dict[str, Any], of_the_other: dict[str, Any], message: str, tmp_path: Path
) -> None:
    save(classifier(**options), tmp_path)
    with pytest.raises(ValueError, match=message):
        init_from(classifier(**of_the_other), tmp_path)
    without_names = {name: value for name, value in of_the_other.items() if name != "input"}
    assert init_from(classifier(**without_names), tmp_path).taken


def test_fewer_layers_leave_tensors_behind_and_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"net\.blocks\.1\.conv\.h0, .*: this model has no such tensors"):
        init_from(MultiresClassifier(3, 4, 1, d_input=2, depth=3), folder)
