"""`read_sequences` and `read_chunk`: what users pass to `fit`, `predict` and streams, as arrays (channels, time)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.utils import check_array

from multiresconv.data.readers.values import LARGEST

Sequences = list[NDArray[np.float32]]


def read_sequences(X: Any, *, channels: int | None = None) -> Sequences:
    """Return the sequences of X as float32 arrays (channels, time_i).

    Args:
        X: one of

            - an array (n, channels, time),
            - an array or a DataFrame (n, time), for one channel; the columns of a DataFrame are the time steps,
            - a list of arrays (channels, time_i), or (time_i,) for one channel, of any lengths,
            - a list of DataFrames (time_i, channels), whose columns are the channels.

            NaN is a missing value.
        channels: number of channels that is expected; None takes any.

    Raises:
        TypeError: X is sparse, or not a list of arrays.
        ValueError: no sequence, no step or no channel; infinite or complex values, or above 1e18; a number of
            channels that differs between sequences or from `channels`.
    """
    sequences = _ragged(X) if _is_ragged(X) else _stacked(X)
    for i, x in enumerate(sequences):
        if (np.abs(x) > LARGEST).any():  # NaN is not
            raise ValueError(f"X: sequence {i}: expected values of at most {LARGEST:g}, got {np.nanmax(np.abs(x)):g}")
    expected = len(sequences[0]) if channels is None else channels
    for i, x in enumerate(sequences):
        if len(x) != expected:
            other = "sequence 0 has" if channels is None else "fit saw"
            raise ValueError(
                f"X: sequence {i} has {len(x)} channels, {other} {expected}; all need the same number; "
                "an array is (channels, time)"
            )
    return sequences


def read_chunk(x: Any, channels: int) -> NDArray[np.float32]:
    """Return a step (channels,), for one channel also a number, or a chunk (channels, t), as float32 (channels, t).

    Raises:
        ValueError: another shape, no step, or an infinite value.
    """
    chunk = np.asarray(x, np.float32)
    if chunk.ndim == 0 and channels == 1:
        chunk = chunk[None]
    if chunk.ndim == 1:
        chunk = chunk[:, None]
    if chunk.ndim != 2 or len(chunk) != channels or not chunk.shape[1]:
        raise ValueError(
            f"x: expected a step ({channels},) or a chunk ({channels}, steps >= 1), got shape {np.shape(x)}"
        )
    if np.isinf(chunk).any():
        raise ValueError("x: expected finite values or NaN, got an infinite one")
    return chunk


def _is_ragged(X: Any) -> bool:
    """True if X is a list of arrays: of shape (channels, time_i), or (time_i,) with different lengths."""
    if isinstance(X, np.ndarray) and X.dtype == object and X.ndim == 1:
        X = list(X)
    if not isinstance(X, list | tuple) or not X:
        return False
    dimensions = {_dimensions(x) for x in X}
    if dimensions == {1}:
        return len({len(x) for x in X}) > 1
    return 2 in dimensions


def _dimensions(x: Any) -> int:
    if hasattr(x, "shape"):
        return len(x.shape)
    if isinstance(x, list | tuple):
        return 2 if x and isinstance(x[0], list | tuple | np.ndarray) else 1
    return 0


def _ragged(X: Any) -> Sequences:
    sequences = []
    for i, x in enumerate(X):
        name = f"X: sequence {i}"
        if _dimensions(x) not in (1, 2):
            raise TypeError(f"{name}: expected an array (channels, time), got {type(x).__name__}")
        x = np.atleast_2d(_one(x.to_numpy().T if hasattr(x, "columns") else x, name))
        if 0 in x.shape:
            raise ValueError(f"{name}: expected shape (channels >= 1, time >= 1), got {x.shape}")
        sequences.append(x)
    return sequences


def _one(x: Any, name: str) -> NDArray[np.float32]:
    """Return one sequence as numbers; scikit-learn's `check_array` would take half a millisecond."""
    try:
        if np.iscomplexobj(x):
            raise TypeError("Complex data not supported")
        with np.errstate(over="ignore"):  # becomes infinite and is refused below
            x = np.asarray(x, np.float32)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected an array of numbers: {error}") from None
    if np.isinf(x).any():
        raise ValueError(f"{name}: expected finite values or NaN, got infinity or a value too large for float32")
    return x


def _stacked(X: Any) -> Sequences:
    if isinstance(X, list | tuple) and not X:
        raise ValueError("X: expected at least one sequence, got an empty list")
    array = _numbers(X, "X")
    if array.ndim == 2:
        array = array[:, None]
    if array.ndim != 3:
        raise ValueError(f"X: expected shape (n, channels, time) or (n, time), got {array.shape}")
    if 0 in array.shape:
        raise ValueError(f"X: expected at least one sequence, channel and step, got shape {array.shape}")
    return list(array)


def _numbers(X: Any, name: str) -> NDArray[np.float32]:
    options: dict[str, Any] = {"dtype": np.float32, "ensure_all_finite": "allow-nan", "allow_nd": True}
    return check_array(X, input_name=name, **options)
