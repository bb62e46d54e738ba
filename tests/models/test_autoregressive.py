"""Laws of `MultiresAR`: what it knows of a pixel, streaming, and the likelihood of an image."""

import itertools
import json
import math
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv import MultiresAR, MultiresClassifier, load, save
from multiresconv.models.logistic_mixture import mixture_log_prob

DOUBLE = torch.float64


def make_model(**options: Any) -> MultiresAR:
    arguments = {"d_model": 4, "n_layers": 2, "n_mixtures": 2, "depth": 3, "dtype": DOUBLE}
    model = MultiresAR(**{**arguments, **options}).eval()
    if options.get("norm") == "batch" and options.get("device") != "meta":
        for name, buffer in model.named_buffers():  # running statistics as after training
            if name.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 2)
    return model


def random_pixels(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randint(256, shape, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_papers_network_has_its_number_of_parameters():
    model = MultiresAR(512, 48, kernel_size=4, depth=9, dropout=0.1, own_skip_init=True, device="meta")
    assert all(parameter.is_meta for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == 38_391_908
    assert MultiresAR(512, 48, kernel_size=4, max_length=1024, device="meta").config["memory"] == [1] * 9


@examples(15)
@given(cut=st.integers(0, 19), norm=st.sampled_from(["layer", "batch"]), n_channels=st.sampled_from([1, 3]))
def test_a_pixel_sees_those_before_it_only(cut, norm, n_channels):
    torch.manual_seed(cut)
    model = make_model(norm=norm, n_channels=n_channels, max_length=20, depth=None, backend="reference")
    pixels = random_pixels(2, 20, n_channels)
    other = pixels.clone()
    other[:, cut] += 128
    one, two = model(pixels), model(other)
    torch.testing.assert_close(one[:, : cut + 1], two[:, : cut + 1], rtol=0, atol=0)
    if cut < 19:
        assert not torch.allclose(one[:, cut + 1], two[:, cut + 1])


def test_pixels_are_scaled_and_come_one_late():
    model = make_model(n_channels=1)
    pixels = torch.tensor([0, 255, 51, 7], dtype=torch.uint8).view(1, 4, 1)
    seen = torch.tensor([127.5, 0, 255, 51], dtype=DOUBLE).view(1, 4, 1)
    torch.testing.assert_close(model(pixels), model.head(model.net(seen)))


@examples(20)
@given(data=st.data(), n_channels=st.sampled_from([1, 3]), norm=st.sampled_from(["layer", "batch"]),
       dtype=st.sampled_from([torch.float32, DOUBLE]))  # fmt: skip
def test_whole_is_chunks_is_steps(data, n_channels, norm, dtype):
    torch.manual_seed(data.draw(st.integers(0, 99)))
    length = data.draw(st.integers(1, 20))
    cuts = sorted(data.draw(st.sets(st.integers(1, length - 1)))) if length > 1 else []
    model = make_model(n_channels=n_channels, norm=norm, kernel_size=data.draw(st.integers(2, 4)), dtype=dtype)
    pixels = random_pixels(2, length, n_channels, seed=length)
    whole = model(pixels).detach()
    state, parts = model.init_state(2), []
    for start, stop in itertools.pairwise([0, *cuts, length]):
        if data.draw(st.booleans(), "steps"):
            for t in range(start, stop):
                upcoming = state["params"].clone()
                params, state = model.step(pixels[:, t], state)
                assert torch.equal(params, upcoming)
                parts.append(params[:, None].detach())
        else:
            params, state = model(pixels[:, start:stop], state=state)
            parts.append(params.detach())
            state = {name: tensor.detach() for name, tensor in state.items()}
    tolerance = 1e-5 if dtype == torch.float32 else 1e-10
    torch.testing.assert_close(torch.cat(parts, dim=1), whole, atol=tolerance, rtol=tolerance)
    # The state knows the pixel to come: what the whole network would say of one more.
    after = model(torch.cat([pixels, pixels[:, :1]], dim=1))[:, -1]
    torch.testing.assert_close(state["params"], after, atol=tolerance, rtol=tolerance, check_device=False)


def test_rows_of_a_state_go_on_by_themselves():
    model = make_model()
    pixels = random_pixels(3, 9, 3)
    _, state = model(pixels[:, :5], state=model.init_state(3))
    rows = torch.tensor([2, 0])
    params, _ = model(pixels[rows, 5:], state={name: tensor[rows] for name, tensor in state.items()})
    torch.testing.assert_close(params, model(pixels)[rows, 5:])


def test_a_state_can_be_saved_and_keeps_no_chunk_alive():
    model = make_model()
    pixels = random_pixels(3, 9, 3)
    for feed in (model.forward, lambda pixels, state: model.step(pixels[:, 0], state)):
        with torch.no_grad():
            _, state = feed(pixels, state=model.init_state(3))
        assert all(tensor.untyped_storage().nbytes() == tensor.nbytes for tensor in state.values())
        again = safetensors.torch.load(safetensors.torch.save(state))
        torch.testing.assert_close(model(pixels, state=again)[0], model(pixels, state=state)[0], rtol=0, atol=0)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_likelihood_adds_up_over_the_pixels_before(n_channels):
    """log p of an image = the sum of its pixels' conditional log-probabilities, each of the beginning up to it."""
    model = make_model(n_channels=n_channels)
    pixels = random_pixels(2, 6, n_channels)
    parts = [mixture_log_prob(model(pixels[:, : t + 1])[:, -1], pixels[:, t]) for t in range(6)]
    log_prob = torch.stack(parts).sum(0)
    torch.testing.assert_close(model.log_prob(pixels), log_prob)
    assert model.log_prob(pixels).shape == (2,)
    torch.testing.assert_close(model.bits_per_dim(pixels), -log_prob / (6 * n_channels) / math.log(2))


def test_all_images_of_two_grey_pixels_have_probability_one():
    torch.manual_seed(0)
    model = make_model(n_channels=1)
    levels = torch.arange(256, dtype=torch.uint8)
    images = torch.cartesian_prod(levels, levels)[:, :, None]
    assert abs(model.log_prob(images).exp().sum().item() - 1) < 1e-10


@pytest.mark.parametrize("options", [{}, {"norm": "batch"}, {"n_channels": 1, "dropout": 0.2}])
def test_it_learns(options):
    """Some steps of Adam find out that all levels are close to 100."""
    torch.manual_seed(0)
    model = make_model(dtype=torch.float32, d_model=8, **options).train()
    pixels = 100 + random_pixels(4, 16, model.n_channels) // 16
    optimizer = torch.optim.Adam(model.parameters(), lr=0.03)
    bits = []
    for _ in range(30):
        bits.append(model.bits_per_dim(pixels).mean())
        optimizer.zero_grad()
        bits[-1].backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())
        optimizer.step()
    assert bits[-1] < bits[0] - 2


@pytest.mark.parametrize("options", [{"norm": "batch"}, {"n_channels": 1, "wavelet": "db2"}, {"own_skip_init": True}])
def test_a_folder_gives_the_model_back(tmp_path, options):
    model = make_model(dropout=0.1, **options)
    save(model, tmp_path)
    again = load(tmp_path)
    assert isinstance(again, MultiresAR)
    assert again.config == model.config == json.loads((tmp_path / "config.json").read_text())["arguments"]
    pixels = random_pixels(2, 9, model.n_channels)
    assert torch.equal(again(pixels), model(pixels))
    assert repr(MultiresAR(**model.config, dtype=DOUBLE).eval()) == repr(model)


def test_a_folder_of_one_class_is_not_one_of_the_other(tmp_path):
    save(MultiresClassifier(3, 4, 2, d_input=2, depth=3), tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "class": "MultiresAR"}))
    with pytest.raises(ValueError, match=r"config.json: arguments: .*d_input"):
        load(tmp_path)


def test_reset_parameters_starts_anew():
    model = make_model()
    torch.manual_seed(0)
    model.reset_parameters()
    once = [p.clone() for p in model.parameters()]
    torch.manual_seed(0)
    fresh = make_model()
    # Both draw the parameters in the order in which the modules were made, twice: made, then reset.
    torch.manual_seed(0)
    fresh.reset_parameters()
    assert all(torch.equal(a, b) for a, b in zip(once, fresh.parameters(), strict=True))
    assert all(p.isfinite().all() for p in model.parameters())


def test_meta_device_runs():
    model = make_model(device="meta")
    assert model(torch.empty(2, 5, 3, dtype=torch.uint8, device="meta")).shape == (2, 5, 20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_channels": 2}, r"n_channels: expected 1 \(grey\) or 3 \(colour\), got 2"),
        ({"n_mixtures": 0}, "n_mixtures: expected at least 1, got 0"),
        ({"d_model": 0}, "d_model: expected at least 1, got 0"),
        ({"depth": None}, "depth, max_length: one of them is needed"),
    ],
)
def test_options_out_of_range_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        make_model(**options)


def test_input_that_does_not_fit_is_refused():
    model = make_model()
    state = model.init_state(2)
    for pixels in (torch.rand(2, 5, 3), torch.zeros(2, 5, 3, dtype=torch.int64)):
        with pytest.raises(TypeError, match=r"pixels: expected uint8 levels 0..255, got torch\.(float32|int64)"):
            model(pixels)
    for shape in ((2, 5, 1), (2, 0, 3), (5, 3), (2, 3, 5, 3)):
        with pytest.raises(ValueError, match=r"pixels: expected shape \(batch, length >= 1, 3\), got"):
            model(torch.zeros(shape, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"pixels: expected shape \(batch, 3\), got \(2, 1, 3\)"):
        model.step(torch.zeros(2, 1, 3, dtype=torch.uint8), state)
    with pytest.raises(ValueError, match=r"state: .*begin with init_state"):
        model.step(torch.zeros(2, 3, dtype=torch.uint8), model.net.init_state(2))
    with pytest.raises(ValueError, match=r"state"):
        model(torch.zeros(3, 4, 3, dtype=torch.uint8), state=state)
    for run, pixels in ((model.step, random_pixels(2, 3)), (model, random_pixels(2, 4, 3))):
        with pytest.raises(ValueError, match=r"state: params: expected shape \(2, 20\), .*got \(1, 20\)"):
            run(pixels, state={**state, "params": state["params"][:1]})
        with pytest.raises(ValueError, match=r"state: params: expected shape \(2, 20\), .*got \(2, 10\)"):
            run(pixels, state={**state, "params": state["params"][:, :10]})
        with pytest.raises(ValueError, match=r"state: expected a dict of lines, position, params, got dict_values"):
            run(pixels, state=state.values())
