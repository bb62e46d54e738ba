"""`sampling.js` in node: each drawn pixel is the one that PyTorch's distribution and the same noise give."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
from web_runtime import write_runtime

from multiresconv import load
from multiresconv.export.page import WEB
from multiresconv.models.logistic_mixture import draw_pixels

pytestmark = pytest.mark.slow

COUNT, PIXELS, GIVEN, MIXTURES, SEED = 3, 60, 25, 2, 7
PROGRAM = """
import * as ort from "./ort.js";
import { readFileSync } from "node:fs";
import { Model } from "./model.js";
import { complete } from "./sampling.js";
import { Random } from "./random.js";
ort.env.wasm.numThreads = 1;
ort.env.wasm.wasmBinary = readFileSync(new URL("./ort.wasm", import.meta.url));
const { prefix, count, pixels, seed, mixtures } = JSON.parse(readFileSync(0, "utf8"));
const model = await Model.load(ort, new URL("./model.onnx", import.meta.url));
const images = Array.from({ length: count }, () => [...prefix]);
await complete(model, { prefix, count, seed, pixels }, ({ at, levels }) => {
  images.forEach((image, row) => image.push(...levels.slice(3 * row, 3 * row + 3)));
}, () => true, async () => {});
const noise = images.map((_, row) => {
  const random = new Random(seed, row);
  return Array.from({ length: pixels - prefix.length / 3 }, () => [
    Array.from({ length: mixtures }, () => random.gumbel()),
    Array.from({ length: 3 }, () => random.logistic()),
  ]);
});
console.log(JSON.stringify({ images, noise }));
"""


def test_every_pixel_is_drawn_from_the_distribution_of_pytorch(density: tuple[Path, Path], tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs node")
    write_runtime(tmp_path)
    model = load(density[0])
    shutil.copy(density[1] / "model.onnx", tmp_path)
    for name in ("model.js", "sampling.js", "random.js"):
        shutil.copy(WEB / name, tmp_path)
    (tmp_path / "package.json").write_text('{"type": "module"}')
    (tmp_path / "run.mjs").write_text(PROGRAM)
    prefix = np.random.default_rng(0).integers(0, 256, 3 * GIVEN).tolist()
    asked = {"prefix": prefix, "count": COUNT, "pixels": PIXELS, "seed": SEED, "mixtures": MIXTURES}
    command = [node, str(tmp_path / "run.mjs")]
    run = subprocess.run(command, input=json.dumps(asked), capture_output=True, text=True, check=True)
    found = json.loads(run.stdout)
    images = np.array(found["images"], np.uint8).reshape(COUNT, PIXELS, 3)
    assert images[:, :GIVEN].reshape(COUNT, -1).tolist() == [prefix] * COUNT
    with torch.inference_mode():
        params = model(torch.from_numpy(images))[:, GIVEN:].double().numpy()
    gumbel, logistic = (np.array([[pixel[i] for pixel in row] for row in found["noise"]]) for i in (0, 1))
    for step in range(PIXELS - GIVEN):
        expected = draw_pixels(params[:, step], gumbel[:, step], logistic[:, step])
        # a level within the rounding of float32 of an edge may fall to its other side
        assert np.abs(expected.astype(int) - images[:, GIVEN + step]).max() <= 1, step
    assert images[:, GIVEN:].std() > 10
