"""The contenders of the speed table are what they say: causal, the same step by step, and what their papers define."""

import functools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from torch import Tensor, nn

from multiresconv.bench.attention import CausalAttention
from multiresconv.bench.contenders import CONTENDERS
from multiresconv.bench.long_convolution import GivenKernel, LongConvolution, fft_convolution
from multiresconv.bench.s4d import DiagonalStateSpace
from multiresconv.bench.streaming import BURST, burst
from multiresconv.bench.tcn import DilatedTCN, tcn_blocks
from multiresconv.bench.training_step import training_step

HERE = [name for name, contender in CONTENDERS.items() if contender.missing("cpu") is None and name != "compile"]
STREAMING = [name for name in HERE if CONTENDERS[name].no_stream is None]


@pytest.mark.parametrize("name", HERE)
@examples(15)
@given(d_model=st.sampled_from([3, 128]), length=st.integers(2, 40), cut=st.floats(0, 1), seed=st.integers(0, 99))
def test_no_output_depends_on_a_later_input(name: str, d_model: int, length: int, cut: float, seed: int) -> None:
    torch.manual_seed(seed)
    layer = CONTENDERS[name].build(d_model, length)
    x = torch.randn(2, length, d_model)
    changed, seen = x.clone(), 1 + int(cut * (length - 1))
    changed[:, seen:] += torch.randn(length - seen, d_model)
    for mode in (True, False):
        with torch.no_grad():
            y, other = layer.train(mode)(x), layer(changed)
        assert y.shape == x.shape
        torch.testing.assert_close(y[:, :seen], other[:, :seen], rtol=1e-4, atol=1e-4)
        assert seen == length or not torch.allclose(y, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", STREAMING)
@examples(10)
@given(d_model=st.sampled_from([3, 128]), length=st.integers(2, 40), seed=st.integers(0, 99))
def test_steps_give_what_the_whole_sequence_gives(name: str, d_model: int, length: int, seed: int) -> None:
    torch.manual_seed(seed)
    layer: Any = CONTENDERS[name].build(d_model, length).eval()
    batch = CONTENDERS[name].stream_batch or 3
    x = torch.randn(batch, length, d_model)
    with torch.inference_mode():
        for _ in range(2):  # a second stream begins where the first one did
            state, outputs = layer.init_state(batch), []
            for x_t in x.unbind(1):
                y, state = layer.step(x_t, state)
                outputs.append(y)
            torch.testing.assert_close(torch.stack(outputs, 1), layer(x), rtol=1e-4, atol=1e-4)


@examples(20)
@given(length=st.integers(1, 20), more=st.integers(1, 30))
def test_attention_goes_on_with_the_last_steps_only(length: int, more: int) -> None:
    torch.manual_seed(0)
    layer, x = CausalAttention(4, length).eval(), torch.randn(2, length + more, 4)
    state = layer.prefill(x[:, :length])
    for x_t in x[:, length:].unbind(1):
        y, state = layer.step(x_t, state)
    with torch.no_grad():
        torch.testing.assert_close(y, layer(x[:, -length:])[:, -1], rtol=1e-4, atol=1e-5)


@examples(20)
@given(length=st.integers(1, 300), n_states=st.sampled_from([2, 8, 64]), seed=st.integers(0, 99))
def test_the_kernel_of_s4d_is_its_vandermonde_product(length: int, n_states: int, seed: int) -> None:
    torch.manual_seed(seed)
    space = DiagonalStateSpace(3, length, n_states).double()
    decay, output = space.discretise()
    powers = decay[:, :, None] ** torch.arange(length)
    expected = 2 * (output[:, :, None] * powers).sum(1).real
    expected[:, 0] += space.skip
    torch.testing.assert_close(space(), expected)
    a, dt = torch.complex(-space.log_decay.exp(), space.frequency), space.log_dt.exp()[:, None]
    torch.testing.assert_close(decay, torch.exp(a * dt))
    torch.testing.assert_close(output, torch.view_as_complex(space.c) * (torch.exp(a * dt) - 1) / a)


@examples(15)
@given(batch=st.integers(1, 3), length=st.integers(1, 9), seed=st.integers(0, 99))
def test_the_fft_convolution_is_a_convolution_and_so_are_its_gradients(batch: int, length: int, seed: int) -> None:
    torch.manual_seed(seed)
    x = torch.randn(batch, 2, length, dtype=torch.float64, requires_grad=True)
    kernel = torch.randn(2, length, dtype=torch.float64, requires_grad=True)
    direct = F.conv1d(F.pad(x, (length - 1, 0)), kernel.flip(1)[:, None], groups=2)
    torch.testing.assert_close(fft_convolution(x, kernel), direct)
    assert torch.autograd.gradcheck(fft_convolution, (x, kernel))


def test_a_kept_spectrum_is_that_of_the_weights_of_now() -> None:
    layer, x = LongConvolution(GivenKernel(2, 9)).double(), torch.randn(1, 9, 2).double()
    before = layer.eval()(x)
    with torch.no_grad():
        layer.kernel.weight.mul_(2)
    torch.testing.assert_close(layer.train()(x), 2 * before)
    torch.testing.assert_close(layer.eval()(x), 2 * before)


@pytest.mark.parametrize("length", [2, 3, 4, 63, 64, 65, 1000])
def test_the_tcn_sees_the_length_with_as_few_blocks_as_do(length: int) -> None:
    layer = DilatedTCN(1, length).double()
    reach = layer.receptive_field
    assert reach >= length
    assert tcn_blocks(length) == 1 or DilatedTCN(1, length // 2).receptive_field < length
    for parameter in layer.parameters():
        nn.init.constant_(parameter, 0.5 if parameter.ndim == 3 else 0.0)
    impulse = torch.zeros(1, reach + 1, 1, dtype=torch.float64)
    impulse[:, 0] = 1
    with torch.no_grad():
        y = layer(impulse)[0, :, 0]
    assert y[reach - 1] > 0
    assert y[reach] == 0


def test_the_compiled_loop_is_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", functools.partial(torch.compile, backend="eager"))
    torch.manual_seed(0)
    compiled = CONTENDERS["compile"].build(3, 20)
    torch.manual_seed(0)
    loop, x = CONTENDERS["reference"].build(3, 20).double(), torch.randn(2, 20, 3).double()
    torch.testing.assert_close(compiled.double()(x), loop(x))
    monkeypatch.setenv("CXX", "no-compiler-of-this-name")
    assert CONTENDERS["compile"].missing("cpu") == "not measured: no C++ compiler"


@pytest.mark.parametrize("name", HERE)
def test_a_training_step_changes_every_parameter_and_leaves_no_gradient(name: str) -> None:
    torch.manual_seed(0)
    layer = CONTENDERS[name].build(4, 33)
    before = [p.detach().clone() for p in layer.parameters()]
    training_step(layer, torch.randn(2, 33, 4), torch.randn(2, 33, 4))()
    for old, new in zip(before, layer.parameters(), strict=True):
        assert not torch.equal(old, new)
        assert new.grad is None


@pytest.mark.parametrize("name", STREAMING)
def test_a_burst_goes_on(name: str) -> None:
    layer: Any = CONTENDERS[name].build(4, 33).eval()
    seen: list[Tensor] = []
    if hasattr(layer, "stream"):

        def watched(batch_size: int) -> Any:
            stream = type(layer).stream(layer, batch_size)
            return lambda x: seen.append(x) or stream(x)

        layer.stream = watched
    else:
        step = layer.step
        layer.step = lambda x, state: seen.append(x) or step(x, state)
    x = torch.randn(1, 33, 4)
    run = burst(layer, x)
    assert not seen
    for count in (BURST, 2 * BURST):
        run()
        assert len(seen) == count
