"""Steps of a stream, to be timed."""

from collections.abc import Callable
from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from multiresconv.bench.attention import CausalAttention
from multiresconv.layers import MultiresBlock, MultiresLayer

# Of consecutive steps; one by itself is hardly longer than looking at the clock.
BURST = 20


class Streams(Protocol):
    """A layer that goes on step by step: x (B, D), state -> y (B, D), state."""

    def init_state(self, batch_size: int) -> Any: ...

    def step(self, x: Tensor, state: Any) -> tuple[Tensor, Any]: ...


def burst(layer: nn.Module, x: Tensor) -> Callable[[], None]:
    """A function that goes `BURST` steps on in a stream whose past is x (B, L, D)."""
    last = x[:, -1].contiguous()
    if isinstance(layer, MultiresLayer | MultiresBlock):
        stream = layer.stream(len(x))

        def follow() -> None:
            for _ in range(BURST):
                stream(last)

        return follow
    with torch.inference_mode():
        # What a step of the others costs does not depend on the past.
        attention = isinstance(layer, CausalAttention)
        state = layer.prefill(x) if attention else cast(Streams, layer).init_state(len(x))

    def run() -> None:
        nonlocal state
        with torch.inference_mode():
            for _ in range(BURST):
                _, state = cast(Streams, layer).step(last, state)

    return run
