"""Reports as text in columns."""

from collections.abc import Mapping, Sequence


def aligned(lines: Mapping[str, str]) -> str:
    """Names and values in two columns."""
    return columns([[name, value] for name, value in lines.items()], "<<")


def columns(rows: Sequence[Sequence[str]], sides: str) -> str:
    """Cells in columns as wide as need be, each at the left ("<") or the right (">") of its column."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    formats = [f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True)]
    return "\n".join("  ".join(formats).format(*row).rstrip() for row in rows)
