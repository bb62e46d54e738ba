"""Token numbers: what they are, and that they lose nothing but parentheses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from multiresconv.data.listops import END, MAX_TOKENS, N_TOKENS, PADDING, decode, encode

words = st.lists(st.sampled_from(["[MIN", "[MAX", "[MED", "[SM", "]", *"0123456789"]), min_size=1, max_size=50)


def test_numbers():
    assert N_TOKENS == 18
    tokens = encode("( ( ( [MIN 0 ) 9 ) ] )")
    assert tokens.dtype == np.uint8
    assert tokens.tolist() == [13, 3, 12, 17, END]
    assert encode("0 1 2 3 4 5 6 7 8 9 [MIN [MAX [MED [SM ]").tolist() == [*range(3, N_TOKENS), END]


@given(words)
def test_decode_undoes_encode(words):
    tokens = encode(" ( ".join(words))
    assert decode(tokens) == " ".join(words)
    assert decode(np.append(tokens, [PADDING, PADDING])) == " ".join(words)


@pytest.mark.parametrize(("n", "kept"), [(2046, 2046), (2047, 2047), (2048, 2047), (5000, 2047)])
def test_long_sequences_are_cut_and_still_end(n, kept):
    tokens = encode("7 " * n)
    assert len(tokens) == kept + 1 <= MAX_TOKENS
    assert tokens[-1] == END
    assert (tokens[:-1] == 3 + 7).all()


@pytest.mark.parametrize("source", ["", " \t", "()"])
def test_nothing_to_encode(source):
    with pytest.raises(ValueError, match="expected an expression, got none"):
        encode(source)


@pytest.mark.parametrize("token", ["[SUM", "10", "<end>", "<pad>", "max", "[MAX3"])
def test_unknown_token(token):
    with pytest.raises(ValueError, match="unknown token"):
        encode(f"[MAX 1 {token} ]")
    with pytest.raises(ValueError, match="unknown token"):  # even where it would be cut off
        encode(f"{'1 ' * 3000}{token}")


@pytest.mark.parametrize("tokens", [[18], [-1], [[3]]])
def test_decode_refuses(tokens):
    with pytest.raises(ValueError, match="tokens: expected"):
        decode(tokens)
