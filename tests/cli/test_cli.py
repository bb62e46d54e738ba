"""The command line: evaluate, predict, data, help, and one line for whatever is wrong."""

import json
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from scipy.stats import binomtest
from seeded import python, python_module
from tiny_run import N_TEST, N_VAL, train, write_rows

from multiresconv.cli import main
from multiresconv.cli.entry import EXTRA
from multiresconv.cli.parsers import build_parsers
from multiresconv.data.listops import encode, read_listops, split_path
from multiresconv.installation import how_to_install
from multiresconv.models import load
from multiresconv.runs.directory import RunDirectory

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def run(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("runs") / "run"
    assert train(data, path, trainer__epochs=8) == 0
    return path


def predictions(run: Path, file: Path) -> list[int]:
    """Labels as the model by itself gives them, one row at a time."""
    model = load(run / "model")
    with torch.inference_mode():
        return [int(model(torch.from_numpy(row.tokens).long()[None]).argmax()) for row in read_listops(file)]


@pytest.mark.parametrize(("split", "n"), [("val", N_VAL), ("test", N_TEST)])
def test_evaluate_counts_every_row_once(
    split: str, n: int, run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = split_path(data, split)
    labels = [row.label for row in read_listops(file)]
    hits = sum(a == b for a, b in zip(predictions(run, file), labels, strict=True))
    assert main(["evaluate", str(run), "--split", split, "--batch_size", "5", "--device", "cpu"]) == 0
    report = json.loads((run / f"evaluation-{split}.json").read_text())
    assert report["n"] == n == len(labels)
    assert report["accuracy"] == hits / n
    interval = binomtest(hits, n).proportion_ci(method="wilson")
    assert report["accuracy_95"] == [interval.low, interval.high]
    majority = max(set(labels), key=labels.count)
    assert (report["majority_class"], report["majority_rate"]) == (str(majority), labels.count(majority) / n)
    assert sum(map(sum, report["confusion"])) == n
    table = capsys.readouterr().out
    for text in (f"{hits / n:.2%}", f"{interval.low:.2%} to {interval.high:.2%}", f"{labels.count(majority) / n:.2%}"):
        assert text in table
    assert (run / f"confusion-{split}.png").read_bytes().startswith(b"\x89PNG")


def test_evaluate_agrees_with_the_validation_of_the_run(run: Path) -> None:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    best = [line for line in lines if line.get("best")][-1]
    assert main(["evaluate", str(run), "--split", "val", "--device", "cpu"]) == 0
    report = json.loads((run / "evaluation-val.json").read_text())
    assert report["accuracy"] == best["accuracy"]
    assert report["loss"] == pytest.approx(best["loss"], rel=1e-6)


def test_evaluate_takes_a_file(run: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "mine.tsv", 7, seed=9)
    assert main(["evaluate", str(run), "--file", str(tmp_path / "mine.tsv"), "--device", "cpu"]) == 0
    report = json.loads((run / "evaluation-file-mine.json").read_text())
    assert (report["n"], report["file"]) == (7, str(tmp_path / "mine.tsv"))


def test_another_data_set_has_a_report_of_its_own(
    run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["evaluate", str(run), "--device", "cpu"]) == 0
    before = (run / "evaluation-test.json").read_bytes()
    shutil.copytree(data, tmp_path / "moved")
    shutil.copytree(data, tmp_path / "other")
    write_rows(tmp_path / "other" / "basic_val.tsv", N_VAL, seed=99)
    out = tmp_path / "out"
    for folder, name in (("moved", "test"), ("other", "test-of-other")):
        capsys.readouterr()
        arguments = ["--folder", str(tmp_path / folder), "--out", str(out), "--device", "cpu"]
        assert main(["evaluate", str(run), *arguments]) == 0
        assert f"data: {name}: {tmp_path / folder}\n" in capsys.readouterr().out
        report = json.loads((out / f"evaluation-{name}.json").read_text())
        assert (report["data"], report["folder"], report["n"]) == (name, str(tmp_path / folder), N_TEST)
        assert (out / f"confusion-{name}.png").is_file()
    assert (run / "evaluation-test.json").read_bytes() == before
    assert not list(run.glob("*of-other*"))
    arguments = ["--split", "all", "--folder", str(tmp_path / "other"), "--out", str(out), "--device", "cpu"]
    assert main(["evaluate", str(run), *arguments]) == 0
    rows = [row for split in ("train", "val", "test") for row in read_listops(split_path(tmp_path / "other", split))]
    report = json.loads((out / "evaluation-all-of-other.json").read_text())
    assert report["n"] == len(rows)
    found = [
        label for split in ("train", "val", "test") for label in predictions(run, split_path(tmp_path / "other", split))
    ]
    assert report["accuracy"] == np.mean([label == row.label for label, row in zip(found, rows, strict=True)])


@pytest.mark.parametrize("folder", [None, "data"])
def test_all_splits_of_the_own_data_are_refused(
    folder: str | None, run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [] if folder is None else ["--folder", str(data)]
    assert main(["evaluate", str(run), "--split", "all", *arguments, "--device", "cpu"]) == 2
    assert "--split all: expected --folder with other data" in capsys.readouterr().err


def test_the_table_comes_before_what_cannot_be_written(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    assert main(["evaluate", str(run), "--device", "cpu", "--out", str(tmp_path / "file" / "out")]) == 2
    shown = capsys.readouterr()
    assert "accuracy" in shown.out
    assert shown.err.count("\n") == 1
    assert "the scores above are not stored: --out FOLDER stores them elsewhere" in shown.err


def test_a_file_named_like_a_split_does_not_replace_its_report(
    run: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run)
    assert main(["evaluate", ".", "--device", "cpu"]) == 0
    before = (run / "evaluation-test.json").read_bytes()
    report = json.loads(before)
    best = [line for line in RunDirectory(run).read_metrics() if line.get("best")][-1]
    assert (report["run"], report["model_epoch"], report["model_step"]) == (run.name, best["epoch"], best["step"])
    write_rows(tmp_path / "test.tsv", 7, seed=9)
    caches = tmp_path / "caches"
    arguments = ["--file", str(tmp_path / "test.tsv"), "--cache_folder", str(caches)]
    assert main(["evaluate", ".", *arguments, "--device", "cpu"]) == 0
    assert (run / "evaluation-test.json").read_bytes() == before
    assert [path.suffix for path in caches.iterdir()] == [".cache"]
    assert not (tmp_path / "test.tsv.cache").exists()


def test_predict_labels_every_row_in_order(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = split_path(data, "test")
    assert main(["predict", str(run), str(file), "--batch_size", "5", "--device", "cpu"]) == 0
    lines = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [int(label) for label, *_ in lines] == predictions(run, file)
    assert main(["predict", str(run), str(file), str(file), "--json", "--device", "cpu"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(row["file"], row["row"]) for row in rows] == [(str(file), i + 1) for i in range(N_TEST)] * 2
    for row in rows:
        assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-5)
        assert row["probability"] == max(row["probabilities"].values()) == row["probabilities"][row["label"]]


def test_predict_reads_standard_input(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = python_module("multiresconv.cli", "predict", run, "-", "--device", "cpu")
    result = subprocess.run(command, input="[MAX 2 9 ]\n[MIN 1 2 ]\n", capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    model = load(run / "model")
    tokens = [torch.from_numpy(encode(text)).long()[None] for text in ("[MAX 2 9 ]", "[MIN 1 2 ]")]
    assert [line[0] for line in result.stdout.splitlines()] == [str(int(model(x).argmax())) for x in tokens]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["trian"], "trian"),
        (["train", "listops", "--trainer.epochs", "many"], "trainer.epochs"),
        (["train", "listops", "--model.n_layer", "6"], "model.n_layer"),
        (["train", "listops", "--recipe", "huge"], "'demo', 'paper', 'quick'"),
        (["train", "listops", "--config", "nowhere.yaml"], "nowhere.yaml"),
        (["evaluate", "two  blanks"], "two  blanks is no run directory"),
        (["evaluate", "nowhere"], "nowhere is no run directory"),
        (["predict", "nowhere", "file"], "nowhere is no run directory"),
        (["evaluate", "RUN", "--split", "train"], "split"),
        (["evaluate", "RUN", "--file", "nowhere.tsv"], "nowhere.tsv"),
        (["evaluate", "RUN", "--file", "GOOD", "--split", "val"], "--split val --file"),
        (["evaluate", "RUN", "--file", "DATA"], "a folder, expected a file"),
        (["evaluate", "RUN", "--batch_size", "-3"], "batch_size: expected at least 1, got -3"),
        (["predict", "RUN", "nowhere.tsv"], "nowhere.tsv: No such file"),
        (["predict", "RUN", "BAD"], "line 2: Source: unknown token 'x'"),
        (["predict", "RUN", "GOOD", "--batch_size", "0"], "batch_size"),
        (["explain", "RUN", "GOOD", "--row", "2"], "row: expected 1 to 1 for"),
        (
            ["explain", "RUN", "GOOD", "--label", "ten"],
            "label: expected one of 0, 1, 2, 3, 4, 5, 6, 7",
        ),
        (["explain", "RUN", "BAD", "--row", "2"], "unknown token 'x'"),
        (["data", "listops", "--folder", "DATA", "--n_train", "0", "--overwrite"], "n_train"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    arguments: list[str], said: str, run: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.txt").write_text("[MAX 1 2 ]\n[MAX 1 x ]\n")
    (tmp_path / "good.txt").write_text("[MAX 1 2 ]\n")
    paths = {"RUN": run, "DATA": data, "BAD": tmp_path / "bad.txt", "GOOD": tmp_path / "good.txt"}
    assert main([str(paths.get(argument, argument)) for argument in arguments]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("multiresconv: error: ")
    assert captured.err.count("\n") == 1
    assert said in captured.err


def test_a_run_without_a_validation_says_so(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert train(data, tmp_path / "run", max_time="00:00:00") == 0
    assert main(["evaluate", str(tmp_path / "run")]) == 2
    assert f"--resume {tmp_path / 'run'}" in capsys.readouterr().err.splitlines()[-1]


def test_later_options_win_over_earlier_ones(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("model: {n_layers: 3, d_model: 24}\noptimizer: {lr: 0.5}\n")
    parser, _ = build_parsers()
    mine = ["--config", str(tmp_path / "mine.yaml")]
    options = parser.parse_args(["train", "listops", "--recipe", "quick", *mine, "--model.n_layers", "5"])
    options = options["train"]["listops"]
    assert (options.model.n_layers, options.model.d_model, options.optimizer.lr) == (5, 24, 0.5)
    assert str(options.data.folder) == "data/listops-quick", "what the later file leaves open, the recipe says"
    options = parser.parse_args(["train", "listops", *mine, "--recipe", "quick"])["train"]["listops"]
    assert options.model.d_model == 64


def test_print_config_gives_a_config_that_says_the_same(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(["train", "listops", "--recipe", "demo", "--model.n_layers", "7", "--print_config"])
    assert end.value.code == 0
    text = capsys.readouterr().out
    (tmp_path / "printed.yaml").write_text(text)
    parser, _ = build_parsers()
    again = parser.parse_args(["train", "listops", "--config", str(tmp_path / "printed.yaml")])["train"]["listops"]
    direct = parser.parse_args(["train", "listops", "--recipe", "demo", "--model.n_layers", "7"])["train"]["listops"]
    for group in ("data", "model", "optimizer", "trainer", "seed"):
        assert again[group] == direct[group]


def test_the_config_of_a_run_can_be_given_to_another(run: Path, tmp_path: Path) -> None:
    config = ["--config", str(run / "config.yaml"), "--trainer.epochs", "1"]
    assert main(["train", "listops", *config, "--run", str(tmp_path / "again")]) == 0
    mine, theirs = (yaml.safe_load((r / "config.yaml").read_text()) for r in (tmp_path / "again", run))
    assert mine.pop("trainer") == {**theirs.pop("trainer"), "epochs": 1}
    assert mine == theirs


def test_data_generates_says_what_is_there_and_verifies(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "listops"
    small = ["--n_train", "20", "--n_val", "5", "--n_test", "5", "--min_length", "5", "--max_length", "40"]
    command = ["data", "listops", "--folder", str(folder)]
    assert main([*command, *small]) == 0
    assert len(list(read_listops(split_path(folder, "train")))) == 20
    before = split_path(folder, "test").read_bytes()
    assert main([*command, *small]) == 0
    assert "there already" in capsys.readouterr().out
    assert split_path(folder, "test").read_bytes() == before
    assert main([*command, "--verify"]) == 0
    assert "all labels of 30 rows are right" in capsys.readouterr().out
    lines = split_path(folder, "val").read_text().splitlines()
    lines[3] = lines[3][:-1] + str((int(lines[3][-1]) + 1) % 10)
    split_path(folder, "val").write_text("\n".join(lines) + "\n")
    assert main([*command, "--verify"]) == 2
    assert "basic_val.tsv, line 4" in capsys.readouterr().err.splitlines()[-1]


def test_data_takes_the_limits_of_a_recipe() -> None:
    parser, _ = build_parsers()
    options = parser.parse_args(["data", "listops", "--recipe", "demo", "--n_val", "7"])["data"]["listops"]
    assert (options.n_train, options.n_val, options.max_length) == (20_000, 7, 100)
    assert options.folder == Path("data/listops-demo")


def test_every_command_has_help_and_none_of_it_waits_for_lightning() -> None:
    program = """
import contextlib, functools, io, sys
from multiresconv.cli import dispatch, main
from multiresconv.cli.tasks import TASKS
dispatch.build_parsers = functools.cache(dispatch.build_parsers)  # it takes longer than the rest
tasks = [["train", task] for task in TASKS]
data = [["data", name] for name in ("listops", "mnist", "cifar10", "ptbxl")]
for command in ([], ["train"], *tasks, *data, ["evaluate"], ["predict"], ["sample"], ["inspect"], ["explain"]):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    assert text.getvalue().startswith("usage: multiresconv"), command
assert not {"lightning", "torchmetrics", "matplotlib", "sklearn", "wfdb", "pandas"} & set(sys.modules)
"""
    subprocess.run(python(program), check=True, timeout=60)


def test_a_missing_extra_is_named_in_one_line() -> None:
    """All of it, and each part by itself; reading data needs none of it."""
    program = f"""
import sys
from importlib.machinery import PathFinder
find = PathFinder.find_spec
missing = set({EXTRA})
PathFinder.find_spec = lambda name, *rest: None if name in missing else find(name, *rest)
import multiresconv.data.listops
from multiresconv.cli import main
from multiresconv.cli.entry import EXTRA
assert main(["train", "listops"]) == 2
for name in {EXTRA}:
    missing = {{name}}
    sys.modules.pop(name, None)
    assert main(["train", "listops"]) == 2, name
"""
    result = subprocess.run(python(program), capture_output=True, text=True, timeout=60)
    assert result.returncode == 0, result.stderr
    line = f"multiresconv: error: this needs the training extra: {how_to_install('train')}\n"
    assert result.stderr == line * (1 + len(EXTRA))
