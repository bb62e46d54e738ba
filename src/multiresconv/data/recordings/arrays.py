"""Sequences that are in memory already, as a data set of recordings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from multiresconv.data.readers.recording import numbered
from multiresconv.data.recordings.assign import assign
from multiresconv.data.recordings.cache import Signals
from multiresconv.data.recordings.open import RecordingSet
from multiresconv.data.recordings.options import TableData
from multiresconv.data.recordings.rows import Listing
from multiresconv.data.recordings.strata import strata
from multiresconv.data.recordings.targets import Targets
from multiresconv.data.recordings.windows import cut_windows
from multiresconv.data.splits import Split

LEAST_ROWS = 10  # with fewer the validation is on the training rows


def recordings_in_memory(
    sequences: Sequence[NDArray[np.float32]],
    targets: Targets,
    *,
    val_share: float,
    seed: int,
) -> RecordingSet:
    """Make a data set with training and validation rows of sequences (channels, time_i).

    Validation rows are drawn as in `assign`; fewer than `LEAST_ROWS` rows are all in both splits. There are no test
    rows, and with a `val_share` of 0 no validation rows either.

    Args:
        sequences: at least one; NaN where a value is missing.
        targets: of the sequences. Channels are named by their numbers.
        val_share: share of the rows to validate on.
        seed: of the draw.
    """
    rows = np.arange(len(sequences))
    if not val_share:
        train, val = rows, rows[:0]
    elif len(rows) < LEAST_ROWS:
        train = val = rows
    else:
        alone, nothing_given = [str(row) for row in rows], [""] * len(rows)
        names = targets.names if targets.kind == "class" else ()
        assigned_to = assign(
            alone, nothing_given, strata(targets), names, val_share=val_share, test_share=0.0, seed=seed
        )
        splits = assigned_to.splits
        train, val = np.flatnonzero(splits == 0), np.flatnonzero(splits == 1)
    channels = numbered(len(sequences[0]))
    order = np.concatenate([train, val])
    assigned: tuple[Split, ...] = ("train",) * len(train) + ("val",) * len(val)
    chosen = [sequences[row] for row in order]
    lengths = np.array([x.shape[1] for x in chosen], np.int64)
    values: NDArray[np.float32] = np.concatenate([np.asarray(x, np.float32).T for x in chosen])
    offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    names, units = tuple(f"sequence {row}" for row in order), (None,) * len(channels)
    return RecordingSet(
        data=TableData(),
        channels=channels,
        units=units,
        rate=None,
        targets=targets._replace(values=targets.values[order]),
        recordings=names,
        groups=names,
        assigned=assigned,
        skipped=(),
        remarks=(),
        signals=Signals(Listing([], (), False), values, offsets, channels, units, None, (), 0),
        windows=cut_windows(lengths, None, None),
    )
