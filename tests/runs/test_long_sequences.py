"""Long sequences go through the model in chunks: the same numbers, and memory that does not grow."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from seeded import python
from small_models import SIGNAL, classifier, signal
from tiny_ptbxl import write_record
from torch import Tensor

from multiresconv.models import save
from multiresconv.runs.predict import TOGETHER, predict


def rows(*lengths: int, block: int = 7) -> list[list[Tensor]]:
    return [list(torch.from_numpy(signal(n).astype(np.float32)).split(block)) for n in lengths]


@pytest.mark.parametrize("options", [{}, {"pooling": "max"}, {"pooling": "last"}, {"norm": "batch"}, {"d_model": 5}])
@pytest.mark.parametrize("long", [1, 10, 64])
def test_chunks_give_what_the_whole_gives(long: int, options: dict[str, Any]) -> None:
    model = classifier(SIGNAL, **{name: value for name, value in options.items() if name != "d_model"})
    given = (100, 10, 11, 64, 65, 300)
    whole = list(predict(model, rows(*given), batch_size=1))
    seen = list(predict(model, rows(*given), batch_size=3, long=long))
    assert len(seen) == len(given)
    for one, other in zip(whole, seen, strict=True):
        assert one == pytest.approx(other, rel=1e-5)  # float32, and sums of up to 300 features


def test_rows_are_taken_in_order_and_blocks_only_when_needed() -> None:
    model = classifier(SIGNAL)
    taken: list[int] = []

    def endless() -> Iterator[Tensor]:
        for n in range(1000):
            taken.append(n)
            yield torch.zeros(8, 3)

    answers = predict(model, iter([*rows(5), endless(), *rows(5)]), batch_size=2, long=16)
    first = next(answers)
    assert len(taken) == 3, "the first blocks only, which show that the row is long"
    next(answers)
    assert len(taken) == 1000
    assert next(answers) == pytest.approx(first, rel=1e-6)


def test_a_bidirectional_model_takes_rows_whole() -> None:
    model = classifier(SIGNAL, bidirectional=True)
    (whole,) = predict(model, rows(100), batch_size=1)
    (seen,) = predict(model, rows(100), batch_size=1, long=10)
    assert seen == whole


def test_long_rows_of_a_batch_are_computed_apart() -> None:
    model, seen = classifier(SIGNAL), []
    model.register_forward_pre_hook(lambda module, arguments: seen.append(tuple(arguments[0].shape[:2])))
    length = TOGETHER // 3
    list(predict(model, ([torch.zeros(length, 3)] for _ in range(5)), batch_size=50, long=length))
    assert seen == [(3, length), (2, length)]


def test_a_probability_that_is_not_finite_is_refused() -> None:
    model = classifier(SIGNAL)
    with torch.no_grad():
        model.head.weight.fill_(torch.inf)
    with pytest.raises(ValueError, match=r"a\.npy, row 1: the model gives a probability that is not finite"):
        list(predict(model, rows(5), batch_size=1, where="a.npy"))


PEAK = """
import resource, sys
from multiresconv.cli import main
for file in sys.argv[2:]:
    assert main(["predict", sys.argv[1], file, "--device", "cpu"]) == 0
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, flush=True)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Whole, the long files would take over 100 MB more than the short ones."""
    save(classifier(SIGNAL), tmp_path / "model")
    for name, n in {"short": 70_000, "long": 300_000}.items():
        samples = np.resize(signal(1000), (n, 3))
        np.save(tmp_path / f"{name}.npy", samples)
        text = "".join(",".join(f"{value:g}" for value in sample) + "\n" for sample in signal(1000))
        (tmp_path / f"{name}.csv").write_text(text * (n // 1000))
        write_record(tmp_path / name, np.rint(samples * 1000).astype(np.int16), leads=SIGNAL.channels)
    files = [f"{tmp_path / name}.{kind}" for name in ("short", "long") for kind in ("npy", "csv", "hea")]
    done = subprocess.run(python(PEAK, tmp_path / "model", *files), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    answers = [line.split("\t") for line in done.stdout.splitlines()]
    peaks = [float(answer[0]) for answer in answers[1::2]]
    assert len(peaks) == 6
    assert peaks[5] < peaks[2] + 50
