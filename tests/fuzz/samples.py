"""Small valid files of every kind, made by code, and the models and the run that read them."""

import gzip
import io
import re
import shutil
import tarfile
import zipfile
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from tiny_images import cifar_records, write_idx
from tiny_run import train, write_data, write_rows

from multiresconv.models import Input, MultiresClassifier, Output, save

CHANNELS = ("I", "II")
SIDE = 4


def signal() -> np.ndarray:
    """(12, 2) in mV, whole microvolts."""
    return np.random.default_rng(0).integers(-900, 900, (12, 2)) / 1000


def write_signal_model(folder: Path) -> Path:
    return _write_model(folder, Input("signal", CHANNELS, unit="mV", rate=100.0))


def write_image_model(folder: Path) -> Path:
    return _write_model(folder, Input("image", ("grey",), side=SIDE))


def _write_model(folder: Path, input: Input) -> Path:
    torch.manual_seed(0)
    model = MultiresClassifier(
        2,
        d_model=4,
        n_layers=1,
        d_input=input.size,
        depth=3,
        input=input,
        output=Output("class", ("low", "high")),
    )
    save(model, folder)
    return folder


def write_npy(folder: Path) -> Path:
    write_signal_model(folder / "model")
    np.save(folder / "signal.npy", signal())
    return folder / "signal.npy"


def write_csv(folder: Path) -> Path:
    write_signal_model(folder / "model")
    rows = "".join(f"{a:.3f},{b:.3f}\n" for a, b in signal())
    (folder / "signal.csv").write_text(f"I,II\n{rows}")
    return folder / "signal.csv"


def write_png(folder: Path) -> Path:
    write_image_model(folder / "model")
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE), np.uint8)
    Image.fromarray(pixels).save(folder / "digit.png")
    return folder / "digit.png"


def write_record(folder: Path) -> Path:
    """A WFDB record; return its header, beside which stand the samples."""
    write_signal_model(folder / "model")
    samples = (signal() * 1000).round().astype("<i2")
    (folder / "ecg.dat").write_bytes(samples.tobytes())
    lines = [f"ecg 2 100 {len(samples)}"]
    for name, column in zip(CHANNELS, samples.T.astype(int), strict=True):
        checksum = (int(column.sum()) + 2**15) % 2**16 - 2**15
        lines.append(f"ecg.dat 16 1000/mV 16 0 {column[0]} {checksum} 0 {name}")
    (folder / "ecg.hea").write_text("\n".join(lines) + "\n")
    return folder / "ecg.hea"


def write_samples_of_record(folder: Path) -> Path:
    return write_record(folder).with_suffix(".dat")


def write_tsv(folder: Path) -> Path:
    for seed, split in enumerate(("train", "val", "test")):
        write_rows(folder / f"basic_{split}.tsv", 4, seed)
    return folder / "basic_train.tsv"


def write_mnist(folder: Path) -> Path:
    """A training set of three images; return the file of the images."""
    draw = np.random.default_rng(0)
    write_idx(folder / "train-images-idx3-ubyte", draw.integers(0, 256, (3, 28, 28)))
    write_idx(folder / "train-labels-idx1-ubyte", np.array([3, 1, 4]))
    return folder / "train-images-idx3-ubyte"


def write_packed_mnist(folder: Path) -> Path:
    images = write_mnist(folder)
    packed = images.with_name(f"{images.name}.gz")
    packed.write_bytes(gzip.compress(images.read_bytes(), mtime=0))
    images.unlink()
    return packed


def write_bin(folder: Path) -> Path:
    (folder / "data_batch_1.bin").write_bytes(cifar_records(2, seed=0))
    return folder / "data_batch_1.bin"


def write_tar(folder: Path) -> Path:
    with tarfile.open(folder / "archive.tar.gz", "w:gz") as archive:
        for name in ("a/one", "a/two"):
            content = name.encode() * 50
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return folder / "archive.tar.gz"


def write_config_json(folder: Path) -> Path:
    write_csv(folder)
    return folder / "model" / "config.json"


def write_safetensors(folder: Path) -> Path:
    write_csv(folder)
    return folder / "model" / "model.safetensors"


def write_finished_run(folder: Path, name: str) -> Path:
    """A run of one epoch; return its file of that name."""
    return _write_run(folder) / name


def write_checkpoint(folder: Path) -> Path:
    """A run that was stopped one step before its end; return the checkpoint from which it goes on."""
    return _write_run(folder, max_time="00:00:00") / "checkpoints" / "last.ckpt"


def _write_run(folder: Path, **options: str) -> Path:
    data = write_data(folder / "data")
    sizes = {"trainer__epochs": 1, "trainer__batch_size": 12, "trainer__log_every": 1, "model__d_model": 4}
    assert train(data, folder / "run", **sizes, **options) == 0
    metrics = folder / "run" / "metrics.jsonl"
    if metrics.is_file():  # the same bytes in every run
        metrics.write_text(re.sub(r'(seconds?|samples_per_second)": [0-9.]+', r'\1": 1.5', metrics.read_text()))
    for picture in (folder / "run").glob("*.png"):
        picture.unlink()
    return folder / "run"


def write_pickle(folder: Path) -> Path:
    """As `write_checkpoint`, but return a file with the part of the checkpoint that says what its tensors are."""
    checkpoint = write_checkpoint(folder)
    with zipfile.ZipFile(checkpoint) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("/data.pkl")]
        (checkpoint.parent / "data.pkl").write_bytes(archive.read(name))
    return checkpoint.parent / "data.pkl"


def put_back(pickle: Path) -> Path:
    """Replace that part of the checkpoint; the checksums are right afterwards. Return the checkpoint."""
    path = pickle.parent / "last.ckpt"
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, pickle.read_bytes() if name.endswith("/data.pkl") else content)
    return path


def copy(sample: Path, folder: Path) -> Path:
    return Path(shutil.copytree(sample, folder))
