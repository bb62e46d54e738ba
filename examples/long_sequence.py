"""
Train on a sequence that does not fit in memory
===============================================

The memory of a training step grows with the length of the sequence. A network of this library also reads a sequence in
chunks, with a state that carries the past from one chunk to the next; outputs and loss are those of the whole sequence.
There are two kinds of gradients. This example trains a network to predict the next value of a recording in a file, and
compares both with the gradient of the whole sequence where that fits.

- truncated: backward after each chunk. A gradient knows what a chunk did to its own loss, but not what it did through
  the state to the loss of later chunks. Each chunk is computed once.
- exact: one pass forwards keeps the state before each chunk. Then one pass backwards computes the chunks again, from
  the last to the first, and hands on the gradient of the state. Each chunk is computed twice.

    python examples/long_sequence.py
"""

# sphinx_gallery_thumbnail_path = "examples/pictures/long_sequence.png"

import argparse
import copy
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import torch
from torch import Tensor, nn

from multiresconv.bench.memory import peak_extra_memory
from multiresconv.models import MultiresNet
from multiresconv.ops import State

# Computes the loss of a chunk, a sum over its steps, and the state after it. A chunk is a range of steps.
Loss = Callable[[range, State], tuple[Tensor, State]]

# %%
# Two kinds of gradients
# ----------------------
# A state is a dict of tensors. Those of floating point carry gradients; the position does not. The chunks of `exact`
# may also be a part of a longer sequence: gradients are then truncated at the ends of that part only.


def truncated(loss: Loss, chunks: Sequence[range], state: State) -> tuple[float, State]:
    """Add the gradients of each chunk's own loss to the parameters; return the sum of the losses and the last state."""
    total = 0.0
    for chunk in chunks:
        value, state = loss(chunk, state)
        value.backward()
        state = {name: tensor.detach() for name, tensor in state.items()}
        total += value.item()
    return total, state


def exact(loss: Loss, chunks: Sequence[range], state: State) -> tuple[float, State]:
    """Add the gradients of the sum of the losses to the parameters; return that sum and the last state."""
    total, before = 0.0, []
    with torch.no_grad():
        for chunk in chunks:
            before.append(state)
            value, state = loss(chunk, state)
            total += value.item()
    gradients: State = {}
    for chunk, start in zip(reversed(chunks), reversed(before), strict=True):
        leaves = {name: tensor.clone().requires_grad_() for name, tensor in start.items() if tensor.is_floating_point()}
        value, after = loss(chunk, {**start, **leaves})
        torch.autograd.backward([value, *(after[name] for name in gradients)], [None, *gradients.values()])
        gradients = {name: leaf.grad for name, leaf in leaves.items() if leaf.grad is not None}
    return total, state


# %%
# A network and its loss
# ----------------------
# Each block sees 255 earlier steps, so its state holds 255 values of each channel. Chunks should be longer than that.

BLOCKS, WIDTH, DEPTH = 2, 8, 8


class NextValue(nn.Module):
    """Predicts the next value of a recording (steps,), which may be an array in a file."""

    def __init__(self, recording: np.ndarray) -> None:
        super().__init__()
        self.recording = recording
        self.net = MultiresNet(WIDTH, BLOCKS, d_input=1, depth=DEPTH)
        self.head = nn.Linear(WIDTH, 1)

    def values(self, chunk: range) -> Tensor:
        """Read the values of the steps of a chunk and the one that follows, (1, len(chunk) + 1, 1)."""
        return torch.from_numpy(self.recording[chunk.start : chunk.stop + 1].copy())[None, :, None]

    def errors(self, features: Tensor, values: Tensor) -> Tensor:
        """Return the sum of the squared errors."""
        return (self.head(features) - values[:, 1:]).square().sum()

    def whole(self, steps: int) -> Tensor:
        """Return the mean squared error of the first steps, computed at once."""
        values = self.values(range(steps))
        return self.errors(self.net(values[:, :-1]), values) / steps

    def chunk(self, steps: int, chunk: range, state: State) -> tuple[Tensor, State]:
        """Return the share of a chunk in the mean squared error of `steps` steps, and the state after the chunk."""
        values = self.values(chunk)
        features, state = self.net(values[:, :-1], state=state)
        return self.errors(features, values) / steps, state


def chunks_of(steps: int, length: int) -> list[range]:
    """Cut steps into chunks of this length; the last one may be shorter."""
    return [range(start, min(start + length, steps)) for start in range(0, steps, length)]


def write_recording(path: Path, steps: int) -> np.ndarray:
    """Write an oscillation whose strength follows a slow wave, in noise; return it as an array in the file."""
    recording = np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=(steps,))
    random = np.random.default_rng(0)
    for chunk in chunks_of(steps, 1 << 16):
        time = np.arange(chunk.start, chunk.stop)
        wave = np.sin(time / 8) * (1 + np.sin(time / 800))
        recording[chunk.start : chunk.stop] = wave + 0.2 * random.standard_normal(len(time))
    recording.flush()
    return recording


# %%
# Training on what does not fit
# -----------------------------
# An optimizer's step follows each chunk, so the state was computed with slightly older parameters. That is usual.


def train(model: NextValue, steps: int, length: int) -> list[float]:
    """Go through the recording once with truncated gradients; return the mean squared error of each chunk."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    losses, state = [], model.net.init_state(1)
    for chunk in chunks_of(steps, length):
        loss, state = truncated(partial(model.chunk, len(chunk)), [chunk], state)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss)
    return losses


# %%
# Whole and in chunks, where the whole fits
# -----------------------------------------
# The error of a gradient is the length of the difference divided by the length of the whole's gradient.


def gradient(model: nn.Module) -> Tensor:
    """Return the gradients of all parameters as one vector, and reset them."""
    found = torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None])
    model.zero_grad()
    return found


def compare(model: NextValue, steps: int, lengths: Sequence[int]) -> tuple[list[float], list[float]]:
    """Print losses and errors of gradients for chunks of several lengths; return the errors, truncated and exact."""
    loss = model.whole(steps)
    loss.backward()
    whole = gradient(model)
    print(f"{steps:,} steps at once: loss {loss.item():.9f}")
    errors: tuple[list[float], list[float]] = [], []
    for length in lengths:
        chunks, of_steps, start = chunks_of(steps, length), partial(model.chunk, steps), model.net.init_state(1)
        for name, backward, found in zip(("truncated", "exact"), (truncated, exact), errors, strict=True):
            total, _ = backward(of_steps, chunks, start)
            found.append(float((gradient(model) - whole).norm() / whole.norm()))
            print(f"{len(chunks):4} chunks of {length:,}: loss {total:.9f}, {name} gradient off by {found[-1]:.1e}")
    return errors


def main() -> None:
    parser = argparse.ArgumentParser(description="Train on a sequence that does not fit in memory.")
    parser.add_argument("--folder", type=Path, default=Path("runs/long-sequence"), help="folder to write")
    parser.add_argument("--short", action="store_true", help="take a short recording")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    steps, fits, length = (1 << 12, 1 << 9, 1 << 10) if options.short else (1 << 19, 1 << 13, 1 << 12)
    lengths = [1 << power for power in range(6, fits.bit_length() - 1)]

    torch.manual_seed(0)
    model = NextValue(write_recording(options.folder / "recording.npy", steps + 1))
    untrained = copy.deepcopy(model).double()
    small = copy.deepcopy(model)
    train(small, 1 << 10, 1 << 10)  # loads what the first steps load, which is left out below
    small.whole(1 << 10).backward()
    losses: list[float] = []
    extra = peak_extra_memory(lambda: losses.extend(train(model, steps, length)))
    print(f"{steps:,} steps in chunks of {length:,}: error {losses[0]:.3f} of the first, {losses[-1]:.3f} of the last")
    at_once = peak_extra_memory(lambda: model.whole(steps).backward())
    if extra is not None and at_once is not None:  # where the system says
        print(f"additional memory: {extra / 2**20:.1f} MiB, and {at_once / 2**20:.1f} MiB for one step on all at once")
    errors = compare(untrained, fits, lengths)
    draw(options.folder / "long.png", lengths, errors, losses, length)


# %%
# The picture
# -----------
# The truncated gradient comes closer to the whole's as chunks grow, the exact one is equal up to rounding.


def draw(
    path: Path, lengths: Sequence[int], errors: tuple[list[float], list[float]], losses: list[float], length: int
) -> None:
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for name, found, colour in zip(("truncated", "exact"), errors, ("tab:orange", "tab:blue"), strict=True):
        left.loglog(lengths, found, marker="o", label=name, color=colour, base=2)
    left.set_yscale("log")
    left.axvline(2**DEPTH, color="grey", linestyle=":", label="receptive field of a block")
    left.set(xlabel="length of a chunk, steps", ylabel="error of the gradient, relative")
    left.legend()
    right.plot(length * np.arange(1, len(losses) + 1), losses, color="tab:orange")
    right.set(xlabel="steps read", ylabel="mean squared error of a chunk", yscale="log")
    figure.savefig(path, dpi=75)
    print(f"picture: {path}")


if __name__ == "__main__":
    main()
