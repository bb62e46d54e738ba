"""`NetConfig`: the options of a network, shared by nets, models, recipes and the command line."""

from dataclasses import dataclass
from numbers import Integral
from operator import index
from typing import Any, Literal, get_args

from multiresconv.layers import Norm

# What a damaged file may ask for by mistake. The largest network of the paper has 48 layers and 38 million weights.
MAX_WEIGHTS = 10**9
LIMITS = {
    "n_layers": 1_000,
    "d_model": 65_536,
    "kernel_size": 4_096,
    "depth": 48,
    "max_length": 2**40,
    "memory": 2**20,
    "d_input": 65_536,
    "n_tokens": 2**20,
    "d_output": 2**20,
    "horizon": 65_536,
    "season": 65_536,
    "n_channels": 1_024,
    "n_mixtures": 1_024,
    "n_filters": 65_536,
    "n_thresholds": 1_024,
}


def check_sizes(**sizes: int | None) -> None:
    """Raise ValueError if a size is above its limit in `LIMITS`; None has no size."""
    for name, size in sizes.items():
        if size is not None and size > LIMITS[name]:
            raise ValueError(f"{name}: expected at most {LIMITS[name]:,}, got {size:,}")


@dataclass(frozen=True)
class NetConfig:
    """Options of a `MultiresNet`. All but `n_layers` and `mask_missing` are passed on to its blocks.

    Sizes above `LIMITS` and networks of more than `MAX_WEIGHTS` weights are refused.

    Args:
        d_model: width of the blocks, the number of channels D.
        n_layers: number of blocks.
        kernel_size: taps of each learned filter. Null means 2, or those of the wavelet.
        wavelet: name of a discrete wavelet that initialises the filters, such as db2.
        depth: number of scales J.
        max_length: sequence length that the coarsest scale must cover; sets the depth.
        memory: fading, the total number of coefficients that a uniform memory keeps, or counts (m_J, ..., m_1).
        own_skip_init: draw the skip weight w_x from U(-1, 1) instead of from the range of the other weights.
        bidirectional: also read each sequence from its end, with a second set of filters.
        dropout: probability that a whole channel is dropped.
        norm: normalisation, layer or batch. Python code may also give a module, which is copied for each block.
        norm_first: normalise before the convolution (pre-norm) instead of after the residual sum.
        mask_missing: accept NaN as a missing value of real-valued input; see `Standardise`.
    """

    d_model: int = 128
    n_layers: int = 6
    kernel_size: int | None = None
    wavelet: str | None = None
    depth: int | None = None
    max_length: int | None = None
    memory: Literal["fading"] | int | tuple[int, ...] = "fading"
    own_skip_init: bool = False
    bidirectional: bool = False
    dropout: float = 0.0
    norm: Norm = "layer"
    norm_first: bool = False
    mask_missing: bool = False

    def __post_init__(self) -> None:
        for name in ("d_model", "n_layers"):
            object.__setattr__(self, name, index(getattr(self, name)))  # also NumPy's integers
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: expected at least 1, got {getattr(self, name)}")
        if isinstance(self.norm, str) and self.norm not in get_args(Norm):
            raise ValueError(f"norm: expected 'layer', 'batch' or a module, got {self.norm!r}")
        self._check_size()

    def _check_size(self) -> None:
        """Raise ValueError if the network would be larger than any that was meant; called before it is built."""
        memory: Any = self.memory
        counts = (memory,) if isinstance(memory, Integral) else memory  # NumPy integers too
        kept: tuple[Any, ...] = () if isinstance(counts, str) else tuple(counts)
        check_sizes(n_layers=self.n_layers, d_model=self.d_model, kernel_size=self.kernel_size)
        check_sizes(depth=self.depth, max_length=self.max_length)
        check_sizes(depth=len(kept), memory=sum(kept))
        per_layer = self.d_model * (2 * self.d_model + 2 * (self.kernel_size or 2) + sum(kept))
        if self.n_layers * per_layer > MAX_WEIGHTS:
            raise ValueError(
                f"n_layers, d_model: {self.n_layers} blocks of width {self.d_model} have more than the largest number "
                f"of weights, {MAX_WEIGHTS:,}"
            )

    def of_block(self) -> dict[str, Any]:
        """Return the arguments of one `MultiresBlock`."""
        return {name: value for name, value in vars(self).items() if name not in ("n_layers", "mask_missing")}

    def to_dict(self) -> dict[str, Any]:
        """Return the options as values for JSON and YAML."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}
