"""What the command line asks of a network; the recipes say what the paper chose for each task."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class NetworkOptions:
    """The network, by the arguments of `MultiresClassifier` and `MultiresAR`.

    Args:
        n_layers: number of blocks.
        d_model: channels of each block.
        depth: number of scales.
        kernel_size: taps of the filters, learned; null where a wavelet is named.
        wavelet: name of a discrete wavelet to start the filters from, such as db2.
        memory: fading, or the total number of coefficients that a uniform memory keeps.
        dropout: probability that a whole channel is dropped.
        norm: normalisation after the residual.
        own_skip_init: draw the skip weight w_x from U(-1, 1), as if it were a layer of its own.
    """

    n_layers: int = 6
    d_model: int = 128
    depth: int = 10
    kernel_size: int | None = 2
    wavelet: str | None = None
    memory: Literal["fading"] | int = "fading"
    dropout: float = 0.0
    norm: Literal["layer", "batch"] = "layer"
    own_skip_init: bool = False
