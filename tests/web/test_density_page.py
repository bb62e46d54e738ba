"""The page of a density model: what is kept stays, completions differ, a seed repeats itself."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from small_models import COLOURS, SIDE
from web.page_parts import pixels

from multiresconv import MultiresAR


@pytest.fixture(scope="module")
def picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("picture") / "picture.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(path)
    return path


@pytest.fixture(scope="module")
def folder(exported: Callable[..., Path], picture: Path) -> Path:
    torch.manual_seed(0)
    return exported("density", MultiresAR(4, 1, n_mixtures=2, depth=2, input=COLOURS).eval(), example=picture)


def completions(page: Any) -> list[np.ndarray]:
    page.wait_for_selector("button:text-is('Save pictures'):enabled", timeout=60_000)
    return [pixels(page, f"[aria-label='Completion {number}']") for number in (1, 2, 3, 4)]


def complete(page: Any, seed: int, rows: int) -> list[np.ndarray]:
    page.get_by_label("Seed").fill(str(seed))
    page.get_by_label("Rows kept").fill(str(rows))
    page.get_by_role("button", name="Complete", exact=True).click()
    return completions(page)


def test_the_rows_above_the_line_stay_and_a_seed_repeats_itself(
    opened: Callable[..., Any], folder: Path, picture: Path
) -> None:
    page, original = opened(folder), np.asarray(Image.open(picture))
    completions(page)  # of the example
    first = complete(page, 5, 3)
    for image in first:
        assert np.array_equal(image[:3], original[:3])
    assert len({image[3:].tobytes() for image in first}) == 4
    other, again = complete(page, 6, 3), complete(page, 5, 3)
    assert all(np.array_equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(np.array_equal(one, two) for one, two in zip(first, other, strict=True))
    later = complete(page, 5, 6)
    assert all(np.array_equal(image[:6], original[:6]) for image in later)


def test_a_wrong_seed_is_refused(opened: Callable[..., Any], folder: Path) -> None:
    page = opened(folder)
    completions(page)
    page.get_by_label("Seed").fill("-1")
    page.get_by_role("button", name="Complete", exact=True).click()
    assert page.inner_text("#problem").startswith("seed: expected a whole number from 0 to")
