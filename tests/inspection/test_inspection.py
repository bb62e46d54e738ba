"""What `inspect_model` draws and says is what is in the layers."""

import json
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import pytest
import torch
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from torch import nn

from multiresconv import MultiresClassifier, MultiresLayer
from multiresconv.inspection import measures as layer_measures
from multiresconv.inspection import pictures as layer_pictures
from multiresconv.inspection.inspect import inspect_model, summarise
from multiresconv.models import MultiresAR
from multiresconv.ops.analysis import effective_receptive_field, frequency_response, impulse_response, scale_energies

PICTURES = ["filters.png", "impulse-responses.png", "energy-per-scale.png", "frequency-response.png"]


def classifier(seed: int = 0, *, d_model: int = 6, n_layers: int = 2, **layer: Any) -> MultiresClassifier:
    torch.manual_seed(seed)
    layer = layer or {"kernel_size": 3, "depth": 4}
    return MultiresClassifier(3, d_model=d_model, n_layers=n_layers, d_input=2, **layer)


def convs(model: MultiresClassifier) -> list[MultiresLayer]:
    return [block.conv for block in model.net.blocks]  # pyright: ignore[reportReturnType]


def responses(conv: MultiresLayer) -> torch.Tensor:
    h0, h1, w = (t.detach().double() for t in (conv.h0, conv.h1, conv.w))
    return impulse_response(h0, h1, w, conv.memory, conv.receptive_field)


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    """The figures by file name, which are kept instead of written."""
    kept: dict[str, Figure] = {}
    monkeypatch.setattr(layer_pictures, "save_figure", lambda figure, path: kept.setdefault(path.name, figure))
    return kept


# Files


@pytest.mark.parametrize("known", [True, False])
def test_writes_pictures_and_numbers(known: bool, tmp_path: Path) -> None:
    model, initial = classifier(), classifier(1)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    paths = inspect_model(model, initial if known else None, tmp_path / "new" / "folder")
    assert paths == [tmp_path / "new" / "folder" / name for name in [*PICTURES, "inspection.json"]]
    assert sorted(paths) == sorted((tmp_path / "new" / "folder").iterdir())
    for path in paths[:-1]:
        assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert matplotlib.image.imread(path).std() > 0.01
    assert json.loads(paths[-1].read_text()) == summarise(model)
    for name, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[name])


def test_numbers_of_an_earlier_inspection_are_replaced(figures: dict[str, Figure], tmp_path: Path) -> None:
    inspect_model(classifier(n_layers=1), None, tmp_path)
    inspect_model(classifier(1, n_layers=1), None, tmp_path)
    assert json.loads((tmp_path / "inspection.json").read_text()) == summarise(classifier(1, n_layers=1))


# Numbers


def test_the_summary_is_of_the_responses() -> None:
    model = classifier(n_layers=3, d_model=7)
    summary = summarise(model)
    assert summary["share"] == 0.99
    assert [layer["layer"] for layer in summary["layers"]] == [1, 2, 3]
    for layer, conv in zip(summary["layers"], convs(model), strict=True):
        steps = effective_receptive_field(responses(conv)).tolist()
        assert layer["memory"] == [1, 1, 1, 1]
        assert layer["receptive_field"] == layer["measured_steps"] == conv.receptive_field == 31
        expected = {"median": np.median(steps), "lowest": min(steps), "highest": max(steps)}
        assert layer["effective_receptive_field"] == expected
        energies = scale_energies(conv.h0.double(), conv.h1.double(), conv.w.double(), conv.memory)
        shares = (energies / energies.sum(1, keepdim=True)).mean(0).flip(0).tolist()
        assert list(layer["energy_shares"]) == ["x", "b_1", "b_2", "b_3", "b_4", "a_4"]
        assert list(layer["energy_shares"].values()) == pytest.approx(shares)


@torch.no_grad()
def test_energy_goes_where_the_weights_are() -> None:
    model = classifier(n_layers=2, wavelet="db2", depth=4)
    first, second = convs(model)
    first.w.zero_()
    first.w[:, -1] = 0.5  # x alone
    second.w.zero_()
    second.w[:, 1] = 2  # b_4 alone, but for a channel that is silent
    second.w[3] = 0
    one, two = summarise(model)["layers"]
    assert one["effective_receptive_field"] == {"median": 1, "lowest": 1, "highest": 1}
    assert one["energy_shares"] == {"x": 1, "b_1": 0, "b_2": 0, "b_3": 0, "b_4": 0, "a_4": 0}
    assert two["energy_shares"] == {"x": 0, "b_1": 0, "b_2": 0, "b_3": 0, "b_4": 1, "a_4": 0}
    assert two["effective_receptive_field"]["lowest"] == 0


@torch.no_grad()
def test_a_layer_that_puts_out_nothing_has_no_shares(figures: dict[str, Figure], tmp_path: Path) -> None:
    model = classifier(n_layers=1)
    for parameter in convs(model)[0].parameters():
        parameter.zero_()
    inspect_model(model, None, tmp_path)
    layer = json.loads((tmp_path / "inspection.json").read_text())["layers"][0]
    assert set(layer["energy_shares"].values()) == {0}
    assert layer["effective_receptive_field"]["highest"] == 0


def test_a_very_deep_layer_says_how_much_of_it_was_measured(
    monkeypatch: pytest.MonkeyPatch, figures: dict[str, Figure], tmp_path: Path
) -> None:
    monkeypatch.setattr(layer_measures, "MOST_STEPS", 100)
    model = classifier(n_layers=1, depth=40)
    inspect_model(model, None, tmp_path)
    layer = summarise(model)["layers"][0]
    assert layer["measured_steps"] == 100
    assert layer["receptive_field"] == 2**40
    assert "of the first 100 steps" in figures["impulse-responses.png"].axes[0].get_title()


def test_density_networks_are_inspected_too() -> None:
    model = MultiresAR(4, 3, kernel_size=2, depth=5)
    assert [layer["receptive_field"] for layer in summarise(model)["layers"]] == [32, 32, 32]


def test_half_precision_is_inspected_too() -> None:
    model = classifier()
    shares = summarise(model)["layers"][0]["energy_shares"]
    assert summarise(model.bfloat16())["layers"][0]["energy_shares"] == pytest.approx(shares, abs=0.02)


# Pictures


def test_heat_maps_hold_the_taps(figures: dict[str, Figure], tmp_path: Path) -> None:
    model, initial = classifier(), classifier(1)
    inspect_model(model, initial, tmp_path)
    maps = [axes for axes in figures["filters.png"].axes if axes.images]
    shown = [(axes.get_title(), np.asarray(axes.images[0].get_array())) for axes in maps]
    expected = []
    for learned, before in zip(convs(model), convs(initial), strict=True):
        order = learned.h0.sum(1).argsort(descending=True)
        for filter_ in ("h0", "h1"):
            for kind, conv in (("initial", before), ("learned", learned)):
                expected.append((f"$h_{filter_[1]}$ {kind}", getattr(conv, filter_)[order].detach().numpy()))
    assert [title for title, _ in shown] == [title for title, _ in expected]
    for (_, seen), (_, taps) in zip(shown, expected, strict=True):
        np.testing.assert_allclose(seen, taps)
    assert maps[0].get_xticklabels()[0].get_text() == "2"  # the first tap is the oldest


def test_impulse_responses_mark_the_receptive_fields(figures: dict[str, Figure], tmp_path: Path) -> None:
    model = classifier()
    inspect_model(model, None, tmp_path)
    for number, (axes, conv) in enumerate(zip(figures["impulse-responses.png"].axes, convs(model), strict=True), 1):
        lines = {str(line.get_label()): np.asarray(line.get_xydata()) for line in axes.lines}
        response = responses(conv)
        response = (response / response.norm(dim=1, keepdim=True)).abs().numpy()
        median = lines["median channel"]
        np.testing.assert_allclose(median[:8, 0], range(1, 9))  # finer than the eighth of an octave
        np.testing.assert_allclose(median[:8, 1], np.median(response[:, :8], 0))
        reach = float(effective_receptive_field(torch.from_numpy(response)).double().quantile(0.5))
        assert lines["99% of the energy, median"][0, 0] == reach
        assert lines["receptive field"][0, 0] == conv.receptive_field
        assert axes.get_title().startswith(f"layer {number}: 99% within {reach:.0f} of 31 steps")
        assert axes.get_xscale() == "log"


def test_the_energy_map_holds_the_shares(figures: dict[str, Figure], tmp_path: Path) -> None:
    model, initial = classifier(), classifier(1)
    inspect_model(model, initial, tmp_path)
    maps = [axes for axes in figures["energy-per-scale.png"].axes if axes.images]
    for axes, of in zip(maps, (initial, model), strict=True):
        table = [list(layer["energy_shares"].values()) for layer in summarise(of)["layers"]]
        np.testing.assert_allclose(np.asarray(axes.images[0].get_array()), 100 * np.array(table))
        ticks = [label.get_text() for label in axes.get_xticklabels()]
        assert ticks == ["$x$", "$b_{1}$", "$b_{2}$", "$b_{3}$", "$b_{4}$", "$a_{4}$"]
        written = [text.get_text() for text in axes.texts]
        assert written == [f"{100 * share:.0f}" for row in table for share in row]


def test_frequency_responses_are_those_of_the_scales(figures: dict[str, Figure], tmp_path: Path) -> None:
    model = classifier(d_model=1, n_layers=1)
    inspect_model(model, None, tmp_path)
    conv = convs(model)[0]
    frequencies, low, high = frequency_response(conv.h0.double(), conv.h1.double(), 4, 129)
    gains = torch.cat([high.flip(0), low[None]])[:, 0, 1:9].abs().detach().numpy()  # each in a bin of its own
    lines = figures["frequency-response.png"].axes[0].lines
    assert [line.get_label() for line in lines] == [f"$b_{{{j}}}$" for j in range(1, 5)] + ["$a_{4}$"]
    for line, expected in zip(lines, gains, strict=True):
        drawn = np.asarray(line.get_xydata())
        np.testing.assert_allclose(drawn[:8, 0], frequencies[1:9])
        np.testing.assert_allclose(drawn[:8, 1], 20 * np.log10(expected))


def test_bins_keep_the_energy() -> None:
    positions = np.arange(1, 1000)
    values = np.random.default_rng(0).normal(size=(2, 999))
    centres, sizes = layer_pictures.by_octave(positions, values)
    bins = np.floor(8 * np.log2(positions)).astype(int)
    counts = np.array([np.sum(bins == i) for i in np.unique(bins)])
    np.testing.assert_allclose((sizes**2 * counts).sum(1), (values**2).sum(1))
    assert (np.diff(centres) > 0).all()


def test_of_many_layers_and_channels_some_are_drawn(figures: dict[str, Figure], tmp_path: Path) -> None:
    model = classifier(n_layers=48, d_model=100, depth=2)
    inspect_model(model, model, tmp_path)
    for name in ("filters.png", "impulse-responses.png", "frequency-response.png"):
        assert str(figures[name].get_suptitle()).endswith("; 8 of 48 layers")
    titles = [axes.get_title() for axes in figures["frequency-response.png"].axes]
    assert titles == [f"layer {number}" for number in (1, 8, 14, 21, 28, 35, 41, 48)]
    assert figures["filters.png"].axes[0].get_ylabel() == "layer 1\n64 of 100 channels"
    assert np.asarray(figures["filters.png"].axes[0].images[0].get_array()).shape == (64, 2)
    assert np.asarray(figures["energy-per-scale.png"].axes[0].images[0].get_array()).shape == (48, 4)


@pytest.mark.parametrize(("n_layers", "layer"), [(1, {"depth": 20}), (3, {"kernel_size": 4, "depth": 1})])
def test_nothing_that_is_written_overlaps(
    n_layers: int, layer: dict[str, Any], figures: dict[str, Figure], tmp_path: Path
) -> None:
    model = classifier(n_layers=n_layers, d_model=3, **layer)
    inspect_model(model, model, tmp_path)
    for name, figure in figures.items():
        figure.draw_without_rendering()
        axes = [axes for axes in figure.axes if axes.get_visible()]
        around = [text for text in figure.texts if text.get_text()]
        parts = [part.get_tightbbox() for part in [*axes, *around, *figure.legends]]
        labels = [drawn_labels(axis) for one in axes for axis in (one.xaxis, one.yaxis)]
        for boxes in (parts, *labels):
            for one, other in combinations(boxes, 2):
                assert not one.padded(-1).overlaps(other.padded(-1)), name
        for box in parts:
            assert figure.bbox.padded(1).containsx(box.x0), name
            assert figure.bbox.padded(1).containsx(box.x1), name
            assert figure.bbox.padded(1).containsy(box.y0), name
            assert figure.bbox.padded(1).containsy(box.y1), name


def drawn_labels(axis: Axis) -> list[Any]:
    """The boxes of the tick labels within the limits of an axis; there are others, which are not drawn."""
    low, high = sorted(axis.get_view_interval())
    ticks = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high and tick.label1.get_visible()]
    return [tick.label1.get_window_extent() for tick in ticks if tick.label1.get_text()]


# Words to bad input


def test_models_that_cannot_be_inspected_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="model: expected a model with layers of MultiresLayer, Linear has none"):
        inspect_model(nn.Linear(2, 2), None, tmp_path)
    with pytest.raises(ValueError, match="initial: expected layers of the same shapes"):
        inspect_model(classifier(), classifier(n_layers=3), tmp_path)
    with pytest.raises(ValueError, match="initial: expected layers of the same shapes"):
        inspect_model(classifier(), classifier(kernel_size=3, depth=5), tmp_path)
    with pytest.raises(ValueError, match=r"model: .*meta device"):
        summarise(classifier().to("meta"))
    mixed = nn.ModuleList([MultiresLayer(3, depth=2), MultiresLayer(3, depth=5)])
    with pytest.raises(ValueError, match="model: expected layers of one depth, got 2, 5"):
        inspect_model(mixed, None, tmp_path)
    assert [layer["receptive_field"] for layer in summarise(mixed)["layers"]] == [4, 32]
    broken = classifier()
    convs(broken)[1].h1.data[0, 0] = torch.nan
    with pytest.raises(ValueError, match="model: layer 2: h1: expected finite values"):
        inspect_model(broken, None, tmp_path)
    assert list(tmp_path.iterdir()) == []
