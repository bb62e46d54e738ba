"""Batch norm: torch's own on the valid steps laid end to end, in one process and in two."""

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from seeded import spawn
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from multiresconv import MultiresBlock, MultiresClassifier, save
from multiresconv.layers import MaskedBatchNorm, set_process_group, valid_steps

DOUBLE = torch.float64


def make_norms(d_model=3):
    """The module under test and torch's, with the same random state."""
    norm = MaskedBatchNorm(d_model, dtype=DOUBLE)
    for tensor in (norm.weight.data, norm.bias.data, norm.running_mean, norm.running_var):
        tensor.copy_(torch.rand(d_model) + 0.5)
    torch_norm = nn.BatchNorm1d(d_model, dtype=DOUBLE)
    torch_norm.load_state_dict(norm.state_dict())
    return norm, torch_norm


def results(norm, call, x, seen):
    """Output, gradients and buffers after a loss that weighs every output differently; `seen` picks the valid ones."""
    x = x.clone().requires_grad_()
    y = seen(call(x))
    loss = (y * torch.arange(y.numel(), dtype=y.dtype).view(y.shape).sin()).sum()
    grads = torch.autograd.grad(loss, [x, norm.weight, norm.bias])
    return [y, *grads, *(buffer.clone() for buffer in norm.buffers())]


@examples(20)
@given(batch=st.integers(2, 4), length=st.integers(1, 9), training=st.booleans())
def test_without_lengths_it_is_torchs(batch, length, training):
    norm, torch_norm = make_norms()
    norm.train(training)
    torch_norm.train(training)
    x = 3 * torch.randn(batch, length, 3, dtype=DOUBLE) + 2
    ours = results(norm, norm, x, lambda y: y)
    theirs = results(torch_norm, lambda x: torch_norm(x.mT).mT, x, lambda y: y)
    torch.testing.assert_close(ours, theirs)


@examples(40)
@given(data=st.data(), length=st.integers(2, 9), training=st.booleans(), garbage=st.sampled_from([0.0, 1e6, torch.nan]))
def test_with_lengths_it_is_torchs_on_the_valid_steps(data, length, training, garbage):
    lengths = torch.tensor(data.draw(st.lists(st.integers(1, length), min_size=2, max_size=4)))
    norm, torch_norm = make_norms()
    norm.train(training)
    torch_norm.train(training)
    valid = valid_steps(lengths, length).squeeze(2)
    x = 3 * torch.randn(len(lengths), length, 3, dtype=DOUBLE) + 2
    x[~valid] = garbage
    ours = results(norm, lambda x: norm(x, lengths), x, lambda y: y[valid])
    theirs = results(torch_norm, lambda x: torch_norm(x[valid]), x, lambda y: y)
    torch.testing.assert_close(ours, theirs)
    assert not norm(x, lengths)[~valid].any()


def test_a_loss_on_the_padding_has_no_gradient():
    norm, _ = make_norms()
    x = torch.randn(2, 5, 3, dtype=DOUBLE, requires_grad=True)
    lengths = torch.tensor([2, 4])
    padding = ~valid_steps(lengths, 5).squeeze(2)
    for grad in torch.autograd.grad(norm(x, lengths)[padding].sum(), [x, norm.weight, norm.bias]):
        assert not grad.any()


def test_gradients_are_numerically_right():
    norm, _ = make_norms()
    x = torch.randn(3, 4, 3, dtype=DOUBLE, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: norm(x, torch.tensor([1, 4, 2])), x)


def test_a_large_mean_does_not_cancel():
    norm = MaskedBatchNorm(3)
    x = torch.randn(8, 100, 3) + 1e4
    lengths = torch.full((8,), 90)
    y = norm(x, lengths)[:, :90]
    torch.testing.assert_close(y.var((0, 1), correction=0), torch.ones(3), atol=1e-2, rtol=0)


def test_half_precision_keeps_float32_statistics():
    norm = MaskedBatchNorm(3)
    x = torch.randn(8, 100, 3)
    lengths = torch.randint(1, 101, (8,))
    expected = copy.deepcopy(norm)
    y = norm(x.bfloat16(), lengths)
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected(x.bfloat16().float(), lengths), atol=0.02, rtol=0.01)
    torch.testing.assert_close(norm.running_var, expected.running_var)


def test_one_valid_step_cannot_be_trained_on():
    norm = MaskedBatchNorm(3)
    for x, lengths in [(torch.zeros(1, 1, 3), None), (torch.zeros(1, 5, 3), torch.tensor([1]))]:
        with pytest.raises(ValueError, match=r"more than 1 valid step in training, got 1 in \(1, "):
            norm(x, lengths)
        norm.eval()(x, lengths)
        norm.train()
    assert norm.num_batches_tracked == 0


def global_batch():
    torch.manual_seed(0)
    norm, _ = make_norms()
    return norm, 3 * torch.randn(5, 6, 3, dtype=DOUBLE) + 2, torch.randn(5, 6, 3, dtype=DOUBLE)


RAGGED = torch.tensor([6, 2, 1, 5, 3])


def train_step(norm, x, weights, lengths, fused=False):
    x = x.clone().requires_grad_()
    y = norm.fused(x, lengths) if fused else norm(x, lengths)
    (y * weights).square().sum().backward()
    return [y.detach(), x.grad], [norm.weight.grad, norm.bias.grad], list(norm.buffers())


SHARED = [(RAGGED, False), (None, False), (RAGGED, True), (None, True)]  # lengths, and whether by the kernels


def one_of_two(rank, folder):
    """A process with its share, 2 and 3 rows, of the batch. Saves the results of `SHARED`, and of a model alone."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2)
    rows = slice(0, 2) if rank == 0 else slice(2, 5)
    out, alone = [], []
    groups = [dist.new_group([other]) for other in (0, 1)]
    for group in ("all", dist.new_group([0, 1])):
        for lengths, fused in SHARED:
            norm, x, weights = global_batch()
            set_process_group(norm, group)
            norm = copy.deepcopy(norm)
            out.append(train_step(norm, x[rows], weights[rows], None if lengths is None else lengths[rows], fused))
            if rank == 1:
                norm.eval()(x)  # waits for no other process
    for group in ("own", groups[rank]) if rank == 1 else ():  # the other process does not take part
        for lengths, fused in SHARED:
            norm, x, weights = global_batch()
            set_process_group(norm, group)
            alone.append(train_step(norm, x, weights, lengths, fused))
    torch.save((out, alone), f"{folder}/{rank}.pt")
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes_are_one(tmp_path):
    spawn(one_of_two, str(tmp_path), processes=2)
    (first, _), (second, alone) = (torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1))
    for (rows_a, sums_a, buffers_a), (rows_b, sums_b, buffers_b), (lengths, _) in zip(
        first, second, 2 * SHARED, strict=True
    ):
        rows, sums, buffers = train_step(*global_batch(), lengths)
        torch.testing.assert_close([torch.cat(pair) for pair in zip(rows_a, rows_b, strict=True)], rows)
        torch.testing.assert_close([a + b for a, b in zip(sums_a, sums_b, strict=True)], sums)
        torch.testing.assert_close(buffers_a, buffers)
        torch.testing.assert_close(buffers_b, buffers)
    for steps, (lengths, _) in zip(alone, 2 * SHARED, strict=True):
        torch.testing.assert_close(steps, train_step(*global_batch(), lengths))


def test_a_group_is_named_for_all_batch_norms_of_a_model(tmp_path: Path) -> None:
    model = MultiresClassifier(3, 4, 2, d_input=2, depth=3, norm="batch")
    norms = [part for part in model.modules() if isinstance(part, MaskedBatchNorm)]
    assert {norm.process_group for norm in norms} == {"all"}
    set_process_group(model, "own")
    assert {norm.process_group for norm in norms} == {"own"}
    save(model, tmp_path / "model")  # a group is of a process, not of the model
    for wrong in (None, "none", 3, -100):  # the last is what torch.distributed gives processes outside a group
        with pytest.raises(ValueError, match="process_group: expected 'all', 'own' or a"):
            set_process_group(model, wrong)


def test_averaged_weights_get_their_statistics() -> None:
    model, data = (
        MultiresClassifier(3, 4, 2, d_input=2, depth=3, norm="batch").double(),
        [torch.randn(4, 9, 2).double() for _ in range(5)],
    )
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
