"""Elementary functions and half precision for Numba kernels.

The float32 functions have no branches and calls, so LLVM vectorises them; the C library's would be called once per
number. float64 uses the C library's functions, which are accurate to the last bits.
"""

import math
from typing import Any

import numpy as np
from numba import float32, int32, types, uint32
from numba.extending import overload

from multiresconv.ops.cpu.kernels.jit import exact

_f = np.float32

_LOG2_E, _LN2_HIGH, _LN2_LOW = _f(1.4426950408889634), _f(0.693359375), _f(-2.12194440e-4)
_EXP_MIN, _EXP_MAX = _f(-87), _f(88)
_BIAS = _f(127.5)  # exponent bias of float32, plus one half for rounding
_E7, _E6, _E5, _E4, _E3 = _f(1 / 5040), _f(1 / 720), _f(1 / 120), _f(1 / 24), _f(1 / 6)
_ZERO, _HALF, _ONE = _f(0), _f(0.5), _f(1)


@exact
def _exp32(x):
    """exp(x) = 2^k exp(r), |r| <= ln(2)/2, to one unit in the last place; x is clamped to -87..88."""
    x = _EXP_MIN if x < _EXP_MIN else x  # not min and max, which would turn NaN into a number
    x = _EXP_MAX if x > _EXP_MAX else x
    biased = int32(x * _LOG2_E + _BIAS)  # positive, so that truncation rounds down
    k = float32(biased - int32(127))
    r = x - k * _LN2_HIGH - k * _LN2_LOW
    p = ((((_E7 * r + _E6) * r + _E5) * r + _E4) * r + _E3) * r + _HALF
    return (p * r * r + r + _ONE) * np.int32(biased << int32(23)).view(np.float32)


# Abramowitz & Stegun 7.1.26: erfc(z) = t (a_1 + ... + a_5 t^4) exp(-z^2) to 1.5e-7, t = 1 / (1 + p z), z >= 0
_P = _f(0.3275911 / math.sqrt(2))
_A1, _A2, _A3, _A4, _A5 = _f(0.254829592), _f(-0.284496736), _f(1.421413741), _f(-1.453152027), _f(1.061405429)
_MINUS_HALF, _DENSITY_AT_0 = _f(-0.5), _f(1 / math.sqrt(2 * math.pi))
_ROOT_HALF, _ROOT_TWO_PI = math.sqrt(0.5), math.sqrt(2 * math.pi)


@exact
def _normal32(x):
    e = _exp32(_MINUS_HALF * x * x)
    t = _ONE / (_ONE + _P * abs(x))
    tail = _HALF * t * (_A1 + t * (_A2 + t * (_A3 + t * (_A4 + t * _A5)))) * e
    return (tail if x < _ZERO else _ONE - tail), _DENSITY_AT_0 * e


@exact
def _sigmoid32(x):
    return _ONE / (_ONE + _exp32(-x))


def normal(x: Any) -> Any:
    """Return the cumulative distribution function and the density of the standard normal distribution at x."""
    return 0.5 * math.erfc(-x * _ROOT_HALF), math.exp(-0.5 * x * x) / _ROOT_TWO_PI


def sigmoid(x: Any) -> Any:
    """Return 1 / (1 + exp(-x))."""
    return 1 / (1 + math.exp(-x))


def widen(value: Any) -> Any:
    """Return an array's number for computation: in kernels a bfloat16, stored as uint16, becomes float32."""
    return value


def narrow(array: Any, value: Any) -> Any:
    """Return a float as `array` stores it: in kernels rounded to bfloat16, ties to even, if the array is uint16."""
    return value


@overload(normal, jit_options={"fastmath": {"contract"}, "error_model": "numpy"})
def _normal(x):
    if x == types.float32:
        return lambda x: _normal32(x)
    return lambda x: (0.5 * math.erfc(-x * _ROOT_HALF), math.exp(-0.5 * x * x) / _ROOT_TWO_PI)


@overload(sigmoid, jit_options={"fastmath": {"contract"}, "error_model": "numpy"})
def _sigmoid(x):
    return (lambda x: _sigmoid32(x)) if x == types.float32 else (lambda x: 1 / (1 + math.exp(-x)))


@overload(widen)
def _widen(value):
    if value == types.uint16:
        return lambda value: np.uint32(uint32(value) << uint32(16)).view(np.float32)
    return lambda value: value


@overload(narrow)
def _narrow(array, value):
    if array.dtype != types.uint16:
        return lambda array, value: value

    def rounded(array, value):
        bits = np.float32(value).view(np.uint32)
        if value != value:
            return types.uint16(0x7FC0)
        return types.uint16((bits + uint32(0x7FFF) + ((bits >> uint32(16)) & uint32(1))) >> uint32(16))

    return rounded
