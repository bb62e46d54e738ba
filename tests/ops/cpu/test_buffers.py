"""Memory that is used again: never by two at once, and released when asked. Seen from outside, by address and size."""

import subprocess
import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from seeded import python

from multiresconv.ops.cpu.buffers import SMALL, empty, release


@pytest.fixture(autouse=True)
def nothing_idle() -> Iterator[None]:
    release()
    yield
    release()


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


def test_memory_is_used_again_when_the_last_tensor_that_shares_it_is_gone() -> None:
    a = empty((SMALL,), torch.float32)
    address, view = a.data_ptr(), a[5:].view(torch.int32)
    del a
    b = empty((SMALL,), torch.float32)
    assert b.data_ptr() != address
    del view
    c = empty((SMALL,), torch.float32)
    assert c.data_ptr() == address


@examples(40)
@given(st.lists(st.tuples(st.integers(SMALL, 4 * SMALL), st.integers(0, 5)), max_size=30))
def test_no_two_tensors_share_memory(orders: list[tuple[int, int]]) -> None:
    """Tensors of any sizes come and go; each keeps what was written to it."""
    slots = {}
    for mark, (size, slot) in enumerate(orders):
        slots.pop(slot, None)
        slots[slot] = (empty((size,), torch.uint8).fill_(mark), mark)
        assert all(bool((t == wanted).all()) for t, wanted in slots.values())


def test_threads_take_and_give_back_at_once() -> None:
    faults = []

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
        assert not worker.is_alive()
    assert not faults


def test_release_leaves_tensors_in_use_alone() -> None:
    in_use, gone = empty((SMALL,), torch.uint8).fill_(1), empty((SMALL,), torch.uint8)
    del gone
    release()
    assert bool((in_use == 1).all())
    again = empty((SMALL,), torch.uint8).fill_(2)
    assert bool((in_use == 1).all())
    assert bool((again == 2).all())


TAKE_AND_DROP = """
import tracemalloc
from multiresconv.ops.cpu.buffers import SMALL, empty, release
tracemalloc.start()
for factor in (1, 2, 4, 8, 16, 1, 3, 5, 7):
    empty((factor * SMALL,), torch.uint8)
idle = tracemalloc.get_traced_memory()[0] / SMALL
release()
print(idle, tracemalloc.get_traced_memory()[0] / SMALL)
"""


@pytest.mark.slow
def test_idle_memory_is_bounded_and_can_be_released() -> None:
    """At most a quarter more than was ever in use at once, in a process of its own; NumPy tells tracemalloc."""
    done = subprocess.run(python(TAKE_AND_DROP), check=True, capture_output=True, text=True, timeout=120)
    idle, released = map(float, done.stdout.split())
    assert 16 <= idle <= 1.25 * 16.1  # a tenth for what Python itself takes
    assert released < 0.5
