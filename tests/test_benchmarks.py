"""The benchmarks can be run, and compare networks that compute the same."""

import sys
from collections.abc import Iterator
from pathlib import Path
from runpy import run_path

import numpy as np
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


@pytest.fixture
def choice(beside_the_benchmarks: None):
    """The module of the study that chose the settings of untrained features."""
    import choose_features  # pyright: ignore[reportMissingImports]

    return choose_features


def test_the_defaults_of_untrained_features_are_those_that_were_chosen(choice) -> None:
    from multiresconv.estimators import SequenceFeatures, SequenceRidgeClassifier
    from multiresconv.tasks.recording_task import FEATURES

    chosen = choice.SETTINGS[choice.CHOSEN]._asdict()
    for defaults in (SequenceFeatures().get_params(), SequenceRidgeClassifier().get_params(), FEATURES):
        for name in ("n_filters", "kernel_size", "n_thresholds"):
            assert defaults[name] == chosen[name]


@pytest.mark.parametrize("grouped", [False, True])
def test_a_split_of_a_development_set_shares_no_group(choice, grouped: bool) -> None:
    rows, size = 60, 3 if grouped else 1
    groups = np.arange(rows) // size
    data = choice.Data([np.zeros((1, 5), np.float32)] * rows, groups % 4, groups, n_train=24)
    train, test = choice.split(data, seed=1)
    assert len(train) == 24
    assert not set(groups[train]) & set(groups[test])
    assert len(train) + len(test) == rows
    assert not np.array_equal(train, choice.split(data, seed=2)[0])


@pytest.mark.parametrize("differences", [False, True])
def test_a_setting_is_scored_on_rows_that_did_not_train(choice, differences: bool) -> None:
    generator = np.random.default_rng(0)
    y = np.arange(40) % 2
    x = [generator.normal(size=(2, 30 + i)).astype(np.float32) + np.float32(3 * label) for i, label in enumerate(y)]
    setting = choice.Setting(16, differences=differences)
    accuracy, _ = choice.score(choice.Data(x, y, np.arange(40), 20), setting, seed=0)
    shuffled, _ = choice.score(choice.Data(x, generator.permutation(y), np.arange(40), 20), setting, seed=0)
    assert shuffled < 0.85 < 0.95 <= accuracy


def test_a_development_set_is_read_with_the_split_of_the_study(choice, tmp_path: Path) -> None:
    from bench_features import from_npz  # pyright: ignore[reportMissingImports]

    x = np.arange(40 * 6, dtype=np.float32).reshape(40, 1, 6)
    lengths, y = 2 + np.arange(40) % 5, np.arange(40) % 4
    np.savez(tmp_path / "some.npz", x=x, lengths=lengths, y=y, groups=np.arange(40), n_train=24)
    rows = from_npz(tmp_path / "some.npz", seed=1)
    train, test = choice.split(choice.read(tmp_path / "some.npz"), choice.FIRST_SEED + 1)
    for found, labels, expected in ((rows.x, rows.y, train), (rows.x_test, rows.y_test, test)):
        np.testing.assert_array_equal(labels, y[expected])
        for row, i in zip(found, expected, strict=True):
            np.testing.assert_array_equal(row, x[i, :, : lengths[i]])
