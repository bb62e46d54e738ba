"""Explanations of rows of files: what they add up to, their picture, and one line for whatever is wrong."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from PIL import Image
from small_models import GREY, SIGNAL, classifier, digit, signal

from multiresconv.inspection import explanation_pictures
from multiresconv.inspection.explain import Stretch, evidence_weights, strongest_stretches
from multiresconv.models import MultiresAR, MultiresRegressor, Output
from multiresconv.runs.explain import explain_row
from multiresconv.tasks.listops import LISTOPS_INPUT


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
@pytest.mark.parametrize("kind", ["signal", "image", "tokens"])
def test_the_evidence_adds_up(kind: str, pooling: str, tmp_path: Path) -> None:
    model = classifier({"signal": SIGNAL, "image": GREY, "tokens": LISTOPS_INPUT}[kind], pooling=pooling)
    path = tmp_path / {"signal": "x.npy", "image": "x.png", "tokens": "x.txt"}[kind]
    if kind == "signal":
        np.save(path, signal())
    elif kind == "image":
        Image.fromarray(digit()).save(path)
    else:
        path.write_text("[MAX 1 2 [MIN 3 4 ] ]\n")
    found, probabilities, label = explain_row(model, path, tmp_path / "out.png")
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    assert label == next(iter(probabilities)) == model.output.names[found.label]
    evidence = float(found.outputs @ evidence_weights(model.output, found.label))
    tolerance = 0.02 * abs(evidence - found.elsewhere) if pooling == "last" else 1e-5
    assert found.evidence.sum() + found.elsewhere == pytest.approx(evidence, abs=tolerance + 1e-5)
    np.testing.assert_allclose(found.shares.sum(1), 1)


@pytest.mark.parametrize("pooling", ["mean", "max"])
def test_a_long_row_is_explained_in_chunks(pooling: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(explanation_pictures, "save_figure", lambda figure, path: figures.append(figure))
    model, path = classifier(SIGNAL, pooling=pooling), tmp_path / "x.npy"
    np.save(path, signal(4000))
    whole, chunks = (explain_row(model, path, Path("o.png"), long=long).explanation for long in (10_000, 300))
    np.testing.assert_allclose(chunks.evidence, whole.evidence, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(chunks.shares, whole.shares, rtol=1e-4, atol=1e-6)
    lines = figures[0].subfigs[0].axes[0].lines
    assert [len(line.get_ydata()) for line in lines] == [2 * explanation_pictures.MOST_COLUMNS] * 3  # pyright: ignore


def test_the_envelope_holds_the_extremes() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    edges = explanation_pictures.bin_edges(len(values))
    _, line = explanation_pictures.envelope(values, edges)
    for start, stop, low, high in zip(edges, edges[1:], line[::2], line[1::2], strict=False):
        assert (low, high) == (values[start:stop].min(), values[start:stop].max())


def test_stretches_have_one_sign_and_cover_all() -> None:
    evidence = np.array([1.0, 2.0, -1.0, 0.5, 0.5, 0.5, -4.0])
    strongest = [Stretch(6, 7, -4.0), Stretch(0, 2, 3.0), Stretch(3, 6, 1.5), Stretch(2, 3, -1.0)]
    assert strongest_stretches(evidence) == strongest
    assert strongest_stretches(evidence, 1) == strongest[:1]


def test_evidence_of_two_classes_is_the_log_odds() -> None:
    output, logits = Output("class", ("a", "b")), torch.tensor([1.5, -0.5], dtype=torch.float64)
    probability = float(output.probabilities(logits)[1])
    odds = float(np.log(probability / (1 - probability)))
    assert float(logits @ evidence_weights(output, 1)) == pytest.approx(odds, rel=1e-5)
    assert evidence_weights(Output("labels", ("a", "b")), 1).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"row": 0}, "row: expected at least 1, got 0"),
        ({"row": 3}, "row: expected 1 to 2 for .*, got 3"),
        ({"label": "d"}, "label: expected one of a, b, c, got 'd'"),
        ({"channels": ("V1", "V9")}, "channels: expected some of I, II, V1, got 'V9'"),
        ({"out": Path("x.pdf")}, "out: expected the path of a .png file, got x.pdf"),
    ],
)
def test_what_is_wrong_is_said(options: dict[str, object], said: str, tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.stack([signal(), signal()]))
    arguments = {"out": tmp_path / "o.png", **options}
    with pytest.raises(ValueError, match=said):
        explain_row(classifier(SIGNAL), tmp_path / "x.npy", **arguments)  # pyright: ignore


def test_a_density_model_has_nothing_to_explain() -> None:
    with pytest.raises(ValueError, match="a model of density has no evidence"):
        explain_row(MultiresAR(4, 1, depth=2), Path("x.png"), Path("o.png"))


@pytest.mark.parametrize("pooling", ["mean", "max", "last"])
def test_the_evidence_for_a_value_is_in_its_unit(pooling: Any, tmp_path: Path) -> None:
    options: dict[str, Any] = {"d_input": 3, "max_length": 200, "pooling": pooling}
    model = MultiresRegressor(2, 6, 2, input=SIGNAL, output=Output("value", ("age", "dose")), **options).eval()
    model.target_standardise.set(torch.tensor([60.0, 0.5]), torch.tensor([8.0, 0.1]))
    np.save(tmp_path / "x.npy", signal())
    for label in (None, "dose"):
        found, answer, name = explain_row(model, tmp_path / "x.npy", tmp_path / "out.png", label=label)
        assert name == (label or "age")
        mean = 0.0 if pooling == "last" else float(model.target_standardise.mean[found.label])
        explained = found.evidence.sum() + found.elsewhere
        assert explained == pytest.approx(answer[name] - mean, rel=1e-2 if pooling == "last" else 1e-4, abs=1e-4)
