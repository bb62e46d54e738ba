"""The benchmarks can be run, and compare networks that compute the same."""

import sys
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import pytest
import torch
from paths import ROOT

from multiresconv import MultiresClassifier

BENCHMARKS = ROOT / "benchmarks"


@pytest.fixture
def beside_the_benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Imports find the modules beside the benchmarks, as in their own process, and leave none behind."""
    before = set(sys.modules)
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    yield
    for name in set(sys.modules) - before:
        if Path(getattr(sys.modules[name], "__file__", None) or "").parent == BENCHMARKS:
            del sys.modules[name]


@pytest.mark.slow
@pytest.mark.parametrize("script", sorted(BENCHMARKS.glob("bench_*.py")), ids=lambda path: path.stem)
def test_a_benchmark_starts(
    script: Path, beside_the_benchmarks: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", [str(script), "--help"])
    with pytest.raises(SystemExit) as ended:
        run_path(str(script), run_name="__main__")
    assert ended.value.code == 0
    assert "--out" in capsys.readouterr().out


@pytest.mark.parametrize("options", [{"d_input": 3}, {"n_tokens": 7, "kernel_size": 4, "norm": "batch"}])
def test_the_plain_network_computes_the_same(options: dict, beside_the_benchmarks: None) -> None:
    from plain_network import PlainClassifier  # pyright: ignore[reportMissingImports]

    model = MultiresClassifier(5, 8, 2, depth=4, **options)
    plain = PlainClassifier(model).double()
    x = torch.randint(7, (3, 20)) if "n_tokens" in options else torch.randn(3, 20, 3).double()
    torch.testing.assert_close(plain(x), model.double()(x))
