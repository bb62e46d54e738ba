"""When an operator is called past PyTorch's dispatcher."""

import pytest
import torch
import torch.utils._python_dispatch
from torch import Tensor

from multiresconv import MultiresBlock, fading, multires_conv
from multiresconv.ops.cpu import registration


def run() -> list[Tensor]:
    torch.manual_seed(0)
    x, taps, w = torch.randn(2, 3, 20, requires_grad=True), torch.randn(3, 2), torch.randn(3, 7)
    block = MultiresBlock(3, depth=5)
    y, z = multires_conv(x, taps, taps, w, fading(5)), block(x.transpose(1, 2))
    return [y, z, *torch.autograd.grad(y.square().sum() + z.square().sum(), [x, *block.parameters()])]


def dispatched() -> set[str]:
    """Names of this package's operators that PyTorch's dispatcher sees."""
    with torch.profiler.profile() as profile:
        run()
    return {event.key for event in profile.key_averages() if event.key.startswith("multiresconv::")}


def test_the_dispatcher_is_passed_by_where_nobody_looks() -> None:
    assert registration.OBSERVERS is not None, "this PyTorch has other names: every call costs 0.2 ms more"
    assert dispatched() == set()


@pytest.mark.parametrize(
    ("module", "name"),
    [(torch.utils._python_dispatch, "is_in_torch_dispatch_mode"), (torch._C, "_are_functorch_transforms_active")],
)
def test_the_dispatcher_is_used_where_pytorch_lacks_a_name(
    module: object, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = run()
    with monkeypatch.context() as patch:
        patch.delattr(module, name)
        observers = registration.find_observers()
    assert observers is None
    monkeypatch.setattr(registration, "OBSERVERS", observers)
    names = {"cpu_forward", "cpu_backward", "block", "block_backward"}
    assert dispatched() == {f"multiresconv::{name}" for name in names}
    assert all(torch.equal(t, other) for t, other in zip(run(), wanted, strict=True))
