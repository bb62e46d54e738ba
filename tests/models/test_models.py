"""Laws of the net and the classifier."""

import copy
import json
import subprocess
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from seeded import python

from multiresconv import MultiresClassifier, MultiresNet

DOUBLE = torch.float64


@pytest.mark.parametrize(
    ("parameters", "arguments"),
    [
        (1_365_514, {"d_output": 10, "d_model": 256, "n_layers": 10, "d_input": 3, "max_length": 1024}),
        (
            361_994,
            {
                "d_output": 10,
                "d_model": 128,
                "n_layers": 10,
                "n_tokens": 18,
                "kernel_size": 4,
                "depth": 10,
                "norm": "batch",
                "own_skip_init": True,
            },
        ),
        (222_791, {"d_output": 71, "d_model": 128, "n_layers": 6, "d_input": 12, "max_length": 1000}),
    ],
)
def test_the_papers_networks_have_their_number_of_parameters(parameters, arguments):
    model = MultiresClassifier(**arguments, device="meta")
    assert all(parameter.is_meta for parameter in model.parameters())
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def step(model, x, lengths):
    """One training step on a copy: logits, gradients and buffers."""
    model = copy.deepcopy(model)
    torch.manual_seed(1)  # the same channels dropped
    logits = model(x, lengths)
    logits.sin().sum().backward()
    return [logits, *(p.grad for p in model.parameters()), *model.buffers()]


@examples(25)
@given(
    data=st.data(),
    tokens=st.booleans(),
    norm=st.sampled_from(["layer", "batch"]),
    training=st.booleans(),
    padding=st.integers(0, 9),
)
def test_padding_changes_nothing(data, tokens, norm, training, padding):
    lengths = torch.tensor(data.draw(st.lists(st.integers(1, 12), min_size=2, max_size=4)))
    longest = int(lengths.max())
    encoder: dict[str, Any] = {"n_tokens": 6} if tokens else {"d_input": 2}
    model = MultiresClassifier(
        3, 4, 2, **encoder, depth=3, norm=norm, dropout=0.3, dtype=DOUBLE, backend="reference"
    ).train(training)
    tight = torch.randint(6, (len(lengths), longest)) if tokens else torch.randn(len(lengths), longest, 2, dtype=DOUBLE)
    # Padding that no step may look at: NaN, or a token outside of the vocabulary.
    garbage = -1 if tokens else torch.nan
    wide = torch.full((len(lengths), longest + padding, *tight.shape[2:]), garbage, dtype=tight.dtype)
    for row, length in enumerate(lengths):
        wide[row, :length] = tight[row, :length]
    torch.testing.assert_close(step(model, wide, lengths), step(model, tight, lengths))
    if not training:
        alone = [model(tight[row : row + 1, :length]) for row, length in enumerate(lengths)]
        torch.testing.assert_close(model(wide, lengths), torch.cat(alone))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
@pytest.mark.parametrize("pooling", ["mean", "last", "max"])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_lengths_of_any_integer_dtype(dtype, pooling, bidirectional):
    model = MultiresClassifier(3, 4, 2, d_input=2, depth=3, pooling=pooling, bidirectional=bidirectional).eval()
    x, lengths = torch.randn(3, 9, 2), torch.tensor([9, 1, 4])
    assert torch.equal(model(x, lengths.to(dtype)), model(x, lengths))


@examples(10)
@given(cut=st.integers(0, 19), norm=st.sampled_from(["layer", "batch"]))
def test_net_is_causal_in_eval_mode(cut, norm):
    net = MultiresNet(4, 2, d_input=2, max_length=20, norm=norm, dtype=DOUBLE, backend="reference").eval()
    x = torch.randn(2, 20, 2, dtype=DOUBLE)
    other = x.clone()
    other[:, cut:] += 1
    assert net(x).shape == (2, 20, 4)
    torch.testing.assert_close(net(x)[:, :cut], net(other)[:, :cut])
    assert not torch.allclose(net(x)[:, cut], net(other)[:, cut])


def test_names_of_the_state():
    model = MultiresClassifier(3, 4, 1, n_tokens=5, depth=2, norm="batch")
    norm = ["weight", "bias", "running_mean", "running_var", "num_batches_tracked"]
    assert list(model.state_dict()) == [
        "net.encoder.weight",
        "net.blocks.0.conv.h0",
        "net.blocks.0.conv.h1",
        "net.blocks.0.conv.w",
        "net.blocks.0.mix.weight",
        "net.blocks.0.mix.bias",
        *(f"net.blocks.0.norm.{name}" for name in norm),
        "head.weight",
        "head.bias",
    ]


@pytest.mark.parametrize(
    "arguments",
    [
        {"d_input": 2, "max_length": 100},
        {"d_input": 2, "wavelet": "db3", "max_length": 100, "norm": "batch", "dropout": 0.5},
        {"n_tokens": 7, "kernel_size": 4, "depth": 4, "memory": 9, "own_skip_init": True},
        {"n_tokens": 7, "memory": (0, 2, 1)},
    ],
)
def test_config_builds_the_model_again(arguments):
    model = MultiresClassifier(3, 4, 2, **arguments, backend="reference")
    config = json.loads(json.dumps(model.config))
    again = MultiresClassifier(**config)
    assert config == model.config == again.config
    assert repr(again) == repr(model)
    again.load_state_dict(model.state_dict())
    assert not {"backend", "device", "dtype"} & config.keys()


def test_deepcopy_is_another_model_that_computes_the_same():
    model = MultiresClassifier(3, 4, 2, d_input=2, depth=3, backend="reference")
    other = copy.deepcopy(model)
    x = torch.randn(2, 9, 2)
    assert torch.equal(model(x), other(x))
    torch.nn.init.zeros_(other.get_parameter("net.blocks.0.conv.w"))
    assert model.get_parameter("net.blocks.0.conv.w").any()
    assert other.config is not model.config


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"d_output": 0}, "d_output: expected at least 1, got 0"),
        ({"d_model": 0}, "d_model: expected at least 1, got 0"),
        ({"n_layers": 0}, "n_layers: expected at least 1, got 0"),
        ({"d_input": 0}, "d_input: expected at least 1, got 0"),
        ({"d_input": None}, "d_input, n_tokens: expected exactly one of them, got None and None"),
        ({"n_tokens": 5}, "d_input, n_tokens: expected exactly one of them, got 2 and 5"),
        ({"depth": None}, "depth, max_length: one of them is needed"),
    ],
)
def test_bad_arguments_are_refused(arguments, message):
    sound: dict[str, Any] = {"d_output": 3, "d_model": 4, "n_layers": 1, "d_input": 2, "depth": 3}
    with pytest.raises(ValueError, match=message):
        MultiresClassifier(**{**sound, **arguments})


def test_bad_input_is_refused():
    samples = MultiresClassifier(3, 4, 1, d_input=2, depth=3)
    for shape in [(5, 3, 9), (5, 2), (5, 0, 2)]:
        with pytest.raises(ValueError, match=r"x: expected shape \(batch, length >= 1, 2\), got"):
            samples(torch.zeros(shape))
    with pytest.raises(ValueError, match=r"lengths: expected 1 to 9 .* got 3 to 10"):
        samples(torch.zeros(2, 9, 2), torch.tensor([3, 10]))
    tokens = MultiresClassifier(3, 4, 1, n_tokens=5, depth=3)
    with pytest.raises(ValueError, match=r"x: expected tokens of shape \(batch, length >= 1\), got \(2, 9, 1\)"):
        tokens(torch.zeros(2, 9, 1, dtype=torch.long))
    with pytest.raises(TypeError, match=r"x: expected integer tokens, got torch\.float32"):
        tokens(torch.zeros(2, 9))
    with pytest.raises(ValueError, match=r"x: expected tokens in 0\.\.4, got 2\.\.5"):
        tokens(torch.tensor([[2, 5]]))


@pytest.mark.slow
def test_import_is_light():
    """What costs seconds to import is imported by those who use it."""
    code = "import sys; from multiresconv import load; print(*sys.modules)"
    modules = subprocess.run(python(code), capture_output=True, text=True, check=True).stdout.split()
    assert "multiresconv.models" in modules
    assert not {"numba", "pywt", "lightning", "triton.language"} & set(modules)


@pytest.mark.parametrize("options", [{"d_input": 2, "norm": "layer"}, {"n_tokens": 7, "norm": "batch"}])
def test_compiles_whole_with_lengths(options: dict[str, Any]):
    torch.manual_seed(0)
    model = MultiresClassifier(3, d_model=8, n_layers=2, depth=3, dtype=DOUBLE, **options)
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True, backend="aot_eager")
    x = torch.randn(3, 20, 2, dtype=DOUBLE) if "d_input" in options else torch.randint(7, (3, 20))
    lengths = torch.tensor([20, 3, 11])
    for each in (model, compiled):
        each(x, lengths).square().sum().backward()
    got = {name.removeprefix("_orig_mod."): p.grad for name, p in compiled.named_parameters()}
    for name, parameter in model.named_parameters():
        torch.testing.assert_close(got[name], parameter.grad, msg=name)


def test_meta_then_empty_then_reset():
    model = MultiresClassifier(3, d_model=8, n_layers=2, n_tokens=5, depth=3, norm="batch", device="meta")
    model.to_empty(device="cpu")
    for tensor in (*model.parameters(), *model.buffers()):
        tensor.data.fill_(torch.nan) if tensor.is_floating_point() else None
    model.reset_parameters()
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
    assert model(torch.zeros(2, 9, dtype=torch.long), torch.tensor([9, 2])).isfinite().all()
