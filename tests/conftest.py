"""What every test begins with: one thread, and generators seeded by the name of the test.

One thread per test process: tests run side by side, and many threads on small convolutions wait for each other.
"""

import os

os.environ["OMP_NUM_THREADS"] = "1"  # for the processes that tests start

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import profiles  # noqa: F401  # loads the profile of Hypothesis, before tests ask for it
import pytest
import torch
from seeded import seed_all, seed_of

if TYPE_CHECKING:
    from fake_hub import Hub

torch.set_num_threads(1)


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef: pytest.FixtureDef[Any], request: pytest.FixtureRequest) -> None:
    """Seed what a fixture draws from where several tests share it, whichever of them comes first."""
    if fixturedef.scope != "function":
        seed_all(seed_of(request.node.nodeid, fixturedef.argname))


@pytest.fixture(scope="session", autouse=True)
def parsers_built_once() -> Iterator[None]:
    """The command line builds its parsers once for each set of tasks, which takes longer than most commands."""
    from multiresconv.cli import dispatch
    from multiresconv.cli.parsers import build_parsers
    from multiresconv.cli.tasks import TASKS

    built = cache(lambda tasks: build_parsers())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(dispatch, "build_parsers", lambda: built(tuple(TASKS.items())))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The rows of the tiny run."""
    from tiny_run import write_data

    return write_data(tmp_path_factory.mktemp("data") / "listops")


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished tiny run."""
    from tiny_run import train

    path = tmp_path_factory.mktemp("runs") / "run"
    assert train(data, path) == 0
    return path


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> "Iterator[Hub]":
    """A fake hub, which huggingface_hub of this process asks with a token that it accepts."""
    from fake_hub import TOKEN, serve_hub, use_hub

    with serve_hub() as hub:
        use_hub(monkeypatch, hub.url, tmp_path / "cache", token=TOKEN)
        yield hub


def settings_of_the_process() -> dict[str, Any]:
    # pytest names the test; PyTorch's compiler, Lightning and scikit-learn set variables when they are first used
    ignored = {"PYTEST_CURRENT_TEST", "TORCHINDUCTOR_CACHE_DIR", "PYTORCH_NVML_BASED_CUDA_CHECK"}
    ignored |= {"KMP_DUPLICATE_LIB_OK", "KMP_INIT_AT_FORK"}
    variables = {name: value for name, value in os.environ.items() if name not in ignored}
    return {
        "variables": variables,
        "folder": Path.cwd(),
        "threads": torch.get_num_threads(),
        "dtype": torch.get_default_dtype(),
        "device": torch.get_default_device(),
        "gradients": torch.is_grad_enabled(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "matmul": torch.get_float32_matmul_precision(),
    }


@pytest.fixture(autouse=True)
def independent(request: pytest.FixtureRequest) -> Iterator[None]:
    """Seed what the test draws from, and hold it to leaving the process as it was."""
    before = settings_of_the_process()
    seed_all(seed_of(request.node.nodeid))
    yield
    assert settings_of_the_process() == before, "the test changed what later tests depend on"
