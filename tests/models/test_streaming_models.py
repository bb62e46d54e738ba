"""Streaming of layer, block, net and classifier: whole = chunks = steps, fused or not."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import safetensors.torch
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from stream_cases import (
    DOUBLE,
    assert_close,
    assert_streams,
    classifier,
    double_weights,
    feed,
    first_block,
    models,
    plans,
    sample,
    whole,
)
from torch import nn

from multiresconv import MultiresBlock, MultiresLayer

law = examples(40)


@law
@given(models(), st.integers(1, 3), st.integers(1, 25), plans)
def test_whole_is_pieces(model: Any, batch: int, length: int, plan: list[int]) -> None:
    assert_streams(model, sample(model, batch, length), plan)


@law
@given(models(), st.integers(1, 3), plans, st.data())
def test_a_state_is_a_value(model: Any, batch: int, plan: list[int], data: st.DataObject) -> None:
    """Streams at different positions: cloned, saved, loaded, joined, permuted, and continued as one batch."""
    length = 8
    x = sample(model, batch, 20)
    cuts = data.draw(st.lists(st.integers(0, 20 - length), min_size=batch, max_size=batch))
    order = data.draw(st.permutations(range(batch)))
    states = []
    for row, cut in enumerate(cuts):
        _, state = (
            feed(model, x[row : row + 1, :cut], model.init_state(1), plan) if cut else (None, model.init_state(1))
        )
        loaded = safetensors.torch.load(safetensors.torch.save(state))
        feed(model, x[row : row + 1], state, plan)  # the original goes another way
        states.append(loaded)
    joined = {name: torch.cat([state[name] for state in states])[order] for name in states[0]}
    rest = torch.cat([x[row : row + 1, cut : cut + length] for row, cut in enumerate(cuts)])[order]
    y, _ = feed(model, rest, joined, plan)
    wanted = torch.cat([whole(model, x[row : row + 1])[:, cut : cut + length] for row, cut in enumerate(cuts)])[order]
    assert_close(y, wanted)


def test_the_last_running_prediction_is_the_prediction_and_the_total_is_exact() -> None:
    model = classifier(dtype=torch.float32)
    x = sample(model, 2, 50)
    with torch.no_grad():
        running, state = model(x, state=model.init_state(2))
        torch.testing.assert_close(running[:, -1], model(x))
    assert state["pooled"].dtype == DOUBLE
    # after so many steps a sum in float32 would no longer see a step
    state["pooled"] += 2.0**40
    state["position"] += 2**40
    before = state["pooled"].clone()
    _, state = model.step(x[:, 0], state)
    assert (state["pooled"] != before).all()


def test_a_net_without_its_last_blocks_streams() -> None:
    model = classifier()
    model.net.blocks = model.net.blocks[:1]
    x = sample(model, 2, 6)
    assert_streams(model, x, [0, 2])


def test_copies_and_other_dtypes_step_on_their_own() -> None:
    model = classifier()
    x = sample(model, 1, 6)
    assert_streams(model, x)
    for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        double_weights(other)
        assert_streams(other, x)
        assert_streams(model, x)
    assert_streams(model.float(), x.float())
    assert_streams(model.double(), x)


@pytest.mark.parametrize("options", [{}, {"norm": "batch"}])
def test_half_precision(options: dict[str, Any]) -> None:
    model = classifier(dtype=torch.bfloat16, **options)
    x = sample(model, 2, 10)
    y, state = feed(model, x, model.init_state(2), [0, 3])
    assert y.dtype == torch.bfloat16
    assert state["lines"].dtype == torch.float32
    torch.testing.assert_close(y, whole(model, x), rtol=0.05, atol=0.05)


def test_under_autocast_a_stream_is_as_precise_as_the_whole() -> None:
    model = classifier(dtype=torch.float32)
    x = sample(model, 2, 10)
    with torch.autocast("cpu", torch.bfloat16):
        y, _ = feed(model, x, model.init_state(2), [0, 3])
        wanted = whole(model, x)
    assert y.dtype == wanted.dtype
    torch.testing.assert_close(y, wanted, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("plan", [[0], [3], [0, 2]])
def test_in_and_out_of_inference_mode(plan: list[int]) -> None:
    model = classifier()
    x = sample(model, 2, 12)
    with torch.inference_mode():
        first, state = feed(model, x[:, :6], model.init_state(2), plan)
    second, _ = feed(model, x[:, 6:], state, plan)
    assert_close(torch.cat([first, second], dim=1), whole(model, x))


def test_a_state_stays_as_large_as_it_was() -> None:
    model = classifier()
    state = model.init_state(2)
    sizes = {name: tensor.nbytes for name, tensor in state.items()}
    for plan in ([0], [40], [0]):
        _, state = feed(model, sample(model, 2, 80), state, plan)
        assert {name: tensor.untyped_storage().nbytes() for name, tensor in state.items()} == sizes
        assert all(tensor.is_contiguous() for tensor in state.values())


def test_rows_that_share_memory_part() -> None:
    model = classifier()
    x = sample(model, 3, 9)
    x[:, :4] = x[:1, :4]
    _, state = feed(model, x[:1, :4], model.init_state(1), [4])
    y, _ = feed(model, x[:, 4:], {name: t.expand(3, *t.shape[1:]) for name, t in state.items()}, [0])
    assert_close(y, whole(model, x)[:, 4:])


def test_threads_share_a_model() -> None:
    model = classifier()
    xs = [sample(model, 1, 40) for _ in range(4)]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda x: feed(model, x, model.init_state(1), [0])[0], xs))
    for x, y in zip(xs, results, strict=True):
        assert_close(y, whole(model, x))


def test_gradients_through_chunks_and_steps() -> None:
    model = classifier()
    x = sample(model, 2, 12).requires_grad_()
    tensors = [x, *model.parameters()]
    wanted = torch.autograd.grad(model(x).sin().sum(), tensors)
    _, state = model(x[:, :5], state=model.init_state(2))
    running, state = model(x[:, 5:], state=state)
    for got, gradient in zip(torch.autograd.grad(running[:, -1].sin().sum(), tensors), wanted, strict=True):
        assert_close(got, gradient)
    _, state = model(x[:, :11], state=model.init_state(2))
    last, _ = model.step(x[:, 11], state)
    for got, gradient in zip(torch.autograd.grad(last.sin().sum(), tensors), wanted, strict=True):
        assert_close(got, gradient)
    with pytest.raises(RuntimeError, match="'cpu' streams without gradients"):
        classifier(backend="cpu")(x, state=model.init_state(2))


@pytest.mark.parametrize(
    "options",
    [
        {"dropout": 0.1},
        {"norm": "batch"},
        {"mix": nn.Sequential(nn.Linear(6, 6, dtype=DOUBLE), nn.Dropout(0.1))},
        {"norm": nn.Sequential(nn.LayerNorm(6, dtype=DOUBLE), nn.Dropout1d(0.1))},
    ],
)
def test_what_is_random_or_sees_the_batch_is_refused_while_training(options: dict[str, Any]) -> None:
    model = classifier(**options).train()
    x, message = sample(model, 2, 4), "streaming: .*; call eval"
    block, features = first_block(model), torch.randn(2, 4, 6, dtype=DOUBLE)
    for module, inputs in ((model, x), (model.net, x), (block, features)):
        state = module.init_state(2)
        before = state["lines"].clone()
        with pytest.raises(RuntimeError, match=message):
            module.step(inputs[:, 0], state)
        with pytest.raises(RuntimeError, match=message):
            module(inputs, state=state)
        assert torch.equal(state["lines"], before)
    assert_streams(model.eval(), x)
    assert_streams(classifier(dropout=0.0).train(), x)


def test_what_does_not_fit_is_refused_and_leaves_the_state_alone() -> None:
    model, tokens = classifier(), classifier(d_input=None, n_tokens=7)
    x, state = sample(model, 2, 5), model.init_state(2)
    before = {name: tensor.clone() for name, tensor in state.items()}
    lengths = torch.tensor([5, 3])
    for module, inputs in ((model, x), (model.net, x), (first_block(model), torch.randn(2, 5, 6, dtype=DOUBLE))):
        with pytest.raises(ValueError, match="lengths, state: give one of them"):
            module(inputs, lengths, state=module.init_state(2))
        with pytest.raises(ValueError, match=r"state: .*expected shape \(3, .*got \(2, "):
            module.step(inputs[:1, 0].expand(3, -1), module.init_state(2))
        with pytest.raises(ValueError, match=r"state: expected a dict of .*, got dict_values; begin with init_state"):
            module.step(inputs[:, 0], state.values())
        with pytest.raises(ValueError, match=r"state: expected a dict of .*, got lines; begin with init_state"):
            module(inputs, state={"lines": state["lines"]})
    for wrong in (x, x[:, 0, :3]):
        with pytest.raises(ValueError, match=r"x: expected shape \(batch, 4\), got \(2, "):
            model.step(wrong, state)
    with pytest.raises(ValueError, match=r"state: pooled: expected shape \(2, 6\).*got \(2, 5\)"):
        model.step(x[:, 0], {**state, "pooled": state["pooled"][:, :5]})
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())

    with pytest.raises(ValueError, match=r"x: expected tokens in 0\.\.6, got 3\.\.7"):
        tokens.step(torch.tensor([3, 7]), state)
    with pytest.raises(ValueError, match=r"x: expected tokens of shape \(batch\), got \(2, 1\)"):
        tokens.step(torch.zeros(2, 1, dtype=torch.long), state)
    assert all(torch.equal(state[name], tensor) for name, tensor in before.items())
    for module in (MultiresLayer(4, depth=2), MultiresBlock(4, depth=2)):
        with pytest.raises(ValueError, match=r"x: expected shape \(batch, 4\), got \(2, 3\)"):
            module.step(torch.zeros(2, 3), module.init_state(2))
        with pytest.raises(TypeError, match=r"x: expected the dtype of the layer, torch.float32, got torch.float64"):
            module.step(torch.zeros(2, 4, dtype=DOUBLE), module.init_state(2))


def test_blocks_of_another_memory_do_not_reach_beyond_their_lines() -> None:
    model = classifier()
    state = model.init_state(2)
    for number in (1, 0):
        model.net.blocks[number] = MultiresBlock(6, depth=7, dtype=DOUBLE).eval()
        with pytest.raises(
            ValueError, match=r"state: lines: expected shape \(2, (2, )?127, 6\).* got \(2, (2, )?7, 6\)"
        ):
            model.step(sample(model, 2, 1)[:, 0], state)


def test_chunks_compile_whole() -> None:
    model = classifier()
    x, state = sample(model, 2, 7), model.init_state(2)
    compiled = torch.compile(copy.deepcopy(model), fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        _, state = model(x, state=state)
        torch.testing.assert_close(compiled(x, state=state), model(x, state=state))
