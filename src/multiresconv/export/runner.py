"""Runs the model in this folder; needs onnxruntime and numpy only.

    python run.py recording.csv other.wav     # an answer for each sequence in CSV, TSV, WAV, NPY or text files
    python run.py - < recording.csv           # the same from standard input
    python run.py --stream < recording.csv    # the running answer after each line, if the model was exported in chunks

In Python::

    from run import Runner

    runner = Runner()
    answers = runner.predict("recording.csv")  # or an array (time, channels)
    stream = runner.stream()
    answer = stream(sample)  # (channels,), or a chunk (time, channels)
"""

import argparse
import json
import os
import re
import sys
import wave
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import ArrayLike, NDArray

LARGEST = 1e18  # the square of a larger value is no float32
PRESENT = 0.5  # least probability of a label that is printed as present
NONE = "-"  # what is printed in place of labels if none is present
Array = NDArray[Any]
Answer = dict[str, Any]


class Runner:
    """A model, as `multiresconv export` wrote it.

    Args:
        folder: the folder with `model.onnx`; default that of this file.
        threads: number of threads; default the choice of onnxruntime.

    Attributes:
        input, output: descriptions of input and output.
        chunk: largest number of steps of a chunk, or None if the model takes whole sequences.
    """

    def __init__(self, folder: str | os.PathLike[str] = Path(__file__).parent, threads: int = 0) -> None:
        file = Path(folder) / "model.onnx"
        if not file.is_file():
            raise FileNotFoundError(f"{file}: not found; export the model into this folder again")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        self.session = onnxruntime.InferenceSession(str(file), options, ["CPUExecutionProvider"])
        about = self.session.get_modelmeta().custom_metadata_map
        self.input: dict[str, Any] = json.loads(about["input"])
        self.output: dict[str, Any] = json.loads(about["output"])
        self.chunk: int | None = json.loads(about["chunk"])

    def predict(self, source: str | os.PathLike[str] | ArrayLike) -> list[Answer]:
        """Return an answer for each sequence of a file or an array.

        Args:
            source: a path, or an array: a signal (time, channels) in the model's unit, tokens (time,), or an image
                (side, side) or (side, side, channels); or several of the same size, stacked along a first axis.

        Returns:
            Of classes and labels: name -> probability, the most probable first. Of values: name -> value. Of
            forecasts: name -> quantile, or "value" -> list of the next values.

        Raises:
            OSError: the file cannot be read.
            ValueError: the content does not fit the model; the message says where and what was expected.
        """
        if isinstance(source, str | os.PathLike):
            sequences: Iterable[Array] = read(Path(source), self.input)
        else:
            sequences = sequences_of(np.asarray(source), self.input, "array")
        return [self.answer(self.outputs(x)) for x in sequences]

    def outputs(self, x: Array) -> Array:
        """Return the model's outputs for one sequence x, (time, channels) or tokens (time,)."""
        if self.chunk is not None:
            return self.stream().outputs(x)[-1]
        x = checked(x, self.input, None)
        lengths = np.array([len(x)], np.int32)
        [y] = self.session.run(["y"], {"x": x[None].astype(self._dtype()), "lengths": lengths})
        return np.asarray(y)[0]

    def stream(self) -> "Stream":
        """Return a stream before its first step.

        Raises:
            ValueError: the model was exported for whole sequences.
        """
        if self.chunk is None:
            raise ValueError("stream: this model takes whole sequences; export it again with --chunk 1000")
        return Stream(self, self.chunk)

    def answer(self, outputs: Array) -> Answer:
        """Turn outputs for one sequence into values by name, see `predict`."""
        kind, names = self.output["kind"], self.output.get("names", [])
        if kind == "density":
            raise ValueError("predict: a model of density labels nothing; call outputs() for its distributions")
        if not np.isfinite(outputs).all():
            raise ValueError("predict: the model gives a value that is not finite; its input has extreme values")
        values = outputs.astype(np.float64)
        if kind == "value":
            return dict(zip(names, values.tolist(), strict=True))
        if kind == "forecast":
            quantiles = [f"{q:g}" for q in self.output.get("quantiles", [])] or ["value"]
            return {name: dict(zip(quantiles, values[:, i].T.tolist(), strict=True)) for i, name in enumerate(names)}
        odds = np.exp(values - values.max()) if kind == "class" else 1 / (1 + np.exp(-values))
        probabilities = odds / odds.sum() if kind == "class" else odds
        return {names[i]: float(probabilities[i]) for i in np.argsort(-probabilities, kind="stable")}

    def _dtype(self) -> type[np.generic]:
        return np.int32 if self.session.get_inputs()[0].type == "tensor(int32)" else np.float32


class Stream:
    """A stream of one sequence: call it with the next step or the next chunk."""

    def __init__(self, runner: Runner, chunk: int) -> None:
        self._runner, self._chunk = runner, chunk
        first, *states = runner.session.get_inputs()
        dtypes = {"tensor(float)": np.float32, "tensor(int32)": np.int32}
        self._dtype, self._steps_ndim = dtypes[first.type], len(first.shape) - 1
        self._state = {one.name: np.zeros([1, *one.shape[1:]], dtypes[one.type]) for one in states}
        self._last: Array | None = None

    def __call__(self, x: ArrayLike) -> Answer:
        """Return the answer for the sequence so far, after the last step of x."""
        steps = np.asarray(x)
        return self._runner.answer(self.outputs(steps[None] if steps.ndim < self._steps_ndim else steps)[-1])

    def outputs(self, x: Array) -> Array:
        """Return the model's outputs after each step of a chunk x, (time, channels) or tokens (time,)."""
        x = checked(x, self._runner.input, self._last)
        self._last, found = x[-1:], []
        for start in range(0, len(x), self._chunk):
            part = x[None, start : start + self._chunk].astype(self._dtype)
            y, *after = self._runner.session.run(None, {"x": part, **self._state})
            self._state = dict(zip(self._state, after, strict=True))
            found.append(np.asarray(y)[0])
        return np.concatenate(found)


def checked(x: Array, about: dict[str, Any], last: Array | None) -> Array:
    """Check a sequence, and treat its missing values as the model's input says.

    Args:
        x: (time, channels), or tokens (time,).
        about: description of the input.
        last: (1, channels) the step before x; None at the beginning.
    """
    channels = len(about.get("channels", []))
    if about["kind"] == "tokens":
        size = len(about["vocabulary"])
        if x.ndim != 1 or not len(x) or x.dtype.kind not in "iu" or x.min() < 0 or x.max() >= size:
            raise ValueError(f"x: expected tokens (time >= 1,) from 0 to {size - 1}, got {x.dtype} {x.shape}")
        return x
    if x.ndim != 2 or not len(x) or x.shape[1] != channels or x.dtype.kind not in "iuf":
        raise ValueError(f"x: expected numbers (time >= 1, {channels}), got {x.dtype} {x.shape}")
    x = x.astype(np.float64)
    bad = ~(np.abs(x) <= LARGEST)
    if not bad.any():
        return x
    missing = about.get("missing", "refuse")
    step, channel = (int(place) for place in np.argwhere(bad)[0])
    where = f"step {step + 1}, {about['channels'][channel]}"
    if missing == "refuse":
        raise ValueError(f"{where}: expected a finite number, got {x[step, channel]:g}; mend it")
    if missing == "mask":
        return np.where(bad, np.nan, x)
    rows = np.concatenate([np.full((1, channels), np.nan) if last is None else last, x])
    source = np.where(bad, 0, np.arange(1, len(rows))[:, None])
    held = np.take_along_axis(rows, np.maximum.accumulate(source, axis=0), axis=0)
    if np.isnan(held).any():
        raise ValueError(f"{where}: expected a number before the first missing value, which there is to hold")
    return held


def read(path: Path, about: dict[str, Any]) -> Iterator[Array]:
    """Read the sequences of a file; "-" is standard input, a table or a text."""
    suffix = path.suffix.lower()
    if suffix == ".npy":
        yield from sequences_of(np.load(path, allow_pickle=False), about, str(path))
    elif about["kind"] == "image":
        raise ValueError(f"{path}: expected an image as .npy, (height, width) or (height, width, channels)")
    elif suffix == ".wav":
        yield read_wav(path, about)
    else:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8-sig")
        lines = text.splitlines()
        if about["kind"] == "tokens":
            yield from (tokens(line, about, f"{path}, line {n}") for n, line in enumerate(lines, start=1))
        else:
            yield np.array(list(samples(lines, about, str(path))))


def sequences_of(x: Array, about: dict[str, Any], where: str) -> Iterator[Array]:
    """Yield the sequences of an array: one, or several stacked along a first axis."""
    if about["kind"] == "image":
        side, channels = about.get("side"), len(about["channels"])
        pixels = x[..., None] if channels == 1 and x.shape[-2:] == (side, side) else x
        pixels = pixels if pixels.ndim == 4 else pixels[None]
        if pixels.shape[1:] != (side, side, channels):
            raise ValueError(f"{where}: expected images ({side}, {side}, {channels}), got {x.shape}")
        if not ((pixels >= 0) & (pixels <= 255)).all():
            raise ValueError(f"{where}: expected pixels from 0 to 255, got others")
        rows = pixels.reshape(len(pixels), -1, channels)
        yield from rows[:, about["order"]] if about.get("order") else rows
        return
    single = 1 if about["kind"] == "tokens" else 2
    yield from x[None] if x.ndim == single else x


def read_wav(path: Path, about: dict[str, Any]) -> Array:
    """Read (time, channels) from a WAV file of whole numbers, scaled to -1..1."""
    try:
        with wave.open(str(path), "rb") as sound:
            channels, width, rate = sound.getnchannels(), sound.getsampwidth(), sound.getframerate()
            data = sound.readframes(sound.getnframes())
    except (EOFError, wave.Error) as error:
        raise ValueError(f"{path}: expected a WAV file of whole numbers (PCM): {error}") from None
    wanted = about.get("rate")
    if wanted is not None and rate != wanted:
        raise ValueError(f"{path}: expected {wanted:g} samples per second, got {rate}; resample it first")
    if width == 1:
        values = (np.frombuffer(data, np.uint8).astype(np.float64) - 128) / 128
    else:
        whole = np.zeros((len(data) // width, 4), np.uint8)
        whole[:, 4 - width :] = np.frombuffer(data, np.uint8).reshape(-1, width)  # little-endian, in the upper bytes
        values = whole.view("<i4")[:, 0] / 2.0**31
    return values.reshape(-1, channels)


def samples(lines: Iterable[str], about: dict[str, Any], where: str) -> Iterator[list[float]]:
    """Yield a sample for each line of a table, with or without a header that names the channels."""
    names: list[str] = about["channels"]
    columns, width, separator = list(range(len(names))), len(names), None
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        if number == 1:
            separator = next((one for one in ";\t," if one in line), None)
        fields = [field.strip().strip('"') for field in line.strip("\r\n").split(separator)]
        place = f"{where}, line {number}"
        if number == 1 and not all(is_number(field) for field in fields):
            columns, width = columns_of(fields, about, place), len(fields)
            continue
        if len(fields) != width:
            raise ValueError(f"{place}: expected {width} columns, got {len(fields)}")
        chosen = [fields[column] for column in columns]
        if wrong := [field for field in chosen if not is_number(field)]:
            raise ValueError(f"{place}: expected numbers, got {wrong[0]!r}")
        yield [float(field or "nan") for field in chosen]


def columns_of(header: list[str], about: dict[str, Any], place: str) -> list[int]:
    """Return the column of each channel of the model; a header may name units, as in "I (mV)"."""
    found = [re.fullmatch(r"(.*?)\s*[(\[](.*)[)\]]", name) for name in header]
    names = [name if match is None else match[1] for name, match in zip(header, found, strict=True)]
    channels: list[str] = about["channels"]
    unnamed = channels == [f"channel {number}" for number in range(1, len(channels) + 1)]
    if unnamed and len(names) == len(channels):
        return list(range(len(channels)))
    if lacking := [name for name in channels if names.count(name) != 1]:
        raise ValueError(f"{place}: expected one column {lacking[0]!r}, got {', '.join(header)}")
    if len(names) > len(channels) and about.get("reading", "exact") == "exact":
        raise ValueError(f"{place}: expected the columns {', '.join(channels)} alone, got {', '.join(header)}")
    columns, unit = [names.index(name) for name in channels], about.get("unit")
    for match in (found[column] for column in columns):
        if match is not None and unit is not None and match[2] != unit:
            raise ValueError(f"{place}: expected values in {unit}, got {match[0]}; convert them first")
    return columns


def is_number(field: str) -> bool:
    """Return True for a number, and for an empty field, which is a missing value."""
    try:
        float(field or "nan")
    except ValueError:
        return False
    return True


def tokens(text: str, about: dict[str, Any], place: str) -> Array:
    """Return the numbers of the tokens in a line of text."""
    known = {token: number for number, token in enumerate(about["vocabulary"])}
    words = text.translate({ord(character): " " for character in about.get("ignored", "")}).split()
    if unknown := [word for word in words if word not in known]:
        raise ValueError(f"{place}: unknown token {unknown[0]!r}, expected one of {' '.join(known)}")
    if not words:
        raise ValueError(f"{place}: expected tokens, got none")
    end = about.get("end")
    numbers = np.array([known[word] for word in [*words, *([] if end is None else [end])]])
    if about.get("max_tokens") is not None and len(numbers) > about["max_tokens"]:
        raise ValueError(f"{place}: expected at most {about['max_tokens']} tokens, got {len(numbers)}")
    return numbers


def shown(runner: Runner, answer: Answer, as_json: bool) -> str:
    """Return an answer as one line of text."""
    kind = runner.output["kind"]
    if as_json or kind == "forecast":
        return json.dumps(answer)
    if kind == "value":
        units = dict(zip(answer, runner.output.get("units", []), strict=False))
        return "\t".join(f"{name}:{value:.6g} {units.get(name, '')}".rstrip() for name, value in answer.items())
    ranked = list(answer.items())  # the most probable first
    count = 1 if kind == "class" else sum(value >= PRESENT for _, value in ranked)
    labels = ";".join(name for name, _ in ranked[:count]) or NONE
    probabilities = ";".join(f"{value:.3f}" for _, value in ranked[:count]) or NONE
    others = " ".join(f"{name}:{value:.3f}" for name, value in ranked[count : count + 3])
    return f"{labels}\t{probabilities}\t{others}"


def main() -> int:
    """Run the command line; bad input prints one line and returns 2."""
    parser = argparse.ArgumentParser(prog="run.py", description="Predict with the model in this folder")
    parser.add_argument("files", nargs="*", metavar="FILE", help="CSV, TSV, WAV, NPY or text; - is standard input")
    parser.add_argument("--stream", action="store_true", help="read steps from standard input, a line each")
    parser.add_argument("--json", action="store_true", help="print one JSON object per answer")
    options = parser.parse_args()
    try:
        if options.stream == bool(options.files):
            raise ValueError("expected files, or --stream without files")
        runner = Runner()
        for file in options.files:
            for answer in runner.predict(file):
                of_file = f"{file}\t" if len(options.files) > 1 and not options.json else ""
                print(of_file + shown(runner, answer, options.json))
        if options.stream:
            stream, where = runner.stream(), "standard input"
            if runner.input["kind"] == "tokens":
                steps: Iterable[Any] = (tokens(line, {**runner.input, "end": None}, where) for line in sys.stdin)
            else:
                steps = samples(sys.stdin, runner.input, where)
            for number, step in enumerate(steps, start=1):
                print(f"{number}\t{shown(runner, stream(step), options.json)}", flush=True)
    except BrokenPipeError:  # the reader of the output has stopped
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (OSError, ValueError) as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
