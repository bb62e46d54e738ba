"""The curricula under results/ are chains of commands that the command line takes, and go on where they stopped."""

import itertools
import json
import os
import subprocess
from pathlib import Path

import pytest
from paths import ROOT

from multiresconv.cli.parsers import build_parsers

STUB = """#!/usr/bin/env python3
import json, pathlib, sys
arguments = sys.argv[1:]
with open({log!r}, "a") as file:
    file.write(json.dumps(arguments) + "\\n")
option = lambda name: arguments[arguments.index(name) + 1] if name in arguments else None
if arguments[0] == "data":
    folder = pathlib.Path(option("--folder"))
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "val", "test"):
        (folder / ("basic_%s.tsv" % split)).write_text("Source\\tTarget\\n%s %s\\t1\\n" % (folder.name, split))
elif option("--run"):
    run = pathlib.Path(option("--run"))
    run.mkdir(parents=True)
    (run / "run.json").write_text("{{}}")
"""


@pytest.mark.parametrize("name", ["listops-curriculum", "listops-curriculum-free"])
def test_a_curriculum_is_made_of_commands_that_exist(name: str, tmp_path: Path) -> None:
    script = tmp_path / "results" / name / "train.sh"
    script.parent.mkdir(parents=True)
    script.write_bytes((ROOT / "results" / name / "train.sh").read_bytes())
    log, stub = tmp_path / "log", tmp_path / "multiresconv"
    stub.write_text(STUB.format(log=str(log)))
    stub.chmod(0o755)
    calls = []
    for _ in range(2):
        subprocess.run(["bash", str(script)], check=True, env={**os.environ, "MULTIRESCONV": str(stub)}, timeout=60)
        calls.append([json.loads(line) for line in log.read_text().splitlines()])
    first, again = calls[0], calls[1][len(calls[0]) :]
    parser, _ = build_parsers()
    for command in [*first, *again]:
        parser.parse_args(command)
    stages = [command for command in first if command[0] == "train"]
    assert len(stages) == 9
    for before, stage in itertools.pairwise(stages):
        assert stage[stage.index("--model.init") + 1] == before[before.index("--run") + 1] + "/model"
    runs = [stage[stage.index("--run") + 1] for stage in stages]
    assert again == [["train", "listops", "--resume", run] for run in runs]
