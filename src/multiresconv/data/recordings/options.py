"""`TableData`: where the recordings of a data set are, and how to cut and split them."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class TableData:
    """A data set of your own recordings.

    Args:
        table: a table (CSV or Parquet) with a row per recording, whose column `file` names it relative to the table and
            whose columns `start` and `stop`, if there, cut a section in seconds (in samples where no rate is known); or
            a long table, see `id`; or a .ts file; or a folder with NAME_TRAIN.ts and NAME_TEST.ts; or a .npz file with
            X (n, channels, time) and y.
        target: column of the target, or several, separated by commas; null for a forecast, and for the targets that a
            .ts or .npz file has.
        group: column that tells what belongs together, such as the patient; a group is never in two splits. Null means
            the column `group` if there is one, else the recording.
        split: column that says train, val or test; null means the column `split` if there is one, else the rows are
            drawn by the shares below. Without a row of val it is drawn from train.
        channels: names of the channels to use, separated by commas; null uses all.
        rate: samples per second that all recordings are brought to; recordings that state no rate are taken to have
            this one. Null keeps the rate, which then has to be one for all.
        window: length of the windows that recordings are cut into, in seconds (in samples if the rate is not known). A
            rest shorter than a window is left out; a recording shorter than a window stays whole. Null cuts none.
        hop: distance between the beginnings of two windows, in the unit of the window; null means the window.
        events: where labelled instants of the recordings are, such as beats; a window around each becomes a row with
            its label as target. A suffix names a file beside each recording: atr a WFDB annotation file, csv a table
            with columns time and label; edf means the annotations in EDF+ files themselves. The name of a table, such
            as beats.csv, in the folder of the table of recordings, means its columns file, time and label. Times are in
            seconds (in samples where no rate is known). Null takes none.
        before: time from the beginning of such a window to its instant, in the unit of the times.
        after: time from the instant to the end of the window.
        keep: labels of the events to use, separated by commas; null uses all, but of WFDB annotations only beats.
        other: one label for all other events; null leaves them out.
        val_share: share of the rows to validate on.
        test_share: share of the rows to test on.
        split_seed: seed of the draw of the splits.
        skip_unreadable: leave out recordings that cannot be read instead of stopping at the first.
        workers: processes that read recordings; null means one for each processor, at most eight, for 64 files or more.
        cache_folder: folder for a cache of all signals; null means beside the table.
        id: column of a long table, which has a row per sample, that tells its recordings apart; null if there is a row
            per recording.
        time: column of a long table with the time of each sample; null takes the rows as they come, without a rate.
        values: columns of a long table with the channels, separated by commas; null means all that hold numbers and
            have no other role.
    """

    table: Path = Path("labels.csv")
    target: str | None = None
    group: str | None = None
    split: str | None = None
    channels: str | None = None
    rate: float | None = None
    window: float | None = None
    hop: float | None = None
    events: str | None = None
    before: float | None = None
    after: float | None = None
    keep: str | None = None
    other: str | None = None
    val_share: float = 0.15
    test_share: float = 0.15
    split_seed: int = 0
    skip_unreadable: bool = False
    workers: int | None = None
    cache_folder: Path | None = None
    id: str | None = None
    time: str | None = None
    values: str | None = None

    def check(self) -> None:
        """Raise ValueError if an option is out of range, or contradicts another."""
        for name, number in (("rate", self.rate), ("window", self.window), ("hop", self.hop)):
            if number is not None and not 0 < number < float("inf"):
                raise ValueError(f"{name}: expected more than 0, got {number:g}")
        for name, share in (("val_share", self.val_share), ("test_share", self.test_share)):
            if not 0 <= share < 1:
                raise ValueError(f"{name}: expected at least 0 and less than 1, got {share:g}")
        if self.val_share + self.test_share >= 1:
            together = self.val_share + self.test_share
            raise ValueError(f"val_share: expected less than 1 together with test_share, got {together:g}")
        for name, count in (("split_seed", self.split_seed), ("workers", self.workers)):
            if count is not None and count < 0:
                raise ValueError(f"{name}: expected at least 0, got {count}")
        if self.hop is not None and self.window is None:
            raise ValueError("hop: expected a window too; set window")
        self._check_events()
        for name, value in (("time", self.time), ("values", self.values)):
            if value is not None and self.id is None:
                raise ValueError(f"{name}: expected with the option id, for a long table; name its column of ids")

    def _check_events(self) -> None:
        around = {"before": self.before, "after": self.after}
        if self.events is None:
            for name, value in {**around, "keep": self.keep, "other": self.other}.items():
                if value is not None:
                    raise ValueError(f"{name}: expected with the option events, which says where they are")
            return
        if self.id is not None or self.table.is_dir() or self.table.suffix.lower() in (".ts", ".npz"):
            raise ValueError(f"events: expected a table with a row per recording, got {self.table}")
        if not self.events.strip("."):
            raise ValueError(f"events: expected a suffix such as atr, or the name of a table, got {self.events!r}")
        for name, value in around.items():
            if value is None or not 0 <= value < float("inf"):
                got = "none" if value is None else f"{value:g}"
                raise ValueError(f"{name}: expected at least 0 with the option events, got {got}")
        for name, value in (("target", self.target), ("window", self.window)):
            if value is not None:
                raise ValueError(f"{name}: expected none with the option events, got {value}; leave it out")
        if self.other is not None and self.keep is None:
            raise ValueError("other: expected with the option keep, which says what is not other")


def names_of(text: str | None, option: str) -> tuple[str, ...] | None:
    """Split names at commas; raises ValueError if one is empty or comes twice."""
    if text is None:
        return None
    names = tuple(name.strip() for name in text.split(","))
    if "" in names or len(set(names)) < len(names):
        raise ValueError(f"{option}: expected different names, separated by commas, got {text!r}")
    return names
