"""Memory that is used again: never by two at once, and never much more of it than was needed."""

import threading
import weakref

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples

from multiresconv.ops.cpu import buffers as cpu_memory
from multiresconv.ops.cpu.buffers import SMALL, empty


@pytest.fixture(autouse=True)
def nothing_idle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cpu_memory, "_idle", [])
    monkeypatch.setattr(cpu_memory, "_most_taken", 0)


def held() -> int:
    return cpu_memory._taken + sum(map(len, cpu_memory._idle))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 7), (5, 300, 1001), (0, 4), (1 << 21,)])
def test_is_a_tensor_like_any_other(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    t = empty(shape, dtype)
    assert t.shape == shape
    assert t.dtype == dtype
    assert t.is_contiguous()
    assert t.data_ptr() % 64 == 0
    t.fill_(2)
    assert bool((t == 2).all())
    t[:1].requires_grad_()
    t.add_(1)


def test_comes_back_with_the_last_tensor_that_shares_it() -> None:
    a = empty((SMALL,), torch.float32)
    address, view = a.data_ptr(), a[5:].view(torch.int32)
    del a
    assert not cpu_memory._idle
    b = empty((SMALL,), torch.float32)
    assert b.data_ptr() != address
    del view
    assert len(cpu_memory._idle) == 1
    c = empty((SMALL,), torch.float32)
    assert c.data_ptr() == address


def test_small_ones_are_left_to_the_c_library() -> None:
    before = cpu_memory._taken
    keep = empty((SMALL // 4 - 1,), torch.float32)
    assert cpu_memory._taken == before
    assert keep.nbytes == SMALL - 4


@examples(40)
@given(st.lists(st.tuples(st.integers(SMALL, 4 * SMALL), st.integers(0, 5)), max_size=30))
def test_no_two_share_and_little_is_idle(orders: list[tuple[int, int]]) -> None:
    """Tensors of any sizes come and go: each keeps what was written to it, and the bound on idle memory holds."""
    cpu_memory._idle.clear()
    cpu_memory._most_taken = 0
    base, slots, most = cpu_memory._taken, {}, 0
    for mark, (size, slot) in enumerate(orders):
        slots.pop(slot, None)
        slots[slot] = (empty((size,), torch.uint8).fill_(mark), mark)
        assert all(bool((t == wanted).all()) for t, wanted in slots.values())
        most = max(most, cpu_memory._taken - base)
        assert held() - base <= 1.25 * (base + most)
    slots.clear()
    assert cpu_memory._taken == base


def test_threads_take_and_give_back_at_once() -> None:
    before, faults = cpu_memory._taken, []

    def work(mark: int) -> None:
        for _ in range(50):
            t = empty((SMALL,), torch.uint8).fill_(mark)
            if not bool((t == mark).all()):
                faults.append(mark)

    workers = [threading.Thread(target=work, args=(mark,)) for mark in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert not faults
    assert cpu_memory._taken == before


def test_idle_memory_is_let_go_when_others_are_needed() -> None:
    gone = []
    for size in (SMALL, 2 * SMALL, 4 * SMALL, 8 * SMALL, 16 * SMALL):
        t = empty((size,), torch.uint8)
        del t
        gone += [weakref.ref(memory) for memory in cpu_memory._idle]
    assert held() <= 1.25 * (16 * SMALL + 64)
    assert any(memory() is None for memory in gone)
    assert all(isinstance(memory, np.ndarray) for memory in cpu_memory._idle)


def test_idle_memory_can_be_released() -> None:
    in_use, gone = empty((SMALL,), torch.uint8).fill_(1), empty((SMALL,), torch.uint8)
    del gone
    assert cpu_memory._idle
    cpu_memory.release()
    assert not cpu_memory._idle
    assert bool((in_use == 1).all())
