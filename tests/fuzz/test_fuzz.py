"""A damaged file gives the same answer or one line that names it, whatever the damage.

`make fuzz` runs more of the same cases.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from fuzz.hostile import ANY_FILE
from fuzz.kinds import KINDS, Kind
from fuzz.mutations import MUTATIONS, Mutation, damaged
from fuzz.outcomes import OTHER, REFUSED, SAME, WRONG, Sample
from hypothesis import HealthCheck, given
from profiles import examples

pytestmark = pytest.mark.slow

ON_PURPOSE = 8  # cases of each kind; `make fuzz` runs all


@pytest.fixture(scope="module", params=KINDS, ids=lambda kind: kind.name)
def sample(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Sample:
    kind: Kind = request.param
    return Sample(kind, tmp_path_factory.mktemp("sample"))


def test_the_file_as_it_is(sample: Sample) -> None:
    assert sample.outcome(sample.data).name == SAME


def test_damage_on_purpose(sample: Sample) -> None:
    cases = list((ANY_FILE | {**sample.kind.hostile}).items())
    chosen = cases[:: -(-len(cases) // ON_PURPOSE)]
    outcomes = {name: sample.outcome(damage(sample.data)) for name, damage in chosen}
    assert {name: outcome.said for name, outcome in outcomes.items() if outcome.name == WRONG} == {}
    assert sum(outcome.name == REFUSED for outcome in outcomes.values()) > len(outcomes) // 2


@examples(6, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mutations=MUTATIONS)
def test_random_damage(sample: Sample, mutations: Sequence[Mutation]) -> None:
    outcome = sample.outcome(damaged(sample.data, mutations))
    assert outcome.name != WRONG, outcome.said


def write_right(folder: Path) -> Path:
    (folder / "file").write_bytes(b"right")
    return folder / "file"


def misbehave(path: Path) -> int:
    """Do what the file says."""
    text = path.read_text()
    if text == "traceback":
        raise KeyError(text)
    if text.startswith("say"):
        print(text.removeprefix("say ").replace("FILE", str(path)), file=sys.stderr)
        return 2
    print(text)
    return 0


@pytest.mark.parametrize("has_checksum", [False, True])
def test_the_judge_sees_what_is_wrong(tmp_path: Path, has_checksum: bool) -> None:
    sample = Sample(Kind("made up", write_right, misbehave, ("file",), has_checksum), tmp_path)
    expected = {
        b"right": SAME,
        b"say FILE: bad": REFUSED,
        b"other": WRONG if has_checksum else OTHER,
        b"traceback": WRONG,
        b"say bad": WRONG,
        b"say FILE: bad\nFILE: worse": WRONG,
        b"0.3 nan": WRONG,
    }
    assert {data: sample.outcome(data).name for data in expected} == expected
