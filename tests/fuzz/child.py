"""`python -m fuzz.child KIND CASES SEED FOLDER`: random and purposeful damage to one kind of file, within limits.

It prints the number of cases of each outcome as JSON. The case at work is in the folder, so that it can be looked at if
the process is killed; cases with a wrong outcome stay there.
"""

import json
import resource
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import FrameType

import torch
from fuzz.hostile import ANY_FILE
from fuzz.kinds import KINDS
from fuzz.mutations import MUTATIONS, Mutation, damaged
from fuzz.outcomes import WRONG, Sample
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import seed as seeded

MEMORY = 2 << 30  # bytes of address space that a case may take beyond those of the process before it
SECONDS = 20


class OutOfTime(BaseException):
    """No Exception, so that nothing handles it on its way."""


def limit() -> None:
    """Set the limits: the cases after this have to keep to them."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def end(number: int, frame: FrameType | None) -> None:
        raise OutOfTime(f"more than {SECONDS} s")

    signal.signal(signal.SIGALRM, end)


def judged(sample: Sample, data: bytes, folder: Path, counts: Counter[str]) -> None:
    """Run one case and count its outcome; a wrong one stays in the folder, with what was said."""
    at_work = folder / "at-work"
    at_work.write_bytes(data)
    signal.alarm(SECONDS)
    try:
        outcome, said = sample.outcome(data)
    except OutOfTime as error:
        outcome, said = WRONG, str(error)
    finally:
        signal.alarm(0)
    counts[outcome] += 1
    if outcome == WRONG:
        at_work.rename(folder / f"wrong-{counts[WRONG]}")
        (folder / f"wrong-{counts[WRONG]}.txt").write_text(said)


def main(name: str, cases: int, seed: int, folder: Path) -> None:
    torch.set_num_threads(1)
    kind = next(kind for kind in KINDS if kind.name == name)
    (folder / "sample").mkdir(parents=True)
    sample, counts = Sample(kind, folder / "sample"), Counter[str]()
    limit()
    for damage in [*ANY_FILE.values(), *kind.hostile.values()][:cases]:
        judged(sample, damage(sample.data), folder, counts)
    left = cases - counts.total()

    @seeded(seed)
    @settings(
        max_examples=max(left, 1),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(mutations=MUTATIONS)
    def random_damage(mutations: Sequence[Mutation]) -> None:
        judged(sample, damaged(sample.data, mutations), folder, counts)

    if left:
        random_damage()
    print(f"\n{json.dumps(counts)}")  # on a line of its own: libraries in C write too


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4]))
