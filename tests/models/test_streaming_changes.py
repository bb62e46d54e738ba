"""A step sees whatever became of the model since the step before."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from stream_cases import DOUBLE, assert_streams, classifier, double_weights, first_block, sample, whole
from torch import Tensor, nn
from torch.nn.utils import prune

from multiresconv import MultiresBlock, MultiresClassifier
from multiresconv.ops import State


def load_others(model: MultiresClassifier) -> None:
    torch.manual_seed(1)
    model.load_state_dict(MultiresClassifier(3, 6, 2, d_input=4, depth=3, dtype=DOUBLE).state_dict())


def assign_others(model: MultiresClassifier) -> None:
    torch.manual_seed(1)
    model.load_state_dict(MultiresClassifier(3, 6, 2, d_input=4, depth=3, dtype=DOUBLE).state_dict(), assign=True)


def replace_data(model: MultiresClassifier) -> None:
    first_block(model).conv.h0.data = torch.randn(6, 2, dtype=DOUBLE)


def strided_data(model: MultiresClassifier) -> None:
    first_block(model).mix.weight.data = torch.randn(6, 12, dtype=DOUBLE).t()


def same_memory_read_otherwise(model: MultiresClassifier) -> None:
    h1 = first_block(model).conv.h1
    h1.data = h1.data.flatten().as_strided((6, 2), (1, 6))


def another_eps(model: MultiresClassifier) -> None:
    norm = first_block(model).norm
    assert isinstance(norm, nn.LayerNorm)
    norm.eps = 0.5


def without_bias(model: MultiresClassifier) -> None:
    first_block(model).mix = nn.Linear(6, 12, bias=False, dtype=DOUBLE)


def another_module(model: MultiresClassifier) -> None:
    class Halved(nn.Linear):
        def forward(self, input: Tensor) -> Tensor:
            return 0.5 * super().forward(input)

    first_block(model).mix = Halved(6, 12, dtype=DOUBLE)


def hook(model: MultiresClassifier) -> None:
    first_block(model).mix.register_forward_hook(lambda module, inputs, output: 2 * output)


def hooked_dropout(model: MultiresClassifier) -> None:
    first_block(model).dropout.register_forward_hook(lambda module, inputs, output: 2 * output)


def hooked_convolution(model: MultiresClassifier) -> None:
    def double(module: nn.Module, inputs: Any, output: Any) -> Any:
        return (2 * output[0], output[1]) if isinstance(output, tuple) else 2 * output

    first_block(model).conv.register_forward_hook(double)


def derived_block(model: MultiresClassifier) -> None:
    class Reversed(MultiresBlock):
        def forward(self, x: Tensor, lengths: Tensor | None = None, state: State | None = None) -> Any:
            if state is None:
                return -super().forward(x, lengths)
            y, after = super().forward(x, state=state)
            return -y, after

    first_block(model).__class__ = Reversed


def pruned_linear_map(model: MultiresClassifier) -> None:
    prune.l1_unstructured(first_block(model).mix, "weight", 0.5)


def pruned_convolution(model: MultiresClassifier) -> None:
    conv = first_block(model).conv
    prune.l1_unstructured(conv, "w", 0.5)
    with torch.no_grad():
        conv.get_parameter("w_orig").mul_(2)  # which w follows when the layer is called next


def tensor_of_another_class(model: MultiresClassifier) -> None:
    class Tripled(Tensor):
        @classmethod
        def __torch_function__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            if func is not nn.functional.linear:
                return super().__torch_function__(func, types, args, kwargs or {})
            with torch._C.DisableTorchFunctionSubclass():
                return 3 * func(*args, **(kwargs or {}))

    mix = first_block(model).mix
    mix.weight = nn.Parameter(mix.weight.detach().as_subclass(Tripled))


def parametrize(model: MultiresClassifier) -> None:
    norm, _ = nn.utils.parametrizations.weight_norm(first_block(model).mix).parametrizations.weight.parameters()
    with torch.no_grad():
        norm.mul_(2)


def projection(model: MultiresClassifier) -> None:
    first_block(model).projection = nn.Linear(6, 6, dtype=DOUBLE)


@pytest.mark.parametrize(
    "change",
    [
        double_weights, load_others, assign_others, replace_data, strided_data, same_memory_read_otherwise, another_eps,
        without_bias, another_module, hook, hooked_dropout, hooked_convolution, derived_block, parametrize, projection,
        pruned_linear_map, pruned_convolution, tensor_of_another_class,
    ],
)  # fmt: skip
def test_a_step_sees_what_became_of_the_model(change: Callable[[MultiresClassifier], None]) -> None:
    model = classifier()
    x = sample(model, 2, 6)
    assert_streams(model, x)
    before = whole(model, x)
    change(model)
    assert not torch.allclose(whole(model, x), before)
    assert_streams(model, x)
