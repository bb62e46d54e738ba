"""The rows of a data set: which recordings there are, with what targets, groups and splits."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from multiresconv.data.readers.long_table import read_long_table
from multiresconv.data.readers.npz import read_npz
from multiresconv.data.readers.recording import Recording, Wanted, listed
from multiresconv.data.readers.sequences import Sequences
from multiresconv.data.readers.table import Table, read_table
from multiresconv.data.readers.ts import read_ts
from multiresconv.data.recordings.options import TableData, names_of
from multiresconv.data.recordings.sections import listed_sections
from multiresconv.data.splits import SPLITS
from multiresconv.fields import shown

GROUP = "group"
SPLIT = "split"


class Row(NamedTuple):
    """A recording of a data set."""

    name: str  # for reports: "a.wav", "a.wav, 3 to 5" or "line 12"
    place: str  # of the row in its table, for messages
    targets: tuple[str, ...]  # a text for each target, "" if missing
    group: str
    split: str  # as given, "" if none is
    file: str = ""  # path of the recording; "" if the table itself holds it
    start: float | None = None
    stop: float | None = None


class Listing(NamedTuple):
    """The rows of a data set, before their signals are read."""

    rows: list[Row]
    targets: tuple[str, ...]  # names of the targets
    grouped: bool  # True if a column tells the groups


class Held(NamedTuple):
    """A data set whose file holds the signals too."""

    listing: Listing
    recordings: list[Recording]


def is_listed(data: TableData) -> bool:
    """Return True if the table lists files, False if it holds the signals itself."""
    return data.id is None and not data.table.is_dir() and data.table.suffix.lower() not in (".ts", ".npz")


def list_files(data: TableData) -> Listing:
    """Read a table that has a row for each recording.

    Raises:
        OSError: the table cannot be read.
        ValueError: a column is missing, or a cell is not what it should be; the message names the line.
    """
    table = read_table(data.table)
    sections = listed_sections(table)
    targets = _targets(data, table)
    texts = [table.texts(name) for name in targets]
    group, split = _role(table, data.group, GROUP), _role(table, data.split, SPLIT)
    groups, splits = _texts(table, group), _splits(table, split)
    rows = []
    for index, (file, start, stop) in enumerate(sections):
        place = table.place(index)
        if groups is not None and not groups[index]:
            raise ValueError(f"{place}, column {group}: expected the name of a group, got none")
        whole = start is None and stop is None
        name = file if whole else f"{file}, {start or 0:g} to {'the end' if stop is None else f'{stop:g}'}"
        path = str(table.path.parent / file)
        rows.append(
            Row(
                name,
                place,
                tuple(column[index] for column in texts),
                file if groups is None else groups[index],
                "" if splits is None else splits[index],
                path,
                start,
                stop,
            )
        )
    return Listing(rows, targets, groups is not None)


def read_held(data: TableData) -> Held:
    """Read a data set whose file holds the signals: a long table, `.ts`, a folder of two `.ts`, or `.npz`.

    Raises:
        OSError: a file cannot be read.
        ValueError: a file is malformed, or an option does not suit it; the message names the file.
    """
    if data.id is not None:
        return _read_long(data)
    for option, value in (("group", data.group), ("split", data.split)):
        if value is not None:
            raise ValueError(f"{option}: {data.table} has no columns; leave it out")
    parts = [(path, split, _read_sequences(path)) for path, split in sources_of(data)]
    (path, _, first), *others = parts
    for other, _, sequences in others:
        if (sequences.channels, sequences.targets.keys()) != (first.channels, first.targets.keys()):
            raise ValueError(
                f"{other}: expected {len(first.channels)} channel(s) and {len(first.targets)} target(s) as {path.name} "
                f"has, got {len(sequences.channels)} and {len(sequences.targets)}"
            )
    wanted = names_of(data.target, "target")
    for name in wanted or ():
        if name not in first.targets:
            raise ValueError(f"{path}: target: expected one of {listed(tuple(first.targets)) or 'none'}, got {name!r}")
    targets = tuple(first.targets) if wanted is None else wanted
    rows, recordings = list[Row](), list[Recording]()
    for path, split, sequences in parts:
        columns = Wanted(names_of(data.channels, "channels")).columns(sequences.channels, str(path))
        channels = tuple(sequences.channels[column] for column in columns)
        for index, (values, where) in enumerate(zip(sequences.values, sequences.places, strict=True)):
            name = f"{path.name}, {where}"
            texts = tuple(sequences.targets[target][index] for target in targets)
            rows.append(Row(name, f"{path}, {where}", texts, name, split))
            recordings.append(Recording(values[columns], channels, sequences.rate, None))
    return Held(Listing(rows, targets, False), recordings)


def sources_of(data: TableData) -> list[tuple[Path, str]]:
    """Return the files of a data set that hold signals, each with the split that its name says, or "".

    Raises:
        ValueError: a folder does not hold exactly one pair NAME_TRAIN.ts and NAME_TEST.ts.
    """
    if not data.table.is_dir():
        return [(data.table, "")]
    pairs = []
    for train in sorted(data.table.glob("*_TRAIN.ts")):
        test = train.with_name(f"{train.name.removesuffix('_TRAIN.ts')}_TEST.ts")
        if test.is_file():
            pairs.append([(train, "train"), (test, "test")])
    if len(pairs) != 1:
        raise ValueError(
            f"{data.table}: expected one pair NAME_TRAIN.ts and NAME_TEST.ts in this folder, got {len(pairs)}"
        )
    return pairs[0]


def _read_sequences(path: Path) -> Sequences:
    return read_npz(path) if path.suffix.lower() == ".npz" else read_ts(path)


def _read_long(data: TableData) -> Held:
    table = read_table(data.table)
    assert data.id is not None
    for option, name in (("id", data.id), ("time", data.time)):
        if name is not None:
            table.check_column(name, option)
    targets = _targets(data, table)
    group, split = _role(table, data.group, GROUP), _role(table, data.split, SPLIT)
    roles = {data.id, data.time, group, split, *targets}
    values = names_of(data.values, "values") or tuple(_numeric(table, roles))
    if not values:
        raise ValueError(f"{table.path}: values: expected columns of numbers beside {', '.join(filter(None, roles))}")
    columns = {name: table.texts(name) for name in {group, split, *targets} if name is not None}
    splits = _splits(table, split)
    wanted = Wanted(names_of(data.channels, "channels"))
    rows, recordings = list[Row](), list[Recording]()
    for part in read_long_table(table, id=data.id, time=data.time, values=values):
        for name, texts in columns.items():
            for row in part.rows.tolist():
                if texts[row] != texts[part.rows[0]]:
                    raise ValueError(
                        f"{table.place(row)}, column {name}: expected {shown(texts[part.rows[0]])} as in other rows of "
                        f"{data.id} {shown(part.id)}, got {shown(texts[row])}"
                    )
        first = int(part.rows[0])
        place, of_group = table.place(int(part.rows.min())), part.id if group is None else columns[group][first]
        if not of_group:
            raise ValueError(f"{place}, column {group}: expected the name of a group, got none")
        of_split = "" if splits is None else splits[first]
        rows.append(Row(part.id, place, tuple(columns[name][first] for name in targets), of_group, of_split))
        chosen = wanted.columns(values, str(table.path))
        recordings.append(
            part.recording._replace(
                values=part.recording.values[chosen], channels=tuple(values[index] for index in chosen)
            )
        )
    return Held(Listing(rows, targets, group is not None), recordings)


def _targets(data: TableData, table: Table) -> tuple[str, ...]:
    targets = names_of(data.target, "target") or ()
    for name in targets:
        table.check_column(name, "target")
    return targets


def _role(table: Table, given: str | None, usual: str) -> str | None:
    """Return the column that was given, or the usual one if the table has it."""
    if given is not None:
        table.check_column(given, usual)
        return given
    return usual if usual in table.columns else None


def _texts(table: Table, name: str | None) -> list[str] | None:
    return None if name is None else table.texts(name)


def _splits(table: Table, name: str | None) -> list[str] | None:
    if name is None:
        return None
    splits = table.texts(name)
    for row, split in enumerate(splits):
        if split not in SPLITS:
            got = shown(split) if split else "none"
            raise ValueError(f"{table.place(row)}, column {name}: expected {' or '.join(SPLITS)}, got {got}")
    return splits


def _numeric(table: Table, roles: set[str | None]) -> Iterator[str]:
    for name in table.columns:
        if name in roles or name.startswith("__index_level_"):
            continue
        try:
            table.numbers(name)
        except ValueError:
            continue
        yield name


def as_json(listing: Listing) -> Mapping[str, object]:
    """Return a listing ready for JSON."""
    return {"rows": [list(row) for row in listing.rows], "targets": list(listing.targets), "grouped": listing.grouped}


def from_json(value: Mapping[str, Sequence]) -> Listing:
    """Return the listing that `as_json` wrote."""
    rows = [Row(row[0], row[1], tuple(row[2]), *row[3:]) for row in value["rows"]]
    return Listing(rows, tuple(value["targets"]), bool(value["grouped"]))
