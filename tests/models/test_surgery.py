"""A model that was changed by hand: its folder describes what is there, or `save` refuses by name."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.ao.quantization import quantize_dynamic
from torch.nn.utils import parametrizations, prune

from multiresconv import MultiresBlock, MultiresClassifier, load, save
from multiresconv.models import Output


def classifier(**options: Any) -> MultiresClassifier:
    options = {"d_input": 2, "depth": 3, **options}
    return MultiresClassifier(3, 4, 2, **options).eval()


def quantized(model: MultiresClassifier) -> nn.Module:
    return quantize_dynamic(model, {nn.Linear}, dtype=torch.qint8)


def test_dynamic_quantization_runs_and_is_refused_by_name(tmp_path: Path) -> None:
    model = classifier(pooling="last")
    small, x = quantized(model), torch.randn(2, 9, 2)
    # 8 bits for weights and inputs of five maps in a row: a few percent of outputs of about 1.
    torch.testing.assert_close(small(x), model(x), rtol=0, atol=0.1)
    stepped: Any = small
    torch.testing.assert_close(stepped(x, state=stepped.init_state(2))[0][:, -1], small(x), rtol=0, atol=0.1)
    with pytest.raises(TypeError, match=r"model: net\.encoder is a torch\.ao\..*Linear, not a Linear"):
        save(stepped, tmp_path)


class Lora(nn.Module):
    """A linear map with a low-rank correction."""

    def __init__(self, of: nn.Linear) -> None:
        super().__init__()
        self.of, self.down, self.up = of, nn.Linear(of.in_features, 1), nn.Linear(1, of.out_features)

    def forward(self, x: Tensor) -> Tensor:
        return self.of(x) + self.up(self.down(x))


def first_block(model: MultiresClassifier) -> Any:
    blocks: Any = model.net.blocks
    return blocks[0]


def drop_a_block(model: MultiresClassifier) -> None:
    blocks: Any = model.net.blocks
    del blocks[0]


def other_dropout(model: MultiresClassifier) -> None:
    for part in model.net.blocks:
        part.dropout.p = 0.3  # pyright: ignore[reportAttributeAccessIssue, reportArgumentType]


def new_head(model: MultiresClassifier) -> None:
    model.head = nn.Linear(4, 7)
    model.output = Output("class", tuple("abcdefg"))


@pytest.mark.parametrize("change", [drop_a_block, other_dropout, new_head])
def test_what_a_folder_can_describe_is_saved_as_it_is(change: Callable[[Any], None], tmp_path: Path) -> None:
    model, x = classifier(dropout=0.1), torch.randn(2, 9, 2)
    change(model)
    save(model, tmp_path)
    again = load(tmp_path)
    assert torch.equal(again(x), model(x))
    assert again.output == model.output
    assert first_block(again).dropout.p == first_block(model).dropout.p


def set_part(path: str, part: Callable[[], Any]) -> Callable[[MultiresClassifier], None]:
    def change(model: MultiresClassifier) -> None:
        owner, _, name = path.rpartition(".")
        setattr(model.get_submodule(owner), name, part())

    return change


def patched(model: MultiresClassifier) -> None:
    head: Any = model.head
    head.forward = torch.neg


def lora(model: MultiresClassifier) -> None:
    first_block(model).mix = Lora(first_block(model).mix)


def one_dropout(model: MultiresClassifier) -> None:
    first_block(model).dropout.p = 0.4


class Special(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 2 * super().forward(input)


SURGERY: dict[str, tuple[Callable[[MultiresClassifier], Any], str]] = {
    "head without names": (set_part("head", lambda: nn.Linear(4, 7)), "output: expected 7 names, got 3"),
    "eps": (set_part("net.blocks.0.norm.eps", lambda: 0.5), "net.blocks.0.norm.eps is 0.5, not 1e-05"),
    "another norm": (set_part("net.blocks.1.norm", lambda: nn.RMSNorm(4)), "net.blocks.1.norm is a RMSNorm"),
    "norm of the other kind": (set_part("net.blocks.1.norm", lambda: nn.BatchNorm1d(4)), "norm is a BatchNorm1d"),
    "encoder": (set_part("net.encoder", lambda: nn.Sequential(nn.Linear(2, 4))), "net.encoder is a Sequential"),
    "subclass": (set_part("head", lambda: Special(4, 3)), "head is a .*Special, not a Linear"),
    "lora": (lora, "net.blocks.0.mix is a .*Lora, not a Linear"),
    "no bias": (set_part("head", lambda: nn.Linear(4, 3, bias=False)), "head.bias has the shape None"),
    "one dropout": (one_dropout, "net.blocks.1.dropout.p is 0.1, not 0.4"),
    "patched": (patched, "head has a forward of its own"),
    "pruned": (lambda m: prune.l1_unstructured(m.head, "weight", 0.5), "head.weight_orig has the shape"),
    "parametrized": (lambda m: parametrizations.weight_norm(m.head), "head is a .*ParametrizedLinear"),
    "pre-norm block": (
        set_part("net.blocks.1", lambda: MultiresBlock(4, depth=3, norm_first=True)), "net.blocks.1.norm_first is True"
    ),
    "other memory": (
        set_part("net.blocks.1", lambda: MultiresBlock(4, memory=(1, 0, 2))), r"conv.memory is \(1, 0, 2\), not"
    ),
    "max norm": (lambda m: setattr(m.net, "encoder", nn.Embedding(5, 4, max_norm=1.0)), "net.encoder is a Embedding"),
    "not finite": (lambda m: m.head.weight.data.fill_(torch.nan), "head.weight: expected finite values"),
}  # fmt: skip


@pytest.mark.parametrize("name", SURGERY)
def test_what_a_folder_cannot_describe_is_refused_by_name(name: str, tmp_path: Path) -> None:
    change, message = SURGERY[name]
    model = classifier(dropout=0.1)
    change(model)
    with pytest.raises((TypeError, ValueError), match=message):
        save(model, tmp_path / "model")
    assert not (tmp_path / "model").exists()


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_tied_weights_stay_tied(norm: Any, tmp_path: Path) -> None:
    model = MultiresClassifier(5, 4, 3, n_tokens=5, depth=3, norm=norm).eval()
    encoder, blocks = model.net.encoder, model.net.blocks
    model.head.weight = encoder.weight
    blocks[2] = blocks[0]  # pyright: ignore[reportIndexIssue]
    save(model, tmp_path)
    again, x = load(tmp_path), torch.randint(5, (2, 9))
    assert torch.equal(again(x), model(x))
    assert again.head.weight is again.net.encoder.weight
    first, last = (again.net.blocks[number].state_dict(keep_vars=True) for number in (0, 2))
    assert all(last[name] is tensor for name, tensor in first.items())
    assert len(list(again.parameters())) == len(list(model.parameters()))
