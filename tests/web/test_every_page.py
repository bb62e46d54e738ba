"""Every kind of page opens on a phone and on a desk, light and dark, without an error or a request to elsewhere."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from paths import ROOT
from small_models import COLOURS, LEADS, SIGNAL, classifier, signal
from web.page_parts import NOTHING, bars, numbers

from multiresconv import MultiresForecaster, MultiresRegressor
from multiresconv.models import Input, Output
from multiresconv.models.sequence_model import SequenceModel
from multiresconv.tasks.listops import LISTOPS_INPUT

LABELS = Output("labels", ("x", "y", "z"))
VALUES = Output("value", ("pressure", "flow"), ("bar", "l/s"))
TWO = Input("signal", ("temperature", "load"))
MODELS: dict[str, Callable[[], SequenceModel]] = {
    "labels": lambda: classifier(SIGNAL, output=LABELS),
    "whole": lambda: classifier(SIGNAL, bidirectional=True),
    "values": lambda: MultiresRegressor(2, 4, 1, d_input=3, depth=2, input=SIGNAL, output=VALUES),
    "forecast": lambda: MultiresForecaster(6, 4, 1, d_input=2, depth=2, quantiles=(0.1, 0.5, 0.9), input=TWO),
    "colours": lambda: classifier(COLOURS),
    "tokens": lambda: classifier(LISTOPS_INPUT),
}


@pytest.fixture(scope="module", params=MODELS)
def folder(request: pytest.FixtureRequest, exported: Callable[..., Path], tmp_path_factory: Any) -> Path:
    torch.manual_seed(0)
    name, example = request.param, None
    model = MODELS[name]()
    if model.input.kind == "signal":
        example = tmp_path_factory.mktemp("example") / "signal.csv"
        names = LEADS if model.input == SIGNAL else TWO.channels
        np.savetxt(example, signal(300)[:, : len(names)], delimiter=",", header=",".join(names), comments="")
    if model.input == COLOURS:
        example = ROOT / "examples" / "picture.png"
    return exported(name, model.eval(), example)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_opens(opened: Callable[..., Any], folder: Path, scheme: str) -> None:
    for width in (360, 1280):
        page = opened(folder, width, scheme)
        page.wait_for_function(f"document.querySelector('.answers b').textContent !== '{NOTHING}'")
        assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("h1").inner_text().startswith("A network")
        assert not page.locator("#problem").is_visible()


def test_tokens_get_the_answers_of_pytorch_and_unknown_ones_are_named(
    opened: Callable[..., Any], exported: Callable[..., Path], tmp_path: Path
) -> None:
    model = classifier(LISTOPS_INPUT)
    page = opened(exported("tokens", model))
    page.get_by_label("Text of tokens").fill("[MAX 2 7 ]")
    page.get_by_role("button", name="Read").click()
    page.wait_for_function("document.querySelectorAll('.chips li').length === 5")
    page.wait_for_function("document.querySelector('.chips li:last-child').classList.contains('now')")
    words = [*["[MAX", "2", "7", "]"], "<end>"]
    x = torch.tensor([[LISTOPS_INPUT.vocabulary.index(word) for word in words]])
    with torch.inference_mode():
        y, _ = model(x, state=model.init_state(1))
    expected = model.output.probabilities(y)[0].numpy()
    assert list(bars(page).values()) == pytest.approx(100 * expected[-1], abs=0.06)
    page.get_by_label("Text of tokens").fill("[MAX 2 x ]")
    page.get_by_role("button", name="Read").click()
    assert page.inner_text("#problem").startswith('unknown token "x"')


def test_a_model_of_whole_sequences_gives_one_answer(
    opened: Callable[..., Any], exported: Callable[..., Path], tmp_path: Path
) -> None:
    model = classifier(SIGNAL, bidirectional=True)
    path = tmp_path / "signal.csv"
    np.savetxt(path, signal(300), delimiter=",", header=",".join(LEADS), comments="")
    page = opened(exported("whole", model, path))
    header, found = numbers(page, tmp_path)
    with torch.inference_mode():
        expected = model.output.probabilities(model(torch.from_numpy(signal(300)).float()[None]))[0]
    assert header == ["step", "a", "b", "c"]
    assert found[0].tolist() == pytest.approx([300, *expected.tolist()], abs=1e-4)
    assert len(found) == 1
