"""Models that stream, and how a stream is fed, for the tests of streaming."""

from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from multiresconv import MultiresBlock, MultiresClassifier, MultiresLayer, MultiresNet
from multiresconv.ops import State

DOUBLE = torch.float64

plans = st.lists(st.one_of(st.just(0), st.integers(1, 12)), min_size=1)  # 0 is a step, n > 0 a chunk of n


@st.composite
def models(draw: st.DrawFn) -> nn.Module:
    options: dict[str, Any] = {
        "dtype": draw(st.sampled_from([torch.float32, DOUBLE])),
        "backend": draw(st.sampled_from(["auto", "cpu", "reference"])),
        **draw(
            st.sampled_from(
                [
                    {"depth": 3},
                    {"kernel_size": 4, "depth": 3, "memory": 9},
                    {"wavelet": "db3", "depth": 2},
                    {"kernel_size": 8, "memory": (0, 2, 1)},
                    {"memory": (3, 0, 0, 4)},
                ]
            )
        ),
    }
    kind = draw(st.sampled_from(["layer", "block", "net", "classifier"]))
    if kind == "layer":
        return MultiresLayer(4, **options)
    options |= {"norm": draw(st.sampled_from(["layer", "batch"])), "dropout": 0.5}
    if kind == "classifier":
        return perturbed(MultiresClassifier(3, 6, 2, **draw(inputs), **options))
    options["projection"] = draw(st.booleans())
    return perturbed(MultiresNet(5, 2, **draw(inputs), **options) if kind == "net" else MultiresBlock(4, **options))


inputs = st.sampled_from([{"d_input": 4}, {"n_tokens": 7}])


def perturbed(model: nn.Module) -> nn.Module:
    """In eval mode, with norms that are not the identity."""
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if ".norm." in f".{name}" and tensor.is_floating_point():
                tensor.add_(torch.rand_like(tensor))
    return model.eval()


def sample(model: nn.Module, batch: int, length: int) -> Tensor:
    net = model.net if isinstance(model, MultiresClassifier) else model
    if isinstance(net, MultiresNet) and isinstance(net.encoder, nn.Embedding):
        return torch.randint(7, (batch, length))
    return torch.randn(batch, length, 4, dtype=next(model.parameters()).dtype)


@torch.no_grad()
def whole(model: nn.Module, x: Tensor) -> Tensor:
    """What a stream has to give: (B, L, D), of a classifier the logits of each beginning of x."""
    if isinstance(model, MultiresClassifier):
        return torch.stack([model(x[:, : n + 1]) for n in range(x.shape[1])], dim=1)
    return model(x)


@torch.no_grad()
def feed(model: Any, x: Tensor, state: State, plan: list[int]) -> tuple[Tensor, State]:
    done, outputs = 0, []
    while done < x.shape[1]:
        for length in plan:
            if done < x.shape[1]:
                if length:
                    y, state = model(x[:, done : done + length], state=state)
                else:
                    y, state = model.step(x[:, done], state)
                    y = y[:, None]
                outputs.append(y)
                done += y.shape[1]
    return torch.cat(outputs, dim=1), state


def follow(stream: Any, x: Tensor, plan: list[int], rows: list[int] | None = None) -> Tensor:
    """What a stream gives for x in the pieces of the plan, taken again and again."""
    done, outputs = 0, []
    while done < x.shape[1]:
        for length in plan:
            if done < x.shape[1]:
                y = stream(x[:, done : done + length], rows) if length else stream(x[:, done], rows)[:, None]
                outputs.append(y)
                done += y.shape[1]
    return torch.cat(outputs, dim=1)


def assert_streams(model: Any, x: Tensor, plan: list[int] | None = None) -> None:
    y, _ = feed(model, x, model.init_state(len(x)), plan or [0])
    assert_close(y, whole(model, x))


def assert_close(got: Tensor, wanted: Tensor) -> None:
    tolerance = 1e-10 if wanted.dtype == DOUBLE else 1e-5
    torch.testing.assert_close(got, wanted, rtol=tolerance, atol=tolerance)


def classifier(**options: Any) -> MultiresClassifier:
    torch.manual_seed(0)
    options = {"d_input": 4, "depth": 3, "dtype": DOUBLE, **options}
    model = perturbed(MultiresClassifier(3, 6, 2, **options))
    assert isinstance(model, MultiresClassifier)
    return model


def double_weights(model: MultiresClassifier) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)


def first_block(model: MultiresClassifier) -> MultiresBlock:
    block = model.net.blocks[0]
    assert isinstance(block, MultiresBlock)
    return block
