"""What tests read off a page."""

import csv
from pathlib import Path
from typing import Any

import numpy as np

NOTHING = "\N{EN DASH}"  # shown where there is no answer
READ_CANVAS = """canvas => {
    const { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    return [width, Array.from(copy.getImageData(0, 0, width, height).data)];
}"""


def numbers(page: Any, folder: Path) -> tuple[list[str], np.ndarray]:
    """Save the running numbers as a user does; return the header and the columns that are numbers, one row per step."""
    page.wait_for_function("!document.querySelector('.files button:disabled')", timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save numbers").click()
    path = folder / "numbers.csv"
    download.value.save_as(path)
    with path.open(newline="") as file:
        header, *rows = csv.reader(file)
    return header, np.array([[float(field) for field in row] for row in rows])


def pixels(page: Any, selector: str) -> np.ndarray:
    """Return the levels (side, side, 3) that a canvas shows."""
    side, data = page.locator(selector).evaluate(READ_CANVAS)
    return np.array(data, np.uint8).reshape(side, side, 4)[..., :3]


def seek(page: Any, position: int) -> None:
    """Move the slider of the player."""
    page.get_by_label("Position").evaluate(
        "(slider, value) => { slider.value = value; slider.dispatchEvent(new Event('input')); }", position
    )


def bars(page: Any) -> dict[str, float]:
    """Return the probability of each name in percent, as shown."""
    rows = page.locator(".bars li").all()
    return {row.locator(".name").inner_text(): float(row.locator("b").inner_text().split()[0]) for row in rows}
