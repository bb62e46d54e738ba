"""A model folder gives the model back, bit by bit, or says by name what is wrong with it."""

import json
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from multiresconv import MultiresClassifier, MultiresLayer, MultiresNet, load, save
from multiresconv.models import files, load_model


def make_model(**options):
    arguments = {"d_output": 3, "d_model": 4, "n_layers": 2, "d_input": 2, "depth": 3, "backend": "reference"}
    return MultiresClassifier(**{**arguments, **options})


@pytest.fixture
def folder(tmp_path):
    save(make_model(), tmp_path / "model")
    return tmp_path / "model"


def edit_config(folder, **changes):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **changes}))


def edit_arguments(folder, **changes):
    edit_config(folder, arguments={**json.loads((folder / "config.json").read_text())["arguments"], **changes})


def edit_tensors(folder, **changes):
    tensors = {**safetensors.torch.load_file(folder / "model.safetensors"), **changes}
    kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    safetensors.torch.save_file(kept, folder / "model.safetensors")


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.5},
        {"norm": "batch", "wavelet": "db2"},
        {"d_input": None, "n_tokens": 7, "memory": (2, 0, 1)},
        {"dtype": torch.float64},
        {"dtype": torch.bfloat16},
    ],
)
def test_round_trip_is_bitwise(tmp_path, options):
    model = make_model(**options)
    x = torch.randint(7, (3, 9)) if model.config["n_tokens"] else torch.randn(3, 9, 2, dtype=options.get("dtype"))
    model(x)  # so that running statistics are not their defaults
    save(model, tmp_path / "a" / "b")
    again = load(tmp_path / "a" / "b", backend="reference")
    assert again.config == model.config
    assert not again.training
    assert repr(again) == repr(model)
    for (name, tensor), (other_name, other) in zip(model.state_dict().items(), again.state_dict().items(), strict=True):
        assert name == other_name
        assert tensor.dtype == other.dtype
        assert torch.equal(tensor, other)
    assert torch.equal(model.eval()(x), again(x))
    assert all(parameter.requires_grad for parameter in again.parameters())


def test_a_loaded_model_trains_without_touching_its_file(folder):
    before = (folder / "model.safetensors").read_bytes()
    model = load(folder, backend="reference").train()
    model(torch.randn(2, 5, 2)).sum().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    assert (folder / "model.safetensors").read_bytes() == before


def test_device_of_a_loaded_model(folder):
    assert next(load(folder, "cpu").parameters()).device == torch.device("cpu")
    assert next(load(folder, torch.device("cpu")).parameters()).device == torch.device("cpu")


def test_save_replaces_and_leaves_nothing_else(folder):
    other = make_model(d_model=5)
    save(other, folder)
    assert torch.equal(load(folder).head.weight, other.head.weight)
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_files_have_the_permissions_of_any_other(folder):
    (folder / "other").touch()
    assert len({path.stat().st_mode for path in folder.iterdir()}) == 1


def test_a_failing_write_leaves_the_old_model(folder, monkeypatch):
    before = load(folder).state_dict()

    def full_disk(*_):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", full_disk)
    with pytest.raises(OSError, match="disk full"):
        save(make_model(), folder)
    monkeypatch.undo()
    assert all(torch.equal(tensor, before[name]) for name, tensor in load(folder).state_dict().items())
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]


def test_config_is_written_last(tmp_path, monkeypatch):
    written = []
    replace = files.os.replace
    monkeypatch.setattr(files.os, "replace", lambda a, b: (written.append(b.name), replace(a, b)))
    save(make_model(), tmp_path)
    assert written == ["model.safetensors", "config.json"]


def test_an_interrupted_save_never_mixes_two_models(tmp_path, monkeypatch):
    save(make_model(depth=None, memory=(1, 3)), tmp_path)
    replace = files.os.replace

    def killed_before_the_second(source, target):
        if target.name == "config.json":
            raise KeyboardInterrupt
        replace(source, target)

    monkeypatch.setattr(files.os, "replace", killed_before_the_second)
    with pytest.raises(KeyboardInterrupt):
        save(make_model(depth=None, memory=(3, 1)), tmp_path)
    with pytest.raises(FileNotFoundError, match=r"config\.json is missing"):
        load(tmp_path)
    monkeypatch.undo()
    better = make_model(depth=None, memory=(3, 1))
    save(better, tmp_path)
    monkeypatch.setattr(files.os, "replace", killed_before_the_second)
    save(better, tmp_path)  # of the same architecture: the tensors are all there is to replace
    assert torch.equal(load(tmp_path).head.weight, better.head.weight)


def test_what_is_not_a_model_is_not_saved(tmp_path):
    with pytest.raises(TypeError, match=r"model: expected one of .*MultiresLayer, unwrapped, got DataParallel"):
        save(torch.nn.DataParallel(make_model()), tmp_path)  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="meta device"):
        save(make_model(device="meta"), tmp_path)
    assert not list(tmp_path.iterdir())


def test_missing_parts_are_named(folder):
    with pytest.raises(FileNotFoundError, match="nowhere: expected a model folder, there is none"):
        load(folder / "nowhere")
    for name in ("model.safetensors", "config.json"):
        (folder / name).unlink()
        with pytest.raises(FileNotFoundError, match=f"model: expected a model folder, {name} is missing"):
            load(folder)
        save(make_model(), folder)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (
            lambda f: edit_config(f, format=3),
            "expected format 2 or older, got 3; a newer format needs a newer multiresconv",
        ),
        (lambda f: edit_config(f, **{"class": "Net"}), "expected class .*, MultiresNet, MultiresLayer, got 'Net'"),
        (lambda f: edit_config(f, **{"class": ["Net"]}), "expected class .*, MultiresNet, MultiresLayer, got"),
        (
            lambda f: edit_config(f, extra=1),
            "expected an object of arguments, class, format, input, output, got .*extra",
        ),
        (lambda f: edit_config(f, arguments=[]), r"arguments: expected an object, got \[\]"),
        (lambda f: edit_arguments(f, colour="red"), "arguments: .*'colour'"),
        (lambda f: edit_arguments(f, device="cuda"), "arguments: .*'device'"),
        (
            lambda f: edit_arguments(f, norm="group"),
            "arguments: norm: expected 'layer', 'batch' or a module, got 'group'",
        ),
        (lambda f: (f / "config.json").write_text("{"), "config.json: not valid JSON"),
        (lambda f: (f / "config.json").write_bytes(b"\xff\xfe"), "config.json: not valid JSON"),
        (lambda f: (f / "config.json").write_text("[1]"), r"expected an object .* got \[1\]"),
        (lambda f: (f / "model.safetensors").write_bytes(b"nonsense"), "not a safetensors file that can be read"),
        (lambda f: edit_tensors(f, **{"head.bias": None}), "missing head.bias$"),
        (lambda f: edit_tensors(f, colour=torch.ones(1)), "unknown colour$"),
        (
            lambda f: edit_tensors(f, **{"head.bias": torch.ones(4)}),
            r"head.bias: expected shape \(3,\), got \(4,\)",
        ),
        (
            lambda f: edit_tensors(f, **{"head.bias": torch.ones(3, dtype=torch.long)}),
            r"head.bias: expected torch.float32 or alike, got torch.int64",
        ),
        (lambda f: edit_arguments(f, d_model=5), r"expected shape .*5"),
    ],
)
def test_damaged_folders_are_refused(folder, edit, message):
    edit(folder)
    with pytest.raises(ValueError, match=message):
        load(folder)


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (MultiresLayer(4, wavelet="db2", memory=5, depth=3, bidirectional=True), torch.ones(2, 9, 4)),
        (MultiresNet(4, 2, d_input=3, depth=2, norm="batch", norm_first=True), torch.ones(2, 9, 3)),
        (MultiresNet(4, 2, n_tokens=3, depth=2, projection=True), torch.ones(2, 9, dtype=torch.int64)),
    ],
    ids=["layer", "net of samples", "net of tokens"],
)
def test_nets_and_layers_are_saved_too(module: Any, x: Tensor, tmp_path: Path) -> None:
    save(module.eval(), tmp_path)
    again = load(tmp_path)
    assert type(again) is type(module)
    assert torch.equal(again(x), module(x))
    with pytest.raises(ValueError, match=f"expected a model that gives predictions, got a {type(module).__name__}"):
        load_model(tmp_path)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    save(make_model(), tmp_path)
    config, tensors = tmp_path / "config.json", tmp_path / "model.safetensors"
    text, data = config.read_text(), tensors.read_bytes()
    for position in range(1, 200, 7):  # in the tensors, which end the file
        tensors.write_bytes(data[:-position] + bytes([data[-position] ^ 1]) + data[len(data) - position + 1 :])
        with pytest.raises(ValueError, match="is not as it was saved"):
            load(tmp_path)
    tensors.write_bytes(data)
    config.write_text(text.replace('"channel 1"', '"channel 7"'))
    with pytest.raises(ValueError, match="is not as it was saved"):
        load(tmp_path)
    config.write_text(text)
    assert load(tmp_path).input.channels == ("channel 1", "channel 2")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("head.weight", torch.nan, "head.weight: expected finite values"),
        ("net.blocks.0.norm.running_var", -1.0, "running_var: expected variances of at least 0, got -1.0"),
        ("net.standardise.std", 0.0, "standardise.std: expected standard deviations above 0, got 0.0"),
    ],
)
def test_values_that_cannot_be_computed_with_are_refused(name: str, value: float, message: str, tmp_path: Path) -> None:
    model = make_model(norm="batch")
    save(model, tmp_path)
    model.state_dict()[name].view(-1)[0] = value
    with pytest.raises(ValueError, match=message):
        save(model, tmp_path)
    safetensors.torch.save_file(
        {key: tensor.contiguous() for key, tensor in model.state_dict().items()}, tmp_path / "model.safetensors"
    )
    with pytest.raises(ValueError, match=message):
        load(tmp_path)
