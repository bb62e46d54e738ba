"""Long sequences go through the model in chunks: the same numbers, and memory that does not grow."""

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
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
from multiresconv.runs.predict import predict


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
    from multiresconv.runs.predict import TOGETHER

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
import json, resource, sys
from multiresconv.cli import main
code = main(["predict", *sys.argv[1:], "--json", "--device", "cpu"])
print(json.dumps({"code": code, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["npy", "csv", "hea"])
def test_memory_does_not_grow_with_the_length(kind: str, tmp_path: Path) -> None:
    """Ten times as many samples; whole they would take over 200 MB, as numbers in a list over 50."""
    save(classifier(replace(SIGNAL, usual=None)), tmp_path / "model")
    peaks = []
    for n in (40_000, 400_000):
        samples = np.resize(signal(1000), (n, 3))
        if kind == "npy":
            np.save(tmp_path / "in.npy", samples)
        elif kind == "csv":
            with open(tmp_path / "in.csv", "w") as file:
                text = "".join(",".join(f"{value:g}" for value in sample) + "\n" for sample in signal(1000))
                file.write(text * (n // 1000))
        else:
            write_record(tmp_path / "in", np.rint(samples * 1000).astype(np.int16), leads=SIGNAL.channels)
        command = python(PEAK, tmp_path / "model", tmp_path / f"in.{kind}")
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
        answer, peak = (json.loads(line) for line in done.stdout.splitlines())
        assert (peak["code"], answer["row"]) == (0, 1)
        peaks.append(peak["mb"])
    assert peaks[1] < peaks[0] + 60
