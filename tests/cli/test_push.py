"""`multiresconv push`, the card that it writes, and commands that take a model of a hub."""

import os
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from fake_hub import TOKEN, Hub
from seeded import python_module
from small_models import SIGNAL, classifier, signal
from tiny_run import N_TEST, N_TRAIN, N_VAL

from multiresconv import load, save
from multiresconv.cli import main
from multiresconv.models import Input, MultiresForecaster, Output
from multiresconv.runs.card import model_card
from multiresconv.runs.directory import RunDirectory
from multiresconv.runs.facts import evaluations

NAME = "owner/beats"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    save(classifier(SIGNAL), tmp_path / "model")
    return tmp_path / "model"


def pushed(hub: Hub, branch: str = "main") -> dict[str, bytes]:
    repository = hub.repositories[NAME]
    return repository.commits[repository.branches[branch][-1]]


def front_and_text(card: str) -> tuple[dict[str, Any], str]:
    _, front, text = card.split("---\n", 2)
    return yaml.safe_load(front), text


def test_a_model_folder_is_pushed_with_what_it_holds(
    hub: Hub, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "classes.json").write_text("[1, 2, 3]")
    (folder / "notes.txt").write_text("mine")
    assert main(["push", str(folder), NAME, "--private", "--revision", "v1"]) == 0
    name = capsys.readouterr().out.strip()
    assert name == f"hub:{NAME}@{hub.repositories[NAME].branches['v1'][-1]}"
    assert hub.repositories[NAME].private
    files = pushed(hub, "v1")
    assert set(files) == {".gitattributes", "README.md", "classes.json", "config.json", "model.safetensors"}
    assert [files[name] for name in ("config.json", "model.safetensors", "classes.json")] == [
        (folder / name).read_bytes() for name in ("config.json", "model.safetensors", "classes.json")
    ]
    x = torch.randn(2, 20, 3)
    assert torch.equal(load(name)(x), load(folder)(x))
    front, text = front_and_text(files["README.md"].decode())
    assert front == {"library_name": "multiresconv", "tags": ["multiresconv", "signal", "class"]}
    for said in (
        f"# {NAME}\n",
        "| input | signal of 3 channels (I, II, V1) in mV, 100 samples per second; missing values are refused |",
        "| output | one class: a, b, c |",
        f'load("hub:{NAME}")',
        "Not stated: the model came without its run.",
        "Not stated: no rows were scored",
        "Not stated: ask the owner before you use the model.",
        "## What it is not for\n",
    ):
        assert said in text


def test_a_run_is_pushed_with_its_data_and_scores(
    hub: Hub, run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    table = capsys.readouterr().out.partition("\n")[2].strip()
    assert main(["push", str(run), f"hub:{NAME}", "--license", "mit"]) == 0
    assert set(pushed(hub)) == {".gitattributes", "README.md", "config.json", "model.safetensors"}
    front, text = front_and_text(pushed(hub)["README.md"].decode())
    report = dict(evaluations(RunDirectory(run)))["test"]
    assert (front["license"], front["pipeline_tag"]) == ("mit", "text-classification")
    assert front["model-index"] == [
        {
            "name": "beats",
            "results": [
                {
                    "task": {"type": "text-classification"},
                    "dataset": {"name": "listops, test", "type": "listops"},
                    "metrics": [{"type": "accuracy", "value": report["accuracy"]}],
                }
            ],
        }
    ]
    assert table in text
    assert f"n {N_TEST}" in table or str(N_TEST) in table
    low, high = report["accuracy_95"]
    assert f"{low:.2%} to {high:.2%}" in text
    for said in ("| task | listops |", f"| train rows | {N_TRAIN} |", f"| val rows | {N_VAL} |", "## Licence\n\nmit\n"):
        assert said in text
    assert str(run) not in text
    assert str(data) not in text


def test_a_forecaster_is_told_as_the_hub_names_it() -> None:
    model = MultiresForecaster(
        3,
        d_model=4,
        n_layers=1,
        depth=2,
        d_input=1,
        quantiles=(0.1, 0.5),
        input=Input("signal", ("load",)),
        output=Output("forecast", ("load",), horizon=3, quantiles=(0.1, 0.5)),
    )
    front, text = front_and_text(model_card(model, NAME, licence=None, run=None))
    assert front["pipeline_tag"] == "time-series-forecasting"
    assert "forecast of 3 steps, quantiles 0.1, 0.5: load" in text


def test_commands_take_a_model_of_a_hub(
    hub: Hub, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["push", str(folder), NAME]) == 0
    name = capsys.readouterr().out.strip()
    file = tmp_path / "signal.npy"
    np.save(file, signal())
    shown = []
    for model in (str(folder), f"hub:{NAME}", name):
        assert main(["predict", model, str(file)]) == 0
        assert main(["explain", model, str(file), "--out", str(tmp_path / "why.png")]) == 0
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] == shown[2]
    hub.fault = 503
    assert main(["predict", f"hub:{NAME}", str(file)]) == 0
    said = capsys.readouterr()
    assert shown[0].startswith(said.out)
    assert said.err == (
        f"multiresconv: hub:{NAME}: {hub.url} is out of order (status 503); try again later; this is the model that it "
        "had last time\n"
    )
    hub.fault = None
    assert main(["predict", "hub:owner/nothing", str(file)]) == 2
    said = capsys.readouterr().err
    assert said.startswith(f"multiresconv: error: hub:owner/nothing: {hub.url} shows no such repository; ")
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere", NAME], "nowhere is no run directory"),
        (["MODEL", "beats"], "hub:beats: expected hub:owner/name"),
        (["MODEL", f"{NAME}@v1", "--revision", "v2"], "revision: got 'v2' too"),
        (["MODEL", NAME, "--revision", "0" * 40], "expected a branch to commit to, got a commit"),
        (["MODEL", NAME, "--license", "MIT licence"], "license: expected an identifier such as mit"),
        (["LAYER", NAME], "expected a model that gives predictions, got a MultiresLayer"),
    ],
)
def test_what_cannot_be_pushed_is_one_line_and_asks_nothing(
    hub: Hub, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    from multiresconv import MultiresLayer

    save(MultiresLayer(2, depth=2), tmp_path / "layer")
    paths = {"MODEL": str(folder), "LAYER": str(tmp_path / "layer")}
    assert main(["push", *(paths.get(argument, argument) for argument in arguments)]) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert hub.asked == []


@pytest.mark.slow
def test_the_variables_of_the_hub_are_honoured(hub: Hub, folder: Path, tmp_path: Path) -> None:
    """In processes of their own, since huggingface_hub reads them when it is imported."""
    np.save(tmp_path / "signal.npy", signal())
    assert main(["push", str(folder), NAME, "--private"]) == 0
    variables = {
        "HF_ENDPOINT": hub.url,
        "HF_HOME": str(tmp_path),
        "HF_HUB_CACHE": str(tmp_path / "mine"),
        "HF_TOKEN": TOKEN,
    }
    hub.asked.clear()

    def predict(**more: str) -> subprocess.CompletedProcess[str]:
        command = python_module("multiresconv", "predict", f"hub:{NAME}", tmp_path / "signal.npy")
        environment = {**os.environ, **variables, **more}
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)

    online = predict()
    assert (online.returncode, online.stderr) == (0, "")
    assert {authorization for _, _, authorization in hub.asked} == {f"Bearer {TOKEN}"}
    assert (tmp_path / "mine" / "models--owner--beats").is_dir()
    hub.asked.clear()
    offline = predict(HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stdout, offline.stderr) == (0, online.stdout, "")
    assert hub.asked == []
