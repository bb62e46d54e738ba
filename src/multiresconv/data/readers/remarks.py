"""`Remarks`: what readers have to say about a file, gathered for one line."""

from collections.abc import Callable

Tell = Callable[[str], None]  # takes a remark: a conversion that was made, or a doubt

_SHOWN = 4


def tell_nobody(remark: str) -> None:
    """Drop a remark."""


class Remarks:
    """The remarks on one file: the first few, each once, and the number of the others. `str` joins them in one line."""

    def __init__(self) -> None:
        self._first: list[str] = []
        self._more = 0

    def add(self, remark: str) -> None:
        if remark in self._first:
            return
        if len(self._first) < _SHOWN:
            self._first.append(remark)
        else:
            self._more += 1

    def __str__(self) -> str:
        more = f"and {self._more} more remark{'s' if self._more > 1 else ''}"
        return "; ".join([*self._first, more] if self._more else self._first)
