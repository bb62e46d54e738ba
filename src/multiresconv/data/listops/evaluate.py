"""Evaluate a ListOps expression from its text, independently of the generator, to check the generator's labels."""

from statistics import median

import numpy as np

from multiresconv.fields import shown

_FUNCTIONS = {
    "[MIN": min,
    "[MAX": max,
    "[MED": lambda values: int(median(values)),
    "[SM": lambda values: sum(values) % 10,
}


def evaluate_listops(source: str) -> int:
    """Return the value, 0 to 9, of an expression such as `[MAX 2 9 [MIN 4 7 ] 0 ]`.

    MED is the median, rounded down if it lies between two digits; SM is the sum modulo 10. Parentheses, as in the
    published files, are optional and ignored, but must balance.

    Raises:
        ValueError: brackets or parentheses do not balance, a token is unknown, an operator has no argument, or the text
            does not hold exactly one expression.
    """
    check_parentheses(source)
    frames: list[tuple[str, list[int]]] = [("", [])]  # open operators with their arguments; the first is the text
    for token in source.replace("(", " ").replace(")", " ").split():
        if token in _FUNCTIONS:
            frames.append((token, []))
        elif token == "]":
            operator, values = frames.pop()
            if not frames:
                raise ValueError("']' without an operator")
            if not values:
                raise ValueError(f"{operator} has no argument")
            frames[-1][1].append(_FUNCTIONS[operator](values))
        elif len(token) == 1 and token in "0123456789":
            frames[-1][1].append(int(token))
        else:
            raise ValueError(f"unknown token {shown(token)}, expected a digit or one of {' '.join(_FUNCTIONS)} ] ( )")
    if len(frames) > 1:
        raise ValueError(f"{frames[-1][0]} is not closed by ']'")
    (_, values) = frames[0]
    if len(values) != 1:
        raise ValueError(f"expected one expression, got {len(values)}")
    return values[0]


def check_parentheses(source: str) -> None:
    """Raise ValueError unless the parentheses of an expression balance."""
    letters = np.frombuffer(source.encode(), np.uint8)
    depth = np.cumsum((letters == ord("(")).astype(np.int64) - (letters == ord(")")))
    if depth.size and depth.min() < 0:
        raise ValueError("')' without '('")
    if depth.size and depth[-1] > 0:
        raise ValueError(f"{depth[-1]} of the '(' not closed by ')'")
