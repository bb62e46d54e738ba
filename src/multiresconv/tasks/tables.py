"""Format reports as text in aligned columns."""

from collections.abc import Mapping, Sequence


def aligned(lines: Mapping[str, str]) -> str:
    """Format names and values as two aligned columns."""
    return columns([[name, value] for name, value in lines.items()], "<<")


def columns(rows: Sequence[Sequence[str]], sides: str) -> str:
    """Align cells in columns; `sides` has one character per column, "<" for left or ">" for right alignment."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    formats = [f"{{:{side}{width}}}" for side, width in zip(sides, widths, strict=True)]
    return "\n".join("  ".join(formats).format(*row).rstrip() for row in rows)
