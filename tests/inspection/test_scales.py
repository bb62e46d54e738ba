"""The energy of the scales for given sequences: laws of the shares, and an impulse against the white-noise formula."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from profiles import examples
from torch import Tensor, nn

from multiresconv import MultiresClassifier, MultiresLayer
from multiresconv.inspection.scales import ScaleMeter, TermStream

DOUBLE = torch.float64
close = torch.testing.assert_close


@st.composite
def layers(draw: st.DrawFn, *, bidirectional: bool | None = None) -> MultiresLayer:
    memory = tuple(draw(st.lists(st.integers(0, 3), min_size=1, max_size=4)))
    both = draw(st.booleans()) if bidirectional is None else bidirectional
    return MultiresLayer(3, kernel_size=draw(st.integers(2, 4)), memory=memory, bidirectional=both, dtype=DOUBLE)


def shares(layer: nn.Module, *chunks: Tensor, lengths: list[int] | None = None) -> Tensor:
    with ScaleMeter(layer, lengths) as meter:
        for x in chunks:
            layer(x) if lengths is None else layer(x, lengths=torch.tensor(lengths))
    return meter.shares()


@examples(30)
@given(layers(bidirectional=False), st.lists(st.integers(1, 12), min_size=1, max_size=4))
def test_the_terms_add_up_to_the_output_in_chunks_too(layer: MultiresLayer, chunks: list[int]) -> None:
    x = torch.randn(2, sum(chunks), 3, dtype=DOUBLE)
    stream = TermStream(layer.h0, layer.h1, layer.w, layer.memory)
    terms = [torch.stack(list(stream.advance(chunk))) for chunk in x.split(chunks, dim=1)]
    assert len(terms[0]) == layer.depth + 2
    close(torch.cat(terms, 2).sum(0), layer(x).detach())


@examples(30)
@given(layers(), st.integers(1, 40))
def test_shares_sum_to_one_and_do_not_depend_on_the_scale(layer: MultiresLayer, length: int) -> None:
    x = torch.randn(2, length, 3, dtype=DOUBLE)
    found = shares(layer, x)
    assert found.shape == (2, 1, layer.depth + 2)
    close(found.sum(2), torch.ones(2, 1, dtype=DOUBLE))
    close(shares(layer, -1000 * x), found)


@examples(20)
@given(layers(bidirectional=False))
def test_an_impulse_has_the_energies_of_white_noise(layer: MultiresLayer) -> None:
    x = torch.zeros(1, layer.receptive_field + 100, 3, dtype=DOUBLE)
    x[:, 0] = 1
    energies = layer.scale_energies().detach().sum(0).flip(0)
    close(shares(layer, x)[0, 0], energies / energies.sum())


@examples(20)
@given(layers(), st.integers(1, 20), st.integers(1, 20))
def test_padding_changes_nothing(layer: MultiresLayer, length: int, padding: int) -> None:
    x = torch.randn(1, length, 3, dtype=DOUBLE)
    padded = torch.cat([x, torch.randn(1, padding, 3, dtype=DOUBLE)], 1)
    close(shares(layer, padded, lengths=[length]), shares(layer, x))


def test_one_term_alone_has_all_the_energy() -> None:
    layer = MultiresLayer(2, depth=3)
    with torch.no_grad():
        layer.w.zero_()
        layer.w[:, 2] = 1.0  # [a_3 | b_3 | b_2 | b_1 | x]
    assert shares(layer, torch.randn(1, 20, 2)).tolist() == [[[0, 0, 1, 0, 0]]]
    assert shares(layer, torch.zeros(1, 20, 2)).tolist() == [[[0, 0, 0, 0, 0]]]


def test_a_model_is_measured_layer_by_layer_and_left_as_it_was() -> None:
    model = MultiresClassifier(2, d_model=4, n_layers=3, d_input=2, depth=3).eval()
    x = torch.randn(2, 15, 2)
    inputs: list[Tensor] = []
    hooks = [
        block.conv.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))  # pyright: ignore
        for block in model.net.blocks
    ]
    found = shares(model, x)
    for hook in hooks:
        hook.remove()
    for number, (block, given_) in enumerate(zip(model.net.blocks, inputs, strict=True)):
        close(shares(block.conv, given_.detach())[:, 0], found[:, number])  # pyright: ignore
        assert not block.conv._forward_hooks


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ValueError, match="all of one depth, got none"):
        ScaleMeter(nn.Linear(2, 2))
    with pytest.raises(ValueError, match="got layers of the depths 2, 5"):
        ScaleMeter(nn.ModuleList([MultiresLayer(3, depth=2), MultiresLayer(3, depth=5)]))
    with pytest.raises(RuntimeError, match="nothing was measured"):
        ScaleMeter(MultiresLayer(3, depth=2)).shares()
