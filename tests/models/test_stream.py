"""`Stream`: whole = chunks = steps = stream, for any rows."""

import copy
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from stream_cases import (
    DOUBLE,
    assert_close,
    classifier,
    feed,
    follow,
    models,
    plans,
    sample,
    whole,
)

from multiresconv import MultiresAR

law = examples(25)


@law
@given(models(), st.integers(1, 9), st.integers(1, 25), plans, st.integers(1, 2))
def test_stream_is_whole(model: Any, batch: int, length: int, plan: list[int], threads: int) -> None:
    x = sample(model, batch, length)
    stream = model.stream(batch)
    torch.set_num_threads(threads)
    try:
        y = follow(stream, x, plan)
    finally:
        torch.set_num_threads(1)
    assert_close(y, whole(model, x))
    assert not y.requires_grad
    backend = next(part.backend for part in model.modules() if hasattr(part, "backend"))
    assert (stream.why_not_fused is None) == (backend != "reference")
    # the state goes on in `forward`, and the other way round
    _, state = feed(model, x, model.init_state(batch), plan)
    for name, tensor in stream.state().items():
        assert_close(tensor.to(y.dtype), state[name].to(y.dtype))
    more = sample(model, batch, 3)
    with torch.no_grad():
        assert_close(model.stream(state=state)(more), model(more, state=stream.state())[0])


@law
@given(models(), st.integers(1, 5), st.data())
def test_rows_of_a_chunk_may_have_different_lengths(model: Any, batch: int, data: st.DataObject) -> None:
    stream, alone = model.stream(batch), [model.stream(1) for _ in range(batch)]
    for _ in range(2):
        x = sample(model, batch, 6)
        rows = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, unique=True))
        lengths = data.draw(st.lists(st.integers(1, 6), min_size=len(rows), max_size=len(rows)))
        y = stream(x[rows], rows=rows, lengths=lengths)
        for found, row, length in zip(y, rows, lengths, strict=True):
            assert_close(found[:length], alone[row](x[row : row + 1, :length])[0])
            assert not found[length:].any()
    for name, tensor in stream.state().items():
        assert_close(tensor, torch.cat([other.state()[name] for other in alone]))


@pytest.mark.parametrize("backend", ["auto", "reference"])
def test_a_row_that_does_not_fit_advances_none(backend: str) -> None:
    model = classifier(d_input=None, n_tokens=7, backend=backend)
    stream = model.stream(2)
    stream(torch.tensor([1, 2]))
    before = stream.state()
    with pytest.raises((ValueError, IndexError)):
        stream(torch.tensor([[1, 0], [2, 9]]), lengths=[1, 2])
    for lengths in ([1], [0, 2], [1, 3]):
        with pytest.raises(ValueError, match="lengths: expected"):
            stream(torch.tensor([[1, 0], [2, 3]]), lengths=lengths)
    with pytest.raises(ValueError, match="lengths: expected a chunk of steps as x"):
        stream(torch.tensor([1, 2]), lengths=[1, 1])
    assert all(torch.equal(tensor, before[name]) for name, tensor in stream.state().items())


@law
@given(models(), st.integers(2, 5), plans, st.data())
def test_rows_start_and_go_on_by_themselves(model: Any, batch: int, plan: list[int], data: st.DataObject) -> None:
    """Rows that start again at different times, some of them standing still: each is the sequence since its start."""
    stream, x = model.stream(batch), sample(model, batch, 30)
    begun, done, outputs = [0] * batch, [0] * batch, [[] for _ in range(batch)]
    for _ in range(data.draw(st.integers(1, 5))):
        rows = data.draw(st.lists(st.integers(0, batch - 1), min_size=1, unique=True))
        if data.draw(st.booleans()):
            stream.reset(rows)
            for row in rows:
                begun[row], outputs[row] = done[row], []
        length = data.draw(st.integers(1, 5))
        pieces = torch.stack([x[row, done[row] : done[row] + length] for row in rows])
        for row, y in zip(rows, follow(stream, pieces, plan, rows), strict=True):
            done[row] += length
            outputs[row].append(y)
    for row in range(batch):
        if outputs[row]:
            wanted = whole(model, x[row : row + 1, begun[row] : done[row]])[0]
            assert_close(torch.cat(outputs[row]), wanted)


@law
@given(st.integers(0, 99), st.sampled_from([1, 3]), plans, st.sampled_from([torch.float32, DOUBLE]))
def test_a_stream_of_pixels(seed: int, n_channels: int, plan: list[int], dtype: torch.dtype) -> None:
    torch.manual_seed(seed)
    model = MultiresAR(4, 2, n_channels=n_channels, n_mixtures=2, depth=3, dtype=dtype).eval()
    pixels = torch.randint(256, (3, 12, n_channels), dtype=torch.uint8)
    stream = model.stream(3)
    assert stream.why_not_fused is None
    wanted = model(pixels).detach()
    assert_close(follow(stream, pixels, plan), wanted)
    stream.reset([1])
    assert_close(follow(stream, pixels[1:2, :7], plan, rows=[1]), wanted[1:2, :7])
    assert_close(stream(pixels[1:2, 7:], rows=[1]), wanted[1:2, 7:])


@law
@given(st.sampled_from(["mean", "last", "max"]), plans, st.sampled_from([torch.float32, DOUBLE]))
def test_the_kernel_pools_and_standardises(pooling: Any, plan: list[int], dtype: torch.dtype) -> None:
    model = classifier(dtype=dtype, pooling=pooling)
    assert model.net.standardise is not None
    model.net.standardise.set(torch.tensor([1.0, -2.0, 0.0, 0.5]), torch.tensor([2.0, 0.5, 1.0, 3.0]))
    stream, x = model.stream(2), sample(model, 2, 9)
    assert stream.why_not_fused is None
    assert_close(follow(stream, x, plan), whole(model, x))
    expected = model.init_state(2)
    _, expected = model(x, state=expected)
    for name, tensor in stream.state().items():
        assert_close(tensor.to(dtype), expected[name].detach().to(dtype))


@pytest.mark.parametrize("options", [{"dropout": 0.1}, {"norm": "batch"}])
def test_a_model_in_training_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(RuntimeError, match=r"streaming: .*; call eval\(\) first"):
        classifier(**options).train().stream()


def test_what_does_not_fit_is_refused_and_changes_nothing() -> None:
    model, tokens = classifier(), classifier(d_input=None, n_tokens=7)
    stream, x = model.stream(3), sample(model, 3, 6)
    stream(x)
    before = stream.state()
    for wrong, message in (
        (x[:2], r"x: expected shape \(3, 4\) for a step or \(3, length >= 1, 4\) for a chunk, got \(2, 6, 4\)"),
        (x[:, :0], r"x: expected shape .*, got \(3, 0, 4\)"),
        (x[:, :, :3], r"x: expected shape .*, got \(3, 6, 3\)"),
    ):
        with pytest.raises(ValueError, match=message):
            stream(wrong)
    with pytest.raises(TypeError, match=r"x: expected numbers on the CPU, got torch.float64 on meta"):
        stream(x.to("meta"))
    for rows in ([0, 0, 1], [0, 1, 3], [-1, 0, 1]):
        with pytest.raises(ValueError, match=r"rows: expected different numbers in 0\.\.2, got \["):
            stream(x, rows=rows)
        with pytest.raises(ValueError, match="rows: expected different numbers"):
            stream.reset(rows)
    assert all(torch.equal(tensor, before[name]) for name, tensor in stream.state().items())
    with pytest.raises(ValueError, match=r"x: expected tokens in 0\.\.6, got 3\.\.7"):
        tokens.stream()(torch.tensor([[3, 7]]))
    with pytest.raises(ValueError, match=r"x: expected tokens of shape \(1,\) for a step"):
        tokens.stream()(torch.zeros(2, dtype=torch.long))
    with pytest.raises(ValueError, match="batch_size, state: give one of them"):
        model.stream(3, state=before)
    with pytest.raises(ValueError, match=r"state: lines: expected shape"):
        model.stream(state={**before, "lines": before["lines"][:, :1]})
    with pytest.raises(ValueError, match=r"state: expected a dict of lines, position, pooled, got lines"):
        model.stream(state={"lines": before["lines"]})


def test_a_stream_neither_shares_nor_grows() -> None:
    model = classifier()
    _, given_state = model(sample(model, 2, 4), state=model.init_state(2))
    given_state = {name: tensor.detach() for name, tensor in given_state.items()}
    kept = copy.deepcopy(given_state)
    stream, x = model.stream(state=given_state), sample(model, 2, 20)
    taken = stream.state()
    stream(x)
    for name, tensor in kept.items():
        assert torch.equal(given_state[name], tensor)
        assert torch.equal(taken[name], tensor)
        assert stream.state()[name].nbytes == tensor.nbytes
    with torch.inference_mode():
        first = stream(x)
    assert_close(torch.cat([first, stream(x)], dim=1), follow(model.stream(state=kept), x.repeat(1, 3, 1), [0])[:, 20:])
