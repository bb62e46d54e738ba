"""Tokens of ListOps and their numbers.

As in the published pipeline, parentheses are dropped (the brackets carry the same structure), `]` is a token, and an
end token is appended. A sequence has at most 2048 tokens: a longer one is cut to its first 2047 and the end token.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from multiresconv.fields import shown

PADDING, UNKNOWN, END = 0, 1, 2  # 1 only keeps the published numbering; no sequence here contains it
DIGITS = tuple("0123456789")
OPERATORS = ("[MIN", "[MAX", "[MED", "[SM")
CLOSE = "]"
TOKENS = ("<pad>", "<unk>", "<end>", *DIGITS, *OPERATORS, CLOSE)
N_TOKENS = len(TOKENS)
MAX_TOKENS = 2048

_IDS = {token: i for i, token in enumerate(TOKENS) if i > END}


def token_id(token: str) -> int:
    """Return the number of a digit, an operator or `]`."""
    return _IDS[token]


_DEPTH = np.array([(token in OPERATORS) - (token == CLOSE) for token in TOKENS], np.int8)  # change of depth per token


def encode(source: str) -> NDArray[np.uint8]:
    """Return the token numbers (n,) of an expression, with or without parentheses; n <= 2048, the last is `END`.

    Raises:
        ValueError: the text has no token, or one that is not a digit, an operator, `]` or a parenthesis.
    """
    return cut(token_ids(source))


def cut(ids: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Truncate token numbers to 2047 and append `END`."""
    return np.append(ids[: MAX_TOKENS - 1], np.uint8(END))


def is_expression(ids: NDArray[np.uint8]) -> bool:
    """Return True if token numbers (n,) form exactly one expression: brackets balance, and no operator is empty."""
    steps = _DEPTH[ids]
    depth = steps.cumsum()
    return bool(depth[-1] == 0 and (depth[:-1] > 0).all() and (steps[:-1] - steps[1:]).max(initial=0) < 2)


def depths(ids: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the deepest nesting of operators (...) of token numbers (..., n); of a digit alone 0."""
    return _DEPTH[ids].cumsum(-1, dtype=np.int64).max(-1, initial=0)


def token_ids(source: str) -> NDArray[np.uint8]:
    """Return the token numbers (n,) of a text, without truncation and end token; see `encode`."""
    words = source.replace("(", " ").replace(")", " ").split()
    if not words:
        raise ValueError("expected an expression, got none")
    try:
        return np.frombuffer(bytes([_IDS[word] for word in words]), np.uint8)
    except KeyError as error:
        raise ValueError(f"unknown token {shown(error.args[0])}, expected one of {' '.join(_IDS)} ( )") from None


def decode(tokens: ArrayLike) -> str:
    """Return the expression, without parentheses, of token numbers (n,); padding and end tokens are left out.

    Raises:
        ValueError: a number is not that of a token.
    """
    ids = np.asarray(tokens)
    if ids.ndim != 1 or (ids.size and not 0 <= ids.min() <= ids.max() < N_TOKENS):
        raise ValueError(f"tokens: expected one dimension of numbers from 0 to {N_TOKENS - 1}, got {tokens!r}")
    return " ".join(TOKENS[i] for i in ids if i not in (PADDING, END))
