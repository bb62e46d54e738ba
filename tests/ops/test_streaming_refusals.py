"""Streaming on tensors: states and arguments that do not fit are refused, in words."""

import pytest
import torch
from operator_cases import arguments
from torch import Tensor

from multiresconv import fading
from multiresconv.ops import State, multires_conv_chunk, multires_conv_init, multires_conv_step

DOUBLE = torch.float64
START = multires_conv_init(2, 3, 2, fading(3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lines": torch.zeros(2, 8, 3)}, r"state: lines: expected shape \(2, 7, 3\).* got \(2, 8, 3\)"),
        (
            {"lines": torch.zeros(1, 7, 3)},
            r"state: lines: expected shape \(2, 7, 3\), with the batch of the input first",
        ),
        ({"lines": torch.zeros(2, 7, 3, dtype=DOUBLE)}, "lines: .* torch.float32 on cpu, got .* torch.float64"),
        ({"lines": torch.zeros(2, 7, 3, device="meta")}, "lines: .* on cpu, got .* on meta"),
        ({"position": torch.zeros(3, dtype=torch.int64)}, r"state: position: expected shape \(2,\).* got \(3,\)"),
        ({"position": torch.zeros(2)}, "position: .* torch.int64 on cpu, got .* torch.float32"),
        ({"total": torch.zeros(2)}, "state: expected a dict of lines, position, got lines, position, total"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(change: State, message: str) -> None:
    x, *parameters = arguments(2, 3, 9, 2, fading(3), dtype=torch.float32)
    state = {**START, **change}
    with pytest.raises(ValueError, match=message):
        multires_conv_chunk(x, state, *parameters)
    with pytest.raises(ValueError, match=message):
        multires_conv_step(x[:, :, 0], state, *parameters)


def test_other_arguments_that_do_not_fit_are_refused() -> None:
    x, *parameters = args = arguments(2, 3, 9, 2, fading(3))
    state = multires_conv_init(2, 3, 2, fading(3), dtype=DOUBLE)
    for run, sample in ((multires_conv_chunk, x), (multires_conv_step, x[:, :, 0])):
        with pytest.raises(ValueError, match="state: expected a dict of lines, position, got NoneType"):
            run(sample, None, *parameters)  # pyright: ignore[reportArgumentType]
        with pytest.raises(ValueError, match=r"backend: expected one of auto, .*, got 'gpu'"):
            run(sample, state, *parameters, backend="gpu")
    with pytest.raises(ValueError, match=r"x: expected shape \(batch, channels\), got \(2, 3, 9\)"):
        multires_conv_step(x, state, *parameters)
    with pytest.raises(ValueError, match="batch_size: expected at least 1, got 0"):
        multires_conv_init(0, 3, 2, fading(3))
    meta = [t.to("meta") if isinstance(t, Tensor) else t for t in args]
    with pytest.raises(RuntimeError, match="'cpu' needs tensors on the CPU, x is on meta"):
        multires_conv_chunk(meta[0], state, *meta[1:], backend="cpu")
