"""`Network`: a whole network as the streaming kernels take it, with its parameters given by their addresses.

Kernels compile these numbers in, so they belong to this folder, whose files name the compiled kernels on disk.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# Columns of `Network.blocks`, in the order of `BlockTensors` (ops/cpu/network.py).
H0, H1, W, MIX, MIX_BIAS, NORM, NORM_BIAS, PROJECTION, PROJECTION_BIAS, MEAN, VARIANCE = range(11)
# Entries of `Network.ends`.
INPUT_MEAN, INPUT_STD, ENCODER, ENCODER_BIAS, HEAD, HEAD_BIAS = range(6)
# Values of `Network.pooling`.
NO_POOLING, MEAN_POOLING, MAX_POOLING = range(3)
# Entries of a call: the next group of rows, the network by its addresses and sizes, then what the call is about.
NEXT, BLOCKS, N_BLOCKS, ENDS, EPS, MEMORY, DEPTH, SIZES = range(8)
X, Y, LENGTH, ROWS, COUNT, BATCH, LINES, POSITION, POOLED, GROUPS = range(SIZES + 7, SIZES + 17)
CALL_SIZE = SIZES + 17


class Network(NamedTuple):
    """Addresses, sizes and options of a network.

    Kernels read the parameters in place, so that in-place changes take effect. An absent tensor has the address 0.

    Attributes:
        blocks: (n_layers, 11) addresses; the columns are H0..VARIANCE above.
        ends: (6,) addresses of the tensors before and after the blocks, INPUT_MEAN..HEAD_BIAS above.
        eps: (n_layers,) epsilons of the norms, in the dtype of the network.
        memory: (J,) int64, see `multires_conv`.
        channels: D, the width of the blocks.
        slots: S, the number of slots of a block's delay lines.
        kernel_size: K.
        width: width of w, see `multires_conv`.
        inputs: number of channels of real-valued input; 0 for tokens.
        outputs: size of the head's output; D without a head.
        pooling: NO_POOLING, MEAN_POOLING or MAX_POOLING.
    """

    blocks: NDArray[np.int64]
    ends: NDArray[np.int64]
    eps: NDArray[np.floating]
    memory: NDArray[np.int64]
    channels: int
    slots: int
    kernel_size: int
    width: int
    inputs: int
    outputs: int
    pooling: int

    def call(self) -> NDArray[np.int64]:
        """A call of the kernel with the network's entries, valid as long as the network lives; all others are 0."""
        call = np.zeros(CALL_SIZE, np.int64)
        call[BLOCKS:SIZES] = (
            self.blocks.ctypes.data, len(self.blocks), self.ends.ctypes.data, self.eps.ctypes.data,
            self.memory.ctypes.data, len(self.memory),
        )  # fmt: skip
        call[SIZES:X] = self[4:]
        return call

    def work(self) -> int:
        """Return the approximate number of multiply-adds of one step of one row."""
        linear = 2 + (self.blocks[0, PROJECTION] != 0)
        per_block = self.channels * (linear * self.channels + self.kernel_size * self.width)
        return len(self.blocks) * int(per_block) + self.channels * (self.inputs + self.outputs)
