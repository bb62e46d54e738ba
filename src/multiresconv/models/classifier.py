"""`MultiresClassifier`: from a sequence to the logits of its classes or labels."""

from typing import Any, Unpack, overload

import torch
from torch import Tensor, nn

from multiresconv.layers import LayerOptions, Norm, mean_pool, refuse_lengths
from multiresconv.layers.stream import Stream, StreamParts
from multiresconv.models.net import MultiresNet
from multiresconv.ops import State
from multiresconv.ops.streaming import check_state_names, check_state_tensor


class MultiresClassifier(nn.Module):
    """A `MultiresNet`, the mean over its valid steps, and a linear map to logits.

    Args:
        d_output: number of classes, or of labels.
        d_model: width of the blocks.
        n_layers: number of blocks.
        d_input: channels of real-valued input; or else
        n_tokens: size of the vocabulary of token input. Exactly one of the two.
        dropout: probability with which a channel is dropped, see `MultiresBlock`.
        norm: "layer" or "batch", see `MultiresBlock`.
        **layer: options of `MultiresLayer`: kernel_size, wavelet, depth, max_length, memory, own_skip_init, backend.

    Attributes:
        config: the arguments that build this model again, defaults filled in, ready for JSON; see `MultiresNet`.

    Example:
        >>> model = MultiresClassifier(10, d_model=32, n_layers=2, d_input=3, max_length=1024)
        >>> model(torch.randn(8, 1024, 3)).shape
        torch.Size([8, 10])
    """

    def __init__(
        self,
        d_output: int,
        d_model: int,
        n_layers: int,
        *,
        d_input: int | None = None,
        n_tokens: int | None = None,
        dropout: float = 0.0,
        norm: Norm = "layer",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
        **layer: Unpack[LayerOptions],
    ) -> None:
        super().__init__()
        if d_output < 1:
            raise ValueError(f"d_output: expected at least 1, got {d_output}")
        self.net = MultiresNet(
            d_model,
            n_layers,
            d_input=d_input,
            n_tokens=n_tokens,
            dropout=dropout,
            norm=norm,
            device=device,
            dtype=dtype,
            **layer,
        )
        self.output = nn.Linear(d_model, d_output, device=device, dtype=dtype)
        inherited = {k: v for k, v in self.net.config.items() if k != "projection"}  # classifiers have none
        self.config: dict[str, Any] = {"d_output": d_output, **inherited}

    def reset_parameters(self) -> None:
        self.net.reset_parameters()
        self.output.reset_parameters()

    def init_state(self, batch_size: int) -> State:
        """The state before the first step of `batch_size` sequences: that of the net and "total" (B, d_model).

        "total" is the sum of all features so far, in float64, so that a running mean stays exact however long.
        """
        state = self.net.init_state(batch_size)
        weight = self.output.weight
        total = torch.zeros(batch_size, weight.shape[1], dtype=torch.float64, device=weight.device)
        return {**state, "total": total}

    def step(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        """The running prediction: logits (B, d_output) of all steps up to x (B, d_input) or tokens (B,), and the state.

        A chunk of one, see `forward`.
        """
        before, total = self._split(state)
        features, after = self.net.step(x, before)
        total = total + features
        logits = self.output((total / after["position"][:, None]).to(features.dtype))
        return logits, {**after, "total": total}

    def stream(self, batch_size: int | None = None, *, state: State | None = None) -> Stream:
        """A `Stream` of `batch_size` sequences from their start, by default 1, or from a state on."""
        return Stream(self, batch_size, state)

    def stream_parts(self) -> StreamParts | str:
        """What a step computes with, or why the kernel cannot serve; see `Streamable`."""
        parts, head = self.net.stream_parts(), self.output
        if isinstance(parts, str):
            return f"net: {parts}"
        if type(self) is not MultiresClassifier or type(head) is not nn.Linear or head.bias is None:
            return f"{type(self).__name__} with a {type(head).__name__} is more than a MultiresClassifier"
        tensors = parts.tensors._replace(pooling="mean", head=(head.weight, head.bias))
        return StreamParts(tensors, pooled="total")

    @overload
    def forward(self, x: Tensor, lengths: Tensor | None = None, state: None = None) -> Tensor: ...
    @overload
    def forward(self, x: Tensor, lengths: None = None, *, state: State) -> tuple[Tensor, State]: ...
    def forward(
        self, x: Tensor, lengths: Tensor | None = None, state: State | None = None
    ) -> Tensor | tuple[Tensor, State]:
        """Logits of every sequence.

        Args:
            x: (B, L, d_input) real, or (B, L) integer tokens in 0..n_tokens-1; L >= 1.
            lengths: (B,) integers in 1..L, how many steps of each sequence are valid; None: all. The rest is padding,
                which may hold anything and changes no logit, no statistic and no gradient.
            state: of `init_state`, a step or a chunk, where x is the next chunk of a longer sequence. It is left as it
                is. Not together with lengths, nor while dropout or batch norm is in training mode.

        Returns:
            (B, d_output). With a state: the running prediction (B, L, d_output), at each step of the chunk the logits
            of all steps up to there, and the state after it.
        """
        if state is not None:
            refuse_lengths(lengths)
            return self._chunk(x, state)
        features = self.net(x, lengths)
        if lengths is not None:
            lengths = lengths.to(features.device)
        return self.output(mean_pool(features, lengths))

    def _chunk(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        before, total = self._split(state)
        features, after = self.net(x, state=before)
        totals = total[:, None] + features.cumsum(1, dtype=torch.float64)
        counts = state["position"][:, None] + torch.arange(1, x.shape[1] + 1, device=x.device)
        logits = self.output((totals / counts[:, :, None]).to(features.dtype))
        return logits, {**after, "total": totals[:, -1].clone()}

    def _split(self, state: State) -> tuple[State, Tensor]:
        """The net's part of a state, and "total"."""
        check_state_names(state, "lines", "position", "total")
        weight, total = self.output.weight, state["total"]
        check_state_tensor("total", total, (len(state["lines"]), weight.shape[1]), torch.float64, weight.device)
        return {"lines": state["lines"], "position": state["position"]}, total
