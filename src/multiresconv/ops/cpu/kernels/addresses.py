"""What kernels do with addresses: arrays at them, prefetching, and a counter that several threads share."""

# Numba's intrinsics are called with one argument less than type checkers see in their definition.
# pyright: reportCallIssue=false, reportAttributeAccessIssue=false, reportPrivateImportUsage=false

from llvmlite import ir
from numba import carray, types
from numba.core import cgutils
from numba.extending import intrinsic

from multiresconv.ops.cpu.kernels.jit import inline


@intrinsic
def pointer_at(context, address):
    """Convert an address to a pointer, from which `carray` makes an array."""

    def generate(context, builder, signature, args):
        return builder.inttoptr(args[0], context.get_value_type(types.voidptr))

    return types.voidptr(types.int64), generate


@intrinsic
def address_of(context, pointer):
    """Convert a pointer to an address."""

    def generate(context, builder, signature, args):
        return builder.ptrtoint(args[0], ir.IntType(64))

    return types.int64(types.voidptr), generate


@intrinsic
def fetch_and_add(context, array):
    """Return the first entry of an int64 array and increase it by 1, atomically."""

    def generate(context, builder, signature, args):
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        return builder.atomic_rmw("add", data, ir.Constant(ir.IntType(64), 1), "seq_cst")

    return types.int64(array), generate


@intrinsic
def _prefetch(context, address):
    """Prefetch a cache line into the second-level cache."""

    def generate(context, builder, signature, args):
        integer, pointer = ir.IntType(32), context.get_value_type(types.voidptr)
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(ir.VoidType(), [pointer, integer, integer, integer]), "llvm.prefetch.p0"
        )
        builder.call(function, [builder.inttoptr(args[0], pointer), integer(0), integer(2), integer(1)])
        return context.get_dummy_value()

    return types.void(types.int64), generate


@inline
def prefetch_row(row, first, last):
    """Prefetch the channels first..last of a row (D,), one cache line of 64 bytes at a time."""
    address, size = row.ctypes.data, row.itemsize
    for offset in range(first * size, last * size, 64):
        _prefetch(address + offset)


@inline
def array_at(address, shape, like):
    """Return the array at an address, with this shape and the dtype of `like`."""
    return carray(pointer_at(address), shape, like.dtype)
