"""A checkpoint is loaded as it was saved, or refused in one line that names it; nothing in between."""

import copy
import math
import random
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from multiresconv.cli import main
from multiresconv.runs.checkpoints import load_checkpoint

pytestmark = pytest.mark.slow

Content = dict[str, Any]


@pytest.fixture
def damaged(run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, to damage."""
    return Path(shutil.copytree(run, tmp_path / "run"))


def last_of(run: Path) -> Path:
    return run / "checkpoints" / "last.ckpt"


def set_state(**values: Any) -> Callable[[Content], None]:
    return lambda content: content["state"].update(values)


def set_best(**values: Any) -> Callable[[Content], None]:
    return lambda content: content["state"]["best"].update(values)


def set_option(**values: Any) -> Callable[[Content], None]:
    return lambda content: content["optimizer"]["param_groups"][0].update(values)


def change_weight(change: Callable[[torch.Tensor], Any], name: str = "head.weight") -> Callable[[Content], None]:
    return lambda content: content["model"].update({name: change(content["model"][name])})


def change_moment(change: Callable[[torch.Tensor], Any], name: str = "exp_avg") -> Callable[[Content], None]:
    def apply(content: Content) -> None:
        state = content["optimizer"]["state"][1]
        state[name] = change(state[name])

    return apply


def drop(*path: Any) -> Callable[[Content], None]:
    def apply(content: Any) -> None:
        for name in path[:-1]:
            content = content[name]
        del content[path[-1]]

    return apply


def in_float64(content: Content) -> None:
    content["model"] = {name: t.double() if t.is_floating_point() else t for name, t in content["model"].items()}


def with_nan(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.clone()
    tensor.view(-1)[0] = math.nan
    return tensor


CASES: dict[str, tuple[Callable[[Content], Any], str]] = {
    "no model": (drop("model"), "model: missing"),
    "no optimizer": (drop("optimizer"), "optimizer: missing"),
    "no state": (drop("state"), "state: missing"),
    "another field": (lambda content: content.update(more=1), "unknown field 'more'"),
    "a list for the model": (lambda content: content.update(model=[1]), "model: expected a mapping, got a list"),
    # position
    "step 2.5": (set_state(step=2.5), "state: step: expected an integer of at least 0, got 2.5"),
    "step NaN": (set_state(step=math.nan), "state: step: expected an integer of at least 0, got nan"),
    "step text": (set_state(step="12"), "state: step: expected an integer of at least 0, got '12'"),
    "step true": (set_state(step=True), "state: step: expected an integer of at least 0, got True"),
    "step below 0": (set_state(step=-1), "state: step: expected an integer of at least 0, got -1"),
    "step of 40 digits": (set_state(step=10**40), "state: step: expected an integer"),
    "step of 9,999 digits": (set_state(step=10**9999), "damaged, or no checkpoint"),
    "step tensor": (set_state(step=torch.tensor(12)), "state: step: expected an integer of at least 0, got a Tensor"),
    "no step": (drop("state", "step"), "state: step: missing"),
    "unknown state": (set_state(steps=3), "state: unknown field 'steps'"),
    "seconds NaN": (set_state(seconds=math.nan), "state: seconds: expected a finite number"),
    "loss text": (set_state(loss_sum="0"), "state: loss_sum: expected a finite number"),
    "awaits 1": (set_state(awaits_validation=1), "state: awaits_validation: expected true or false, got 1"),
    "best list": (set_state(best=[1]), "state: best: expected a mapping, or null, got a list"),
    "no best": (set_state(best=None), "state: expected a best and last score after 3 validations"),
    "best score NaN": (set_best(score=math.nan), "state: best: score: expected a finite number"),
    "best scores": (set_best(scores={"accuracy": "high"}), "state: best: scores: accuracy: expected a tensor"),
    "best after the end": (set_best(step=99), "state: best: step 99"),
    "more epochs than steps": (set_state(validated_epochs=50), "state: expected at least 50 steps"),
    "another step": (set_state(step=11), "not of the optimizer of this run: optimizer: weight 0: step: expected 11"),
    # weights
    "weights in float64": (in_float64, "expected torch.float32, got torch.float64"),
    "a weight in half precision": (change_weight(torch.Tensor.half), "head.weight: expected torch.float32"),
    "a weight of another shape": (change_weight(lambda t: t[1:]), "head.weight: expected shape (10, 8), got (9, 8)"),
    "a weight with an axis more": (change_weight(lambda t: t[None]), "head.weight: expected shape (10, 8)"),
    "a sparse weight": (change_weight(torch.Tensor.to_sparse), "damaged, or no checkpoint"),
    "a number for a weight": (change_weight(lambda t: 1.0), "head.weight: expected a dense tensor, got 1.0"),
    "a weight that is NaN": (change_weight(with_nan), "head.weight: expected finite values"),
    "a weight missing": (drop("model", "head.weight"), "missing head.weight"),
    "a weight too many": (lambda content: content["model"].update(more=torch.ones(1)), "unknown more"),
    # optimizer
    "no moment": (drop("optimizer", "state", 1, "exp_avg"), "weight 1: missing exp_avg"),
    "no eps": (drop("optimizer", "param_groups", 0, "eps"), "options: eps: missing"),
    "no groups": (lambda content: content["optimizer"].update(param_groups=[]), "param_groups: expected one group"),
    "no states": (lambda content: content["optimizer"].update(state={}), "expected the states of"),
    "a state missing": (drop("optimizer", "state", 0), "expected the states of"),
    "eps text": (set_option(eps="1e-8"), "options: eps: expected 1e-08"),
    "another weight decay": (set_option(weight_decay=0.5), "options: weight_decay: expected 0.03"),
    "betas": (set_option(betas=(0.9, torch.ones(2))), "options: betas: expected (0.9, 0.999)"),
    "lr NaN": (set_option(lr=math.nan), "options: lr: expected a finite number"),
    "parameters in another order": (set_option(params=[1, 0]), "options: params: expected one for each weight"),
    "a moment of another shape": (change_moment(lambda t: t[:1, :1].clone()), "weight 1: exp_avg: expected shape"),
    "a moment without elements": (change_moment(lambda t: t[:0]), "weight 1: exp_avg: expected shape"),
    "a moment in float64": (change_moment(torch.Tensor.double), "weight 1: exp_avg: expected torch.float32"),
    "a moment that is NaN": (change_moment(with_nan), "weight 1: exp_avg: expected finite values"),
    "a square below 0": (change_moment(lambda t: t - 1, "exp_avg_sq"), "weight 1: exp_avg_sq: expected values"),
    "a number for a moment": (change_moment(lambda t: 0.0), "weight 1: exp_avg: expected a dense tensor"),
    "a step in float64": (change_moment(torch.Tensor.double, "step"), "weight 1: step: expected torch.float32"),
    "a step of 2.5": (change_moment(lambda t: t * 0 + 2.5, "step"), "weight 1: step: expected 12, got 2.5"),
    "a step for each row": (change_moment(lambda t: t.repeat(3), "step"), "weight 1: step: expected shape ()"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_checkpoint_is_refused_and_nothing_is_written(
    name: str, damaged: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    damage, reason = CASES[name]
    content = torch.load(last_of(damaged), weights_only=True)
    damage(content)
    torch.save(content, last_of(damaged))
    before = {path: path.read_bytes() for path in damaged.rglob("*") if path.is_file()}
    assert main(["train", "listops", "--resume", str(damaged)]) == 2
    error = capsys.readouterr().err
    assert error.startswith(f"multiresconv: error: {last_of(damaged)}: ")
    assert error.count("\n") == 1
    assert reason in error
    assert {path: path.read_bytes() for path in damaged.rglob("*") if path.is_file()} == before


def test_a_step_that_is_not_of_this_run(damaged: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = torch.load(last_of(damaged), weights_only=True)
    content["state"]["step"] = 16
    for state in content["optimizer"]["state"].values():
        state["step"].fill_(16)
    torch.save(content, last_of(damaged))
    assert main(["train", "listops", "--resume", str(damaged)]) == 2
    assert f"{last_of(damaged)}: step 16 after 3 whole epochs does not fit this run" in capsys.readouterr().err


def same(a: Any, b: Any) -> bool:
    if isinstance(a, torch.Tensor):
        return isinstance(b, torch.Tensor) and torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[name], b[name]) for name in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def content_of(path: Path) -> Any:
    checkpoint = load_checkpoint(path)
    return checkpoint.model, checkpoint.optimizer, checkpoint.state.to_dict()


def test_a_flipped_bit_changes_nothing_or_is_refused(run: Path, tmp_path: Path) -> None:
    right, original = content_of(last_of(run)), last_of(run).read_bytes()
    path, draw, refused = tmp_path / "last.ckpt", random.Random(0), 0
    for _ in range(300):
        data = bytearray(original)
        data[draw.randrange(len(data))] ^= 1 << draw.randrange(8)
        path.write_bytes(data)
        try:
            assert same(content_of(path), right)
        except ValueError as error:
            assert str(error).startswith(f"{path}: damaged")  # noqa: PT017
            refused += 1
    assert refused > 100


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
def test_a_checkpoint_that_was_cut_is_refused(run: Path, tmp_path: Path, share: float) -> None:
    data, path = last_of(run).read_bytes(), tmp_path / "last.ckpt"
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(ValueError, match=r"last\.ckpt: damaged"):
        load_checkpoint(path)


def rewritten(source: Path, path: Path, change: Callable[[str, bytes], bytes], compression: int) -> Path:
    """The archive with members changed and the checksums right."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w", compression) as new:
        for member in old.namelist():
            new.writestr(member, change(member, old.read(member)))
    return path


def test_a_compressed_archive_is_refused(run: Path, tmp_path: Path) -> None:
    path = rewritten(last_of(run), tmp_path / "last.ckpt", lambda _, data: data, zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=r"last\.ckpt: damaged.*not compressed"):
        load_checkpoint(path)


def test_no_tensor_reaches_beyond_its_memory(run: Path, tmp_path: Path) -> None:
    """Members are cut short, but the checksums are right: PyTorch would read what lies behind."""

    def cut(member: str, data: bytes) -> bytes:
        return data[: len(data) // 2] if "/data/" in member else data

    path = rewritten(last_of(run), tmp_path / "last.ckpt", cut, zipfile.ZIP_STORED)
    with pytest.raises(ValueError, match=r"last\.ckpt: damaged"):
        load_checkpoint(path)


def test_tensors_have_memory_of_their_own(run: Path, tmp_path: Path) -> None:
    content = torch.load(last_of(run), weights_only=True)
    shared = torch.zeros(10, 8)
    content["model"]["head.weight"] = shared
    content["model"]["net.encoder.weight"] = shared.expand(10, 8).t().contiguous().t()
    torch.save(content, tmp_path / "last.ckpt")
    model = content_of(tmp_path / "last.ckpt")[0]
    tensors = [model["head.weight"], model["net.encoder.weight"]]
    assert len({tensor.data_ptr() for tensor in tensors}) == 2
    assert all(tensor.is_contiguous() for tensor in tensors)
    torch.save({**content, "model": {"a": torch.zeros(1).expand(10**12)}}, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match="stored whole"):
        load_checkpoint(tmp_path / "last.ckpt")


def test_a_resumed_run_goes_on_from_a_good_checkpoint(damaged: Path) -> None:
    content = torch.load(last_of(damaged), weights_only=True)
    torch.save(copy.deepcopy(content), last_of(damaged))
    assert main(["train", "listops", "--resume", str(damaged)]) == 0


def test_a_list_that_contains_itself_is_refused(run: Path, tmp_path: Path) -> None:
    content = torch.load(last_of(run), weights_only=True)
    content["state"]["best"]["scores"] = {}
    content["state"]["best"]["scores"]["itself"] = content["state"]
    torch.save(content, tmp_path / "last.ckpt")
    with pytest.raises(ValueError, match=r"last\.ckpt: damaged"):
        load_checkpoint(tmp_path / "last.ckpt")
