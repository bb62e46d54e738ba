"""The page of a digit model: a digit drawn by mouse gets the label and the numbers of PyTorch for the same pixels."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paths import ROOT
from PIL import Image
from web.page_parts import NOTHING, numbers, pixels

from multiresconv import load

DIGIT = ROOT / "examples" / "digit.png"
SEVEN = ((0.3, 0.25), (0.7, 0.25), (0.55, 0.5), (0.4, 0.85))


@pytest.fixture(scope="module")
def folder(exported: Callable[..., Path]) -> Path:
    return exported("smnist", example=DIGIT)


def running(levels: np.ndarray) -> np.ndarray:
    """Probabilities of PyTorch after each pixel, (784, 10)."""
    model = load(ROOT / "results" / "smnist" / "model")
    x = torch.tensor(levels).float().reshape(1, -1, 1)
    with torch.inference_mode():
        y, _ = model(x, state=model.init_state(1))
    return model.output.probabilities(y)[0].numpy()


def test_a_drawn_digit_gets_the_answers_of_pytorch(opened: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    page = opened(folder)
    page.wait_for_function(f"document.querySelector('.headline').textContent !== '{NOTHING}'")
    box = page.locator(".board").bounding_box()
    places = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in SEVEN]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=8)
    page.mouse.up()
    page.wait_for_function("document.querySelector('.files .note').textContent.startsWith('Your drawing')")
    header, found = numbers(page, tmp_path)
    assert header == ["step", "grey", *map(str, range(10))]
    levels = found[:, 1]
    read = pixels(page, "[aria-label*='that the network reads']")  # all of it, since it has been read to the end
    assert np.array_equal(read[..., 0].ravel(), levels)
    expected = running(levels)
    assert np.abs(found[:, 2:] - expected).max() < 1e-4
    assert expected[-1].argmax() == 7
    assert page.locator(".headline").inner_text().startswith("7 ")
    rows, columns = np.nonzero(levels.reshape(28, 28))
    assert max(np.ptp(rows), np.ptp(columns)) + 1 == 20  # like MNIST's digits
    weights = levels.reshape(28, 28) / levels.sum()
    middle = [(weights.sum(1 - axis) * (np.arange(28) + 0.5)).sum() for axis in (0, 1)]
    assert middle == pytest.approx([14, 14], abs=0.51)


def test_a_picture_is_read_as_it_is(opened: Callable[..., Any], folder: Path, tmp_path: Path) -> None:
    page = opened(folder)
    assert page.locator("h1").inner_text() == "A network reads your digit"
    assert "39,434 weights" in page.locator("footer").inner_text()
    _, found = numbers(page, tmp_path)
    levels = np.asarray(Image.open(DIGIT).convert("L")).ravel()
    assert np.array_equal(found[:, 1], levels)
    assert np.abs(found[:, 2:] - running(levels)).max() < 1e-4
    page.get_by_role("button", name="Clear").click()
    assert page.locator(".headline").inner_text() == NOTHING
