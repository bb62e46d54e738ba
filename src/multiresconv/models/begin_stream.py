"""`begin_stream`: what runs a model over one sequence, with or without forgetting."""

from multiresconv.layers import SlidingWindow
from multiresconv.layers.stream import Stream
from multiresconv.models.fading_mean import FadingMean
from multiresconv.models.sequence_model import SequenceModel


def begin_stream(
    model: SequenceModel, *, window: int | None = None, hop: int | None = None, half_life: float | None = None
) -> Stream | SlidingWindow:
    """Begin a stream of one sequence.

    Args:
        model: a model in eval mode.
        window: most steps that an output depends on, see `SlidingWindow`; None for all.
        hop: steps from the beginning of a window to that of the next; default a quarter of the window.
        half_life: steps after which a step counts half, see `FadingMean`; None for a mean of equal weights.

    Raises:
        ValueError: both window and half_life, a hop without a window, a number out of range, or a half-life for a model
            that has no mean over the steps.
        RuntimeError: the model cannot stream.
    """
    if window is not None and half_life is not None:
        raise ValueError("window, half_life: expected one of them")
    if window is not None:
        return SlidingWindow(model, window, hop)
    if hop is not None:
        raise ValueError("hop: expected a window too")
    return model.stream() if half_life is None else FadingMean(model, half_life).stream()
