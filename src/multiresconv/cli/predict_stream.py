"""The options of `multiresconv predict MODEL --stream`."""

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from multiresconv.layers import SlidingWindow
    from multiresconv.layers.stream import Stream
    from multiresconv.models import SequenceModel


class StreamOptions(NamedTuple):
    """What a running prediction forgets, in seconds, in samples without a rate; a table takes window and hop too."""

    window: float | None
    hop: float | None
    half_life: float | None
    warm_up: float | None

    def check(self, *, stream: bool, table: bool) -> None:
        """Raise ValueError for options of another kind of input, out of range, or that contradict each other."""
        places = {"window": stream or table, "hop": stream or table, "half_life": stream, "warm_up": stream}
        for name, value in self._asdict().items():
            if value is None:
                continue
            if not places[name]:
                where = "--table or --stream" if name in ("window", "hop") else "--stream"
                raise ValueError(f"--{name}: expected with {where}")
            if not 0 < value < float("inf"):
                raise ValueError(f"--{name}: expected more than 0, got {value:g}")
        if self.hop is not None and self.window is None:
            raise ValueError("--hop: expected --window too")

    def begin(self, model: "SequenceModel") -> "Stream | SlidingWindow":
        """Begin a stream of a model that forgets as the options say."""
        from multiresconv.data.recordings.labelled import steps_of
        from multiresconv.models import begin_stream

        rate = model.input.rate
        window, hop = (None if size is None else steps_of(size, rate) for size in (self.window, self.hop))
        half_life = None if self.half_life is None else self.half_life * (1.0 if rate is None else rate)
        return begin_stream(model, window=window, hop=hop, half_life=half_life)

    def first_shown(self, model: "SequenceModel") -> int:
        """Return the number of the first step, counted from 1, whose answer is printed."""
        rate = 1.0 if model.input.rate is None else model.input.rate
        return 1 if self.warm_up is None else max(round(self.warm_up * rate), 1)
