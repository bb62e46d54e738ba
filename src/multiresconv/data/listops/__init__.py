"""ListOps of the Long Range Arena: generate, read and tokenise it, and check its labels."""

from multiresconv.data.listops.cache import ListOpsSplit, open_split
from multiresconv.data.listops.evaluate import evaluate_listops
from multiresconv.data.listops.files import Row, numbered_sources, read_listops, read_sources, split_path
from multiresconv.data.listops.generate import generate_listops
from multiresconv.data.listops.parts import cut_listops
from multiresconv.data.listops.verify import verify_listops
from multiresconv.data.listops.vocabulary import (
    END,
    MAX_TOKENS,
    N_TOKENS,
    PADDING,
    TOKENS,
    decode,
    depths,
    encode,
    token_ids,
)

__all__ = [
    "END",
    "MAX_TOKENS",
    "N_TOKENS",
    "PADDING",
    "TOKENS",
    "ListOpsSplit",
    "Row",
    "cut_listops",
    "decode",
    "depths",
    "encode",
    "evaluate_listops",
    "generate_listops",
    "numbered_sources",
    "open_split",
    "read_listops",
    "read_sources",
    "split_path",
    "token_ids",
    "verify_listops",
]
