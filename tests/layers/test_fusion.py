"""`why_not_fused` names whatever makes a block more than its parameters, and the block then runs part by part."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.nn.utils import parametrizations, prune

from multiresconv import MultiresBlock
from multiresconv.layers import MaskedBatchNorm, why_not_fused

Change = Callable[[MultiresBlock], Any]


def doubled(module: nn.Module, args: Any, output: Any) -> Any:
    return 2 * output


def patched_forward(part: str) -> Change:
    def change(block: MultiresBlock) -> None:
        module = block.get_submodule(part)
        forward = module.forward
        module.forward = lambda *args, **kwargs: 2 * forward(*args, **kwargs)

    return change


def exchanged(part: str, module: nn.Module) -> Change:
    return lambda block: setattr(block, part, module)


class Halved(nn.Linear):
    def forward(self, input: Tensor) -> Tensor:
        return 0.5 * super().forward(input)


CHANGES: dict[str, tuple[Change, str]] = {
    "forward hook": (lambda b: b.mix.register_forward_hook(doubled), "mix has a forward hook"),
    "pre-hook": (
        lambda b: b.norm.register_forward_pre_hook(lambda m, args: (2 * args[0],)),
        "norm has a forward pre-hook",
    ),
    "hook on dropout": (lambda b: b.dropout.register_forward_hook(doubled), "dropout has a forward hook"),
    "hook on conv": (lambda b: b.conv.register_forward_hook(doubled), "conv has a forward hook"),
    "backward hook": (lambda b: b.mix.register_full_backward_hook(lambda *_: None), "mix has a backward hook"),
    "backward pre-hook": (
        lambda b: b.mix.register_full_backward_pre_hook(lambda *_: None),
        "mix has a backward pre-hook",
    ),
    "patched mix": (patched_forward("mix"), "mix has a forward of its own"),
    "patched norm": (patched_forward("norm"), "norm has a forward of its own"),
    "patched conv": (patched_forward("conv"), "conv has a forward of its own"),
    "patched method": (
        lambda b: b.conv.__dict__.update(_channels_first=lambda x: 2 * x.transpose(1, 2)),
        "conv has a _channels_first of its own",
    ),
    "derived": (exchanged("mix", Halved(4, 8)), "mix is a Halved"),
    "RMSNorm": (exchanged("norm", nn.RMSNorm(4)), "norm is a RMSNorm"),
    "Sequential": (exchanged("mix", nn.Sequential(nn.Linear(4, 8), nn.Tanh())), "mix is a Sequential"),
    "no bias": (exchanged("mix", nn.Linear(4, 8, bias=False)), "mix has no bias"),
    "norm without weight": (exchanged("norm", nn.LayerNorm(4, elementwise_affine=False)), "norm has no weight"),
    "pruned": (lambda b: prune.l1_unstructured(b.mix, "weight", 0.5), "mix has a forward pre-hook"),
    "parametrized": (lambda b: parametrizations.weight_norm(b.mix), "mix is a ParametrizedLinear"),
}


def block() -> MultiresBlock:
    torch.manual_seed(0)
    return MultiresBlock(4, depth=3).eval()


def part_by_part(changed: MultiresBlock, x: Tensor) -> Tensor:
    """The block's definition, each part called."""
    y = changed.dropout(torch.nn.functional.gelu(changed.conv(x)))
    y = changed.dropout(torch.nn.functional.glu(changed.mix(y)))
    return changed.norm(x + y)


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_named_and_seen(name: str) -> None:
    change, reason = CHANGES[name]
    changed, x = block(), torch.randn(2, 9, 4)
    assert why_not_fused(changed, x) is None
    change(changed)
    assert why_not_fused(changed) == why_not_fused(changed, x) == reason
    changed.double()  # what is compared rounds 1e8 times finer than the tolerance
    torch.testing.assert_close(changed(x.double()), part_by_part(changed, x.double()))


@contextmanager
def global_hook(register: Callable[..., Any], hook: Callable[..., Any]) -> Iterator[None]:
    handle = register(hook)
    try:
        yield
    finally:
        handle.remove()


@pytest.mark.parametrize(
    "register",
    [
        torch_module.register_module_forward_hook,
        torch_module.register_module_forward_pre_hook,
        torch_module.register_module_full_backward_hook,
        torch_module.register_module_full_backward_pre_hook,
    ],
)
def test_a_hook_for_all_modules_sees_every_part(register: Callable[..., Any]) -> None:
    seen: set[str] = set()
    watched, x = block(), torch.randn(2, 9, 4, requires_grad=True)
    with global_hook(register, lambda module, *_: seen.add(type(module).__name__)):
        assert why_not_fused(watched, x) == "there is a hook for all modules"
        watched(x).sum().backward()
    assert {"MultiresLayer", "Linear", "LayerNorm"} <= seen
    assert why_not_fused(watched, x) is None


def test_a_class_whose_forward_is_patched_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    forward, x = nn.LayerNorm.forward, torch.randn(2, 9, 4)
    monkeypatch.setattr(nn.LayerNorm, "forward", lambda self, input: 2 * forward(self, input))
    patched, x = block().double(), x.double()
    assert why_not_fused(patched, x) == "norm has a forward of its own"
    torch.testing.assert_close(patched(x), part_by_part(patched, x))


@pytest.mark.parametrize(
    ("options", "x", "reason"),
    [
        ({}, torch.zeros(1, 3, 4, dtype=torch.float64), "x is torch.float64"),
        ({}, torch.zeros(1, 3, 4, device="meta"), "x is on meta"),
        ({"dtype": torch.bfloat16}, torch.zeros(1, 3, 4, dtype=torch.bfloat16), "conv.h0 is torch.bfloat16"),
        ({"backend": "reference"}, torch.zeros(1, 3, 4), "the backend is 'reference'"),
        ({"norm_first": True}, torch.zeros(1, 3, 4), "the norm comes first"),
        ({"mix": nn.Linear(4, 4)}, torch.zeros(1, 3, 4), "mix takes the place of linear map and GLU"),
        ({"norm": nn.RMSNorm(4)}, torch.zeros(1, 3, 4), "norm is a RMSNorm"),
    ],
)
def test_other_reasons(options: dict[str, Any], x: Tensor, reason: str) -> None:
    assert why_not_fused(MultiresBlock(4, depth=3, **options), x) == reason


def test_a_norm_and_a_mixing_of_ones_own() -> None:
    torch.manual_seed(0)
    mix = nn.Sequential(nn.Linear(4, 16), nn.SiLU(), nn.Linear(16, 4))
    own, x = MultiresBlock(4, depth=3, norm=nn.RMSNorm(4), mix=mix).double(), torch.randn(2, 9, 4).double()
    y = x + mix(torch.nn.functional.gelu(own.conv(x)))
    torch.testing.assert_close(own(x), own.norm(y))
    state, outputs = own.init_state(2), []
    for t in range(9):
        y, state = own.step(x[:, t], state)
        outputs.append(y)
    torch.testing.assert_close(torch.stack(outputs, dim=1), own(x), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm", ["layer", "batch"])
def test_the_norm_may_come_first(norm: Any) -> None:
    torch.manual_seed(0)
    first, x = MultiresBlock(4, depth=3, norm=norm, norm_first=True).double(), torch.randn(2, 9, 4).double()
    if isinstance(first.norm, MaskedBatchNorm):
        first.eval()
    branch = first.mix(torch.nn.functional.gelu(first.conv(first.norm(x))))
    torch.testing.assert_close(first(x), x + torch.nn.functional.glu(branch))
