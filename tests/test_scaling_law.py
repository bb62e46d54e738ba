"""The laws of `benchmarks/bench_scale.py` find the coefficients that points were made with."""

from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paths import ROOT
from profiles import examples

LAWS = ("OPERATOR", "NETWORK", "MEMORY")


@pytest.fixture(scope="module")
def scaling_law() -> Iterator[ModuleType]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "benchmarks"))
        import scaling_law  # pyright: ignore[reportMissingImports]

        yield scaling_law


coefficients = st.floats(0.1, 10).map(lambda share: share * 1e-9) | st.just(0.0)


@examples(50)
@given(data=st.data(), name=st.sampled_from(LAWS))
def test_a_fit_to_exact_points_is_exact(data: st.DataObject, name: str, scaling_law: ModuleType) -> None:
    law = getattr(scaling_law, name)
    wanted = {term: data.draw(coefficients, term) for term in law.terms}
    wanted["b"] += 1e-10  # no point costs nothing
    sizes = [
        scaling_law.Size(batch, length, width, depth, blocks=blocks)
        for batch, length, width, depth, blocks in [
            (1, 64, 4, 6, 1), (1, 1024, 4, 10, 2), (2, 512, 16, 9, 2), (1, 1 << 14, 64, 14, 3), (4, 32, 128, 3, 1),
        ]
    ]  # fmt: skip
    costs = [law.predict(wanted, size) for size in sizes]
    found = law.fit(sizes, costs)
    for size, cost in zip(sizes, costs, strict=True):
        assert law.predict(found, size) == pytest.approx(cost, rel=1e-6)
    assert min(found.values()) >= 0


def test_too_few_points_are_refused(scaling_law: ModuleType) -> None:
    with pytest.raises(ValueError, match="points: expected at least 2 for a \\+ b B L D J K, got 1"):
        scaling_law.OPERATOR.fit([scaling_law.Size(1, 2, 3, 4)], [1.0])


@pytest.mark.parametrize(
    ("blocks", "processes", "share"), [(4, 1, 1.0), (1, 2, 1.0), (4, 2, 5 / 8), (1000, 10, 0.1009)]
)
def test_a_pipeline_of_one_process_or_one_block_gains_nothing(
    blocks: int, processes: int, share: float, scaling_law: ModuleType
) -> None:
    assert scaling_law.pipeline(blocks, processes) == pytest.approx(share)


def test_the_cost_of_an_operator_grows_with_every_size(scaling_law: ModuleType) -> None:
    base: dict[str, Any] = {"batch": 2, "length": 8, "width": 3, "depth": 3, "kernel_size": 2}
    law, of = scaling_law.OPERATOR, scaling_law.Size(**base)
    for name in base:
        twice = scaling_law.Size(**{**base, name: 2 * base[name]})
        assert law.predict({"a": 0.0, "b": 1.0}, twice) == 2 * law.predict({"a": 0.0, "b": 1.0}, of)
