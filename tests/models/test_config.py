"""Sizes that no machine could hold are refused before anything is allocated."""

from typing import Any

import pytest

from multiresconv import MultiresAR, MultiresClassifier, MultiresNet
from multiresconv.models import NetConfig
from multiresconv.models.config import LIMITS, MAX_WEIGHTS


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"n_layers": 10**9}, "n_layers"),
        ({"d_model": 10**9}, "d_model"),
        ({"kernel_size": 10**9}, "kernel_size"),
        ({"depth": 10**9}, "depth"),
        ({"max_length": 10**30}, "max_length"),
        ({"depth": 20, "memory": 10**9}, "memory"),
        ({"memory": (1,) * 1000}, "depth"),
        ({"memory": (10**9, 1)}, "memory"),
        ({"d_model": 60_000}, "n_layers, d_model"),
        ({"n_layers": 900, "d_model": 4_000}, "n_layers, d_model"),
    ],
)
def test_every_road_to_a_network_refuses_it(options: dict[str, Any], named: str) -> None:
    given = {"d_model": 8, "n_layers": 2, "depth": None if "max_length" in options else 3, **options}
    with pytest.raises(ValueError, match=f"^{named}: "):
        NetConfig(**given)
    with pytest.raises(ValueError, match=f"^{named}: "):
        MultiresNet(**given, d_input=1, device="meta")


@pytest.mark.parametrize("name", ["d_output", "d_input", "n_tokens"])
def test_sizes_of_a_classifier(name: str) -> None:
    sizes = {"d_output": 3, **({} if name == "n_tokens" else {"d_input": 2}), name: 10**9}
    with pytest.raises(ValueError, match=f"^{name}: expected at most {LIMITS[name]:,}, got 1,000,000,000$"):
        MultiresClassifier(d_model=8, n_layers=1, depth=3, device="meta", **sizes)


@pytest.mark.parametrize("name", ["n_mixtures", "n_channels"])
def test_sizes_of_a_density_model(name: str) -> None:
    sizes = {"n_channels": 1, "n_mixtures": 2, name: 10**9}
    with pytest.raises(ValueError, match=f"^{name}: expected at most"):
        MultiresAR(d_model=8, n_layers=1, depth=3, device="meta", **sizes)


def test_the_networks_of_the_paper_are_far_from_the_limits() -> None:
    largest = NetConfig(512, 48, kernel_size=4, depth=9)
    assert 20 * largest.n_layers * 2 * largest.d_model**2 < MAX_WEIGHTS
