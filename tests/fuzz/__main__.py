"""`make fuzz`: many damaged files of every kind, each kind in a child process, and a table of what became of them."""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from fuzz.kinds import KINDS, Kind
from fuzz.outcomes import OTHER, REFUSED, SAME, WRONG
from seeded import python_module

COLUMNS = (SAME, OTHER, REFUSED, WRONG)
SECONDS = 3600  # for all cases of a kind


def counted(kind: Kind, cases: int, seed: int, folder: Path) -> dict[str, int]:
    """Run the cases of a kind in a child process. A process that dies counts as one wrong outcome."""
    command = python_module("fuzz.child", kind.name, cases, seed, folder)
    with open(folder.with_name(f"{folder.name}.err"), "w") as said:
        try:
            child = subprocess.run(command, stdout=subprocess.PIPE, stderr=said, text=True, timeout=SECONDS)
            if child.returncode == 0:
                [counts] = [line for line in child.stdout.splitlines() if line.startswith("{")]
                return json.loads(counts)
            reason = f"ended with {child.returncode}"
        except subprocess.TimeoutExpired:
            reason = f"took more than {SECONDS} s"
    print(f"{kind.name}: the process {reason}; {folder}/at-work is the case, {said.name} what it said", file=sys.stderr)
    return {WRONG: 1}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="cases of all kinds together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", default=[kind.name for kind in KINDS])
    options = parser.parse_args()
    kinds = [kind for kind in KINDS if kind.name in options.kinds]
    folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
    each = -(-options.cases // len(kinds))
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        counts = list(pool.map(lambda kind: counted(kind, each, options.seed, folder / kind.name), kinds))
    print(f"| kind | {' | '.join(COLUMNS)} |\n|---|{'---:|' * len(COLUMNS)}")
    for kind, count in zip(kinds, counts, strict=True):
        print(f"| {kind.name} | {' | '.join(str(count.get(column, 0)) for column in COLUMNS)} |")
    total = [sum(count.get(column, 0) for count in counts) for column in COLUMNS]
    print(f"| all | {' | '.join(map(str, total))} |")
    for kind in KINDS:
        if kind not in kinds:
            print(f"not run: {kind.name}")
    wrong = total[COLUMNS.index(WRONG)]
    if wrong:
        print(f"{wrong} wrong outcomes; their files are in {folder}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
