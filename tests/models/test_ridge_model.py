"""`MultiresFeatures` and `MultiresRidge`: laws of all models, on untrained features."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from multiresconv import MultiresRidge, load, save
from multiresconv.models import Input, MultiresFeatures, Output, init_from
from multiresconv.models.draw_features import draw_features
from multiresconv.tasks.ridge import fit_ridge_model

OUTPUTS = {
    "class": Output("class", ("a", "b", "c")),
    "labels": Output("labels", ("p", "q")),
    "value": Output("value", ("speed", "load")),
}


def signals(count: int, *, missing: bool = False, seed: int = 0) -> list[Tensor]:
    """Sequences (L_i, 2) whose frequency and size depend on their number."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for number in range(count):
        time = torch.arange(30 + 7 * (number % 5))
        wave = torch.sin((0.2 + 0.3 * (number % 3)) * time) * (1 + number % 2)
        x = torch.stack([5 + wave, 100 * wave], 1) + torch.randn(len(time), 2, generator=generator) * torch.tensor(
            [0.3, 30]
        )
        if missing:
            x[torch.rand(x.shape, generator=generator) < 0.1] = torch.nan
        found.append(x)
    return found


def targets(kind: str, count: int) -> np.ndarray:
    numbers = np.arange(count)
    if kind == "class":
        return numbers % 3
    if kind == "labels":
        return np.stack([numbers % 3 == 0, numbers % 2 == 0], 1).astype(np.float32)
    return np.stack([numbers % 3, 1000.0 + numbers % 2], 1).astype(np.float32)


def fit(kind: str, *, missing: bool = False, **options: Any) -> MultiresRidge:
    some = [x.numpy().T.copy() for x in signals(30, missing=missing)]
    features = draw_features(
        some, 12, kernel_size=4, wavelets=None, n_thresholds=3, generator=np.random.default_rng(0)
    )  # fmt: skip
    return fit_ridge_model(features, some, targets(kind, 30), OUTPUTS[kind], **options).model


@pytest.fixture(scope="module", params=OUTPUTS)
def model(request: pytest.FixtureRequest) -> MultiresRidge:
    return fit(request.param, missing=request.param == "labels")


def test_it_learns(model: MultiresRidge) -> None:
    some, kind = signals(30, missing=model.net.mask_missing, seed=1), model.output.kind
    outputs = torch.stack([model(x[None])[0] for x in some]).numpy()
    truth = targets(kind, 30)
    if kind == "class":
        assert (outputs.argmax(1) == truth).mean() > 0.9
    elif kind == "labels":
        assert ((outputs > 0) == truth).mean() > 0.9
    else:
        assert np.abs(outputs - truth).mean() < 0.3


def test_padding_changes_nothing(model: MultiresRidge) -> None:
    some = signals(3, missing=model.net.mask_missing, seed=2)
    lengths = [len(x) for x in some]
    padded = torch.full((3, max(lengths) + 5, 2), torch.nan)
    for row, x in zip(padded, some, strict=True):
        row[: len(x)] = x
    torch.testing.assert_close(model(padded, lengths), torch.cat([model(x[None]) for x in some]), rtol=1e-5, atol=1e-5)


def test_whole_chunks_steps_and_streams_agree(model: MultiresRidge) -> None:
    x = torch.stack([x[:30] for x in signals(4, missing=model.net.mask_missing, seed=3)])
    whole, state = model(x), model.init_state(4)
    kept = {name: tensor.clone() for name, tensor in state.items()}
    outputs, after = model(x[:, :11], state=state)
    assert all(torch.equal(state[name], kept[name]) for name in kept)
    step, after = model.step(x[:, 11], after)
    rest, after = model(x[:, 12:], state=after)
    torch.testing.assert_close(rest[:, -1], whole, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(step, model(x[:, :12]), rtol=1e-5, atol=1e-5)
    stream = model.stream(4)
    torch.testing.assert_close(stream(x[:, :11]), outputs, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(stream(x[:2, 11], rows=[0, 1]), step[:2], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(stream(x[2:, 11], rows=[2, 3]), step[2:], rtol=1e-5, atol=1e-5)
    stream.reset([1])
    again = stream(x[:1, :5], rows=[1])
    torch.testing.assert_close(again, outputs[:1, :5], rtol=1e-5, atol=1e-5)
    last, _ = model.after(x[:, 12:], model(x[:, :12], state=model.init_state(4))[1])
    torch.testing.assert_close(last, whole, rtol=1e-5, atol=1e-5)


def test_features_have_the_same_bits_in_steps_and_whole(model: MultiresRidge) -> None:
    x = torch.stack([x[:30] for x in signals(2, missing=model.net.mask_missing, seed=4)])
    steps, _ = model.net(x, state=model.net.init_state(2))
    for length in (1, 7, 30):
        assert torch.equal(steps[:, length - 1], model.net(x[:, :length]))


def test_contributions_add_up(model: MultiresRidge) -> None:
    some = signals(2, missing=model.net.mask_missing, seed=5)
    lengths = [len(x) for x in some]
    padded = torch.zeros(2, max(lengths), 2)
    for row, x in zip(padded, some, strict=True):
        row[: len(x)] = x
    parts = model.contributions(padded, lengths)
    expected = model.standardised(padded, lengths).double()
    torch.testing.assert_close(parts.sum(1), expected, rtol=1e-5, atol=1e-5)
    assert (parts[0, lengths[0] :] == 0).all()
    weights = torch.eye(len(model.output.names))[0]
    by_scale = model.scale_evidence(some[0][None], weights)
    assert by_scale.shape == (1, 2, model.net.config["depth"])
    assert (by_scale > 0).any()


def test_it_is_saved_and_loaded(model: MultiresRidge, tmp_path: Path) -> None:
    save(model, tmp_path)
    loaded = load(tmp_path)
    x = signals(1, missing=model.net.mask_missing)[0][None]
    assert torch.equal(loaded(x), model(x))
    assert (loaded.input, loaded.output) == (model.input, model.output)
    for name, tensor in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[name], tensor)


def test_weights_and_groups_change_the_fit() -> None:
    plain = fit("class").head.weight
    weights = np.linspace(0.5, 2, 30)
    assert not torch.equal(fit("class", weights=weights).head.weight, plain)
    groups = [str(number // 3) for number in range(30)]
    fitted = fit("class", groups=groups)
    assert fitted(signals(1)[0][None]).shape == (1, 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_filters": 0}, "n_filters: expected at least 1, got 0"),
        ({"kernel_size": 1}, "kernel_size: expected at least 2, got 1"),
        ({"depth": 49}, "depth: expected at most 48, got 49"),
        ({"depth": 40}, "n_filters, depth: expected at most 1,000,000,000 numbers"),
        ({"backend": "triton"}, "backend: untrained features are computed by 'cpu' or 'reference', got 'triton'"),
        ({"output": Output("density", ("x",))}, "output: expected class, labels or value, got density"),
        ({"input": Input("signal", ("I",))}, "input: expected a description of 2 channels or tokens, got 1"),
    ],
)
def test_bad_sizes_are_refused(options: dict[str, Any], message: str) -> None:
    sizes = {"output": OUTPUTS["class"], "d_input": 2, "n_filters": 4, "kernel_size": 3, "depth": 3, "n_thresholds": 2}
    with pytest.raises(ValueError, match=message):
        MultiresRidge(**{**sizes, **options})


def test_bad_input_and_states_are_refused(model: MultiresRidge) -> None:
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, length >= 1, 2\), got \(1, 5, 3\)"):
        model(torch.zeros(1, 5, 3))
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, 2\)"):
        model.step(torch.zeros(2), model.init_state(1))
    with pytest.raises(ValueError, match="state: expected a dict of"):
        model(torch.zeros(1, 5, 2), state={})
    with pytest.raises(ValueError, match="state: lines: expected shape"):
        model(torch.zeros(2, 5, 2), state=model.init_state(1))
    with pytest.raises(ValueError, match="lengths"):
        model(torch.zeros(1, 5, 2), lengths=[3], state=model.init_state(1))


def test_a_network_cannot_start_from_it(model: MultiresRidge, tmp_path: Path) -> None:
    save(model, tmp_path)
    with pytest.raises(ValueError, match="expected a trained network, got a MultiresRidge"):
        init_from(model, tmp_path)


def test_features_have_names_and_a_config() -> None:
    module = MultiresFeatures(2, 3, kernel_size=2, depth=2, n_thresholds=2, mask_missing=True)
    assert len(module.feature_names) == module.n_features == 3 * 2 * 2 * 3 * 2 + 2
    assert MultiresFeatures(**module.config).config == module.config


def test_the_reference_gives_the_features_of_the_kernels_and_does_not_stream(tmp_path: Path) -> None:
    model = fit("labels", missing=True)
    save(model, tmp_path)
    plain = load(tmp_path, backend="reference")
    rows = signals(6, missing=True, seed=5)
    x = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=torch.inf)
    lengths = torch.tensor([len(row) for row in rows])
    differ = ((plain.net(x, lengths) - model.net(x, lengths)).abs() > 1e-6).sum(1)
    assert int(differ.max()) <= 3  # of 218 features, by a coefficient within rounding of a threshold
    with pytest.raises(RuntimeError, match="backend 'reference' takes whole sequences"):
        plain(x[:1], state=plain.init_state(1))
