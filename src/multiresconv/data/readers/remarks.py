"""`Remarks`: what readers have to say about a file, gathered for one line."""

from collections.abc import Callable

Tell = Callable[[str], None]  # takes a remark: a conversion that was made, or a doubt

_SHOWN = 4


def tell_nobody(remark: str) -> None:
    """Drop a remark."""


class Remarks:
    """The remarks on one file, each once and in their order; `str` joins the first few."""

    def __init__(self) -> None:
        self._remarks: dict[str, None] = {}

    def add(self, remark: str) -> None:
        self._remarks[remark] = None

    def __str__(self) -> str:
        first, more = list(self._remarks)[:_SHOWN], len(self._remarks) - _SHOWN
        return "; ".join([*first, *([f"and {more} more remarks"] if more > 0 else [])])
