"""Linear maps of a few rows inside a Numba kernel. The weights are read in place, not packed for each call."""

# Type checkers reject calls that Numba compiles.
# pyright: reportCallIssue=false

from numba import uintp

from multiresconv.ops.cpu.kernels.jit import inline


@inline
def linear(out, x, weight, bias):
    """out[:, :N] = x[:, :D] weight^T + bias for x (rows, >= D) and weight (N, D).

    It works in tiles of 4 rows by 4 outputs, whose 16 sums stay in registers; remaining rows are computed one by one.
    """
    tiled = uintp(len(x) // 4 * 4)
    for row in range(uintp(0), tiled, uintp(4)):
        _linear_four(out, x, row, weight, bias)
    if tiled < uintp(len(x)):
        _linear_each(out[tiled:], x[tiled:], weight, bias)


@inline
def _linear_four(out, x, row, weight, bias):
    """Compute `linear` for the four rows that begin at `row`."""
    zero, one, two, three = x.dtype.type(0), uintp(1), uintp(2), uintp(3)
    x0, x1, x2, x3 = x[row], x[row + one], x[row + two], x[row + three]
    grouped = uintp(len(weight) // 4 * 4)
    for o in range(uintp(0), grouped, uintp(4)):
        w0, w1, w2, w3 = weight[o], weight[o + one], weight[o + two], weight[o + three]
        a0 = a1 = a2 = a3 = b0 = b1 = b2 = b3 = c0 = c1 = c2 = c3 = d0 = d1 = d2 = d3 = zero
        for c in range(uintp(weight.shape[1])):
            a0, a1, a2, a3 = a0 + w0[c] * x0[c], a1 + w1[c] * x0[c], a2 + w2[c] * x0[c], a3 + w3[c] * x0[c]
            b0, b1, b2, b3 = b0 + w0[c] * x1[c], b1 + w1[c] * x1[c], b2 + w2[c] * x1[c], b3 + w3[c] * x1[c]
            c0, c1, c2, c3 = c0 + w0[c] * x2[c], c1 + w1[c] * x2[c], c2 + w2[c] * x2[c], c3 + w3[c] * x2[c]
            d0, d1, d2, d3 = d0 + w0[c] * x3[c], d1 + w1[c] * x3[c], d2 + w2[c] * x3[c], d3 + w3[c] * x3[c]
        sums = (a0, a1, a2, a3), (b0, b1, b2, b3), (c0, c1, c2, c3), (d0, d1, d2, d3)
        for r, four in enumerate(sums):
            for i, s in enumerate(four):
                out[row + uintp(r), o + uintp(i)] = s + bias[o + uintp(i)]
    for o in range(grouped, uintp(len(weight))):
        a0, b0, c0, d0 = zero, zero, zero, zero
        for c in range(uintp(weight.shape[1])):
            a0 += weight[o, c] * x0[c]
            b0 += weight[o, c] * x1[c]
            c0 += weight[o, c] * x2[c]
            d0 += weight[o, c] * x3[c]
        for r, s in enumerate((a0, b0, c0, d0)):
            out[row + uintp(r), o] = s + bias[o]


@inline
def _linear_each(out, x, weight, bias):
    """Compute `linear` row by row, four outputs at a time."""
    zero, grouped = x.dtype.type(0), uintp(len(weight) // 4 * 4)
    for o in range(uintp(0), grouped, uintp(4)):
        w0, w1, w2, w3 = weight[o], weight[o + uintp(1)], weight[o + uintp(2)], weight[o + uintp(3)]
        for row in range(len(x)):
            s0, s1, s2, s3 = zero, zero, zero, zero
            for c in range(uintp(weight.shape[1])):
                s0 += w0[c] * x[row, c]
                s1 += w1[c] * x[row, c]
                s2 += w2[c] * x[row, c]
                s3 += w3[c] * x[row, c]
            for i, s in enumerate((s0, s1, s2, s3)):
                out[row, o + uintp(i)] = s + bias[o + uintp(i)]
    for o in range(grouped, uintp(len(weight))):
        for row in range(len(x)):
            s0 = zero
            for c in range(uintp(weight.shape[1])):
                s0 += weight[o, c] * x[row, c]
            out[row, o] = s0 + bias[o]
