"""`MultiresClassifier`: maps a sequence to logits of classes or labels."""

from multiresconv.layers.stream import StreamParts
from multiresconv.models.description import Output, numbers
from multiresconv.models.pooled import PooledModel


class MultiresClassifier(PooledModel):
    """A `MultiresNet`, pooling over the valid steps, and a linear map to logits: (B, L, ...) -> (B, d_output).

    Args:
        d_output: number of classes or labels.
        d_model: width of the blocks.
        n_layers: number of blocks.
        d_input: channels of real-valued input. Give exactly one of d_input and n_tokens.
        n_tokens: size of the vocabulary of token input.
        pooling: "mean" or "max" over the valid steps, or the "last" valid step.
        input: description of the input; default a signal with unnamed channels, or tokens named by their numbers.
        output: description of the output; default classes named by their numbers.
        backend: where the blocks run; see `multires_conv`.
        **options: the other fields of `NetConfig`: kernel_size, wavelet, depth, max_length, memory, own_skip_init,
            bidirectional, dropout, norm, norm_first, mask_missing.

    Example:
        >>> model = MultiresClassifier(10, d_model=32, n_layers=2, d_input=3, max_length=1024)
        >>> model(torch.randn(8, 1024, 3)).shape
        torch.Size([8, 10])
    """

    def stream_parts(self) -> StreamParts | str:
        parts = super().stream_parts()
        if isinstance(parts, str) or type(self) is not MultiresClassifier:
            return parts if isinstance(parts, str) else f"the model is a {type(self).__name__}"
        return parts

    @staticmethod
    def _usual_output(d_output: int) -> Output:
        return Output("class", numbers(d_output))
