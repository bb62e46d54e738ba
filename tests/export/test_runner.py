"""The exported folder: it gives the answers of `multiresconv predict`, without PyTorch."""

import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest
from seeded import script
from small_models import LEADS, RATE, SIDE, digit, signal

pytest.importorskip("onnxscript", reason="needs the extra: multiresconv[export]")
pytest.importorskip("onnxruntime", reason="needs the extra: multiresconv[export]")

from multiresconv import MultiresClassifier, save
from multiresconv.cli import main
from multiresconv.export.runner import Runner, sequences_of, tokens

pytestmark = pytest.mark.slow

FILES = ["Dockerfile", "README.md", "model.js", "model.onnx", "package.json", "run.py"]


@pytest.fixture(scope="module")
def model(folders: tuple[Path, Path]) -> Path:
    return folders[0]


@pytest.fixture(scope="module")
def exported(folders: tuple[Path, Path]) -> Path:
    return folders[1]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "recording.csv"
    np.savetxt(path, signal(40), delimiter=",", header=",".join(LEADS), comments="")
    return path


def run(folder: Path, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run `run.py` where importing torch or this library fails."""
    blocked = folder.parent / "blocked"
    blocked.mkdir(exist_ok=True)
    for name in ("torch", "multiresconv"):
        (blocked / f"{name}.py").write_text(f"raise ImportError('{name} is blocked')")
    places = os.pathsep.join([str(blocked), os.environ.get("PYTHONPATH", "")])
    command = script(folder / "run.py", *arguments)
    return subprocess.run(command, input=text, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": places})


def test_the_folder_holds_the_runners_and_a_card(exported: Path) -> None:
    assert sorted(path.name for path in exported.iterdir()) == FILES
    card = (exported / "README.md").read_text()
    assert "signal of 3 channels (I, II, V1) in mV, 100 samples per second" in card
    assert "one class: a, b, c" in card


def test_files_give_the_answers_of_predict(
    model: Path, exported: Path, recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = tmp_path / "rows.npy"
    np.save(rows, np.stack([signal(40), -signal(40)]))
    assert main(["predict", str(model), str(recording), str(rows)]) == 0
    expected = capsys.readouterr().out
    found = run(exported, str(recording), str(rows))
    assert (found.stdout, found.stderr, found.returncode) == (expected, "", 0)
    assert len(expected.splitlines()) == 3
    first = expected.splitlines(keepends=True)[0].removeprefix(f"{recording}\t")
    assert run(exported, "-", text=recording.read_text()).stdout == first


def test_a_stream_gives_the_answers_of_predict(
    model: Path,
    exported: Path,
    recording: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with recording.open() as lines:
        monkeypatch.setattr(sys, "stdin", lines)
        assert main(["predict", str(model), "--stream"]) == 0
    expected = capsys.readouterr().out
    assert len(expected.splitlines()) == 40
    assert run(exported, "--stream", text=recording.read_text()).stdout == expected


def test_chunks_of_any_length_give_the_same_answer(exported: Path) -> None:
    runner, x = Runner(exported), signal(1200)
    stream, [whole] = runner.stream(), runner.predict(x)
    stream(x[0])
    stream(x[1:1100])  # longer than the largest chunk
    assert stream(x[1100:]) == pytest.approx(whole, abs=1e-6)


def test_wav_files_are_read_at_their_full_scale(exported: Path, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(-(2**15), 2**15, (30, 3))
    expected = Runner(exported).predict(values / 2**15)
    for width in (2, 3, 4):
        scaled = (values.astype(np.int64) << (8 * (width - 2))).astype("<i4")
        data = scaled.reshape(-1, 1).view(np.uint8)[:, :width].tobytes()
        with wave.open(str(tmp_path / f"{width}.wav"), "wb") as sound:
            sound.setparams((3, width, RATE, 0, "NONE", ""))
            sound.writeframes(data)
        assert Runner(exported).predict(tmp_path / f"{width}.wav") == expected


REFUSED = {
    "another column": ("I,II,V2\n1,2,3\n", "line 1: expected one column 'V1', got I, II, V2"),
    "a further column": ("I,II,V1,V2\n1,2,3,4\n", "expected the columns I, II, V1 alone"),
    "another unit": ("I (uV),II,V1\n1,2,3\n", "line 1: expected values in mV, got I (uV)"),
    "a word": ("I,II,V1\n1,2,3\n1,x,3\n", "line 3: expected numbers, got 'x'"),
    "a short line": ("I,II,V1\n1,2\n", "line 2: expected 3 columns, got 2"),
    "a missing value": ("I,II,V1\n1,2,3\n1,,3\n", "step 2, II: expected a finite number, got nan"),
    "no sample": ("I,II,V1\n", "expected numbers (time >= 1, 3)"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_does_not_fit_is_refused_in_one_line(exported: Path, tmp_path: Path, name: str) -> None:
    text, expected = REFUSED[name]
    path = tmp_path / "table.csv"
    path.write_text(text)
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the message is compared below
        Runner(exported).predict(path)
    assert expected in str(error.value)
    assert "\n" not in str(error.value)


def test_the_command_says_what_is_wrong(exported: Path, tmp_path: Path) -> None:
    found = run(exported, str(tmp_path / "none.csv"))
    assert found.returncode == 2
    assert found.stderr.startswith("run.py: error: ")
    assert len(found.stderr.splitlines()) == 1


def test_a_folder_without_a_model_is_refused_in_one_line(exported: Path, tmp_path: Path) -> None:
    copied = shutil.copy(exported / "run.py", tmp_path)
    found = subprocess.run(script(copied, "none.csv"), capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stderr.startswith(f"run.py: error: {tmp_path / 'model.onnx'}: not found; ")
    assert len(found.stderr.splitlines()) == 1


def test_another_rate_of_a_wav_file_is_refused(exported: Path, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "fast.wav"), "wb") as sound:
        sound.setparams((3, 2, 2 * RATE, 0, "NONE", ""))
        sound.writeframes(bytes(60))
    with pytest.raises(ValueError, match="expected 100 samples per second, got 200"):
        Runner(exported).predict(tmp_path / "fast.wav")


def test_images_are_read_in_the_order_of_the_model() -> None:
    order = np.random.default_rng(3).permutation(SIDE**2).tolist()
    about = {"kind": "image", "channels": ["grey"], "side": SIDE, "order": order}
    [row] = sequences_of(digit(), about, "array")
    assert np.array_equal(row, digit().reshape(-1, 1)[order])
    assert len(list(sequences_of(np.stack([digit()] * 2), about, "array"))) == 2
    for wrong in (digit()[:, :-1], digit()[..., None].repeat(3, -1)):
        with pytest.raises(ValueError, match="expected images"):
            list(sequences_of(wrong, about, "array"))


def test_a_text_becomes_the_tokens_of_the_vocabulary_and_the_end() -> None:
    about = {"vocabulary": ["end", "a", "b"], "end": "end", "ignored": "()"}
    assert tokens("(b a)", about, "line 1").tolist() == [2, 1, 0]
    with pytest.raises(ValueError, match="line 1: unknown token 'c'"):
        tokens("a c", about, "line 1")


def test_a_bidirectional_model_is_refused_for_streams(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save(MultiresClassifier(2, 4, 1, d_input=1, depth=2, bidirectional=True), tmp_path / "model")
    assert main(["export", str(tmp_path / "model"), str(tmp_path / "out"), "--chunk", "10"]) == 2
    assert "a bidirectional model needs whole sequences" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
