"""Streaming of the operator: whole = chunks = steps, on both backends, from any state."""

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from operator_cases import Arguments, arguments, memories
from profiles import examples
from torch import Tensor

from multiresconv import fading, multires_conv, uniform
from multiresconv.ops import Backend, State, multires_conv_chunk, multires_conv_init, multires_conv_step
from multiresconv.ops.tree import reach

DOUBLE = torch.float64
BACKENDS: tuple[Backend, ...] = ("cpu", "reference")

law = examples(60)


@st.composite
def streams(draw: st.DrawFn, dtype: torch.dtype = DOUBLE) -> Arguments:
    kernel_size = draw(st.integers(2, 8))
    shape = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3, 16, 130])), draw(st.integers(1, 70))
    memory = draw(memories(kernel_size))
    return arguments(
        *shape, kernel_size, memory, dtype=dtype, channels_last=draw(st.booleans()), seed=draw(st.integers(0, 2**16))
    )


# 0 is a step, n > 0 a chunk of n; each with the backend that it runs on.
plans = st.lists(st.tuples(st.one_of(st.just(0), st.integers(1, 30)), st.sampled_from(BACKENDS)), min_size=1)


def start(args: Arguments, batch: int | None = None) -> State:
    x, h0, _, _, memory = args
    return multires_conv_init(batch or len(x), x.shape[1], h0.shape[1], memory, dtype=x.dtype)


def feed(args: Arguments, state: State, plan: list[tuple[int, Backend]]) -> tuple[Tensor, State]:
    """Output (B, D, L) of the whole of x in the pieces of the plan, taken again and again, and the last state."""
    x, parameters, done, outputs = args[0], args[1:], 0, []
    while done < x.shape[2]:
        for length, backend in plan:
            if done < x.shape[2]:
                if length:
                    y, state = multires_conv_chunk(x[:, :, done : done + length], state, *parameters, backend=backend)
                else:
                    y, state = multires_conv_step(x[:, :, done], state, *parameters, backend=backend)
                    y = y[:, :, None]
                outputs.append(y)
                done += y.shape[2]
    return torch.cat(outputs, dim=2), state


def clone(state: State) -> State:
    return {name: tensor.clone() for name, tensor in state.items()}


def random_state(args: Arguments, seed: int = 0) -> State:
    """A state that no stream need have come to, each row at another position."""
    random = torch.Generator().manual_seed(seed)
    state = start(args)
    state["lines"].normal_(generator=random)
    state["position"].random_(generator=random)
    return state


def assert_close(got: Tensor, wanted: Tensor, tolerance: float) -> None:
    torch.testing.assert_close(got, wanted, rtol=0, atol=tolerance * max(1.0, float(wanted.abs().max())))


@law
@given(streams(), plans)
def test_whole_is_pieces_in_float64(args: Arguments, plan: list[tuple[int, Backend]]) -> None:
    y, state = feed(args, start(args), plan)
    assert_close(y, multires_conv(*args, backend="reference"), 1e-10)
    assert state["position"].tolist() == [args[0].shape[2]] * len(args[0])


@law
@given(streams(torch.float32), plans)
def test_whole_is_pieces_in_float32(args: Arguments, plan: list[tuple[int, Backend]]) -> None:
    assert_close(feed(args, start(args), plan)[0], multires_conv(*args), 1e-5)


@law
@given(streams(), st.integers(0, 2**16), st.booleans())
def test_backends_agree_from_any_state(args: Arguments, seed: int, step: bool) -> None:
    x, *parameters = args
    results = []
    for backend in BACKENDS:
        state = random_state(args, seed)
        if step:
            results.append(multires_conv_step(x[:, :, 0], state, *parameters, backend=backend))
        else:
            results.append(multires_conv_chunk(x, state, *parameters, backend=backend))
    (y, after), (wanted, wanted_after) = results
    assert_close(y, wanted, 1e-12)
    assert_close(after["lines"], wanted_after["lines"], 1e-12)
    assert torch.equal(after["position"], wanted_after["position"])


@law
@given(streams(), plans, st.data())
def test_a_state_is_a_value(args: Arguments, plan: list[tuple[int, Backend]], data: st.DataObject) -> None:
    """Streams at different positions, cut anywhere: saved, loaded, joined, permuted, and continued as one batch."""
    x, *parameters = args
    length = x.shape[2]
    cuts = data.draw(st.lists(st.integers(0, length - 1), min_size=len(x), max_size=len(x)))
    rows, rests = [], []
    for row, cut in enumerate(cuts):
        state = start(args, 1)
        if cut:
            _, state = feed((x[row : row + 1, :, :cut], *parameters), state, plan)
        rows.append(safetensors.torch.load(safetensors.torch.save(state)))
        rests.append(x[row : row + 1, :, cut : cut + length - max(cuts)])
    order = torch.tensor(data.draw(st.permutations(range(len(x)))))
    joined = {name: torch.cat([row[name] for row in rows])[order].to("cpu") for name in rows[0]}
    y, _ = feed((torch.cat(rests)[order], *parameters), joined, plan)
    whole = multires_conv(*args, backend="reference")
    wanted = [whole[row : row + 1, :, cut : cut + length - max(cuts)] for row, cut in enumerate(cuts)]
    assert_close(y, torch.cat(wanted)[order], 1e-10)


@law
@given(streams(), st.sampled_from(BACKENDS))
def test_chunks_and_steps_leave_their_state(args: Arguments, backend: Backend) -> None:
    x, *parameters = args
    state = random_state(args)
    before, sample = clone(state), x.clone()
    multires_conv_chunk(x, state, *parameters, backend=backend)
    multires_conv_step(x[:, :, 0], state, *parameters, backend=backend)
    for name, tensor in before.items():
        assert torch.equal(state[name], tensor)
    assert torch.equal(x, sample)


@pytest.mark.parametrize("backend", BACKENDS)
def test_rows_may_share_memory_or_lie_apart(backend: Backend) -> None:
    args = arguments(3, 4, 6, 3, (1, 3, 0, 2))
    x, *parameters = args
    _, after = multires_conv_step(x[:, :, 0], start(args), *parameters, backend=backend)
    one = {name: tensor[:1].clone() for name, tensor in after.items()}
    fanned = {name: tensor.expand(3, *tensor.shape[1:]) for name, tensor in one.items()}
    y, _ = feed((x[:, :, 1:], *parameters), fanned, [(0, backend)])
    again = torch.cat([x[:1, :, :1].expand(3, -1, -1), x[:, :, 1:]], dim=2)
    assert_close(y, multires_conv(again, *parameters)[:, :, 1:], 1e-10)

    spaced = {name: tensor.repeat_interleave(2, 0)[::2] for name, tensor in start(args).items()}
    assert_close(feed(args, spaced, [(0, backend)])[0], multires_conv(*args), 1e-10)


def test_the_lines_hold_what_is_still_looked_at_and_no_more() -> None:
    def slots(kernel_size: int, memory: tuple[int, ...]) -> int:
        return multires_conv_init(1, 1, kernel_size, memory)["lines"].shape[1]

    assert slots(2, fading(10)) == slots(2, (0,) * 10) == 1023  # those of a_0..a_9 alone
    assert slots(5, fading(3)) == 4 * 7
    assert slots(2, (3, 1, 2, 0)) == 15 + 2 * 2**4 + 1 * 2**2
    assert multires_conv_init(2, 3, 2, fading(4), layers=5)["lines"].shape == (2, 5, 15, 3)
    # none is superfluous: each slot reaches the output within as many steps as there are slots
    args = arguments(1, 1, 30, 3, (2, 0, 3))
    x, *parameters = args
    silent = torch.zeros_like(x)
    for slot in range(slots(3, args[4])):
        state = start(args)
        state["lines"][0, slot] = 1
        assert multires_conv_chunk(silent, state, *parameters)[0].any(), slot


@law
@given(st.data())
def test_chunks_of_any_length_have_outputs_states_and_gradients_of_the_reference(data: st.DataObject) -> None:
    kernel_size, channels = data.draw(st.integers(2, 5)), data.draw(st.sampled_from([1, 3, 17]))
    memory = data.draw(st.sampled_from([(1, 1), (2, 0), (0, 3, 1), (1, 1, 1, 1), (0, 0, 1), (0, 0)]))
    length = data.draw(st.integers(1, 6 * reach(kernel_size, memory)))
    args = arguments(2, channels, length, kernel_size, memory, seed=data.draw(st.integers(0, 2**16)))
    found = []
    for backend in ("auto", "reference"):
        state = random_state(args)
        state["position"] %= 1000
        tensors = [t.detach().requires_grad_() for t in (*args[:4], state["lines"])]
        y, after = multires_conv_chunk(
            tensors[0], {**state, "lines": tensors[4]}, *tensors[1:4], memory, backend=backend
        )
        random = torch.Generator().manual_seed(1)
        grads = [torch.randn(t.shape, generator=random, dtype=DOUBLE) for t in (y, after["lines"])]
        gradients = torch.autograd.grad([y, after["lines"]], tensors, grads, materialize_grads=True)
        found.append([y.detach(), after["lines"].detach(), after["position"], *gradients])
    for got, wanted in zip(*found, strict=True):
        assert_close(got, wanted, 1e-10)


def test_long_chunks_with_gradients_run_in_the_kernels() -> None:
    memory, wanted = fading(3), []
    for length in (27, 28):  # the past reaches 7 steps
        x, h0, h1, w, _ = arguments(1, 2, length, 2, memory)
        y, _ = multires_conv_chunk(x, start((x, h0, h1, w, memory)), h0.requires_grad_(), h1, w, memory)
        nodes, names = [y.grad_fn], set()
        while nodes:
            node = nodes.pop()
            names.add(type(node).__name__)
            nodes += [after for after, _ in node.next_functions if after is not None]
        wanted.append(any("_Convolution" in name for name in names))
    assert wanted == [False, True]


@pytest.mark.parametrize("memory", [fading(4), uniform(4, 3, 12), (0, 3, 0, 1)])
def test_gradients_of_chunks_are_those_of_the_whole(memory: tuple[int, ...]) -> None:
    args = arguments(2, 3, 25, 3, memory)
    tensors = [t.requires_grad_() for t in args[:4]]
    grad_y = torch.randn_like(args[0])
    whole = torch.autograd.grad(multires_conv(*tensors, memory), tensors, grad_y, materialize_grads=True)
    y, _ = feed(args, start(args), [(7, "reference"), (0, "reference"), (4, "reference")])
    pieces = torch.autograd.grad(y, tensors, grad_y, materialize_grads=True, retain_graph=True)
    for got, wanted in zip(pieces, whole, strict=True):
        assert_close(got, wanted, 1e-10)


def test_gradients_are_given_or_refused_never_missing() -> None:
    x, h0, h1, w, memory = arguments(2, 3, 9, 2, fading(3))
    state = start((x, h0, h1, w, memory))
    with pytest.raises(RuntimeError, match="'cpu' streams without gradients"):
        multires_conv_chunk(x, state, h0.requires_grad_(), h1, w, memory, backend="cpu")
    assert multires_conv_chunk(x, state, h0, h1, w, memory)[0].requires_grad
    with torch.no_grad():
        multires_conv_chunk(x, state, h0, h1, w, memory, backend="cpu")
    with pytest.raises(RuntimeError, match="'cpu' streams without gradients"):
        multires_conv_step(x[:, :, 0], state, h0, h1, w, memory, backend="cpu")
    assert multires_conv_step(x[:, :, 0], state, h0, h1, w, memory)[0].requires_grad


@pytest.mark.parametrize("view", [
    lambda x: x[:, ::2], lambda x: x[:, :, ::3], lambda x: x.flip(0)[1:], lambda x: x.permute(2, 1, 0),
    lambda x: x[:, :1].expand(-1, 6, -1),
])  # fmt: skip
@pytest.mark.parametrize("backend", BACKENDS)
def test_any_strides(view, backend: Backend) -> None:
    x = view(torch.randn(4, 6, 12, dtype=DOUBLE))
    _, h0, h1, w, memory = arguments(1, x.shape[1], 1, 3, (2, 1, 3))
    taps = [h.t().contiguous().t() for h in (h0, h1, w)]
    args = (x, *taps, memory)
    y, _ = feed(args, start(args), [(0, backend), (3, backend)])
    assert_close(y, multires_conv(x, h0, h1, w, memory, backend="reference"), 1e-10)


@pytest.mark.parametrize("backend", BACKENDS)
def test_in_and_out_of_inference_mode(backend: Backend) -> None:
    args = arguments(2, 3, 12, 2, (2, 1, 1))
    x, *parameters = args
    with torch.inference_mode():
        first, state = feed((x[:, :, :4], *parameters), start(args), [(0, backend), (2, backend)])
    second, state = feed((x[:, :, 4:8], *parameters), state, [(0, backend), (2, backend)])
    with torch.inference_mode():
        third, state = feed((x[:, :, 8:], *parameters), state, [(0, backend), (2, backend)])
    assert_close(torch.cat([first, second, third], dim=2), multires_conv(*args), 1e-10)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("backend", BACKENDS)
def test_half_precision_is_computed_and_kept_in_float32(dtype: torch.dtype, backend: Backend) -> None:
    args = arguments(2, 3, 30, 3, (2, 1, 1), dtype=dtype)
    y, state = feed(args, start(args), [(0, backend), (5, backend)])
    assert y.dtype == dtype
    assert state["lines"].dtype == torch.float32
    wide = multires_conv(*(t.float() for t in args[:4]), args[4])
    assert_close(y.float(), wide, 2 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("backend", BACKENDS)
def test_autocast_changes_nothing(backend: Backend) -> None:
    args = arguments(2, 3, 20, 3, (2, 1, 1), dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = feed(args, start(args), [(0, backend), (3, backend)])
    assert y.dtype == torch.float32
    assert_close(y, multires_conv(*args), 1e-5)


def test_what_is_not_finite_goes_where_it_goes_in_the_whole() -> None:
    args = arguments(1, 2, 40, 3, (1, 0, 3))
    args[0][0, 0, 7] = torch.nan
    wanted = multires_conv(*args, backend="reference").isfinite()
    for backend in BACKENDS:
        assert torch.equal(feed(args, start(args), [(0, backend), (3, backend)])[0].isfinite(), wanted)
    assert not wanted.all()


def test_deep_trees() -> None:
    args = arguments(1, 1, 3, 2, fading(20))
    assert_close(feed(args, start(args), [(0, "cpu"), (1, "reference")])[0], multires_conv(*args), 1e-10)
    for depth in (40, 64, 2000):
        with pytest.raises(ValueError, match=rf"depth: the state of {depth} scales .* takes over 2\^\d+ bytes"):
            multires_conv_init(1, 4, 2, fading(depth))


def test_the_meta_device_has_shapes() -> None:
    x, h0, h1, w, memory = (t.to("meta") if isinstance(t, Tensor) else t for t in arguments(2, 3, 9, 2, (2, 1)))
    state = multires_conv_init(2, 3, 2, memory, device="meta", dtype=x.dtype)
    y, state = multires_conv_chunk(x, state, h0, h1, w, memory)
    assert y.shape == x.shape
    y, after = multires_conv_step(x[:, :, 0], state, h0, h1, w, memory)
    assert y.shape == (2, 3)
    assert after["lines"].shape == state["lines"].shape
