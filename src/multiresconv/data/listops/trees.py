"""Compiled kernels that draw random ListOps trees, evaluate them and write them as text.

A tree is an array of its tokens in reading order: operator, arguments, `]`. Its length is the number of tokens.
Importing this module imports Numba, and the first call compiles, so import it only where it is used.

Random numbers come from SplitMix64 (Steele, Lea & Flood 2014) on 64-bit integers: rows are the same on every machine.
"""

import numpy as np
from numba import njit

from multiresconv.data.listops.vocabulary import CLOSE, DIGITS, OPERATORS, TOKENS, token_id

# Compiled in as constants. Numba's cache checks this file alone, so if the token numbers change, edit this file too.
_DIGIT, _OPERATOR, _CLOSE = token_id(DIGITS[0]), token_id(OPERATORS[0]), token_id(CLOSE)
_MIN, _MAX, _MED = (token_id(operator) for operator in ("[MIN", "[MAX", "[MED"))
_SPELLING = np.array([list(token.encode().ljust(5, b"\0")) for token in TOKENS], dtype=np.uint8)
_OPEN, _SHUT, _SPACE = ord("("), ord(")"), ord(" ")
_GAMMA = np.uint64(0x9E3779B97F4A7C15)

TEXT_PER_TOKEN = 8  # bound on the mean bytes of text per token of a tree; an operator and its `]` take 15 together


@njit(nogil=True, cache=True)
def draw_rows(
    seed, split, first, attempt, min_length, max_length, max_depth, max_args, operator_probability, max_draws,
    text, ends, labels,
):  # fmt: skip
    """Draw the rows first, first + 1, ... of a split, one per entry of `ends`; return how many were found.

    Every row has its own random stream, seeded by (seed, split, row, attempt), and is the first tree of the stream with
    min_length < length < max_length. Row i of the call is text[ends[i-1]:ends[i]] and has the value labels[i].
    Stops early if max_draws draws find no tree for a row.

    Args:
        seed, split, attempt: uint64, identify the stream.
        text: (len(ends) * max_length * TEXT_PER_TOKEN,) uint8, written.
        ends: (rows,) int64, written.
        labels: (rows,) uint8, written.
    """
    tokens = np.empty(max_length, np.uint8)
    place = np.empty(max_length, np.int64)  # scratch: a stack of open operators
    count = np.empty(max_length, np.int64)  # scratch: arguments of each operator
    digits = np.empty((max_length, 10), np.int64)  # scratch: counts of each value among an operator's arguments
    state = np.empty(1, np.uint64)
    end = 0
    for i in range(len(ends)):
        row = np.uint64(first + i)
        state[0] = _mix(_mix(_mix(_mix(seed) + split) + row) + attempt)
        length, draws = 0, 0
        while not min_length < length < max_length:
            if draws == max_draws:
                return i
            draws += 1
            length = _draw_tree(state, operator_probability, max_length, max_depth, max_args, tokens, count)
        labels[i] = _value(tokens[:length], place, digits)
        end = write_text(tokens[:length], text, end, place, count)
        ends[i] = end
    return len(ends)


@njit(nogil=True, cache=True)
def _draw_tree(state, operator_probability, max_length, max_depth, max_args, tokens, left):
    """Draw one tree into `tokens`; return its length, or 0 as soon as it is certain to reach max_length.

    The root has depth 1. A node above max_depth is an operator with the given probability, else a digit; a node at
    max_depth is a digit.
    """
    length, depth = 0, 1
    owed = 1  # tokens still to come for certain: undrawn nodes, and `]` of open operators
    while owed:
        if length + owed >= max_length:
            return 0
        if depth < max_depth and _uniform(state) < operator_probability:
            tokens[length] = _OPERATOR + _below(state, 4)
            left[depth] = 2 + _below(state, max_args - 1)
            owed += left[depth]  # minus this node, plus its `]`
            length += 1
            depth += 1
            continue
        tokens[length] = _DIGIT + _below(state, 10)
        length += 1
        owed -= 1
        while depth > 1:
            left[depth - 1] -= 1
            if left[depth - 1] > 0:
                break
            tokens[length] = _CLOSE
            length += 1
            owed -= 1
            depth -= 1
    return length


@njit(nogil=True, cache=True)
def _value(tokens, operators, digits):
    """Return the value of a tree, 0 to 9, using the counts of each value among an operator's arguments."""
    depth = 0
    value = 0
    for token in tokens:
        if _OPERATOR <= token < _CLOSE:
            operators[depth] = token
            digits[depth] = 0
            depth += 1
            continue
        if token == _CLOSE:
            depth -= 1
            value = _apply(operators[depth], digits[depth])
        else:
            value = token - _DIGIT
        if depth:
            digits[depth - 1, value] += 1
    return value


@njit(nogil=True, cache=True)
def subtrees(tokens, spans, values):
    """Write the start, end and value of every operator with its arguments; return the number of operators.

    In a truncated row, operators that are never closed are left out.

    Args:
        tokens: (n,) uint8, a tree.
        spans: (n, 2) int64, written.
        values: (n,) int64, written.
    """
    starts, digits = np.empty(len(tokens) + 1, np.int64), np.zeros((len(tokens) + 1, 10), np.int64)
    depth, found = 0, 0
    for i in range(len(tokens)):
        token = tokens[i]
        if _OPERATOR <= token < _CLOSE:
            starts[depth] = i
            digits[depth] = 0
            depth += 1
        elif token == _CLOSE:
            depth -= 1
            value = _apply(tokens[starts[depth]], digits[depth])
            spans[found, 0], spans[found, 1], values[found] = starts[depth], i + 1, value
            found += 1
            if depth:
                digits[depth - 1, value] += 1
        elif depth:
            digits[depth - 1, token - _DIGIT] += 1
    return found


@njit(nogil=True, cache=True)
def _apply(operator, digits):
    n = digits.sum()
    if operator == _MIN:
        return _ranked(digits, 0)
    if operator == _MAX:
        return _ranked(digits, n - 1)
    if operator == _MED:
        return (_ranked(digits, (n - 1) // 2) + _ranked(digits, n // 2)) // 2
    total = 0
    for value in range(10):
        total += value * digits[value]
    return total % 10


@njit(nogil=True, cache=True)
def _ranked(digits, rank):
    """Return the value at index `rank` of the sorted arguments."""
    seen = 0
    for value in range(10):
        seen += digits[value]
        if seen > rank:
            return value
    return -1


@njit(nogil=True, cache=True)
def write_text(tokens, text, end, place, count):
    """Write a tree into text from index `end` on, in the published form; return the new end.

    The published form nests pairs, `( left right )`: an operator is paired with its arguments one by one, then with
    `]`, as in `( ( ( [MAX 2 ) 9 ) ] )`. So n + 1 parentheses open before an operator of n arguments, and one closes
    after each argument and after `]`.
    """
    depth = 0
    for i in range(len(tokens)):  # count the arguments of each operator
        if tokens[i] == _CLOSE:
            depth -= 1
        elif depth:
            count[place[depth - 1]] += 1
        if _OPERATOR <= tokens[i] < _CLOSE:
            count[i] = 0
            place[depth] = i
            depth += 1
    for i in range(len(tokens)):
        operator = _OPERATOR <= tokens[i] < _CLOSE
        if operator:
            for _ in range(count[i] + 1):
                text[end], text[end + 1] = _OPEN, _SPACE
                end += 2
            depth += 1
        for letter in _SPELLING[tokens[i]]:
            if letter:
                text[end] = letter
                end += 1
        text[end] = _SPACE
        end += 1
        if operator:
            continue
        shut = 1 if depth else 0
        if tokens[i] == _CLOSE:
            depth -= 1
            shut = 2 if depth else 1
        for _ in range(shut):
            text[end], text[end + 1] = _SHUT, _SPACE
            end += 2
    return end - 1


@njit(nogil=True, cache=True)
def _below(state, n):
    """Draw a uniform integer from 0 to n - 1; n is far below 2^32, so the bias is negligible."""
    return np.int64(((_next(state) >> np.uint64(32)) * np.uint64(n)) >> np.uint64(32))


@njit(nogil=True, cache=True)
def _uniform(state):
    """Draw a uniform float in [0, 1) with 53 random bits."""
    return np.float64(_next(state) >> np.uint64(11)) * 2.0**-53


@njit(nogil=True, cache=True)
def _next(state):
    state[0] += _GAMMA
    return _mix(state[0])


@njit(nogil=True, cache=True)
def _mix(z):
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))
