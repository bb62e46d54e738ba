"""What users of PyTorch do every day: ambient defaults, integers of any kind, surgery, averaged weights."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.ao.quantization import quantize_dynamic
from torch.nn.utils import parametrizations, prune
from torch.optim.swa_utils import update_bn

from multiresconv import MultiresAR, MultiresBlock, MultiresClassifier, MultiresLayer, MultiresNet, load, save
from multiresconv.models import Output, load_model, sample

MEMORIES: list[Any] = [
    np.int64(5), np.array([1, 2, 1]), [np.int32(1)] * 3, torch.tensor([1, 2, 1]), (1, 2, 1),
]  # fmt: skip


def classifier(**options: Any) -> MultiresClassifier:
    options = {"d_input": 2, "depth": 3, **options}
    return MultiresClassifier(3, 4, 2, **options).eval()


def everything(folder: Path) -> list[Any]:
    """What comes out of layers, models, streams, samples and folders, on the CPU."""
    seeded = torch.Generator().manual_seed(0)
    x = torch.randn(2, 9, 2, generator=seeded, device="cpu", dtype=torch.float32)
    lengths = torch.tensor([9, 4], device="cpu")
    where: dict[str, Any] = {"device": "cpu", "dtype": torch.float32}
    out: list[Any] = []
    torch.manual_seed(0)
    for norm in ("layer", "batch"):
        model = classifier(norm=norm, wavelet="db2", bidirectional=norm == "batch", **where)
        y = model.train()(x, lengths)
        y.sum().backward()
        out += [y, model.eval()(x, lengths), *(p.grad for p in model.parameters())]
        save(model, folder)
        out.append(load(folder)(x))
    model = classifier(n_tokens=5, d_input=None, pooling="max", **where)
    tokens = torch.tensor([[1, 2, 3], [4, 0, 1]], device="cpu")
    stream = model.stream(2)
    out += [stream(tokens), stream(tokens[:, 0], rows=[1, 0]), model(tokens, state=model.init_state(2))[0]]
    stream.reset([0])
    density = MultiresAR(4, 2, depth=2, **where)
    out += [sample(density.eval(), 2, 5), density.bits_per_dim(torch.zeros(2, 5, 3, dtype=torch.uint8, device="cpu"))]
    long = MultiresLayer(1, depth=2, **where)
    return [*out, long(torch.ones(1, (1 << 17) + 5, 1, device="cpu", dtype=torch.float32)).sum()]


def test_ambient_device_and_dtype_change_nothing(tmp_path: Path) -> None:
    expected = everything(tmp_path / "plain")
    with torch.device("meta"):
        torch.testing.assert_close(everything(tmp_path / "meta"), expected, rtol=0, atol=0)
    torch.set_default_device("meta")
    try:
        torch.testing.assert_close(everything(tmp_path / "default"), expected, rtol=0, atol=0)
    finally:
        torch.set_default_device(None)
    torch.set_default_dtype(torch.float64)
    try:
        torch.testing.assert_close(everything(tmp_path / "double"), expected, rtol=0, atol=0)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("memory", MEMORIES, ids=repr)
def test_integers_of_numpy_are_sizes(memory: Any, tmp_path: Path) -> None:
    two, three = np.int64(2), np.int16(3)
    model = MultiresClassifier(three, np.uint8(4), two, d_input=two, kernel_size=two, depth=three, memory=memory).eval()
    save(model, tmp_path)
    x = torch.randn(2, 9, 2)
    assert torch.equal(load(tmp_path)(x), model(x))
    assert MultiresLayer(np.int64(4), max_length=np.int64(9), kernel_size=np.int64(2)).memory == (1,) * 4


@pytest.mark.parametrize("pooling", ["mean", "last"])
@pytest.mark.parametrize("convert", [list, tuple, np.array, lambda n: np.array(n, np.uint8), torch.tensor])
def test_lengths_of_any_kind(convert: Callable[[Any], Any], pooling: str) -> None:
    model, x = classifier(pooling=pooling, bidirectional=True), torch.randn(3, 9, 2)
    expected = model(x, torch.tensor([9, 1, 4]))
    assert torch.equal(model(x, convert([9, 1, 4])), expected)
    assert torch.equal(model.net(x, convert([9, 1, 4])), model.net(x, torch.tensor([9, 1, 4])))


@pytest.mark.parametrize("lengths", [[9.0, 1.0, 4.0], ["9", "1", "4"], [True, True, True], None.__class__, 3])
def test_what_are_no_lengths_is_said(lengths: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="lengths: expected"):
        classifier()(torch.randn(3, 9, 2), lengths)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32])
def test_tokens_of_any_integer_dtype(dtype: torch.dtype) -> None:
    model = classifier(d_input=None, n_tokens=5)
    tokens = torch.randint(5, (2, 9))
    assert torch.equal(model(tokens.to(dtype)), model(tokens))
    assert torch.equal(model.stream(2)(tokens.to(dtype)), model.stream(2)(tokens))
    assert torch.equal(model.stream(2)(tokens[:, 0].to(dtype)), model.stream(2)(tokens[:, 0]))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.int16])
@pytest.mark.parametrize("own", [torch.bfloat16, torch.float32, torch.float64])
def test_samples_of_any_dtype(dtype: torch.dtype, own: torch.dtype) -> None:
    model, x = classifier(dtype=own), torch.randn(2, 9, 2).to(dtype)
    assert torch.equal(model(x), model(x.to(own)))
    assert torch.equal(model.stream(2)(x), model.stream(2)(x.to(own)))


def test_arrays_are_refused_in_one_line() -> None:
    with pytest.raises(TypeError, match="x: expected a tensor, got ndarray"):
        classifier()(np.zeros((1, 9, 2)))


def test_a_model_loaded_in_inference_mode_can_be_trained(tmp_path: Path) -> None:
    save(classifier(norm="batch"), tmp_path)
    with torch.inference_mode():
        model = load(tmp_path)
    model.train()(torch.randn(2, 9, 2)).sum().backward()
    assert all(p.grad is not None for p in model.parameters())


def test_averaged_weights_get_their_statistics() -> None:
    model, data = classifier(norm="batch").double(), [torch.randn(4, 9, 2).double() for _ in range(5)]
    blocks: Any = model.net.blocks
    norm = blocks[0].norm
    norm.running_mean.fill_(100)
    update_bn(data, model)
    inputs: list[Tensor] = []
    handle = norm.register_forward_pre_hook(lambda module, args: inputs.append(args[0].detach()))
    model.train()
    for x in data:
        model(x)
    handle.remove()
    means = torch.stack([x.mean((0, 1)) for x in inputs])
    update_bn(data, model)
    torch.testing.assert_close(norm.running_mean, means.mean(0))
    assert norm.momentum == 0.1


@pytest.mark.parametrize("lengths", [None, torch.tensor([9, 3, 5, 1])])
def test_without_momentum_all_batches_count_alike(lengths: Tensor | None) -> None:
    block = MultiresBlock(4, depth=3, norm="batch", dtype=torch.float64)
    norm: Any = block.norm
    norm.momentum = None
    plain = nn.BatchNorm1d(4, momentum=None, dtype=torch.float64)
    for _ in range(3):
        x = torch.randn(4, 9, 4, dtype=torch.float64)
        valid = torch.arange(9) < (torch.full((4,), 9) if lengths is None else lengths)[:, None]
        norm(x, lengths)
        plain(x[valid])
    torch.testing.assert_close(norm.running_mean, plain.running_mean)
    torch.testing.assert_close(norm.running_var, plain.running_var)


@pytest.mark.parametrize("lengths", [None, torch.tensor([9, 3, 5, 1])])
def test_a_batch_norm_of_pytorch_sees_the_valid_steps(lengths: Tensor | None) -> None:
    ours = MultiresBlock(4, depth=3, norm="batch", dtype=torch.float64)
    theirs = MultiresBlock(4, depth=3, norm=nn.BatchNorm1d(4, dtype=torch.float64))
    theirs.load_state_dict(ours.state_dict())
    theirs = theirs.double()
    converted = nn.SyncBatchNorm.convert_sync_batchnorm(ours).eval()
    x = torch.randn(4, 9, 4, dtype=torch.float64)
    valid = torch.arange(9) < (torch.full((4,), 9) if lengths is None else lengths)[:, None]
    torch.testing.assert_close(theirs(x, lengths)[valid], ours.train()(x, lengths)[valid])
    theirs.eval()
    ours.eval()
    torch.testing.assert_close(theirs(x, lengths)[valid], ours(x, lengths)[valid])
    torch.testing.assert_close(converted(x, lengths)[valid], ours(x, lengths)[valid])


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


@pytest.mark.parametrize(
    ("module", "x"),
    [
        (MultiresLayer(4, wavelet="db2", memory=5, depth=3, bidirectional=True), torch.ones(2, 9, 4)),
        (MultiresNet(4, 2, d_input=3, depth=2, norm="batch", norm_first=True), torch.ones(2, 9, 3)),
        (MultiresNet(4, 2, n_tokens=3, depth=2, projection=True), torch.ones(2, 9, dtype=torch.int64)),
    ],
    ids=["layer", "net of samples", "net of tokens"],
)
def test_nets_and_layers_are_saved_too(module: Any, x: Tensor, tmp_path: Path) -> None:
    save(module.eval(), tmp_path)
    again = load(tmp_path)
    assert type(again) is type(module)
    assert torch.equal(again(x), module(x))
    with pytest.raises(ValueError, match=f"expected a model that gives predictions, got a {type(module).__name__}"):
        load_model(tmp_path)


def test_a_changed_file_is_noticed(tmp_path: Path) -> None:
    save(classifier(), tmp_path)
    config, tensors = tmp_path / "config.json", tmp_path / "model.safetensors"
    text, data = config.read_text(), tensors.read_bytes()
    for position in range(1, 200, 7):  # in the tensors, which end the file
        tensors.write_bytes(data[:-position] + bytes([data[-position] ^ 1]) + data[len(data) - position + 1 :])
        with pytest.raises(ValueError, match="is not as it was saved"):
            load(tmp_path)
    tensors.write_bytes(data)
    config.write_text(text.replace('"channel 1"', '"channel 7"'))
    with pytest.raises(ValueError, match="is not as it was saved"):
        load(tmp_path)
    config.write_text(text)
    assert load(tmp_path).input.channels == ("channel 1", "channel 2")


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("head.weight", torch.nan, "head.weight: expected finite values"),
        ("net.blocks.0.norm.running_var", -1.0, "running_var: expected variances of at least 0, got -1.0"),
        ("net.standardise.std", 0.0, "standardise.std: expected standard deviations above 0, got 0.0"),
    ],
)
def test_values_that_cannot_be_computed_with_are_refused(name: str, value: float, message: str, tmp_path: Path) -> None:
    model = classifier(norm="batch")
    save(model, tmp_path)
    model.state_dict()[name].view(-1)[0] = value
    with pytest.raises(ValueError, match=message):
        save(model, tmp_path)
    save_file({key: tensor.contiguous() for key, tensor in model.state_dict().items()}, tmp_path / "model.safetensors")
    with pytest.raises(ValueError, match=message):
        load(tmp_path)
