"""`model.js` in node gives the numbers of PyTorch, refuses what `run.py` refuses, and reads the file's description."""

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import randomised
from small_models import signal
from web_runtime import write_runtime

from multiresconv import MultiresClassifier, load
from multiresconv.export import export_folder
from multiresconv.models import Input, Output
from multiresconv.models.sequence_model import SequenceModel

pytestmark = pytest.mark.slow

TOKENS = Input("tokens", vocabulary=("end", "a", "b"), end="end", ignored="()", max_tokens=5)
PROGRAM = """
import * as ort from "./ort.js";
import { readFileSync } from "node:fs";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync(new URL("./ort.wasm", import.meta.url));
const asked = JSON.parse(readFileSync(0, "utf8"));
const { Model, tokens, checked } = await import(`${asked.folder}/model.js`);
const model = await Model.load(ort, `${asked.folder}/model.onnx`);
const plain = (answer) => (answer instanceof Map ? [...answer] : answer);
async function told(work) {
  try { return await work(); } catch (error) { return { error: error.message }; }
}
const run = {
  predict: async (x) => plain(await model.predict(x)),
  push: async (parts) => {
    const stream = model.stream();
    let answer;
    for (const part of parts) answer = await stream.push(part);
    return plain(answer);
  },
  about: async () => ({ class: model.class, input: model.input, output: model.output, chunk: model.chunk }),
  tokens: async (text) => tokens(text, model.input),
  hold: async ([x, before]) =>
    Array.from(checked(x.map((v) => v ?? NaN), { ...model.input, missing: "hold" }, before)),
  gaps: async (x) => plain(await model.predict(x.map((v) => v ?? NaN))),
};
const found = [];
for (const [name, argument] of asked.calls) found.push(await told(() => run[name](argument)));
console.log(JSON.stringify(found));
"""


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., list[Any]]:
    """A function of an exported folder and calls that returns what `model.js` answers."""
    program = shutil.which("node")
    if program is None:
        pytest.skip("needs node")
    folder = write_runtime(tmp_path_factory.mktemp("node"))
    (folder / "ask.mjs").write_text(PROGRAM)
    (folder / "package.json").write_text('{"type": "module"}')

    def ask(exported: Path, *calls: tuple[str, Any]) -> list[Any]:
        text = json.dumps({"folder": str(exported), "calls": calls})
        found = subprocess.run([program, folder / "ask.mjs"], input=text, capture_output=True, text=True, check=True)
        return json.loads(found.stdout)

    return ask


def exported(model: SequenceModel, folder: Path, chunk: int | None) -> Path:
    export_folder(randomised(model), folder, chunk)
    return folder


def test_probabilities_are_those_of_pytorch_however_a_stream_is_cut(
    folders: tuple[Path, Path], node: Callable[..., list[Any]]
) -> None:
    model, x = load(folders[0]), signal(600)
    parts = [part.tolist() for part in np.split(x, [1, 2, 40])]  # the last one is longer than the largest chunk
    whole, pushed, about = node(folders[1], ("predict", x.ravel().tolist()), ("push", parts), ("about", None))
    with torch.inference_mode():
        expected = model.output.probabilities(model(torch.from_numpy(x).float()[None]))[0]
    by_name = dict(zip(model.output.names, expected.tolist(), strict=True))
    for answer in (whole, pushed):
        assert dict(answer) == pytest.approx(by_name, abs=1e-4)
        assert [name for name, _ in answer] == sorted(by_name, key=lambda name: -by_name[name])
    assert about["class"] == "MultiresClassifier"
    assert about["input"]["channels"] == ["I", "II", "V1"]
    assert about["chunk"] == 500


def test_what_run_py_refuses_is_refused(folders: tuple[Path, Path], node: Callable[..., list[Any]]) -> None:
    found = node(
        folders[1],
        ("predict", [[1, 2], [3]]),
        ("predict", [1, 2, 3, 4]),
        ("predict", []),
        ("predict", "1,2,3"),
        ("gaps", [1, 2, 3, 4, None, 6]),
        ("predict", [1, 2, 1e19]),
        ("hold", [[None, 2, 3], [7, 8, 9]]),
        ("hold", [[1, 2, 3, None, 5, None], None]),
        ("hold", [[1, 2, None], None]),
    )
    expected = [
        "x: expected 3 numbers for each step",
        "3 for each of at least one step, got 4 values",
        "at least one step, got 0 values",
        "x: expected an array of numbers, got string",
        "step 2, II: expected a finite number, got NaN; mend it",
        "step 1, V1: expected a finite number, got 10000000000000000000; mend it",
    ]
    assert [want in one["error"] for want, one in zip(expected, found[:6], strict=True)] == [True] * 6
    assert found[6:8] == [[7, 2, 3], [1, 2, 3, 1, 5, 3]]
    assert found[8]["error"].startswith("step 1, V1: expected a number before the first missing value")


def test_distributions_of_a_density_model_are_those_of_pytorch(
    density: tuple[Path, Path], node: Callable[..., list[Any]]
) -> None:
    model = load(density[0])
    pixels = torch.randint(256, (9, 3), dtype=torch.uint8)
    [found] = node(density[1], ("predict", pixels.flatten().tolist()))
    with torch.inference_mode():
        expected = model(pixels[list(model.input.order or ())][None])[0]
    assert len(found) == 9
    for one, params in zip(found, expected.double().numpy(), strict=True):
        assert one["logits"] == pytest.approx(params[:2], abs=1e-4)
        inner = [[part["means"], part["logScales"], part["coefficients"]] for part in one["channels"]]
        assert np.allclose(inner, params[2:].reshape(3, 3, 2), atol=1e-4)


def test_tokens_and_labels_of_a_model_of_whole_sequences(tmp_path: Path, node: Callable[..., list[Any]]) -> None:
    torch.manual_seed(0)
    output = Output("labels", ("1", "0"))  # as keys of an object, such names would be sorted by number
    model = MultiresClassifier(2, 4, 1, n_tokens=3, depth=2, bidirectional=True, input=TOKENS, output=output)
    numbers = [1, 2, 1, 0]
    answer, read, *refused = node(
        exported(model, tmp_path / "new", None),
        ("predict", numbers),
        ("tokens", "(a b) a"),
        ("tokens", "a c"),
        ("tokens", "a a a a a"),
        ("predict", [3]),
        ("push", [[1]]),
    )
    with torch.inference_mode():
        expected = model.eval()(torch.tensor([numbers])).sigmoid()[0].tolist()
    assert dict(answer) == pytest.approx(dict(zip(output.names, expected, strict=True)), abs=1e-4)
    assert answer[0][1] >= answer[1][1]
    assert read == numbers
    for one, want in zip(
        refused, ('unknown token "c"', "at most 5 tokens", "from 0 to 2", "export it again"), strict=True
    ):
        assert want in one["error"]


def test_forecasts_have_a_list_of_the_next_values_for_each_quantile(
    forecaster: tuple[Path, Path], node: Callable[..., list[Any]]
) -> None:
    model = load(forecaster[0])
    x = np.random.default_rng(0).normal(size=(20, 2)).round(3)
    gaps = [None if i in (7, 30) else value for i, value in enumerate(x.ravel().tolist())]
    [found] = node(forecaster[1], ("gaps", gaps))
    x[[3, 15], [1, 0]] = np.nan
    with torch.inference_mode():
        expected = model(torch.from_numpy(x).float()[None])[0].numpy()  # (horizon, channels, quantiles)
    assert [name for name, _ in found] == list(model.output.names)
    for i, (_, of_channel) in enumerate(found):
        values = [of_channel[f"{q:g}"] for q in model.output.quantiles]
        assert np.allclose(values, expected[:, i].T, atol=1e-4)
