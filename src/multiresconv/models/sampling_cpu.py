"""`complete_cpu`: samples images by a Numba kernel."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from multiresconv.layers.stream import fused_parts
from multiresconv.models.autoregressive import MultiresAR
from multiresconv.models.logistic_mixture import HALF_RANGE, MIN_LOG_SCALE
from multiresconv.ops import State
from multiresconv.ops.cpu.network import describe_network
from multiresconv.ops.cpu.threads import share

# Pixels per call of the kernel. Ctrl-C has to wait for the end of a call.
_PIXELS = 32


def complete_cpu(
    model: MultiresAR, images: Tensor, given: int, gumbel: NDArray[np.float64], logistic: NDArray[np.float64],
    state: State,
) -> bool:  # fmt: skip
    """Draw the pixels of images (B, L, C) from pixel `given` on, in place; noise is (B, L, M) and (B, L, C).

    The state may be overwritten.

    Returns:
        True; or False, with nothing drawn, if the kernel cannot run this model, see `Stream.why_not_fused`.

    Raises:
        ValueError: the model's outputs are not finite.
    """
    parts = fused_parts(model)
    if isinstance(parts, str):
        return False
    from multiresconv.ops.cpu.kernels.sampling import sample_pixels

    network = describe_network(parts.tensors)
    batch, length, _ = images.shape
    groups = min(torch.get_num_threads(), batch)
    finite = np.ones(batch, np.bool_)
    lines, position = state["lines"].contiguous(), state["position"].contiguous()
    params = state["params"].contiguous().numpy()
    for first in range(given, length, _PIXELS):
        last = min(first + _PIXELS, length)
        arguments = (
            network, images.numpy(), first, last, params, gumbel, logistic, lines.data_ptr(), position.data_ptr(),
            HALF_RANGE, MIN_LOG_SCALE, finite, groups,
        )  # fmt: skip
        share(lambda group, arguments=arguments: sample_pixels(*arguments, group, group + 1), groups, groups)
        if not finite.all():
            raise ValueError(f"model: expected finite outputs, got NaN or infinity in pixels {first}..{last - 1}")
    return True
