"""Eight bytes at a time: what compiled loops over text are made of."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic as numba_intrinsic

ONES = np.uint64(0x0101010101010101)
HIGHS = np.uint64(0x8080808080808080)
SPACES = np.uint64(0x2020202020202020)
FACTOR = np.uint64(0x9E3779B97F4A7C15)
EIGHT, SHIFT = np.uint64(8), np.uint64(32)
FULL = np.uint64(0xFFFFFFFFFFFFFFFF)
WIDE = 32
"""Bytes that `marks_of` looks at together."""


def intrinsic(function: Any) -> Any:
    """Numba's decorator, whose own types say that the typing context has to be passed."""
    return numba_intrinsic(function)


@intrinsic
def word_at(typing: Any, data: Any, place: Any) -> Any:
    """The eight bytes from `place` on as a little-endian word."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(start, [args[1]]), ir.IntType(64).as_pointer())
        return builder.load(pointer, align=1)

    return types.uint64(data, types.int64), generate


@intrinsic
def put_word(typing: Any, data: Any, place: Any, word: Any) -> Any:
    """Write eight bytes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = context.make_array(signature.args[0])(context, builder, args[0]).data
        pointer = builder.bitcast(builder.gep(start, [args[1]]), ir.IntType(64).as_pointer())
        builder.store(args[2], pointer, align=1)
        return context.get_dummy_value()

    return types.void(data, types.int64, types.uint64), generate


@intrinsic
def first_byte(typing: Any, marks: Any) -> Any:
    """The place, 0 to 7, of the lowest byte with a bit set; `marks` must not be 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zeros = builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))
        return builder.lshr(zeros, ir.Constant(ir.IntType(64), 3))

    return types.int64(types.uint64), generate


@intrinsic
def first_bit(typing: Any, marks: Any) -> Any:
    """The place, 0 to 31, of the lowest bit that is set; `marks` must not be 0."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zeros = builder.cttz(args[0], ir.Constant(ir.IntType(1), 1))
        return builder.zext(zeros, ir.IntType(64))

    return types.int64(types.uint32), generate


@intrinsic
def prefetch(typing: Any, data: Any, place: Any) -> Any:
    """Have what lies at this place of an array brought near, without waiting for it."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        start = context.make_array(signature.args[0])(context, builder, args[0]).data
        byte, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        pointer = builder.bitcast(builder.gep(start, [args[1]]), byte)
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(function, [pointer, *(ir.Constant(number, value) for value in (0, 3, 1))])
        return context.get_dummy_value()

    return types.void(data, types.int64), generate


@intrinsic
def borrowed(typing: Any, value: Any) -> Any:
    """The same arrays, or tuples of them, of whose holders no count is kept: it took half of the time of loops.

    Only a function's own arguments may be borrowed, where it begins: its caller holds them until it ends. What it made
    itself would be freed as soon as it is borrowed.
    """

    def bare(context: Any, builder: Any, kind: Any, held: Any) -> Any:
        if isinstance(kind, types.Array):
            array = context.make_array(kind)(context, builder, held)
            array.meminfo = ir.Constant(array.meminfo.type, None)
            return array._getvalue()
        if isinstance(kind, types.BaseTuple):
            parts: Any = kind
            items = [bare(context, builder, one, builder.extract_value(held, place)) for place, one in enumerate(parts)]
            return context.make_tuple(builder, kind, items)
        return held

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return bare(context, builder, signature.args[0], args[0])

    return value(value), generate


def marks_of(*tests: tuple[str, int], signed: bool = False) -> Any:
    """An intrinsic (data, place): a bit for each of the 32 bytes from `place` on that passes one of the tests."""

    @intrinsic
    def marks(typing: Any, data: Any, place: Any) -> Any:
        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            start = context.make_array(signature.args[0])(context, builder, args[0]).data
            vector = ir.VectorType(ir.IntType(8), WIDE)
            pointer = builder.bitcast(builder.gep(start, [args[1]]), vector.as_pointer())
            loaded = builder.load(pointer, align=1)
            compare = builder.icmp_signed if signed else builder.icmp_unsigned
            found = [compare(test, loaded, ir.Constant(vector, [letter] * WIDE)) for test, letter in tests]
            while len(found) > 1:
                found.append(builder.or_(found.pop(), found.pop()))
            return builder.bitcast(found[0], ir.IntType(WIDE))

        return types.uint32(data, types.int64), generate

    return marks


@intrinsic
def big_endian(typing: Any, word: Any) -> Any:
    """The word whose order is the order of its bytes."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.bswap(args[0])

    return types.uint64(types.uint64), generate


@njit(inline="always")
def equal_bytes(word: Any, pattern: Any) -> Any:
    """A mark in the high bit of each byte that equals the pattern's; only the lowest mark is sure."""
    x = word ^ pattern
    return (x - ONES) & ~x & HIGHS


@njit(inline="always")
def low_bytes(word: Any, count: Any) -> Any:
    """The word with all but its first `count` bytes, 0 to 7, set to zero."""
    return word & ~(FULL << (np.uint64(count) * EIGHT))


@njit(inline="always")
def find_byte(data: Any, place: Any, pattern: Any) -> Any:
    """The first place from `place` on whose byte is in the pattern, which must be there."""
    while True:
        hit = equal_bytes(word_at(data, place), pattern)
        if hit:
            return place + first_byte(hit)
        place += 8


@njit(inline="always")
def mixed(value: Any, word: Any) -> Any:
    """One step of a hash."""
    value = (value ^ word) * FACTOR
    return value ^ (value >> SHIFT)


@njit(inline="always")
def hash_bytes(data: Any, start: Any, stop: Any) -> Any:
    """The hash of the bytes from `start` to `stop`."""
    value = FACTOR
    place = start
    while place + 8 <= stop:
        value = mixed(value, word_at(data, place))
        place += 8
    return mixed(mixed(value, low_bytes(word_at(data, place), stop - place)), np.uint64(stop - start))


@njit(inline="always")
def same_bytes(left: Any, i: Any, right: Any, j: Any, length: Any) -> Any:
    """Whether two stretches of equal length hold the same bytes."""
    while length >= 8:
        if word_at(left, i) != word_at(right, j):
            return False
        i += 8
        j += 8
        length -= 8
    return low_bytes(word_at(left, i) ^ word_at(right, j), length) == 0


@njit(inline="always")
def copy_bytes(source: Any, start: Any, stop: Any, target: Any, place: Any) -> Any:
    """Copy; up to seven bytes more are written behind."""
    while start < stop:
        put_word(target, place, word_at(source, start))
        start += 8
        place += 8
