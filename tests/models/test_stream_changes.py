"""A `Stream` whose model changes: new values take effect, anything else is an error; where no kernel can serve."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from stream_cases import DOUBLE, assert_close, classifier, double_weights, first_block, follow, sample, whole
from torch import Tensor, nn
from torch.nn.utils import prune

from multiresconv import MultiresBlock, MultiresClassifier, MultiresLayer, MultiresNet
from multiresconv.layers import ChannelDropout, Standardise

CHANGED = "stream: the module has changed since the stream was made; make a new stream"


def load_others(model: MultiresClassifier) -> None:
    torch.manual_seed(1)
    model.load_state_dict(MultiresClassifier(3, 6, 2, d_input=4, depth=3, dtype=DOUBLE).state_dict())


def optimise(model: MultiresClassifier) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    model(torch.randn(2, 5, 4, dtype=DOUBLE)).square().sum().backward()
    optimizer.step()
    optimizer.zero_grad()


def add_to_data(model: MultiresClassifier) -> None:
    for parameter in model.parameters():
        parameter.data.add_(0.1)


def train_and_eval(model: MultiresClassifier) -> None:
    model.train().eval()
    first_block(model).mix.weight.data.mul_(2)


@pytest.mark.parametrize("change", [double_weights, load_others, optimise, add_to_data, train_and_eval])
def test_new_values_take_effect_at_once(change: Callable[[MultiresClassifier], None]) -> None:
    model = classifier()
    stream, x = model.stream(2), sample(model, 2, 6)
    stream(x[:, :3])
    change(model)
    stream.reset()
    assert_close(stream(x), whole(model, x))


def replace_parameter(model: MultiresClassifier) -> None:
    first_block(model).mix.weight = nn.Parameter(first_block(model).mix.weight.detach().clone())


def assign_others(model: MultiresClassifier) -> None:
    model.load_state_dict(copy.deepcopy(model.state_dict()), assign=True)


def replace_data(model: MultiresClassifier) -> None:
    first_block(model).conv.h0.data = torch.randn(6, 2, dtype=DOUBLE)


def same_memory_read_otherwise(model: MultiresClassifier) -> None:
    h1 = first_block(model).conv.h1
    h1.data = h1.data.flatten().as_strided((6, 2), (1, 6))


def another_precision(model: MultiresClassifier) -> None:
    model.float()


def another_module(model: MultiresClassifier) -> None:
    first_block(model).mix = nn.Linear(6, 12, dtype=DOUBLE)


def another_head(model: MultiresClassifier) -> None:
    model.head = nn.Linear(6, 3, dtype=DOUBLE)


def fewer_blocks(model: MultiresClassifier) -> None:
    model.net.blocks = model.net.blocks[:1]


def one_block_less(model: MultiresClassifier) -> None:
    assert isinstance(model.net.blocks, nn.ModuleList)
    del model.net.blocks[1]


def another_class(model: MultiresClassifier) -> None:
    class Derived(MultiresBlock):
        pass

    first_block(model).__class__ = Derived


def hook(model: MultiresClassifier) -> None:
    first_block(model).mix.register_forward_hook(lambda module, inputs, output: 2 * output)


def pre_hook(model: MultiresClassifier) -> None:
    model.net.register_forward_pre_hook(lambda module, inputs: inputs)


def forward_of_its_own(model: MultiresClassifier) -> None:
    head: Any = model.head
    head.forward = torch.neg


def train(model: MultiresClassifier) -> None:
    model.train()


def another_eps(model: MultiresClassifier) -> None:
    norm: Any = first_block(model).norm
    norm.eps = 0.5


def another_dropout(model: MultiresClassifier) -> None:
    first_block(model).dropout.p = 0.5


def projection(model: MultiresClassifier) -> None:
    first_block(model).projection = nn.Linear(6, 6, dtype=DOUBLE)


def parametrize(model: MultiresClassifier) -> None:
    nn.utils.parametrizations.weight_norm(first_block(model).mix)


def pruned(model: MultiresClassifier) -> None:
    prune.l1_unstructured(first_block(model).mix, "weight", 0.5)


def without_bias(model: MultiresClassifier) -> None:
    model.head.bias = None  # pyright: ignore[reportAttributeAccessIssue]


@pytest.mark.parametrize(
    "change",
    [
        replace_parameter, assign_others, replace_data, same_memory_read_otherwise, another_precision, another_module,
        another_head, fewer_blocks, one_block_less, another_class, hook, pre_hook, forward_of_its_own, train,
        another_eps, another_dropout, projection, parametrize, pruned, without_bias,
    ],
)  # fmt: skip
def test_a_model_that_changes_under_its_stream_is_an_error(change: Callable[[MultiresClassifier], None]) -> None:
    model = classifier()
    stream, x = model.stream(2), sample(model, 2, 6)
    assert_close(stream(x[:, :3]), whole(model, x[:, :3]))
    before = stream.state()
    change(model)
    for piece in (x[:, 3], x[:, 3:]):
        with pytest.raises(RuntimeError, match=CHANGED):
            stream(piece)
    assert all(torch.equal(tensor, before[name]) for name, tensor in stream.state().items())


def test_a_hook_for_all_modules_is_an_error() -> None:
    model = classifier()
    stream, x = model.stream(2), sample(model, 2, 6)
    handle = nn.modules.module.register_module_forward_hook(lambda module, inputs, output: None)
    try:
        with pytest.raises(RuntimeError, match=CHANGED):
            stream(x)
        assert model.stream(2).why_not_fused == "net: block 0: there is a hook for all modules"
    finally:
        handle.remove()
    assert_close(stream(x), whole(model, x))


@pytest.mark.parametrize(
    ("kind", "method"),
    [
        (nn.Linear, "forward"), (nn.LayerNorm, "forward"), (Standardise, "forward"), (ChannelDropout, "forward"),
        (MultiresLayer, "forward"), (MultiresBlock, "forward"), (MultiresNet, "forward"),
        (MultiresClassifier, "forward"), (nn.Module, "__call__"),
    ],
)  # fmt: skip
def test_a_patched_class_is_an_error_and_before_the_stream_is_called(
    kind: type, method: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = classifier()
    stream, x, original = model.stream(2), sample(model, 2, 6), getattr(kind, method)

    def patched(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        y = original(self, *args, **kwargs)
        return (2 * y[0], y[1]) if isinstance(y, tuple) else 2 * y

    with monkeypatch.context() as patch:
        patch.setattr(kind, method, patched)
        with pytest.raises(RuntimeError, match=CHANGED):
            stream(x)
        new = model.stream(2)
        assert new.why_not_fused is not None
        assert_close(follow(new, x, [0, 2]), whole(model, x))
    assert_close(stream(x), whole(model, x))


@pytest.mark.parametrize("change", [lambda t: t[:2], lambda t: t.view(t.shape[::-1])])
def test_data_of_another_shape_at_the_same_address_is_an_error(change: Callable[[Tensor], Tensor]) -> None:
    model = classifier()
    stream = model.stream(2)
    model.head.weight.data = change(model.head.weight.data)
    with pytest.raises(RuntimeError, match=CHANGED):
        stream(sample(model, 2, 6))


def test_an_embedding_that_limits_its_norms_is_called() -> None:
    model = MultiresClassifier(3, 6, 2, n_tokens=7, depth=3).eval().double()
    model.net.encoder = nn.Embedding(7, 6, max_norm=0.1, dtype=DOUBLE)
    stream, x = model.stream(2), sample(model, 2, 6)
    assert stream.why_not_fused == "net: encoder has a max_norm"
    assert_close(stream(x), model(x, state=model.init_state(2))[0])


def half(model: MultiresClassifier) -> None:
    model.bfloat16()


def no_bias(model: MultiresClassifier) -> None:
    first_block(model).mix = nn.Linear(6, 12, bias=False, dtype=DOUBLE)


def another_norm(model: MultiresClassifier) -> None:
    first_block(model).norm = nn.Identity()  # pyright: ignore[reportAttributeAccessIssue]


def strided(model: MultiresClassifier) -> None:
    first_block(model).mix.weight.data = torch.randn(6, 12, dtype=DOUBLE).t()


def unlike_blocks(model: MultiresClassifier) -> None:
    first_block(model).projection = nn.Linear(6, 6, dtype=DOUBLE)


def tensor_of_another_class(model: MultiresClassifier) -> None:
    class Special(Tensor):
        pass

    mix = first_block(model).mix
    mix.weight = nn.Parameter(mix.weight.detach().as_subclass(Special))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (hook, r"net: block 0: mix has a forward hook"),
        (pre_hook, r"net has a forward pre-hook"),
        (forward_of_its_own, r"head has a forward of its own"),
        (another_class, r"net: block 0: the block is a Derived"),
        (parametrize, r"net: block 0: mix is a ParametrizedLinear"),
        (pruned, r"net: block 0: mix has a forward pre-hook"),
        (another_norm, r"net: block 0: norm is a Identity"),
        (no_bias, r"net: block 0: mix has no bias"),
        (unlike_blocks, r"the blocks are not alike"),
        (strided, r"a parameter is not contiguous"),
        (tensor_of_another_class, r"net: block 0: mix.weight is a Special"),
        (half, r"net: block 0: conv.h0 is torch.bfloat16"),
    ],
)  # fmt: skip
def test_where_the_kernel_cannot_serve_the_model_itself_runs(
    change: Callable[[MultiresClassifier], None], why: str
) -> None:
    model = classifier()
    change(model)
    stream, x = model.stream(3), sample(model, 3, 6)
    assert stream.why_not_fused is not None
    assert why in stream.why_not_fused
    tolerance = {"rtol": 0.05, "atol": 0.05} if change is half else {"rtol": 1e-10, "atol": 1e-10}
    torch.testing.assert_close(follow(stream, x, [0, 2]), whole(model, x), **tolerance)
    stream.reset([0, 2])
    torch.testing.assert_close(stream(x[[2, 0]], rows=[2, 0]), whole(model, x[[2, 0]]), **tolerance)
