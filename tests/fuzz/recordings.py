"""Small valid recordings, tables and annotations of every format of own data, and what reads them."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile
import torch
from pyedflib import highlevel
from tiny_events import LEADS, RATE, write_annotated
from tiny_recordings import write_table

from multiresconv.cli import main
from multiresconv.cli.entry import guarded
from multiresconv.data.recordings import TableData, TargetKind, open_recordings
from multiresconv.models import Input, MultiresClassifier, Output, save

NUMBERED = ("channel 1", "channel 2")


def signal(length: int = 40) -> np.ndarray:
    """(length, 2), between -1 and 1, in steps that 16 bits hold."""
    return np.random.default_rng(0).integers(-900, 900, (length, 2)) / 1024


def write_model(folder: Path, names: tuple[str, str], rate: float | None) -> None:
    """A model that takes its channels out of any recording."""
    torch.manual_seed(0)
    input = Input("signal", names, rate=rate, reading="select")
    output = Output("class", ("low", "high"))
    save(MultiresClassifier(2, d_model=4, n_layers=1, d_input=2, depth=3, input=input, output=output), folder / "model")


def write_audio(folder: Path, suffix: str) -> Path:
    write_model(folder, NUMBERED, 100.0)
    soundfile.write(folder / f"a.{suffix}", signal(), 100, subtype="PCM_16")
    return folder / f"a.{suffix}"


def write_edf(folder: Path) -> Path:
    write_model(folder, ("I", "II"), 100.0)
    headers = highlevel.make_signal_headers(["I", "II"], sample_frequency=100, physical_min=-1, physical_max=1)
    highlevel.write_edf(str(folder / "a.edf"), list(np.ascontiguousarray(signal(100).T)), headers)
    return folder / "a.edf"


def write_parquet(folder: Path) -> Path:
    write_model(folder, ("I", "II"), None)
    return write_table(folder / "a.parquet", **dict(zip(("I", "II"), signal().T, strict=True)))


def write_npz(folder: Path) -> Path:
    write_model(folder, NUMBERED, None)
    np.savez(folder / "a.npz", X=signal().T.reshape(2, 2, 20))
    return folder / "a.npz"


def write_ts(folder: Path) -> Path:
    write_model(folder, NUMBERED, 2.0)
    row = ":".join(",".join(f"({at / 2},{value})" for at, value in enumerate(channel)) for channel in signal(6).T)
    (folder / "a.ts").write_text(f"@timeStamps true\n@dimensions 2\n@classLabel true x y\n@data\n{row}:x\n{row}:y\n")
    return folder / "a.ts"


def write_long_table(folder: Path) -> Path:
    parts = [
        pd.DataFrame(signal(5), columns=list(LEADS)).assign(who=who, time=np.arange(5) / 2, y=who) for who in ("a", "b")
    ]
    pd.concat(parts).to_csv(folder / "long.csv", index=False)
    return folder / "long.csv"


def write_labels(folder: Path) -> Path:
    for name in ("a.npy", "b.npy"):
        np.save(folder / name, signal())
    return write_table(
        folder / "labels.csv", file=["a.npy", "b.npy", "a.npy"], y=[1, 2, 1], start=[0, 5, 20], group=[1, 2, 1]
    )


def write_annotations(folder: Path) -> Path:
    write_model(folder, LEADS, float(RATE))
    write_annotated(folder, ["a"])
    return folder / "a.atr"


def predict_events(path: Path) -> int:
    around = ["--events", "atr", "--before", "0.1", "--after", "0.1"]
    return main(["predict", str(path.parent / "model"), str(path.with_suffix(".hea")), *around, "--json"])


def opens(kind: TargetKind, **options: str) -> Callable[[Path], int]:
    """Return a function that opens a table and prints what is in it."""
    return partial(_open, kind, options)


def _open(kind: TargetKind, options: dict[str, str], path: Path) -> int:
    def show() -> int:
        whole = {**options, "val_share": 0.0, "test_share": 0.0}
        rows = open_recordings(TableData(path, **whole), kind).split("train")  # pyright: ignore[reportArgumentType]
        print(rows.targets.names, rows.names, rows.groups, rows.checksum())
        return 0

    return guarded(show)
