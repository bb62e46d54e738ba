"""Random damage to a file: flipped bits, cuts, insertions, repetitions, and other numbers."""

import re
from collections.abc import Sequence
from typing import NamedTuple

from hypothesis import strategies as st

NUMBERS = (
    b"0",
    b"-1",
    b"2.5",
    b"1e999",
    b"-1e39",
    b"nan",
    b"NaN",
    b"2147483648",
    b"18446744073709551616",
    b"9" * 5_000,
    b"1e-320",
    b"null",
    b"true",
    b'"x"',
    b"[]",
    b"",
    b"1,5",
)
WORDS = tuple((value % 2**64).to_bytes(8, "little") for value in (0, 1, 2**31, 2**40, 2**63, -1, -8))


class Mutation(NamedTuple):
    """One piece of damage.

    Attributes:
        name: what is done; see `mutated`.
        where: position in the file, as a share of its length.
        size: number of bytes, or of the bit that is flipped.
        content: bytes to insert.
    """

    name: str
    where: float
    size: int
    content: bytes


NAMES = ("flip", "cut", "drop", "insert", "repeat", "swap", "number", "word")

MUTATIONS = st.lists(
    st.builds(
        Mutation,
        name=st.sampled_from(NAMES),
        where=st.floats(0, 1, exclude_max=True),
        size=st.integers(1, 64),
        content=st.one_of(st.binary(min_size=1, max_size=9), st.sampled_from(NUMBERS), st.sampled_from(WORDS)),
    ),
    min_size=1,
    max_size=3,
)


def damaged(data: bytes, mutations: Sequence[Mutation]) -> bytes:
    for mutation in mutations:
        data = mutated(data, mutation)
    return data


def mutated(data: bytes, mutation: Mutation) -> bytes:
    name, where, size, content = mutation
    at = int(where * len(data))
    rest = data[at + size :]
    if name == "flip":
        return data[:at] + bytes(byte ^ 1 << size % 8 for byte in data[at : at + 1]) + data[at + 1 :]
    if name == "cut":
        return data[:at]
    if name == "drop":
        return data[:at] + rest
    if name == "insert":
        return data[:at] + content + data[at:]
    if name == "repeat":
        return data[: at + size] + data[at : at + size] * (1 + size % 3) + rest
    if name == "swap":
        return data[:at] + rest[:size] + data[at : at + size] + rest[size:]
    if name == "number":
        numbers = list(re.finditer(rb"-?\d+(\.\d+)?", data))
        if not numbers:
            return data
        number = numbers[int(where * len(numbers))]
        return data[: number.start()] + content + data[number.end() :]
    return data[:at] + content + data[at + len(content) :]
