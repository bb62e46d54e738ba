"""Laws of the layer, the block, channel dropout and pooling."""

import copy

import pytest
import pywt
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv import MultiresBlock, MultiresLayer, fading, multires_conv, uniform
from multiresconv.layers import ChannelDropout, Memory, check_lengths, pool

DOUBLE = torch.float64

few = examples(25)
memories = st.one_of(
    st.just("fading"),
    st.integers(2, 6),
    st.lists(st.integers(0, 3), min_size=3, max_size=3).map(tuple),
)


def make_layer(memory: Memory = "fading", kernel_size=2):
    # The readable backend: that the others equal it is for the tests of the operator to show.
    return MultiresLayer(3, kernel_size=kernel_size, depth=3, memory=memory, backend="reference", dtype=DOUBLE)


def make_block(memory="fading", kernel_size=2, **options):
    options = {"kernel_size": kernel_size, "depth": 3, "memory": memory, "dtype": DOUBLE, **options}
    return MultiresBlock(3, backend="reference", **options).eval()


@few
@given(memory=memories, kernel_size=st.integers(2, 4), length=st.integers(1, 40), cut=st.integers(0, 39))
def test_layer_and_block_are_causal(memory, kernel_size, length, cut):
    cut = min(cut, length - 1)
    for module in (
        make_layer(memory, kernel_size),
        make_block(memory, kernel_size, dropout=0.5),
        make_block(memory, kernel_size, norm="batch"),
    ):
        x = torch.randn(2, length, 3, dtype=DOUBLE)
        other = x.clone()
        other[:, cut:] = torch.randn_like(x[:, cut:])
        y, changed = module(x), module(other)
        torch.testing.assert_close(y[:, :cut], changed[:, :cut])
        assert not torch.allclose(y[:, cut], changed[:, cut])


@few
@given(memory=memories, length=st.integers(1, 40))
def test_layer_is_linear_and_is_the_operator(memory, length):
    layer = make_layer(memory)
    a, b = torch.randn(2, 2, length, 3, dtype=DOUBLE)
    torch.testing.assert_close(layer(2 * a - 3 * b), 2 * layer(a) - 3 * layer(b))
    y = multires_conv(a.mT, layer.h0, layer.h1, layer.w, layer.memory, backend="reference")
    torch.testing.assert_close(layer(a), y.mT)


@few
@given(memory=memories, kernel_size=st.integers(2, 4))
def test_receptive_field_is_what_the_last_output_depends_on(memory, kernel_size):
    layer = make_layer(memory, kernel_size)
    length = layer.receptive_field + 5
    x = torch.randn(1, length, 3, dtype=DOUBLE, requires_grad=True)
    (grad,) = torch.autograd.grad(layer(x)[0, -1].sum(), x)
    seen = grad.abs().sum((0, 2)).nonzero().flatten()
    assert length - seen.min() == layer.receptive_field


def test_memory_and_depth():
    assert MultiresLayer(2, max_length=1024).memory == fading(10)
    assert MultiresLayer(2, kernel_size=4, depth=10).depth == 10
    assert MultiresLayer(2, depth=4, memory=6).memory == uniform(4, 2, 6)
    assert MultiresLayer(2, memory=(0, 2, 1)).memory == (0, 2, 1)
    assert MultiresLayer(2, memory=[0, 2, 1], depth=3).memory == (0, 2, 1)
    # db2 has 4 taps: 3 * (2^3 - 1) + 1 = 22 steps need 3 scales, where a kernel of 2 would need 5
    assert MultiresLayer(2, wavelet="db2", max_length=22).depth == 3
    assert MultiresLayer(2, wavelet="db2", max_length=23).depth == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "depth, max_length: one of them is needed"),
        ({"memory": 5}, "depth, max_length: one of them is needed"),
        ({"depth": 3, "max_length": 100}, "give one of them, got 3 and 100"),
        ({"depth": 2, "memory": (1, 1, 1)}, r"depth 2 contradicts the 3 scales of \(1, 1, 1\)"),
        ({"max_length": 1024, "memory": (1, 1)}, r"max_length 1024, so depth 10, contradicts the 2 scales"),
        ({"depth": 3, "wavelet": "db2", "kernel_size": 4}, "give one of them, got 4 and 'db2'"),
        ({"depth": 3, "wavelet": "nope"}, "no discrete wavelet named 'nope'"),
        ({"depth": 3, "kernel_size": 1}, "kernel_size: expected at least 2, got 1"),
        ({"depth": 0}, "depth: expected at least 1, got 0"),
        ({"max_length": 0}, "max_length: expected at least 1, got 0"),
        ({"depth": 3, "memory": "uniform"}, "memory: expected 'fading', a size or counts .*, got 'uniform'"),
        ({"memory": ()}, "memory: expected .* at least one scale"),
        ({"memory": (1, -1)}, "memory: expected .* none negative"),
        ({"depth": 2, "memory": 100}, "size: depth 2 and kernel_size 2 have"),
    ],
)
def test_contradicting_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MultiresLayer(4, **options)


def test_input_of_another_shape_is_refused_in_the_terms_of_the_layer():
    layer = make_layer()
    for shape in [(2, 3, 8), (8, 3), (2, 0, 3)]:
        with pytest.raises(ValueError, match=r"\(batch, length, 3\) .*got \(" + ", ".join(map(str, shape))):
            layer(torch.zeros(shape, dtype=DOUBLE))
    with pytest.raises(ValueError, match="d_model: expected at least 1, got 0"):
        MultiresLayer(0, depth=3)


def test_wavelet_taps_are_those_of_pywavelets():
    layer = MultiresLayer(3, wavelet="db2", depth=4, dtype=DOUBLE)
    wavelet = pywt.Wavelet("db2")  # pyright: ignore[reportAttributeAccessIssue]
    for taps, expected in ((layer.h0, wavelet.dec_lo), (layer.h1, wavelet.dec_hi)):
        assert taps.shape == (3, 4)
        assert taps.tolist() == [expected[::-1]] * 3


@pytest.mark.parametrize("own", [False, True])
def test_initialisation_fills_its_range(own):
    layer = MultiresLayer(4000, kernel_size=4, depth=7, own_skip_init=own)
    # M + 1 = 9 weights per channel; of 4000 uniform draws the largest lies within 1 % of the bound but once in e^40
    bounds = [(layer.h0, 0.5), (layer.h1, 0.5), (layer.w[:, :-1], 1 / 3), (layer.w[:, -1], 1.0 if own else 1 / 3)]
    for weight, bound in bounds:
        assert 0.99 * bound < weight.max() <= bound
        assert -bound <= weight.min() < -0.99 * bound
        assert abs(weight.mean()) < 0.05 * bound


def test_reset_parameters_draws_anew_and_keeps_wavelets():
    layer = MultiresLayer(3, depth=3)
    before = copy.deepcopy(layer.state_dict())
    layer.reset_parameters()
    assert all((before[name] != value).any() for name, value in layer.state_dict().items())
    wavelet = MultiresLayer(3, wavelet="sym4", depth=3)
    before = wavelet.h0.detach().clone()
    torch.nn.init.zeros_(wavelet.h0)
    wavelet.reset_parameters()
    assert torch.equal(wavelet.h0, before)


def test_meta_device_then_empty_then_reset():
    block = MultiresBlock(3, wavelet="db2", depth=3, norm="batch", device="meta")
    assert all(tensor.is_meta for tensor in block.state_dict().values())
    assert block(torch.empty(2, 5, 3, device="meta")).shape == (2, 5, 3)
    block.to_empty(device="cpu")
    for tensor in block.state_dict().values():
        tensor.fill_(7)
    block.reset_parameters()
    assert not any((tensor == 7).any() for tensor in block.state_dict().values())


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_block_under_autocast_is_close_and_differentiable(norm):
    torch.manual_seed(0)
    block = MultiresBlock(8, depth=4, norm=norm, backend="reference")
    x = torch.randn(4, 30, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert block.conv(x.bfloat16()).dtype == torch.float32
        y = block(x)
    y.float().square().sum().backward()
    assert block.conv.h0.grad is not None
    torch.testing.assert_close(y.float(), block(x), atol=0.05, rtol=0.05)


def test_block_refuses_an_unknown_norm_option_and_probability():
    with pytest.raises(ValueError, match="norm: expected 'layer', 'batch' or a module, got 'group'"):
        MultiresBlock(3, depth=3, norm="group")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match="kernel"):
        MultiresBlock(3, depth=3, kernel=4)  # pyright: ignore[reportCallIssue]
    with pytest.raises(ValueError, match=r"dropout: expected a probability, got 1\.5"):
        MultiresBlock(3, depth=3, dropout=1.5)


@few
@given(batch=st.integers(1, 4), length=st.integers(1, 30), padding=st.integers(1, 30), seed=st.integers(0, 2**30))
def test_dropout_drops_whole_channels_whatever_the_padding(batch, length, padding, seed):
    dropout = ChannelDropout(0.4)
    longer = torch.rand(batch, length + padding, 16) + 1
    x = longer[:, :length]
    torch.manual_seed(seed)
    y = dropout(x)
    torch.manual_seed(seed)
    assert torch.equal(dropout(longer)[:, :length], y)
    factor = y / x
    torch.testing.assert_close(factor, factor[:, :1].expand_as(factor))
    kept = factor[:, 0] > 0
    torch.testing.assert_close(factor[:, 0], kept / 0.6)
    assert torch.equal(dropout.eval()(x), x)


def test_dropout_keeps_its_share_of_channels():
    torch.manual_seed(0)
    kept = (ChannelDropout(0.25)(torch.ones(100, 2, 100)) > 0).float().mean()
    assert abs(kept - 0.75) < 0.03


@few
@given(data=st.data(), length=st.integers(1, 12))
def test_pool_is_the_mean_of_each_valid_part(data, length):
    lengths = data.draw(st.lists(st.integers(1, length), min_size=1, max_size=4))
    x = torch.randn(len(lengths), length, 3, dtype=DOUBLE)
    pooled = pool(x, torch.tensor(lengths))
    torch.testing.assert_close(pooled, torch.stack([row[:n].mean(0) for row, n in zip(x, lengths, strict=True)]))
    torch.testing.assert_close(pool(x), x.mean(1))


def test_pool_in_half_precision_counts_exactly():
    x = torch.ones(1, 3001, 2, dtype=torch.bfloat16)
    assert pool(x, torch.tensor([2999])).tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("lengths", "error", "message"),
    [
        (torch.tensor([1.0, 2.0]), TypeError, "lengths: expected integers, got torch.float32"),
        (torch.tensor([True, True]), TypeError, "lengths: expected integers, got torch.bool"),
        (torch.tensor([1, 2, 3]), ValueError, r"lengths: expected shape \(2,\).* got \(3,\)"),
        (torch.tensor([[1], [2]]), ValueError, r"lengths: expected shape \(2,\).* got \(2, 1\)"),
        (torch.tensor([0, 2]), ValueError, "lengths: expected 1 to 5 .* got 0 to 2"),
        (torch.tensor([1, 6]), ValueError, "lengths: expected 1 to 5 .* got 1 to 6"),
    ],
)
def test_lengths_that_do_not_fit_are_refused(lengths, error, message):
    with pytest.raises(error, match=message):
        check_lengths(lengths, torch.zeros(2, 5, 3))


def test_block_is_the_composition_that_the_paper_names():
    torch.manual_seed(0)
    block = MultiresBlock(6, dropout=0.5, depth=3)
    x = torch.randn(4, 20, 6)
    torch.manual_seed(1)
    got = block(x)
    torch.manual_seed(1)
    y = block.dropout(F.gelu(block.conv(x)))
    value, gate = block.mix(y).chunk(2, -1)
    torch.testing.assert_close(got, block.norm(x + block.dropout(value * gate.sigmoid())))
    without = MultiresBlock(6, depth=3)
    without.load_state_dict(block.state_dict())
    assert not torch.equal(got, without(x))


def test_layer_passes_its_backend_on():
    layer = MultiresLayer(3, depth=2, backend="cpu", device="meta")
    with pytest.raises(RuntimeError, match="'cpu' needs tensors on the CPU"):
        layer(torch.empty(1, 5, 3, device="meta"))
    with pytest.raises(ValueError, match=r"backend: expected one of auto, .*, got 'cuda'"):
        MultiresLayer(3, depth=2, backend="cuda")  # pyright: ignore[reportArgumentType]


def test_layer_refuses_another_dtype_in_its_own_terms():
    with pytest.raises(TypeError, match=r"x: expected the dtype of the layer, torch.float32, got torch.float64"):
        MultiresLayer(3, depth=2)(torch.zeros(1, 5, 3, dtype=torch.float64))
