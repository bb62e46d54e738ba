"""The table of file kinds: how a valid file is made, what reads it, and how it may be damaged on purpose."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
from fuzz import hostile, recordings, samples
from fuzz.hostile import Damage

from multiresconv.cli import main
from multiresconv.cli.entry import guarded
from multiresconv.data.archive import unpacked
from multiresconv.data.cifar10 import open_cifar10_file
from multiresconv.data.images import Images
from multiresconv.data.mnist import open_mnist


@dataclass(frozen=True)
class Kind:
    """A kind of file.

    Args:
        name: name of the kind.
        make: writes a valid file, and what belongs to it, into a folder; returns the path of the file.
        run: gives the file to what the command line calls, prints the answer and returns the exit code.
        names: one of these is in every error, usually the name of the file.
        has_checksum: the format has one, so a damaged file never gives another answer.
        hostile: damage on purpose, by name.
    """

    name: str
    make: Callable[[Path], Path]
    run: Callable[[Path], int]
    names: tuple[str, ...]
    has_checksum: bool = False
    hostile: Mapping[str, Damage] = field(default_factory=dict)


def predict(path: Path) -> int:
    return main(["predict", str(path.parent / "model"), str(path), "--json"])


def predict_with(path: Path) -> int:
    """Predict with the model that the file belongs to."""
    return main(["predict", str(path.parent), str(path.parents[1] / "signal.csv"), "--json"])


def verify_listops(path: Path) -> int:
    return main(["data", "listops", "--verify", "--folder", str(path.parent)])


def evaluate(path: Path) -> int:
    return main(["evaluate", str(path.parent), "--device", "cpu"])


def resume(path: Path) -> int:
    code = main(["train", "listops", "--resume", str(path.parents[1])])
    if code == 0:
        weights = torch.load(path, weights_only=True)["model"]
        print(*(hashlib.sha256(tensor.numpy().tobytes()).hexdigest() for tensor in weights.values()))
    return code


def read_images(read: Callable[[], Images]) -> int:
    def show() -> int:
        images = read()
        print(images.pixels.shape, hashlib.sha256(images.pixels.tobytes() + images.labels.tobytes()).hexdigest())
        return 0

    return guarded(show)


def read_mnist(path: Path) -> int:
    return read_images(lambda: open_mnist(path.parent, "train"))


def read_cifar(path: Path) -> int:
    return read_images(lambda: open_cifar10_file(path))


def unpack(path: Path) -> int:
    def show() -> int:
        with unpacked(path, path.parent, max_bytes=100_000) as folder:
            for file in sorted(folder.rglob("*")):
                print(file.relative_to(folder), file.read_bytes() if file.is_file() else "folder")
        return 0

    return guarded(show)


_MODEL = ("config.json", "model.safetensors")
KINDS = (
    Kind("npy", samples.write_npy, predict, ("signal.npy",), hostile=hostile.NPY),
    Kind("csv", samples.write_csv, predict, ("signal.csv",), hostile=hostile.CSV),
    Kind("png", samples.write_png, predict, ("digit.png",), hostile=hostile.PNG),
    Kind("hea", samples.write_record, predict, ("ecg.hea", "ecg.dat"), hostile=hostile.HEA),
    Kind("dat", samples.write_samples_of_record, predict, ("ecg.hea", "ecg.dat")),
    Kind("tsv", samples.write_tsv, verify_listops, ("basic_train.tsv",), hostile=hostile.TSV),
    Kind("idx", samples.write_mnist, read_mnist, ("train-images-idx3-ubyte",), hostile=hostile.IDX),
    Kind("bin", samples.write_bin, read_cifar, ("data_batch_1.bin",), hostile=hostile.BIN),
    Kind("config.json", samples.write_config_json, predict_with, _MODEL, hostile=hostile.CONFIG_JSON),
    Kind(
        "model.safetensors",
        samples.write_safetensors,
        predict_with,
        _MODEL,
        has_checksum=True,
        hostile=hostile.SAFETENSORS,
    ),
    Kind(
        "config.yaml",
        partial(samples.write_finished_run, name="config.yaml"),
        evaluate,
        ("config.yaml", "basic_test.tsv"),  # the file may name another folder of data
        hostile=hostile.CONFIG_YAML,
    ),
    Kind(
        "run.json",
        partial(samples.write_finished_run, name="run.json"),
        evaluate,
        ("run.json", "config.yaml"),  # the options of another task contradict each other
        hostile=hostile.RUN_JSON,
    ),
    Kind(
        "metrics.jsonl",
        partial(samples.write_finished_run, name="metrics.jsonl"),
        evaluate,
        ("metrics.jsonl",),
        hostile=hostile.METRICS,
    ),
    Kind(
        "last.ckpt",
        samples.write_checkpoint,
        resume,
        ("last.ckpt",),
        has_checksum=True,
        hostile=hostile.CHECKPOINT,
    ),
    Kind("data.pkl", samples.write_pickle, lambda path: resume(samples.put_back(path)), ("last.ckpt",)),
    Kind("tar.gz", samples.write_tar, unpack, ("archive.tar.gz",), has_checksum=True, hostile=hostile.TAR),
    Kind(
        "gz",
        samples.write_packed_mnist,
        read_mnist,
        ("train-images-idx3-ubyte.gz",),
        has_checksum=True,
        hostile=hostile.GZ,
    ),
    Kind("wav", partial(recordings.write_audio, suffix="wav"), predict, ("a.wav",), hostile=hostile.WAV),
    Kind("flac", partial(recordings.write_audio, suffix="flac"), predict, ("a.flac",)),
    Kind("edf", recordings.write_edf, predict, ("a.edf",), hostile=hostile.EDF),
    Kind("parquet", recordings.write_parquet, predict, ("a.parquet",)),
    Kind("npz", recordings.write_npz, predict, ("a.npz",), hostile=hostile.NPZ),
    Kind("ts", recordings.write_ts, predict, ("a.ts",), hostile=hostile.TS),
    Kind(
        "long table",
        recordings.write_long_table,
        recordings.opens("class", id="who", time="time", target="y"),
        ("long.csv", "class"),
        hostile=hostile.LONG_TABLE,
    ),
    Kind(
        "label table",
        recordings.write_labels,
        recordings.opens("class", target="y"),
        ("labels.csv", "/case", "class"),  # the table may name any other file
        hostile=hostile.LABEL_TABLE,
    ),
    Kind("atr", recordings.write_annotations, recordings.predict_events, ("a.atr", "a.hea"), hostile=hostile.ATR),
)
