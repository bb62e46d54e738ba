"""Bursts of streaming steps to be timed."""

from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from multiresconv.bench.attention import CausalAttention
from multiresconv.layers import MultiresBlock, MultiresLayer

# Steps per timed burst; a single step takes hardly longer than reading the clock.
BURST = 20


class Streams(Protocol):
    """A layer with a streaming step: x (B, D), state -> y (B, D), state."""

    def init_state(self, batch_size: int) -> Any: ...

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]: ...


def burst(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    """Return a function that takes `BURST` steps in a stream with the past x (B, L, D)."""
    last = x[:, -1].contiguous()
    if isinstance(layer, MultiresLayer | MultiresBlock):
        stream = layer.stream(len(x))

        def follow() -> None:
            for _ in range(BURST):
                stream(last)

        return follow
    with torch.inference_mode():
        # Only attention's cost per step depends on the past.
        attention = isinstance(layer, CausalAttention)
        state = layer.prefill(x) if attention else cast(Streams, layer).init_state(len(x))

    def run() -> None:
        nonlocal state
        with torch.inference_mode():
            for _ in range(BURST):
                _, state = cast(Streams, layer).step(last, state)

    return run
