"""The page of an ECG model: the numbers of PyTorch at every step, and the controls."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paths import ROOT
from web.page_parts import NOTHING, bars, numbers, seek

from multiresconv import load

ECG = ROOT / "examples" / "ecg.csv"
STEPS = (1, 2, 137, 500, 1000)


@pytest.fixture(scope="module")
def folder(exported: Callable[..., Path]) -> Path:
    return exported("ptbxl", example=ECG)


@pytest.fixture(scope="module")
def expected() -> np.ndarray:
    """Probabilities of PyTorch after each step, (1000, 5)."""
    model = load(ROOT / "results" / "ptbxl" / "model")
    x = torch.from_numpy(np.loadtxt(ECG, delimiter=",", skiprows=1)).float()[None]
    with torch.inference_mode():
        y, _ = model(x, state=model.init_state(1))
    return model.output.probabilities(y)[0].numpy()


def test_every_step_of_an_ecg_has_the_numbers_of_pytorch(
    opened: Callable[..., Any], folder: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    page = opened(folder)
    header, found = numbers(page, tmp_path)
    assert header == ["step", "CD", "HYP", "MI", "NORM", "STTC"]
    assert found[:, 0].tolist() == list(range(1, 1001))
    assert np.abs(found[:, 1:] - expected).max() < 1e-4
    for step in STEPS:
        seek(page, step)
        assert list(bars(page).values()) == pytest.approx(100 * expected[step - 1], abs=0.06)


def test_the_keyboard_steps_plays_and_pauses(opened: Callable[..., Any], folder: Path) -> None:
    page = opened(folder, still=False)
    page.wait_for_function("document.querySelector('.player .primary').textContent === 'Pause'")
    page.keyboard.press(" ")
    page.keyboard.press("Home")
    assert page.locator(".headline").inner_text() == NOTHING
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert "0.02 of 10.00 s" in page.locator(".answers .note").inner_text()
    page.keyboard.press("End")
    assert page.locator(".headline").inner_text().startswith("NORM")
    page.keyboard.press(" ")  # plays from the beginning
    page.wait_for_function("Number(document.querySelector('.player input').value) > 20")
    assert page.get_by_role("button", name="Pause").is_visible()


def test_a_file_of_the_users_own_is_read_and_a_wrong_one_refused(
    opened: Callable[..., Any], folder: Path, expected: np.ndarray, tmp_path: Path
) -> None:
    page = opened(folder)
    lines = ECG.read_text().splitlines()
    (tmp_path / "short.csv").write_text("\n".join(lines[:51]))
    (tmp_path / "other.csv").write_text("\n".join([lines[0].replace("V6", "V9"), *lines[1:9]]))
    page.get_by_label("Open a file").set_input_files(tmp_path / "other.csv")
    page.wait_for_selector("#problem:visible")
    assert page.inner_text("#problem").startswith('other.csv, line 1: expected one column "V6"')
    page.get_by_label("Open a file").set_input_files(tmp_path / "short.csv")
    page.wait_for_function("document.querySelector('.player input').max === '50'")
    _, found = numbers(page, tmp_path)
    assert np.abs(found[:, 1:] - expected[:50]).max() < 1e-4
    assert not page.locator("#problem").is_visible()
