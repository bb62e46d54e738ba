"""Cut recordings into parts, so that fewer recordings than splits can be split in time."""

from collections.abc import Sequence

import numpy as np

from multiresconv.data.recordings.cache import Signals
from multiresconv.data.recordings.rows import Row

PARTS = 20  # of a file
LEAST_WINDOWS = 5  # in a part; what sticks out of it is lost


def in_parts(signals: Signals, chosen: Sequence[int], window: int) -> Signals:
    """Cut some recordings into up to `PARTS` parts of equal duration, each of which is a group of its own.

    Sections of one file are cut at the same instants: what lies in two sections is in one group.

    Args:
        signals: of all recordings.
        chosen: indices of the recordings to cut.
        window: time steps of the windows; a part is at least `LEAST_WINDOWS` of them long.
    """
    scale, unit = (1.0, "samples") if signals.rate is None else (signals.rate, "s")
    lengths = np.diff(signals.offsets)
    first = [int(signals.steps(row.start or 0.0)) for row in signals.listing.rows]
    cuts = dict[str, np.ndarray]()
    for file in dict.fromkeys(signals.listing.rows[index].file for index in chosen):
        of_file = [index for index in chosen if signals.listing.rows[index].file == file]
        low, high = min(first[index] for index in of_file), max(first[index] + lengths[index] for index in of_file)
        count = min(PARTS, max(int(high - low) // (LEAST_WINDOWS * window), 1))
        cuts[file] = np.linspace(low, high, count + 1).round().astype(np.int64)
    rows, sizes = list[Row](), list[int]()
    for index, row in enumerate(signals.listing.rows):
        if index not in chosen:
            rows.append(row)
            sizes.append(int(lengths[index]))
            continue
        edges = cuts[row.file]
        for number, (low, high) in enumerate(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True), start=1):
            start, stop = max(low, first[index]), min(high, first[index] + int(lengths[index]))
            if start < stop:
                name = f"{row.name.partition(',')[0]}, {start / scale:g} to {stop / scale:g} {unit}"
                group = f"{row.group}, part {number} of {len(edges) - 1}"
                rows.append(row._replace(name=name, group=group, start=start / scale, stop=stop / scale))
                sizes.append(stop - start)
    offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    return signals._replace(listing=signals.listing._replace(rows=rows), offsets=offsets)
