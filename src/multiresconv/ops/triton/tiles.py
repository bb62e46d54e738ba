"""Tiles of rows in registers for the Triton kernels: reading, writing, delay and advance in time.

A row is cut into R blocks of T steps, step n = r*T + t. A tile of C rows is a Python tuple of R tensors (C, T): one
warp holds one row, its lanes the T steps of a block, its registers the R blocks. A delay by s = q*T + u steps needs no
memory: q selects other registers, and u rotates the lanes of a warp (one select, one shuffle, `tl.gather`).

If the steps of a row are not contiguous in memory ((B, L, D) layout, phases of a long row), a tile is transposed in
shared memory once when it is read and once when it is written; otherwise it uses no shared memory.
"""

# Triton compiles a subset of Python: `*` does not unpack tuples, a condition on constants selects the code to compile,
# and types are not those that type checkers infer.
# ruff: noqa: RUF005, SIM108
# pyright: reportOperatorIssue=false, reportIndexIssue=false, reportArgumentType=false, reportAttributeAccessIssue=false
# pyright: reportCallIssue=false, reportGeneralTypeIssues=false

import triton
import triton.language as tl

if tuple(int(part) for part in triton.__version__.split(".")[:2]) < (3, 4):  # older ones have no tuple constants
    raise ImportError(f"this is Triton {triton.__version__}")


@triton.jit
def _settled(tile, C: tl.constexpr, T: tl.constexpr, R: tl.constexpr):
    """Return the tile unchanged, after a scan over one element that stops the compiler from propagating load layouts.

    Without it, some versions move the transposition after the split, into R pieces with barriers around each.
    """
    return tl.reshape(tl.cumsum(tl.reshape(tile, (C, R, T, 1)), 3), (C, R, T))


@triton.jit
def read(
    pointer, base, phases, stride, first, limit, dtype: tl.constexpr, C: tl.constexpr, T: tl.constexpr, R: tl.constexpr
):
    """Return R blocks (C, T) with the steps first, first+1, ... of C rows; steps outside a row are 0.

    base (C,) holds the offsets of the rows, limit (C,) their lengths.
    """
    m = first + tl.arange(0, R)[None, :, None] * T + tl.arange(0, T)[None, None, :]
    inside = (m >= 0) & (m < limit[:, None, None])
    tile = tl.load(pointer + (base[:, None, None] + m.to(tl.int64) * phases * stride), mask=inside, other=0.0).to(dtype)
    # one load, then halvings, instead of R loads: the compile time of a load grows with the square of the kernel's size
    blocks = (tl.trans(_settled(tile, C, T, R), 0, 2, 1),)
    for level in tl.static_range(10):
        if 2**level < R:
            even = ()
            odd = ()
            for k in tl.static_range(2**level):
                halves = tl.split(tl.reshape(blocks[k], (C, T, R // 2 ** (level + 1), 2)))
                even = even + (halves[0],)
                odd = odd + (halves[1],)
            blocks = even + odd
    out = ()
    for r in tl.static_range(R):
        out = out + (tl.reshape(blocks[r], (C, T)),)
    return out


@triton.jit
def write(
    pointer, blocks, base, phases, stride, first, start, limit, C: tl.constexpr, T: tl.constexpr, R: tl.constexpr
):  # fmt: skip
    """Inverse of `read`; writes only steps >= start."""
    for level in tl.static_range(10):
        if 2**level < R:
            joined = ()
            for k in tl.static_range(R // 2 ** (level + 1)):
                pair = tl.join(blocks[k], blocks[k + R // 2 ** (level + 1)])
                joined = joined + (tl.reshape(pair, (C, T, 2 ** (level + 1))),)
            blocks = joined
    m = first + tl.arange(0, R)[None, None, :] * T + tl.arange(0, T)[None, :, None]
    kept = (m >= start) & (m < limit[:, None, None])
    tile = tl.reshape(blocks[0], (C, T, R)).to(pointer.dtype.element_ty)
    tl.store(pointer + (base[:, None, None] + m.to(tl.int64) * phases * stride), tile, mask=kept)


@triton.jit
def delayed_block(a, r: tl.constexpr, s: tl.constexpr, lane, T: tl.constexpr):
    """Return block r of a[n - s], for s <= r*T + T - 1; zero before the first block."""
    q: tl.constexpr = s // T
    u: tl.constexpr = s % T
    if u == 0:
        return a[r - q]
    else:
        if r == q:
            mixed = tl.where(lane < T - u, a[r - q], 0.0)
        else:
            mixed = tl.where(lane < T - u, a[r - q], a[r - q - 1])
        return tl.gather(mixed, (lane - u) & (T - 1), 1)


@triton.jit
def advanced_block(a, r: tl.constexpr, s: tl.constexpr, lane, T: tl.constexpr, R: tl.constexpr):
    """Return block r of a[n + s], for s < (R - r)*T; zero after the last block."""
    q: tl.constexpr = s // T
    u: tl.constexpr = s % T
    if u == 0:
        return a[r + q]
    else:
        if r + q + 1 == R:
            mixed = tl.where(lane >= u, a[r + q], 0.0)
        else:
            mixed = tl.where(lane >= u, a[r + q], a[r + q + 1])
        return tl.gather(mixed, (lane + u) & (T - 1), 1)


@triton.jit
def rows(length, channels, phases, TILES: tl.constexpr, PHASE_ROWS: tl.constexpr, C: tl.constexpr):
    """Return this program's batch element, its rows' channels, phases and lengths, each (C,), and its window.

    The rows of a tile are phases of one channel (PHASE_ROWS) or channels at one phase. Length 0 marks an absent row.
    """
    if PHASE_ROWS:
        row_count = phases
        outer_count = channels
    else:
        row_count = channels
        outer_count = phases
    pid = tl.program_id(0)
    tiles = tl.cdiv(row_count, C)
    row = (pid % tiles) * C + tl.arange(0, C)
    pid = pid // tiles
    window = pid % TILES
    pid = pid // TILES
    outer = tl.zeros((C,), tl.int32) + pid % outer_count
    if PHASE_ROWS:
        channel = outer
        phase = row
    else:
        channel = row
        phase = outer
    limit = tl.where(row < row_count, tl.cdiv(length - phase, phases), 0)
    return pid // outer_count, channel, phase, limit, window


@triton.jit
def offset(b, channel, phase, stride_b, stride_d, stride_l):
    """Return the offsets in memory at which the rows begin, (C,)."""
    return b.to(tl.int64) * stride_b + channel.to(tl.int64) * stride_d + phase.to(tl.int64) * stride_l


@triton.jit
def row_parameters(parameters, channel, limit, COUNT: tl.constexpr, SIZE: tl.constexpr, dtype: tl.constexpr):
    """Load the COUNT parameters of each row's channel, one per lane, (C, SIZE); parameters (channels, COUNT)."""
    k = tl.arange(0, SIZE)[None, :]
    kept = (limit > 0)[:, None] & (k < COUNT)
    return tl.load(parameters + channel[:, None] * COUNT + k, mask=kept, other=0.0).to(dtype)


@triton.jit
def parameter(parameters, k: tl.constexpr, C: tl.constexpr, T: tl.constexpr):
    """Broadcast column k of each row's parameters to all lanes, (C, T)."""
    return tl.gather(parameters, tl.full((C, T), k, tl.int32), 1)


@triton.jit
def taps_at(parameters, first: tl.constexpr, K: tl.constexpr, C: tl.constexpr, T: tl.constexpr):
    """Return the K taps in columns first .. first + K - 1, the newest (last column) first, each (C, T)."""
    out = ()
    for i in tl.static_range(K):
        out = out + (parameter(parameters, first + K - 1 - i, C, T),)
    return out


@triton.jit
def weights_at(parameters, first: tl.constexpr, count: tl.constexpr, C: tl.constexpr, T: tl.constexpr):
    out = ()
    for t in tl.static_range(count):
        out = out + (parameter(parameters, first + t, C, T),)
    return out
